"""Placeholder for an empty list: the reason, and the next action."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.texts import _
from app.ui import theme
from app.ui.widgets import CopyableCommand, button, label

_WIDTH = 540
_HIGH_ENOUGH = 260
"""Minimum height for showing the picture."""


class EmptyState(QScrollArea):
    """A centred picture, title and sentence, and optionally progress, a command to copy, and a button.

    It scrolls when there is little room.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._clicked: Callable[[], object] = lambda: None
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title = label("", "title", wrap=True)
        self._title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._words = label("", "muted", wrap=True)
        self._words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.progress = QProgressBar(textVisible=False)
        self.progress.setAccessibleName(_("Startup"))
        self.command = CopyableCommand(what=_("Run a container here, or enter this in a terminal:"))
        self.button: QPushButton = button("", self._click, "primary")
        self.button.setMinimumHeight(theme.px(44))
        self.button.setMinimumWidth(theme.px(160))
        column = QVBoxLayout()
        column.setSpacing(theme.px(12))
        for widget in (self._picture, self._title, self._words, self.progress, self.command):
            column.addWidget(widget)
        column.addSpacing(theme.px(4))
        column.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        holder = QWidget()
        holder.setLayout(column)
        holder.setMaximumWidth(theme.px(_WIDTH))
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(holder, 100)
        across.addStretch(1)
        inner = QWidget()
        inner.setObjectName("page")
        outer = QVBoxLayout(inner)
        outer.addStretch(2)
        outer.addLayout(across)
        outer.addStretch(3)
        self.setWidget(inner)

    def _click(self) -> None:
        self._clicked()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._picture.setVisible(self.height() >= theme.px(_HIGH_ENOUGH))

    def show_state(
        self,
        picture: QIcon,
        title: str,
        words: str,
        *,
        progress: tuple[int, int] | None = None,
        command: str = "",
        action: tuple[str, Callable[[], object]] | None = None,
    ) -> None:
        """Show a state.

        Args:
            picture: icon above the title.
            title: in bold.
            words: sentence below the title.
            progress: steps done and total; (0, 0) for unknown length.
            command: a command with a Copy button; "" for none.
            action: the button's label, and what it does.
        """
        self._picture.setPixmap(picture.pixmap(QSize(theme.px(72), theme.px(72))))
        self._title.setText(title)
        self._words.setText(words)
        self.progress.setVisible(progress is not None)
        if progress is not None:
            self.progress.setRange(0, progress[1])
            self.progress.setValue(progress[0])
        self.command.setVisible(bool(command))
        self.command.set_command(command)
        self.button.setVisible(action is not None)
        if action is not None:
            self.button.setText(action[0])
            self.button.setAccessibleName(action[0])
            self._clicked = action[1]
