"""Parsing of colours and attributes in the parameters of "CSI … m". Pure."""

from __future__ import annotations

from typing import Any, Final

from pyte.screens import Char

_MAX_PARAMETERS: Final = 64


def style_changes(words: str, default: Char) -> dict[str, Any]:
    """The fields of a cell's style that change.

    Colours are "0" to "15" for the theme's sixteen, six hexadecimal digits, or "default".

    Args:
        words: numbers separated by semicolons, and by colons within a group.
        default: the style restored by 0.
    """
    groups = words.split(";")[:_MAX_PARAMETERS]
    changes: dict[str, Any] = {}
    at = 0
    while at < len(groups):
        part = groups[at]
        at += 1
        numbers = [int(word[:6]) if word else 0 for word in part.split(":")]
        code = numbers[0]
        if code == 0:
            changes = default._asdict()
        elif code in _FLAGS:
            name, value = _FLAGS[code]
            changes[name] = value and not (code == 4 and numbers[1:2] == [0])
        elif code in (38, 48):
            if len(numbers) == 1:
                numbers += [int(word[:6]) if word.isdigit() else 0 for word in groups[at : at + 4]]
                at += 2 if numbers[1:2] == [5] else 4 if numbers[1:2] == [2] else 0
                colour = _extended(numbers[1:5])
            else:
                # The colon form of a direct colour has an empty field for the colour space.
                colour = _extended([numbers[1], *numbers[-3:]] if numbers[1] == 2 else numbers[1:])
            if colour is not None:
                changes["fg" if code == 38 else "bg"] = colour
        elif (named := _named(code)) is not None:
            changes[named[0]] = named[1]
    return changes


_FLAGS: Final = {
    1: ("bold", True),
    3: ("italics", True),
    4: ("underscore", True),
    5: ("blink", True),
    7: ("reverse", True),
    9: ("strikethrough", True),
    21: ("underscore", True),
    22: ("bold", False),
    23: ("italics", False),
    24: ("underscore", False),
    25: ("blink", False),
    27: ("reverse", False),
    29: ("strikethrough", False),
}


def _named(code: int) -> tuple[str, str] | None:
    tens, unit = divmod(code, 10)
    if tens in (3, 9, 4, 10) and unit < 8:
        return "fg" if tens in (3, 9) else "bg", str(unit + (8 if tens in (9, 10) else 0))
    if code in (39, 49):
        return "fg" if code == 39 else "bg", "default"
    return None


def _extended(numbers: list[int]) -> str | None:
    """Parse what follows 38 or 48: "5;n" of the 256 colours, or "2;r;g;b"."""
    match numbers:
        case [5, number, *_]:
            return colour_of_256(min(number, 255))
        case [2, red, green, blue]:
            return "".join(f"{min(value, 255):02x}" for value in (red, green, blue))
        case _:
            return None


def colour_of_256(number: int) -> str:
    """A colour of xterm's table: sixteen theme colours, a cube of 216, 24 greys."""
    if number < 16:
        return str(number)
    if number >= 232:
        return f"{8 + (number - 232) * 10:02x}" * 3
    number -= 16
    levels = (0, 95, 135, 175, 215, 255)
    return "".join(f"{levels[part]:02x}" for part in (number // 36, number // 6 % 6, number % 6))
