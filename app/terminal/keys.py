"""Encoding of keys, pasted text and mouse events as xterm's sequences."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent

_Key = Qt.Key
_Modifier = Qt.KeyboardModifier

_LETTERED: Final = {
    _Key.Key_Up: "A",
    _Key.Key_Down: "B",
    _Key.Key_Right: "C",
    _Key.Key_Left: "D",
    _Key.Key_Home: "H",
    _Key.Key_End: "F",
}
_NUMBERED: Final = {
    _Key.Key_Insert: 2,
    _Key.Key_Delete: 3,
    _Key.Key_PageUp: 5,
    _Key.Key_PageDown: 6,
    _Key.Key_F5: 15,
    _Key.Key_F6: 17,
    _Key.Key_F7: 18,
    _Key.Key_F8: 19,
    _Key.Key_F9: 20,
    _Key.Key_F10: 21,
    _Key.Key_F11: 23,
    _Key.Key_F12: 24,
}
_FIRST_FOUR: Final = {_Key.Key_F1: "P", _Key.Key_F2: "Q", _Key.Key_F3: "R", _Key.Key_F4: "S"}
_PLAIN: Final = {_Key.Key_Return: "\r", _Key.Key_Enter: "\r", _Key.Key_Escape: "\x1b", _Key.Key_Tab: "\t"}
_WITH_CONTROL: Final = {
    _Key.Key_Space: "\x00",
    _Key.Key_At: "\x00",
    _Key.Key_2: "\x00",
    _Key.Key_BracketLeft: "\x1b",
    _Key.Key_3: "\x1b",
    _Key.Key_Backslash: "\x1c",
    _Key.Key_4: "\x1c",
    _Key.Key_BracketRight: "\x1d",
    _Key.Key_5: "\x1d",
    _Key.Key_AsciiCircum: "\x1e",
    _Key.Key_6: "\x1e",
    _Key.Key_Underscore: "\x1f",
    _Key.Key_Slash: "\x1f",
    _Key.Key_7: "\x1f",
}


def control_modifier() -> Qt.KeyboardModifier:
    """The modifier of the key labelled Control: on macOS, Qt's ControlModifier is the command key."""
    return _Modifier.MetaModifier if QGuiApplication.platformName() == "cocoa" else _Modifier.ControlModifier


def encode_key(event: QKeyEvent, *, application_cursor: bool) -> bytes:
    """The bytes sent for a key; empty for a key without a meaning."""
    modifiers = event.modifiers()
    control = bool(modifiers & control_modifier())
    shift = bool(modifiers & _Modifier.ShiftModifier)
    alt = bool(modifiers & _Modifier.AltModifier)
    return encode(
        event.key(), event.text(), control=control, shift=shift, alt=alt, application_cursor=application_cursor
    ).encode()


def encode(key: int, words: str, *, control: bool, shift: bool, alt: bool, application_cursor: bool) -> str:
    """Like `encode_key`, from a key's code and the text that the keyboard layout produces for it."""
    name = _Key(key) if key in _KNOWN else None
    state = 1 + shift + 2 * alt + 4 * control
    if name in _LETTERED:
        if state > 1:
            return f"\x1b[1;{state}{_LETTERED[name]}"
        return f"\x1b{'O' if application_cursor else '['}{_LETTERED[name]}"
    if name in _FIRST_FOUR:
        return f"\x1b[1;{state}{_FIRST_FOUR[name]}" if state > 1 else f"\x1bO{_FIRST_FOUR[name]}"
    if name in _NUMBERED:
        return f"\x1b[{_NUMBERED[name]};{state}~" if state > 1 else f"\x1b[{_NUMBERED[name]}~"
    escape = "\x1b" if alt else ""
    if name is _Key.Key_Backtab or (name is _Key.Key_Tab and shift):
        return "\x1b[Z"
    if name is _Key.Key_Backspace:
        return escape + ("\x08" if control else "\x7f")
    if name in _PLAIN:
        return escape + _PLAIN[name]
    if control:
        if _Key.Key_A <= key <= _Key.Key_Z:
            return escape + chr(key - _Key.Key_A + 1)
        if name in _WITH_CONTROL:
            return escape + _WITH_CONTROL[name]
    return escape + words if words and words.isprintable() else ""


_KNOWN: Final = frozenset(
    int(key)
    for key in (
        *(*_LETTERED, *_NUMBERED, *_FIRST_FOUR, *_PLAIN, *_WITH_CONTROL),
        *(_Key.Key_Backtab, _Key.Key_Backspace),
    )
)


def encode_paste(words: str, *, bracketed: bool) -> bytes:
    """Encode pasted text. Control characters are removed, so that it cannot end the brackets or act as keys."""
    text = words.replace("\r\n", "\r").replace("\n", "\r")
    text = "".join(letter for letter in text if letter in "\r\t" or (letter >= " " and not "\x7f" <= letter <= "\x9f"))
    return (f"\x1b[200~{text}\x1b[201~" if bracketed else text).encode("utf-8", "replace")


def encode_mouse(code: int, column: int, row: int, *, released: bool) -> bytes:
    """Encode a mouse event in xterm's SGR form; column and row start at 0."""
    return f"\x1b[<{code};{column + 1};{row + 1}{'m' if released else 'M'}".encode()
