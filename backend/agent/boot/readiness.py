"""The steps of a start, with their deadlines and hints for the user, and other deadlines.

A deadline is no estimate; it passes only if something is wrong. The software deadlines are for emulated guests on a
slow host, the hardware deadlines for KVM, HVF and WHPX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from backend.messages import Message, message


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a start."""

    name: str
    title: Message
    hardware_s: float
    """Deadline with a hardware accelerator, in seconds."""
    software_s: float
    """Deadline under software emulation, in seconds."""
    hint: Message
    """What the user can do when the deadline has passed."""


PREPARE: Final = Step(
    "prepare",
    message("Checking the machine's files"),
    120,
    120,
    message("This computer's disk may be very slow or failing. Check the agent's log: wherry logs agent"),
)
LAUNCH: Final = Step(
    "launch", message("Starting the virtual machine"), 15, 30, message("Check QEMU's log: wherry logs qemu")
)
KERNEL: Final = Step(
    "kernel",
    message("Booting the Linux kernel"),
    6,
    90,
    message("Check the guest's console: wherry logs guest"),
)
RESTORE: Final = Step(
    "restore",
    message("Resuming"),
    60,
    120,
    message("This computer's disk may be very slow or failing. Check QEMU's log: wherry logs qemu"),
)
GUEST: Final = Step(
    "guest",
    message("Starting guest services"),
    60,
    240,
    message("The data disk may be under repair after an unclean stop. Check the guest's console: wherry logs guest"),
)
SSH: Final = Step(
    "ssh", message("Connecting to the machine"), 30, 120, message("Check the guest's console: wherry logs guest")
)
ENGINE: Final = Step(
    "engine",
    message("Waiting for the Docker engine"),
    120,
    300,
    message("Check the engine's log: wherry logs engine. A setting in daemon.json may be the cause."),
)

LADDER: Final = (PREPARE, LAUNCH, KERNEL, GUEST, SSH, ENGINE)
"""The steps of a boot, in order. KERNEL's hardware deadline is short because the next accelerator is tried then."""

RESUME_LADDER: Final = (PREPARE, LAUNCH, RESTORE, GUEST, SSH, ENGINE)
"""The steps of resuming a suspended machine."""

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
"""(hardware, software) in seconds.

shutdown  an orderly shutdown of the guest
idle      an agent without a machine and clients, before it ends
freeze    the guest writes out its caches before a checkpoint
thaw      the guest resumes after a checkpoint
adopt     QEMU answers a new agent; on a host that is busy or has just woken up it is slow, and killing it for that
          would cost its containers
deaf      silence of QEMU's monitor
hung      silence of the guest
silent    silence of the engine or SSH server, before it is restarted
revived   silence of the engine after its restart
watch     interval of the watchdog
routes    interval of the check of this computer's routes
"""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines in use: the defaults, unless others are given.

    The agent takes others by `--deadlines` or $WHERRY_DEADLINES, for tests and for very slow hosts.
    """

    given: Mapping[str, float] = field(default_factory=dict)
    """Seconds by name; "NAME.hardware" and "NAME.software" set only one of both."""

    @classmethod
    def parse(cls, text: str) -> Deadlines:
        """Parse a text such as "kernel=2,shutdown.software=90". Raises ValueError."""
        given: dict[str, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, _, seconds = item.partition("=")
            step, _, kind = name.partition(".")
            if (step not in BY_NAME and step not in _OTHERS) or kind not in ("", "hardware", "software"):
                raise ValueError(f"{name!r} has no deadline")
            given[name] = float(seconds)
        return cls(given)

    def of(self, step: Step, *, hardware: bool) -> float:
        """The deadline of a step, in seconds."""
        return self._of(step.name, step.hardware_s, step.software_s, hardware=hardware)

    def shutdown_s(self, *, hardware: bool) -> float:
        """Longest time of an orderly shutdown, in seconds."""
        return self._of(SHUTDOWN, *_OTHERS[SHUTDOWN], hardware=hardware)

    def watch_s(self, name: str, *, hardware: bool) -> float:
        """One of DEAF, HUNG, SILENT, REVIVED, WATCH and ROUTES, in seconds."""
        return self._of(name, *_OTHERS[name], hardware=hardware)

    def seconds(self, name: str) -> float:
        """One of IDLE, FREEZE, THAW and ADOPT, in seconds; the same for every accelerator."""
        return self._of(name, *_OTHERS[name], hardware=True)

    def _of(self, name: str, hardware_s: float, software_s: float, *, hardware: bool) -> float:
        kind = "hardware" if hardware else "software"
        return self.given.get(f"{name}.{kind}", self.given.get(name, hardware_s if hardware else software_s))
