"""Exclusive access to a machine's files while no agent runs, by the agent's lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from backend.errors import ProblemCode, fail
from backend.messages import message
from backend.paths import MachineDir


@contextlib.contextmanager
def hold(directory: MachineDir) -> Iterator[None]:
    """Hold the agent's lock for the duration of the block. No agent can start; clients retry until the block ends.

    Raises:
        WherryError: BUSY, an agent runs.
    """
    lock = FileLock(directory.agent_lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise fail(
            ProblemCode.BUSY,
            message("Another agent took over the machine. Nothing was changed."),
            hint=message("Stop the machine first: wherry stop"),
            retryable=True,
        ) from error
    try:
        yield
    finally:
        lock.release()
