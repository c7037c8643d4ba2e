"""Figures: the status bar and the graphs."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "figure.decimal": ".",
    "figure.percent": "{value} %",
    "figure.used-of": "{used} of {given}",
    "figure.rate": "{size}/s",
    "size.b": "{value} B",
    "size.kib": "{value} KiB",
    "size.tib": "{value} TiB",
    "status.label": "State of the machine",
    "status.hint": "Show the Machine page",
    "status.engine.unknown": "Connecting…",
    "status.engine.running": "Engine running",
    "status.engine.degraded": "Engine running, with problems",
    "status.engine.reconnecting": "Engine reconnecting…",
    "status.engine.starting": "Engine starting…",
    "status.engine.stopping": "Engine stopping…",
    "status.engine.stopped": "Engine stopped",
    "status.engine.failed": "Engine could not start",
    "status.agent.lost": "Agent reconnecting…",
    "status.slow": "Software emulation",
    "status.slow.tip": "The machine's instructions are emulated, which is slow. Why nothing better is used:",
    "status.fast.tip": "The machine runs with hardware virtualisation.",
    "status.cpu": "CPU {value}",
    "status.cpu.tip": "Of all the machine's processors",
    "status.memory": "Memory {value}",
    "status.memory.tip": "Used by the machine's programs, of what it was given",
    "status.disk": "Disk {value}",
    "status.disk.tip": "Used on the machine's disk, of what it may grow to",
    "status.version": "Wherry {version}",
}
