"""The doctor: checks of everything that a machine depends on, as data; some can mend what they find.

    check.py      what a check is, what it finds, and the running of all of them
    subject.py    what the checks look at: each fact is found out once, by whoever needs it first
    home.py       the home, its permissions, settings and keys
    programs.py   QEMU and its parts, accelerators
    machine.py    the image, the disks, files that were left behind
    running.py    the agent, the guest, the engine
    corporate_network.py    proxies and certificate authorities
    clients.py    the docker CLI, its context, other engines

It runs in the client's process and needs no agent: it is wanted most when that does not answer. Looking changes
nothing. A fix does one thing, never deletes the user's data, and is believed only when the check has been run again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from backend.control.launch import agent_answers, machine_directory
from backend.doctor import clients, corporate_network, home, machine, programs, running
from backend.doctor.check import Check, CheckResult, CheckSeverity, check_results_as_text, run_check
from backend.doctor.subject import Subject
from backend.errors import ProblemCode, fail
from backend.host import current as current_host
from backend.host.base import Host
from backend.messages import message
from backend.paths import MachineDir

__all__ = [
    "CHECKS",
    "CheckResult",
    "CheckSeverity",
    "check_results_as_text",
    "examine",
    "examine_home",
    "repair_home",
]

CHECKS: Final[tuple[Check, ...]] = (
    *home.CHECKS,
    *programs.CHECKS,
    *machine.CHECKS,
    *running.CHECKS,
    *corporate_network.CHECKS,
    *clients.CHECKS,
)
"""In the order in which they are run and shown; those of one group stand together."""

OnResult = Callable[[CheckResult], object]


def examine(
    host: Host,
    directory: MachineDir,
    *,
    agent_alive: bool,
    only: Collection[str] = (),
    fix: bool = False,
    on_result: OnResult = lambda _result: None,
) -> list[CheckResult]:
    """Run the checks, in order; one that fails, or is not possible now, stops none of the others. Blocks for seconds.

    Args:
        only: ids of the checks to run; all of them if empty.
        fix: mend what can be mended, too. Otherwise nothing is changed.
        on_result: told of each as soon as it is there.

    Raises:
        WherryError: BAD_REQUEST, for an id that there is not.
    """
    known = {check.id for check in CHECKS}
    if unknown := sorted(set(only) - known):
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("There is no check “{name}”.", name=unknown[0]),
            hint=message("Available checks: {names}.", names=tuple(check.id for check in CHECKS)),
        )
    subject = Subject(host, directory, agent_alive=agent_alive)
    results = []
    for check in CHECKS:
        if only and check.id not in only:
            continue
        result = run_check(check, subject, fix=fix)
        results.append(result)
        on_result(result)
    return results


def examine_home(
    home_directory: Path | None, *, only: Collection[str] = (), on_result: OnResult = lambda _result: None
) -> list[CheckResult]:
    """All checks of one machine, whether or not its agent runs. Blocks for seconds; nothing is changed.

    Args:
        home_directory: as `wherry --home`; None: $WHERRY_HOME, else the platform's place.
    """
    return _examine(home_directory, only, fix=False, on_result=on_result)


def repair_home(
    home_directory: Path | None, *, only: Collection[str] = (), on_result: OnResult = lambda _result: None
) -> list[CheckResult]:
    """As `examine_home`, and mend what has a fix; the results are of after that, `fixed` says which were mended.

    Args:
        only: ids of the checks; the window gives the one whose button was pressed.
    """
    return _examine(home_directory, only, fix=True, on_result=on_result)


def _examine(
    home_directory: Path | None, only: Collection[str], *, fix: bool, on_result: OnResult
) -> list[CheckResult]:
    host = current_host()
    directory = machine_directory(home_directory)
    alive = agent_answers(host, directory)
    return examine(host, directory, agent_alive=alive, only=only, fix=fix, on_result=on_result)
