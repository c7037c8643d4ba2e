"""The checks of everything that the machine needs: what each found, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app import icons, texts, theme
from app.store import AppStore
from app.texts import text
from app.views.problem import ProblemView
from app.widgets import Card, CopyButton, button, label

if TYPE_CHECKING:
    from backend.api import CheckResult


class ChecksView(QScrollArea):
    """The page of them."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setAccessibleName(text("checks.title"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.card = ChecksCard(store)
        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(theme.px(2), theme.px(14), theme.px(14), theme.px(18))
        column.addWidget(self.card)
        column.addStretch(1)
        self.setWidget(page)


class ChecksCard(Card):
    """A function of the store. Usable in every phase, and without an agent."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(text("checks.title"))
        self._store = store
        self.run = button(text("checks.run"), store.intents.run_checks.emit)
        self.copy = CopyButton(lambda: store.checks.as_text, text("checks.copy"))
        self._sum = label("", "muted", wrap=True)
        self._problem = ProblemView(store)
        self._rows: list[_Row] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(theme.px(10))
        buttons = QHBoxLayout()
        buttons.addWidget(self.run)
        buttons.addWidget(self.copy)
        buttons.addWidget(self._sum, 1)
        self.body.addWidget(label(text("checks.text"), "muted", wrap=True))
        self.body.addLayout(buttons)
        self.body.addWidget(self._problem)
        self.body.addLayout(self._list)
        store.checks.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        checks = self._store.checks
        key = "checks.running" if checks.running else "checks.run" if checks.results is None else "checks.again"
        self.run.setText(text(key))
        self.run.setAccessibleName(text(key))
        self.run.setEnabled(not checks.running)
        self.copy.setVisible(bool(checks.as_text))
        self._problem.show_problem(checks.problem)
        results = checks.results or ()
        failed = sum(not result.passed for result in results)
        if checks.results is None or checks.running:
            self._sum.setText("")
        else:
            self._sum.setText(texts.plural("checks.sum.bad", failed) if failed else text("checks.sum.good"))
        while len(self._rows) < len(results):
            row = _Row()
            self._rows.append(row)
            self._list.addWidget(row)
        for number, row in enumerate(self._rows):
            row.setVisible(number < len(results))
            if number < len(results):
                row.show_result(results[number])

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_rows"):
            self.refresh()


class _Row(QWidget):
    """A mark, what was checked, what was found, what to do."""

    def __init__(self) -> None:
        super().__init__()
        self._mark = QLabel()
        self._mark.setFixedSize(theme.px(18), theme.px(18))
        self._title = label("", "heading", wrap=True)
        self._finding = label("", wrap=True, selectable=True)
        self._hint = label("", "muted", wrap=True, selectable=True)
        words = QVBoxLayout()
        words.setSpacing(2)
        for one in (self._title, self._finding, self._hint):
            words.addWidget(one)
        across = QHBoxLayout(self)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(theme.px(10))
        marked = QVBoxLayout()
        marked.addWidget(self._mark)
        marked.addStretch(1)
        across.addLayout(marked)
        across.addLayout(words, 1)

    def show_result(self, result: CheckResult) -> None:
        colours = theme.current()
        glyph, colour = ("check-circle", colours.running) if result.passed else ("alert-circle", colours.danger)
        self._mark.setPixmap(icons.glyph(glyph, colour).pixmap(QSize(theme.px(18), theme.px(18))))
        said = text("checks.passed" if result.passed else "checks.failed")
        self._mark.setAccessibleName(said)
        self._mark.setToolTip(said)
        self._title.setText(result.title)
        self._finding.setText(result.finding)
        self._hint.setText(text("checks.hint", hint=result.hint) if result.hint else "")
        self._hint.setVisible(bool(result.hint) and not result.passed)
