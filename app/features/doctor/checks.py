"""The checks of everything that the machine needs: what each found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QScrollArea, QVBoxLayout, QWidget

from app import texts
from app.features.doctor.bundle import BundleCard
from app.features.doctor.checks_store import CheckEntry, ChecksStore, CheckState
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import text
from app.ui import theme
from app.ui.confirm import ask
from app.ui.marked import MarkedRow, show_line
from app.ui.safe_text import tooltip
from app.ui.widgets import Card, CopyButton, ScrollingRow, button, label

_GLYPHS = {
    CheckState.BROKEN: "alert-circle",
    CheckState.WARNING: "alert",
    CheckState.NOTE: "information-outline",
    CheckState.GOOD: "check-circle",
}
_ORDER = tuple(CheckState)
_WRONG = (CheckState.BROKEN, CheckState.WARNING)


class ChecksView(QScrollArea):
    """The page of them."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setAccessibleName(text("checks.title"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.card = ChecksCard(store)
        self.bundle = BundleCard(store)
        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(theme.px(2), theme.px(14), theme.px(14), theme.px(18))
        column.setSpacing(theme.px(14))
        column.addWidget(self.card)
        column.addWidget(self.bundle)
        column.addStretch(1)
        self.setWidget(page)


class ChecksCard(Card):
    """A function of the store. Usable in every phase, and without an agent."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(text("checks.title"))
        self._store = store
        self.run = button(text("checks.run"), store.intents.run_checks.emit, "primary")
        self.fix_all = button(text("checks.fix-all"), self._fix_all)
        self.copy = CopyButton(lambda: store.part(ChecksStore).as_text, text("checks.copy"))
        self.network = button(
            text("network-check.open"), lambda: store.intents.check_network.emit(""), None, text("network-check.text")
        )
        self._sum = label("", "muted", wrap=True)
        self._problem = ProblemView(store)
        self._rows: list[_Row] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(theme.px(12))
        controls = QWidget()
        buttons = QHBoxLayout(controls)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(theme.px(8))
        for made in (self.run, self.network, self.fix_all, self.copy):
            buttons.addWidget(made)
        buttons.addStretch(1)
        self.body.addWidget(label(text("checks.text"), "muted", wrap=True))
        self.body.addWidget(ScrollingRow(controls))
        self.body.addWidget(self._sum)
        self.body.addWidget(self._problem)
        self.body.addLayout(self._list)
        store.part(ChecksStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        checks = self._store.part(ChecksStore)
        key = "checks.running" if checks.running else "checks.run" if checks.results is None else "checks.again"
        self.run.setText(text(key))
        self.run.setAccessibleName(text(key))
        self.run.setEnabled(not checks.running)
        count = len(checks.fixable)
        self.fix_all.setVisible(count > 1)
        self.fix_all.setText(text("checks.fix-all", count=count))
        self.fix_all.setAccessibleName(self.fix_all.text())
        self.fix_all.setEnabled(not checks.running)
        self.copy.setVisible(bool(checks.as_text))
        self._problem.show_problem(checks.problem)
        results = sorted(checks.results or (), key=lambda entry: _ORDER.index(entry.state))
        failed = sum(entry.state in _WRONG for entry in results)
        if checks.results is None or checks.running:
            show_line(self._sum, "")
        else:
            show_line(self._sum, texts.plural("checks.sum.bad", failed) if failed else text("checks.sum.good"))
        while len(self._rows) < len(results):
            row = _Row(self._fix)
            self._rows.append(row)
            self._list.addWidget(row)
        for number, row in enumerate(self._rows):
            row.setVisible(number < len(results))
            if number < len(results):
                row.show_entry(results[number], running=checks.running, fixing=results[number].id in checks.fixing)

    def _fix(self, entry: CheckEntry) -> None:
        ask_fix(self, self._store, (entry,))

    def _fix_all(self) -> None:
        ask_fix(self, self._store, self._store.part(ChecksStore).fixable)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_rows"):
            self.refresh()


def ask_fix(parent: QWidget, store: AppStore, entries: tuple[CheckEntry, ...]) -> QMessageBox:
    """Says what is going to be changed, and asks."""
    return ask(
        parent,
        text("checks.fix.title"),
        texts.plural("checks.fix.question", len(entries), title=entries[0].title),
        [entry.fix for entry in entries],
        confirm=text("checks.fix"),
        confirmed=lambda _ticked: store.intents.fix_checks.emit(tuple(entry.id for entry in entries)),
        danger=False,
    )


class _Row(MarkedRow):
    """What was checked, what was found, what to do, and a button where Wherry can do it."""

    def __init__(self, fix: Callable[[CheckEntry], object]) -> None:
        self._wanted = fix
        self._entry: CheckEntry | None = None
        self._finding = label("", wrap=True, selectable=True)
        self._explanation = label("", "muted", wrap=True)
        self._hint = label("", wrap=True, selectable=True)
        super().__init__(self._finding, self._explanation, self._hint)
        self.fix = button(text("checks.fix"), self._ask)
        self.across.addWidget(self.fix, 0, Qt.AlignmentFlag.AlignTop)

    def _ask(self) -> None:
        if self._entry is not None:
            self._wanted(self._entry)

    def show_entry(self, entry: CheckEntry, *, running: bool, fixing: bool) -> None:
        self._entry = entry
        bad = entry.state in _WRONG
        colours = theme.current()
        colour = {
            CheckState.BROKEN: colours.danger,
            CheckState.WARNING: colours.warning,
            CheckState.NOTE: colours.accent,
            CheckState.GOOD: colours.running,
        }[entry.state]
        said = text("checks.fixed" if entry.fixed else f"checks.state.{entry.state.value}")
        self.mark.show_mark(_GLYPHS[entry.state], colour, said)
        self.title.setText(f"{entry.title} · {text('checks.fixed')}" if entry.fixed else entry.title)
        self._finding.setText(entry.finding)
        show_line(self._explanation, entry.explanation if bad else "")
        show_line(self._hint, text("checks.hint", hint=entry.hint) if entry.hint else "")
        self.fix.setVisible(bool(entry.fix))
        self.fix.setText(text("checks.fixing" if fixing else "checks.fix"))
        self.fix.setAccessibleName(text("checks.fix.name", title=entry.title))
        self.fix.setToolTip(tooltip(entry.fix))
        self.fix.setEnabled(not running)
