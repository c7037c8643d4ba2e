"""doctor, support-bundle: what is wrong, and what to send to somebody who can tell."""

from __future__ import annotations

import argparse

from backend import doctor
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.output import print_json
from backend.doctor import CheckSeverity


def run_doctor(options: argparse.Namespace) -> int:
    """Run the checks, mend with --fix, and say what is left; fails only if something does not work."""
    run = doctor.repair_home if options.fix else doctor.examine_home
    results = run(options.home, only=options.checks)
    if options.json:
        print_json(results)
    else:
        print(doctor.check_results_as_text(results))
        print("\n" + _sum(results))
    return EXIT_PROBLEM if any(result.severity is CheckSeverity.FAILURE for result in results) else EXIT_OK


def _sum(results: list[doctor.CheckResult]) -> str:
    count = {severity: sum(result.severity is severity for result in results) for severity in CheckSeverity}
    parts = [
        f"{count[severity]} {word}{'' if count[severity] == 1 else 's'}"
        for severity, word in ((CheckSeverity.FAILURE, "failure"), (CheckSeverity.WARNING, "warning"))
        if count[severity]
    ]
    mended = sum(result.fixed for result in results)
    said = ", ".join(parts) if parts else "Everything is in order"
    fixable = sum(result.fix is not None for result in results)
    return (
        f"{said}."
        + (f" Mended: {mended}." if mended else "")
        + (f" Wherry can mend {fixable} of these: wherry doctor --fix" if fixable else "")
    )
