"""Every word that the window says, in one table a language. A key missing from a language is said in English.

`text("key", name=value)` fills the braces; `plural("key", n)` takes `key.one` or `key.other`. What the backend says
in a Problem (its summary and hint) is shown as it is, below a title from here.
"""

from __future__ import annotations

from typing import Final

from app.texts.en import TABLE as ENGLISH
from app.texts.pt import TABLE as PORTUGUESE
from backend.api import ContainerAction, ContainerState, Health, Phase, ProblemCode, StepState, StepStatus

CATALOGUES: Final[dict[str, dict[str, str]]] = {"en": ENGLISH, "pt": PORTUGUESE}
"""By ISO 639 code."""


class _Choice:
    table: dict[str, str] = ENGLISH


def choose_language(locale_name: str) -> str:
    """Use the best catalogue for a locale such as "pt_BR"; gives the code that was chosen."""
    code = locale_name.replace("-", "_").split("_")[0].lower()
    chosen = code if code in CATALOGUES else "en"
    _Choice.table = CATALOGUES[chosen]
    return chosen


def text(key: str, **values: object) -> str:
    """The words for `key`. An unknown key is a defect and raises KeyError."""
    words = _Choice.table.get(key) or ENGLISH[key]
    return words.format(**values) if values else words


def plural(key: str, count: int, **values: object) -> str:
    """The words for `count` things."""
    return text(f"{key}.one" if count == 1 else f"{key}.other", count=count, **values)


def phase(value: Phase | None) -> str:
    """ "Running"; None is a machine of which nothing is known yet."""
    return text(f"phase.{value.value}" if value else "phase.unknown")


def problem_title(code: ProblemCode) -> str:
    """The heading over a problem of that kind."""
    return text(f"problem.{code.value}")


def step(status: StepStatus) -> str:
    """What a step of the start does; the agent's own words for one that this table does not know."""
    key = f"step.{status.name}"
    return text(key) if key in ENGLISH else status.title


def step_state(value: StepState) -> str:
    """How far a step has come."""
    return text(f"step-state.{value.value}")


def container_state(value: ContainerState) -> str:
    """ "Running"."""
    return text(f"container.{value.value}")


def health(value: Health) -> str:
    """What the health check says; empty for none."""
    return text(f"health.{value.value}")


def action(value: ContainerAction) -> str:
    """The imperative: "Stop"."""
    return text(f"action.{value.value}")


def action_pending(value: ContainerAction) -> str:
    """ "Stopping…"."""
    return text(f"action-pending.{value.value}")


def seconds(value: float) -> str:
    """ "4.2 s", "1 min 12 s"."""
    if value < 10:
        return text("time.seconds", value=f"{value:.1f}".replace(".", text("figure.decimal")))
    if value < 60:
        return text("time.seconds", value=f"{value:.0f}")
    return text("time.minutes", minutes=int(value // 60), seconds=int(value % 60))
