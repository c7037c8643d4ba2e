"""A line graph of the last ten minutes: axes with units, one or two lines, a limit, gaps, and the values under the
pointer or under the cursor that the arrow keys move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from PySide6.QtCore import QDateTime, QEvent, QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from app.features.stats.series import SPAN_S, SeriesPoint, StatsSeries, round_top
from app.texts import _
from app.ui import theme

_FAR_LIMIT: Final = 5.0
"""A limit this many times above the values would flatten them, so it is shown as text at the top instead."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a graph."""

    name: str
    """Name in the legend; empty for a graph with one line."""
    value: Callable[[SeriesPoint], float | None]


class Graph(QFrame):
    """Paints a `StatsSeries`; call `refresh` after the series changed."""

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        format_value: Callable[[float], str],
        *,
        binary: bool,
        limit: Callable[[StatsSeries], float | None] = lambda _series: None,
        least_top: float = 0.0,
        parent: QWidget | None = None,
    ) -> None:
        """Create an empty graph.

        Args:
            format_value: formats a value with its unit.
            binary: whether the axis uses multiples of powers of 1024, not of 10.
            limit: returns the limit to draw as a horizontal line; None for no limit.
            least_top: minimum value for the end of the axis.
        """
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(title)
        self._title = title
        self._lines = tuple(lines)
        self._format = format_value
        self._binary = binary
        self._limit = limit
        self._least_top = least_top
        self._series = StatsSeries()
        self._cursor: float | None = None
        """Position of the cursor, in seconds before the newest sample."""
        self._frame: tuple[QRectF, float] | None = None

    def refresh(self, series: StatsSeries) -> None:
        """Show a series."""
        self._series = series
        self._frame = None
        self.setAccessibleDescription(self.summary())
        self.update()

    def summary(self) -> str:
        """The newest values and the limit as text, for screen readers."""
        texts = [f"{line.name} {self._value_text(line, self._newest)}".strip() for line in self._lines]
        limit = self._limit(self._series)
        if limit is not None:
            texts.append(_("limit {value}", value=self._format(limit)))
        return ", ".join(texts)

    def sizeHint(self) -> QSize:
        return QSize(theme.px(380), theme.px(190))

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(240), theme.px(170))

    @property
    def _newest(self) -> SeriesPoint | None:
        return self._series.rows[-1] if self._series.rows else None

    def _value_text(self, line: Line, row: SeriesPoint | None) -> str:
        value = line.value(row) if row is not None else None
        return _("–") if value is None else self._format(value)

    # -- the pointer and the keys ---------------------------------------------------------------------------------
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        plot = self._plot()
        at = event.position().x()
        self._point((plot.right() - at) / plot.width() * SPAN_S if plot.left() <= at <= plot.right() else None)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._point(None)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._point(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: 10.0, Qt.Key.Key_Right: -10.0}.get(Qt.Key(event.key()))
        if step is not None:
            self._point(min(SPAN_S, max(0.0, (self._cursor or 0.0) + step)))
        elif event.key() == Qt.Key.Key_Escape and self._cursor is not None:
            self._point(None)
        else:
            super().keyPressEvent(event)

    def _point(self, before_s: float | None) -> None:
        if before_s != self._cursor:
            self._cursor = before_s
            row = self.pointed_row
            self.setAccessibleDescription(self._row_text(row) if row is not None else self.summary())
            self.update()

    @property
    def pointed_row(self) -> SeriesPoint | None:
        """The row under the pointer or cursor, if any."""
        if self._cursor is None or self._newest is None:
            return None
        row = self._series.at(self._newest.at - self._cursor)
        return row if row is not None and any(line.value(row) is not None for line in self._lines) else None

    def _row_text(self, row: SeriesPoint) -> str:
        texts = [f"{line.name} {self._value_text(line, row)}".strip() for line in self._lines]
        return ", ".join((_clock(row.at), *texts))

    # -- painting -------------------------------------------------------------------------------------------------
    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        top = self._top()
        self._paint_head(painter)
        self._paint_axes(painter, top)
        plot = self._plot()
        painter.save()
        painter.setClipRect(plot.adjusted(-1, -2, 1, 1))
        for number, line in enumerate(self._lines):
            self._paint_line(painter, line, number)
        painter.restore()
        self._paint_limit(painter, top)
        if (row := self.pointed_row) is not None:
            self._paint_values(painter, row)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 7, 7)

    def _plot(self) -> QRectF:
        return self._measured()[0]

    def _top(self) -> float:
        return self._measured()[1]

    def _measured(self) -> tuple[QRectF, float]:
        """The plot area and the end of the value axis; cached until the next change."""
        if self._frame is None:
            top = self._end_of_axis()
            metrics = QFontMetricsF(self.font())
            left = theme.px(22) + max(metrics.horizontalAdvance(self._format(value)) for value in (top, top / 2, 0.0))
            above, below = metrics.height() + theme.px(22), metrics.height() + theme.px(14)
            self._frame = QRectF(self.rect()).adjusted(left, above, -theme.px(14), -below), top
        return self._frame

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._frame = None

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self._frame = None

    def _values(self) -> list[float]:
        return [value for row in self._series.rows for line in self._lines if (value := line.value(row)) is not None]

    def _end_of_axis(self) -> float:
        greatest = max(self._values(), default=0.0)
        limit = self._limit(self._series)
        if limit is not None and (limit <= greatest * _FAR_LIMIT or limit <= self._least_top):
            greatest = max(greatest, limit * 1.02)
        return round_top(max(greatest, self._least_top), binary=self._binary)

    def _colour(self, number: int) -> QColor:
        colours = theme.current()
        return QColor(colours.accent if number == 0 else colours.warning)

    def _fill(self, number: int) -> QColor:
        fill = self._colour(number)
        fill.setAlpha(38)
        return fill

    def _paint_head(self, painter: QPainter) -> None:
        colours = theme.current()
        metrics = QFontMetricsF(self.font())
        line = QRectF(theme.px(14), theme.px(10), self.width() - theme.px(28), metrics.height())
        right = line.right()
        for number, one in reversed(list(enumerate(self._lines))):
            text = f"{one.name} {self._value_text(one, self._newest)}".strip()
            width = metrics.horizontalAdvance(text)
            painter.setPen(QColor(colours.text))
            painter.drawText(QRectF(right - width, line.top(), width + 1, line.height()), 0, text)
            right -= width + theme.px(6)
            if one.name:
                middle = line.center().y()
                painter.setPen(self._pen(number))
                painter.drawLine(QLineF(right - theme.px(16), middle, right, middle))
                if number == 0:
                    painter.fillRect(QRectF(right - theme.px(16), middle, theme.px(16), theme.px(5)), self._fill(0))
                right -= theme.px(32)
        bold = self.font()
        bold.setWeight(bold.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(QColor(colours.text))
        # The title is elided to leave room for the values; the accessible name has the full title.
        text = QFontMetricsF(bold).elidedText(self._title, Qt.TextElideMode.ElideRight, right - line.left())
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, text)
        painter.setFont(self.font())

    def _pen(self, number: int) -> QPen:
        pen = QPen(self._colour(number), 1.8)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        return pen

    def _paint_axes(self, painter: QPainter, top: float) -> None:
        colours = theme.current()
        plot = self._plot()
        metrics = QFontMetricsF(self.font())
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.setPen(QPen(QColor(colours.border), 1))
            painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
            painter.setPen(QColor(colours.muted))
            box = QRectF(0, y - metrics.height() / 2, plot.left() - theme.px(8), metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignRight, self._format(share * top))
        below = QRectF(plot.left(), plot.bottom() + theme.px(4), plot.width(), metrics.height())
        for flag, minutes in (
            (Qt.AlignmentFlag.AlignLeft, SPAN_S / 60),
            (Qt.AlignmentFlag.AlignHCenter, SPAN_S / 120),
            (Qt.AlignmentFlag.AlignRight, 0),
        ):
            painter.drawText(below, flag, _("{minutes} min ago", minutes=int(minutes)) if minutes else _("now"))

    def _place(self, row: SeriesPoint, value: float) -> QPointF:
        plot, top = self._measured()
        newest = self._series.rows[-1].at
        return QPointF(
            plot.right() - (newest - row.at) / SPAN_S * plot.width(),
            plot.bottom() - min(1.0, value / top) * plot.height(),
        )

    def _paint_line(self, painter: QPainter, line: Line, number: int) -> None:
        pieces: list[list[QPointF]] = [[]]
        for row in self._series.rows:
            value = line.value(row)
            if value is not None:
                pieces[-1].append(self._place(row, value))
            elif pieces[-1]:
                pieces.append([])
        bottom = self._plot().bottom()
        for points in pieces:
            if not points:
                continue
            if number == 0:  # only the first is filled: the lines must not differ by color alone
                right, left = QPointF(points[-1].x(), bottom), QPointF(points[0].x(), bottom)
                area = QPainterPath()
                area.addPolygon(QPolygonF([left, *points, right]))
                painter.fillPath(area, self._fill(number))
            painter.setPen(self._pen(number))
            # Segment by segment: as one path, lines with many peaks take Qt twenty times as long.
            painter.drawLines([QLineF(one, other) for one, other in pairwise(points)])
            painter.drawPoint(points[-1])

    def _paint_limit(self, painter: QPainter, top: float) -> None:
        limit = self._limit(self._series)
        if limit is None:
            return
        plot = self._plot()
        metrics = QFontMetricsF(self.font())
        text = _("limit {value}", value=self._format(limit))
        shown = limit <= top
        y = plot.bottom() - (limit / top if shown else 1.0) * plot.height()
        painter.setPen(QPen(QColor(theme.current().danger), 1.4, Qt.PenStyle.DotLine))
        if shown:
            painter.drawLine(QLineF(plot.left(), y, plot.right(), y))
        else:
            text += " ↑"
        above = y - metrics.height() - 1
        painter.setPen(QColor(theme.current().danger))
        width = metrics.horizontalAdvance(text)
        place = QRectF(plot.left() + theme.px(6), above if above > theme.px(28) else y + 2, width + 1, metrics.height())
        painter.fillRect(place, QColor(theme.current().surface))
        painter.drawText(place, 0, text)

    def _paint_values(self, painter: QPainter, row: SeriesPoint) -> None:
        colours = theme.current()
        plot = self._plot()
        metrics = QFontMetricsF(self.font())
        x = self._place(row, 0.0).x()
        painter.setPen(QPen(QColor(colours.muted), 1))
        painter.drawLine(QLineF(x, plot.top(), x, plot.bottom()))
        for number, line in enumerate(self._lines):
            if (value := line.value(row)) is not None:
                painter.setPen(QPen(QColor(colours.surface), 1))
                painter.setBrush(self._colour(number))
                painter.drawEllipse(self._place(row, value), 3.5, 3.5)
        texts = [_clock(row.at), *(f"{line.name} {self._value_text(line, row)}".strip() for line in self._lines)]
        width = max(metrics.horizontalAdvance(text) for text in texts) + theme.px(16)
        height = metrics.height() * len(texts) + theme.px(10)
        left = x + theme.px(8) if x + width + theme.px(8) < plot.right() else x - width - theme.px(8)
        box = QRectF(left, plot.top(), width, height)
        painter.setPen(QPen(QColor(colours.border), 1))
        painter.setBrush(QColor(colours.hover))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(QColor(colours.text))
        for number, text in enumerate(texts):
            at = QRectF(
                left + theme.px(8), box.top() + theme.px(5) + number * metrics.height(), width, metrics.height()
            )
            painter.drawText(at, 0, text)


def _clock(moment: float) -> str:
    return QDateTime.fromSecsSinceEpoch(int(moment)).toString("HH:mm:ss")
