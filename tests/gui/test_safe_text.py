"""Bytes of containers to lines that may be shown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.safe_text import MAX_LINE_BYTES, PLAIN, LineAssembler, LogLine, Style, clean_line, menu_text, tooltip
from backend.engine.types import LogStream


def lines(*chunks: bytes, timestamps: bool = False) -> list[LogLine]:
    assembler = LineAssembler(LogStream.STDOUT, timestamps=timestamps)
    return [line for chunk in chunks for line in assembler.feed(chunk)] + assembler.end()


def test_lines_are_put_together_from_any_chunks() -> None:
    assert [line.text for line in lines(b"he", b"llo\nwor", b"ld\r\n", b"", b"end")] == ["hello", "world", "end"]


def test_a_line_of_a_megabyte_is_cut_and_says_so() -> None:
    chunks = [b"x" * 10_000] * 100
    (line,) = lines(*chunks, b"\n")
    assert len(line.text) == MAX_LINE_BYTES
    assert line.cut_bytes == 1_000_000 - MAX_LINE_BYTES


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert lines(b"a\xff\xfeb\n")[0].text == "a\ufffd\ufffdb"


def test_colours_become_spans() -> None:
    spans = clean_line(b"\x1b[1;31mred\x1b[0m plain \x1b[38;5;208morange\x1b[38;2;1;2;3mrgb\x1b[39;22mend")
    assert [(span.text, span.style) for span in spans] == [
        ("red", Style(1, True)),
        (" plain ", PLAIN),
        ("orange", Style("#ff8700", False)),
        ("rgb", Style("#010203", False)),
        ("end", PLAIN),
    ]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b[2J\x1b[1;1Htop", "top"),
        (b"\x1bP1;2|data\x1b\\x", "x"),
        (b"\x1b(Bplain", "plain"),
        (b"\x1b", ""),
        (b"\x1b[31", ""),
        (b"a\x08\x00b\x7f", "ab"),
        (b"10%\r20%\r30%", "30%"),
        ("\u202eevil\u202c \u2066x\u2069".encode(), "evil x"),
        ("שלום".encode(), "שלום"),
        (b"<b>&amp;</b>", "<b>&amp;</b>"),
        (b"a\tb", "a\tb"),
        (b"\x1b[38;5;999mx\x1b[38;2mx\x1b[;;;mx\x1b[99999999mx", "xxxx"),
    ],
)
def test_what_is_shown(raw: bytes, shown: str) -> None:
    assert "".join(span.text for span in clean_line(raw)) == shown


def test_the_engines_time_is_taken_off() -> None:
    (line,) = lines(b"2026-11-23T22:51:35.333911212Z line 4\n", timestamps=True)
    assert (line.time, line.text) == ("2026-11-23T22:51:35.333911212Z", "line 4")
    (line,) = lines(b"no time\n", timestamps=True)
    assert (line.time, line.text) == (None, "no time")


@given(st.binary(max_size=400))
def test_nothing_makes_it_fail_or_lets_control_characters_through(raw: bytes) -> None:
    text = "".join(line.text for line in lines(raw))
    assert not any(ord(letter) < 32 and letter != "\t" for letter in text)
    text.encode()


@pytest.mark.parametrize("part", [b"\x1b[", b"\x1b]", b"\x1b[31m", b"\x1bP", b"\r", b"\x1b"])
def test_a_megabyte_of_anything_is_quick(part: bytes) -> None:
    began = time.monotonic()
    lines(part * (1_000_000 // len(part)), b"\n")
    assert time.monotonic() - began < 2


def test_tips_and_menus_take_words_literally() -> None:
    assert "<b>" not in tooltip("<b>x</b>")
    assert menu_text("A&B") == "A&&B"
    assert tooltip("") == ""
