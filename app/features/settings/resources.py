"""Resource settings: processors, memory and disk of the machine, within this computer's limits."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.data_disk import DataDiskRows
from app.features.settings.fields.rows import AmountRow, SettingsSection, line_of, muted
from app.state.machine_actions import refusal
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import theme
from app.ui.safe_text import tooltip
from app.ui.widgets import button
from backend.api import messages

CPUS: Final = "machine.cpus"
MEMORY: Final = "machine.memory_mib"
SWAP: Final = "machine.swap_mib"
DISK: Final = "machine.disk_gib"
_MEMORY_STEP: Final = 256
_LARGEST_DISK_GIB: Final = 2048
_LARGEST_SWAP_MIB: Final = 16_384
_DANGEROUS_SHARE: Final = 0.8
"""Share of this computer's memory above which the computer itself begins to swap."""


class ResourceRows(QWidget):
    """Rows for the amounts; also used by the first-run page, which leaves out the swap."""

    changed = Signal()  # by the user

    def __init__(self, store: AppStore, *, swap: bool = True) -> None:
        super().__init__()
        self._store = store
        self._touched: set[str] = set()
        self.cpus = AmountRow(_("Processors"), "")
        self.memory = AmountRow(_("Memory"), _(" GiB"), step=_MEMORY_STEP, shown_in=1024)
        self.swap = AmountRow(_("Swap"), _(" GiB"), step=_MEMORY_STEP, shown_in=1024)
        self.swap.set_note(
            _("When memory runs short, the machine compresses so much of what isn't being used. 0 turns this off.")
        )
        self.disk = AmountRow(_("Disk"), _(" GiB"))
        self._rows = {CPUS: self.cpus, MEMORY: self.memory, SWAP: self.swap, DISK: self.disk}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(18))
        for key, row in self._rows.items():
            column.addWidget(row)
            row.changed.connect(lambda _value, key=key: self._touch(key))
        self.swap.setVisible(swap)
        self.refresh()

    @property
    def values(self) -> dict[str, messages.SettingValue]:
        """The changed settings, by configuration key."""
        machine = self._store.part(SettingsStore).machine
        if machine is None:
            return {}
        present = _present(machine)
        return {key: self._rows[key].value for key in self._touched if self._rows[key].value != present[key]}

    def reset(self) -> None:
        """Discard changes that were not applied."""
        self._touched.clear()
        self.refresh()
        self.changed.emit()

    def refresh(self) -> None:
        """Update the widgets from the store; unapplied changes are kept."""
        machine = self._store.part(SettingsStore).machine
        self.setEnabled(machine is not None)
        if machine is None:
            return
        host, present = machine.host, _present(machine)
        self.cpus.set_range(1, max(host.cpus, present[CPUS]), dangerous_from=host.cpus if host.cpus > 2 else None)
        dangerous = int(host.memory_mib * _DANGEROUS_SHARE)
        self.memory.set_range(host.minimum_memory_mib, max(host.memory_mib, present[MEMORY]), dangerous_from=dangerous)
        self.swap.set_range(0, max(_LARGEST_SWAP_MIB, present[SWAP]))
        least = machine.disk.size_gib or 4
        self.disk.set_range(least, max(_LARGEST_DISK_GIB, present[DISK]))
        for key, row in self._rows.items():
            if key not in self._touched:
                row.show_value(present[key])
        self._show_notes(machine)

    def _touch(self, key: str) -> None:
        self._touched.add(key)
        machine = self._store.part(SettingsStore).machine
        if machine is not None:
            self._show_notes(machine)
        self.changed.emit()

    def _show_notes(self, machine: messages.SettingsReply) -> None:
        host = machine.host
        danger = _("All {count} processors: this computer may become slow while the machine is busy.", count=host.cpus)
        self.cpus.set_note(
            danger
            if self.cpus.is_dangerous
            else ngettext("This computer has {count}.", "This computer has {count}.", host.cpus)
        )
        total = host.memory_mib / 1024
        self.memory.set_note(
            _("This computer has {total:.1f} GiB and may become slow.", total=total)
            if self.memory.is_dangerous
            else _("This computer has {total:.1f} GiB.", total=total)
        )
        disk = _(
            "Maximum size; space is used only as needed. {free} GiB free on this computer.", free=host.disk_free_gib
        )
        if machine.disk.size_gib is not None:
            disk = (
                disk
                + " "
                + _("Currently {present} GiB. The disk can grow but not shrink.", present=machine.disk.size_gib)
            )
        self.disk.set_note(disk)


class ResourcesSection(SettingsSection):
    """The section: the amounts and the data disk."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Resources"))
        self._store = store
        self.problem = ProblemView(store)
        self.rows = ResourceRows(store)
        self.apply = button(_("Apply"), self._apply, "primary")
        self.discard = button(_("Discard"), self.rows.reset)
        self.automatic = button(
            _("Use recommended values"),
            self._automatic,
            None,
            _("Half of the processors and a quarter of the memory, within limits"),
        )
        self.data_disk = DataDiskRows(store)
        self.controls: dict[str, QWidget] = {
            "resources.cpus": self.rows.cpus.field,
            "resources.memory": self.rows.memory.field,
            "resources.swap": self.rows.swap.field,
            "resources.disk": self.rows.disk.field,
            "resources.data-disk": self.data_disk.move_disk,
        }
        self.column.addWidget(muted(_("The most the machine may use. Memory and disk are taken only as needed.")))
        self.column.addWidget(self.problem)
        self.column.addWidget(self.rows)
        self.column.addLayout(line_of(self.apply, self.discard, self.automatic))
        self.column.addWidget(self.data_disk)
        self.column.addStretch(1)
        self.rows.changed.connect(self._enable)
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        store.machine_changed.connect(self._enable)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        self.rows.refresh()
        self.problem.show_problem(self._store.part(SettingsStore).config_problem((CPUS, MEMORY, SWAP, DISK)))
        self._enable()

    def _enable(self) -> None:
        changed, reason = bool(self.rows.values), refusal(self._store)
        grows = DISK in self.rows.values and bool(reason)
        self.apply.setEnabled(changed and not grows)
        self.apply.setToolTip(tooltip(reason if grows else ""))
        self.discard.setEnabled(changed)
        machine = self._store.part(SettingsStore).machine
        self.automatic.setEnabled(machine is not None and any(machine.values[key] != 0 for key in (CPUS, MEMORY)))

    def _apply(self) -> None:
        values, machine = self.rows.values, self._store.part(SettingsStore).machine
        if machine is not None and machine.disk.size_gib is not None and DISK in values:
            # An existing disk grows by a separate operation: immediately, after creating a checkpoint.
            self._store.intents.request_maintenance.emit(messages.GrowDisk(size_gib=int(values.pop(DISK))))
        if values:
            self._store.intents.request_agent.emit(messages.SetSettings(values=values))

    def _automatic(self) -> None:
        self.rows.reset()
        self._store.intents.request_agent.emit(messages.SetSettings(values={CPUS: 0, MEMORY: 0}))


def _present(machine: messages.SettingsReply) -> dict[str, int]:
    return {
        CPUS: machine.chosen.cpus,
        MEMORY: machine.chosen.memory_mib,
        SWAP: int(machine.values.get(SWAP, 0)),
        DISK: max(int(machine.values[DISK]), machine.disk.size_gib or 0),
    }
