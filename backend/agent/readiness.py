"""The ladder of a start, as data: what is waited for, for how long, and what to tell the user when it does not come.

Deadlines are for the case that something is wrong, not estimates: the software column is for emulated guests on a slow
host, the hardware column for KVM, HVF and WHPX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """One rung."""

    name: str
    title: str
    hardware_s: float
    """Deadline with a hardware accelerator, in seconds."""
    software_s: float
    """Deadline under software emulation, in seconds."""
    hint: str
    """What to do when the deadline passes."""

    def deadline_s(self, *, hardware: bool) -> float:
        """The deadline that applies."""
        return self.hardware_s if hardware else self.software_s


PREPARE: Final = Step(
    "prepare",
    "Checking the guest image, the disk and QEMU",
    120,
    120,
    "The disk of this computer may be very slow or failing; see the agent's log: wherry logs agent",
)
LAUNCH: Final = Step("launch", "Starting the virtual machine", 15, 30, "See QEMU's own messages: wherry logs qemu")
KERNEL: Final = Step(
    "kernel",
    "Booting the Linux kernel",
    6,
    90,
    "See the guest's console: wherry logs guest",
)
GUEST: Final = Step(
    "guest",
    "Starting the guest's services",
    60,
    240,
    "The data disk may be under repair after an unclean stop. See the guest's console: wherry logs guest",
)
SSH: Final = Step("ssh", "Opening the secure connection", 30, 120, "See the guest's console: wherry logs guest")
ENGINE: Final = Step(
    "engine",
    "Waiting for the Docker engine",
    120,
    300,
    "The engine's own words: wherry logs engine. A setting in daemon.json may be the cause.",
)

LADDER: Final = (PREPARE, LAUNCH, KERNEL, GUEST, SSH, ENGINE)
"""In order. KERNEL's hardware deadline is short on purpose: it decides whether the next accelerator is tried."""

BY_NAME: Final = {step.name: step for step in LADDER}
