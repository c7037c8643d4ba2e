"""The serial console of the machine: hidden behind a button, and reloaded periodically while visible."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import _, say
from app.ui import theme
from app.ui.widgets import MONOSPACE, CopyButton, button, label
from backend.api import messages

READ_EVERY_MS: Final = 1_000


class ConsoleView(QWidget):
    """A button that shows or hides the console below it."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._shown = ""
        self.toggle = button(_("Show console"), self._toggle, None, _("Output of the machine while it boots"))
        self.copy = CopyButton(lambda: self._shown, _("Copy"))
        self.copy.setAccessibleName(_("Copy console text"))
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setObjectName("log")
        self.text.setAccessibleName(_("Console"))
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setMaximumBlockCount(5_000)
        self.text.setMinimumHeight(theme.px(220))
        font = self.text.font()
        font.setFamilies(MONOSPACE)
        self.text.setFont(font)
        self.problem = label("", "danger", wrap=True)
        top = QHBoxLayout()
        top.addWidget(self.toggle)
        top.addWidget(self.copy)
        top.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.problem)
        column.addWidget(self.text)
        self._pause = QTimer(self, interval=READ_EVERY_MS)
        self._pause.timeout.connect(self._read)
        store.part(SettingsStore).console_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        self._show(shown=False)

    def refresh(self) -> None:
        """Update the widgets from the store. Only new text is appended, so that a selection is kept."""
        console = self._store.part(SettingsStore).console
        if console.startswith(self._shown) and self._shown:
            more = console[len(self._shown) :]
            if more:
                bar = self.text.verticalScrollBar()
                at_end = bar.value() >= bar.maximum() - 1
                cursor = self.text.textCursor()
                cursor.movePosition(cursor.MoveOperation.End)
                cursor.insertText(more)
                if at_end:
                    bar.setValue(bar.maximum())
        elif console != self._shown:
            self.text.setPlainText(console)
            self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
        self._shown = console
        self.text.setPlaceholderText(_("No console output yet."))
        problem = self._store.part(SettingsStore).problem(Topic.LOGS)
        self.problem.setText(say(problem.summary) if problem else "")
        self.problem.setVisible(problem is not None and not self.text.isHidden())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.text.isHidden():
            self._read()
            self._pause.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._pause.stop()

    def _toggle(self) -> None:
        self._show(shown=self.text.isHidden())

    def _show(self, *, shown: bool) -> None:
        self.text.setVisible(shown)
        self.copy.setVisible(shown)
        text = _("Hide console") if shown else _("Show console")
        self.toggle.setText(text)
        self.toggle.setAccessibleName(text)
        self.refresh()
        if shown:
            self._read()
            self._pause.start()
        else:
            self._pause.stop()

    def _read(self) -> None:
        self._store.intents.request_agent.emit(messages.ReadLog(which=messages.MachineLog.SERIAL))
