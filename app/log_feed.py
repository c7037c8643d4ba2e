"""One container's log: a thread that reads and cleans, a bounded queue, a timer that hands lines to the GUI thread.

The queue is full at `QUEUE_LINES`; then the thread stops reading, which loses nothing, since the engine keeps logs in a
file. After an interruption the log is read again from the time stamp of the last line.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.safe_text import LineAssembler, LogLine
from app.store import LogState
from app.workers import start_thread
from backend.api import Container, LogChunk, LogStream, Problem, ProblemCode, WherryError

if TYPE_CHECKING:
    from backend.api import EngineStream

TAIL_LINES: Final = 2000
"""How far back an opened log begins."""
QUEUE_LINES: Final = 4000
DELIVER_MS: Final = 40
DELIVER_LINES: Final = 1000
"""So many are laid out by the view in some 10 ms."""
RETRY_S: Final = 1.0


class LogFeed(QObject):
    """Lines of one container. The signals come in the GUI thread."""

    lines = Signal(tuple)  # LogLine, ...
    state_changed = Signal(object, object)  # LogState, Problem | None

    def __init__(self, container_id: str, url: str | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.container_id = container_id
        self._reader = _Reader(container_id, url)
        self._told: tuple[LogState, Problem | None] = (LogState.OPENING, None)
        self._latest: tuple[Container, ...] = ()
        self._timer = QTimer(self, interval=DELIVER_MS)
        self._timer.timeout.connect(self._deliver)
        self._timer.start()

    def set_url(self, url: str | None) -> None:
        """The engine moved, or is gone: None."""
        self._reader.set_url(url)

    def look_at(self, containers: tuple[Container, ...]) -> None:
        """Follow again if the container was started again."""
        self._latest = containers
        if any(entry.id == self.container_id and entry.state.is_up for entry in containers):
            self._reader.resume()

    def close(self) -> list[threading.Thread]:
        """Stop reading; gives the thread, to be joined."""
        self._timer.stop()
        return [self._reader.close()]

    def _deliver(self) -> None:
        lines = self._reader.take(DELIVER_LINES)
        if lines:
            self.lines.emit(lines)
        state = self._reader.state
        # "Ended" is told after the last line.
        if state != self._told and (len(lines) < DELIVER_LINES):
            self._told = state
            self.state_changed.emit(*state)
            if state[0] is LogState.ENDED:
                # The list that shows the next start may have come before the end of the stream.
                self.look_at(self._latest)


class _Reader:
    """The thread's side. Knows nothing of Qt."""

    def __init__(self, container_id: str, url: str | None) -> None:
        self._id = container_id
        self._url = url
        self._changed = threading.Condition()
        self._closed = False
        self._resume = True
        self._queue: deque[LogLine] = deque()
        self._stream: EngineStream[LogChunk] | None = None
        self._last: str | None = None
        self.state: tuple[LogState, Problem | None] = (LogState.OPENING, None)
        self._thread = start_thread("engine-log", self._run)

    def take(self, count: int) -> tuple[LogLine, ...]:
        with self._changed:
            taken = tuple(islice(self._queue, count))
            for _ in taken:
                self._queue.popleft()
            self._changed.notify_all()
        return taken

    def set_url(self, url: str | None) -> None:
        with self._changed:
            self._url = url
            self._resume = True
            if self._stream is not None:
                self._stream.close()
            self._changed.notify_all()

    def resume(self) -> None:
        with self._changed:
            if self.state[0] is LogState.ENDED:
                self._resume = True
                self._changed.notify_all()

    def close(self) -> threading.Thread:
        with self._changed:
            self._closed = True
            if self._stream is not None:
                self._stream.close()
            self._changed.notify_all()
        return self._thread

    def _run(self) -> None:
        while True:
            with self._changed:
                # No deadline: it waits for the user or the machine, and `close` wakes it.
                self._changed.wait_for(lambda: self._closed or (self._resume and self._url is not None))
                if self._closed:
                    return
                self._resume = False
                url = self._url
            assert url is not None
            try:
                self._follow(url)
            except WherryError as error:
                gone = error.problem.code is not ProblemCode.ENGINE_DOWN
                self.state = (LogState.ENDED if gone else LogState.RECONNECTING, error.problem)
                with self._changed:
                    self._resume = self._resume or not gone
                    self._changed.wait_for(lambda: self._closed, RETRY_S)
            else:
                with self._changed:
                    self.state = (LogState.RECONNECTING if self._resume else LogState.ENDED, None)

    def _follow(self, url: str) -> None:
        from backend.api import EngineClient  # here, for docker-py is slow to import

        client = EngineClient(url)
        try:
            since = _seconds(self._last) if self._last else None
            stream = client.logs(self._id, tail=TAIL_LINES if since is None else -1, since=since, timestamps=True)
            with self._changed:
                self._stream = stream
                if self._closed:
                    stream.close()
            self.state = (LogState.FOLLOWING, None)
            self._read(stream)
        finally:
            with self._changed:
                opened, self._stream = self._stream, None
            if opened is not None:
                opened.release()
            client.close()

    def _read(self, stream: EngineStream[LogChunk]) -> None:
        resumed_at = self._last
        assemblers = {name: LineAssembler(name, timestamps=True) for name in LogStream}
        for source, untrusted_data in stream:
            if not self._put(assemblers[source].feed(untrusted_data), resumed_at):
                return
        for assembler in assemblers.values():
            self._put(assembler.end(), resumed_at)

    def _put(self, lines: list[LogLine], resumed_at: str | None) -> bool:
        # `since` includes its own moment: what was shown already comes again.
        fresh = [line for line in lines if not (resumed_at and line.time and _key(line.time) <= _key(resumed_at))]
        if fresh and (time := fresh[-1].time):
            self._last = time
        for start in range(0, len(fresh), QUEUE_LINES):
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._queue) < QUEUE_LINES)
                if self._closed:
                    return False
                self._queue.extend(fresh[start : start + QUEUE_LINES])
        return True


def _key(stamp: str) -> tuple[str, str]:
    """Comparable form of an RFC 3339 time, whose fraction the engine may shorten."""
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _seconds(stamp: str) -> str:
    """Seconds since the epoch with nine decimals: a float would round the moment."""
    seconds, fraction = _key(stamp)
    whole = int(datetime.fromisoformat(seconds).replace(tzinfo=UTC).timestamp())
    return f"{whole}.{fraction}"
