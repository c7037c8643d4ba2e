"""Settings of the data disk: its location, moving it to another folder, and erasing it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMessageBox, QVBoxLayout, QWidget

from app.features.settings.fields.rows import line_of, muted
from app.features.stats.store import StatsStore
from app.state.machine_actions import refusal
from app.state.maintenance_store import MaintenanceStore
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import figures, theme
from app.ui.confirm import ask
from app.ui.safe_text import tooltip
from app.ui.widgets import ElidedLabel, button, label
from backend.api import messages


class DataDiskRows(QWidget):
    """Shows the disk's file from the store, with buttons to move and erase it."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self.place = ElidedLabel()
        self.takes = label("", "muted")
        self.move_disk = button(_("Move to another folder…"), self._choose_folder)
        self.reset = button(_("Erase…"), lambda: confirm_reset(self, store), "danger")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, theme.px(10), 0, 0)
        column.setSpacing(theme.px(8))
        column.addWidget(label(_("Data disk"), "heading"))
        column.addWidget(muted(_("Containers, images and volumes are stored in this file.")))
        column.addWidget(self.place)
        column.addWidget(self.takes)
        column.addLayout(line_of(self.move_disk, self.reset))
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        store.part(MaintenanceStore).changed.connect(self.refresh)
        store.part(StatsStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        machine = self._store.part(SettingsStore).machine
        self.setVisible(machine is not None and machine.disk.exists)
        if machine is None:
            return
        self.place.set_whole(machine.disk.path)
        size = disk_size(self._store)
        if machine.disk.size_gib is not None:
            text = _("up to {most}", most=_("{value} GiB", value=machine.disk.size_gib))
            self.takes.setText(
                _("Currently {size}, {most}.", size=figures.size(size), most=text) if size is not None else text
            )
        reason, in_flight = refusal(self._store), self._store.part(MaintenanceStore).in_flight
        for made, request, tip in (
            (self.move_disk, messages.MoveDisk, _("For example, to a drive with more space")),
            (self.reset, messages.ResetMachine, _("Erase everything and start fresh")),
        ):
            made.setEnabled(not reason and request not in in_flight)
            made.setToolTip(tooltip(reason or tip))

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, _("Folder for the data disk"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        machine = self._store.part(SettingsStore).machine
        if machine is not None and machine.disk.path:
            dialog.setDirectory(str(Path(machine.disk.path).parent))
        dialog.fileSelected.connect(lambda folder: confirm_move(self, self._store, folder))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def disk_size(store: AppStore) -> int | None:
    """The disk file's size on this computer in bytes; None if unknown."""
    usage, machine = store.part(StatsStore).machine, store.part(SettingsStore).machine
    if usage is not None and usage.disk_on_host_bytes is not None:
        return usage.disk_on_host_bytes
    return machine.disk.used_bytes if machine is not None else None


def confirm_move(parent: QWidget, store: AppStore, folder: str) -> QMessageBox:
    """Confirm moving the disk. The copy is verified before the original is deleted."""
    size = disk_size(store)
    lines = [
        _("The copy is verified before the original is deleted. You can cancel until then."),
        _("Everything is kept, checkpoints included."),
    ]
    if size is not None:
        lines.insert(0, _("{size} will be copied.", size=figures.size(size)))
    if store.machine_keeps_running:
        running = len(store.running)
        lines.append(
            ngettext(
                "The machine restarts. {count} running container is stopped first and starts again "
                "if its restart policy allows.",
                "The machine restarts. {count} running containers are stopped first and start again "
                "if their restart policies allow.",
                running,
            )
            if running
            else _("The machine restarts. No containers are running.")
        )
    return ask(
        parent,
        _("Move data disk"),
        _("Move the data disk to {folder}?", folder=folder),
        lines,
        confirm=_("Move"),
        confirmed=lambda _ticked: store.intents.request_maintenance.emit(messages.MoveDisk(directory=folder)),
        danger=False,
    )


def confirm_reset(parent: QWidget, store: AppStore) -> QMessageBox:
    """Confirm erasing the machine. Its state is saved as a checkpoint unless the user unchecks that."""
    return ask(
        parent,
        _("Erase the machine"),
        _("Erase everything and start fresh?"),
        [
            _("All containers, images, volumes and networks will be deleted."),
            _("Settings and existing checkpoints are kept."),
        ],
        confirm=_("Erase"),
        confirmed=lambda keep: store.intents.request_maintenance.emit(messages.ResetMachine(keep=keep)),
        option=(_("Save the current state as a checkpoint"), True),
    )
