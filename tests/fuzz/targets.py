"""The fuzz targets, and their shares of a long run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.fuzz import engine, front, lines
from tests.fuzz.streams import VirtualLoop


@dataclass(frozen=True)
class Target:
    """`make` generates an input, `run` processes it and asserts the invariants."""

    name: str
    make: Callable[[random.Random], Any]
    run: Callable[[VirtualLoop, Any], None]
    share: int
    """Relative number of inputs in a long run."""


TARGETS: Final = (
    Target("API front: whole conversations", front.make_play, front.run_play, 14),
    Target("API front: heads", front.make_head, front.run_head, 18),
    Target("API front: chunked bodies", front.make_chunks, front.run_chunks, 20),
    Target("control channel: server", lines.make_client, lines.run_client, 5),
    Target("control channel: messages", lines.make_message, lines.run_message, 15),
    Target("guest: control port", lines.make_guest, lines.run_guest, 4),
    Target("guest: figures", lines.make_stats, lines.run_stats, 5),
    Target("QEMU: events", lines.make_event, lines.run_event, 4),
    Target("engine: answers", engine.make_answers, engine.run_answers, 4),
    Target("engine: events and pulls", engine.make_events, engine.run_events, 3),
    Target("engine: logs", engine.make_log, engine.run_log, 5),
    Target("engine: asked by the doctor", engine.make_version, engine.run_version, 1),
    Target("engine: names in archives", engine.make_name, engine.run_name, 1),
    Target("config.toml and daemon.json", engine.make_files, engine.run_files, 1),
)
