"""The result table of a run: for each stage and kind of fault, how often the machine recovered, and how fast."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from tests.faults.plan import Kind, Stage
from tests.faults.run import Outcome

_COLUMNS = ("kind of fault", "stage", "tries", "by itself", "by command", "failed", "median s", "max s")


def table(outcomes: Iterable[Outcome]) -> str:
    """A Markdown table with a row per kind and stage, and a row with the total.

    "by itself": recovered without a user. "by command": the interrupted command was run again, or the action of the
    reported Problem was taken.
    """
    groups: dict[tuple[Kind, Stage], list[Outcome]] = {}
    every = list(outcomes)
    for outcome in every:
        groups.setdefault((outcome.fault.kind, outcome.fault.stage), []).append(outcome)
    order = {(kind, stage): number for number, (kind, stage) in enumerate((k, s) for k in Kind for s in Stage)}
    rows = [_row(kind.value, stage.value, groups[kind, stage]) for kind, stage in sorted(groups, key=order.__getitem__)]
    rows.append(_row("all", "all", every))
    lines = [_line(_COLUMNS), "|---|---|" + "---:|" * (len(_COLUMNS) - 2), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _row(kind: str, stage: str, outcomes: list[Outcome]) -> tuple[str, ...]:
    counted = [sum(outcome.how in hows for outcome in outcomes) for hows in (("itself",), ("again", "action"))]
    failed = sum(outcome.how == "failed" for outcome in outcomes)
    seconds = [outcome.seconds for outcome in outcomes if outcome.how != "failed"]
    times = (f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}") if seconds else ("", "")
    return (kind, stage, str(len(outcomes)), *map(str, counted), str(failed), *times)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
