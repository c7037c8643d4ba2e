"""The connection to the engine: worker threads with an `EngineClient`, and results as queued signals.

watch    opens the event stream, reads it, and reopens it after a failure
list     lists the containers after relevant events, at most ten times a second
stop     a pool for stops and restarts, which take as long as the containers need
act      a pool for start, kill, remove...
ask      a pool for all other requests: inspect, create, what views need (`run`)

A call that takes long is no sign that the engine is gone: only a connection that fails or breaks is. Whether an engine
hangs is for the agent to find out.

The endpoint is set only while the machine reports that its engine answers: a request to the endpoint of a stopped
machine would start it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import shiboken6
from PySide6.QtCore import QObject, Qt, Signal, Slot

from app.links.link_state import LinkState
from app.links.workers import Workers, join_threads, start_thread
from app.texts import message
from backend.api import Container, ContainerAction, Problem, ProblemCode, WherryError, fail

if TYPE_CHECKING:
    from backend.api import EngineClient, EngineEvent, EngineStream

LIST_PAUSE_S: Final = 0.1
"""Minimum time between two lists: starting fifty containers causes hundreds of events."""
LIST_IDLE_S: Final = 30.0
"""Maximum time between two lists: texts such as "Up 5 minutes" change without an event."""
BACK_OFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
REPORTED_EVENTS: Final = ("start", "kill", "die", "destroy", "health_status: unhealthy")
"""Other events (such as exec_create, several a second from health checks) stay in the watching thread."""
ACTION_THREADS: Final = 4
STOP_THREADS: Final = 32
"""Containers that are stopped at the same time. A thread waits for each of them."""
ASK_THREADS: Final = 4
JOIN_DEADLINE_S: Final = 3.0

_SLOW_ACTIONS: Final = (ContainerAction.STOP, ContainerAction.RESTART)
_Answer = TypeVar("_Answer")


_log = logging.getLogger(__name__)


class EngineLink(QObject):
    """Connection to one engine at a time. MUST be created and used in the GUI thread."""

    endpoint_changed = Signal(object)  # url | None
    state_changed = Signal(object, object)  # LinkState, Problem | None
    containers_changed = Signal(tuple)
    happened = Signal(str)  # the kind of an event that is not a container's: "image", "volume", "network"...
    action_started = Signal(str, object)  # container id, ContainerAction
    action_finished = Signal(str, object, object)  # container id, ContainerAction, Problem | None

    event_seen = Signal(object)  # EngineEvent of a container with an action in REPORTED_EVENTS

    _watched = Signal(object, object, object)  # session, LinkState, Problem | None
    _listed = Signal(object, tuple)
    _noted = Signal(object, str)
    _acted = Signal(str, object, object)
    _answered = Signal(object, object, object)  # session, done, the answer or a Problem

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session: _Session | None = None
        self._old: list[threading.Thread] = []
        self._workers = Workers("engine-act", ACTION_THREADS)
        # A separate pool: what kills a container that does not stop must not wait for it.
        self._stoppers = Workers("engine-stop", STOP_THREADS)
        # A separate pool: four slow stops must not delay a page that is opened meanwhile.
        self._askers = Workers("engine-ask", ASK_THREADS)
        queued = Qt.ConnectionType.QueuedConnection
        self._watched.connect(self._on_watched, queued)
        self._listed.connect(self._on_listed, queued)
        self._noted.connect(self._on_noted, queued)
        self._acted.connect(self.action_finished, queued)
        self._answered.connect(self._on_answered, queued)

    @property
    def url(self) -> str | None:
        """URL of the engine; None without an endpoint."""
        return self._session.url if self._session else None

    def set_endpoint(self, url: str | None) -> None:
        """Connect to the engine at `url`, or to none. Never blocks: the old session's threads end on their own."""
        if url == self.url:
            return
        self._end_session()
        if url is None:
            self.state_changed.emit(LinkState.OFF, None)
        else:
            callbacks = (self._watched.emit, self._listed.emit, self._noted.emit, self.event_seen.emit)
            self._session = _Session(url, *callbacks)
            self.state_changed.emit(LinkState.CONNECTING, None)
        self.endpoint_changed.emit(url)

    def refresh(self) -> None:
        """List the containers now; if the engine is not connected, retry now."""
        if self._session is not None:
            self._session.hurry()

    def act(self, container_id: str, action: ContainerAction) -> None:
        """Start an action on a container; its result is signalled by `action_finished`."""
        session = self._session
        self.action_started.emit(container_id, action)

        def job() -> None:
            problem = None
            try:
                if session is None:
                    raise fail(
                        ProblemCode.ENGINE_DOWN,
                        message("The Docker engine isn't running."),
                        hint=message("Start the machine."),
                    )
                session.client().act(action, container_id)
                # List before signalling the result, so that a row never shows its old state as final.
                with contextlib.suppress(WherryError):  # the action succeeded, whatever becomes of the list
                    session.refresh_now()
            except WherryError as error:
                problem = error.problem
            self._acted.emit(container_id, action, problem)

        (self._stoppers if action in _SLOW_ACTIONS else self._workers).submit(job)

    def run(self, job: Callable[[EngineClient], _Answer], done: Callable[[_Answer | Problem], object]) -> None:
        """Run `job` in a worker thread with the engine's client, and call `done` with its result in the GUI thread.

        `done` is called once, and never before `run` has returned: with the result of `job`, or with the Problem of the
        WherryError that it raised. If the endpoint has changed meanwhile, the result belongs to another engine, and
        `done` gets a Problem with the code CANCELLED instead. It is not called after the QObject that it is a method of
        was deleted, nor at quit. `job` MUST have deadlines, as all methods of the client do, and MUST NOT touch
        widgets.
        """
        session = self._session

        def ask() -> None:
            answer: _Answer | Problem
            try:
                if session is None:
                    raise fail(
                        ProblemCode.ENGINE_DOWN,
                        message("The Docker engine isn't running."),
                        hint=message("Start the machine."),
                    )
                answer = job(session.client())
            except WherryError as error:
                answer = error.problem
            except Exception:
                # Report internal errors to `done` too; the pool logs them.
                self._answered.emit(session, done, _defect())
                raise
            self._answered.emit(session, done, answer)

        self._askers.submit(ask)

    def close(self) -> None:
        """Stop all threads and wait for them."""
        self._end_session()
        self._workers.close(JOIN_DEADLINE_S)
        self._stoppers.close(JOIN_DEADLINE_S)
        self._askers.close(JOIN_DEADLINE_S)
        join_threads(self._old, JOIN_DEADLINE_S)

    def _end_session(self) -> None:
        self._old = [thread for thread in self._old if thread.is_alive()]
        if self._session is not None:
            self._old.extend(self._session.close())
            self._session = None

    @Slot(object, object, object)
    def _on_watched(self, session: _Session, state: LinkState, problem: Problem | None) -> None:
        if session is self._session:  # else: a late signal of the previous endpoint
            self.state_changed.emit(state, problem)

    @Slot(object, tuple)
    def _on_listed(self, session: _Session, containers: tuple[Container, ...]) -> None:
        if session is self._session:
            self.containers_changed.emit(containers)

    @Slot(object, str)
    def _on_noted(self, session: _Session, kind: str) -> None:
        if session is self._session:
            self.happened.emit(kind)

    @Slot(object, object, object)
    def _on_answered(self, session: _Session | None, done: Callable[[object], object], answer: object) -> None:
        receiver = getattr(done.func if isinstance(done, partial) else done, "__self__", None)
        if isinstance(receiver, QObject) and not shiboken6.isValid(receiver):
            return
        if session is not self._session and not isinstance(answer, Problem):
            answer = fail(ProblemCode.CANCELLED, message("The Docker engine restarted or stopped meanwhile.")).problem
        done(answer)


