"""Scenes of the Help and About windows."""

from __future__ import annotations

from collections.abc import Callable

from app.features.help.about import AboutDialog
from app.features.help.window import HelpWindow
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from backend.model import Phase
from tests.gui.scenes import samples

Scene = Callable[[AppStore, MainWindow], None]


def help_window(window: MainWindow) -> HelpWindow:
    """The one that is open."""
    (found,) = [found for found in window.findChildren(HelpWindow) if found.isVisible()]
    return found


def about_dialog(window: MainWindow) -> AboutDialog:
    """The one that is open."""
    (found,) = [found for found in window.findChildren(AboutDialog) if found.isVisible()]
    return found


def _running(store: AppStore) -> None:
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.RUNNING))
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())


def _topic(name: str, typed: str = "") -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        _running(store)
        store.intents.show_help.emit(name)
        help_window(window).search.setText(typed)

    return show


def _about(store: AppStore, window: MainWindow) -> None:
    _running(store)
    window.open_about()


HELP_SCENES: dict[str, Scene] = {
    "help": _topic(""),
    "help-keys": _topic("keyboard-shortcuts"),
    "help-found": _topic("troubleshooting", "proxy"),
    "help-nothing": _topic("settings", "qqqq"),
    "about": _about,
}
