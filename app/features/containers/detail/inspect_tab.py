"""The tab with the full output of `docker inspect` as a searchable tree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLineEdit, QMenu, QTreeView, QVBoxLayout, QWidget

from app.features.containers.data.store import DetailStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.safe_text import tooltip
from app.ui.widgets import MONOSPACE, CopyButton, IconButton, label
from backend.api import ContainerDetails, Problem, clean_text

_PATH: Final = Qt.ItemDataRole.UserRole
_VALUE: Final = Qt.ItemDataRole.UserRole + 1
_SHOWN_CHARS: Final = 2_000
_MAX_NODES: Final = 20_000
_MAX_DEPTH: Final = 40
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIRST_OPEN: Final = ("State",)


class InspectTab(QWidget):
    """The tree with its search field."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._raw: Any = None
        self._matches: list[QModelIndex] = []
        self._at = -1
        self.model = QStandardItemModel(0, 2, self)
        self.search = QLineEdit(placeholderText=_("Find"), clearButtonEnabled=True)
        self.search.setAccessibleName(_("Find"))
        self.search.textChanged.connect(self._find)
        self.search.returnPressed.connect(lambda: self._step(1))
        QShortcut(QKeySequence("Shift+Return"), self.search, lambda: self._step(-1)).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        self._count = label("", "muted")
        self.previous = IconButton("chevron-up", _("Previous match"), "Shift+F3")
        self.previous.clicked.connect(lambda _checked=False: self._step(-1))
        self.next = IconButton("chevron-down", _("Next match"), "F3")
        self.next.clicked.connect(lambda _checked=False: self._step(1))
        for keys, step in (("F3", 1), ("Shift+F3", -1)):
            shortcut = QShortcut(QKeySequence(keys), self, lambda step=step: self._step(step))
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._copy_all = CopyButton(lambda: _pretty(self._raw), _("Copy all as JSON"))
        self.tree = QTreeView()
        self.tree.setModel(self.model)
        self.tree.setAccessibleName(_("Inspect"))
        self.tree.setEditTriggers(QTreeView.EditTrigger.NoEditTriggers)
        self.tree.setUniformRowHeights(True)
        self.tree.setTabKeyNavigation(False)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._menu)
        self._name_header()
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.tree, self._copy_value).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        self._problem = ProblemView(store)
        bar = QHBoxLayout()
        bar.addWidget(self.search, 1)
        for widget in (self._count, self.previous, self.next, self._copy_all):
            bar.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        column.setSpacing(theme.px(10))
        column.addWidget(self._problem)
        column.addLayout(bar)
        column.addWidget(self.tree, 1)
        store.part(DetailStore).details_changed.connect(self._show)

    def show_container(self, container_id: str) -> None:  # noqa: ARG002 -- what is shown comes with the details
        """Show another container."""
        self.search.clear()
        self._show()

    def focus_search(self) -> None:
        """Focus the search field."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _show(self) -> None:
        answer = self._store.part(DetailStore).details
        self._problem.show_problem(answer if isinstance(answer, Problem) else None)
        raw = answer.untrusted_raw if isinstance(answer, ContainerDetails) else None
        if raw is None and isinstance(answer, Problem):
            return  # the last reply stays visible below the problem
        if raw == self._raw:
            return
        is_new = self._raw is None or raw is None or raw.get("Id") != self._raw.get("Id")
        opened = (
            set(_FIRST_OPEN) if is_new else {index.data(_PATH) for index in self._all() if self.tree.isExpanded(index)}
        )
        current = None if is_new else self.tree.currentIndex().data(_PATH)
        place = self.tree.verticalScrollBar().value()
        self._raw = raw
        self.model.clear()
        self._name_header()
        if raw is not None:
            _fill(self.model.invisibleRootItem(), raw)
        for index in self._all():
            self.tree.setExpanded(index, index.data(_PATH) in opened)
            if current is not None and index.data(_PATH) == current:
                self.tree.setCurrentIndex(index)
        self.tree.verticalScrollBar().setValue(0 if is_new else place)
        self._find(keep=True)

    def _name_header(self) -> None:
        self.model.setHorizontalHeaderLabels([_("Name"), _("Value")])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.tree.header().resizeSection(0, theme.px(280))

    def _all(self, parent: QModelIndex | None = None) -> Iterator[QModelIndex]:
        parent = parent if parent is not None else QModelIndex()
        for row in range(self.model.rowCount(parent)):
            index = self.model.index(row, 0, parent)
            yield index
            yield from self._all(index)

    def _find(self, *_text: str, keep: bool = False) -> None:
        needle = self.search.text().casefold()
        self._matches = []
        if needle:
            self._matches = [
                index
                for index in self._all()
                if needle in str(index.data()).casefold()
                or needle in str(index.siblingAtColumn(1).data() or "").casefold()
            ]
        for widget in (self.previous, self.next):
            widget.setEnabled(bool(self._matches))
        if keep:
            self._show_count()
        else:
            self._at = -1
            self._step(1)

    def _step(self, by: int) -> None:
        if self._matches:
            self._at = (self._at + by) % len(self._matches)
            index = self._matches[self._at]
            self.tree.setCurrentIndex(index)
            self.tree.scrollTo(index)
        self._show_count()

    def _show_count(self) -> None:
        if not self.search.text():
            self._count.setText("")
        elif not self._matches:
            self._count.setText(_("No matches"))
        else:
            self._count.setText(_("{at} of {total}", at=max(self._at, 0) + 1, total=len(self._matches)))

    def _menu(self, point: QPoint) -> None:
        if not self.tree.currentIndex().isValid():
            return
        menu = QMenu(self.tree)
        menu.addAction(_("Copy value"), self._copy_value)
        menu.addAction(_("Copy path"), self._copy_path)
        menu.addAction(_("Copy as JSON"), self._copy_json)
        menu.exec(self.tree.viewport().mapToGlobal(point))
        menu.deleteLater()

    def _current(self, role: int) -> Any:
        return self.tree.currentIndex().siblingAtColumn(0).data(role)

    def _copy_value(self) -> None:
        value = self._value()
        QGuiApplication.clipboard().setText(value if isinstance(value, str) else _pretty(value))

    def _copy_path(self) -> None:
        QGuiApplication.clipboard().setText("." + str(self._current(_PATH) or ""))

    def _copy_json(self) -> None:
        QGuiApplication.clipboard().setText(_pretty(self._value()))

    def _value(self) -> Any:
        """The JSON value at the current row."""
        getter = self._current(_VALUE)
        return getter() if callable(getter) else None


def _fill(item: QStandardItem, untrusted_value: Any) -> None:
    """Add a value's members below an item. Iterative, and limited in number, because a reply may be deep or long."""
    waiting = [(item, untrusted_value, "", 0)]
    count = 0
    font = None
    while waiting:
        under, value, path, depth = waiting.pop()
        members = (
            sorted(value.items()) if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, member in members:
            count += 1
            if count > _MAX_NODES or depth > _MAX_DEPTH:
                return
            here = _joined(path, key)
            name = QStandardItem(clean_text(str(key)) if isinstance(key, str) else f"[{key}]")
            name.setData(here, _PATH)
            name.setData(lambda member=member: member, _VALUE)
            text = QStandardItem(_text(member))
            if font is None:
                font = text.font()
                font.setFamilies(MONOSPACE)
            text.setFont(font)
            text.setToolTip(tooltip(text.text()))
            under.appendRow([name, text])
            if isinstance(member, dict | list) and member:
                waiting.append((name, member, here, depth + 1))


def _joined(path: str, key: str | int) -> str:
    """Extend a path, in the syntax of `docker inspect --format` and jq."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


def _text(untrusted_value: Any) -> str:
    if isinstance(untrusted_value, dict):
        return "{}" if not untrusted_value else f"{{{len(untrusted_value)}}}"
    if isinstance(untrusted_value, list):
        return "[]" if not untrusted_value else f"[{len(untrusted_value)}]"
    if isinstance(untrusted_value, str):
        return clean_text(untrusted_value, _SHOWN_CHARS)
    return json.dumps(untrusted_value)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
