"""A short run: 80 inputs per target, which hypothesis shrinks when one fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.streams import VirtualLoop
from tests.fuzz.targets import TARGETS, Target

LOGGED = {
    "control channel: server": "request reclaim failed",
    "guest: figures": "a line that is not understood",
}
"""Expected log messages by target: of a handler that fails on purpose, and of invalid lines of statistics."""


def parameter(target: Target) -> object:
    marks = [pytest.mark.expect_log(LOGGED[target.name])] if target.name in LOGGED else []
    return pytest.param(target, id=target.name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("target", [parameter(target) for target in TARGETS])
def test_nothing_hostile_gets_through(target: Target) -> None:
    @settings(max_examples=80, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def run(source: random.Random) -> None:
        given_input = target.make(source)
        loop = VirtualLoop()
        try:
            target.run(loop, given_input)
        finally:
            loop.close()

    run()
