"""Short messages about single events, over the lower right corner of the window. They go by themselves.

What is still true (a problem, a refused request) is not shown here but in a banner, as long as it is true.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.texts import _, message, say
from app.ui import icons, theme
from app.ui.widgets import IconButton, label
from backend.api import Notice

SHOWN_MS: Final = {"info": 5_000, "warning": 10_000, "error": 20_000}
"""How long a message stays, by level."""
MOST: Final = 3
_WIDTH: Final = 420
_MARGIN: Final = 16
_NOTICES: Final = {
    "info": ("information-outline", "accent"),
    "warning": ("alert-outline", "warning"),
    "error": ("alert-circle", "danger"),
}
"""Icon and color name by level."""
_LEVELS: Final = {
    "info": message("Information"),
    "warning": message("Warning"),
    "error": message("Error"),
}


class Toasts(QWidget):
    """The messages on the screen, newest last. A child of the widget whose corner they are in."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self._toasts: list[Toast] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.px(8))
        over.installEventFilter(self)
        self.hide()

    @property
    def shown(self) -> list[Toast]:
        """The messages on the screen."""
        return list(self._toasts)

    def add(self, notice: Notice) -> None:
        """Show a message; one with the same text is replaced, and the oldest goes if there are too many."""
        text = say(notice.text)
        self.drop({text})
        while len(self.shown) >= MOST:
            self._remove(self.shown[0])
        toast = Toast(notice.level, text, self)
        toast.ended.timeout.connect(lambda: self._remove(toast))
        toast.close_button.clicked.connect(lambda _checked=False: self._remove(toast))
        self._toasts.append(toast)
        self._column.addWidget(toast)
        self.show()
        self._place()

    def drop(self, texts: set[str]) -> None:
        """Remove the messages with one of these texts."""
        for toast in self.shown:
            if toast.text in texts:
                self._remove(toast)

    def drop_level(self, level: str) -> None:
        """Remove the messages of this level, because what they tell about has ended."""
        for toast in self.shown:
            if toast.level == level:
                self._remove(toast)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._over and event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._place()
        return super().eventFilter(watched, event)

    def _remove(self, toast: Toast) -> None:
        toast.ended.stop()
        self._toasts.remove(toast)
        self._column.removeWidget(toast)
        toast.hide()
        toast.deleteLater()
        self.setVisible(bool(self.shown))
        self._place()

    def _place(self) -> None:
        if not self.shown:
            return
        margin = theme.px(_MARGIN)
        width = max(theme.px(120), min(theme.px(_WIDTH), self._over.width() - 2 * margin))
        self.setFixedWidth(width)
        height = self._column.heightForWidth(width) if self._column.hasHeightForWidth() else self.sizeHint().height()
        self.setGeometry(self._over.width() - width - margin, self._over.height() - height - margin, width, height)
        self.raise_()


class Toast(QFrame):
    """One message. `ended` fires when its time is over; the time stands still under the mouse."""

    def __init__(self, level: str, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("toast")
        self.level, self.text = level, text
        glyph, self._colour_name = _NOTICES.get(level, _NOTICES["info"])
        self._glyph = glyph
        self._mark = QLabel()
        self._mark.setFixedSize(theme.px(18), theme.px(18))
        self._mark.setAccessibleName(say(_LEVELS[level]) if level in _LEVELS else "")
        self.setAccessibleName(text)
        words = label(text, wrap=True)
        self.close_button = IconButton("close", _("Dismiss"))
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(14), theme.px(8), theme.px(8), theme.px(8))
        row.setSpacing(theme.px(10))
        row.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(words, 1)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        self.ended = QTimer(self, singleShot=True, interval=SHOWN_MS.get(level, SHOWN_MS["info"]))
        self.ended.start()
        self._colour()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.ended.stop()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.ended.start()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "ended"):
            self._colour()

    def _colour(self) -> None:
        picture = icons.glyph(self._glyph, getattr(theme.current(), self._colour_name))
        self._mark.setPixmap(picture.pixmap(QSize(theme.px(18), theme.px(18))))
