"""`wherry stats`: resource use of the machine and its containers, as a table that is updated with each sample."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from backend.cli.exits import EXIT_INTERRUPTED, EXIT_OK
from backend.cli.machine import running
from backend.cli.streams import takes_unicode
from backend.errors import ProblemCode, WherryError, fail
from backend.messages import message
from backend.model import MachineStatus
from backend.stats import ContainerUsage, MachineUsage, StatsSample
from backend.texts import _

_FIRST_S: Final = 90.0
"""Timeout of the first sample: it needs two measurements of the guest, which may be emulated and busy."""
_FOR_EVER_S: Final = 10 * 365 * 86_400.0  # ended by Ctrl-C, or with the agent
_COLUMNS: Final = ("CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS")


def stats(options: argparse.Namespace) -> int:
    """Print samples until Ctrl-C; with --no-stream only one."""
    with running(options) as client:
        is_terminal = not options.no_stream and not options.json and sys.stdout.isatty()
        received = False
        try:
            for push in client.stats(timeout_s=_FIRST_S if options.no_stream else _FOR_EVER_S):
                if push.problem is not None:
                    raise WherryError(push.problem)
                if push.sample is None:
                    continue
                received = True
                _print(push.sample, client.status, as_json=options.json, one=options.no_stream, is_terminal=is_terminal)
                if options.no_stream:
                    break
        except KeyboardInterrupt:
            return EXIT_OK if received else EXIT_INTERRUPTED
        if not received:
            raise fail(
                ProblemCode.GUEST_FAULT,
                message("The machine sent no stats within {seconds:g} s.", seconds=_FIRST_S),
                retryable=True,
            )
    return EXIT_OK


def _print(sample: StatsSample, status: MachineStatus, *, as_json: bool, one: bool, is_terminal: bool) -> None:
    if as_json:
        json.dump(
            msgspec.to_builtins(sample),
            sys.stdout,
            ensure_ascii=not takes_unicode(sys.stdout),
            indent=2 if one else None,
        )
        sys.stdout.write("\n")
    else:
        table = describe(sample, names(status) if sample.containers else {})
        sys.stdout.write(f"\x1b[2J\x1b[H{table}\n" if is_terminal else f"{table}\n")
    sys.stdout.flush()


def names(status: MachineStatus) -> dict[str, str]:
    """Names of the running containers by id; empty if the engine does not answer."""
    if status.endpoint is None or not status.endpoint.ready:
        return {}
    from backend.engine.client.engine_client import EngineClient  # takes 0.1 s, which other commands save

    try:
        client = EngineClient(status.endpoint.url)
    except WherryError:
        return {}
    try:
        return {container.id: container.name for container in client.list_containers(include_stopped=False)}
    except WherryError:
        return {}
    finally:
        client.close()


def describe(sample: StatsSample, known: Mapping[str, str]) -> str:
    """The table: a line for the machine, then the containers by CPU usage. `known`: container names by id."""
    rows: list[Sequence[str]] = [_COLUMNS]
    ordered = sorted(sample.containers, key=lambda usage: (-usage.cpu_percent, usage.id))
    rows += [_row(usage, sample.machine, known.get(usage.id, "")) for usage in ordered]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join((_machine(sample.machine), "", *lines))


def _machine(usage: MachineUsage) -> str:
    parts = [
        _("machine") + "   " + _("CPU {percent:.1f} %", percent=float(usage.cpu_percent)),
        _("memory") + f" {_size(usage.memory_used_bytes)} / {_size(usage.memory_total_bytes)}",
        _("disk") + f" {_size(usage.disk_used_bytes)} / {_size(usage.disk_total_bytes)}",
    ]
    on_host = [
        f"{name} {_size(value)}" + (" " + _("({size} returned)", size=_size(returned)) if returned else "")
        for name, value, returned in (
            (_("memory"), usage.memory_on_host_bytes, usage.memory_returned_bytes),
            (_("disk"), usage.disk_on_host_bytes, usage.disk_returned_bytes),
        )
        if value is not None
    ]
    if on_host:
        parts.append(_("on this computer: {parts}", parts=", ".join(on_host)))
    return "   ".join(parts)


def _row(usage: ContainerUsage, machine: MachineUsage, name: str) -> Sequence[str]:
    limit = usage.memory_limit_bytes or machine.memory_total_bytes
    return (
        usage.id[:12],
        name or "-",
        f"{usage.cpu_percent:.2f}%",
        f"{_size(usage.memory_bytes)} / {_size(limit)}",
        f"{100 * usage.memory_bytes / limit:.2f}%" if limit else "-",
        f"{_size(usage.network_received_bytes)} / {_size(usage.network_sent_bytes)}",
        f"{_size(usage.block_read_bytes)} / {_size(usage.block_written_bytes)}",
        str(usage.pids),
    )


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1000:
            return f"{value:.0f}{unit}" if unit == "B" else f"{value:.4g}{unit}"
        value /= 1024
    return f"{value:.4g}TiB"
