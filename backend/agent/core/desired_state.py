"""The last state that the user requested, saved to disk so that the next agent can bring the machine into it.

Without it, an agent that was killed together with QEMU would leave a machine stopped that should run, and one that was
killed during a stop would leave it running. After a failure STOPPED is saved: the next agent must not fail in the same
way again before somebody has seen the problem.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from backend.files import write_private
from backend.model import Desired, PutDown, StopPolicy


class DesiredState(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    desired: Desired = Desired.STOPPED
    policy: StopPolicy = StopPolicy.POWER_DOWN
    """How the machine is to be stopped, if `desired` is STOPPED."""
    put_down: PutDown | None = None
    """When and by whom that was asked for; None if it was not."""


def save(path: Path, state: DesiredState) -> None:
    """Write the file durably. Raises OSError."""
    write_private(path, msgspec.json.encode(state))


def load(path: Path) -> DesiredState | None:
    """The saved state; None when there is none or the file cannot be read: then nothing is done automatically."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=DesiredState)
    except (OSError, msgspec.DecodeError):
        return None
