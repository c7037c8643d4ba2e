"""Fixtures of the window's tests. Everything is offscreen; sockets and processes are real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# A screen of a usual size: the offscreen platform's own has 800 x 800 pixels.
os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={Path(__file__).with_name('screen.json')}"
os.environ.setdefault("QT_API", "pyside6")

import shiboken6
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.frame.main_window import MainWindow
from app.state.store import AppStore
from app.ui import theme
from tests.gui.fakes.detail_window import DetailWindow
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.fakes.fake_engine import FakeEngine

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.gui)
            # Not our warning: Qt's offscreen platform logs it whenever a window is shown.
            item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support", extend=True))


@pytest.fixture
def store(qapp: QApplication) -> AppStore:
    if not qapp.styleSheet() or theme.current() is not theme.LIGHT:
        theme.apply(qapp, theme.LIGHT)
    return AppStore()


@pytest.fixture
def window(store: AppStore, qtbot: QtBot) -> Iterator[MainWindow]:
    made = MainWindow(store)
    made.show()
    with qtbot.waitExposed(made):
        pass
    yield made
    made.close_for_good()
    # At once, not when Python gets to it: every window alive makes the next one's style sheet slower.
    shiboken6.delete(made)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[FakeAgent]:
    with FakeAgent(tmp_path / "agent.sock") as made:
        yield made


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as made:
        yield made


@pytest.fixture
def whole(store: AppStore, window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> Iterator[DetailWindow]:
    made = DetailWindow(store, window, engine, qtbot)
    yield made
    made.close()
