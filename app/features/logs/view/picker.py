"""Selection of containers for the logs page: a tree of Compose projects with checkboxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from app import texts
from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import button, label
from backend.api import Container

_ID_ROLE: Final = Qt.ItemDataRole.UserRole
_SETTLE_MS: Final = 250
"""Several boxes ticked in a row open one log, not several."""
_DOT: Final = 10


class ContainerPicker(QWidget):
    """Shows the store's containers; owns only the ticks."""

    chosen = Signal(tuple)
    """Ids in tree order. Emitted only for changes by the user, not when a container is removed."""

    def __init__(self, store: AppStore, ticked: Iterable[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._ticked = set(ticked)
        self._shown: tuple[object, ...] = ()
        self._filling = False
        self.filter = QLineEdit(clearButtonEnabled=True)
        self.tree = QTreeWidget()
        self.count = label("", "muted")
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(lambda: self.chosen.emit(self.ticked))
        self._lay_out()
        self.filter.textChanged.connect(lambda _words: self._apply_filter())
        self.tree.itemChanged.connect(self._on_item_changed)
        store.containers_changed.connect(self.refresh)
        self.refresh()

    @property
    def ticked(self) -> tuple[str, ...]:
        """The ids of ticked containers, in tree order."""
        return tuple(entry.id for entry in self._ordered() if entry.id in self._ticked)

    def tick(self, container_ids: Iterable[str]) -> None:
        """Tick only these containers, and emit `chosen` at once."""
        self._ticked = set(container_ids)
        self._show_ticks()
        self._settle.stop()
        self.chosen.emit(self.ticked)

    def refresh(self) -> None:
        """Update from the store."""
        containers = self._store.containers
        if containers is not None:
            self._ticked &= {entry.id for entry in containers}
        shown = tuple((e.id, e.name, e.compose_project, e.state, e.health) for e in containers or ())
        if shown == self._shown:
            return
        self._shown = shown
        self._fill()

    def recolour(self) -> None:
        """Update after the theme has changed."""
        self._fill()

    def _lay_out(self) -> None:
        self.filter.setPlaceholderText(_("Filter containers"))
        self.filter.setAccessibleName(_("Filter containers"))
        self.filter.addAction(icons.glyph("magnify"), QLineEdit.ActionPosition.LeadingPosition)
        self.tree.setObjectName("logpicker")
        self.tree.setHeaderHidden(True)
        self.tree.setAccessibleName(_("Containers to show logs from"))
        self.tree.setUniformRowHeights(True)
        self.tree.setIndentation(theme.px(16))
        self.tree.setIconSize(QSize(theme.px(_DOT), theme.px(_DOT)))
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.px(6))
        self.all = button(_("All"), lambda: self.tick(self._visible()))
        self.running = button(_("Running"), lambda: self.tick(self._visible(running=True)))
        self.none = button(_("None"), lambda: self.tick(()))
        for each in (self.all, self.running, self.none):
            buttons.addWidget(each)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(8))
        column.addWidget(self.filter)
        column.addLayout(buttons)
        column.addWidget(self.tree, 1)
        column.addWidget(self.count)

    def _ordered(self) -> list[Container]:
        return sorted(
            self._store.containers or (),
            key=lambda entry: (
                entry.compose_project is None,
                (entry.compose_project or "").lower(),
                entry.name.lower(),
            ),
        )

    def _visible(self, *, running: bool = False) -> list[str]:
        """The ids that match the filter."""
        words = self.filter.text().strip().lower()
        return [entry.id for entry in self._ordered() if _passes(entry, words) and (entry.state.is_up or not running)]

    def _fill(self) -> None:
        closed = {
            item.text(0)
            for at in range(self.tree.topLevelItemCount())
            if (item := self.tree.topLevelItem(at)) is not None and not item.isExpanded()
        }
        self._filling = True
        self.tree.clear()
        groups: dict[str | None, QTreeWidgetItem] = {}
        ordered = self._ordered()
        has_projects = any(entry.compose_project for entry in ordered)
        for entry in ordered:
            parent: QTreeWidget | QTreeWidgetItem = self.tree
            if has_projects:
                if entry.compose_project not in groups:
                    groups[entry.compose_project] = self._group(entry.compose_project)
                parent = groups[entry.compose_project]
            item = QTreeWidgetItem(parent, [entry.name])
            item.setData(0, _ID_ROLE, entry.id)
            item.setFlags(_LEAF)
            item.setCheckState(0, _state(entry.id in self._ticked))
            item.setIcon(0, _dot(theme.container_colour(theme.current(), entry.state, entry.health, entry.exit_code)))
            state = texts.container_state(entry.state)
            item.setToolTip(0, tooltip(f"{entry.name}\n{entry.image}\n{state}"))
            item.setData(0, Qt.ItemDataRole.AccessibleTextRole, f"{entry.name}, {state}")
        for group in groups.values():
            group.setExpanded(group.text(0) not in closed)
        self._filling = False
        self._apply_filter()
        self._show_count()

    def _group(self, project: str | None) -> QTreeWidgetItem:
        item = QTreeWidgetItem(self.tree, [project or _("Standalone")])
        item.setFlags(_GROUP)
        item.setToolTip(0, tooltip(item.text(0)))
        font = item.font(0)
        font.setBold(True)
        item.setFont(0, font)
        return item

    def _leaves(self) -> list[QTreeWidgetItem]:
        leaves: list[QTreeWidgetItem] = []
        for at in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(at)
            if top is None:
                continue
            children = [top.child(each) for each in range(top.childCount())]
            leaves += [top] if top.data(0, _ID_ROLE) else [child for child in children if child is not None]
        return leaves

    def _show_ticks(self) -> None:
        self._filling = True
        for item in self._leaves():
            item.setCheckState(0, _state(item.data(0, _ID_ROLE) in self._ticked))
        self._filling = False
        self._show_count()

    def _on_item_changed(self, item: QTreeWidgetItem) -> None:
        container_id = item.data(0, _ID_ROLE)
        if self._filling or container_id is None:
            return
        if item.checkState(0) is Qt.CheckState.Checked:
            self._ticked.add(container_id)
        else:
            self._ticked.discard(container_id)
        self._show_count()
        self._settle.start()

    def _apply_filter(self) -> None:
        visible = set(self._visible())
        for item in self._leaves():
            item.setHidden(item.data(0, _ID_ROLE) not in visible)
        for at in range(self.tree.topLevelItemCount()):
            top = self.tree.topLevelItem(at)
            if top is not None and not top.data(0, _ID_ROLE):
                children = [top.child(each) for each in range(top.childCount())]
                top.setHidden(all(child is None or child.isHidden() for child in children))

    def _show_count(self) -> None:
        self.count.setText(
            _("{chosen} of {total} selected", chosen=len(self._ticked), total=len(self._store.containers or ()))
        )


_LEAF: Final = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable
_GROUP: Final = _LEAF | Qt.ItemFlag.ItemIsAutoTristate


def _passes(entry: Container, words: str) -> bool:
    return not words or any(
        words in value.lower() for value in (entry.name, entry.image, entry.compose_project or "") if value
    )


def _state(ticked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked


def _dot(colour: str) -> QIcon:
    pixmap = QPixmap(2 * _DOT, 2 * _DOT)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(1, 1, 2 * _DOT - 2, 2 * _DOT - 2)
    painter.end()
    return QIcon(pixmap)
