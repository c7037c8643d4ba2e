"""The machine as every client sees it: enums and frozen values, nothing that acts.

A `MachineStatus` is always whole: a client that connects late, or again, needs no history. Times are seconds on the
agent's monotonic clock unless a name says otherwise. This module imports nothing of ours but `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from backend.errors import Problem


class Phase(StrEnum):
    """What is true of the machine now."""

    STOPPED = "stopped"  # no QEMU runs, none is to be adopted
    PREPARING = "preparing"  # image, disk, keys and QEMU are being checked
    BOOTING = "booting"  # QEMU runs; the guest does not answer yet
    CONNECTING = "connecting"  # the guest answers; the engine does not yet
    RUNNING = "running"  # the engine answers through its endpoint
    DEGRADED = "degraded"  # the machine runs, but something that should work does not: see problems
    STOPPING = "stopping"  # on its way down
    SUSPENDED = "suspended"  # no QEMU runs; its memory and processors are saved, and a start goes on from there
    FAILED = "failed"  # gave up; problems[0] says why

    @property
    def is_settled(self) -> bool:
        """Whether the machine will stay in this phase unless something happens to it."""
        return self in (Phase.STOPPED, Phase.SUSPENDED, Phase.RUNNING, Phase.DEGRADED, Phase.FAILED)

    @property
    def is_live(self) -> bool:
        """Whether there is a QEMU, on its way up or down too."""
        return self not in (Phase.STOPPED, Phase.SUSPENDED, Phase.FAILED)


class Desired(StrEnum):
    """What the user asked for last."""

    RUNNING = "running"
    STOPPED = "stopped"


class StopPolicy(StrEnum):
    """How a machine is stopped."""

    SUSPEND = "suspend"  # to the host's disk, containers included; where that cannot be done, as POWER_DOWN
    POWER_DOWN = "power-down"  # containers and file systems are closed in order; killed only after a deadline
    KILL = "kill"  # at once; the disk stays consistent, running containers are cut off


class StepState(StrEnum):
    """How far one step of the start has come."""

    PENDING = "pending"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatus:
    """One rung of the readiness ladder."""

    name: str
    title: str
    """What is being done, in the user's words: "Booting the Linux kernel"."""
    state: StepState
    elapsed_s: float | None = None
    """Time the step took, in seconds; None while it is pending or under way."""
    began_at: float | None = None
    """When a step that is under way began, on this computer's monotonic clock (`time.monotonic`); else None."""

    def elapsed_at(self, now: float) -> float | None:
        """Seconds that the step took, or has taken at `now` on the monotonic clock; None while it is pending."""
        return self.elapsed_s if self.began_at is None else max(0.0, now - self.began_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorStatus:
    """How the guest's instructions are run, and why not better."""

    name: str
    """QEMU's own name: "kvm", "hvf", "whpx" or "tcg"."""
    title: str
    """The user's word for it: "KVM", "software emulation"."""
    hardware: bool
    reasons: tuple[str, ...] = ()
    """Why each better accelerator is not used, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEndpoint:
    """Where docker clients connect."""

    url: str
    """As in DOCKER_HOST: "unix:///..." or "npipe:////./pipe/..."."""
    ready: bool
    """Whether the engine answers there now; a request that comes earlier is held until it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineResources:
    """What the running machine was given. Sizes in MiB and GiB (powers of 1024)."""

    cpus: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineNetworks:
    """The ranges of addresses that the running machine uses."""

    user: str
    """Between this computer and the machine: "10.0.2.0/24"."""
    bridge: tuple[str, ...] = ()
    """Of the engine's default bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatus:
    """Something long that is being done with the machine: an update, a restore, a move of its disk."""

    name: str
    """As the request that began it: "update.apply", "checkpoints.restore", "disk.move"..."""
    title: str
    """In the user's words: "Updating the guest image"."""
    step: str = ""
    """What is being done now: "Copying the disk"."""
    fraction: float | None = None
    """How much of this step is done, 0 to 1; None: nobody knows."""
    cancellable: bool = False
    """Whether `operation.cancel` takes it back now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """One whole snapshot. Equal snapshots (but for seq) are not sent twice."""

    seq: int = field(compare=False)
    """Grows by one with each snapshot of one agent."""
    phase: Phase
    desired: Desired
    steps: tuple[StepStatus, ...] = ()
    """The ladder of the start under way or last done, in order; empty before the first."""
    accelerator: AcceleratorStatus | None = None
    endpoint: EngineEndpoint | None = None
    resources: MachineResources | None = None
    problems: tuple[Problem, ...] = ()
    pid: int | None = None
    """QEMU's process id."""
    ssh_port: int | None = None
    """The guest's SSH server on 127.0.0.1."""
    started_at: float | None = None
    """When the machine reached its running phase, seconds since the epoch."""
    boot_seconds: float | None = None
    """How long the last start took, from the request to the engine's first answer."""
    image_version: str | None = None
    engine_version: str | None = None
    operation: OperationStatus | None = None
    """What is under way; other operations, starts and stops are refused meanwhile (BUSY)."""
    networks: MachineNetworks | None = None
    image_offer: str | None = None
    """Version of a newer guest image that is there and that `update.apply` would take; None: none."""

    @property
    def active_step(self) -> StepStatus | None:
        """The step under way, or None."""
        return next((step for step in self.steps if step.state is StepState.ACTIVE), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A thing that happened once and is not part of the state."""

    level: str
    """"info", "warning" or "error"."""
    text: str
