"""Progress of a pull, computed from the engine's messages about single layers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from backend.engine.engine_json import engine_source
from backend.engine.types import clean_text
from backend.errors import ProblemCode, fail
from backend.json_reader import JsonLines, JsonObject
from backend.messages import message, verbatim

_DONE: Final = ("Pull complete", "Already exists")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """Progress over all layers known so far; more may follow."""

    layers: int = 0
    layers_done: int = 0
    bytes_done: int = 0
    """Bytes downloaded."""
    bytes_total: int = 0
    """Total size of the layers whose size is known."""
    status: str = ""
    """The engine's latest message."""


@dataclass(slots=True)
class _Layer:
    current: int = 0
    total: int = 0
    done: bool = False


@dataclass(slots=True)
class _Meter:
    layers: dict[str, _Layer] = field(default_factory=dict)

    def take(self, step: JsonObject) -> PullProgress:
        status = clean_text(step.text("status"))
        name = step.text("id")
        # The first line names the tag instead of a layer: "Pulling from library/nginx".
        if name and not status.startswith("Pulling from"):
            layer = self.layers.setdefault(name, _Layer())
            detail = step.object("progressDetail")
            if status == "Downloading" and "current" in detail:
                layer.current = detail.integer("current")
                layer.total = max(layer.total, detail.integer("total"), layer.current)
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
    """Yield the progress after each line of the answer.

    Raises:
        WherryError: ENGINE_ERROR, a line reports that the pull failed, or is invalid.
    """
    meter = _Meter()
    lines = JsonLines(engine_source(command))
    for block in blocks:
        for step in lines.feed(block):
            if "error" in step:
                raise _refused(step.text("error"), command)
            yield meter.take(step)


def _refused(untrusted_message: str, command: str) -> Exception:
    lowered = untrusted_message.lower()
    if "denied" in lowered or "unauthorized" in lowered or "authentication required" in lowered:
        hint = message("Check the name. For a private image, log in first: docker login")
    elif "not found" in lowered or "manifest unknown" in lowered:
        hint = message("Check the name and the tag.")
    else:
        hint = message("Check the internet connection and that the registry is reachable.")
    return fail(
        ProblemCode.ENGINE_ERROR,
        verbatim(clean_text(untrusted_message, 500)),
        command=command,
        hint=hint,
        retryable=True,
    )