def _defect() -> Problem:
    return Problem(
        code=ProblemCode.INTERNAL,
        summary=message("Internal error in a request."),
        hint=message("The window's log has details: start wherry-desktop in a terminal to see it."),
    )


class _Session:
    """The two threads for one endpoint, until `close`."""

    def __init__(
        self,
        url: str,
        watched: Callable[[_Session, LinkState, Problem | None], None],
        listed: Callable[[_Session, tuple[Container, ...]], None],
        noted: Callable[[_Session, str], None],
        saw: Callable[[EngineEvent], None],
    ) -> None:
        self.url = url
        self._watched = watched
        self._listed = listed
        self._noted = noted
        self._saw = saw
        self._closed = threading.Event()
        self._wanted = threading.Event()  # wakes the list thread
        self._hurry = threading.Event()  # ends a pause between attempts
        self._lock = threading.Lock()
        self._list_lock = threading.Lock()
        self._list_begun = 0.0
        self._client: EngineClient | None = None
        self._stream: EngineStream[EngineEvent] | None = None
        self._threads = [start_thread("engine-watch", self._watch), start_thread("engine-list", self._list)]

    def close(self) -> list[threading.Thread]:
        """Ask both threads to end. Returns them, to be joined."""
        self._closed.set()
        self._wanted.set()
        self._hurry.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
        return self._threads

    def hurry(self) -> None:
        """End any pause."""
        self._wanted.set()
        self._hurry.set()

    def client(self) -> EngineClient:
        """The client, which the watching thread creates and closes.

        Raises:
            WherryError: ENGINE_DOWN while there is none.
        """
        with self._lock:
            if self._client is None:
                raise fail(ProblemCode.ENGINE_DOWN, message("Not connected to the Docker engine yet."), retryable=True)
            return self._client

    def refresh_now(self) -> None:
        """List the containers in the calling thread and signal the result, from a list started after this call.

        Concurrent callers share one list: a hundred containers may be removed at once.
        """
        called_at = time.monotonic()
        with self._list_lock:
            if self._list_begun > called_at:
                return
            begun = time.monotonic()
            containers = self.client().list_containers()
            self._list_begun = begun
            if not self._closed.is_set():
                self._listed(self, containers)

    def _announce(self, state: LinkState, problem: Problem | None = None) -> None:
        if not self._closed.is_set():
            self._watched(self, state, problem)

    def _watch(self) -> None:
        failures = 0
        while not self._closed.is_set():
            problem: Problem | None = None
            try:
                self._connect()
                failures = 0
                self._follow()
            except Exception as error:  # noqa: BLE001 -- the border of a thread: a list that nobody renews would lie
                problem = _problem_of(error)
            finally:
                self._disconnect()
            self._announce(LinkState.RECONNECTING, problem)
            self._hurry.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            self._hurry.clear()
            failures += 1

    def _connect(self) -> None:
        # Imported here, because docker-py would delay the window's first second.
        from backend.api import EngineClient

        client = EngineClient(self.url)
        with self._lock:
            self._client = client
        # Open the stream before listing, so that changes in between are reported by an event.
        stream = client.events()
        with self._lock:
            self._stream = stream
            if self._closed.is_set():
                stream.close()
        self.refresh_now()
        self._announce(LinkState.UP)

    def _follow(self) -> None:
        assert self._stream is not None
        for event in self._stream:
            if event.kind == "container":
                self._wanted.set()
                if event.action in REPORTED_EVENTS and not self._closed.is_set():
                    self._saw(event)
            elif not self._closed.is_set():
                self._noted(self, event.kind)

    def _disconnect(self) -> None:
        with self._lock:
            stream, self._stream = self._stream, None
            client, self._client = self._client, None
        if stream is not None:
            stream.release()
        if client is not None:
            client.close()

    def _list(self) -> None:
        while True:
            self._wanted.wait(LIST_IDLE_S)
            if self._closed.is_set():
                return
            self._wanted.clear()
            with self._lock:
                connected = self._client is not None
            if connected:
                try:
                    self.refresh_now()
                except Exception as error:  # noqa: BLE001 -- as above
                    # The stream may work although a list failed: report it; the next list clears it.
                    problem = _problem_of(error)
                    if problem.code is not ProblemCode.ENGINE_SLOW:
                        self._announce(LinkState.RECONNECTING, problem)
                    self._wanted.set()
                else:
                    self._announce(LinkState.UP)
            self._closed.wait(LIST_PAUSE_S)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, WherryError):
        return error.problem
    _log.error("a defect in what watches the engine", exc_info=error)
    return Problem(
        code=ProblemCode.INTERNAL,
        summary=message("Internal error while watching the Docker engine: {error}", error=str(error)),
        hint=message("Wherry tries again automatically. Please report it with the window's output."),
        retryable=True,
    )
