"""The actions on containers: a QAction for each, used by shortcuts, menus, row buttons and the selection bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from app import texts
from app.features.containers.list.dialogs import confirm_removal, open_rename_dialog
from app.features.containers.list.rows import is_startable
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.texts import _, message, pgettext, say
from app.ui import icons
from app.ui.ports import port_links
from app.ui.safe_text import menu_text
from backend.api import Container, ContainerAction, ContainerState


class _Kind(NamedTuple):
    """Description of one action."""

    glyph: str
    shortcut: str
    applies: Callable[[Container], bool]


KINDS: Final = {
    ContainerAction.START: _Kind("play", "Ctrl+Return", is_startable),
    ContainerAction.STOP: _Kind("stop", "Ctrl+.", lambda entry: entry.state.is_up),
    ContainerAction.RESTART: _Kind("restart", "Ctrl+R", lambda entry: entry.state.is_up),
    ContainerAction.PAUSE: _Kind("pause", "Ctrl+P", lambda entry: entry.state is ContainerState.RUNNING),
    ContainerAction.UNPAUSE: _Kind("play-pause", "Ctrl+Shift+P", lambda entry: entry.state is ContainerState.PAUSED),
    ContainerAction.KILL: _Kind("close-octagon-outline", "Ctrl+Shift+K", lambda entry: entry.state.is_up),
    ContainerAction.REMOVE: _Kind("trash-can-outline", "Del", lambda _entry: True),
}
PAGES: Final = {
    "logs": (message("Logs"), "text-box-outline", "Ctrl+L"),
    "inspect": (message("Inspect"), "code-json", "Ctrl+I"),
    "terminal": (message("Terminal"), "console", "Ctrl+T"),
    "files": (message("Files"), "folder-outline", "Ctrl+E"),
    "stats": (message("Stats"), "chart-line", ""),
}
"""Tabs of a container's page that have their own action: label, icon and shortcut."""
_NEEDS_RUNNING: Final = frozenset({"terminal"})


class ContainerActions(QObject):
    """The actions of one list. `target` returns the containers to act on."""

    def __init__(self, store: AppStore, owner: QWidget, target: Callable[[], Sequence[Container]]) -> None:
        """Create the actions; their shortcuts work while `owner` has the focus."""
        super().__init__(owner)
        self._store = store
        self._owner = owner
        self._target = target
        self.open = self._action(pgettext("verb", "Open"), "arrow-right", "Return", partial(self._open, ""))
        self.pages = {
            tab: self._action(say(title), glyph, key, partial(self._open, tab))
            for tab, (title, glyph, key) in PAGES.items()
        }
        self.by_kind = {
            kind: self._action(texts.action(kind), glyph, key, partial(self._request_for_target, kind))
            for kind, (glyph, key, _applies) in KINDS.items()
        }
        self.rename = self._action(_("Rename"), "form-textbox", "F2", self._rename)
        self.edit = self._action(_("Edit and recreate"), "pencil-outline", "Ctrl+Shift+E", self._edit)
        self.copy_run = self._action(_("Copy as docker run"), "content-copy", "Ctrl+Shift+C", self._copy_run)
        self.copy_id = self._copying(_("Copy ID"), "Ctrl+C", lambda entry: entry.id)
        self.copy_name = self._copying(_("Copy name"), "", lambda entry: entry.name)
        self.copy_image = self._copying(_("Copy image name"), "", lambda entry: entry.image)
        self.enable()

    @property
    def all(self) -> list[QAction]:
        """All actions in the order of the menu."""
        return [
            *(self.open, *self.pages.values(), *self.by_kind.values()),
            *(self.rename, self.edit, self.copy_name, self.copy_id, self.copy_image, self.copy_run),
        ]

    def enable(self) -> None:
        """Enable the actions that apply to the target now."""
        target = self._target()
        free = self._store.is_free
        can = self._store.engine_link is LinkState.UP
        for kind, action in self.by_kind.items():
            action.setEnabled(can and any(KINDS[kind].applies(entry) and free(entry.id, kind) for entry in target))
        single = target[0] if len(target) == 1 else None
        self.open.setEnabled(single is not None)
        for tab, action in self.pages.items():
            action.setEnabled(single is not None and (tab not in _NEEDS_RUNNING or single.state.is_up))
        for action in (self.rename, self.edit):
            action.setEnabled(can and single is not None)
        for action in (self.copy_id, self.copy_name, self.copy_image):
            action.setEnabled(bool(target))
        self.copy_run.setEnabled(can and bool(target))

    def recolour(self) -> None:
        """Update the icons after a change of the theme."""
        for action in self.all:
            action.setIcon(icons.glyph(action.data()))

    def request(self, kind: ContainerAction, containers: Sequence[Container]) -> None:
        """Apply an action to those containers that it fits; removing asks for confirmation first."""
        free = self._store.is_free
        chosen = [entry for entry in containers if KINDS[kind].applies(entry) and free(entry.id, kind)]
        if not chosen or self._store.engine_link is not LinkState.UP:
            return
        if kind is ContainerAction.REMOVE:
            confirm_removal(self._owner, chosen, self._act)
        else:
            self._act(tuple(entry.id for entry in chosen), kind)

    def build_menu(self) -> QMenu:
        """The context menu for the target, without actions that do not apply."""
        menu = QMenu(self._owner)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        target = self._target()
        if len(target) == 1:
            menu.addAction(self.open)
            menu.setDefaultAction(self.open)
            menu.addActions([action for action in self.pages.values() if action.isEnabled()])
            for link in port_links(target[0]):
                if link.url is not None:
                    opens = menu.addAction(icons.glyph("open-in-new"), _("Open {url}", url=link.url))
                    opens.triggered.connect(lambda _=False, url=link.url: self._store.intents.open_url.emit(url))
            menu.addSeparator()
        menu.addActions([action for action in self.by_kind.values() if action.isEnabled()])
        menu.addSeparator()
        if len(target) == 1:
            menu.addActions([self.rename, self.edit])
            menu.addSeparator()
        menu.addActions([self.copy_name, self.copy_id, self.copy_image, self.copy_run])
        return menu

    def _action(self, text: str, glyph: str, shortcut: str, triggered: Callable[[], None]) -> QAction:
        action = QAction(icons.glyph(glyph), menu_text(text), self)
        action.setData(glyph)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
            # Del and Enter belong to the table: in the filter field they have another meaning.
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.triggered.connect(lambda _checked=False: triggered())
        self._owner.addAction(action)
        return action

    def _copying(self, text: str, shortcut: str, value: Callable[[Container], str]) -> QAction:
        def copy() -> None:
            QGuiApplication.clipboard().setText("\n".join(value(entry) for entry in self._target()))

        return self._action(text, "content-copy", shortcut, copy)

    def _request_for_target(self, kind: ContainerAction) -> None:
        self.request(kind, self._target())

    def _act(self, container_ids: tuple[str, ...], kind: ContainerAction) -> None:
        self._store.intents.act_on_containers.emit(container_ids, kind)

    def _open(self, tab: str) -> None:
        if len(target := self._target()) == 1:
            self._store.intents.open_container.emit(target[0].id, tab)

    def _rename(self) -> None:
        if len(target := self._target()) == 1:
            open_rename_dialog(self._owner, self._store, target[0])

    def _edit(self) -> None:
        if len(target := self._target()) == 1:
            self._store.intents.edit_container.emit(target[0].id)

    def _copy_run(self) -> None:
        self._store.intents.copy_as_run.emit(tuple(entry.id for entry in self._target()))
