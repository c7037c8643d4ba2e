"""How a row of the container table is drawn, and what a click in it means.

Buttons and links in rows are drawn, not widgets: two hundred rows of four buttons would be slow to make. What they do
is in the context menu and on keys too, for those who have no mouse.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QCursor, QFont, QFontMetrics, QIcon, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app import icons, theme
from app.ports import PortLink, port_links
from app.texts import text
from app.views.container_model import CONTAINER_ROLE, Column, detail, is_startable, pending_of, status_words
from backend.api import Container, ContainerAction

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 48
ACTIONS_WIDTH: Final = 140
_BUTTON: Final = 30
_PAD: Final = 10
_DOT: Final = 10
LOGS: Final = "logs"


class ContainerDelegate(QStyledItemDelegate):
    """Draws every column."""

    action_clicked = Signal(str, object)  # container id, ContainerAction
    logs_clicked = Signal(str)
    url_clicked = Signal(str)

    def __init__(self, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(80, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        container = index.data(CONTAINER_ROLE)
        if not isinstance(container, Container):
            return
        current = theme.current()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(current.selected))
        elif _row_of_mouse(self._view) == index.row():
            painter.fillRect(rect, QColor(current.hover))
        painter.setPen(QColor(current.border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        match Column(index.column()):
            case Column.NAME:
                self._paint_name(painter, option, container)
                if option.state & QStyle.StateFlag.State_HasFocus:
                    painter.fillRect(rect.left(), rect.top(), 3, rect.height(), QColor(current.accent))
            case Column.IMAGE:
                self._line(painter, option, container.image, current.text, Qt.TextElideMode.ElideMiddle)
            case Column.PORTS:
                self._paint_ports(painter, option, container)
            case Column.STATUS:
                pending = pending_of(index)
                words = status_words(container, pending)
                self._line(painter, option, words, current.warning if pending else current.muted)
            case Column.ACTIONS:
                self._paint_actions(painter, option, container, busy=pending_of(index) is not None)
        painter.restore()

    def editorEvent(
        self, event: QEvent, _model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index
    ) -> bool:
        if not isinstance(event, QMouseEvent) or event.button() is not Qt.MouseButton.LeftButton:
            return False
        container = index.data(CONTAINER_ROLE)
        at = event.position().toPoint()
        if not isinstance(container, Container):
            return False
        released = event.type() is QEvent.Type.MouseButtonRelease
        if index.column() == Column.ACTIONS:
            for box, what, _glyph in self._buttons(option, container):
                if box.contains(at):
                    if released and pending_of(index) is None:
                        self._click(container, what)
                    return True
        url = self.url_at(option, index, at)
        if url and released:
            self.url_clicked.emit(url)
        return url is not None

    def url_at(self, option: QStyleOptionViewItem, index: Index, at: QPoint) -> str | None:
        """The address of the port below `at`, in the view's coordinates."""
        container = index.data(CONTAINER_ROLE)
        if index.column() != Column.PORTS or not isinstance(container, Container):
            return None
        return next((link.url for box, link in self._port_boxes(option, container) if box.contains(at)), None)

    def _click(self, container: Container, what: ContainerAction | str) -> None:
        if isinstance(what, ContainerAction):
            self.action_clicked.emit(container.id, what)
        else:
            self.logs_clicked.emit(container.id)

    def _paint_name(self, painter: QPainter, option: QStyleOptionViewItem, container: Container) -> None:
        current = theme.current()
        rect = option.rect
        painter.setPen(Qt.PenStyle.NoPen)
        dot = QRect(rect.left() + 14, rect.center().y() - _DOT // 2, _DOT, _DOT)
        colour = QColor(theme.container_colour(current, container.state, container.health))
        if container.state.is_up:
            painter.setBrush(colour)
            painter.drawEllipse(dot)
        else:
            # A ring for what is down: the shape says it as well as the colour.
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, 2))
            painter.drawEllipse(dot.adjusted(1, 1, -1, -1))
        left = dot.right() + 12
        width = rect.right() - left - _PAD
        strong = QFont(option.font)
        strong.setWeight(QFont.Weight.DemiBold)
        half = rect.height() // 2
        painter.setFont(strong)
        painter.setPen(QColor(current.text))
        _draw(
            painter, QRect(left, rect.top() + 5, width, half - 4), strong, container.name, Qt.TextElideMode.ElideMiddle
        )
        small = QFont(option.font)
        small.setPointSizeF(small.pointSizeF() * 0.88)
        painter.setFont(small)
        painter.setPen(QColor(current.muted))
        _draw(painter, QRect(left, rect.top() + half, width, half - 5), small, detail(container))

    def _line(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        words: str,
        colour: str,
        elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        font = option.font
        painter.setFont(font)
        painter.setPen(QColor(colour))
        _draw(painter, option.rect.adjusted(_PAD, 0, -_PAD, 0), font, words, elide)

    def _paint_ports(self, painter: QPainter, option: QStyleOptionViewItem, container: Container) -> None:
        current = theme.current()
        under = self._view.viewport().mapFromGlobal(QCursor.pos())
        font = QFont(option.font)
        for box, link in self._port_boxes(option, container):
            font.setUnderline(link.url is not None and box.contains(under))
            painter.setFont(font)
            painter.setPen(QColor(current.accent if link.url else current.muted))
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), link.words)

    def _port_boxes(self, option: QStyleOptionViewItem, container: Container) -> list[tuple[QRect, PortLink]]:
        rect = option.rect.adjusted(_PAD, 0, -_PAD, 0)
        metrics = QFontMetrics(option.font)
        links = port_links(container)
        boxes: list[tuple[QRect, PortLink]] = []
        left = rect.left()
        for number, link in enumerate(links):
            width = metrics.horizontalAdvance(link.words) + 2
            more = PortLink(text("containers.more-ports", count=len(links) - number), None)
            rest = 0 if number == len(links) - 1 else metrics.horizontalAdvance(more.words) + 14
            if left + width + rest > rect.right() and (boxes or len(links) > 1):
                boxes.append((QRect(left, rect.top(), max(0, rect.right() - left), rect.height()), more))
                break
            boxes.append((QRect(left, rect.top(), min(width, rect.right() - left), rect.height()), link))
            left += width + 14
        return boxes

    def _paint_actions(
        self, painter: QPainter, option: QStyleOptionViewItem, container: Container, *, busy: bool
    ) -> None:
        current = theme.current()
        under = self._view.viewport().mapFromGlobal(QCursor.pos())
        for box, what, name in self._buttons(option, container):
            if box.contains(under) and not busy:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(current.border))
                painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 5, 5)
            disabled = busy and what != LOGS
            icon = icons.glyph(name, current.muted)
            mode = QIcon.Mode.Disabled if disabled else QIcon.Mode.Normal
            icon.paint(painter, box.adjusted(6, 6, -6, -6), Qt.AlignmentFlag.AlignCenter, mode)

    def _buttons(
        self, option: QStyleOptionViewItem, container: Container
    ) -> list[tuple[QRect, ContainerAction | str, str]]:
        first: tuple[ContainerAction | str, str] = (ContainerAction.STOP, "stop")
        if is_startable(container):
            first = (ContainerAction.START, "play")
        rect = option.rect
        left = rect.left() + (rect.width() - 4 * _BUTTON) // 2
        top = rect.center().y() - _BUTTON // 2
        kinds: list[tuple[ContainerAction | str, str]] = [
            first,
            (ContainerAction.RESTART, "restart"),
            (LOGS, "text-box-outline"),
            (ContainerAction.REMOVE, "trash-can-outline"),
        ]
        return [(QRect(left + at * _BUTTON, top, _BUTTON, _BUTTON), *kind) for at, kind in enumerate(kinds)]

    def tip_at(self, option: QStyleOptionViewItem, index: Index, at: QPoint) -> str:
        """What a click at `at` would do, in words; empty where it does nothing."""
        container = index.data(CONTAINER_ROLE)
        if index.column() == Column.ACTIONS and isinstance(container, Container):
            for box, what, _glyph in self._buttons(option, container):
                if box.contains(at):
                    return text("containers.logs") if what == LOGS else text(f"action.{what}")
        url = self.url_at(option, index, at)
        return text("containers.port.tip", url=url) if url else ""


def _draw(
    painter: QPainter, rect: QRect, font: QFont, words: str, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight
) -> None:
    shown = QFontMetrics(font).elidedText(words, mode, rect.width())
    # The layout stays left to right for right-to-left names too: what is left is the name, always.
    painter.drawText(rect, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)


def _row_of_mouse(view: QAbstractItemView) -> int:
    viewport = view.viewport()
    return view.indexAt(viewport.mapFromGlobal(QCursor.pos())).row() if viewport.underMouse() else -1
