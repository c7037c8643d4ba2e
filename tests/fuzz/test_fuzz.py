"""The short run: some hundred inputs for each target, which hypothesis makes smaller when one fails."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.streams import VirtualLoop
from tests.fuzz.targets import TARGETS, Target


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name.replace(" ", "-"))
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
