"""A short run of the fault driver on both machines; a long one, and a replay, is `python -m tests.faults`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.errors import ProblemCode, fail
from backend.messages import verbatim
from backend.model import MachineStatus
from tests.fakes import qemu
from tests.faults import plan
from tests.faults.fake import FakeTarget
from tests.faults.plan import Fault, Kind, Stage
from tests.faults.report import table
from tests.faults.run import Outcome, perform_all
from tests.faults.target import Target, Violation, isolated
from tests.faults.workload import Ledger

SEED = 20_261
FAKE_FAULTS = 60
FAKE_MACHINES = 4
REAL_FAULTS = (
    (Stage.RUNNING, Kind.AGENT_KILL),
    (Stage.RUNNING, Kind.CLIENT_KILL),
    (Stage.RUNNING, Kind.SSHD_KILL),
    (Stage.RUNNING, Kind.AGENT_STOP),
    (Stage.RUNNING, Kind.DOCKERD_KILL),
    (Stage.RUNNING, Kind.QEMU_STOP),
    (Stage.CHECKPOINT, Kind.AGENT_KILL),
    (Stage.SUSPEND, Kind.AGENT_KILL),
    (Stage.RESUME, Kind.VERB_KILL),
    (Stage.RUNNING, Kind.BOTH_KILL),
    (Stage.STOP, Kind.AGENT_KILL),
    (Stage.START, Kind.QEMU_KILL),
)


@pytest.fixture
def base() -> Iterator[Path]:
    with isolated("idle=60,shutdown=10") as made:
        yield made


def run(target: Target, faults: list[Fault]) -> list[Outcome]:
    try:
        target.set_up()
        return perform_all(target, faults)
    finally:
        target.close()


def judge(outcomes: list[Outcome], expected: int) -> None:
    failed = [f"{outcome.fault}: {outcome.note}" for outcome in outcomes if outcome.how == "failed"]
    assert not failed, "\n\n".join((f"seed {SEED}", *failed, table(outcomes)))
    assert len(outcomes) == expected
    assert sum(outcome.hit for outcome in outcomes) > expected / 2, "most faults must meet something"


def test_the_fake_machine_mends_itself(base: Path) -> None:
    def one(number: int) -> list[Outcome]:
        home = base / str(number)
        home.mkdir()
        target = FakeTarget(home)
        faults = plan.make(
            SEED + number,
            FAKE_FAULTS // FAKE_MACHINES,
            stages=target.features(),
            kinds=target.kinds,
            weights={},
        )
        return run(target, faults)

    with ThreadPoolExecutor(FAKE_MACHINES) as pool:
        judge([outcome for part in pool.map(one, range(FAKE_MACHINES)) for outcome in part], FAKE_FAULTS)


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_real_machine_mends_itself() -> None:
    from tests.faults.real import RealTarget

    with isolated("") as base:
        target = RealTarget(base)
        faults = plan.of_pairs(SEED, [pair for pair in REAL_FAULTS if pair[0] in target.features()])
        outcomes = run(target, faults)
        print(table(outcomes))
        judge(outcomes, len(faults))


# -- the driver itself --------------------------------------------------------------------------------------------
def test_the_same_seed_makes_the_same_faults() -> None:
    def made(seed: int) -> list[Fault]:
        return plan.make(seed, 200, stages=list(Stage), kinds=list(Kind), weights={Stage.STOP: 2})

    assert made(1) == made(1)
    assert made(1) != made(2)
    assert all(plan.applies(fault.stage, fault.kind) for fault in made(1))
    assert [Fault.from_dict(fault.as_dict()) for fault in made(1)] == made(1)
    every = {(stage, kind) for stage in Stage for kind in Kind if plan.applies(stage, kind)}
    assert {(fault.stage, fault.kind) for fault in made(1)} == every


def test_the_ledger_knows_what_may_be_missing() -> None:
    ledger = Ledger()
    for name in ("old", "kept"):
        with ledger.changing("volumes", name, exists=True) as done:
            done()
    with ledger.changing("volumes", "maybe", exists=True):
        pass  # the command failed: nobody knows
    ledger.compare("volumes", {"old", "kept"})
    with pytest.raises(Violation, match="old is missing"):
        ledger.compare("volumes", {"kept"})
    with pytest.raises(Violation, match="not made by anybody"):
        ledger.compare("volumes", {"kept", "stranger"})


def test_the_ledger_forgives_a_crash_only_what_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("tests.faults.workload.time.monotonic", lambda: now)
    ledger = Ledger()
    with ledger.changing("volumes", "old", exists=True) as done:
        done()
    now += 60
    with ledger.changing("volumes", "young", exists=True) as done:
        done()
    now += 1
    ledger.crash(now)
    now += 60
    with pytest.raises(Violation, match="old is missing"):
        ledger.compare("volumes", set())
    with ledger.changing("volumes", "new", exists=True) as done:
        done()
    ledger.crash(now)
    ledger.compare("volumes", set())


class Abandoned(FakeTarget):
    """Once a fault comes, no agent is ever started again."""

    recovery_s = 2.0
    is_abandoned = False

    def note_before(self, fault: Fault) -> None:
        self.is_abandoned = True

    def status(self) -> MachineStatus:
        if self.is_abandoned:
            raise fail(ProblemCode.AGENT_UNREACHABLE, verbatim("There is nobody."))
        return super().status()


class Forgetful(FakeTarget):
    """It loses a line that it acknowledged."""

    def note_end(self, fault: Fault, came: float) -> None:
        lines = (self.paths.machine / qemu.LINES).read_text().splitlines()
        (self.paths.machine / qemu.LINES).write_text("\n".join([*lines[:1], *lines[2:]]) + "\n")


class Untidy(FakeTarget):
    """It leaves a temporary file."""

    def note_end(self, fault: Fault, came: float) -> None:
        (self.paths.machine / ".run.json.1.new").touch()


@pytest.mark.parametrize(
    ("kind_of_target", "complaint"),
    [(Abandoned, "There is nobody"), (Forgetful, "acknowledged lines are lost"), (Untidy, "temporary files are left")],
)
def test_a_machine_that_does_not_mend_itself_is_found_out(
    base: Path, kind_of_target: type[FakeTarget], complaint: str
) -> None:
    outcomes = run(kind_of_target(base), plan.of_pairs(SEED, [(Stage.RUNNING, Kind.AGENT_STOP)]))
    assert [outcome.how for outcome in outcomes] == ["failed"]
    assert complaint in outcomes[0].note
