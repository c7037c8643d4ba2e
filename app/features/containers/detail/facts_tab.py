"""The tab with a container's mounts, variables, networks and labels. Values that look like secrets are masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.data.store import DetailStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.figures import size
from app.ui.masking import MASK, is_secret
from app.ui.safe_text import tooltip
from app.ui.widgets import MONOSPACE
from backend.api import ContainerDetails, Problem

_VALUE: Final = Qt.ItemDataRole.UserRole


class Fact(NamedTuple):
    """A name and its value."""

    name: str
    value: str
    is_secret: bool = False


class FactsTab(QWidget):
    """A tree of sections with name and value."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._shown: tuple[tuple[str, tuple[Fact, ...]], ...] = ()
        self._problem = ProblemView(store)
        self.filter = QLineEdit(placeholderText=_("Filter by name or value"), clearButtonEnabled=True)
        self.filter.setAccessibleName(_("Filter by name or value"))
        self.filter.textChanged.connect(lambda _text: self._filter())
        self.reveal = QCheckBox(_("Show hidden values"))
        self.reveal.setAccessibleName(_("Show hidden values"))
        self.reveal.toggled.connect(lambda _on: self._fill())
        self.tree = QTreeWidget()
        self.tree.setObjectName("facts")
        self.tree.setAccessibleName(_("Mounts & environment"))
        self.tree.setHeaderLabels([_("Name"), _("Value")])
        self.tree.setTabKeyNavigation(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._menu)
        header = self.tree.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(0, theme.px(280))
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.tree, self._copy_value).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        bar = QHBoxLayout()
        bar.addWidget(self.filter, 1)
        bar.addWidget(self.reveal)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        column.setSpacing(theme.px(10))
        column.addWidget(self._problem)
        column.addLayout(bar)
        column.addWidget(self.tree, 1)
        store.part(DetailStore).details_changed.connect(self._show)

    def show_container(self, container_id: str) -> None:  # noqa: ARG002 -- what is shown comes with the details
        """Show another container, with all secrets masked."""
        self.reveal.setChecked(False)
        self.filter.clear()
        self._show()

    def focus_search(self) -> None:
        """Focus the filter field."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show(self) -> None:
        answer = self._store.part(DetailStore).details
        self._problem.show_problem(answer if isinstance(answer, Problem) else None)
        shown = sections(answer) if isinstance(answer, ContainerDetails) else ()
        if shown != self._shown:
            self._shown = shown
            self._fill()

    def _fill(self) -> None:
        self.tree.clear()
        font = self.tree.font()
        font.setFamilies(MONOSPACE)
        for title, facts in self._shown:
            section = QTreeWidgetItem([title, "" if facts else _("none")])
            bold = self.tree.font()
            bold.setBold(True)
            section.setFont(0, bold)
            self.tree.addTopLevelItem(section)
            for fact in facts:
                hidden = fact.is_secret and not self.reveal.isChecked()
                row = QTreeWidgetItem([fact.name, MASK if hidden else fact.value])
                row.setFont(1, font)
                row.setData(1, _VALUE, fact.value)
                row.setToolTip(0, tooltip(fact.name))
                row.setToolTip(1, tooltip(_("Hidden because it may contain a secret") if hidden else fact.value))
                section.addChild(row)
        self.tree.expandAll()
        self._filter()

    def _filter(self) -> None:
        needle = self.filter.text().casefold()
        for number in range(self.tree.topLevelItemCount()):
            section = self.tree.topLevelItem(number)
            if section is None:
                continue
            shown_count = 0
            for at in range(section.childCount()):
                row = section.child(at)
                assert row is not None
                # Masked values are not searched: the filter would reveal them letter by letter.
                matches = needle in row.text(0).casefold() or (row.text(1) != MASK and needle in row.text(1).casefold())
                row.setHidden(not matches)
                shown_count += matches
            section.setHidden(bool(needle) and not shown_count)

    def _menu(self, point: QPoint) -> None:
        item = self.tree.itemAt(point) or self.tree.currentItem()
        if item is None or item.parent() is None:
            return
        menu = QMenu(self.tree)
        menu.addAction(_("Copy value"), self._copy_value)
        menu.addAction(_("Copy name and value"), self._copy_line)
        menu.exec(self.tree.viewport().mapToGlobal(point))
        menu.deleteLater()

    def _copy_value(self) -> None:
        item = self.tree.currentItem()
        if item is not None and item.parent() is not None:
            QGuiApplication.clipboard().setText(str(item.data(1, _VALUE)))

    def _copy_line(self) -> None:
        item = self.tree.currentItem()
        if item is not None and item.parent() is not None:
            QGuiApplication.clipboard().setText(f"{item.text(0)}={item.data(1, _VALUE)}")


def sections(details: ContainerDetails) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    """The sections to show: title and facts of each."""
    variables = (Fact(name, value, is_secret(name, value)) for name, value in details.environment)
    labels = (Fact(name, value) for name, value in sorted(details.labels.items()))
    return (
        (_("Mounts"), tuple(_mounts(details))),
        (_("Environment"), tuple(variables)),
        (_("Networks"), tuple(_networks(details))),
        (_("Runtime"), tuple(_process(details))),
        (_("Labels"), tuple(labels)),
    )


def _mounts(details: ContainerDetails) -> Iterator[Fact]:
    for mount in details.mounts:
        access = _("read-write") if mount.writable else _("read-only")
        yield Fact(mount.destination, f"{mount.kind}  {mount.source}  ({access})".replace("    ", "  "))


def _networks(details: ContainerDetails) -> Iterator[Fact]:
    if not details.networks and details.network_mode:
        yield Fact(_("Mode"), details.network_mode)
    for network in details.networks:
        yield Fact(network.name, _joined((network.ip_address, network.ipv6_address)) or _("no address while stopped"))
        for name, value in (
            (_("gateway"), network.gateway),
            (_("MAC address"), network.mac_address),
            (_("aliases"), _joined(network.aliases)),
        ):
            if value:
                yield Fact(f"{network.name}: {name}", value)


def _process(details: ContainerDetails) -> Iterator[Fact]:
    limits = details.limits
    unlimited = _("Unlimited")
    for name, value in (
        (_("Entrypoint"), " ".join(details.entrypoint)),
        (_("Command"), " ".join(details.command)),
        (_("Working directory"), details.working_directory or "/"),
        (_("User"), details.user or "root"),
        (_("Hostname"), details.hostname),
        (_("Restart policy"), details.restart_policy),
        (_("Automatic restarts"), str(details.run.restart_count)),
        (_("Memory limit"), size(limits.memory_bytes) if limits.memory_bytes else unlimited),
        (_("CPU limit"), f"{limits.cpus:g}" if limits.cpus else unlimited),
        (_("Process limit"), str(limits.pids) if limits.pids else unlimited),
        (_("Privileged"), _("yes") if details.privileged else ""),
        (_("Created"), details.created_at),
        (_("Last started"), details.run.started_at),
        (_("Last stopped"), details.run.finished_at if not details.run.state.is_up else ""),
        (_("Image ID"), details.image_id),
    ):
        if value:
            yield Fact(name, value)


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(part for part in parts if part)
