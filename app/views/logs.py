"""The pane below the list: one container's log, with search, wrapping, and a way back to the end."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from app import icons, texts
from app.safe_text import LogLine, tooltip
from app.store import AppStore
from app.texts import text
from app.views.log_text import MAX_LINES, LogText
from app.widgets import IconButton, label

COUNT_LIMIT: Final = 9_999
_COUNT_MS: Final = 150


class LogView(QWidget):
    """A function of the store's log, but for the search, which is its own. Hidden while no log is open."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.text = LogText()
        self.search = QLineEdit(clearButtonEnabled=True)
        self._title = label("", "heading")
        self._title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._title.setMinimumWidth(120)
        self._state = label("", "muted")
        self._count = label("", "muted")
        self._trimmed = label(text("logs.trimmed", count=f"{MAX_LINES:,}"), "muted")
        self._trimmed.setContentsMargins(20, 4, 20, 4)
        self._trimmed.hide()
        self.previous = IconButton("chevron-up", text("logs.search.previous"), "Shift+Return")
        self.next = IconButton("chevron-down", text("logs.search.next"), "Return")
        self.to_end = IconButton("arrow-collapse-down", text("logs.follow"), "Ctrl+End")
        self.wrap = IconButton("wrap", text("logs.wrap"))
        self.clear = IconButton("broom", text("logs.clear"))
        self.copy = IconButton("content-copy", text("logs.copy"))
        self.close_button = IconButton("close", text("logs.close"), "Esc")
        self._counter = QTimer(self, singleShot=True, interval=_COUNT_MS)
        self._lay_out()
        self._connect()
        self._refresh()

    def focus_search(self) -> None:
        """To be called for Ctrl+F."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _lay_out(self) -> None:
        self.search.setPlaceholderText(text("logs.search"))
        self.search.setAccessibleName(text("logs.search"))
        self.search.addAction(icons.glyph("magnify"), QLineEdit.ActionPosition.LeadingPosition)
        self.search.setFixedWidth(210)
        self._count.setMinimumWidth(70)
        self.wrap.setCheckable(True)
        self.wrap.setChecked(True)
        bar = QFrame()
        bar.setObjectName("logbar")
        row = QHBoxLayout(bar)
        row.setContentsMargins(20, 7, 20, 7)
        row.setSpacing(6)
        row.addWidget(self._title, 1)
        row.addWidget(self._state)
        row.addSpacing(8)
        for widget in (
            *(self.search, self._count, self.previous, self.next),
            *(self.to_end, self.wrap, self.clear, self.copy, self.close_button),
        ):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(self._trimmed)
        column.addWidget(self.text, 1)

    def _connect(self) -> None:
        store = self._store
        store.log_changed.connect(self._refresh)
        store.log_opened.connect(self._forget)
        store.log_lines.connect(self._add)
        self.text.followed.connect(lambda follows: self.to_end.setEnabled(not follows))
        self.to_end.setEnabled(False)
        self.to_end.clicked.connect(self.text.jump_to_end)
        self.wrap.toggled.connect(lambda wrapped: self.text.set_wrapped(wrapped=wrapped))
        self.clear.clicked.connect(self._forget)
        self.copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        self.close_button.clicked.connect(store.intents.close_log)
        self.search.textChanged.connect(self._searched)
        self.next.clicked.connect(lambda: self._go(backwards=False))
        self.previous.clicked.connect(lambda: self._go(backwards=True))
        self._counter.timeout.connect(self._show_count)
        self.search.installEventFilter(self)
        context = Qt.ShortcutContext.WidgetWithChildrenShortcut
        QShortcut(QKeySequence("Esc"), self, self._escape, context=context)
        QShortcut(QKeySequence("Ctrl+End"), self, self.text.jump_to_end, context=context)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        pressed = watched is self.search and event.type() is QEvent.Type.KeyPress
        if pressed and isinstance(event, QKeyEvent) and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._go(backwards=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            return True
        return super().eventFilter(watched, event)

    def _refresh(self) -> None:
        log = self._store.log
        self.setVisible(log is not None)
        if log is None:
            self.text.empty()
            return
        title = text("logs.title", name=log.name)
        self._title.setText(title)
        self._title.setToolTip(tooltip(title))
        self._state.setText(text(f"logs.state.{log.state.value}"))
        self._state.setToolTip(tooltip(log.problem.as_text() if log.problem else ""))

    def _forget(self) -> None:
        self.text.empty()
        self._trimmed.hide()
        self._searched()

    def _add(self, lines: tuple[LogLine, ...]) -> None:
        self.text.add_lines(lines)
        self._trimmed.setVisible(self.text.is_trimmed)
        if self.search.text() and not self._counter.isActive():
            self._counter.start()

    def _searched(self) -> None:
        self.text.search(self.search.text())
        for widget in (self.next, self.previous):
            widget.setEnabled(bool(self.search.text()))
        self._show_count()

    def _go(self, *, backwards: bool) -> None:
        needle = self.search.text()
        if needle:
            self.text.find_match(needle, backwards=backwards)
            self._show_count()

    def _show_count(self) -> None:
        needle = self.search.text()
        if not needle:
            self._count.setText("")
            return
        at, total = self.text.matches(needle, COUNT_LIMIT)
        if not total:
            self._count.setText(text("logs.search.none"))
        elif total > COUNT_LIMIT:
            self._count.setText(text("logs.search.many", total=COUNT_LIMIT))
        elif at:
            self._count.setText(text("logs.search.count", at=at, total=total))
        else:
            self._count.setText(texts.plural("logs.search.total", total))

    def _escape(self) -> None:
        if self.search.hasFocus() and self.search.text():
            self.search.clear()
            self.text.setFocus()
        else:
            self._store.intents.close_log.emit()
