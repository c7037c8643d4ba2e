"""A tokenizer from bytes to actions on a screen, instead of pyte's.

pyte's reads letter by letter, stores titles of any length, and raises an exception for unexpected parameters.

All input is untrusted. At most one unfinished sequence of `_HELD_CHARS` is stored; operating system commands (window
titles, clipboard, links) and device strings are skipped.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Final

from app.terminal.screen import Screen

_HELD_CHARS: Final = 256
_MAX_PARAMETERS: Final = 32
_MAX_VALUE: Final = 9999

_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_LINES: Final = re.compile(r"(?:[ -~]*\r\n)+")
_FLOOD_CHARS: Final = 512
_CSI: Final = re.compile(r"\x1b\[([<=>?]?)([0-9;:]*)([ -/]*)([@-~])")
_CSI_BEGUN: Final = re.compile(r"\x1b\[[0-?]*[ -/]*")
_ESCAPE: Final = re.compile(r"\x1b([ -/]*)([0-~])")
_STRING: Final = "]PX^_"
_STRING_END: Final = re.compile(r"[\x07\x18\x1a\x1b\x9c]")


class SequenceParser:
    """Parses the output of a program for one screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._in_string = False
        self._controls: dict[str, Callable[[], object]] = {
            "\b": screen.backspace,
            "\t": screen.tab,
            "\n": screen.linefeed,
            "\v": screen.linefeed,
            "\f": screen.linefeed,
            "\r": screen.carriage_return,
            "\x0e": screen.shift_out,
            "\x0f": screen.shift_in,
        }
        self._escapes: dict[str, Callable[[], object]] = {
            "7": screen.save_cursor,
            "8": screen.restore_cursor,
            "c": screen.reset,
            "D": screen.index,
            "E": screen.next_line,
            "H": screen.set_tab_stop,
            "M": screen.reverse_index,
            "=": lambda: screen.set_keypad(application=True),
            ">": lambda: screen.set_keypad(application=False),
        }
        self._counted: dict[str, Callable[[int], object]] = {
            "@": screen.insert_characters,
            "A": screen.cursor_up,
            "B": screen.cursor_down,
            "C": screen.cursor_forward,
            "D": screen.cursor_back,
            "E": screen.cursor_down1,
            "F": screen.cursor_up1,
            "G": screen.cursor_to_column,
            "I": screen.tab_forward,
            "L": screen.insert_lines,
            "M": screen.delete_lines,
            "P": screen.delete_characters,
            "S": screen.scroll_up,
            "T": screen.scroll_down,
            "X": screen.erase_characters,
            "Z": screen.tab_back,
            "`": screen.cursor_to_column,
            "a": screen.cursor_forward,
            "b": screen.repeat,
            "d": screen.cursor_to_line,
            "e": screen.cursor_down,
        }

    def feed(self, untrusted_data: bytes) -> None:
        """Process bytes, which may be split anywhere."""
        data = self._held + self._decoder.decode(untrusted_data)
        self._held = ""
        at, end = 0, len(data)
        draw, text = self._screen.draw, _TEXT.match
        while at < end:
            if self._in_string:
                at = self._skip_string(data, at)
            elif end - at > _FLOOD_CHARS and (stop := self._flood(data, at)) > at:
                at = stop
            elif (match := text(data, at)) is not None:
                draw(match.group())
                at = match.end()
            elif data[at] == "\x1b":
                at = self._sequence(data, at)
                if at < 0:
                    break
            else:
                control = self._controls.get(data[at])
                if control is not None:
                    control()
                at += 1

    def _flood(self, data: str, at: int) -> int:
        """Process many plain lines at once. Returns the offset of their end, or `at` if there are none."""
        if self._screen.cursor.x or (match := _LINES.match(data, at)) is None:
            return at
        lines = match.group().split("\r\n")
        lines.pop()
        return match.end() if self._screen.draw_lines(lines) else at

    def _skip_string(self, data: str, at: int) -> int:
        match = _STRING_END.search(data, at)
        if match is None:
            return len(data)
        if match.group() == "\x1b":
            if match.end() == len(data):
                self._held = "\x1b"
                self._in_string = False
                # Its second half ends the string or begins a sequence: both are parsed the same way.
                return len(data)
            self._in_string = False
            return match.end() + 1 if data[match.end()] == "\\" else match.start()
        self._in_string = False
        return match.end()

    def _sequence(self, data: str, at: int) -> int:
        """Parse the escape sequence at `at`. Returns its end, or -1 if it is incomplete."""
        if at + 1 == len(data):
            self._held = data[at:]
            return -1
        second = data[at + 1]
        if second == "[":
            if (match := _CSI.match(data, at)) is not None:
                self._control_sequence(*match.groups())
                return match.end()
            begun = _CSI_BEGUN.match(data, at)
            assert begun is not None
            return self._wait_or_drop(data, at, begun.end())
        if second in _STRING:
            self._in_string = True
            return at + 2
        if (match := _ESCAPE.match(data, at)) is not None:
            self._escape(*match.groups())
            return match.end()
        # Not a sequence: drop only the escape. Or an incomplete one with intermediates.
        stop = at + 1
        while stop < len(data) and " " <= data[stop] <= "/":
            stop += 1
        return self._wait_or_drop(data, at, stop)

    def _wait_or_drop(self, data: str, at: int, stop: int) -> int:
        if stop == len(data) and stop - at < _HELD_CHARS:
            self._held = data[at:]
            return -1
        return stop

    def _escape(self, intermediates: str, final: str) -> None:
        if not intermediates:
            if (action := self._escapes.get(final)) is not None:
                action()
        elif intermediates in "()":
            self._screen.choose_charset(final, intermediates)
        elif intermediates == "#" and final == "8":
            self._screen.alignment_display()

    def _control_sequence(self, prefix: str, words: str, intermediates: str, final: str) -> None:
        screen = self._screen
        if final == "m":
            if not prefix and not intermediates:  # "CSI > 4 m" sets a keyboard mode, not a colour
                screen.select_style(words)
            return
        numbers = [
            min(int(word[:6]), _MAX_VALUE) if word else 0
            for word in words.replace(":", ";").split(";")[:_MAX_PARAMETERS]
        ]
        first = numbers[0]
        second = numbers[1] if len(numbers) > 1 else 0
        if intermediates:
            if intermediates == "!" and final == "p":
                screen.soft_reset()
        elif prefix == "?":
            if final in "hl":
                for number in numbers:
                    screen.change_private_mode(number, on=final == "h")
            elif final in "JK":
                self._erase(final, first)
        elif prefix == ">":
            if final == "c":
                screen.report_secondary_attributes()
        elif prefix:
            return
        elif (counted := self._counted.get(final)) is not None:
            counted(first or 1)
        elif final in "Hf":
            screen.cursor_position(first, second)
        elif final in "JK":
            self._erase(final, first)
        elif final == "r":
            screen.choose_margins(first, second)
        elif final in "hl":
            for number in numbers:
                screen.change_mode(number, on=final == "h")
        elif final == "g":
            screen.clear_tab_stop(first)
        elif final == "c":
            screen.report_device_attributes(first)
        elif final == "n":
            screen.report_device_status(first)
        elif final == "s":
            screen.save_cursor()
        elif final == "u":
            screen.restore_cursor()

    def _erase(self, final: str, how: int) -> None:
        if how <= 3:
            (self._screen.erase_in_display if final == "J" else self._screen.erase_in_line)(how)
