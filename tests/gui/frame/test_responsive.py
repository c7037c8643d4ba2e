"""The window fits on small screens, in every language and zoom: nothing that is needed is out of reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shiboken6
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app import texts
from app.frame.main_window import MainWindow
from app.state.preferences import Preferences
from app.state.store import AppStore
from app.ui import theme
from tests.gui.screenshots import SCENES

CHOSEN = (
    "alert-several",
    "containers-normal",
    "containers-many",
    "first-run",
    "images-normal",
    "logs-several",
    "machine-busy",
    "ports-conflicts",
    "settings-docker",
    "settings-general",
)


@pytest.fixture(params=[("en", 100), ("pt_BR", 100), ("pt_BR", 200)], ids=str)
def zoom(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[int]:
    language, zoom = request.param
    texts.choose_language(language)
    theme.apply(qapp, theme.LIGHT, zoom)
    yield zoom
    texts.choose_language("en")
    theme.apply(qapp, theme.LIGHT, 100)


def place(widget: QWidget, window: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint()), widget.size())


@pytest.mark.parametrize("scene", CHOSEN)
def test_the_window_becomes_small(zoom: int, scene: str, qtbot: QtBot) -> None:
    store = AppStore()
    window = MainWindow(store)
    window.show()
    SCENES[scene](store, window)
    assert window.minimumWidth() <= 900 * zoom // 100
    assert window.minimumWidth() <= window.screen().availableSize().width()
    window.resize(window.minimumSize())
    for _ in range(4):
        QApplication.processEvents()
    assert window.width() == window.minimumWidth()
    header = window.header
    buttons = (header.start, header.suspend, header.restart, header.stop, header.cancel, header.search)
    for button in buttons:
        if button.isVisible():
            assert window.rect().contains(place(button, window)), button.accessibleName()
            assert button.width() >= button.minimumSizeHint().width(), "its text or icon is whole"
    rows = [place(button, window) for button in buttons if button.isVisible()]
    assert all(not one.intersects(other) for one in rows for other in rows if one is not other)
    window.close_for_good()
    shiboken6.delete(window)


def test_the_zoom_has_keys(qtbot: QtBot) -> None:
    store = AppStore(preferences=Preferences())
    window = MainWindow(store)
    by_key = {
        key.toString(): action
        for menu in window.menuBar().actions()
        for action in menu.menu().actions()  # type: ignore[attr-defined]  # not in the stubs
        for key in QAction.shortcuts(action)
    }
    for key, zoom in (("Ctrl++", 125), ("Ctrl+=", 150), ("Ctrl+-", 125), ("Ctrl+0", 100), ("Ctrl+-", 100)):
        with qtbot.waitSignal(store.preferences.changed, raising=store.preferences.zoom != zoom, timeout=500):
            by_key[key].trigger()
        assert store.preferences.zoom == zoom
    for _ in range(9):
        window.zoom_by(1)
    assert store.preferences.zoom == 200
    window.close_for_good()
    shiboken6.delete(window)
