"""The table widget of the container list: its looks, and what the mouse shows over the drawn buttons."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, Qt
from PySide6.QtGui import QFocusEvent, QHelpEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QStyleOptionViewItem, QTableView, QToolTip

from app.safe_text import tooltip
from app.texts import text
from app.views.container_delegate import ACTIONS_WIDTH, ROW_HEIGHT, ContainerDelegate
from app.views.container_model import Column

_SHARES: Final = {Column.NAME: 0.28, Column.IMAGE: 0.21, Column.PORTS: 0.25, Column.STATUS: 0.26}
"""Of the width that the actions leave."""


class ContainerTable(QTableView):
    """Rows, no grid; Tab leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(text("containers.table"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSortingEnabled(True)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)  # Tab leaves the table: everything must be reachable
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._delegate: ContainerDelegate | None = None

    def set_delegate(self, delegate: ContainerDelegate) -> None:
        """After the model."""
        self._delegate = delegate
        self.setItemDelegate(delegate)
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(70)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._share_width()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    def _share_width(self) -> None:
        rest = self.viewport().width() - ACTIONS_WIDTH
        for column, share in _SHARES.items():
            self.setColumnWidth(column, int(rest * share))
        self.setColumnWidth(Column.ACTIONS, ACTIONS_WIDTH)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        # Arriving by Tab must show where one is, and make Return and Del mean something.
        if not self.currentIndex().isValid() and self.model() is not None and self.model().rowCount():
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(self.model().index(0, 0), flags.NoUpdate)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.MouseMove, QEvent.Type.Leave):
            self.viewport().update()
            self._show_cursor(self.viewport().mapFromGlobal(self.cursor().pos()))
        if isinstance(event, QHelpEvent) and self._delegate is not None:
            index = self.indexAt(event.pos())
            words = self._delegate.tip_at(self._option(index), index, event.pos())
            if words:
                QToolTip.showText(event.globalPos(), tooltip(words), self.viewport())
                return True
        return super().viewportEvent(event)

    def _show_cursor(self, at: QPoint) -> None:
        index = self.indexAt(at)
        link = self._delegate is not None and index.isValid() and self._delegate.tip_at(self._option(index), index, at)
        self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if link else Qt.CursorShape.ArrowCursor)

    def _option(self, index: QModelIndex) -> QStyleOptionViewItem:
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        option.rect = self.visualRect(index)
        return option
