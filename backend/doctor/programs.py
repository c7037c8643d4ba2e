"""QEMU, what belongs to it, and how fast it can run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import WherryError
from backend.messages import Message
from backend.vm import ladder

_GROUP: Final = "QEMU"
_TIMEOUT_S: Final = 20


def _qemu(subject: Subject) -> CheckOutcome:
    facts = subject.qemu
    return ok(f"{facts.binary} is version {facts.version_text}, with {subject.image_tool.name}")


def _parts(subject: Subject) -> CheckOutcome:
    facts = subject.qemu
    if subject.host.arch != "amd64":
        return ok("no firmware of its own is needed")
    asked = subprocess.run(
        [str(facts.binary), "-L", "help"], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    places = [Path(line.strip()) for line in asked.stdout.splitlines() if line.strip()]
    if not places:
        return note(f"{facts.binary} does not say where its firmware is")
    if not any((place / ladder.QBOOT).is_file() for place in places):
        return warning(
            f"{ladder.QBOOT} is in none of {', '.join(map(str, places))}",
            "Install it: sudo apt install qemu-system-data (Debian, Ubuntu); elsewhere install QEMU anew.",
        )
    return ok(f"{ladder.QBOOT} is there")


def _has_qemu(subject: Subject) -> bool:
    try:
        return bool(subject.qemu)
    except WherryError:
        return False  # that it is missing is said once


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
        return failure("none can be used", "Let Wherry choose: wherry config set machine.accelerator auto")
    first = plan.candidates[0]
    hints = [str(fact.hint) for fact in subject.host.accelerators() if not fact.available and fact.hint]
    if first.accelerator == "tcg":
        reasons = "; ".join(str(reason) for reason in plan.rejected)
        return warning(f"only software emulation, many times slower{': ' if reasons else ''}{reasons}", " ".join(hints))
    return ok(f"{first.accelerator} will be tried first")


def _fingerprints(subject: Subject) -> list[str]:
    return [f"qemu {subject.qemu.version_text} | {fact.fingerprint}" for fact in subject.host.accelerators()]


def _verdicts(subject: Subject) -> CheckOutcome:
    remembered = ladder.load_verdicts(subject.directory.verdicts)
    if not remembered:
        return ok("nothing is held against any accelerator")
    known = tuple(_fingerprints(subject))
    stale = [key for key in remembered if not key.endswith(known)]
    if stale:
        many = f"{len(stale)} of {len(remembered)}"
        return note(f"{many} remembered failures are of another QEMU, kernel or boot, and count no more", fixable=True)
    names = ", ".join(key.split(" | ", 1)[0] for key in remembered)
    return note(
        f"not tried again until QEMU or this computer's kernel changes: {names}",
        f"To have them tried again, remove {subject.directory.verdicts}",
    )


def _forget_stale(subject: Subject) -> None:
    known = tuple(_fingerprints(subject))
    kept = {key: why for key, why in ladder.load_verdicts(subject.directory.verdicts).items() if key.endswith(known)}
    ladder.save_verdicts(subject.directory.verdicts, kept)


CHECKS: Final = (
    Check(
        id="qemu",
        title="QEMU",
        group=_GROUP,
        explanation="The machine is run by QEMU; qemu-img, which belongs to it, makes its disk.",
        look=_qemu,
    ),
    Check(
        id="firmware",
        title="QEMU's firmware",
        group=_GROUP,
        explanation="With the small firmware the kernel starts a second sooner; without it a larger one is used.",
        look=_parts,
        applies=_has_qemu,
    ),
    Check(
        id="accelerator",
        title="Accelerator",
        group=_GROUP,
        explanation="With the processor's own virtualisation, programs in containers run about as fast as outside.",
        look=_accelerator,
    ),
    Check(
        id="verdicts",
        title="Remembered failures",
        group=_GROUP,
        explanation="An accelerator that failed is not tried at each start; that must not outlive its cause.",
        look=_verdicts,
        fix=Fix(sentence="Forget those that count no more.", apply=_forget_stale),
    ),
)
