"""What can be done with containers: one list for the row's menu, the menu of a container's page, the menu bar, the
shortcuts and the palette.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QWidget

from app import texts
from app.features.containers.actions.commit_dialog import CommitDialog
from app.features.containers.actions.dialogs import confirm_removal, open_rename_dialog
from app.features.containers.data.store import DetailStore
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.texts import Message, _, message, message_in, say
from backend.api import Container, ContainerAction, ContainerState

Target = Sequence[Container]


class Section(IntEnum):
    """The sections of a menu, in their order."""

    OPEN = 0
    STATE = 1
    CHANGE = 2
    COPY = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One action."""

    name: str
    """Stable; identifies it in the preferences."""
    title: Message | ContainerAction
    glyph: str
    shortcut: str
    section: Section
    applies: Callable[[AppStore, Target], bool]
    """Whether it can be done now with these containers."""
    run: Callable[[AppStore, QWidget, Target], object]
    """Does it; dialogs belong to the widget."""

    @property
    def text(self) -> str:
        """The label."""
        return texts.action(self.title) if isinstance(self.title, ContainerAction) else say(self.title)


@dataclass(frozen=True, slots=True)
class _Kind:
    glyph: str
    shortcut: str
    applies: Callable[[Container], bool]


def is_startable(container: Container) -> bool:
    """Whether Start applies to the container."""
    return container.state in (ContainerState.CREATED, ContainerState.EXITED, ContainerState.DEAD)


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


def fitting(store: AppStore, kind: ContainerAction, containers: Target) -> list[Container]:
    """Those of the containers that an action can be applied to now."""
    if store.engine_link is not LinkState.UP:
        return []
    return [entry for entry in containers if KINDS[kind].applies(entry) and store.is_free(entry.id, kind)]


def request(store: AppStore, owner: QWidget, containers: Target, kind: ContainerAction) -> None:
    """Apply an action to those containers that it fits; removing asks for confirmation first."""
    chosen = fitting(store, kind, containers)
    if not chosen:
        return

    def act(container_ids: tuple[str, ...], kind: ContainerAction) -> None:
        store.intents.act_on_containers.emit(container_ids, kind)

    if kind is ContainerAction.REMOVE:
        confirm_removal(owner, chosen, act)
    else:
        act(tuple(entry.id for entry in chosen), kind)


def _one(store: AppStore, containers: Target) -> bool:
    del store
    return len(containers) == 1


def _some(store: AppStore, containers: Target) -> bool:
    del store
    return bool(containers)


def _one_and_engine(store: AppStore, containers: Target) -> bool:
    return len(containers) == 1 and store.engine_link is LinkState.UP


def _some_and_engine(store: AppStore, containers: Target) -> bool:
    return bool(containers) and store.engine_link is LinkState.UP


def _can_open(tab: str, store: AppStore, containers: Target) -> bool:
    return _one(store, containers) and (tab not in _NEEDS_RUNNING or containers[0].state.is_up)


def _open(tab: str, store: AppStore, _owner: QWidget, containers: Target) -> None:
    store.intents.open_container.emit(containers[0].id, tab)


def _applies(kind: ContainerAction, store: AppStore, containers: Target) -> bool:
    return bool(fitting(store, kind, containers))


def _request(kind: ContainerAction, store: AppStore, owner: QWidget, containers: Target) -> None:
    request(store, owner, containers, kind)


def _rename(store: AppStore, owner: QWidget, containers: Target) -> None:
    open_rename_dialog(owner, store, containers[0])


def _edit(store: AppStore, _owner: QWidget, containers: Target) -> None:
    store.intents.edit_container.emit(containers[0].id)


def _commit(store: AppStore, owner: QWidget, containers: Target) -> None:
    container = containers[0]
    dialog = CommitDialog(container, owner)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def chosen(name: str, text: str, pause: bool) -> None:
        # Its page shows how far it is.
        store.intents.show_container.emit(container.id)
        store.part(DetailStore).intents.commit.emit(container.id, name, text, pause)

    dialog.chosen.connect(chosen)
    dialog.open()


def _export(store: AppStore, owner: QWidget, containers: Target) -> None:
    container = containers[0]
    dialog = QFileDialog(owner, _("Export container files"), "", _("Tar archives (*.tar)"))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix("tar")
    dialog.selectFile(f"{container.name.replace('/', '_')}.tar")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def chosen(path: str) -> None:
        store.intents.show_container.emit(container.id)
        store.part(DetailStore).intents.export.emit(container.id, Path(path))

    dialog.fileSelected.connect(chosen)
    dialog.open()


def _copy(value: Callable[[Container], str], _store: AppStore, _owner: QWidget, containers: Target) -> None:
    QGuiApplication.clipboard().setText("\n".join(value(entry) for entry in containers))


def _copy_run(store: AppStore, _owner: QWidget, containers: Target) -> None:
    store.intents.copy_as_run.emit(tuple(entry.id for entry in containers))


ENTRIES: Final = (
    Entry("open", message_in("verb", "Open"), "arrow-right", "Return", Section.OPEN, _one, partial(_open, "")),
    *(
        Entry(tab, title, glyph, key, Section.OPEN, partial(_can_open, tab), partial(_open, tab))
        for tab, (title, glyph, key) in PAGES.items()
    ),
    *(
        Entry(
            kind.value,
            kind,
            look.glyph,
            look.shortcut,
            Section.STATE,
            partial(_applies, kind),
            partial(_request, kind),
        )
        for kind, look in KINDS.items()
    ),
    Entry("rename", message("Rename"), "form-textbox", "F2", Section.CHANGE, _one_and_engine, _rename),
    Entry(
        "edit",
        message("Edit and recreate"),
        "pencil-outline",
        "Ctrl+Shift+E",
        Section.CHANGE,
        _one_and_engine,
        _edit,
    ),
    Entry(
        "commit",
        message("Commit to image…"),
        "package-variant-closed",
        "",
        Section.CHANGE,
        _one_and_engine,
        _commit,
    ),
    Entry(
        "export",
        message("Export to tar file…"),
        "archive-arrow-down-outline",
        "",
        Section.CHANGE,
        _one_and_engine,
        _export,
    ),
    Entry(
        "copy-name", message("Copy name"), "content-copy", "", Section.COPY, _some, partial(_copy, lambda one: one.name)
    ),
    Entry(
        "copy-id", message("Copy ID"), "content-copy", "Ctrl+C", Section.COPY, _some, partial(_copy, lambda one: one.id)
    ),
    Entry(
        "copy-image",
        message("Copy image name"),
        "content-copy",
        "",
        Section.COPY,
        _some,
        partial(_copy, lambda one: one.image),
    ),
    Entry(
        "copy-run",
        message("Copy as docker run"),
        "content-copy",
        "Ctrl+Shift+C",
        Section.COPY,
        _some_and_engine,
        _copy_run,
    ),
)
"""All actions in the order of the menus."""
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}
