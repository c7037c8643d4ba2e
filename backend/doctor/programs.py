"""QEMU, what belongs to it, and how fast it can run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import WherryError
from backend.messages import Message, count_message, message, sentences
from backend.vm import ladder

_GROUP: Final = message("QEMU")
_TIMEOUT_S: Final = 20


def _qemu(subject: Subject) -> CheckOutcome:
    facts = subject.qemu
    return ok(
        message(
            "{binary}, version {version_text}, with {name}.",
            binary=facts.binary,
            version_text=facts.version_text,
            name=subject.image_tool.name,
        )
    )


def _parts(subject: Subject) -> CheckOutcome:
    facts = subject.qemu
    if subject.host.arch != "amd64":
        return ok(message("No separate firmware is needed."))
    asked = subprocess.run(
        [str(facts.binary), "-L", "help"], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    places = [Path(line.strip()) for line in asked.stdout.splitlines() if line.strip()]
    if not places:
        return note(message("{binary} doesn't report where its firmware is.", binary=facts.binary))
    if not any((place / ladder.QBOOT).is_file() for place in places):
        return warning(
            message("{qboot} isn't in any of: {str}.", qboot=ladder.QBOOT, str=", ".join(map(str, places))),
            message(
                "Install it: sudo apt install qemu-system-data (Debian, Ubuntu). On other systems, reinstall QEMU."
            ),
        )
    return ok(message("{qboot} is installed.", qboot=ladder.QBOOT))


def _no_qemu(subject: Subject) -> Message | None:
    try:
        return None if subject.qemu else message("QEMU isn't usable")
    except WherryError:
        return message("QEMU isn't usable")  # why is said once


def _plan(subject: Subject, verdicts: dict[str, Message]) -> ladder.Plan:
    return ladder.plan(
        arch=subject.host.arch,
        qemu=subject.qemu,
        facts=subject.host.accelerators(),
        verdicts=verdicts,
        wanted=subject.config.machine.accelerator,
    )


def _accelerator(subject: Subject) -> CheckOutcome:
    plan = _plan(subject, ladder.load_verdicts(subject.directory.verdicts))
    if not plan.candidates:
        return failure(
            message("No accelerator is usable."),
            message("Use automatic selection: wherry config set machine.accelerator auto"),
        )
    first = plan.candidates[0]
    hints = [fact.hint for fact in subject.host.accelerators() if not fact.available and fact.hint]
    if first.accelerator == "tcg":
        slow = message("Only software emulation is available, which is many times slower.")
        return warning(sentences(slow, *plan.rejected), sentences(*hints) if hints else None)
    return ok(message("{accelerator} is used first.", accelerator=first.accelerator))


def _fingerprints(subject: Subject) -> list[str]:
    return [f"qemu {subject.qemu.version_text} | {fact.fingerprint}" for fact in subject.host.accelerators()]


def _verdicts(subject: Subject) -> CheckOutcome:
    remembered = ladder.load_verdicts(subject.directory.verdicts)
    if not remembered:
        return ok(message("No failures recorded."))
    known = tuple(_fingerprints(subject))
    stale = [key for key in remembered if not key.endswith(known)]
    if stale:
        text = count_message(
            "{count} of {total} records is outdated: QEMU, the kernel or the boot has changed since.",
            "{count} of {total} records are outdated: QEMU, the kernel or the boot has changed since.",
            len(stale),
            total=len(remembered),
        )
        return note(text, fixable=True)
    names = tuple(key.split(" | ", 1)[0] for key in remembered)
    return note(
        message("Not used until QEMU or this computer's kernel changes: {names}.", names=names),
        message("To try them again, delete {verdicts}", verdicts=subject.directory.verdicts),
    )


def _forget_stale(subject: Subject) -> None:
    known = tuple(_fingerprints(subject))
    kept = {key: why for key, why in ladder.load_verdicts(subject.directory.verdicts).items() if key.endswith(known)}
    ladder.save_verdicts(subject.directory.verdicts, kept)


CHECKS: Final = (
    Check(
        id="qemu",
        title=message("QEMU"),
        group=_GROUP,
        explanation=message("QEMU runs the machine, and its tool qemu-img creates the disk."),
        look=_qemu,
    ),
    Check(
        id="firmware",
        title=message("QEMU firmware"),
        group=_GROUP,
        explanation=message("The small firmware starts the machine about a second faster."),
        look=_parts,
        lacks=_no_qemu,
    ),
    Check(
        id="accelerator",
        title=message("Accelerator"),
        group=_GROUP,
        explanation=message("With hardware virtualization, containers run at nearly native speed."),
        look=_accelerator,
    ),
    Check(
        id="verdicts",
        title=message("Recorded failures"),
        group=_GROUP,
        explanation=message("Wherry skips an accelerator that failed. Outdated records should be cleared."),
        look=_verdicts,
        fix=Fix(sentence=message("Clear outdated records."), apply=_forget_stale),
    ),
)
