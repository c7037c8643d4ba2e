"""Conversion of containers' output to lines that are safe to show."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ui.safe_text import PLAIN, Style, clean_line, clean_plain, menu_text, tooltip


def text_of(raw: bytes) -> str:
    return "".join(span.text for span in clean_line(raw))


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert text_of(b"a\xff\xfeb") == "a\ufffd\ufffdb"


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


_NASTY = st.lists(
    st.sampled_from(
        [b"\x1b", b"\x1b[", b"\x1b[31m", b"\x1b]0;", b"\x07", b"\x1b\\", b"\x1bP", b"\r", b"\t", b"a", b"m", b"[0m"]
    )
    | st.sampled_from(
        [b"\xff", b"\xe2\x80\xae", b"\xc2\x85", "שלום".encode(), b"\x00", b";", b"\xe2\x80\xa8", b"\xf0\x9f"]
    )
    | st.binary(max_size=6),
    max_size=30,
).map(lambda parts: b"".join(parts).replace(b"\n", b""))


@given(_NASTY)
def test_nothing_makes_it_fail_or_lets_control_characters_through(raw: bytes) -> None:
    text = text_of(raw)
    assert not any(ord(letter) < 32 and letter != "\t" for letter in text)
    text.encode()


@given(st.lists(_NASTY, min_size=1, max_size=6))
def test_many_lines_at_once_are_as_one_by_one(raws: list[bytes]) -> None:
    assert clean_plain(b"\n".join(raws)) == "\n".join(text_of(raw) for raw in raws)


@pytest.mark.parametrize("part", [b"\x1b[", b"\x1b]", b"\x1b[31m", b"\x1bP", b"\r", b"\x1b"])
@pytest.mark.no_cover
def test_a_megabyte_of_anything_is_quick(part: bytes) -> None:
    began = time.process_time()
    clean_line(part * (1_000_000 // len(part)))
    clean_plain(part * (1_000_000 // len(part)))
    assert time.process_time() - began < 4


def test_tool_tips_and_menus_show_text_literally() -> None:
    assert "<b>" not in tooltip("<b>x</b>")
    assert menu_text("A&B") == "A&&B"
    assert tooltip("") == ""
