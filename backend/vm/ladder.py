"""Selection of the accelerator, CPU model and machine: candidates in order, and remembered failures.

That a device opens proves nothing: KVM can open, create a VM and then be very slow or crash the kernel. So cheap checks
drop what cannot work, a real boot with a deadline is the last probe, and its verdict is remembered until something that
it depends on changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from backend.files import write_private
from backend.host.base import AcceleratorFact
from backend.messages import Message, message, sentences, verbatim
from backend.model import AcceleratorStatus
from backend.vm.spec import Candidate, QemuFacts

QBOOT: Final = "qboot.rom"
"""A minimal firmware that only starts the kernel; part of QEMU since 5.0."""
TCG_TITLE: Final = message("software emulation")
_TCG_CPU_X86: Final = "max,-erms"
"""Without the "enhanced" string instructions, which emulation executes byte by byte: the guest's kernel then copies
words in loops. Reading a cached file of 80 MB took 0.05 s instead of 0.3 (QEMU 7.2)."""
_TCG_OPTIONS: Final = ",thread=multi,tb-size=512"
"""A translation cache of 512 MiB: the default of a quarter of RAM (up to 1 GiB) stays resident on the host.

Smaller caches make code be translated repeatedly: after a start and 6 `docker run` (2 GiB guest, QEMU 7.2) 824 MiB are
resident with 512, 817 with 256 and 688 with 128, and a `docker run` takes 1.5 s, 4 s and 6 s."""

_WHPX_PLAIN: Final = (11, 1, 1)
"""From this QEMU on, WHPX supports `-cpu host` and chooses its interrupt controller itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The candidates to try, in order, and why others were rejected."""

    candidates: tuple[Candidate, ...]
    rejected: tuple[Message, ...]
    """Reasons for the user, best accelerator first."""


def plan(
    *,
    arch: str,
    qemu: QemuFacts,
    facts: Sequence[AcceleratorFact],
    verdicts: Mapping[str, Message],
    wanted: str = "auto",
) -> Plan:
    """Order the candidates for a guest of the host's own architecture.

    Args:
        arch: "amd64" or "arm64".
        qemu: the binary that will run.
        facts: the host's accelerators, best first.
        verdicts: remembered failures by `verdict_key`, with their reason.
        wanted: "auto", or the only accelerator that the user allows.
    """
    candidates: list[Candidate] = []
    rejected: list[Message] = []
    for fact in facts:
        if wanted not in ("auto", fact.name):
            rejected.append(message("{title}: turned off by the setting machine.accelerator.", title=fact.title))
            continue
        if not fact.available:
            rejected.append(_of(fact, sentences(fact.reason, fact.hint)))
            continue
        if fact.name not in qemu.accelerators:
            rejected.append(
                message("{title}: QEMU {version} was built without it.", title=fact.title, version=qemu.version_text)
            )
            continue
        for candidate in hardware_candidates(fact.name, arch, qemu):
            verdict = verdicts.get(verdict_key(candidate, qemu, fact))
            if verdict is None:
                candidates.append(candidate)
            else:
                rejected.append(_of(fact, verdict))
    if wanted in ("auto", "tcg"):
        candidates.extend(software_candidates(arch))
    return Plan(candidates=tuple(candidates), rejected=tuple(dict.fromkeys(rejected)))


def _of(fact: AcceleratorFact, reason: Message) -> Message:
    return message("{title}: {reason}", title=fact.title, reason=reason)


def hardware_candidates(accelerator: str, arch: str, qemu: QemuFacts) -> tuple[Candidate, ...]:
    """The CPU models to try with one accelerator, best first."""
    if accelerator == "kvm" and arch == "amd64":
        return (
            Candidate(accelerator="kvm", cpu="host", machine="q35", firmware=QBOOT),
            # Nested KVM may refuse the MSR of this feature, and QEMU then aborts.
            Candidate(accelerator="kvm", cpu="host,-arch-capabilities", machine="q35", firmware=QBOOT),
        )
    if accelerator == "kvm":
        return (Candidate(accelerator="kvm", cpu="host", machine="virt"),)
    if accelerator == "hvf" and arch == "amd64":
        # AVX-512 traps and 1 GiB pages fail under HVF on Intel.
        return (Candidate(accelerator="hvf", cpu="host,-avx512vl,-pdpe1gb", machine="q35", firmware=QBOOT),)
    if accelerator == "hvf":
        return (Candidate(accelerator="hvf", cpu="host", machine="virt"),)
    if accelerator == "whpx" and arch == "arm64":
        return (Candidate(accelerator="whpx", cpu="host", machine="virt"),)
    if accelerator == "whpx" and qemu.version >= _WHPX_PLAIN:
        return (
            Candidate(accelerator="whpx", cpu="host", machine="q35", firmware=QBOOT),
            Candidate(accelerator="whpx", cpu="qemu64", machine="q35"),
        )
    if accelerator == "whpx":
        return (Candidate(accelerator="whpx", cpu="qemu64", machine="q35", accelerator_options=",kernel-irqchip=off"),)
    return ()


def software_candidates(arch: str) -> tuple[Candidate, ...]:
    """Emulation: with qboot first, else with the machine's default firmware when this QEMU lacks qboot."""
    if arch == "amd64":
        return (
            Candidate(
                accelerator="tcg", cpu=_TCG_CPU_X86, machine="q35", firmware=QBOOT, accelerator_options=_TCG_OPTIONS
            ),
            Candidate(accelerator="tcg", cpu=_TCG_CPU_X86, machine="q35", accelerator_options=_TCG_OPTIONS),
        )
    # The architected pointer-authentication algorithm takes half of an emulated CPU's time.
    cpu = "max,pauth-impdef=on"
    return (Candidate(accelerator="tcg", cpu=cpu, machine="virt", accelerator_options=_TCG_OPTIONS),)


def status(candidate: Candidate, facts: Sequence[AcceleratorFact], reasons: Sequence[Message]) -> AcceleratorStatus:
    """Describe the running candidate for the user."""
    titles = {fact.name: verbatim(fact.title) for fact in facts}
    hardware = candidate.accelerator != "tcg"
    return AcceleratorStatus(
        name=candidate.accelerator,
        title=titles.get(candidate.accelerator, TCG_TITLE if not hardware else verbatim(candidate.accelerator.upper())),
        hardware=hardware,
        reasons=() if hardware else tuple(dict.fromkeys(reasons)),
    )


def verdict_key(candidate: Candidate, qemu: QemuFacts, fact: AcceleratorFact) -> str:
    """A key that changes with everything a verdict depends on: QEMU, the host's kernel and boot, its CPU."""
    return f"{candidate.key} | qemu {qemu.version_text} | {fact.fingerprint}"


def load_verdicts(path: Path) -> dict[str, Message]:
    """Read the remembered failures; empty when the file is missing or unreadable, which only costs another try."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Message])
    except (OSError, msgspec.MsgspecError, RecursionError, UnicodeError):
        return {}


def remember_failure(path: Path, key: str, reason: Message) -> None:
    """Add a verdict. Raises OSError."""
    verdicts = load_verdicts(path)
    verdicts[key] = reason
    # Keys contain the host's boot time, so old ones never match again: keep only a few.
    recent = dict(list(verdicts.items())[-8:])
    save_verdicts(path, recent)


def save_verdicts(path: Path, verdicts: Mapping[str, Message]) -> None:
    """Replace all verdicts. Raises OSError."""
    write_private(path, msgspec.json.format(msgspec.json.encode(dict(verdicts)), indent=2))
