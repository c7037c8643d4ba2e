"""The header of a table: the arrow that shows the sort order is beside the label of its column."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QWidget

from app.ui import icons, theme

_PADDING: Final = 10
_ARROW: Final = 14
_GAP: Final = 3


class SortHeader(QHeaderView):
    """A horizontal header. `show_sort` sets the mark; until then Qt's own sort indicator says where it is.

    The style sheet hides Qt's arrow, which it can place only at an edge of the section, away from the label.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._sorted: tuple[int, bool] | None = None
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    @property
    def mark(self) -> tuple[int, bool] | None:
        """The sorted section and whether it is in descending order; None for an unsorted table."""
        if self._sorted is not None:
            return self._sorted
        if not self.isSortIndicatorShown():
            return None
        return self.sortIndicatorSection(), self.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder

    def show_sort(self, section: int, *, descending: bool) -> None:
        """Mark a section as sorted. Clicks no longer move the mark by themselves."""
        self._sorted = (section, descending)
        self.setSortIndicatorShown(False)
        self.viewport().update()

    def mark_box(self, section: int) -> QRect:
        """Where the arrow is painted in that section, in the viewport's coordinates."""
        left = self.sectionViewportPosition(section)
        return self._mark_box(QRect(left, 0, self.sectionSize(section), self.height()), section)

    def sectionSizeFromContents(self, section: int) -> QSize:
        size = super().sectionSizeFromContents(section)
        mark = self.mark
        return size + QSize(theme.px(_ARROW + _GAP), 0) if mark and mark[0] == section else size

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        painter.save()
        super().paintSection(painter, rect, section)
        painter.restore()
        mark = self.mark
        if mark is not None and mark[0] == section:
            name = "chevron-down" if mark[1] else "chevron-up"
            icons.glyph(name, theme.current().muted).paint(painter, self._mark_box(rect, section))

    def _mark_box(self, rect: QRect, section: int) -> QRect:
        model, orientation = self.model(), Qt.Orientation.Horizontal
        text = str(model.headerData(section, orientation) or "")
        alignment = model.headerData(section, orientation, Qt.ItemDataRole.TextAlignmentRole)
        is_right = alignment is not None and bool(int(alignment) & int(Qt.AlignmentFlag.AlignRight))
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        width, size = QFontMetrics(font).horizontalAdvance(text), theme.px(_ARROW)
        if is_right:
            left = max(rect.right() - theme.px(_PADDING) - width - theme.px(_GAP) - size, rect.left())
        else:
            left = min(rect.left() + theme.px(_PADDING) + width + theme.px(_GAP), rect.right() - size)
        return QRect(left, rect.center().y() - size // 2, size, size)
