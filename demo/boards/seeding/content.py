"""How the content is written down: plain values, without the ORM. Days and hours count from the day of seeding."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PEOPLE", "BoardText", "Person", "TaskText", "todo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account. The password of all of them is "demo"; staff may use the admin."""

    username: str
    first_name: str
    last_name: str
    staff: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskText:
    """A task. `checklist` marks what is done with a leading "x "; `comments` are (username, hours ago, text)."""

    title: str
    description: str = ""
    who: str | None = None
    due: int | None = None
    hours: str | None = None
    labels: tuple[str, ...] = ()
    checklist: tuple[str, ...] = ()
    comments: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardText:
    """A board: `labels` are name → color, `columns` are name → tasks from top to bottom."""

    name: str
    purpose: str
    members: tuple[str, ...]
    labels: dict[str, str]
    columns: dict[str, tuple[TaskText, ...]] = field(default_factory=dict)


def todo(title: str, description: str = "", /, **rest: object) -> TaskText:
    """A task, with its title and description by position."""
    return TaskText(title=title, description=description, **rest)  # type: ignore[arg-type]


PEOPLE = (
    Person(username="mira", first_name="Mira", last_name="Okafor", staff=True),
    Person(username="jonas", first_name="Jonas", last_name="Lindqvist"),
    Person(username="priya", first_name="Priya", last_name="Raman"),
    Person(username="tomas", first_name="Tomás", last_name="Herrera"),
    Person(username="aiko", first_name="Aiko", last_name="Tanabe"),
    Person(username="samuel", first_name="Samuel", last_name="Weiss"),
    Person(username="leila", first_name="Leila", last_name="Haddad"),
)
