"""What the user asked for last, on disk: an agent that finds the machine otherwise brings it there.

Without it, an agent that was killed together with QEMU would leave a machine that was wanted lying stopped, and one
that was killed in the middle of a stop would leave it running. A machine that failed is not wished for by itself: the
next agent must not walk into the same wall before anybody has looked at the problem.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from backend.files import write_private
from backend.model import Desired, StopPolicy


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    desired: Desired = Desired.STOPPED
    policy: StopPolicy = StopPolicy.POWER_DOWN
    """How it is to be stopped."""


def save(path: Path, wish: Wish) -> None:
    """Write it durably. Raises OSError."""
    write_private(path, msgspec.json.encode(wish))


def load(path: Path) -> Wish | None:
    """The last wish; None when there is none or it cannot be read, which is no reason to do anything."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Wish)
    except (OSError, msgspec.DecodeError):
        return None
