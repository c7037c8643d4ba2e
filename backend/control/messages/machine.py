"""The machine as a whole: start and stop it, its engine, its figures, and the agent itself."""

from __future__ import annotations

import msgspec

from backend.control.messages.request import Accepted, Done, Request
from backend.model import Phase, StopPolicy


class Start(Request[Accepted], frozen=True):
    """Start the machine, or let a suspended one go on. The reply comes at once."""

    wire_name = "start"


class Stop(Request[Accepted], frozen=True):
    """Stop the machine. The reply comes at once."""

    wire_name = "stop"

    policy: StopPolicy = StopPolicy.POWER_DOWN


class Restart(Request[Accepted], frozen=True):
    """Stop the machine and start it again. The reply comes at once."""

    wire_name = "restart"

    kill: bool = False
    """At once, without waiting for containers."""


class CurrentPhase(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine is doing now."""

    phase: Phase


class GetPhase(Request[CurrentPhase], frozen=True):
    """What the machine is doing now; a client that stays is sent the whole status anyway."""

    wire_name = "status"


class ShutDownAgent(Request[Done], frozen=True):
    """End the agent. The machine goes on, and the next agent takes it over."""

    wire_name = "shutdown"


class RestartEngine(Request[Accepted], frozen=True):
    """Restart dockerd alone. The reply comes when the engine answers again; takes up to some minutes."""

    wire_name = "engine.restart"


class Continued(Accepted, frozen=True, kw_only=True):
    """The machine goes on."""

    continued: bool
    """Whether its processors stood still."""


class Continue(Request[Continued], frozen=True):
    """Let a machine go on whose processors were stopped."""

    wire_name = "continue"


class Reclaimed(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine took of the host, before and after. Bytes; None: not known."""

    memory_before: int | None = None
    memory_after: int | None = None
    disk_before: int | None = None
    disk_after: int | None = None


class Reclaim(Request[Reclaimed], frozen=True):
    """Give memory and disk that the guest does not use back to the host; takes up to some minutes."""

    wire_name = "reclaim"


class HostUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine takes of the host now, and gave back since its start. Bytes; None: not known."""

    memory_given: int | None = None
    """What it may take."""
    memory_used: int | None = None
    memory_returned: int | None = None
    disk_used: int | None = None
    disk_returned: int | None = None


class GetUsage(Request[HostUsage], frozen=True):
    """What the machine takes of the host."""

    wire_name = "usage"


class SubscribeStats(Request[Done], frozen=True):
    """From now on, send this client what the machine and its containers use, every few seconds."""

    wire_name = "stats.subscribe"


class UnsubscribeStats(Request[Done], frozen=True):
    """Send it no longer."""

    wire_name = "stats.unsubscribe"
