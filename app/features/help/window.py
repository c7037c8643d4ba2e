"""The Help window: a searchable list of topics, and the open topic."""

from __future__ import annotations

import re
from typing import Final

from PySide6.QtCore import QEvent, Qt, QUrl
from PySide6.QtGui import QColor, QKeySequence, QShortcut, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QSplitter,
    QTextBrowser,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.features.help import document
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.widgets import FilterField, IconButton, label, resize_on_screen
from backend.api import help_text, help_topics

FIRST_TOPIC: Final = "getting-started"
_NAME_ROLE: Final = Qt.ItemDataRole.UserRole
_ENDING: Final = ".md"


class HelpWindow(QDialog):
    """Not modal, to be read beside the main window. The manual is English in every language of the window."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.topic = ""
        """Name of the open topic."""
        self._texts = {one.name: help_text(one) for one in help_topics()}
        self._behind: list[str] = []
        self._ahead: list[str] = []
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Wherry help"))
        resize_on_screen(self, 960, 700)
        self.search = FilterField(_("Search help"), _("Search help"))
        self.topics = QListWidget()
        self.topics.setObjectName("topics")
        self.topics.setAccessibleName(_("Topics"))
        self.nothing = label(_("No topic matches."), "muted", wrap=True)
        self.browser = QTextBrowser()
        self.browser.setObjectName("help")
        self.browser.setAccessibleName(_("Wherry help"))
        self.browser.setOpenLinks(False)
        self.back = IconButton("arrow-left", _("Back"), "Alt+Left")
        self.forward = IconButton("arrow-right", _("Forward"), "Alt+Right")
        self._lay_out()
        self._list_topics()
        self.search.textChanged.connect(lambda _typed: self._filter())
        self.search.returnPressed.connect(self._take_first)
        self.topics.currentItemChanged.connect(self._on_current)
        self.browser.anchorClicked.connect(self._follow)
        self.back.clicked.connect(lambda _checked=False: self._navigate(self._behind, self._ahead))
        self.forward.clicked.connect(lambda _checked=False: self._navigate(self._ahead, self._behind))
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self.search.go_to)
        find.setContext(Qt.ShortcutContext.WindowShortcut)
        self._filter()
        self._enable()
        self.browser.setFocus()

    def show_topic(self, name: str) -> None:
        """Open a topic; an unknown name opens the first topic."""
        topic_name = name if name in self._texts else FIRST_TOPIC
        if topic_name == self.topic:
            return
        if self.topic:
            self._behind.append(self.topic)
            self._ahead.clear()
        self._show(topic_name)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "topic") and self.topic:
            self._show(self.topic)

    def _show(self, name: str) -> None:
        self.topic = name
        document.fill(self.browser.document(), self._texts[name])
        self.browser.verticalScrollBar().setValue(0)
        self._mark_current()
        self._highlight_matches()
        self._enable()

    def _navigate(self, source: list[str], other: list[str]) -> None:
        if source:
            other.append(self.topic)
            self._show(source.pop())

    def _follow(self, url: QUrl) -> None:
        """Open a link: another topic here, or a web page in the browser."""
        if url.isRelative() and url.path().endswith(_ENDING):
            self.show_topic(url.path().removesuffix(_ENDING))
        else:
            self._store.intents.open_url.emit(url.toString())

    # -- the list ------------------------------------------------------------------------------------------------
    def _list_topics(self) -> None:
        section = ""
        for one in help_topics():
            if one.section != section:
                section = one.section
                heading = QListWidgetItem(section, self.topics)
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
            item = QListWidgetItem(one.title, self.topics)
            item.setData(_NAME_ROLE, one.name)
            item.setToolTip(one.summary)

    def _on_current(self, current: QListWidgetItem | None, _before: QListWidgetItem | None) -> None:
        if current is not None and current.data(_NAME_ROLE):
            self.show_topic(current.data(_NAME_ROLE))

    def _mark_current(self) -> None:
        for item in self._items():
            if item.data(_NAME_ROLE) == self.topic:
                self.topics.setCurrentItem(item)

    def _filter(self) -> None:
        """Show only topics that contain, for each search term, a word that starts with it; and their headings."""
        patterns = [re.compile(rf"\b{re.escape(term)}", re.IGNORECASE) for term in self._terms()]
        heading: QListWidgetItem | None = None
        matches = 0
        for item in self._items():
            name = item.data(_NAME_ROLE)
            if not name:
                heading = item
                heading.setHidden(True)
                continue
            fits = all(pattern.search(self._texts[name]) for pattern in patterns)
            item.setHidden(not fits)
            if fits:
                matches += 1
                if heading is not None:
                    heading.setHidden(False)
        self.nothing.setVisible(not matches)
        self._highlight_matches()

    def _take_first(self) -> None:
        first = next((item for item in self._items() if item.data(_NAME_ROLE) and not item.isHidden()), None)
        if first is not None:
            self.show_topic(first.data(_NAME_ROLE))
            self.topics.setFocus(Qt.FocusReason.OtherFocusReason)

    def _items(self) -> list[QListWidgetItem]:
        return [self.topics.item(row) for row in range(self.topics.count())]

    def _terms(self) -> list[str]:
        return self.search.text().split()

    # -- highlights of the search -------------------------------------------------------------------------------
    def _highlight_matches(self) -> None:
        """Highlight the search terms in the open topic, and scroll to the first."""
        colour = QTextCharFormat()
        colour.setBackground(QColor(theme.current().selected))
        highlights: list[QTextEdit.ExtraSelection] = []
        shown: QTextDocument = self.browser.document()
        for term in self._terms():
            at = shown.find(term)
            while not at.isNull():
                one = QTextEdit.ExtraSelection()
                one.cursor = at
                one.format = colour
                highlights.append(one)
                at = shown.find(term, at)
        self.browser.setExtraSelections(highlights)
        if highlights:
            first = shown.find(self._terms()[0])
            first.clearSelection()
            self.browser.setTextCursor(first)
            self.browser.ensureCursorVisible()
        else:
            self.browser.setTextCursor(QTextCursor(shown))

    def _enable(self) -> None:
        self.back.setEnabled(bool(self._behind))
        self.forward.setEnabled(bool(self._ahead))

    def _lay_out(self) -> None:
        for key, go in (("Alt+Left", self.back), ("Alt+Right", self.forward)):
            QShortcut(QKeySequence(key), self, go.click)
        side = QWidget()
        left = QVBoxLayout(side)
        left.setContentsMargins(theme.px(14), theme.px(14), theme.px(8), theme.px(14))
        left.setSpacing(theme.px(10))
        left.addWidget(self.search)
        left.addWidget(self.nothing)
        left.addWidget(self.topics, 1)
        reading = QWidget()
        right = QVBoxLayout(reading)
        right.setContentsMargins(theme.px(14), theme.px(14), theme.px(14), theme.px(14))
        right.setSpacing(theme.px(10))
        bar = QHBoxLayout()
        bar.setSpacing(theme.px(6))
        bar.addWidget(self.back)
        bar.addWidget(self.forward)
        bar.addStretch(1)
        right.addLayout(bar)
        right.addWidget(self.browser, 1)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(1)
        split.addWidget(side)
        split.addWidget(reading)
        split.setSizes([theme.px(270), theme.px(690)])
        split.setStretchFactor(1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(split)
