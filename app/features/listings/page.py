"""The pages of images, volumes and networks: tables with sizes and the containers that use them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QAction, QGuiApplication, QHideEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.features.listings.store import ListingStore
from app.features.problems.problem import ProblemView
from app.links.link_state import LinkState
from app.state.machine_actions import refusal, start_label
from app.state.store import AppStore
from app.texts import _, message, ngettext, say
from app.ui import figures, icons, theme
from app.ui.empty import EmptyState
from app.ui.figures import NOTHING
from app.ui.tables.listing_model import ListingFilter, ListingModel, TableColumn
from app.ui.tables.listing_table import ListingTable
from app.ui.widgets import FilterField, button, label
from backend.api import ImageEntry, NetworkEntry, Phase, VolumeEntry

_NAMES_SHOWN: Final = 40
"""Maximum number of container names in a tool tip."""
_TITLES: Final = {"images": message("Images"), "volumes": message("Volumes"), "networks": message("Networks")}
_EMPTY: Final = {
    "images": (
        message("No images yet"),
        message("Images are pulled automatically when you run a container. To pull one yourself:"),
    ),
    "volumes": (message("No volumes yet"), message("Volumes keep data after a container is removed. To create one:")),
    "networks": (
        message("No networks"),
        message("The Docker engine creates its default networks when it starts. To create another:"),
    ),
}
"""Title and text for an empty list, followed by an example command."""


class ListingView(QWidget):
    """Base class of the three pages. The list is loaded while the page is visible."""

    def __init__(self, store: AppStore, kind: str, glyph: str, columns: Sequence[TableColumn]) -> None:
        super().__init__()
        self.setObjectName("page")
        self._store = store
        self._kind = kind
        self._title = say(_TITLES[kind])
        self._glyph = glyph
        self.model = ListingModel(columns, self)
        self.proxy = ListingFilter(self.model, self)
        self.table = ListingTable(self.model.columns)
        self.filter = FilterField(_("Filter"), _("Filter {what}", what=self._title))
        self.empty = EmptyState()
        self.problem = ProblemView(store)
        self._count = label("", "muted")
        self._stack = QStackedWidget()
        self._make_table()
        self._lay_out()
        store.part(ListingStore).changed.connect(self._on_changed)
        store.engine_changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    @property
    def selected(self) -> list[Any]:
        """The selected entries, in display order."""
        return self.table.selected

    def focus_search(self) -> None:
        """Focus the filter field."""
        self.filter.go_to()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        entries = self._store.part(ListingStore).entries(self._kind)
        if entries is not None and tuple(entries) != self.model.rows:
            self.table.show_rows(entries)
        elif entries is None and self.model.rows:
            self.model.show(())
        self._show_state()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._store.intents.watch_listing.emit(self._kind, True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._store.intents.watch_listing.emit(self._kind, False)

    def _on_changed(self, kind: str) -> None:
        if kind == self._kind:
            self.refresh()

    def _show_state(self) -> None:
        store = self._store
        entries = store.part(ListingStore).entries(self._kind)
        problem = store.part(ListingStore).problem(self._kind)
        again = [(_("Try again"), store.intents.refresh.emit)]
        self.problem.show_problem(problem if store.engine_link is LinkState.UP else None, again)
        total = len(entries) if entries is not None else 0
        self._count.setText(_counted(self._kind, total) if total else "")
        self.filter.setEnabled(bool(total))
        if self.proxy.rowCount():
            self._stack.setCurrentWidget(self.table)
            return
        self._stack.setCurrentWidget(self.empty)
        self._show_empty(is_known=entries is not None, total=total)

    def _show_empty(self, *, is_known: bool, total: int) -> None:
        store, picture = self._store, icons.glyph(self._glyph, theme.current().muted)
        if total:
            clear = (_("Clear filter"), self.filter.clear)
            self.empty.show_state(picture, _("No matches"), _("Nothing matches the filter."), action=clear)
        elif is_known:
            title, text = (say(part) for part in _EMPTY[self._kind])
            self.empty.show_state(picture, title, text, command=_COMMANDS[self._kind])
        elif store.phase in (Phase.STOPPED, Phase.FAILED, Phase.SUSPENDED):
            start = (start_label(store), store.intents.start_machine.emit) if not refusal(store) else None
            if store.phase is Phase.SUSPENDED:
                title, text = _("Wherry is suspended"), _("Resume to see your images, volumes and networks.")
            else:
                title, text = (
                    _("The machine is stopped"),
                    _("Start the machine to see your images, volumes and networks."),
                )
            self.empty.show_state(picture, title, text, action=start)
        else:
            up = store.engine_link is LinkState.UP
            text = _("Loading…") if up else _("Waiting for the Docker engine…")
            self.empty.show_state(picture, _("Loading"), text, progress=(0, 0))

    def _make_table(self) -> None:
        table = self.table
        table.setAccessibleName(self._title)
        table.setModel(self.proxy)
        table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        for name, glyph, shortcut, take in (
            (_("Copy name"), "content-copy", "Ctrl+C", lambda entry: entry.name),
            (_("Copy ID"), "identifier", "Ctrl+Shift+C", lambda entry: entry.id),
        ):
            if self._kind == "volumes" and glyph == "identifier":
                continue  # a volume has only a name
            action = QAction(icons.glyph(glyph), name, table)
            action.setShortcut(QKeySequence(shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            action.triggered.connect(lambda _checked=False, take=take: self._copy(take))
            table.addAction(action)
        table.customContextMenuRequested.connect(self._open_menu)

    def _copy(self, take: Callable[[Any], str]) -> None:
        if self.selected:
            QGuiApplication.clipboard().setText("\n".join(take(entry) for entry in self.selected))

    def _open_menu(self, at: QPoint) -> None:
        if not self.selected:
            return
        menu = QMenu(self)
        menu.addActions(self.table.actions())
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.table.viewport().mapToGlobal(at))

    def _lay_out(self) -> None:
        self.filter.textChanged.connect(self._filter)
        self.filter.left.connect(self.table.enter)
        self._head = head = QHBoxLayout()
        head.addWidget(label(self._title, "title"))
        head.addSpacing(theme.px(8))
        head.addWidget(self._count)
        head.addStretch(1)
        head.addWidget(self.filter, 1)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(16))
        column.setSpacing(theme.px(12))
        column.addLayout(head)
        column.addWidget(self.problem)
        column.addWidget(self._stack, 1)

    def _filter(self) -> None:
        self.proxy.set_filter(self.filter.text())
        self._show_state()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_stack"):
            self._show_state()


def _counted(kind: str, count: int) -> str:
    match kind:
        case "images":
            return ngettext("{count} image", "{count} images", count)
        case "volumes":
            return ngettext("{count} volume", "{count} volumes", count)
        case _:
            return ngettext("{count} network", "{count} networks", count)


def _used(entry: Any) -> str:
    return ngettext("{count} container", "{count} containers", len(entry.used_by)) if entry.used_by else _("unused")


def _users(entry: Any) -> str:
    more = len(entry.used_by) - _NAMES_SHOWN
    names = list(entry.used_by[:_NAMES_SHOWN])
    return "\n".join([*names, _("+{count} more", count=more)] if more > 0 else names) or _("unused")


def _created(entry: Any) -> str:
    return figures.ago(time.time() - entry.created) if entry.created is not None else ""


def _created_on(entry: Any) -> str:
    return figures.moment(entry.created) if entry.created is not None else ""


def _created_column(share: float) -> TableColumn:
    return TableColumn(message("Created"), share, 125, _created, lambda entry: -(entry.created or 0.0), _created_on)


def _used_column(share: float) -> TableColumn:
    return TableColumn(message("Used by"), share, 105, _used, lambda entry: len(entry.used_by), _users)


class ImagesView(ListingView):
    """The page of images."""

    def __init__(self, store: AppStore) -> None:
        def repository(entry: ImageEntry) -> str:
            return entry.repository or "<none>"

        columns = (
            TableColumn(message("Repository"), 0.3, 190, repository),
            TableColumn(message("Tag"), 0.15, 90, lambda entry: entry.tag or NOTHING),
            TableColumn(message("ID"), 0.14, 115, lambda entry: entry.short_id, tip=lambda entry: entry.id),
            _created_column(0.17),
            TableColumn(
                message("Size"),
                0.1,
                80,
                lambda entry: figures.size(entry.size_bytes),
                lambda entry: entry.size_bytes,
            ),
            _used_column(0.14),
        )
        super().__init__(store, "images", "layers-outline", columns)
        self.why = button(
            _("Why can't I pull?"),
            lambda: store.intents.check_network.emit(""),
            None,
            _(
                "Tests each step of an image pull, from this computer and from the machine, and "
                "suggests fixes. Nothing is changed."
            ),
        )
        self._head.addWidget(self.why)


class VolumesView(ListingView):
    """The page of volumes."""

    def __init__(self, store: AppStore) -> None:
        sizes = store.part(ListingStore)

        def size(entry: VolumeEntry) -> str:
            count = sizes.volume_sizes.get(entry.name)
            return figures.size(count) if count is not None else NOTHING

        def name(entry: VolumeEntry) -> str:
            return _("{name}… (anonymous)", name=entry.name[:12]) if entry.is_anonymous else entry.name

        columns = (
            TableColumn(message("Name"), 0.35, 190, name, tip=lambda entry: entry.name),
            TableColumn(message("Driver"), 0.11, 80, lambda entry: entry.driver),
            TableColumn(message("Project"), 0.13, 85, lambda entry: entry.project or NOTHING),
            _created_column(0.17),
            TableColumn(message("Size"), 0.1, 80, size, lambda entry: sizes.volume_sizes.get(entry.name, -1)),
            _used_column(0.14),
        )
        super().__init__(store, "volumes", "database-outline", columns)

    def refresh(self) -> None:
        """Update the widgets from the store; sizes may arrive after the list."""
        super().refresh()
        if self.model.rows:
            last = self.model.index(len(self.model.rows) - 1, len(self.model.columns) - 1)
            self.model.dataChanged.emit(self.model.index(0, 0), last)


class NetworksView(ListingView):
    """The page of networks."""

    def __init__(self, store: AppStore) -> None:
        def subnets(entry: NetworkEntry) -> str:
            return ", ".join(entry.subnets) or NOTHING

        columns = (
            TableColumn(message("Name"), 0.22, 190, lambda entry: entry.name),
            TableColumn(message("Driver"), 0.1, 80, lambda entry: entry.driver),
            TableColumn(message("Scope"), 0.08, 75, lambda entry: entry.scope),
            TableColumn(message("Subnet"), 0.16, 125, subnets),
            TableColumn(message("ID"), 0.14, 115, lambda entry: entry.id[:12], tip=lambda entry: entry.id),
            _created_column(0.17),
            _used_column(0.13),
        )
        super().__init__(store, "networks", "lan", columns)


_COMMANDS: Final = {
    "images": "docker pull nginx",
    "volumes": "docker volume create data",
    "networks": "docker network create backend",
}
