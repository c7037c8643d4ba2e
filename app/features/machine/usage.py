"""Memory and disk use of the machine as bars: use inside the machine and on this computer, relative to the limit."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from app.features.stats.store import StatsStore
from app.state.machine_actions import refusal
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from app.texts import _, pgettext
from app.ui import figures, theme
from app.ui.safe_text import tooltip
from app.ui.widgets import Card, button, label
from backend.api import Phase, messages

_STEPS = 1000
_TWO_COLUMNS = 640


class UsageCards(QWidget):
    """Two cards with bars, from the store. Hidden while there are no figures."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self.memory_used = _Bar(pgettext("memory", "Used in the machine"))
        self.memory_on_host = _Bar(_("Host memory used"))
        self.disk_used = _Bar(pgettext("disk", "Used in the machine"))
        self.disk_on_host = _Bar(_("Host disk space used"))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.px(14))
        self._cards: list[Card] = []
        self._last_result: dict[str, QLabel] = {}
        self.returned: dict[str, QLabel] = {}
        self.reclaim = button(_("Reclaim now"), self._request)
        self._columns = 0
        for kind, title, hint, bars in (
            (
                "memory",
                _("Memory"),
                _("Memory freed by programs returns to this computer after a while."),
                (self.memory_used, self.memory_on_host),
            ),
            ("disk", _("Disk"), _("The disk file grows as needed."), (self.disk_used, self.disk_on_host)),
        ):
            card = Card(title)
            for bar in bars:
                card.body.addWidget(bar)
            card.body.addWidget(label(hint, "muted", wrap=True))
            self.returned[kind] = label("", wrap=True)
            card.body.addWidget(self.returned[kind])
            card.body.addLayout(self._make_footer(kind))
            card.body.addStretch(1)
            card.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
            self._cards.append(card)
        self._arrange()
        store.part(MaintenanceStore).changed.connect(self.refresh)
        store.part(StatsStore).changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    def _make_footer(self, kind: str) -> QHBoxLayout:
        """A row for the last reclaim's result and, for memory, the button that reclaims both memory and disk."""
        row = QHBoxLayout()
        row.setSpacing(theme.px(8))
        last_result = self._last_result[kind] = label("", wrap=True)
        if kind == "memory":
            row.addWidget(self.reclaim)
        row.addWidget(last_result, 1)
        row.addStretch(0)
        return row

    def _request(self) -> None:
        self._store.intents.request_maintenance.emit(messages.Reclaim())

    def _show_reclaim(self) -> None:
        reason, in_flight = refusal(self._store), messages.Reclaim in self._store.part(MaintenanceStore).in_flight
        self.reclaim.setText(_("Reclaiming…") if in_flight else _("Reclaim now"))
        self.reclaim.setEnabled(not reason and not in_flight)
        self.reclaim.setToolTip(
            tooltip(reason or _("Return unused memory and the space of deleted data to this computer"))
        )
        reclaimed = self._store.part(MaintenanceStore).reclaimed
        pairs = {
            "memory": (reclaimed.memory_before, reclaimed.memory_after) if reclaimed else (None, None),
            "disk": (reclaimed.disk_before, reclaimed.disk_after) if reclaimed else (None, None),
        }
        for kind, (before, after) in pairs.items():
            saved_space = before is not None and after is not None and after < before
            self._last_result[kind].setVisible(saved_space)
            if before is not None and after is not None:
                text = _("Last time: {before} → {after}", before=figures.size(before), after=figures.size(after))
                self._last_result[kind].setText(text)

    def _arrange(self) -> None:
        columns = 2 if self.width() >= theme.px(_TWO_COLUMNS) else 1
        if columns != self._columns:
            self._columns = columns
            for number, card in enumerate(self._cards):
                self._grid.addWidget(card, number // columns, number % columns)
            self._grid.setColumnStretch(0, 1)
            self._grid.setColumnStretch(1, 1 if columns == 2 else 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        usage = self._store.part(StatsStore).machine if self._store.phase in (Phase.RUNNING, Phase.DEGRADED) else None
        self.setVisible(usage is not None)
        if usage is None:
            return
        self._show_reclaim()
        resources = self._store.machine.resources if self._store.machine else None
        memory = resources.memory_mib * 1024**2 if resources else usage.memory_total_bytes
        disk = resources.disk_gib * 1024**3 if resources else usage.disk_total_bytes
        self.memory_used.show_share(usage.memory_used_bytes, memory)
        self.memory_on_host.show_share(usage.memory_on_host_bytes, memory)
        self.disk_used.show_share(usage.disk_used_bytes, disk)
        self.disk_on_host.show_share(usage.disk_on_host_bytes, disk)
        for kind, returned in (("memory", usage.memory_returned_bytes), ("disk", usage.disk_returned_bytes)):
            self.returned[kind].setVisible(returned is not None)
            self.returned[kind].setText(_("Reclaimed since the start: {size}", size=figures.size(returned or 0)))


class _Bar(QWidget):
    """A title, a value, and a bar below them."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.text: QLabel = label("")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setRange(0, _STEPS)
        self.bar.setAccessibleName(title)
        head = QHBoxLayout()
        head.addWidget(label(title, wrap=True), 1)
        head.addWidget(self.text)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, theme.px(4))
        column.setSpacing(theme.px(4))
        column.addLayout(head)
        column.addWidget(self.bar)

    def show_share(self, used: int | None, total: int) -> None:
        """Show `used` of `total` bytes; None for unknown use."""
        text = figures.used_of(used, total) if used is not None else _("unknown")
        self.text.setText(text)
        self.bar.setAccessibleDescription(text)
        self.bar.setValue(min(_STEPS, round(_STEPS * (used or 0) / total)) if total else 0)
