"""The board that the demo opens with: a shop's new website."""

from boards.seeding.content import BoardText, todo

__all__ = ["RELAUNCH"]

INBOX = (
    todo(
        "Gift cards in the checkout",
        "Support gets about ten mails a week that ask for them. Let us find out what the payment provider offers "
        "before we draw anything.",
        labels=("Idea", "Shop"),
        comments=(
            (
                "leila",
                30,
                "I collected the last forty requests, most want to send one by mail on a fixed day.",
            ),
        ),
    ),
    todo("Dark mode", "Half of the team wants it. Do our customers?", labels=("Idea", "Design")),
    todo(
        "Search understands typing errors",
        '"Teepot" finds nothing, and it is the third most frequent search without a result.',
        hours="12.0",
        labels=("Shop",),
        checklist=(
            "Export last month's searches without results",
            "Try trigram similarity on the staging copy",
        ),
    ),
    todo(
        "Reviews with photographs",
        labels=("Idea",),
        comments=(("aiko", 75, "Needs moderation, so not before May."),),
    ),
    todo(
        "Pages for the two new shops",
        "Texts come from Leila, opening hours from the spreadsheet.",
        who="leila",
        hours="5.0",
        labels=("Content",),
    ),
)

NEXT = (
    todo(
        "Product page: sizes and stock at a glance",
        "Show what is left in which size without opening a menu. Below five pieces we say so; a size that is gone "
        "stays visible, and offers to write when it is back.",
        who="aiko",
        due=6,
        hours="16.0",
        labels=("Design", "Shop"),
        checklist=(
            "x Sketch for the phone",
            "x Sketch for the desktop",
            "Talk to the warehouse about the numbers",
            "Texts in three languages",
        ),
        comments=(
            ("aiko", 52, "Both sketches are in the shared folder."),
            ("priya", 49, "I like the second one. Where does the size guide go on a phone?"),
            ("aiko", 28, "Under the sizes, closed. Almost nobody opens it twice."),
        ),
    ),
    todo(
        "Addresses: fill in by post code",
        "One field less to type, and fewer parcels that come back.",
        who="tomas",
        due=9,
        hours="8.0",
        labels=("Shop",),
        checklist=("Choose a data source", "Fall back to typing by hand"),
    ),
    todo(
        "Newsletter: ask once, and not on the first visit",
        who="leila",
        due=12,
        hours="3.5",
        labels=("Content", "Legal"),
        comments=(("samuel", 90, "The double opt-in text has to change too, see the lawyer's mail."),),
    ),
    todo(
        "Redirects for the 1,400 old addresses",
        "The list is complete for products and categories. Blog posts are missing.",
        who="tomas",
        due=4,
        hours="10.0",
        labels=("Search engines", "Backend"),
        checklist=(
            "x Products",
            "x Categories",
            "Blog posts",
            "Campaign pages since 2021",
            "Test against the access log",
        ),
        comments=(("jonas", 20, "Please keep the ones with umlauts, they are in printed catalogues."),),
    ),
    todo("Pictures: serve AVIF, keep JPEG as a fallback", who="jonas", hours="6.0", labels=("Backend", "Speed")),
)

DOING = (
    todo(
        "Checkout in one page",
        "Address, delivery and payment below each other, each closing when it is complete. A guest sees no field that "
        "is only for accounts. Going back never loses what was typed.",
        who="priya",
        due=2,
        hours="24.0",
        labels=("Shop", "Design"),
        checklist=(
            "x Address",
            "x Delivery",
            "Payment",
            "Errors next to their field",
            "Works with a screen reader",
            "Measured with ten people",
        ),
        comments=(
            ("priya", 44, "Address and delivery are on staging."),
            ("mira", 41, "Tried it on my old phone, feels quick. The total jumps when the delivery loads."),
            ("priya", 26, "Fixed, it keeps its place now."),
            ("tomas", 5, "Payment provider answered: the new form may be embedded from Monday."),
        ),
    ),
    todo(
        "Move the pictures to object storage",
        "Uploads go there already. The old ones follow in batches at night, oldest first.",
        who="jonas",
        due=-1,
        hours="14.0",
        labels=("Backend",),
        checklist=(
            "x New uploads",
            "x Script for the old ones",
            "x Dry run",
            "Two nights of copying",
            "Delete the old disk",
        ),
        comments=(
            ("jonas", 31, "First night: 212,000 of 480,000 files, no error."),
            (
                "samuel",
                29,
                "Nice. The disk is paid until the end of the month, no hurry with the last point.",
            ),
        ),
    ),
    todo(
        "Texts for delivery and returns",
        "Short, friendly, and right. The lawyer reads it on Thursday.",
        who="leila",
        due=1,
        hours="4.0",
        labels=("Content", "Legal"),
        checklist=("x Delivery", "Returns", "Translations"),
    ),
    todo(
        "Contrast of the sale prices",
        "Red on pink fails the guideline, and on a phone in the sun it is simply gone.",
        who="aiko",
        due=0,
        hours="2.0",
        labels=("Bug", "Design"),
        comments=(("aiko", 3, "New red is 4.9 : 1, on the staging site since this morning."),),
    ),
)

