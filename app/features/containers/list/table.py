"""The table widget of the container list: keys, clicks on painted parts of rows, column widths and visibility."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QMenu,
    QStyleOptionViewItem,
    QToolTip,
)

from app.features.containers.list.columns import ALWAYS_SHOWN, HIDDEN_AT_FIRST, SORTABLE, ContainerColumn, Group
from app.features.containers.list.delegate import (
    ROW_HEIGHT,
    ContainerDelegate,
    Hit,
    PaintState,
    Part,
    paint_check,
)
from app.features.containers.list.model import ContainerModel, row_of
from app.features.containers.list.widths import content_widths, share
from app.state.preferences import Preferences, TableLayout
from app.texts import _
from app.ui import theme
from app.ui.safe_text import tooltip
from app.ui.tables.row_table import RowTable
from app.ui.tables.sort_header import SortHeader
from backend.api import Container, ContainerAction

TABLE_NAME: Final = "containers"
_NOWHERE: Final = QPoint(-1, -1)


class ContainerTable(RowTable):
    """The table. Its check boxes show and change the selection; there is no separate checked state."""

    opened = Signal(str)  # container id
    url_opened = Signal(str)
    action_requested = Signal(object, object)  # ContainerAction, the row: a Container or a Group
    menu_requested = Signal(QPoint)  # global position
    columns_changed = Signal()

    FIRST = ContainerColumn.NAME

    def __init__(self, model: ContainerModel, preferences: Preferences) -> None:
        super().__init__(ROW_HEIGHT)
        self._model = model
        self._preferences = preferences
        self._pressed: tuple[str, Hit] | None = None
        self._resized: dict[ContainerColumn, int] = {}
        self._hidden: set[ContainerColumn] = set()
        """The columns that the user does not want; others may be left out where there is little room."""
        self._contents: dict[ContainerColumn, int] = {}
        self._sharing = False
        self._paint_state_now = PaintState(-1, _NOWHERE, model.facts)
        self.setAccessibleName(_("Containers"))
        self._header = _Header(self)
        self.setHorizontalHeader(self._header)
        self.setModel(model)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.DefaultContextMenu)
        self.setMouseTracking(True)
        self._delegate = ContainerDelegate(self, self._paint_state)
        self.setItemDelegate(self._delegate)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(theme.px(30))
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_column_menu)
        header.sectionClicked.connect(self._header_clicked)
        header.sectionResized.connect(self._section_resized)
        model.refreshed.connect(self._keep_projects_whole)
        model.refreshed.connect(self._measure)
        self._restore()

    # --- columns ---------------------------------------------------------------------------------------------------

    def column_menu(self) -> QMenu:
        """A menu with a check box for each column that can be hidden."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for column in ContainerColumn:
            if column not in ALWAYS_SHOWN:
                left_out = self.isColumnHidden(column) and column not in self._hidden
                entry = menu.addAction(_("{column} (no room)", column=column.title) if left_out else column.title)
                entry.setCheckable(True)
                entry.setChecked(column not in self._hidden)
                entry.toggled.connect(lambda shown, column=column: self.show_column(column, shown=shown))
        return menu

    def show_column(self, column: ContainerColumn, *, shown: bool) -> None:
        """Show or hide a column, and save it in the preferences."""
        if shown:
            self._hidden.discard(column)
        else:
            self._hidden.add(column)
        self._resized.clear()
        self._share_width()
        self._remember()
        self.columns_changed.emit()

    def sort_by(self, column: ContainerColumn, *, descending: bool) -> None:
        """Sort by a column, and save it in the preferences."""
        self._model.set_arrangement(column=column, descending=descending)
        self._header.show_sort(column, descending=descending)
        self._remember()

    def _restore(self) -> None:
        layout = self._preferences.table(TABLE_NAME)
        hidden = {column.key for column in HIDDEN_AT_FIRST} if not layout.sort_by else set(layout.hidden)
        self._hidden = {column for column in ContainerColumn if column.key in hidden and column not in ALWAYS_SHOWN}
        column = next((column for column in SORTABLE if column.key == layout.sort_by), ContainerColumn.NAME)
        self._model.set_arrangement(column=column, descending=layout.descending)
        self._header.show_sort(column, descending=layout.descending)
        self._measure()

    def _remember(self) -> None:
        arrangement = self._model.arrangement
        hidden = tuple(column.key for column in ContainerColumn if column in self._hidden)
        layout = TableLayout(hidden=hidden, sort_by=arrangement.column.key, descending=arrangement.descending)
        self._preferences.set_table(TABLE_NAME, layout)

    def _header_clicked(self, section: int) -> None:
        column = ContainerColumn(section)
        arrangement = self._model.arrangement
        if column is ContainerColumn.SELECT:
            self.clearSelection() if self.check_state() is Qt.CheckState.Checked else self.selectAll()
        elif column in SORTABLE:
            # Figures start in descending order.
            again = not arrangement.descending
            self.sort_by(column, descending=again if column is arrangement.column else column in _GREATEST_FIRST)

    def _open_column_menu(self, at: QPoint) -> None:
        self.column_menu().popup(self.horizontalHeader().mapToGlobal(at))

    def _section_resized(self, section: int, _old: int, new: int) -> None:
        if not self._sharing:
            self._resized[ContainerColumn(section)] = new

    def _measure(self) -> None:
        """Find out which widths the contents need, and share the table's width."""
        strong = QFont(self.font())
        strong.setWeight(QFont.Weight.DemiBold)
        measures = [QFontMetrics(font).horizontalAdvance for font in (self.font(), strong)]
        contents = content_widths(self._model.rows, self._model.facts, measures[0], measures[1])
        if contents != self._contents:
            self._contents = contents
            self._share_width()

    def _share_width(self) -> None:
        """Set the column widths. A width that the user has set is kept; columns without room are left out."""
        self._sharing = True
        wanted = [column for column in ContainerColumn if column not in self._hidden]
        widths = share(wanted, self._contents, self._resized, self.viewport().width())
        for column in ContainerColumn:
            self.setColumnHidden(column, column not in widths.shown)
        for column, width in widths.shown.items():
            self.setColumnWidth(column, width)
        self._sharing = False

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    # --- selection -------------------------------------------------------------------------------------------------

    def selected_rows(self) -> list[int]:
        """The numbers of the selected rows."""
        return sorted(_rows_of(self.selectionModel().selection()))

    def select_keys(self, keys: set[str]) -> None:
        """Select exactly the rows with these keys; hidden ones are ignored."""
        chosen = QItemSelection()
        for number, row in enumerate(self._model.rows):
            key = row.id if isinstance(row, Container) else row.key
            if key in keys:
                chosen.select(self._model.index(number, 0), self._model.index(number, len(ContainerColumn) - 1))
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(chosen, flags.ClearAndSelect | flags.Rows)

    def check_state(self) -> Qt.CheckState:
        """State of the check box in the header."""
        count = len(self.selected_rows())
        if not count:
            return Qt.CheckState.Unchecked
        all_selected = count == self._model.rowCount()
        return Qt.CheckState.Checked if all_selected else Qt.CheckState.PartiallyChecked

    def toggle_row(self, number: int) -> None:
        """Toggle the selection of a row (a group with its members); other rows are unchanged."""
        row = self._model.rows[number]
        last = number + (len(row.members) if isinstance(row, Group) and row.expanded else 0)
        selected = self.selectionModel().isRowSelected(number, QModelIndex())
        self._set_selected(number, last, selected=not selected)
        self.set_current(number)

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        if not self._model.changing:
            self._keep_projects_whole(_rows_of(selected), _rows_of(deselected))
        self.horizontalHeader().viewport().update()

    def _keep_projects_whole(
        self, selected: AbstractSet[int] = frozenset(), deselected: AbstractSet[int] = frozenset()
    ) -> None:
        """Keep projects and members consistent: a project is selected exactly if all its members are."""
        rows, chosen = self._model.rows, set(self.selected_rows())
        for number in sorted(chosen):
            row = rows[number] if number < len(rows) else None
            if isinstance(row, Group) and row.expanded:
                members = range(number + 1, number + 1 + len(row.members))
                if number not in selected and any(member in deselected for member in members):
                    self._set_selected(number, number, selected=False)
                elif any(member not in chosen for member in members):
                    self._set_selected(members.start, members.stop - 1, selected=True)

    def _set_selected(self, first: int, last: int, *, selected: bool) -> None:
        flags = QItemSelectionModel.SelectionFlag
        part = QItemSelection(self._model.index(first, 0), self._model.index(last, len(ContainerColumn) - 1))
        self.selectionModel().select(part, (flags.Select if selected else flags.Deselect) | flags.Rows)

    # --- mouse -----------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        hit = self._hit(event.position().toPoint())
        left = event.button() is Qt.MouseButton.LeftButton
        plain = not event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier)
        row = row_of(index)
        if left and hit is not None and row is not None and (plain or hit.part is Part.CHECK):
            # The selection is unchanged: a button in a row acts on that row.
            self._pressed = (_key(row), hit)
            self.setFocus(Qt.FocusReason.MouseFocusReason)
            event.accept()
            return
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            super().mouseReleaseEvent(event)
            return
        at = event.position().toPoint()
        row = row_of(self.indexAt(at))
        # The rows may have moved since the press.
        if row is not None and (_key(row), self._hit(at)) == pressed:
            self._click(pressed[1], row, self.indexAt(at))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        row = row_of(self.indexAt(at))
        if self._hit(at) is not None:
            # A double click on a button or check box counts as two clicks.
            self.mousePressEvent(event)
        elif event.button() is Qt.MouseButton.LeftButton and isinstance(row, Container):
            self.opened.emit(row.id)
        elif isinstance(row, Group):
            self._model.toggle(row.project)

    def _click(self, hit: Hit, row: Container | Group, index: QModelIndex) -> None:
        match hit.part:
            case Part.CHECK:
                self.toggle_row(index.row())
            case Part.ARROW:
                assert isinstance(row, Group)
                self.set_current(index.row())
                self._model.toggle(row.project)
            case Part.NAME:
                assert isinstance(row, Container)
                self.opened.emit(row.id)
            case Part.URL:
                self.url_opened.emit(hit.value)
            case Part.ACTION:
                self.action_requested.emit(ContainerAction(hit.value), row)
            case Part.MENU:
                if not self.selectionModel().isRowSelected(index.row(), QModelIndex()):
                    self.select_keys({_key(row)})
                    self.set_current(index.row())
                below = self.visualRect(self._model.index(index.row(), ContainerColumn.ACTIONS)).bottomLeft()
                self.menu_requested.emit(self.viewport().mapToGlobal(below))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Mouse:
            index = self.indexAt(event.pos())
            if row_of(index) is not None:
                self.menu_requested.emit(event.globalPos())
            return
        current = self.currentIndex()
        if current.isValid():
            if not self.selected_rows():
                self.selectRow(current.row())
            rect = self.visualRect(self._model.index(current.row(), ContainerColumn.NAME))
            self.menu_requested.emit(self.viewport().mapToGlobal(rect.bottomLeft() + QPoint(theme.px(30), 0)))

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.MouseMove, QEvent.Type.Leave):
            self.viewport().update()
            hit = self._hit(self._mouse())
            links = hit is not None and hit.part is not Part.CHECK
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor if links else Qt.CursorShape.ArrowCursor)
        if isinstance(event, QHelpEvent):
            index = self.indexAt(event.pos())
            row, hit = row_of(index), self._hit(event.pos())
            tip = self._delegate.tip(hit, row) if hit is not None and row is not None else ""
            if tip:
                QToolTip.showText(event.globalPos(), tooltip(tip), self.viewport())
                return True
        return super().viewportEvent(event)

    def _hit(self, at: QPoint) -> Hit | None:
        index = self.indexAt(at)
        if not index.isValid():
            return None
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        option.rect = self.visualRect(index)
        return self._delegate.hit(option, index, at)

    def _mouse(self) -> QPoint:
        viewport = self.viewport()
        return viewport.mapFromGlobal(self.cursor().pos()) if viewport.underMouse() else _NOWHERE

    def paintEvent(self, event: QPaintEvent) -> None:
        # Once for all cells: querying the mouse position takes longer than painting a cell.
        self._paint_state_now = self._state_at_mouse()
        super().paintEvent(event)

    def _paint_state(self) -> PaintState:
        return self._paint_state_now

    def _state_at_mouse(self) -> PaintState:
        mouse = self._mouse()
        return PaintState(self.indexAt(mouse).row() if mouse is not _NOWHERE else -1, mouse, self._model.facts)

    # --- keys ------------------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        current = self.currentIndex()
        row = row_of(current)
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if plain and isinstance(row, Group):
            opens = event.key() == Qt.Key.Key_Right and not row.expanded
            closes = event.key() == Qt.Key.Key_Left and row.expanded
            if opens or closes or event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._model.toggle(row.project)
                return
        if plain and event.key() == Qt.Key.Key_Left and isinstance(row, Container) and row.compose_project:
            number = self._model.row_of_key(f"project:{row.compose_project}")
            if number is not None:
                self.selectRow(number)
                self.set_current(number)
            return
        if plain and event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            # Left and right scroll, because rows are selected as a whole.
            bar = self.horizontalScrollBar()
            step = bar.singleStep() if event.key() == Qt.Key.Key_Right else -bar.singleStep()
            bar.setValue(bar.value() + step)
            return
        super().keyPressEvent(event)


class _Header(SortHeader):
    """The header, with a check box to select all rows."""

    def __init__(self, table: ContainerTable) -> None:
        super().__init__(table)
        self._table = table
        self.setAccessibleName(_("Columns"))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        super().paintSection(painter, rect, section)
        if section == ContainerColumn.SELECT:
            paint_check(painter, rect, self._table.check_state())


_GREATEST_FIRST: Final = frozenset(
    {ContainerColumn.CPU, ContainerColumn.MEMORY, ContainerColumn.RESTARTS, ContainerColumn.UPTIME}
)


def _rows_of(selection: QItemSelection) -> set[int]:
    parts = (selection.at(number) for number in range(selection.count()))
    return {row for part in parts for row in range(part.top(), part.bottom() + 1)}


def _key(row: Container | Group) -> str:
    return row.id if isinstance(row, Container) else row.key
