"""How far a pull has come, out of the engine's lines about single layers. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from backend.engine.types import clean_text
from backend.errors import ProblemCode, fail

_MAX_LINE_BYTES: Final = 1_048_576
_DONE: Final = ("Pull complete", "Already exists")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """Of all layers that are known by now; more may become known."""

    layers: int = 0
    layers_done: int = 0
    bytes_done: int = 0
    """Downloaded."""
    bytes_total: int = 0
    """Of the layers that told their size."""
    status: str = ""
    """The engine's newest words."""


@dataclass(slots=True)
class _Layer:
    current: int = 0
    total: int = 0
    done: bool = False


@dataclass(slots=True)
class _Meter:
    layers: dict[str, _Layer] = field(default_factory=dict)

    def take(self, untrusted: dict[str, Any]) -> PullProgress:
        status = clean_text(str(untrusted.get("status", "")))
        name = untrusted.get("id")
        # The first line names the tag in place of a layer: "Pulling from library/nginx".
        if isinstance(name, str) and not status.startswith("Pulling from"):
            layer = self.layers.setdefault(name, _Layer())
            detail = untrusted.get("progressDetail") or {}
            if status == "Downloading" and isinstance(detail.get("current"), int):
                layer.current = detail["current"]
                layer.total = max(layer.total, detail.get("total") or 0, layer.current)
            elif status in ("Verifying Checksum", "Download complete"):
                layer.current = layer.total
            elif status in _DONE:
                layer.current, layer.done = layer.total, True
        return PullProgress(
            layers=len(self.layers),
            layers_done=sum(layer.done for layer in self.layers.values()),
            bytes_done=sum(layer.current for layer in self.layers.values()),
            bytes_total=sum(layer.total for layer in self.layers.values()),
            status=status,
        )


def pull_progress(blocks: Iterator[bytes], *, command: str) -> Iterator[PullProgress]:
    """One value for each line of the answer.

    Raises:
        WherryError: ENGINE_ERROR, a line says that the pull failed.
    """
    meter = _Meter()
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            raise ValueError("a line longer than a mebibyte")
        for line in lines:
            if line.strip():
                said = json.loads(line)
                if "error" in said:
                    raise _refused(str(said["error"]), command)
                yield meter.take(said)


def _refused(untrusted_message: str, command: str) -> Exception:
    lowered = untrusted_message.lower()
    if "denied" in lowered or "unauthorized" in lowered or "authentication required" in lowered:
        hint = "Check the name; for a private image, log in first: docker login"
    elif "not found" in lowered or "manifest unknown" in lowered:
        hint = "Check the name and the tag."
    else:
        hint = "Check that the computer is online and that the registry can be reached."
    return fail(
        ProblemCode.ENGINE_ERROR,
        clean_text(untrusted_message, 500),
        command=command,
        hint=hint,
        retryable=True,
    )
