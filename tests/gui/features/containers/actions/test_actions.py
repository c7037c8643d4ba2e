"""One list of actions: the row's menu, the menu of a container's page, the menu bar and the palette offer the same."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.features.containers.actions.commit_dialog import CommitDialog
from app.features.containers.actions.entries import ENTRIES, Section
from app.features.containers.data.store import DetailStore
from app.features.containers.page import ContainersPage
from app.frame.main_window import MainWindow
from app.frame.palette_entries import container_entries
from app.state.store import AppStore
from tests.gui.scenes import samples
from tests.gui.screenshots import running


def labels(menu: QMenu) -> list[str]:
    return [action.text().replace("&", "") for action in menu.actions() if not action.isSeparator()]


@pytest.mark.parametrize("name", ["web", "chatty", "paused"])
def test_the_same_is_offered_everywhere(store: AppStore, window: MainWindow, name: str) -> None:
    running(store)
    container = next(entry for entry in samples.containers() if entry.name == name)
    view = window.containers
    view.select(container.id)
    in_row = labels(view.build_menu())
    store.intents.open_container.emit(container.id, "")
    page = window.page("containers")
    assert isinstance(page, ContainersPage)
    menu = page.detail.header.menu
    menu.aboutToShow.emit()
    in_page = labels(menu)
    of_sections = [entry.text for entry in ENTRIES if entry.section is not Section.OPEN]
    assert in_page == [text for text in in_row if text in of_sections]
    assert {"Rename", "Edit and recreate", "Commit to image…", "Export to tar file…", "Copy as docker run"} <= set(
        in_page
    )
    applying = [entry.name for entry in ENTRIES[1:] if entry.applies(store, (container,))]
    in_palette = [entry.key.split(":", 2)[2] for entry in container_entries(store, container)[1:]]
    assert [key for key in in_palette if not key.startswith("http")] == applying


def test_the_palette_asks_before_it_removes(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    running(store)
    web = next(entry for entry in samples.containers() if entry.name == "web")
    asked: list[object] = []
    store.intents.act_on_containers.connect(lambda *what: asked.append(what))
    entries = {entry.key.split(":", 2)[-1]: entry for entry in container_entries(store, web)}
    entries["remove"].run()
    assert asked == []
    entries["commit"].run()
    (dialog,) = window.findChildren(CommitDialog)
    dialog.name.setText("mine:1")
    with qtbot.waitSignals([store.part(DetailStore).intents.commit, store.intents.open_container]):
        dialog.make.click()


def test_the_list_returns_to_the_container_that_was_open(store: AppStore, window: MainWindow) -> None:
    running(store)
    web = next(entry for entry in samples.containers() if entry.name == "web")
    store.intents.open_container.emit(web.id, "")
    store.intents.close_container.emit()
    view = window.containers
    assert view.table.currentIndex().row() == view.model.row_of_key(web.id)
    assert view.selected == [], "marked, not selected"
