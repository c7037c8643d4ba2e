"""Paints the rows of the container list, and finds what is under the mouse in them.

Check boxes, buttons and links in rows are painted, not widgets: two hundred rows of four buttons would be slow to
create. Their actions are in the context menu and on shortcuts too, for use without a mouse.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from app import texts
from app.features.containers.actions.entries import is_startable
from app.features.containers.list.columns import (
    FIGURES,
    ContainerColumn,
    Facts,
    Group,
    cell_text,
    group_text,
    status_lines,
)
from app.features.containers.list.model import row_of
from app.features.containers.list.rows import Row
from app.texts import _
from app.ui import icons, theme
from app.ui.figures import NOTHING
from app.ui.ports import PortLink, port_links
from backend.api import Container, ContainerAction, ContainerState, Health

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT: Final = 46
_BUTTON: Final = 30
_PAD: Final = 10
_DOT: Final = 10
_ARROW: Final = 16
_LEFT: Final = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_TICK: Final = ((0.24, 0.52), (0.43, 0.71), (0.77, 0.31))
_DASH: Final = ((0.26, 0.5), (0.74, 0.5))
"""Line coordinates, as fractions of the box's size."""
_RIGHT: Final = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)


class Part(StrEnum):
    """Parts of a row that can be clicked."""

    CHECK = "check"
    ARROW = "arrow"
    NAME = "name"
    URL = "url"
    ACTION = "action"
    MENU = "menu"


class Hit(NamedTuple):
    """A part under the mouse."""

    part: Part
    value: str = ""
    """The URL of a link, or the value of a ContainerAction."""


class PaintState(NamedTuple):
    """State of the view that painting depends on."""

    hovered_row: int
    mouse: QPoint
    facts: Facts


