"""The alert bar below the header: the main problem of a running machine, a button to solve it, and a link to others."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import texts
from app.features.problems.problem import ActionButton, is_warning, related_pages
from app.state.store import AppStore
from app.texts import _, ngettext, say
from app.ui import icons, theme
from app.ui.ports import is_of_ports
from app.ui.widgets import button, label
from backend.api import Phase, Problem


class AlertBar(QFrame):
    """Shows the store's most serious problem. Hidden without problems, and where the open page shows them itself."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("alert")
        self._store = store
        self._page = ""
        self._shown: Problem | None = None
        self._action: QWidget | None = None
        self._mark = QLabel()
        self._mark.setFixedSize(theme.px(20), theme.px(20))
        self.title = label("", "heading", wrap=True)
        self.summary = label("", wrap=True)
        self.summary.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.more = button("", lambda: store.intents.show_machine.emit("overview"))
        texts_column = QVBoxLayout()
        texts_column.setSpacing(theme.px(1))
        texts_column.addWidget(self.title)
        texts_column.addWidget(self.summary)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(theme.px(16), theme.px(8), theme.px(20), theme.px(8))
        self._row.setSpacing(theme.px(10))
        self._row.addWidget(self._mark)
        self._row.addLayout(texts_column, 1)
        self._row.addWidget(self.more)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    def set_page(self, name: str) -> None:
        """Set the open page, by name: problems that it shows itself are left out here."""
        self._page = name
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        store = self._store
        up = store.phase in (Phase.RUNNING, Phase.DEGRADED)
        known = store.machine.problems if store.machine is not None and up else ()
        problems = [problem for problem in known if not _is_shown_on(self._page, problem)]
        self.setVisible(bool(problems))
        if not problems:
            self._show_action(None)
            return
        # Errors come before warnings.
        first = min(problems, key=lambda problem: is_warning(problem, store.phase))
        warns = is_warning(first, store.phase)
        self.title.setText(texts.problem_title(first.code))
        self.summary.setText(say(first.summary))
        self.setAccessibleName(_("Problem: {title}", title=self.title.text()))
        self.setProperty("level", "warning" if warns else "error")
        self.style().polish(self)
        self._colour(warns)
        others = len(problems) - 1
        self.more.setText(ngettext("{count} more", "{count} more", others) if others else _("Details"))
        self.more.setAccessibleName(self.more.text())
        self._show_action(first)

    def _show_action(self, problem: Problem | None) -> None:
        if problem == self._shown:
            return
        self._shown = problem
        if self._action is not None:
            self._action.hide()
            self._action.deleteLater()
            self._action = None
        if problem is None:
            return
        links = related_pages(self._store, problem)
        if problem.action is not None:
            self._action = ActionButton(self._store, problem.action, "primary")
        elif links:
            self._action = button(*links[0], "primary")
        if self._action is not None:
            self._row.insertWidget(2, self._action)

    def _colour(self, warns: bool) -> None:
        colours = theme.current()
        colour = colours.warning if warns else colours.danger
        self._mark.setPixmap(icons.glyph("alert-outline", colour).pixmap(QSize(theme.px(20), theme.px(20))))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_row") and self._shown is not None:
            self._colour(is_warning(self._shown, self._store.phase))


def _is_shown_on(page: str, problem: Problem) -> bool:
    return page == "machine" or (page == "ports" and is_of_ports(problem))
