"""Mouse input: reports in xterm's SGR form if the program requested them, else arrow keys for the wheel."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QMouseEvent

from app.terminal.keys import encode_mouse
from app.terminal.screen import APPLICATION_CURSOR, MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES, MOUSE_SGR

_BUTTONS: Final = {Qt.MouseButton.LeftButton: 0, Qt.MouseButton.MiddleButton: 1, Qt.MouseButton.RightButton: 2}
_MOVED: Final = 32
_WHEEL: Final = 64
_MAX_STEPS: Final = 15


class MouseReports:
    """Encodes mouse events. Movement within the cell of the last report is not reported."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None

    def encode(self, mode: AbstractSet[int], kind: str, event: QMouseEvent, cell: tuple[int, int]) -> bytes | None:
        """Encode an event, possibly as b""; None when the program did not request mouse reports.

        Args:
            mode: the screen's active modes.
            kind: "press", "move" or "release".
            event: Qt's event.
            cell: column and row.
        """
        if MOUSE_SGR not in mode or not mode & {MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES}:
            return None
        column, row = cell
        code = _modifiers(event)
        if kind == "move":
            held = next((number for button, number in _BUTTONS.items() if event.buttons() & button), None)
            if cell == self._last or not (MOUSE_MOVES in mode or (MOUSE_DRAGS in mode and held is not None)):
                return b""
            code += _MOVED + (3 if held is None else held)
        else:
            number = _BUTTONS.get(event.button())
            if number is None:
                return b""
            code += number
        self._last = cell
        return encode_mouse(code, column, row, released=kind == "release")

    def wheel(self, mode: AbstractSet[int], steps: int, cell: tuple[int, int]) -> bytes:
        """Encode wheel steps; positive steps are up."""
        count = min(abs(steps), _MAX_STEPS)
        if MOUSE_SGR in mode and mode & {MOUSE_CLICKS, MOUSE_DRAGS, MOUSE_MOVES}:
            return encode_mouse(_WHEEL + (steps < 0), *cell, released=False) * bool(count)
        arrow = b"O" if APPLICATION_CURSOR in mode else b"["
        return (b"\x1b" + arrow + (b"A" if steps > 0 else b"B")) * count


def _modifiers(event: QMouseEvent) -> int:
    held = event.modifiers()
    alt = 8 if held & Qt.KeyboardModifier.AltModifier else 0
    control = 16 if held & Qt.KeyboardModifier.ControlModifier else 0
    return alt + control
