"""A QAction for each entry of `entries`, for one place that has containers to act on: a list, or a container's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app.features.containers.actions.entries import ENTRIES, KINDS, PAGES, Entry, Section, request
from app.state.store import AppStore
from app.texts import _
from app.ui import icons
from app.ui.ports import port_links
from app.ui.safe_text import menu_text
from backend.api import Container, ContainerAction


class ContainerActions(QObject):
    """The actions of one place. `target` returns the containers to act on."""

    def __init__(
        self,
        store: AppStore,
        owner: QWidget,
        target: Callable[[], Sequence[Container]],
        *,
        has_shortcuts: bool = True,
    ) -> None:
        """Create the actions.

        Args:
            store: the window's state.
            owner: the widget that dialogs belong to.
            target: returns the containers to act on.
            has_shortcuts: whether shortcuts work while `owner` has the focus.
        """
        super().__init__(owner)
        self._store = store
        self._owner = owner
        self._target = target
        self._has_shortcuts = has_shortcuts
        self.by_name = {entry.name: self._action(entry) for entry in ENTRIES}
        self.by_kind = {kind: self.by_name[kind.value] for kind in KINDS}
        self.pages = {tab: self.by_name[tab] for tab in PAGES}
        self.open = self.by_name["open"]
        self.enable()

    @property
    def all(self) -> list[QAction]:
        """All actions in the order of the menu."""
        return list(self.by_name.values())

    def enable(self) -> None:
        """Enable the actions that apply to the target now."""
        target = self._target()
        for entry in ENTRIES:
            self.by_name[entry.name].setEnabled(entry.applies(self._store, target))

    def recolour(self) -> None:
        """Update the icons after a change of the theme."""
        for action in self.all:
            action.setIcon(icons.glyph(action.data()))

    def request(self, kind: ContainerAction, containers: Sequence[Container]) -> None:
        """Apply an action to those containers that it fits; removing asks for confirmation first."""
        request(self._store, self._owner, containers, kind)

    def build_menu(self) -> QMenu:
        """The context menu for the target, without actions that do not apply."""
        menu = QMenu(self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill(menu)
        if self.open.isEnabled():
            menu.setDefaultAction(self.open)
        return menu

    def fill(self, menu: QMenu, *, from_section: Section = Section.OPEN) -> None:
        """Add the actions that apply to a menu, in sections, from one section on."""
        self.enable()
        target = self._target()
        for section in Section:
            if section < from_section:
                continue
            actions = [self.by_name[e.name] for e in ENTRIES if e.section is section]
            menu.addActions([action for action in actions if action.isEnabled()])
            if section is Section.OPEN and len(target) == 1:
                for link in port_links(target[0]):
                    if link.url is not None:
                        opens = menu.addAction(icons.glyph("open-in-new"), _("Open {url}", url=link.url))
                        opens.triggered.connect(partial(self._open_url, link.url))
            if section is not Section.COPY:
                menu.addSeparator()

    def _open_url(self, url: str, _checked: bool = False) -> None:
        self._store.intents.open_url.emit(url)

    def _action(self, entry: Entry) -> QAction:
        action = QAction(icons.glyph(entry.glyph), menu_text(entry.text), self)
        action.setData(entry.glyph)
        if entry.shortcut and self._has_shortcuts:
            action.setShortcut(QKeySequence(entry.shortcut))
            # Del and Enter belong to the table: in the filter field they have another meaning.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(partial(self._run, entry))
        if self._has_shortcuts:
            self._owner.addAction(action)
        return action

    def _run(self, entry: Entry, _checked: bool = False) -> None:
        target = self._target()
        if entry.applies(self._store, target):
            entry.run(self._store, self._owner, target)
