"""`wherry doctor` and `wherry support-bundle`: find and repair problems, and collect logs for a report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend import doctor
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.output import print_json
from backend.doctor import CheckSeverity
from backend.errors import ProblemCode, fail
from backend.messages import message
from backend.support.bundle import default_name, make_support_bundle
from backend.texts import _, ngettext, say


def run_doctor(options: argparse.Namespace) -> int:
    """Run the checks, repair with --fix, and print the results.

    EXIT_PROBLEM if something does not work, or nothing could be checked.
    """
    if options.checks[:1] == ["network"]:
        return _network(options)
    run = doctor.repair_home if options.fix else doctor.examine_home
    results = run(options.home, only=options.checks)
    if options.json:
        print_json(results)
    else:
        print(doctor.check_results_as_text(results, say))
        print("\n" + _summary(results))
    if any(result.severity is CheckSeverity.FAILURE for result in results):
        return EXIT_PROBLEM
    # Whoever asks for one check must not take its silence for a good sign.
    return EXIT_OK if any(result.checked for result in results) else EXIT_PROBLEM


def _network(options: argparse.Namespace) -> int:
    """Check each network hop on the way to a registry and print it at once. EXIT_PROBLEM if a pull fails there."""
    from backend.doctor.network import NetworkHop, diagnose_network, hop_as_text

    if len(options.checks) > 2 or options.fix:
        raise fail(ProblemCode.BAD_REQUEST, message("Usage: wherry doctor network [IMAGE]"))

    def show(hop: NetworkHop) -> None:
        if not options.json:
            print(hop_as_text(hop, say), flush=True)

    diagnosis = diagnose_network(options.home, "".join(options.checks[1:]), on_hop=show)
    if options.json:
        print_json(diagnosis)
    else:
        print(f"\n{say(diagnosis.verdict)}")
    return EXIT_OK if diagnosis.failed is None else EXIT_PROBLEM


def _summary(results: list[doctor.CheckResult]) -> str:
    failures = sum(result.severity is CheckSeverity.FAILURE for result in results)
    warnings = sum(result.severity is CheckSeverity.WARNING for result in results)
    repaired = sum(result.fixed for result in results)
    fixable = sum(result.fix is not None for result in results)
    unchecked = sum(not result.checked for result in results)
    parts = [
        ngettext("{count} failure.", "{count} failures.", failures) if failures else "",
        ngettext("{count} warning.", "{count} warnings.", warnings) if warnings else "",
        "" if failures or warnings else _good_news(results),
        ngettext("{count} check wasn't possible.", "{count} checks weren't possible.", unchecked) if unchecked else "",
        ngettext("{count} problem fixed.", "{count} problems fixed.", repaired) if repaired else "",
        ngettext(
            "Wherry can fix {count} problem: wherry doctor --fix",
            "Wherry can fix {count} problems: wherry doctor --fix",
            fixable,
        )
        if fixable
        else "",
    ]
    return " ".join(filter(None, parts))


def _good_news(results: list[doctor.CheckResult]) -> str:
    if all(result.checked for result in results):
        return _("No problems found.")
    return _("No problems found in what was checked.") if any(result.checked for result in results) else ""


def support_bundle(options: argparse.Namespace) -> int:
    """Write a support bundle and list its contents."""
    live = sys.stderr.isatty() and not options.json

    def show_progress(what: str, fraction: float) -> None:
        if live:
            sys.stderr.write(f"\r\x1b[K{fraction:4.0%} {what}")
            sys.stderr.flush()

    try:
        bundle = make_support_bundle(options.home, options.file or Path(default_name()), progress=show_progress)
    finally:
        if live:
            sys.stderr.write("\r\x1b[K")
    if options.json:
        print_json(
            {"path": str(bundle.path), "size": bundle.size, "entries": bundle.entries, "missing": bundle.missing}
        )
        return EXIT_OK
    print(
        _(
            "{path} ({size:.0f} KiB), readable only by you. It wasn't sent anywhere. It contains:",
            path=str(bundle.path),
            size=bundle.size / 1024,
        )
    )
    for entry in bundle.entries:
        print(f"  {entry.name}: {say(entry.what)}")
    for line in bundle.missing:
        print("  " + _("(not available) {piece}", piece=line))
    print(
        _("Passwords, tokens, keys, your name and your home's name were removed. Check the files before you send it.")
    )
    return EXIT_OK
