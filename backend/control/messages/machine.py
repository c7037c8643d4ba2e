"""Requests about the machine as a whole: start, stop, its engine, its resource use, and the agent itself."""

from __future__ import annotations

import msgspec

from backend.control.messages.request import Accepted, Done, Request
from backend.model import Phase, StopPolicy


class Start(Request[Accepted], frozen=True):
    """Start or resume the machine. The reply comes before it is up."""

    wire_name = "start"


class Stop(Request[Accepted], frozen=True):
    """Stop the machine. The reply comes before it is down."""

    wire_name = "stop"

    policy: StopPolicy = StopPolicy.POWER_DOWN


class Restart(Request[Accepted], frozen=True):
    """Stop the machine and start it again. The reply comes before it is up."""

    wire_name = "restart"

    kill: bool = False
    """End QEMU immediately, without waiting for containers to stop."""


class CurrentPhase(msgspec.Struct, frozen=True, kw_only=True):
    """The phase of the machine."""

    phase: Phase


class GetPhase(Request[CurrentPhase], frozen=True):
    """Get the phase. A client that stays connected receives the whole status without a request."""

    wire_name = "status"


class ShutDownAgent(Request[Done], frozen=True):
    """End the agent. The machine continues, and the next agent adopts it."""

    wire_name = "shutdown"

    for_good: bool = False
    """No docker command starts the next agent either, until the next login or until a person starts one."""


class RestartEngine(Request[Accepted], frozen=True):
    """Restart only dockerd. The reply comes when the engine answers again, after up to some minutes."""

    wire_name = "engine.restart"


class Continued(Accepted, frozen=True, kw_only=True):
    """The virtual processors run."""

    continued: bool
    """Whether they were paused before."""


class Continue(Request[Continued], frozen=True):
    """Resume virtual processors that are paused."""

    wire_name = "continue"


class Reclaimed(msgspec.Struct, frozen=True, kw_only=True):
    """Memory and disk of the host that the machine used before and after, in bytes; None: not known."""

    memory_before: int | None = None
    memory_after: int | None = None
    disk_before: int | None = None
    disk_after: int | None = None


class Reclaim(Request[Reclaimed], frozen=True):
    """Return memory and disk space that the guest does not use to the host. Takes up to some minutes."""

    wire_name = "reclaim"


class HostUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Memory and disk of the host that the machine uses and has returned since its start. Bytes; None: not known."""

    memory_given: int | None = None
    """The most that it may use."""
    memory_used: int | None = None
    memory_returned: int | None = None
    disk_used: int | None = None
    disk_returned: int | None = None


class GetUsage(Request[HostUsage], frozen=True):
    """Get the memory and disk space of the host that the machine uses."""

    wire_name = "usage"


class SubscribeStats(Request[Done], frozen=True):
    """Send this client a `StatsPush` every few seconds from now on."""

    wire_name = "stats.subscribe"


class UnsubscribeStats(Request[Done], frozen=True):
    """End the subscription of this client."""

    wire_name = "stats.unsubscribe"
