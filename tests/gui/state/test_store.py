"""The store emits a signal once for each change, and only for changes."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.links.link_state import LinkState
from app.state.store import AppStore
from backend.engine.types import ContainerAction
from backend.model import Phase
from tests.gui.scenes import samples


def test_equal_values_are_not_announced(store: AppStore, qtbot: QtBot) -> None:
    store.set_machine(samples.status(Phase.RUNNING))
    store.set_containers(samples.containers())
    store.set_engine_link(LinkState.UP)
    with (
        qtbot.assertNotEmitted(store.machine_changed),
        qtbot.assertNotEmitted(store.containers_changed),
        qtbot.assertNotEmitted(store.engine_changed),
    ):
        store.set_machine(samples.status(Phase.RUNNING, seq=2))
        store.set_containers(samples.containers())
        store.set_engine_link(LinkState.UP)


def test_no_list_is_not_an_empty_list(store: AppStore) -> None:
    assert store.containers is None
    store.set_containers(())
    assert store.containers == ()


def test_a_stopped_machine_has_no_containers(store: AppStore) -> None:
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())
    store.set_engine_link(LinkState.OFF)
    assert store.containers is None


def test_an_engine_that_is_reconnecting_keeps_its_list(store: AppStore) -> None:
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())
    store.set_engine_link(LinkState.RECONNECTING, samples.ENGINE_PROBLEM)
    assert store.containers == samples.containers()
    assert store.engine_problem == samples.ENGINE_PROBLEM


def test_the_phase_is_unknown_while_the_agent_is_away(store: AppStore) -> None:
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.RUNNING))
    known = store.phase
    assert known is Phase.RUNNING
    store.set_agent_link(LinkState.RECONNECTING)
    assert store.phase is None
    assert store.machine_keeps_running


@pytest.mark.parametrize("phase", list(Phase))
def test_what_keeps_running(store: AppStore, phase: Phase) -> None:
    store.set_machine(samples.status(phase))
    assert store.machine_keeps_running is phase.is_live


def test_pending_actions_come_and_go(store: AppStore) -> None:
    store.set_pending("a", ContainerAction.STOP)
    assert store.pending == {"a": ContainerAction.STOP}
    store.set_pending("a", None)
    store.set_pending("a", None)
    assert not store.pending
