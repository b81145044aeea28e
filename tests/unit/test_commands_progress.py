"""How commands show how far they are, how they keep their pace, and how they write times and sizes."""

from __future__ import annotations

import shutil
from argparse import ArgumentTypeError
from io import StringIO
from os import terminal_size

import pytest
from django.core.management.base import OutputWrapper

from rxcrdt.management.progress import Pace, Progress
from rxcrdt.management.quantities import above_zero, duration, in_bytes, in_words, seconds_of, several, whole
from rxcrdt.management.tables import lines


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def work(stream: StringIO, clock: Clock, items: int, seconds: float) -> list[str]:
    """What is written while so many items take so long each."""
    with Progress(OutputWrapper(stream), clock=clock) as progress:
        for _ in progress.over([f"board/{number}" for number in range(items)]):
            clock.now += seconds
    return stream.getvalue().replace("\x1b[K", "").replace("\r", "\n").splitlines()


def test_a_terminal_gets_a_bar_with_what_is_done_how_fast_and_how_long_it_takes() -> None:
    written = [line for line in work(Terminal(), Clock(), 4, 0.5) if line]
    assert written == [
        "[....................] 1/4 board/0",
        "[#####...............] 2/4 board/1, 2/s, 1 s left",
        "[##########..........] 3/4 board/2, 2/s, 1 s left",
        "[###############.....] 4/4 board/3, 2/s, 0 s left",
    ]


def test_the_bar_is_gone_at_the_end_and_whenever_something_else_is_printed() -> None:
    terminal, clock = Terminal(), Clock()
    progress = Progress(OutputWrapper(terminal), clock=clock)
    for _ in progress.over(["board/1", "board/2"]):
        progress.clear()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "2/2 board/2" in terminal.getvalue(), "it is drawn again at once"
    work(terminal, clock, 3, 1)
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_bar_is_cleared_when_the_run_breaks_off() -> None:
    terminal = Terminal()

    def run() -> None:
        with Progress(OutputWrapper(terminal)) as progress:
            for _ in progress.over(["board/1"]):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_the_bar_is_drawn_twenty_times_a_second_at_the_most() -> None:
    assert len([line for line in work(Terminal(), Clock(), 1000, 0.001) if line]) in (19, 20, 21)


def test_the_bar_is_no_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: terminal_size((30, 24)))
    assert [len(line) for line in work(Terminal(), Clock(), 1, 1) if line] == [29]


def test_without_a_terminal_a_line_is_written_every_ten_seconds() -> None:
    assert work(StringIO(), Clock(), 1500, 1 / 64) == [
        "640 of 1,500 documents done, 64/s, 13 s left.",
        "1,280 of 1,500 documents done, 64/s, 3 s left.",
    ]
    assert work(StringIO(), Clock(), 600, 1 / 64) == [], "nothing of what is done soon"


def test_what_is_done_before_the_number_is_known_is_said_on_a_terminal_only() -> None:
    terminal, pipe = Terminal(), StringIO()
    for stream in (terminal, pipe):
        with Progress(OutputWrapper(stream)) as progress:
            progress.say("Listing …")
    assert terminal.getvalue() == "\r\x1b[KListing …\r\x1b[K"
    assert pipe.getvalue() == ""


def test_a_pace_is_kept() -> None:
    clock = Clock()
    pace = Pace(20, clock=clock, sleep=clock.sleep)
    for _ in range(3):
        pace.wait()
    assert clock.slept == pytest.approx([0.05, 0.05]), "the first one need not wait"
    clock.now += 0.02
    pace.wait()
    assert clock.slept[-1] == pytest.approx(0.03), "what the work took counts"


def test_who_fell_behind_does_not_catch_up_in_a_burst() -> None:
    clock = Clock()
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    pace.wait()
    clock.now += 5
    for _ in range(3):
        pace.wait()
    assert clock.slept == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604800), ("2w", 1209600), ("12h", 43200), ("30m", 1800), ("45s", 45), ("1.5H", 5400), (" 1 d ", 86400)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7y", "1d12h", "nand"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="as 7d, 12h, 30m or 45s"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "many"])
def test_what_is_no_number_above_zero_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="no number above 0"):
        above_zero(text)
    with pytest.raises(ArgumentTypeError, match="no whole number above 0"):
        whole(text)


def test_numbers_are_read() -> None:
    assert (above_zero("0.5"), whole("12")) == (0.5, 12)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (200000, "2 d")],
)
def test_durations_are_written(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("text", ["7d", "12h", "90m", "45s", "0.5s"])
def test_settings_are_written_as_arguments_are_read(text: str) -> None:
    assert in_words(seconds_of(text)) == text


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12345, "12.3 kB"), (999_999, "1.0 MB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_written(number: int, words: str) -> None:
    assert in_bytes(number) == words


def test_numbers_of_things_are_written() -> None:
    assert [several(1), several(1200), several(2, "entry", "entries")] == ["1 document", "1,200 documents", "2 entries"]


def test_a_table_has_its_numbers_to_the_right() -> None:
    assert list(lines(["name", "bytes"], [["a", "12"], ["board/12", "1,200"]])) == [
        "name      bytes",
        "a            12",
        "board/12  1,200",
    ]
