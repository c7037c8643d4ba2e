"""Reading the logs of several containers into a `FollowedLog`, with threads, connections and resumption.

Every container's log is read from its tail. At most `FOLLOW_LIMIT` running containers are followed, each with its own
thread and connection. Further ones, and those that do not run, are read by `READERS` threads in turn: running ones
every `TURN_S` seconds, the others once, and again after they were started. So two hundred logs need no more than forty
connections, and none is left out. This number is easily handled by the engine's socket, the SSH connection and a
hundred megabytes of memory.

Lines are written to disk as they arrive; only lines waiting to be merged (`Merger`) are held in memory. After an
interruption a log is read again from the time of its last line, and lines of that time that are already known are
skipped.
"""

from __future__ import annotations

import heapq
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.features.logs.data.buffer import SOURCE_BITS
from app.features.logs.data.followed import FollowedLog, LogState
from app.features.logs.data.lines import merge_key, seconds
from app.features.logs.data.merge import Merger
from app.links.workers import start_thread
from app.texts import message
from backend.api import LOG_HEADER_BYTES, LOG_TIME_BYTES, Container, Problem, ProblemCode, WherryError

if TYPE_CHECKING:
    from backend.api import EngineClient, EngineStream, LogBlock

FIRST_LINES: Final = 20_000
"""Number of existing lines to read at first, shared by the containers: they are there at once."""
TAIL_LINES: Final = 1_000_000
"""The same when the user asks for older lines; in an emulated machine that takes minutes."""
LEAST_TAIL_LINES: Final = 2_000
FOLLOW_LIMIT: Final = 32
READERS: Final = 4
TURN_S: Final = 3.0
RETRY_S: Final = 1.0
_AWAY: Final = (ProblemCode.ENGINE_DOWN, ProblemCode.ENGINE_SLOW)
"""Problems after which a log is read again: the engine is expected to come back."""
MERGE_S: Final = 0.05
_RELEASE_LINES: Final = 20_000


@dataclass(slots=True)
class _Source:
    """A container. Changed by the thread that reads it, under the feed's lock when others use the field."""

    number: int
    container_id: str
    up: bool
    active: bool = False
    """Whether a thread reads it, or is about to."""
    given_up: bool = False
    """Whether reading failed for good: the engine refused, or sent invalid data. Retried after the container has
    stopped."""
    stream: EngineStream[LogBlock] | None = None
    last_key: bytes = b""
    last_count: int = 0
    """Number of its lines with that time."""
    to_skip: int = 0
    existing: int = 0
    """Number of its lines that were written before the log was opened, as far as they have arrived."""