class ContainerDelegate(QStyledItemDelegate):
    """Paints every column; `hit` returns the clickable part at a position."""

    def __init__(self, view: QTableView, paint_state: Callable[[], PaintState]) -> None:
        super().__init__(view)
        self._view = view
        self._paint_state = paint_state
        self._pictures: dict[tuple[str, str, int, QIcon.Mode, float], QPixmap] = {}

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(theme.px(80), theme.px(ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row = row_of(index)
        if row is None:
            return
        current = theme.current()
        paint_state = self._paint_state()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(current.selected))
        elif paint_state.hovered_row == index.row():
            painter.fillRect(rect, QColor(current.hover))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, QColor(current.border))
        self._paint_cell(painter, option, index, row, paint_state)
        painter.restore()

    def _paint_cell(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, row: Row, paint_state: PaintState
    ) -> None:
        current = theme.current()
        column = ContainerColumn(index.column())
        match column:
            case ContainerColumn.SELECT:
                self._paint_check(painter, option)
                focus = self._view.currentIndex()
                if self._view.hasFocus() and focus.row() == index.row():
                    rect = option.rect
                    painter.fillRect(rect.left(), rect.top(), theme.px(3), rect.height(), QColor(current.accent))
            case ContainerColumn.NAME:
                self._paint_name(painter, option, row, paint_state)
            case ContainerColumn.PORTS if isinstance(row, Container):
                self._paint_ports(painter, option, row, paint_state.mouse)
            case ContainerColumn.STATUS if isinstance(row, Container):
                first, second = status_lines(row, paint_state.facts)
                colour = current.warning if row.id in paint_state.facts.pending else _status_colour(row)
                _two_lines(painter, option, option.rect.adjusted(theme.px(_PAD), 0, 0, 0), (first, colour), second)
            case ContainerColumn.ACTIONS:
                self._paint_actions(painter, option, row, paint_state)
            case _:
                shown = cell_text(row, column, paint_state.facts)
                mode = Qt.TextElideMode.ElideMiddle if column is ContainerColumn.IMAGE else Qt.TextElideMode.ElideRight
                plain = column is ContainerColumn.IMAGE or (column in FIGURES and shown != NOTHING)
                painter.setFont(option.font)
                painter.setPen(QColor(current.text if plain else current.muted))
                room = option.rect.adjusted(theme.px(_PAD), 0, -theme.px(_PAD), 0)
                _draw(painter, room, option.font, shown, mode, alignment=_RIGHT if column in FIGURES else _LEFT)

    # --- hit testing -----------------------------------------------------------------------------------------------

    def hit(self, option: QStyleOptionViewItem, index: Index, at: QPoint) -> Hit | None:
        """The clickable part at `at` (view coordinates), if any."""
        row = row_of(index)
        if row is None:
            return None
        column = ContainerColumn(index.column())
        if column is ContainerColumn.SELECT:
            return Hit(Part.CHECK)
        if column is ContainerColumn.NAME:
            if isinstance(row, Group):
                return Hit(Part.ARROW)
            return Hit(Part.NAME) if self._name_box(option, row).contains(at) else None
        if column is ContainerColumn.PORTS and isinstance(row, Container):
            urls = (link.url for box, link in self._port_boxes(option, row) if box.contains(at))
            url = next(urls, None)
            return Hit(Part.URL, url) if url else None
        if column is ContainerColumn.ACTIONS:
            return next((hit for box, hit, _glyph in self._buttons(option, row) if box.contains(at)), None)
        return None

    def tip(self, hit: Hit, row: Row) -> str:
        """The tool tip of a clickable part."""
        match hit.part:
            case Part.URL:
                return _("Open {url} in your browser", url=hit.value)
            case Part.ACTION:
                action = texts.action(ContainerAction(hit.value))
                if isinstance(row, Group):
                    if len(row.members) < len(row.everyone):
                        return _("{action} those shown of {name}", action=action, name=row.project)
                    return _("{action} all in {name}", action=action, name=row.project)
                return _("{action} {name}", action=action, name=row.name)
            case Part.MENU:
                return _("More actions")
            case _:
                return ""

    # --- the cells -------------------------------------------------------------------------------------------------

    def _paint_check(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        paint_check(painter, option.rect, Qt.CheckState.Checked if selected else Qt.CheckState.Unchecked)

    def _paint_name(self, painter: QPainter, option: QStyleOptionViewItem, row: Row, paint_state: PaintState) -> None:
        current = theme.current()
        rect = option.rect
        left = rect.left() + theme.px(6)
        if isinstance(row, Group):
            arrow = "chevron-down" if row.expanded else "chevron-right"
            glyph = self._picture(arrow, current.muted, theme.px(_ARROW))
            box = QRect(left, rect.center().y() - theme.px(_ARROW) // 2, theme.px(_ARROW), theme.px(_ARROW))
            painter.drawPixmap(box, glyph)
            left = box.right() + theme.px(6)
            box = QRect(left, box.top(), theme.px(_ARROW), theme.px(_ARROW))
            painter.drawPixmap(box, self._picture("layers-triple-outline", _group_colour(row), box.width()))
            below = QRect(box.right() + theme.px(8), rect.top(), 0, rect.height())
            below.setRight(rect.right() - theme.px(_PAD))
            second = group_text(row) if self._view.isColumnHidden(ContainerColumn.STATUS) else ""
            _two_lines(painter, option, below, (row.project, current.text), second, strong=True)
            return
        indent = theme.px(22) if row.compose_project else 0
        dot_size = theme.px(_DOT)
        dot = QRect(left + indent + theme.px(3), rect.center().y() - dot_size // 2, dot_size, dot_size)
        colour = QColor(theme.container_colour(current, row.state, row.health, row.exit_code))
        if row.state.is_up:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawEllipse(dot)
        else:
            # A ring for a stopped container: shape as well as color show the state.
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colour, 2))
            painter.drawEllipse(dot.adjusted(1, 1, -1, -1))
        room = self._name_room(option, row)
        linked = self._name_box(option, row).contains(paint_state.mouse)
        first = (row.name, current.accent if linked else current.text)
        second = row.compose_service or row.short_id
        _two_lines(painter, option, room, first, second, strong=True, underline=linked)

    def _name_room(self, option: QStyleOptionViewItem, row: Container) -> QRect:
        indent = theme.px(22) if row.compose_project else 0
        return option.rect.adjusted(theme.px(30) + indent, 0, -theme.px(_PAD), 0)

    def _name_box(self, option: QStyleOptionViewItem, row: Container) -> QRect:
        room = self._name_room(option, row)
        strong = QFont(option.font)
        strong.setWeight(QFont.Weight.DemiBold)
        width = min(room.width(), QFontMetrics(strong).horizontalAdvance(row.name))
        return QRect(room.left(), room.top() + room.height() // 8, width, room.height() * 3 // 8)

    def _paint_ports(
        self, painter: QPainter, option: QStyleOptionViewItem, container: Container, mouse: QPoint
    ) -> None:
        current = theme.current()
        font = QFont(option.font)
        for box, link in self._port_boxes(option, container):
            font.setUnderline(link.url is not None and box.contains(mouse))
            painter.setFont(font)
            painter.setPen(QColor(current.accent if link.url else current.muted))
            _draw(painter, box, font, link.words)

    def _port_boxes(self, option: QStyleOptionViewItem, container: Container) -> list[tuple[QRect, PortLink]]:
        """Boxes of the port links: up to two lines, and the number of the others."""
        rect = option.rect.adjusted(theme.px(_PAD), 0, -theme.px(4), 0)
        links = port_links(container)
        if len(links) < 2:
            return [(rect, link) for link in links]
        metrics = QFontMetrics(option.font)
        top, bottom = _halves(rect)
        if len(links) == 2:
            return [(top, links[0]), (bottom, links[1])]
        more = PortLink(_("+{count}", count=len(links) - 2), None)
        width = metrics.horizontalAdvance(more.words) + theme.px(8)
        second = bottom.adjusted(0, 0, -width, 0)
        return [(top, links[0]), (second, links[1]), (bottom.adjusted(second.width() + theme.px(4), 0, 0, 0), more)]

    def _paint_actions(
        self, painter: QPainter, option: QStyleOptionViewItem, row: Row, paint_state: PaintState
    ) -> None:
        current = theme.current()
        members = row.members if isinstance(row, Group) else (row,)
        busy = all(member.id in paint_state.facts.pending for member in members)
        for box, hit, name in self._buttons(option, row):
            kills = hit.value == ContainerAction.KILL.value
            disabled = busy and hit.part is Part.ACTION and not kills
            if box.contains(paint_state.mouse) and not disabled:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(current.border))
                painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 5, 5)
            mode = QIcon.Mode.Disabled if disabled else QIcon.Mode.Normal
            inside = theme.px(6)
            picture = box.adjusted(inside, inside, -inside, -inside)
            painter.drawPixmap(picture, self._picture(name, current.muted, picture.width(), mode))

    def _picture(self, name: str, colour: str, size: int, mode: QIcon.Mode = QIcon.Mode.Normal) -> QPixmap:
        """An icon as a pixmap, cached because the icon library is slow."""
        ratio = self._view.devicePixelRatioF()
        key = (name, colour, size, mode, ratio)
        if key not in self._pictures:
            self._pictures[key] = icons.glyph(name, colour).pixmap(QSize(size, size), ratio, mode)
        return self._pictures[key]

    def _buttons(self, option: QStyleOptionViewItem, row: Row) -> list[tuple[QRect, Hit, str]]:
        members = row.members if isinstance(row, Group) else (row,)
        starts = is_startable(row) if isinstance(row, Container) else not any(member.state.is_up for member in members)
        first = (Hit(Part.ACTION, ContainerAction.STOP.value), "stop")
        if starts:
            first = (Hit(Part.ACTION, ContainerAction.START.value), "play")
        slow = self._paint_state().facts.slow_stops
        if any(member.id in slow for member in members):
            first = (Hit(Part.ACTION, ContainerAction.KILL.value), "close-octagon-outline")
        kinds = [
            first,
            (Hit(Part.ACTION, ContainerAction.REMOVE.value), "trash-can-outline"),
            (Hit(Part.MENU), "dots-vertical"),
        ]
        size = theme.px(_BUTTON)
        rect = option.rect
        left = rect.right() - theme.px(_PAD) - len(kinds) * size
        top = rect.center().y() - size // 2
        return [(QRect(left + at * size, top, size, size), hit, glyph) for at, (hit, glyph) in enumerate(kinds)]


