"""The keeper of one machine's endpoint, as seen by those who start, ask and end it; see backend/host/session/keeper.py.

Everything here blocks, for seconds at most: call it in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from backend.host.session.place import EndpointPlace
from backend.host.systems import detached
from backend.host.systems.session_managers import SessionManager
from backend.host.systems.unix_socket import bind_private

_ANSWER_S: Final = 10.0
"""systemd has to start a keeper first, on a slow computer."""
_FOUND_S: Final = 5.0
_POLL_S: Final = 0.02
_LINE_BYTES: Final = 4096

_log = logging.getLogger(__name__)


class KeeperState(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper replies."""

    keeper: int
    """Version of the requests."""
    pid: int
    kind: str
    """"own", "systemd" or "launchd"."""
    held: bool
    """Whether an agent serves the docker socket."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The docker socket, handed over by a keeper."""

    listener: socket.socket
    keeper: socket.socket
    """While this is open, the keeper leaves the docker socket to us. It ends when the keeper does."""
    state: KeeperState


class SessionEndpoint:
    """The endpoint of one machine in the user's session."""

    def __init__(self, place: EndpointPlace, manager: SessionManager, *others: SessionManager) -> None:
        """`manager`: the session's. `others`: those that an earlier session may have had."""
        self.place = place
        self._manager = manager
        self._others = others

    def state(self) -> KeeperState | None:
        """What the keeper says; None when there is none. With systemd, asking starts one."""
        claim = self._ask("state")
        if claim is None:
            return None
        claim.keeper.close()
        return claim.state

    def claim(self) -> Claim | None:
        """Get the docker socket from a keeper; None when there is none."""
        return self._ask("listener", self.place.agent)

    def is_listened_for(self) -> bool:
        """Whether a manager of the session listens itself once `install` was called with `now`."""
        return self._manager.listens

    def install(self, *, now: bool) -> None:
        """Write what the session needs at each login, unless it has it. Raises OSError."""
        if now or not self._manager.is_installed(self.place):
            self._manager.install(self.place, now=now)

    def spawn(self, listener: socket.socket) -> None:
        """Start a keeper of our own, which inherits a copy of the docker socket. Does nothing if one is starting.

        Raises:
            WherryError: its own socket cannot be made.
            OSError: it cannot be started.
        """
        lock = _lock(self.place.keeper_lock)
        if lock is None:
            return
        try:
            with asyncio.Runner() as runner:
                control = runner.run(bind_private(self.place.keeper_socket))
            with control:
                descriptors = (listener.fileno(), control.fileno(), lock)
                command = self.place.keeper_command("own", descriptors=",".join(map(str, descriptors)))
                detached.spawn(command, output=self.place.agent_output, descriptors=descriptors, directory=Path("/"))
        finally:
            os.close(lock)

    def claim_soon(self) -> Claim | None:
        """As `claim`, of a keeper that is just starting."""
        deadline = time.monotonic() + _FOUND_S
        while (claim := self.claim()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return claim

    def start(self) -> None:
        """Have somebody listen, without an agent; at login.

        Raises:
            WherryError: its sockets cannot be made.
            OSError: it cannot be started.
        """
        if self.is_listened_for():
            self.install(now=True)
        elif self.state() is None:
            with asyncio.Runner() as runner:
                listener = runner.run(bind_private(self.place.docker_socket))
            with listener:
                self.spawn(listener)

    def rest(self) -> None:
        """Have nobody listen until the next login or start. Raises OSError."""
        self._manager.rest(self.place)
        self._end()

    def remove(self) -> list[Path]:
        """End the keeper, and remove what was written into the session; those files are returned. Raises OSError."""
        removed = [file for manager in (self._manager, *self._others) for file in manager.remove(self.place)]
        self._end()
        self.place.keeper_lock.unlink(missing_ok=True)
        return removed

    def _end(self) -> None:
        """End the keeper that listens, and wait until it does not."""
        if (claim := self._ask("end")) is None:
            return
        with claim.keeper, contextlib.suppress(OSError):
            claim.keeper.recv(1)
        deadline = time.monotonic() + _FOUND_S
        while self.place.keeper_socket.exists() and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _ask(self, want: str, agent: tuple[str, ...] = ()) -> Claim | None:
        """Send a request. None when nobody answers."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        descriptors: list[int] = []
        try:
            connection.settimeout(_ANSWER_S)
            connection.connect(str(self.place.keeper_socket))
            connection.sendall(json.dumps({"want": want, "agent": agent, "pid": os.getpid()}).encode() + b"\n")
            line, descriptors, _, _ = socket.recv_fds(connection, _LINE_BYTES, 1)
            state = msgspec.json.decode(line, type=KeeperState)
            if want == "listener" and not descriptors:
                raise OSError("the keeper sent no socket")
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            connection.close()
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("the keeper does not answer: %s", error)
            for descriptor in descriptors:
                os.close(descriptor)
            connection.close()
            return None
        listener = socket.socket(fileno=descriptors[0]) if descriptors else connection
        return Claim(listener, connection, state)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock, for whoever inherits it, too; None when somebody else holds it."""
    import fcntl  # not on Windows, where this module must still be importable

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