class LogFeed:
    """Starts at once. All methods MUST be called in the GUI thread."""

    def __init__(
        self, log: FollowedLog, url: str | None, containers: tuple[Container, ...], *, tail: int = FIRST_LINES
    ) -> None:
        """Read the newest `tail` lines, and follow."""
        self._log = log
        self._url = url
        up = {entry.id for entry in containers if entry.state.is_up}
        self._sources = [_Source(number, each, each in up) for number, each in enumerate(log.container_ids)]
        self._tail = max(LEAST_TAIL_LINES, tail // max(1, len(self._sources)))
        self._began = time.time()
        self._merger = Merger() if len(self._sources) > 1 else None
        self._changed = threading.Condition()
        self._write = threading.Lock()
        self._pushed = threading.Event()
        self._closed = False
        self._epoch = 0
        self._connecting = threading.Lock()
        self._client: EngineClient | None = None
        self._client_epoch = 0
        self._followers = 0
        self._turns: list[tuple[float, int]] = []
        self._threads: list[threading.Thread] = []
        readers = min(READERS, len(self._sources))
        self._threads += [start_thread(f"engine-log-turn-{at}", self._take_turns) for at in range(readers)]
        if self._merger is not None:
            self._threads.append(start_thread("engine-log-merge", self._merge))
        with self._changed:
            for source in self._sources:
                self._begin(source)

    def set_url(self, url: str | None) -> None:
        """Set the engine's new URL; None: it is down."""
        with self._changed:
            if url == self._url:
                return
            self._url = url
            self._epoch += 1
            for source in self._sources:
                if source.stream is not None:
                    source.stream.close()
                source.given_up = False
                if url is not None and not source.active:
                    self._begin(source)
            self._changed.notify_all()

    def refresh_containers(self, containers: tuple[Container, ...]) -> None:
        """Process the engine's current list of containers: follow those that were started again."""
        up = {entry.id for entry in containers if entry.state.is_up}
        with self._changed:
            for source in self._sources:
                source.up = source.container_id in up
                source.given_up = source.given_up and source.up
                if source.up and not source.active and not source.given_up:
                    self._begin(source)
            self._changed.notify_all()

    def close(self) -> list[threading.Thread]:
        """Stop reading and close the log. Returns the threads, to be joined."""
        with self._changed:
            self._closed = True
            for source in self._sources:
                if source.stream is not None:
                    source.stream.close()
            self._changed.notify_all()
        self._pushed.set()
        self._disconnect()
        return self._threads + self._log.close()

    def _begin(self, source: _Source) -> None:
        """Start reading a container, with a thread of its own or in turn."""
        source.active = True
        single = len(self._sources) == 1
        if (source.up or single) and self._followers < FOLLOW_LIMIT:
            self._followers += 1
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(start_thread("engine-log", lambda: self._follow(source)))
        else:
            heapq.heappush(self._turns, (0.0, source.number))
            self._changed.notify_all()

    def _wait_for_engine(self) -> tuple[str, int] | None:
        """Wait for the engine. Returns its URL and its epoch; None when the feed was closed."""
        with self._changed:
            # No deadline: it waits for the user or the machine; `close` wakes it.
            self._changed.wait_for(lambda: self._closed or self._url is not None)
            return None if self._closed or self._url is None else (self._url, self._epoch)

    def _follow(self, source: _Source) -> None:
        """Thread that follows a running container."""
        while (engine := self._wait_for_engine()) is not None:
            problem = self._read(source, *engine, follow=True)
            with self._changed:
                if self._closed:
                    return
                broken = problem is not None and problem.code in _AWAY
                if broken or self._epoch != engine[1]:
                    self._log.set_state(source.number, LogState.RECONNECTING, problem)
                    if broken and self._epoch == engine[1]:
                        self._disconnect()
                        self._changed.wait_for(lambda: self._closed, RETRY_S)
                    continue
                # It may have been restarted at once, or the list that reports its stop has not arrived yet.
                if problem is None and not self._changed.wait_for(lambda: self._closed or not source.up, RETRY_S):
                    continue
                self._log.set_state(source.number, LogState.ENDED, problem)
                source.active, source.given_up = False, problem is not None
                self._followers -= 1
                self._promote()
                return

    def _promote(self) -> None:
        """A thread is free: follow a container that is read in turn."""
        for entry in self._turns:
            source = self._sources[entry[1]]
            if source.up:
                self._turns.remove(entry)
                heapq.heapify(self._turns)
                self._begin(source)
                return

    def _take_turns(self) -> None:
        """A thread that reads the other containers in turn."""
        while True:
            with self._changed:
                while not self._closed and not (self._turns and self._turns[0][0] <= time.monotonic()):
                    self._changed.wait(max(0.01, self._turns[0][0] - time.monotonic()) if self._turns else None)
                if self._closed:
                    return
                _, number = heapq.heappop(self._turns)
            source = self._sources[number]
            engine = self._wait_for_engine()
            if engine is None:
                return
            problem = self._read(source, *engine, follow=False)
            with self._changed:
                if self._epoch != engine[1]:
                    self._log.set_state(number, LogState.RECONNECTING)
                    heapq.heappush(self._turns, (0.0, number))
                elif problem is not None and problem.code in _AWAY:
                    self._disconnect()
                    self._log.set_state(number, LogState.RECONNECTING, problem)
                    heapq.heappush(self._turns, (time.monotonic() + RETRY_S, number))
                elif source.up and problem is None:
                    self._log.set_state(number, LogState.IN_TURN)
                    heapq.heappush(self._turns, (time.monotonic() + TURN_S, number))
                    if self._followers < FOLLOW_LIMIT:
                        self._promote()
                else:
                    self._log.set_state(number, LogState.ENDED, problem)
                    source.active, source.given_up = False, problem is not None

    def _read(self, source: _Source, url: str, epoch: int, *, follow: bool) -> Problem | None:
        """Read one answer of the engine to its end."""
        stream: EngineStream[LogBlock] | None = None
        client: EngineClient | None = None
        try:
            client = self._connected(url, epoch)
            since = seconds(source.last_key) if source.last_key else None
            source.to_skip = source.last_count if since else 0
            if self._merger is not None:
                with self._write:
                    self._merger.open(source.number, time.monotonic())
            stream = client.logs(
                source.container_id, tail=self._tail if since is None else -1, since=since, follow=follow
            )
            with self._changed:
                source.stream = stream
                if self._closed or self._epoch != epoch:
                    stream.close()
            if follow:
                self._log.set_state(source.number, LogState.FOLLOWING)
            for block in stream:
                self._take(source, block)
        except WherryError as error:
            return error.problem
        except OSError as error:
            return Problem(
                code=ProblemCode.HOST_DISK_FULL,
                summary=message("Couldn't keep the log on disk: {error}.", error=error.strerror),
                hint=message("Free up space on the disk of the cache folder, then open the log again."),
            )
        finally:
            with self._changed:
                source.stream = None
            if self._merger is not None:
                with self._write:
                    self._merger.end(source.number)
            if stream is not None:
                stream.release()
            if client is not None and self._closed:
                client.close()
        return None

    def _connected(self, url: str, epoch: int) -> EngineClient:
        """The client, shared by all threads."""
        from backend.api import EngineClient  # imported here because docker-py is slow to import

        with self._connecting:
            if self._client is None or self._client_epoch != epoch:
                self._disconnect()
                self._client, self._client_epoch = EngineClient(url), epoch
            return self._client

    def _disconnect(self) -> None:
        """Close the shared client's idle connections; active ones are closed when returned."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _take(self, source: _Source, block: LogBlock) -> None:
        """Store the new lines of a block."""
        data, starts = block
        if source.to_skip:
            starts = self._without_known(source, data, starts)
        if not starts:
            return
        self._remember(source, data, starts)
        self._note_age(source, len(starts))
        buffer, number = self._log.buffer, source.number
        base = buffer.keep(data) << SOURCE_BITS | number
        entries = [base + (start << SOURCE_BITS) for start in starts]
        if self._merger is None:
            buffer.add(entries)
            self._log.touch()
            return
        keys = [data[start + LOG_HEADER_BYTES : start + LOG_HEADER_BYTES + LOG_TIME_BYTES - 1] for start in starts]
        if any(data[start + LOG_HEADER_BYTES + LOG_TIME_BYTES - 1] != 0x5A for start in starts):
            keys = [_key(data, start) for start in starts]
        with self._write:
            self._merger.push(number, keys, entries, time.monotonic())
            if len(self._merger) > _RELEASE_LINES:
                self._release()
        self._pushed.set()

    def _note_age(self, source: _Source, count: int) -> None:
        """Tell the log how far it is behind the containers, and whether there are older lines than those read."""
        if not source.last_key:
            return
        try:
            written = float(seconds(source.last_key))
        except ValueError:
            return
        self._log.note_behind(time.time() - written)
        if written < self._began and source.existing < self._tail:
            source.existing += count
            if source.existing >= self._tail:
                self._log.has_older = True

    def _without_known(self, source: _Source, data: bytes, starts: list[int]) -> list[int]:
        fresh = []
        for start in starts:
            if source.to_skip and _key(data, start) == source.last_key:
                source.to_skip -= 1
            else:
                fresh.append(start)
        return fresh

    @staticmethod
    def _remember(source: _Source, data: bytes, starts: list[int]) -> None:
        """Remember the time of the last line, and how many lines have it."""
        count = 0
        key = _key(data, starts[-1])
        for start in reversed(starts):
            if _key(data, start) != key:
                break
            count += 1
        if not key:
            return
        all_same = count == len(starts) and key == source.last_key
        source.last_count = source.last_count + count if all_same else count
        source.last_key = key

    def _merge(self) -> None:
        """Thread that releases merged lines."""
        assert self._merger is not None
        while True:
            # No deadline: it waits for output of a container; `close` wakes it.
            self._pushed.wait()
            self._pushed.clear()
            while len(self._merger):
                with self._changed:
                    if self._changed.wait_for(lambda: self._closed, MERGE_S):
                        return
                with self._write:
                    self._release()
            if self._closed:
                return

    def _release(self) -> None:
        assert self._merger is not None
        if released := self._merger.take(time.monotonic()):
            self._log.buffer.add(released)
            self._log.touch()


def _key(data: bytes, start: int) -> bytes:
    return merge_key(data[start + LOG_HEADER_BYTES : start + LOG_HEADER_BYTES + LOG_TIME_BYTES + 1])
