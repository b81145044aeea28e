"""A board of people who talk to customers."""

from boards.seeding.content import BoardText, todo

__all__ = ["RESEARCH"]

QUESTIONS = (
    todo(
        "Why do people leave the cart on Sunday evenings?",
        "Twice as often as on any other evening, since the autumn.",
        labels=("Numbers",),
        comments=(("priya", 118, "Phones mostly. Perhaps they only collect for Monday?"),),
    ),
    todo(
        "How do people find the size guide?",
        who="aiko",
        hours="6.0",
        labels=("Interview",),
        checklist=("Six people, half of them new", "Their own phone, not ours"),
    ),
    todo(
        "What does a gift need?",
        "Wrapping, a card, a day. In which order do they think about it?",
        hours="8.0",
        labels=("Interview",),
        comments=(("leila", 28, "My forty requests belong here, see the other board."),),
    ),
    todo("Who reads the newsletter, and where?", labels=("Numbers", "Survey")),
    todo("Do returns get easier if we ask less?", who="leila", due=20, hours="4.0", labels=("Survey",)),
)

RUNNING = (
    todo(
        "Checkout: ten people, ten orders",
        "Moderated, 30 minutes each, on the staging site with play money. We watch, and help with nothing.",
        who="aiko",
        due=4,
        hours="15.0",
        labels=("Interview",),
        checklist=(
            "x Script",
            "x Find ten people",
            "x Pilot with a colleague",
            "People 1 to 5",
            "People 6 to 10",
            "Clips",
        ),
        comments=(
            ("aiko", 46, "The pilot took 50 minutes, so I cut the part about accounts."),
            ("priya", 43, "Please keep the question about the delivery day, we argue about it every week."),
            ("aiko", 21, "Kept. Three people done, nobody found the voucher field."),
            ("mira", 19, "Nobody? Then it is in the right place."),
        ),
    ),
    todo(
        "Survey after the delivery",
        "Two questions, one of them open.",
        who="leila",
        due=6,
        hours="3.0",
        labels=("Survey",),
        checklist=("x Questions", "x Translations", "Send with the second parcel mail"),
        comments=(("leila", 15, "211 answers on the first day, 60 with a text."),),
    ),
    todo(
        "Phone a customer every Thursday",
        "Each of us, in turns. Notes into the shared folder.",
        who="priya",
        due=1,
        hours="1.0",
        labels=("Interview",),
        checklist=("x Mira", "x Aiko", "Priya", "Leila"),
    ),
)

FINDINGS = (
    todo(
        "People count the days, not the hours",
        '"Arrives on Thursday" beats "within 48 hours" in every interview.',
        who="priya",
        due=-2,
        hours="2.0",
        labels=("Interview",),
        comments=(("mira", 52, "Let us change that text right away."),),
    ),
    todo(
        "Nobody knows what the heart does",
        "Save for later? Tell a friend? Eight people, five guesses.",
        who="aiko",
        due=-7,
        hours="2.5",
        labels=("Interview",),
        checklist=("x Clip of all eight", "x Proposal: a word beside it"),
    ),
    todo(
        "Half of the returns are about the length",
        who="leila",
        due=-11,
        hours="3.0",
        labels=("Numbers",),
        checklist=("x Trousers", "x Sleeves"),
        comments=(
            ("aiko", 200, "That goes into the size guide."),
            ("leila", 198, "And on the product page, please."),
        ),
    ),
    todo(
        "The phone number calms people down",
        "Hardly anybody calls, but they look for it before they pay.",
        who="priya",
        due=-14,
        hours="1.0",
        labels=("Interview", "Numbers"),
    ),
)

RESEARCH = BoardText(
    name="Customer research",
    purpose="Ask before building, and write down what we heard.",
    members=("mira", "priya", "aiko", "leila"),
    labels={"Interview": "teal", "Survey": "violet", "Numbers": "yellow"},
    columns={"Questions": QUESTIONS, "Running": RUNNING, "What we learned": FINDINGS},
)
