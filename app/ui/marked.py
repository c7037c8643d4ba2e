"""A list row with a status mark, a title, and further lines."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.ui import icons, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import label


class Mark(QLabel):
    """A coloured glyph with an accessible name."""

    def __init__(self, size: int = 18) -> None:
        """`size` is in pixels at 100 per cent."""
        super().__init__()
        self.setFixedSize(theme.px(size), theme.px(size))

    def show_mark(self, glyph: str, colour: str, words: str) -> None:
        """Show another mark. `colour` is "#rrggbb", `words` its accessible name."""
        self.setPixmap(icons.glyph(glyph, colour).pixmap(QSize(self.width(), self.height())))
        self.setAccessibleName(words)
        self.setToolTip(tooltip(words))


class MarkedRow(QWidget):
    """A row of a mark, a title and labels; `show_line` sets the labels' texts."""

    def __init__(self, *lines: QLabel) -> None:
        """`lines` are the labels below the title."""
        super().__init__()
        self.mark = Mark()
        self.title = label("", "heading", wrap=True)
        words = QVBoxLayout()
        words.setSpacing(theme.px(2))
        for one in (self.title, *lines):
            words.addWidget(one)
        self.across = QHBoxLayout(self)
        self.across.setContentsMargins(0, 0, 0, 0)
        self.across.setSpacing(theme.px(10))
        self.across.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        self.across.addLayout(words, 1)


def show_line(line: QLabel, words: str) -> None:
    """Set the text of a label in a MarkedRow; hide it when the text is empty."""
    line.setText(words)
    line.setVisible(bool(words))
