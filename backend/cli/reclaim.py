"""`wherry reclaim`, `restart --engine`, and the memory and disk lines of `wherry status`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from backend.cli.exits import EXIT_OK
from backend.cli.output import print_json, print_rows, stopped
from backend.control.client import MachineClient
from backend.control.messages import GetUsage, HostUsage, Reclaim, RestartEngine
from backend.errors import WherryError
from backend.model import MachineStatus
from backend.texts import _

_ENGINE_S: Final = 420.0
_RECLAIM_S: Final = 360.0


def reclaim(options: argparse.Namespace) -> int:
    """Return memory and disk space that the guest does not use to this computer."""
    with MachineClient.open(options.home) as client:
        answer = client.request(Reclaim(), reply_timeout_s=_RECLAIM_S)
    if options.json:
        print_json(answer)
        return EXIT_OK
    rows = [
        (
            name,
            _(
                "{before} before, {after} now: {freed} reclaimed",
                before=gib(before),
                after=gib(after),
                freed=gib(max(0, before - after)),
            ),
        )
        for name, before, after in (
            (_("memory"), answer.memory_before, answer.memory_after),
            (_("disk"), answer.disk_before, answer.disk_after),
        )
        if before is not None and after is not None
    ]
    if rows:
        print_rows(rows)
    return EXIT_OK


def restart_engine(client: MachineClient, *, quiet: bool) -> None:
    """Restart only dockerd and wait until it answers. Raises WherryError (MACHINE_STOPPED, ENGINE_DOWN)."""
    if not client.status.phase.is_live:
        raise stopped()
    if not quiet:
        sys.stderr.write(_("Restarting the Docker engine; running containers are stopped with it…") + "\n")
    client.request(RestartEngine(), reply_timeout_s=_ENGINE_S)


def describe_usage(client: MachineClient, status: MachineStatus) -> list[tuple[str, str]]:
    """The memory and disk lines of `wherry status`; none if the machine is not up or the agent is too old."""
    if not status.phase.is_live:
        return []
    try:
        usage = client.request(GetUsage())
    except WherryError:
        return []  # an older agent: the status without usage is of use, too
    return usage_lines(usage)


def usage_lines(usage: HostUsage) -> list[tuple[str, str]]:
    """Labels and texts such as "memory", "4.0 GiB given, 0.6 GiB used, 1.1 GiB returned"."""
    memory = [
        _("{size} given", size=gib(usage.memory_given)) if usage.memory_given is not None else "",
        _("{size} used", size=gib(usage.memory_used)) if usage.memory_used is not None else "",
        _("{size} returned", size=gib(usage.memory_returned)) if usage.memory_returned is not None else "",
    ]
    disk = [
        _("{size} used", size=gib(usage.disk_used)) if usage.disk_used is not None else "",
        _("{size} returned", size=gib(usage.disk_returned)) if usage.disk_returned is not None else "",
    ]
    rows = ((_("memory"), memory), (_("disk"), disk))
    return [(name, ", ".join(part for part in parts if part)) for name, parts in rows if any(parts)]


def gib(value: int) -> str:
    """A number of bytes as text: "1.5 GiB", "20 MiB"."""
    if value >= 1024**3 // 10:
        return _("{size:.1f} GiB", size=value / 1024**3)
    return _("{size:.0f} MiB", size=value / 1024**2)
