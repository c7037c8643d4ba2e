"""Something that was found, in a list of such: a mark that says how it stands, a title, and words below it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.ui import icons, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import label


class Mark(QLabel):
    """A glyph in a colour, with its words for those who do not see it."""

    def __init__(self, size: int = 18) -> None:
        """Make it.

        Args:
            size: pixels at 100 per cent.
        """
        super().__init__()
        self.setFixedSize(theme.px(size), theme.px(size))

    def show_mark(self, glyph: str, colour: str, words: str) -> None:
        """Show another. `colour` as "#rrggbb"."""
        self.setPixmap(icons.glyph(glyph, colour).pixmap(QSize(self.width(), self.height())))
        self.setAccessibleName(words)
        self.setToolTip(tooltip(words))


class MarkedRow(QWidget):
    """Its lines are written by `show_line`."""

    def __init__(self, *lines: QLabel) -> None:
        """Make it.

        Args:
            lines: what stands below the title.
        """
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
    """Write a line of a MarkedRow, or hide it where there is nothing to say."""
    line.setText(words)
    line.setVisible(bool(words))
