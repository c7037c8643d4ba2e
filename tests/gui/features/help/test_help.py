"""The Help menu: the manual opens at the page's topic, can be searched and browsed, and lists every shortcut."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.help.window import HelpWindow
from app.frame.main_window import PAGES, MainWindow
from app.frame.palette_entries import find
from app.state.store import AppStore
from app.ui import theme
from backend.api import VERSION, HelpTopic, help_text, help_topics
from tests.gui.scenes.help_scenes import HELP_SCENES, about_dialog, help_window
from tests.gui.screenshots import SCENES

KEYS = next(help_text(topic) for topic in help_topics() if topic.name == "keyboard-shortcuts")


def press_f1(window: MainWindow) -> HelpWindow:
    action = action_with(window, "F1")
    action.trigger()
    return help_window(window)


def actions(window: MainWindow) -> Iterator[QAction]:
    for menu in window.menuBar().actions():
        inside = menu.menu()
        assert inside is not None
        yield from inside.actions()  # type: ignore[attr-defined]


def action_with(window: MainWindow, keys: str) -> QAction:
    return next(action for action in actions(window) if action.shortcut() == QKeySequence(keys))


def listed(shown: HelpWindow) -> list[str]:
    """Names of the topics visible in the list."""
    items = [shown.topics.item(row) for row in range(shown.topics.count())]
    return [
        item.data(Qt.ItemDataRole.UserRole)
        for item in items
        if not item.isHidden() and item.data(Qt.ItemDataRole.UserRole)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_f1_opens_the_topic_of_the_page(window: MainWindow, page: str) -> None:
    window.show_page(page)
    shown = press_f1(window)
    assert shown.topic in {topic.name for topic in help_topics()}
    if page not in ("machine", "settings"):
        assert shown.topic == PAGES[page].help_topic


@pytest.mark.parametrize(
    ("scene", "topic"),
    [("checkpoints-normal", "checkpoints"), ("machine-checked", "doctor"), ("settings-lifecycle", "suspend-and-idle")],
)
def test_f1_knows_the_open_part_of_a_page(store: AppStore, window: MainWindow, scene: str, topic: str) -> None:
    SCENES[scene](store, window)
    assert press_f1(window).topic == topic


def test_f1_again_uses_the_window_that_is_open(window: MainWindow) -> None:
    first = press_f1(window)
    window.show_page("ports")
    assert press_f1(window) is first
    assert first.topic == "ports"


@pytest.mark.parametrize("topic", help_topics(), ids=lambda topic: topic.name)
def test_a_topic_is_shown_without_its_marks(store: AppStore, window: MainWindow, topic: HelpTopic) -> None:
    store.intents.show_help.emit(topic.name)
    shown = help_window(window).browser.toPlainText()
    assert shown.startswith(topic.title)
    assert not re.search(r"\]\(|\*\*|```|^#", shown, flags=re.MULTILINE)


def test_links_lead_to_topics_and_back(store: AppStore, window: MainWindow) -> None:
    store.intents.show_help.emit("containers")
    shown = help_window(window)
    assert not shown.back.isEnabled()
    shown.browser.anchorClicked.emit(QUrl("logs.md"))
    assert shown.topic == "logs"
    assert shown.topics.currentItem().text() == "Logs"
    shown.back.click()
    assert (shown.topic, shown.forward.isEnabled()) == ("containers", True)
    shown.forward.click()
    assert shown.topic == "logs"


def test_a_link_to_the_web_is_opened_outside(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    store.intents.show_help.emit("containers")
    shown = help_window(window)
    with qtbot.waitSignal(store.intents.open_url) as asked:
        shown.browser.anchorClicked.emit(QUrl("https://example.com/x.md"))
    assert asked.args == ["https://example.com/x.md"]
    assert shown.topic == "containers"


def test_the_search_finds_topics_by_what_is_in_them(store: AppStore, window: MainWindow) -> None:
    store.intents.show_help.emit("containers")
    shown = help_window(window)
    assert listed(shown) == [topic.name for topic in help_topics()]
    QTest.keyClicks(shown.search, "PAC file")
    assert listed(shown) == ["proxies-and-certificates", "limits"]
    QTest.keyClick(shown.search, Qt.Key.Key_Return)
    assert shown.topic == "proxies-and-certificates"
    assert len(shown.browser.extraSelections()) > 1
    shown.search.setText("qqqq")
    assert listed(shown) == []
    assert shown.nothing.isVisible()


def test_a_change_of_theme_keeps_the_topic(store: AppStore, window: MainWindow, qapp: QApplication) -> None:
    HELP_SCENES["help-found"](store, window)
    shown = help_window(window)
    theme.apply(qapp, theme.DARK)
    assert shown.topic == "troubleshooting"
    (title, *_others) = shown.browser.document().begin().textFormats()
    assert title.format.foreground().color().name() == theme.DARK.text
    theme.apply(qapp, theme.LIGHT)


def test_a_change_of_language_keeps_the_topic(store: AppStore, window: MainWindow) -> None:
    store.intents.show_help.emit("ports")
    window.rebuild()
    assert help_window(window).topic == "ports"


def test_every_key_of_the_menus_is_in_the_manual(window: MainWindow) -> None:
    words = set(re.findall(r"[A-Za-z0-9+.-]+", KEYS)) | {f"Ctrl+{number}" for number in range(1, len(PAGES) + 1)}
    for action in actions(window):
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.PortableText).replace("Return", "Enter")
        assert not keys or keys in words, f"keyboard-shortcuts.md does not name {keys} ({action.text()})"


def test_a_problem_is_reported_by_a_support_bundle(window: MainWindow) -> None:
    action = next(action for action in actions(window) if action.text() == "Report a problem…")
    action.trigger()
    assert window.page_name == "machine"
    assert press_f1(window).topic == "doctor"


def test_about_gives_the_versions(store: AppStore, window: MainWindow) -> None:
    HELP_SCENES["about"](store, window)
    shown = about_dialog(window)
    assert f"Wherry {VERSION}" in shown.versions.text()
    assert "Docker engine 28" in shown.versions.text()
    assert shown.focusWidget() is not shown.copy, "Enter closes it"
    shown.copy.click()
    assert QGuiApplication.clipboard().text() == shown.versions.text()


def test_topics_are_found_by_the_search_of_everything(store: AppStore, window: MainWindow) -> None:
    found = find(store, window._palette_entries(), "checkpoints")
    entry = next(entry for entry in found if entry.key == "help:checkpoints")
    entry.run()
    assert help_window(window).topic == "checkpoints"
