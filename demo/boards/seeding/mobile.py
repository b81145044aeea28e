"""A smaller board: the release of a phone app."""

from boards.seeding.content import BoardText, todo

__all__ = ["MOBILE"]

PLANNED = (
    todo(
        "Offline tickets",
        "A ticket bought at home has to open in the tunnel. Store the last ten, with the code drawn on the phone.",
        who="tomas",
        due=21,
        hours="20.0",
        labels=("Feature",),
        checklist=("Encrypted storage", "Draw the code without a network", "Expire after the journey"),
        comments=(("priya", 66, "Most frequent wish in the store reviews, by far."),),
    ),
    todo(
        "Larger text breaks the timetable",
        "From 130 % on, times run over the line names.",
        who="aiko",
        due=10,
        hours="6.0",
        labels=("Bug", "Accessibility"),
    ),
    todo("Share a connection as a link", hours="5.0", labels=("Feature",)),
    todo(
        "Drop Android 9",
        "0.6 % of the installations. Announce it two releases before.",
        who="jonas",
        hours="2.0",
        labels=("Upkeep",),
        checklist=("Banner in 4.2", "Mail to the support team", "Raise the version in 4.4"),
    ),
)

BUILDING = (
    todo(
        "Delays as a notification",
        "Only for journeys that somebody saved, and only when the delay changes a connection.",
        who="priya",
        due=5,
        hours="22.0",
        labels=("Feature", "Server"),
        checklist=(
            "x Subscribe to saved journeys",
            "x Quiet hours",
            "Group several delays",
            "Texts",
            "Load test",
        ),
        comments=(
            ("priya", 47, "Quiet hours follow the phone, so no setting of our own."),
            ("samuel", 33, "Load test: we expect 40,000 at once on a bad Monday."),
            ("priya", 8, "Grouping works for two, three or more still come one by one."),
        ),
    ),
    todo(
        "Map: stops do not flicker while zooming",
        who="tomas",
        due=1,
        hours="9.0",
        labels=("Bug",),
        checklist=("x Reproduce it", "Keep markers between zoom levels"),
        comments=(("tomas", 12, "It is our own clustering that runs on every frame."),),
    ),
    todo(
        "Screen reader: order of the connection view",
        who="aiko",
        due=7,
        hours="8.0",
        labels=("Accessibility",),
        checklist=("x Headings", "x Times before line names", "Changes announced", "Tested with two people"),
    ),
)

TESTING = (
    todo(
        "Sign in with a passkey",
        "",
        who="jonas",
        due=3,
        hours="16.0",
        labels=("Feature", "Server"),
        checklist=("x Create", "x Sign in", "x Lose the phone", "Two phones at once"),
        comments=(
            ("jonas", 25, "Beta group has it since Tuesday, 31 of 40 have switched."),
            ("mira", 23, "Mine asks twice after an update of the system, video is in the chat."),
            ("jonas", 6, "Found it, the fix is in build 4182."),
        ),
    ),
    todo(
        "Crash when the calendar is forbidden",
        who="tomas",
        due=0,
        hours="1.5",
        labels=("Bug",),
        comments=(("tomas", 9, "One line. Build 4182 as well."),),
    ),
)

RELEASED = (
    todo(
        "Half the size of the download",
        "38 MB → 17 MB.",
        who="jonas",
        due=-8,
        hours="12.0",
        labels=("Upkeep",),
    ),
    todo("Favourites keep their order", who="priya", due=-8, hours="3.0", labels=("Bug",)),
    todo(
        "New icon",
        who="aiko",
        due=-10,
        hours="4.0",
        labels=("Upkeep",),
        comments=(("leila", 230, "Finally readable next to the others."),),
    ),
)

MOBILE = BoardText(
    name="Travel app 4.2",
    purpose="Fewer surprises on the way: delays, passkeys, and text that people can read.",
    members=("mira", "jonas", "priya", "tomas", "aiko", "samuel"),
    labels={"Feature": "blue", "Bug": "red", "Accessibility": "green", "Server": "violet", "Upkeep": "gray"},
    columns={"Planned": PLANNED, "Building": BUILDING, "Testing": TESTING, "Released": RELEASED},
)
