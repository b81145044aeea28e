"""What ``docs/protocol.md`` says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rxcrdt import awareness, rooms
from rxcrdt.protocol import CloseCode, Ignored, decode, encode_auth
from rxcrdt.sockets import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
FRAMES = [row.split("|") for row in re.findall(r"^\| `((?:[0-9a-f]{2} ?)+`.*)\|$", PAGE, re.MULTILINE)]
LIMITS = Limits(waiting_bytes=1, awareness_bytes=1)


def test_every_close_code_is_there_with_its_meaning() -> None:
    found = {int(code): meaning for code, meaning in re.findall(r"^\| (4\d{3}) \| ([^|]+) \|", PAGE, re.MULTILINE)}
    assert found.keys() == set(CloseCode)
    words = {
        code: meaning.replace("no such document", "not found").replace(" ", "_").upper()
        for code, meaning in found.items()
    }
    assert words == {code: code.name for code in CloseCode}


def test_the_conversation_consists_of_frames() -> None:
    assert len(FRAMES) == 8


@pytest.mark.parametrize(("frame", "_"), FRAMES)
def test_every_frame_is_what_the_decoder_reads(frame: str, _: str) -> None:
    assert not isinstance(decode(bytes.fromhex(frame.strip().rstrip("`")), max_bytes=1000), Ignored)


def test_the_types_are_those_of_the_table() -> None:
    types = dict(re.findall(r"^\| (\d) ([a-z ]+) \|", PAGE, re.MULTILINE))
    assert types == {"0": "sync", "1": "awareness", "2": "auth", "3": "query awareness"}
    assert encode_auth("x")[:2] == b"\x02\x00"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("nothing new for {} s", LIMITS.keep_alive_seconds),
        ("is forgotten after {} s", rooms.SILENT_SECONDS),
        ("nested {} deep at most", awareness.MAX_NESTING),
        ("One socket may have {} ids", awareness.MAX_IDS),
    ],
)
def test_numbers(text: str, number: float) -> None:
    assert text.format(f"{number:g}") in PAGE


def test_not_at_all_for_a_minute() -> None:
    assert LIMITS.stall_seconds == 60