REVIEW = (
    todo(
        "Category pages load below one second",
        "Measured with a cold cache on the slow phone from the drawer.",
        who="tomas",
        due=3,
        hours="18.0",
        labels=("Speed", "Backend"),
        checklist=(
            "x Fewer queries",
            "x Smaller pictures",
            "x Fonts from our own server",
            "Measure again on Friday",
        ),
        comments=(
            ("tomas", 60, "2.8 s → 0.9 s. Most of it was 61 queries for the filters."),
            ("priya", 22, "Reviewed, two questions in the code."),
        ),
    ),
    todo(
        "Cart survives signing in",
        "What a guest collected is merged with what the account had.",
        who="priya",
        due=2,
        hours="7.5",
        labels=("Bug", "Shop"),
        checklist=("x Same product twice adds up", "x Test", "Release note"),
        comments=(
            ("mira", 18, "Works. What happens with a product that is sold out by now?"),
            ("priya", 16, "It stays, marked, and cannot be ordered."),
        ),
    ),
    todo(
        "Structured data for products",
        who="samuel",
        due=5,
        hours="5.0",
        labels=("Search engines",),
        checklist=("x Price and stock", "x Ratings", "Validator without a warning"),
    ),
)

DONE = (
    todo(
        "Delivery times on the product page",
        "From the warehouse's table, refreshed every hour.",
        who="tomas",
        due=-2,
        hours="9.0",
        labels=("Shop", "Backend"),
        checklist=("x Table", "x Weekends", "x Holidays in three countries"),
        comments=(
            ("priya", 96, "Easter Monday is missing for Sweden."),
            ("tomas", 94, "Added, with a test."),
        ),
    ),
    todo(
        "Photographs of the team",
        who="leila",
        due=-5,
        hours="4.0",
        labels=("Content",),
        checklist=("x Date", "x Retouching"),
        comments=(
            ("jonas", 150, "Mine may be older, I had more hair."),
            ("leila", 149, "We keep the new one."),
        ),
    ),
    todo(
        "Forms keep what was typed",
        "Also after an error, a reload and a lost connection.",
        who="priya",
        due=-4,
        hours="7.0",
        labels=("Bug", "Shop"),
        checklist=("x Reload", "x Error", "x Back button"),
    ),
    todo(
        "Choose the typefaces",
        "One family for everything, from our own server.",
        who="aiko",
        due=-12,
        hours="6.0",
        labels=("Design",),
        comments=(("mira", 290, "Good choice, the numbers line up at last."),),
    ),
    todo("Staging behind a password", who="jonas", due=-15, hours="1.5", labels=("Backend",)),
    todo(
        "Cookie notice without tricks",
        'Two buttons, the same size. "No" means no.',
        who="samuel",
        due=-6,
        hours="5.0",
        labels=("Legal", "Design"),
        checklist=("x Texts", "x Same size of both buttons", "x Nothing loads before yes"),
    ),
    todo(
        "Test orders in all three currencies",
        who="leila",
        due=-3,
        hours="3.0",
        labels=("Shop",),
        checklist=("x EUR", "x SEK", "x GBP"),
        comments=(("leila", 80, "All three arrived, invoices are right."),),
    ),
    todo("Old blog exported", who="tomas", due=-9, hours="4.0", labels=("Content", "Backend")),
)

RELAUNCH = BoardText(
    name="Website relaunch",
    purpose="The new shop goes live before the spring catalogue is printed.",
    members=("mira", "jonas", "priya", "tomas", "aiko", "samuel", "leila"),
    labels={
        "Shop": "blue",
        "Design": "pink",
        "Backend": "violet",
        "Content": "yellow",
        "Bug": "red",
        "Speed": "teal",
        "Legal": "gray",
        "Search engines": "green",
        "Idea": "orange",
    },
    columns={"Inbox": INBOX, "Next": NEXT, "In progress": DOING, "Review": REVIEW, "Done": DONE},
)
