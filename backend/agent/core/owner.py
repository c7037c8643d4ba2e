"""Owning a machine for a moment, by the agent's own lock: for who has to change its files while no agent runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from backend.errors import ProblemCode, fail
from backend.paths import MachineDir


@contextlib.contextmanager
def hold(directory: MachineDir) -> Iterator[None]:
    """Keep every agent from starting meanwhile; a client that wants one tries again until this is over.

    Raises:
        WherryError: BUSY, an agent owns the machine.
    """
    lock = FileLock(directory.agent_lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise fail(
            ProblemCode.BUSY,
            "An agent has taken the machine meanwhile, so nothing was changed.",
            hint="Stop the machine first: wherry stop",
            retryable=True,
        ) from error
    try:
        yield
    finally:
        lock.release()
