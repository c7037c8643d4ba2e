"""The Help menu: the manual, keyboard shortcuts, reporting a problem, and About."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.features.help.about import AboutDialog
from app.features.help.window import HelpWindow
from app.frame.palette_entries import PaletteEntry
from app.state.store import AppStore
from app.texts import _
from backend.api import help_topics

_Dialog = TypeVar("_Dialog", bound=QWidget)


@runtime_checkable
class Documented(Protocol):
    """A page with a separate help topic for each of its tabs."""

    @property
    def help_topic(self) -> str:
        """Name of the help topic about the open tab."""
        ...


class HelpMenu(QObject):
    """Opens the Help and About windows, at most one of each."""

    def __init__(
        self, store: AppStore, window: QWidget, page_topic: Callable[[], str], report: Callable[[], object]
    ) -> None:
        """Create the menu's actions.

        Args:
            window: the parent of the dialogs.
            page_topic: returns the name of the help topic about the open page.
            report: opens the place where a support bundle is created.
        """
        super().__init__(window)
        self._store = store
        self._window = window
        self._page_topic = page_topic
        self._report = report
        store.intents.show_help.connect(self.open)

    def fill(self, menu: QMenu) -> None:
        """Add the entries to a menu."""
        manual = menu.addAction(_("Wherry help"), QKeySequence(QKeySequence.StandardKey.HelpContents))
        manual.triggered.connect(lambda _checked=False: self.open(""))
        keys = menu.addAction(_("Keyboard shortcuts"))
        keys.triggered.connect(lambda _checked=False: self.open("keyboard-shortcuts"))
        menu.addSeparator()
        menu.addAction(_("Report a problem…")).triggered.connect(lambda _checked=False: self._report())
        menu.addSeparator()
        about = menu.addAction(_("About Wherry"))
        about.triggered.connect(lambda _checked=False: self.open_about())
        about.setMenuRole(QAction.MenuRole.AboutRole)

    def open(self, name: str) -> None:
        """Open a help topic; "" for the open page's topic."""
        help_window = self._open_one(HelpWindow) or HelpWindow(self._store, self._window)
        help_window.show_topic(name or self._page_topic())
        _raise(help_window)

    def open_about(self) -> None:
        """Open the About window."""
        _raise(self._open_one(AboutDialog) or AboutDialog(self._store, self._window))

    def rebuild(self) -> None:
        """Recreate an open Help window for another language or zoom; the About window is closed."""
        for dialog in (self._open_one(AboutDialog), self._open_one(HelpWindow)):
            if dialog is not None:
                dialog.close()
                if isinstance(dialog, HelpWindow):
                    self.open(dialog.topic)

    def entries(self) -> list[PaletteEntry]:
        """The menu's entries for the palette."""
        kind = _("Help")
        return [
            *(
                PaletteEntry(
                    f"help:{one.name}",
                    one.title,
                    kind,
                    "help-circle-outline",
                    partial(self.open, one.name),
                    one.summary,
                )
                for one in help_topics()
            ),
            PaletteEntry("help.report", _("Report a problem…"), kind, "bug-outline", self._report),
            PaletteEntry("help.about", _("About Wherry"), kind, "information-outline", self.open_about),
        ]

    def _open_one(self, kind: type[_Dialog]) -> _Dialog | None:
        # A closed dialog may not be deleted yet.
        return next((child for child in self._window.findChildren(kind) if child.isVisible()), None)


def _raise(dialog: QWidget) -> None:
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
