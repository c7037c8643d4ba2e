"""Messages about single events: they go by themselves, and with what they tell about."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.frame.main_window import MainWindow
from app.frame.toasts import MOST, SHOWN_MS
from app.links.link_state import LinkState
from app.state.store import AppStore
from backend.messages import verbatim
from backend.model import Notice, Phase
from tests.gui.scenes import samples


def notice(store: AppStore, text: str, level: str = "info") -> None:
    store.notice(Notice(level=level, text=verbatim(text)))


def texts(window: MainWindow) -> list[str]:
    return [toast.text for toast in window.toasts.shown]


def test_a_result_goes_by_itself(
    store: AppStore, window: MainWindow, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setitem(SHOWN_MS, "info", 50)
    before = window.page(window.page_name).geometry()
    notice(store, "Copied.")
    assert texts(window) == ["Copied."]
    assert window.page(window.page_name).geometry() == before, "it moves nothing"
    qtbot.waitUntil(lambda: not window.toasts.isVisible())
    assert texts(window) == []


def test_it_stays_under_the_mouse_and_in_the_window(store: AppStore, window: MainWindow) -> None:
    for number in range(MOST + 2):
        notice(store, f"Message {number}, with more words than have room on a line of this window " * 3)
    assert len(texts(window)) == MOST
    assert texts(window)[-1].startswith(f"Message {MOST + 1}")
    toasts = window.toasts
    window.resize(640, 480)
    under = toasts.parentWidget()
    assert under is not None
    assert under.rect().contains(toasts.geometry())
    first = toasts.shown[0]
    assert first.ended.isActive()
    notice(store, "Twice.")
    notice(store, "Twice.")
    assert texts(window).count("Twice.") == 1


def test_what_told_of_a_start_does_not_stay_above_a_stopped_machine(store: AppStore, window: MainWindow) -> None:
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.PREPARING))
    notice(store, "Started automatically by a docker command.")
    store.set_machine(samples.status(Phase.RUNNING))
    notice(store, "The disk is nearly full.", "warning")
    assert len(texts(window)) == 2
    store.set_machine(samples.status(Phase.STOPPED))
    assert texts(window) == ["The disk is nearly full."]
