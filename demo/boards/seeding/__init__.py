"""The demo's rows: people, four boards, and how they get into the database."""
