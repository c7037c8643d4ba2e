"""Export of lines as plain text in a thread: to a file, or to memory for the clipboard."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Signal

from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.lines import LogLine, local_time, log_line
from app.links.workers import start_thread
from app.texts import message
from backend.api import Problem, ProblemCode

_BATCH: Final = 2_000
_TELL_LINES: Final = 20_000


@dataclass(frozen=True)
class Columns:
    """The columns before the text of each line."""

    names: tuple[str, ...] = ()
    """Names by source; empty for no column of names."""
    has_time: bool = False

    @cached_property
    def padded(self) -> tuple[str, ...]:
        """The names, padded to equal length."""
        width = max(map(len, self.names), default=0)
        return tuple(f"{name:<{width}}" for name in self.names)


def columns_of(line: LogLine, columns: Columns) -> str:
    """The columns before a line's text, with a space at the end."""
    prefix = f"{local_time(line.time)} " if columns.has_time and line.time else ""
    return f"{prefix}{columns.padded[line.source]} | " if columns.names else prefix


class LogExport(QObject):
    """An export. Connect its signals, which are emitted in the GUI thread, then call `start`."""

    progressed = Signal(int, int)  # lines written, total
    finished = Signal(object)  # Problem | None

    def __init__(self, buffer: LogBuffer, numbers: Sequence[int], columns: Columns, path: Path | None) -> None:
        """The export does not start yet.

        Args:
            buffer: the log.
            numbers: the lines to export, in order.
            columns: what to write before each line.
            path: a file, replaced once everything is written; None: collect in `text`.
        """
        super().__init__()
        self.path = path
        self.text = ""
        self._buffer = buffer
        self._numbers = numbers
        self._columns = columns
        self._cancelled = False
        self._thread: threading.Thread | None = None

    @property
    def total(self) -> int:
        """Number of lines to write."""
        return len(self._numbers)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled before its end."""
        return self._cancelled

    def start(self) -> None:
        """Start the thread."""
        self._thread = start_thread("log-export", self._run)

    def cancel(self) -> None:
        """Stop; an existing file is not changed."""
        self._cancelled = True

    def close(self) -> list[threading.Thread]:
        """Stop. Returns the threads, to be joined."""
        self._cancelled = True
        return [self._thread] if self._thread is not None else []

    def _run(self) -> None:
        problem = None
        if self.path is None:
            self.text = "".join(self._lines())
        else:
            problem = self._write(self.path)
        self.finished.emit(problem)

    def _write(self, path: Path) -> Problem | None:
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(self._lines())
            if self._cancelled:
                part.unlink()
            else:
                part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return Problem(
                code=ProblemCode.PATH_UNUSABLE,
                summary=message("Couldn't save the log: {error}.", error=error.strerror or error),
                hint=message("Choose another folder, or free up space on that disk."),
                tail=(str(path),),
            )
        return None

    def _lines(self) -> Iterator[str]:
        for start in range(0, len(self._numbers), _BATCH):
            group = self._numbers[start : start + _BATCH]
            if isinstance(group, range):
                records = list(self._buffer.records(group.start, group.stop))
            else:
                records = [self._buffer.record(number) for number in group]
            for record in records:
                line = log_line(record)
                yield f"{columns_of(line, self._columns)}{line.text}\n"
            if self._cancelled:
                return
            if start % _TELL_LINES == 0:
                self.progressed.emit(start, len(self._numbers))
