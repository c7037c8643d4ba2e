"""The deadlines: the ladder's own, and those that are given."""

from __future__ import annotations

import pytest

from backend.agent.boot.readiness import ENGINE, IDLE, KERNEL, LADDER, Deadlines


def test_the_ladder_has_its_own() -> None:
    own = Deadlines.parse("")
    for step in LADDER:
        assert own.of(step, hardware=True) == step.hardware_s
        assert own.of(step, hardware=False) == step.software_s
        assert step.hint
    assert own.shutdown_s(hardware=True) < own.shutdown_s(hardware=False)
    assert own.seconds(IDLE) == 10


def test_others_can_be_given_for_both_kinds_or_for_one() -> None:
    given = Deadlines.parse(" kernel.hardware=0.5, engine=2,idle=1 ,shutdown.software=7")
    assert given.of(KERNEL, hardware=True) == 0.5
    assert given.of(KERNEL, hardware=False) == KERNEL.software_s
    assert (given.of(ENGINE, hardware=True), given.of(ENGINE, hardware=False)) == (2, 2)
    assert (given.shutdown_s(hardware=True), given.shutdown_s(hardware=False)) == (30, 7)
    assert given.seconds(IDLE) == 1


@pytest.mark.parametrize("text", ["kernal=1", "kernel.gpu=1", "kernel", "kernel=soon", "=1"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"deadline|float"):
        Deadlines.parse(text)