def paint_check(painter: QPainter, rect: QRect, state: Qt.CheckState) -> None:
    """Paint a check box in the middle of `rect`."""
    current = theme.current()
    size = theme.px(16)
    box = QRectF(rect.center().x() - size / 2 + theme.px(2), rect.center().y() - size / 2, size, size)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if state is Qt.CheckState.Unchecked:
        painter.setPen(QPen(QColor(current.stopped), 1.4))
        painter.setBrush(QColor(current.surface))
        painter.drawRoundedRect(box.adjusted(0.7, 0.7, -0.7, -0.7), 3, 3)
        painter.restore()
        return
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(current.accent))
    painter.drawRoundedRect(box, 3, 3)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(current.on_accent), max(2.0, size / 8), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    mark = _TICK if state is Qt.CheckState.Checked else _DASH
    painter.drawPolyline([QPointF(box.left() + x * size, box.top() + y * size) for x, y in mark])
    painter.restore()


def _status_colour(container: Container) -> str:
    current = theme.current()
    bad = container.state in (ContainerState.DEAD, ContainerState.RESTARTING)
    if bad or (container.state.is_up and container.health is Health.UNHEALTHY):
        return current.danger
    return current.text if container.state.is_up else current.muted


def _group_colour(group: Group) -> str:
    """The color of the worst state in the whole project."""
    current = theme.current()
    colours = {
        theme.container_colour(current, member.state, member.health, member.exit_code) for member in group.everyone
    }
    worst_first = (current.danger, current.warning, current.running)
    return next((colour for colour in worst_first if colour in colours), current.stopped)


