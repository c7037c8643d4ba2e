"""`wherry reclaim`, `restart --engine`, and the memory and disk lines of `wherry status`."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from backend.cli.exits import EXIT_OK
from backend.cli.output import print_json, stopped
from backend.control.client import MachineClient
from backend.control.messages import GetUsage, HostUsage, Reclaim, RestartEngine
from backend.errors import WherryError
from backend.model import MachineStatus

_ENGINE_S: Final = 420.0
_RECLAIM_S: Final = 360.0


def reclaim(options: argparse.Namespace) -> int:
    """Return memory and disk space that the guest does not use to this computer."""
    with MachineClient.open(options.home) as client:
        answer = client.request(Reclaim(), reply_timeout_s=_RECLAIM_S)
    if options.json:
        print_json(answer)
        return EXIT_OK
    for name, before, after in (
        ("memory", answer.memory_before, answer.memory_after),
        ("disk", answer.disk_before, answer.disk_after),
    ):
        if before is not None and after is not None:
            print(f"{name:<8} {gib(before)} before, {gib(after)} now: {gib(max(0, before - after))} given back")
    return EXIT_OK


def restart_engine(client: MachineClient, *, quiet: bool) -> None:
    """Restart only dockerd and wait until it answers. Raises WherryError (MACHINE_STOPPED, ENGINE_DOWN)."""
    if not client.status.phase.is_live:
        raise stopped()
    if not quiet:
        sys.stderr.write("Restarting the Docker engine; running containers are stopped with it...\n")
    client.request(RestartEngine(), reply_timeout_s=_ENGINE_S)


def describe_usage(client: MachineClient, status: MachineStatus) -> str | None:
    """The memory and disk lines of `wherry status`; None if the machine is not up or the agent is too old."""
    if not status.phase.is_live:
        return None
    try:
        usage = client.request(GetUsage())
    except WherryError:
        return None  # an older agent: the status without usage is of use, too
    return usage_lines(usage)


def usage_lines(usage: HostUsage) -> str:
    """Lines such as "memory       4.0 GiB given, 0.6 GiB used, 1.1 GiB returned"."""
    lines = []
    memory = (("given", usage.memory_given), ("used", usage.memory_used), ("returned", usage.memory_returned))
    disk = (("used", usage.disk_used), ("returned", usage.disk_returned))
    for name, parts in (("memory", memory), ("disk", disk)):
        known = [f"{gib(value)} {part}" for part, value in parts if value is not None]
        if known:
            lines.append(f"{name:<12} " + ", ".join(known))
    return "\n".join(lines)


def gib(value: int) -> str:
    """A number of bytes as text: "1.5 GiB", "20 MiB"."""
    return f"{value / 1024**3:.1f} GiB" if value >= 1024**3 // 10 else f"{value / 1024**2:.0f} MiB"
