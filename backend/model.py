"""The machine's state, as enums and frozen values shared by all clients.

A `MachineStatus` is always complete: a client that connects late, or again, needs no history. Times are seconds on the
agent's monotonic clock unless a name says otherwise. This module imports nothing of ours but `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from backend.errors import Problem
from backend.messages import Message


class Phase(StrEnum):
    """Phase of the machine's life cycle."""

    STOPPED = "stopped"  # QEMU does not run, and there is none to adopt
    PREPARING = "preparing"  # checking image, disk, keys and QEMU
    BOOTING = "booting"  # QEMU runs; the guest does not answer yet
    CONNECTING = "connecting"  # the guest answers; the engine does not yet
    RUNNING = "running"  # the engine answers at its endpoint
    DEGRADED = "degraded"  # the machine runs with a fault: see problems
    STOPPING = "stopping"  # stopping
    SUSPENDED = "suspended"  # QEMU does not run; its memory and processors are saved, and a start resumes from them
    FAILED = "failed"  # failed; problems[0] says why

    @property
    def is_settled(self) -> bool:
        """Whether the machine stays in this phase until the next event."""
        return self in (Phase.STOPPED, Phase.SUSPENDED, Phase.RUNNING, Phase.DEGRADED, Phase.FAILED)

    @property
    def is_live(self) -> bool:
        """Whether QEMU runs, including while it starts and stops."""
        return self not in (Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED)


class Desired(StrEnum):
    """What the user requested last."""

    RUNNING = "running"
    STOPPED = "stopped"


class StopPolicy(StrEnum):
    """How to stop a machine."""

    SUSPEND = "suspend"  # to the host's disk, containers included; POWER_DOWN where that is not possible
    POWER_DOWN = "power-down"  # an orderly shutdown; killed only after a deadline
    KILL = "kill"  # at once; the disk stays consistent, running containers are interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDown:
    """A request to stop or suspend the machine that holds until somebody asks for the opposite."""

    at: float
    """In seconds since the epoch."""
    by_person: bool
    """False: by a rule, such as the one for idle machines."""


class StepState(StrEnum):
    """State of a step of the start."""

    PENDING = "pending"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatus:
    """A step of the start."""

    name: str
    title: Message
    """Description for the user: "Booting the Linux kernel"."""
    state: StepState
    elapsed_s: float | None = None
    """Duration of the step in seconds; None while it is pending or running."""
    began_at: float | None = None
    """Start time of a running step on this computer's monotonic clock (`time.monotonic`); else None."""

    def elapsed_at(self, now: float) -> float | None:
        """Seconds that the step took, or has taken until `now` on the monotonic clock; None while it is pending."""
        return self.elapsed_s if self.began_at is None else max(0.0, now - self.began_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorStatus:
    """How the guest's instructions are executed, and why not by a better accelerator."""

    name: str
    """QEMU's name: "kvm", "hvf", "whpx" or "tcg"."""
    title: Message
    """Name for the user: "KVM", "software emulation"."""
    hardware: bool
    reasons: tuple[Message, ...] = ()
    """Why each better accelerator is not used, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEndpoint:
    """The endpoint for docker clients."""

    url: str
    """As in DOCKER_HOST: "unix:///..." or "npipe:////./pipe/..."."""
    ready: bool
    """Whether the engine answers there now; earlier requests wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineResources:
    """Resources of the running machine. Sizes in MiB and GiB (powers of 1024)."""

    cpus: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineNetworks:
    """Address ranges used by the running machine."""

    user: str
    """Network between this computer and the machine: "10.0.2.0/24"."""
    bridge: tuple[str, ...] = ()
    """Ranges of the engine's default bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatus:
    """A long operation on the machine: an update, a restore, a move of its disk."""

    name: str
    """Name of the request that started it: "update.apply", "checkpoints.restore", "disk.move"..."""
    title: Message
    """Description for the user: "Updating the guest image"."""
    step: Message | None = None
    """The current step: "Copying the disk"."""
    fraction: float | None = None
    """Progress of this step, 0 to 1; None: unknown."""
    cancellable: bool = False
    """Whether `operation.cancel` can undo it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """A complete snapshot. Equal snapshots (except for seq) are not sent again."""

    seq: int = field(compare=False)
    """Increases by one with each snapshot of the same agent."""
    phase: Phase
    desired: Desired
    steps: tuple[StepStatus, ...] = ()
    """Steps of the current or last start, in order; empty before the first."""
    accelerator: AcceleratorStatus | None = None
    endpoint: EngineEndpoint | None = None
    resources: MachineResources | None = None
    problems: tuple[Problem, ...] = ()
    pid: int | None = None
    """QEMU's process id."""
    ssh_port: int | None = None
    """Port of the guest's SSH server on 127.0.0.1."""
    started_at: float | None = None
    """When the machine started to run, seconds since the epoch."""
    boot_seconds: float | None = None
    """Duration of the last start, from the request to the engine's first answer."""
    image_version: str | None = None
    engine_version: str | None = None
    operation: OperationStatus | None = None
    """The current operation; other operations, starts and stops are refused meanwhile (BUSY)."""
    networks: MachineNetworks | None = None
    image_offer: str | None = None
    """Version of a newer guest image that `update.apply` would install; None: none."""

    @property
    def active_step(self) -> StepStatus | None:
        """The running step, or None."""
        return next((step for step in self.steps if step.state is StepState.ACTIVE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A single event that is not part of the state."""

    level: str
    """"info", "warning" or "error"."""
    text: Message


class HopState(StrEnum):
    """What the network check found about one hop on the way to a registry."""

    OK = "ok"
    FAILED = "failed"  # a pull ends here
    WARNING = "warning"  # a pull gets past it
    SKIPPED = "skipped"  # not tried; the hop's detail says why