def _halves(rect: QRect) -> tuple[QRect, QRect]:
    half = rect.height() // 2
    top = QRect(rect.left(), rect.top() + theme.px(4), rect.width(), half - theme.px(4))
    return top, QRect(rect.left(), rect.top() + half, rect.width(), half - theme.px(5))


def _two_lines(
    painter: QPainter,
    option: QStyleOptionViewItem,
    rect: QRect,
    first: tuple[str, str],
    second: str,
    *,
    strong: bool = False,
    underline: bool = False,
) -> None:
    """Paint a line in its color and a smaller one below it; a single line is centered vertically."""
    font = QFont(option.font)
    if strong:
        font.setWeight(QFont.Weight.DemiBold)
    font.setUnderline(underline)
    top, bottom = _halves(rect) if second else (rect, rect)
    painter.setFont(font)
    painter.setPen(QColor(first[1]))
    _draw(painter, top, font, first[0], Qt.TextElideMode.ElideMiddle if strong else Qt.TextElideMode.ElideRight)
    if second:
        small = QFont(option.font)
        small.setPointSizeF(small.pointSizeF() * 0.88)
        painter.setFont(small)
        painter.setPen(QColor(theme.current().muted))
        _draw(painter, bottom, small, second)


def _draw(
    painter: QPainter,
    rect: QRect,
    font: QFont,
    shown: str,
    mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    *,
    alignment: int = _LEFT,
) -> None:
    # The layout is left to right for right-to-left names too, so that the name is always at the left.
    painter.drawText(rect, alignment, QFontMetrics(font).elidedText(shown, mode, rect.width()))
