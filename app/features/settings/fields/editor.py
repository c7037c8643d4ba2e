"""A small JSON editor with line numbers, marks at lines with errors, and automatic indentation."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QResizeEvent, QTextCursor, QTextFormat
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from app.ui import theme
from app.ui.widgets import MONOSPACE
from backend.api import DaemonFinding, FindingSeverity


class JsonEditor(QPlainTextEdit):
    """The editor. Tab moves the focus, so that it can be left by keyboard."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName("editor")
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        font = self.font()
        font.setFamilies(MONOSPACE)
        self.setFont(font)
        self._findings: tuple[DaemonFinding, ...] = ()
        self._numbers = _Numbers(self)
        self.blockCountChanged.connect(self._make_room)
        self.updateRequest.connect(self._scroll_numbers)
        self.cursorPositionChanged.connect(self._mark)
        self._make_room()

    @property
    def numbers_width(self) -> int:
        """Width of the line numbers and marks, in pixels."""
        digits = max(2, len(str(max(1, self.blockCount()))))
        return theme.px(16) + self.fontMetrics().horizontalAdvance("9") * digits

    def show_findings(self, findings: Sequence[DaemonFinding]) -> None:
        """Mark the lines of these findings."""
        self._findings = tuple(findings)
        self._mark()
        self._numbers.update()

    def go_to(self, line: int, column: int) -> None:
        """Move the cursor. Line and column count from 1."""
        block = self.document().findBlockByNumber(line - 1)
        cursor = QTextCursor(block)
        cursor.movePosition(
            QTextCursor.MoveOperation.Right, QTextCursor.MoveMode.MoveAnchor, min(column - 1, block.length() - 1)
        )
        self.setTextCursor(cursor)
        self.centerCursor()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def paint_numbers(self, painter: QPainter, rect: QRect) -> None:
        """Paint the line numbers and marks."""
        current = theme.current()
        painter.fillRect(rect, QColor(current.hover))
        worst = {finding.line: current.warning for finding in self._findings}
        worst |= {
            finding.line: current.danger for finding in self._findings if finding.severity is FindingSeverity.ERROR
        }
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        while block.isValid() and top <= rect.bottom():
            height = self.blockBoundingRect(block).height()
            number = block.blockNumber() + 1
            painter.setPen(QColor(worst.get(number, current.muted)))
            area = QRect(0, int(top), self._numbers.width() - theme.px(6), int(height))
            painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, str(number))
            if number in worst:
                painter.fillRect(QRect(0, int(top), theme.px(3), int(height)), QColor(worst[number]))
            top += height
            block = block.next()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            before = self.textCursor().block().text()[: self.textCursor().positionInBlock()]
            indent = before[: len(before) - len(before.lstrip(" "))]
            if before.rstrip().endswith(("{", "[")):
                indent += "  "
            self.textCursor().insertText("\n" + indent)
            self.ensureCursorVisible()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        inside = self.contentsRect()
        self._numbers.setGeometry(QRect(inside.left(), inside.top(), self.numbers_width, inside.height()))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_numbers"):
            self._make_room()
            self._mark()

    def _make_room(self) -> None:
        self.setViewportMargins(self.numbers_width + theme.px(4), 0, 0, 0)

    def _scroll_numbers(self, rect: QRect, dy: int) -> None:
        if dy:
            self._numbers.scroll(0, dy)
        else:
            self._numbers.update(0, rect.y(), self._numbers.width(), rect.height())

    def _mark(self) -> None:
        current = theme.current()
        marks = [_whole_line(self.textCursor(), current.hover)]
        for finding in self._findings:
            block = self.document().findBlockByNumber(finding.line - 1)
            cursor = QTextCursor(block)
            cursor.select(QTextCursor.SelectionType.LineUnderCursor)
            mark = QTextEdit.ExtraSelection()
            bad = finding.severity is FindingSeverity.ERROR
            mark.cursor = cursor
            style = mark.format
            style.setUnderlineStyle(style.UnderlineStyle.WaveUnderline)
            style.setUnderlineColor(QColor(current.danger if bad else current.warning))
            mark.format = style
            marks.append(mark)
        self.setExtraSelections(marks)


class _Numbers(QWidget):
    """The margin with line numbers; painting is delegated to the editor."""

    def __init__(self, editor: JsonEditor) -> None:
        super().__init__(editor)
        self._editor = editor

    def sizeHint(self) -> QSize:
        return QSize(self._editor.numbers_width, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self._editor.font())
        self._editor.paint_numbers(painter, event.rect())


def _whole_line(cursor: QTextCursor, colour: str) -> QTextEdit.ExtraSelection:
    mark = QTextEdit.ExtraSelection()
    place = QTextCursor(cursor)
    place.clearSelection()
    mark.cursor = place
    style = mark.format
    style.setBackground(QColor(colour))
    style.setProperty(QTextFormat.Property.FullWidthSelection, True)
    mark.format = style
    return mark
