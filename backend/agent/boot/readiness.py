"""The ladder of a start, as data: what is waited for, for how long, and what to tell the user when it does not come.

Deadlines are for the case that something is wrong, not estimates: the software column is for emulated guests on a slow
host, the hardware column for KVM, HVF and WHPX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
RESTORE: Final = Step(
    "restore",
    "Going on from the suspended state",
    60,
    120,
    "The disk of this computer may be very slow or failing; see QEMU's own messages: wherry logs qemu",
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

RESUME_LADDER: Final = (PREPARE, LAUNCH, RESTORE, GUEST, SSH, ENGINE)
"""Of a machine that goes on from its suspended state."""

BY_NAME: Final = {step.name: step for step in (*LADDER, RESTORE)}

SHUTDOWN: Final = "shutdown"
IDLE: Final = "idle"
FREEZE: Final = "freeze"
THAW: Final = "thaw"
ADOPT: Final = "adopt"
DEAF: Final = "deaf"
HUNG: Final = "hung"
SILENT: Final = "silent"
REVIVED: Final = "revived"
WATCH: Final = "watch"
ROUTES: Final = "routes"
_OTHERS: Final = {
    SHUTDOWN: (30.0, 60.0),
    IDLE: (10.0, 10.0),
    FREEZE: (45.0, 45.0),
    THAW: (15.0, 15.0),
    ADOPT: (12.0, 12.0),
    DEAF: (30.0, 60.0),
    HUNG: (45.0, 120.0),
    SILENT: (45.0, 120.0),
    REVIVED: (90.0, 300.0),
    WATCH: (1.0, 1.0),
    ROUTES: (30.0, 30.0),
}
"""What is no rung: the guest's orderly end, how long an agent stays without a machine and clients; how long the guest
may write out what it holds before a checkpoint, and may take to go on after it; how long a QEMU that runs may take to
answer a new agent (one on a host that is very busy, or has just woken up, is slow and not deaf: its end costs its
containers); how long QEMU's monitor, the guest and the engine may be silent, and
the engine again after its restart; how often all that is looked at, and how often the routes of this computer are."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines that apply: the table's, but for those that were given otherwise.

    The agent takes others by `--deadlines` or $WHERRY_DEADLINES, for tests and for a host slower than any we know.
    """

    given: Mapping[str, float] = field(default_factory=dict)
    """Seconds, by a rung's name or one of the others; "NAME.hardware" and "NAME.software" are for one kind alone."""

    @classmethod
    def parse(cls, text: str) -> Deadlines:
        """Read "kernel=2,shutdown.software=90". Raises ValueError for what is not understood."""
        given: dict[str, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, _, seconds = item.partition("=")
            rung, _, kind = name.partition(".")
            if (rung not in BY_NAME and rung not in _OTHERS) or kind not in ("", "hardware", "software"):
                raise ValueError(f"{name!r} has no deadline")
            given[name] = float(seconds)
        return cls(given)

    def of(self, step: Step, *, hardware: bool) -> float:
        """A rung's, in seconds."""
        return self._of(step.name, step.hardware_s, step.software_s, hardware=hardware)

    def shutdown_s(self, *, hardware: bool) -> float:
        """How long a guest may take to shut down in order."""
        return self._of(SHUTDOWN, *_OTHERS[SHUTDOWN], hardware=hardware)

    def watch_s(self, name: str, *, hardware: bool) -> float:
        """How long DEAF, HUNG, SILENT, REVIVED, WATCH and ROUTES are."""
        return self._of(name, *_OTHERS[name], hardware=hardware)

    def seconds(self, name: str) -> float:
        """How long IDLE, FREEZE, THAW and ADOPT are, whatever runs the guest."""
        return self._of(name, *_OTHERS[name], hardware=True)

    def _of(self, name: str, hardware_s: float, software_s: float, *, hardware: bool) -> float:
        kind = "hardware" if hardware else "software"
        return self.given.get(f"{name}.{kind}", self.given.get(name, hardware_s if hardware else software_s))
