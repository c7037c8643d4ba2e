"""reclaim, restart --engine, and what `wherry status` says of memory and disk."""

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
    """Have the machine give back memory and disk that it does not use."""
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
    """Restart dockerd alone, and wait until it answers. Raises WherryError."""
    if not client.status.phase.is_live:
        raise stopped()
    if not quiet:
        sys.stderr.write("Restarting the Docker engine; running containers are stopped with it...\n")
    client.request(RestartEngine(), reply_timeout_s=_ENGINE_S)


def describe_usage(client: MachineClient, status: MachineStatus) -> str | None:
    """The lines of memory and disk for `wherry status`; None for a machine that is not up, or an older agent."""
    if not status.phase.is_live:
        return None
    try:
        usage = client.request(GetUsage())
    except WherryError:
        return None  # an agent of before: the status is what was asked for
    return usage_lines(usage)


def usage_lines(usage: HostUsage) -> str:
    """As in "memory       4.0 GiB given, 0.6 GiB used, 1.1 GiB returned"."""
    lines = []
    memory = (("given", usage.memory_given), ("used", usage.memory_used), ("returned", usage.memory_returned))
    disk = (("used", usage.disk_used), ("returned", usage.disk_returned))
    for name, parts in (("memory", memory), ("disk", disk)):
        known = [f"{gib(value)} {part}" for part, value in parts if value is not None]
        if known:
            lines.append(f"{name:<12} " + ", ".join(known))
    return "\n".join(lines)


def gib(value: int) -> str:
    """Bytes, as people read them."""
    return f"{value / 1024**3:.1f} GiB" if value >= 1024**3 // 10 else f"{value / 1024**2:.0f} MiB"
