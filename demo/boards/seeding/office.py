"""A board that is not about software, and that only some of the people may see."""

from boards.seeding.content import BoardText, todo

__all__ = ["OFFICE"]

TO_DO = (
    todo(
        "Internet at the new address",
        "The line takes six weeks from the order. A mobile router bridges the first days if it is late.",
        who="samuel",
        due=14,
        hours="3.0",
        labels=("Contract",),
        checklist=("x Compare three offers", "Order", "Rent a mobile router, just in case"),
        comments=(("samuel", 70, "Fibre is in the cellar already, so it may be four weeks."),),
    ),
    todo(
        "Who sits where",
        "A plan on the wall, with pins. Everybody may move their own.",
        who="leila",
        due=18,
        hours="4.0",
        labels=("People",),
    ),
    todo("Name plates and the bell", who="leila", due=25, hours="1.0", labels=("Building",)),
    todo(
        "Plants",
        "Nine are too big for the lift.",
        hours="2.0",
        labels=("Building",),
        comments=(("mira", 36, "I take the lemon tree."), ("leila", 35, "Two go to the neighbours.")),
    ),
)

IN_PROGRESS = (
    todo(
        "Moving company",
        "Two Saturdays are free: the 14th and the 21st.",
        who="leila",
        due=2,
        hours="5.0",
        labels=("Contract",),
        checklist=("x Three visits", "x Three offers", "Decide", "Parking permit"),
        comments=(
            ("leila", 50, "The cheapest one wants us to pack the kitchen."),
            ("mira", 48, "Then not that one."),
        ),
    ),
    todo(
        "Tell 61 suppliers the new address",
        who="samuel",
        due=8,
        hours="6.0",
        labels=("People",),
        checklist=("x List", "x Letter", "Bank and insurance", "The rest"),
    ),
)

FINISHED = (
    todo("Terminate the old lease", who="mira", due=-30, hours="1.0", labels=("Contract",)),
    todo(
        "Measure the meeting rooms",
        who="samuel",
        due=-5,
        hours="2.0",
        labels=("Building",),
        checklist=("x Large room", "x Small room", "x Phone booth"),
    ),
)

OFFICE = BoardText(
    name="Office move",
    purpose="Everybody finds a desk, a chair and the internet on the first Monday.",
    members=("mira", "samuel", "leila"),
    labels={"Contract": "orange", "People": "teal", "Building": "gray"},
    columns={"To do": TO_DO, "In progress": IN_PROGRESS, "Done": FINISHED},
)
