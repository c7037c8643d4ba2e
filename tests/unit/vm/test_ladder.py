"""Which accelerators are tried, in which order, and what is remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.host.base import AcceleratorFact
from backend.messages import Message, verbatim
from backend.vm import ladder
from backend.vm.spec import QemuFacts

KVM = AcceleratorFact(
    name="kvm", title="KVM", available=True, reason=verbatim("/dev/kvm answers"), fingerprint="6.1/boot1"
)
NO_KVM = AcceleratorFact(
    name="kvm",
    title="KVM",
    available=False,
    reason=verbatim("you may not open /dev/kvm."),
    hint=verbatim("Join the group kvm."),
)
QEMU = QemuFacts(binary=Path("/q"), version=(7, 2, 22), accelerators=frozenset({"kvm", "tcg"}), sandbox=True)


def plan(
    *facts: AcceleratorFact, verdicts: dict[str, Message] | None = None, wanted: str = "auto", qemu: QemuFacts = QEMU
) -> ladder.Plan:
    return ladder.plan(arch="amd64", qemu=qemu, facts=facts, verdicts=verdicts or {}, wanted=wanted)


def names(result: ladder.Plan) -> list[str]:
    return [candidate.accelerator for candidate in result.candidates]


def test_hardware_first_software_last() -> None:
    assert names(plan(KVM)) == ["kvm", "kvm", "tcg", "tcg"]
    assert plan(KVM).rejected == ()


def test_a_closed_device_is_not_tried_and_the_user_hears_why() -> None:
    result = plan(NO_KVM)
    assert names(result) == ["tcg", "tcg"]
    assert [str(reason) for reason in result.rejected] == ["KVM: you may not open /dev/kvm. Join the group kvm."]


def test_a_qemu_without_the_accelerator() -> None:
    without = QemuFacts(binary=Path("/q"), version=(9, 0, 0), accelerators=frozenset({"tcg"}), sandbox=True)
    assert names(plan(KVM, qemu=without)) == ["tcg", "tcg"]
    assert [str(reason) for reason in plan(KVM, qemu=without).rejected] == ["KVM: QEMU 9.0.0 was built without it."]


def test_a_failure_is_remembered_until_something_changes(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    for candidate in ladder.hardware_candidates("kvm", "amd64", QEMU):
        ladder.remember_failure(
            path, ladder.verdict_key(candidate, QEMU, KVM), verbatim("it does not run a kernel here")
        )
    verdicts = ladder.load_verdicts(path)
    result = plan(KVM, verdicts=verdicts)
    assert names(result) == ["tcg", "tcg"]
    assert [str(reason) for reason in result.rejected] == ["KVM: it does not run a kernel here"]
    rebooted = AcceleratorFact(
        name="kvm", title="KVM", available=True, reason=verbatim("/dev/kvm answers"), fingerprint="6.1/boot2"
    )
    assert names(plan(rebooted, verdicts=verdicts))[0] == "kvm"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_a_damaged_memory_costs_one_more_try(tmp_path: Path, content: str) -> None:
    path = tmp_path / "verdicts.json"
    path.write_bytes(content.encode("latin-1"))
    assert ladder.load_verdicts(path) == {}


def test_old_verdicts_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    for number in range(40):
        ladder.remember_failure(path, f"key {number}", verbatim("no"))
    assert len(json.loads(path.read_text())) <= 8
    assert "key 39" in ladder.load_verdicts(path)


def test_the_user_can_insist() -> None:
    assert names(plan(KVM, wanted="tcg")) == ["tcg", "tcg"]
    assert "turned off by the setting" in str(plan(KVM, wanted="tcg").rejected[0])
    assert names(plan(KVM, wanted="kvm")) == ["kvm", "kvm"]
    assert names(plan(NO_KVM, wanted="kvm")) == []


def test_status_says_why_not_better() -> None:
    software = ladder.software_candidates("amd64")[0]
    status = ladder.status(software, (KVM,), [verbatim("KVM: no"), verbatim("KVM: no")])
    assert (status.name, str(status.title), status.hardware) == ("tcg", "software emulation", False)
    assert status.reasons == (verbatim("KVM: no"),)
    hardware = ladder.hardware_candidates("kvm", "amd64", QEMU)[0]
    assert ladder.status(hardware, (KVM,), [verbatim("x")]).reasons == ()
