"""Small widgets shared by several views. All text is plain text and never interpreted as HTML."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.texts import _
from app.ui import icons, theme
from app.ui.safe_text import tooltip

COPIED_MS = 1_500
_CODE_PADDING = 2
_SEARCH_WIDTH = 200


def label(words: str = "", role: str | None = None, *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """Create a label. `role` selects a style of the style sheet: "muted", "title", "heading", "code"..."""
    result = QLabel()
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.setText(words)
    result.setWordWrap(wrap)
    if role:
        result.setProperty("role", role)
    if selectable:
        result.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return result


def button(words: str, clicked: Callable[[], object], role: str | None = None, tip: str = "") -> QPushButton:
    """Create a push button."""
    result = QPushButton(words)
    result.setAccessibleName(words.replace("&", ""))
    result.setAutoDefault(True)  # Enter presses the focused button, as on other desktops
    if role:
        result.setProperty("role", role)
    result.setToolTip(tooltip(tip))
    result.clicked.connect(lambda _checked=False: clicked())
    return result


class IconButton(QToolButton):
    """A button with a glyph; its text is in the tool tip and for screen readers."""

    def __init__(self, glyph: str, words: str, shortcut: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._glyph = glyph
        self.setAccessibleName(words)
        self.setToolTip(tooltip(f"{words} ({shortcut})" if shortcut else words))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setIconSize(QSize(theme.px(18), theme.px(18)))
        self._colour()

    def set_glyph(self, glyph: str) -> None:
        """Change the glyph."""
        self._glyph = glyph
        self._colour()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self._colour()

    def _colour(self) -> None:
        self.setIcon(icons.glyph(self._glyph))


def resize_on_screen(dialog: QDialog, width: int, height: int) -> None:
    """Resize a dialog, in pixels at 100 per cent, but not beyond its screen."""
    parent = dialog.parentWidget()
    room = (parent.window() if parent is not None else dialog).screen().availableGeometry()
    dialog.resize(min(theme.px(width), room.width() * 9 // 10), min(theme.px(height), room.height() * 9 // 10))


class SearchButton(QPushButton):
    """A button that looks like the search field that it opens."""

    def __init__(self, clicked: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "search")
        self.setText(_("Search   {keys}", keys="Ctrl+K"))
        self.setAccessibleName(_("Search everything"))
        self.setToolTip(tooltip(_("Search containers, settings and actions")))
        self.setAutoDefault(True)
        self.setIconSize(QSize(theme.px(16), theme.px(16)))
        self.setMinimumWidth(theme.px(_SEARCH_WIDTH))
        self.clicked.connect(lambda _checked=False: clicked())
        self._colour()

    def set_compact(self, compact: bool) -> None:
        """Set whether only the icon is shown."""
        self.setText("" if compact else _("Search   {keys}", keys="Ctrl+K"))
        self.setMinimumWidth(0 if compact else theme.px(_SEARCH_WIDTH))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self._colour()

    def _colour(self) -> None:
        self.setIcon(icons.glyph("magnify", theme.current().muted))


class FilterField(QLineEdit):
    """Input field for filtering a list. Escape clears it; Down and Enter go to the list."""

    left = Signal()
    """The user goes to the list."""

    def __init__(self, placeholder: str, name: str) -> None:
        super().__init__()
        self.setClearButtonEnabled(True)
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name)
        self.setMinimumWidth(theme.px(160))
        self.setMaximumWidth(theme.px(340))
        self.setTextMargins(theme.px(22), 0, 0, 0)
        self.returnPressed.connect(self.left)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif key == Qt.Key.Key_Down and not event.modifiers():
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def go_to(self) -> None:
        """Focus the field and select its text."""
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        # Not an action of the field, whose icon would not scale with the zoom.
        size = theme.px(16)
        box = QRect(theme.px(8), (self.height() - size) // 2, size, size)
        colour = theme.current().muted if self.isEnabled() else theme.current().stopped
        icons.glyph("magnify", colour).paint(
            QPainter(self), QStyle.visualRect(self.layoutDirection(), self.rect(), box)
        )


class StateDot(QWidget):
    """A coloured status mark. Texts beside it name the status, so that colour is not the only sign."""

    def __init__(self, diameter: int = 12, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colour = "#808080"
        self._diameter = diameter
        self.setFixedSize(diameter + 4, diameter + 4)

    def set_colour(self, colour: str) -> None:
        """Set the colour as "#rrggbb"."""
        if colour != self._colour:
            self._colour = colour
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self._colour))
        painter.drawEllipse(2, 2, self._diameter, self._diameter)


class CopyButton(QPushButton):
    """Copies the text that `source` returns, and confirms it briefly."""

    def __init__(self, source: Callable[[], str], words: str, parent: QWidget | None = None) -> None:
        super().__init__(words, parent)
        self._source = source
        self._words = words
        self.setAccessibleName(words)
        self.setAutoDefault(True)
        self._back = QTimer(self, singleShot=True, interval=COPIED_MS)
        self._back.timeout.connect(lambda: self.setText(self._words))
        self.clicked.connect(self._copy)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._source())
        self.setText(_("Copied"))
        self._back.start()


class ElidedLabel(QLabel):
    """One line that is elided in the middle; the tool tip has the full text."""

    def __init__(self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle) -> None:
        super().__init__()
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", "code")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.whole = ""

    def set_whole(self, words: str) -> None:
        """Set the full text."""
        self.whole = words
        self.setToolTip(tooltip(words))
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = self.contentsRect().width() - _CODE_PADDING
        self.setText(self.fontMetrics().elidedText(self.whole, self._mode, room))


class CopyableCommand(QFrame):
    """A command for a terminal, with a Copy button."""

    def __init__(self, command: str = "", what: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = ElidedLabel()
        self._label.setAccessibleName(what or command)
        font = self._label.font()
        font.setFamilies(MONOSPACE)
        self._label.setFont(font)
        self.set_command(command)
        copy = CopyButton(lambda: self._label.whole, _("Copy"))
        copy.setAccessibleName(_("Copy") + ": " + (what or command))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(6))
        row.addWidget(self._label, 1)
        row.addWidget(copy)

    def set_command(self, command: str) -> None:
        """Set the command."""
        self._label.set_whole(command)


MONOSPACE = ["Cascadia Mono", "SF Mono", "Menlo", "DejaVu Sans Mono", "Consolas", "monospace"]


class ScrollingRow(QScrollArea):
    """A row of controls that scrolls horizontally in a narrow window, following the focus."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWidget(content)
        # Show the background below it.
        for widget in (self.viewport(), content):
            widget.setAutoFillBackground(False)

    def sizeHint(self) -> QSize:
        content = self._content.sizeHint()
        return QSize(content.width(), self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(240), self._height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()  # the scroll bar needs additional room

    def _height(self) -> int:
        content = self._content
        is_narrow = self.width() < content.minimumSizeHint().width()
        return content.sizeHint().height() + (self.horizontalScrollBar().sizeHint().height() if is_narrow else 0)


class Card(QFrame):
    """A framed section of a page with a heading."""

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(theme.px(16), theme.px(14), theme.px(16), theme.px(14))
        self.body.setSpacing(theme.px(8))
        self.body.addWidget(label(heading, "heading"))
