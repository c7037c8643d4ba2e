"""What a check is: a small unit of data with a function that looks, and perhaps one that mends."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from backend.doctor.subject import Subject
from backend.errors import WherryError
from backend.messages import Message, message, sentences, verbatim

_log = logging.getLogger(__name__)


class CheckSeverity(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"  # worth knowing; nothing is wrong
    WARNING = "warning"  # it works, but worse than it could, or not for long
    FAILURE = "failure"  # the machine does not start, or something that should work does not


_SYMBOLS: Final = {
    CheckSeverity.OK: "✓",
    CheckSeverity.NOTE: "•",
    CheckSeverity.WARNING: "!",
    CheckSeverity.FAILURE: "✗",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    id: str
    title: Message
    passed: bool
    """Whether nothing has to be done: `severity` is OK or NOTE."""
    finding: Message
    hint: Message | None = None
    """What the user can do."""
    severity: CheckSeverity = CheckSeverity.OK
    group: Message | None = None
    """Heading under which it is shown."""
    explanation: Message | None = None
    """Why it matters."""
    fix: Message | None = None
    """What Wherry would do about it by itself, as a sentence; None: it cannot."""
    fixed: bool = False
    """Whether it was wrong and has just been mended."""
    checked: bool = True
    """False: it could not be looked at now, and `finding` says why."""

    def __post_init__(self) -> None:
        if not self.passed and self.severity is CheckSeverity.OK:
            object.__setattr__(self, "severity", CheckSeverity.FAILURE)


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What a check's function gives back; see `ok` and its like."""

    severity: CheckSeverity
    text: Message
    hint: Message | None = None
    fixable: bool = False
    """Whether the check's fix mends just this."""


def ok(text: Message) -> CheckOutcome:
    """Nothing to be said against it."""
    return CheckOutcome(CheckSeverity.OK, text)


def note(text: Message, hint: Message | None = None, *, fixable: bool = False) -> CheckOutcome:
    """Worth knowing."""
    return CheckOutcome(CheckSeverity.NOTE, text, hint, fixable)


def warning(text: Message, hint: Message | None = None, *, fixable: bool = False) -> CheckOutcome:
    """Works, but badly."""
    return CheckOutcome(CheckSeverity.WARNING, text, hint, fixable)


def failure(text: Message, hint: Message | None = None, *, fixable: bool = False) -> CheckOutcome:
    """Does not work."""
    return CheckOutcome(CheckSeverity.FAILURE, text, hint, fixable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What Wherry can do by itself. Idempotent; never deletes anything of the user's."""

    sentence: Message
    """What it will do: "Close it to other users (chmod 700)"."""
    apply: Callable[[Subject], None]
    """Raises WherryError or OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at."""

    id: str
    title: Message
    group: Message
    explanation: Message
    """Why it matters, for somebody who does not know what it is."""
    look: Callable[[Subject], CheckOutcome]
    """Changes nothing. Raises WherryError or OSError, which are findings too."""
    lacks: Callable[[Subject], Message | None] = lambda _subject: None
    """Why it cannot be looked at now, as part of a sentence: "the machine is stopped"; None: it can."""
    fix: Fix | None = None


def run_check(check: Check, subject: Subject, *, fix: bool) -> CheckResult:
    """Look, mend if that is wanted and possible, and look again; or say why that is not possible now."""
    if (lacking := _lacks(check, subject)) is not None:
        return replace(_result(check, note(message("Not checked: {reason}.", reason=lacking))), checked=False)
    finding = _look(check, subject)
    fixed = False
    if fix and finding.fixable and check.fix is not None:
        try:
            check.fix.apply(subject)
        except WherryError as error:
            text = sentences(finding.text, error.problem.summary)
            return _result(check, CheckOutcome(finding.severity, text, finding.hint))
        except Exception as error:  # noqa: BLE001 -- as in _look; what is told is what there is to tell
            if not isinstance(error, OSError | subprocess.SubprocessError):
                _log.exception("the fix of %s failed", check.id)
            text = sentences(finding.text, message("It couldn't be fixed: {error}.", error=error))
            return _result(check, CheckOutcome(finding.severity, text, finding.hint))
        subject.forget()
        finding = _look(check, subject)
        fixed = not finding.fixable
    return _result(check, finding, fixed=fixed)


def _lacks(check: Check, subject: Subject) -> Message | None:
    try:
        return check.lacks(subject)
    except (WherryError, OSError):
        return None  # then looking says what is wrong


def _look(check: Check, subject: Subject) -> CheckOutcome:
    try:
        return check.look(subject)
    except WherryError as error:
        return failure(error.problem.summary, error.problem.hint)
    except OSError as error:
        place = verbatim(str(error.filename)) if error.filename else None
        return failure(message("Couldn't be checked: {error}.", error=error), place)
    except subprocess.TimeoutExpired as error:
        return failure(
            message("{cmd} didn't respond within {timeout} s.", cmd=error.cmd[0], timeout=f"{error.timeout:g}"),
            message("Run the command yourself to see why."),
        )
    except Exception as error:  # noqa: BLE001 -- a check's border: a defect of ours must not hide what the others find
        _log.exception("the check %s failed", check.id)
        return failure(
            message("Internal error in this check: {error}.", error=repr(error)), message("Please report this bug.")
        )


def _result(check: Check, finding: CheckOutcome, *, fixed: bool = False) -> CheckResult:
    return CheckResult(
        id=check.id,
        title=check.title,
        passed=finding.severity in (CheckSeverity.OK, CheckSeverity.NOTE),
        finding=finding.text,
        hint=finding.hint,
        severity=finding.severity,
        group=check.group,
        explanation=check.explanation,
        fix=check.fix.sentence if finding.fixable and check.fix is not None else None,
        fixed=fixed,
    )


def check_results_as_text(results: Sequence[CheckResult], say: Callable[[Message], str] = str) -> str:
    """All of it in plain lines, to be read or sent to somebody.

    Args:
        results: in the order in which they are shown.
        say: turns a message into words; English by default.
    """
    lines: list[str] = []
    group = None
    for result in results:
        if result.group is not None and result.group != group:
            lines.extend(["", say(result.group)] if lines else [say(result.group)])
        group = result.group
        fixed = " (" + say(message("fixed")) + ")" if result.fixed else ""
        lines.append(f"{_SYMBOLS[result.severity]} {say(result.title)}: {say(result.finding)}{fixed}")
        if result.severity is CheckSeverity.OK:
            continue
        if not result.passed and result.explanation is not None:
            lines.append("    " + say(message("why it matters: {reason}", reason=result.explanation)))
        if result.hint is not None:
            lines.append("    " + say(message("what to do: {hint}", hint=result.hint)))
        if result.fix is not None:
            lines.append(f"    wherry doctor --fix {result.id}: {say(result.fix)}")
    return "\n".join(lines)
