"""Sanitising of text from containers: the bytes of a line become coloured spans.

Pure: no Qt, no I/O. Nothing that a container prints can be interpreted as markup, move the cursor, change the reading
direction, or grow without limit. Colours and bold are read from escape sequences; all others are removed.
"""

from __future__ import annotations

import html
import re
from typing import Final, NamedTuple

_SEQUENCE: Final = re.compile(
    r"\x1b\[([0-9;:]*)m"  # colour: the only alternative with a group
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # other control sequences, and one that is incomplete at the line's end
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # device strings
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences, and a lone escape
)
_DROPPED: Final = {
    **dict.fromkeys((*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0))),
    **dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF)),
    0x2028: " ",
    0x2029: " ",
}


class Style(NamedTuple):
    """Style of a span."""

    colour: int | str | None = None
    """0 to 15: a terminal colour of the theme. "#rrggbb": this colour. None: the text colour."""
    bold: bool = False


class Span(NamedTuple):
    """A part of a line with one style."""

    text: str
    style: Style


PLAIN: Final = Style()


def clean_line(untrusted_line: bytes) -> tuple[Span, ...]:
    """The spans of a line; bytes that are not UTF-8 become replacement characters."""
    untrusted_text = untrusted_line.decode("utf-8", errors="replace").rstrip("\r")
    # A progress bar returns to the line's start and overwrites it: only the last state is kept.
    untrusted_text = untrusted_text.rsplit("\r", 1)[-1]
    if "\x1b" not in untrusted_text:
        text = untrusted_text.translate(_DROPPED)
        return (Span(text, PLAIN),) if text else ()
    spans: list[Span] = []
    style = PLAIN
    at = 0
    for match in _SEQUENCE.finditer(untrusted_text):
        _add(spans, untrusted_text[at : match.start()], style)
        at = match.end()
        if match.group(1) is not None:
            style = _restyled(style, match.group(1))
    _add(spans, untrusted_text[at:], style)
    return tuple(spans)


def clean_plain(untrusted_lines: bytes) -> str:
    """The text of `clean_line` without colours, for many lines separated by line feeds."""
    untrusted_text = untrusted_lines.decode("utf-8", errors="replace")
    if "\r" in untrusted_text:
        lines = untrusted_text.split("\n")
        untrusted_text = "\n".join([line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines])
    if "\x1b" in untrusted_text:
        untrusted_text = _SEQUENCE.sub("", untrusted_text)
    if _is_plain(untrusted_text):
        return untrusted_text
    # Translating is slow: only for lines that need it.
    lines = untrusted_text.split("\n")
    return "\n".join([line if _is_plain(line) else line.translate(_DROPPED) for line in lines])


def _is_plain(text: str) -> bool:
    """Whether sanitising would not change it."""
    return text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable()


def tooltip(clean: str) -> str:
    """Text for a tool tip. Qt guesses whether a tip is HTML, so it is converted to HTML with everything escaped."""
    return "<p style='white-space:pre-wrap'>" + html.escape(clean) + "</p>" if clean else ""


def menu_text(clean: str) -> str:
    """Text for a menu entry or a button, where a single & would mark a shortcut."""
    return clean.replace("&", "&&")


def _add(spans: list[Span], untrusted_text: str, style: Style) -> None:
    text = untrusted_text.translate(_DROPPED)
    if not text:
        return
    if spans and spans[-1].style == style:
        spans[-1] = Span(spans[-1].text + text, style)
    else:
        spans.append(Span(text, style))


def _restyled(style: Style, parameters: str) -> Style:
    numbers = [
        int(word) if word.isascii() and word.isdigit() and len(word) < 4 else 0 for word in re.split("[;:]", parameters)
    ]
    colour, bold = style
    at = 0
    while at < len(numbers):
        number = numbers[at]
        at += 1
        if number == 0:
            colour, bold = None, False
        elif number == 1:
            bold = True
        elif number == 22:
            bold = False
        elif 30 <= number <= 37:
            colour = number - 30
        elif 90 <= number <= 97:
            colour = number - 90 + 8
        elif number == 39:
            colour = None
        elif number in (38, 48):
            chosen, at = _extended(numbers, at)
            colour = chosen if number == 38 else colour
    return Style(colour, bold)


def _extended(numbers: list[int], at: int) -> tuple[int | str | None, int]:
    """Parse what follows 38 or 48: "5;n" of the 256 colours, or "2;r;g;b"."""
    kind = numbers[at] if at < len(numbers) else None
    if kind == 5 and at + 1 < len(numbers):
        return _of_256(min(numbers[at + 1], 255)), at + 2
    if kind == 2 and at + 3 < len(numbers):
        red, green, blue = (min(number, 255) for number in numbers[at + 1 : at + 4])
        return f"#{red:02x}{green:02x}{blue:02x}", at + 4
    return None, len(numbers)


def _of_256(number: int) -> int | str:
    if number < 16:
        return number
    if number >= 232:
        grey = 8 + (number - 232) * 10
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    number -= 16
    levels = (0, 95, 135, 175, 215, 255)
    return f"#{levels[number // 36]:02x}{levels[number // 6 % 6]:02x}{levels[number % 6]:02x}"
