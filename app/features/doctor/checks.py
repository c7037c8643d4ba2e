"""The diagnostics page: the result of each check, what to do about it, and buttons for automatic fixes."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QScrollArea, QVBoxLayout, QWidget

from app.features.doctor.bundle import BundleCard
from app.features.doctor.checks_store import CheckEntry, ChecksStore, CheckState
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _, message, ngettext, say
from app.ui import theme
from app.ui.confirm import ask
from app.ui.marked import MarkedRow, show_line
from app.ui.safe_text import tooltip
from app.ui.widgets import Card, CopyButton, ScrollingRow, button, label

_STATES = {
    CheckState.BROKEN: message("Problem"),
    CheckState.WARNING: message("Warning"),
    CheckState.NOTE: message("Note"),
    CheckState.GOOD: message("OK"),
}
_GLYPHS = {
    CheckState.BROKEN: "alert-circle",
    CheckState.WARNING: "alert",
    CheckState.NOTE: "information-outline",
    CheckState.GOOD: "check-circle",
}
_ORDER = tuple(CheckState)
_WRONG = (CheckState.BROKEN, CheckState.WARNING)


class ChecksView(QScrollArea):
    """The page: the diagnostics card and the support bundle card."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setAccessibleName(_("Diagnostics"))
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
    """Runs the checks and lists their results. Works in every phase of the machine, and without an agent."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Diagnostics"))
        self._store = store
        self.run = button(_("Run diagnostics"), store.intents.run_checks.emit, "primary")
        self.fix_all = button("", self._fix_all)
        self.copy = CopyButton(lambda: store.part(ChecksStore).as_text, _("Copy all"))
        self.network = button(
            _("Check network…"),
            lambda: store.intents.check_network.emit(""),
            None,
            _(
                "Tests each step of an image pull, from this computer and from the machine, and "
                "suggests fixes. Nothing is changed."
            ),
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
        for widget in (self.run, self.network, self.fix_all, self.copy):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        self.body.addWidget(
            label(_("Checks everything the machine needs and suggests fixes. Nothing is changed."), "muted", wrap=True)
        )
        self.body.addWidget(ScrollingRow(controls))
        self.body.addWidget(self._sum)
        self.body.addWidget(self._problem)
        self.body.addLayout(self._list)
        store.part(ChecksStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        checks = self._store.part(ChecksStore)
        text = _("Checking…") if checks.running else _("Run diagnostics") if checks.results is None else _("Run again")
        self.run.setText(text)
        self.run.setAccessibleName(text)
        self.run.setEnabled(not checks.running)
        count = len(checks.fixable)
        self.fix_all.setVisible(count > 1)
        self.fix_all.setText(_("Fix all ({count})", count=count))
        self.fix_all.setAccessibleName(self.fix_all.text())
        self.fix_all.setEnabled(not checks.running)
        self.copy.setVisible(bool(checks.as_text))
        self._problem.show_problem(checks.problem)
        results = sorted(checks.results or (), key=lambda entry: _ORDER.index(entry.state))
        failed = sum(entry.state in _WRONG for entry in results)
        if checks.results is None or checks.running:
            show_line(self._sum, "")
        else:
            show_line(
                self._sum,
                ngettext("{count} check needs attention.", "{count} checks need attention.", failed)
                if failed
                else _("No problems found."),
            )
        while len(self._rows) < len(results):
            row = _Row(self._fix)
            self._rows.append(row)
            self._list.addWidget(row)
        for number, row in enumerate(self._rows):
            row.setVisible(number < len(results))
            if number < len(results):
                row.show_entry(results[number], running=checks.running, fixing=results[number].id in checks.fixing)

    def _fix(self, entry: CheckEntry) -> None:
        confirm_fix(self, self._store, (entry,))

    def _fix_all(self) -> None:
        confirm_fix(self, self._store, self._store.part(ChecksStore).fixable)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_rows"):
            self.refresh()


def confirm_fix(parent: QWidget, store: AppStore, entries: tuple[CheckEntry, ...]) -> QMessageBox:
    """Ask for confirmation to apply the automatic fixes of `entries`, and list what they change."""
    return ask(
        parent,
        _("Fix"),
        ngettext("Fix “{title}”?", "Fix {count} problems?", len(entries), title=say(entries[0].title)),
        [say(entry.fix) for entry in entries if entry.fix is not None],
        confirm=_("Fix"),
        confirmed=lambda _ticked: store.intents.fix_checks.emit(tuple(entry.id for entry in entries)),
        danger=False,
    )


class _Row(MarkedRow):
    """One check's result, with explanation and hint, and a button if Wherry can fix it."""

    def __init__(self, fix: Callable[[CheckEntry], object]) -> None:
        self._on_fix = fix
        self._entry: CheckEntry | None = None
        self._finding = label("", wrap=True, selectable=True)
        self._explanation = label("", "muted", wrap=True)
        self._hint = label("", wrap=True, selectable=True)
        super().__init__(self._finding, self._explanation, self._hint)
        self.fix = button(_("Fix"), self._request_fix)
        self.across.addWidget(self.fix, 0, Qt.AlignmentFlag.AlignTop)

    def _request_fix(self) -> None:
        if self._entry is not None:
            self._on_fix(self._entry)

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
        status = _("Fixed") if entry.fixed else say(_STATES[entry.state])
        self.mark.show_mark(_GLYPHS[entry.state], colour, status)
        self.title.setText(f"{say(entry.title)} · {status}" if entry.fixed else say(entry.title))
        self._finding.setText(say(entry.finding))
        show_line(self._explanation, say(entry.explanation) if bad and entry.explanation else "")
        show_line(self._hint, _("What to do: {hint}", hint=entry.hint) if entry.hint else "")
        self.fix.setVisible(bool(entry.fix))
        self.fix.setText(_("Fixing…") if fixing else _("Fix"))
        self.fix.setAccessibleName(_("Fix: {title}", title=say(entry.title)))
        self.fix.setToolTip(tooltip(say(entry.fix) if entry.fix else ""))
        self.fix.setEnabled(not running)
