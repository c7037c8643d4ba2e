"""The Checkpoints tab: saved states of the machine's disk, to create, restore and delete."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QEvent, QPoint, QSortFilterProxyModel, Qt
from PySide6.QtGui import QAction, QHideEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.features.maintenance.checkpoint_dialogs import (
    CreateDialog,
    confirm_deletion,
    confirm_restore,
    display_name,
    size_text,
)
from app.features.problems.problem import ProblemView
from app.state.machine_actions import refusal
from app.state.maintenance_store import MaintenanceStore
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, message, ngettext, say
from app.ui import figures, icons, theme
from app.ui.empty import EmptyState
from app.ui.safe_text import tooltip
from app.ui.tables.listing_model import SORT_ROLE, ListingModel, TableColumn
from app.ui.tables.listing_table import ListingTable
from app.ui.widgets import button, label
from backend.api import Phase, messages

_REASONS: Final = {
    "manual": message("Manual"),
    "before-update": message("Before update"),
    "before-resize": message("Before resize"),
    "before-reset": message("Before erase"),
    "before-restore": message("Before restore"),
}
"""Labels by the agent's name of the reason."""


def reason_text(entry: messages.CheckpointEntry) -> str:
    """Why a checkpoint was created, as text."""
    if entry.foreign:
        return _("Created outside Wherry")
    reason = say(_REASONS[entry.reason]) if entry.reason in _REASONS else entry.reason
    return _("Automatic: {reason}", reason=reason[:1].lower() + reason[1:]) if entry.automatic else reason


class CheckpointsView(QWidget):
    """The table of checkpoints and its buttons. The list is loaded while the view is visible."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("page")
        self._store = store
        columns = (
            TableColumn(message("Name"), 0.34, 190, display_name),
            TableColumn(message("Reason"), 0.32, 170, reason_text),
            TableColumn(
                message("Created"),
                0.2,
                125,
                lambda entry: figures.ago(max(0.0, time.time() - entry.created_at)),
                lambda entry: -entry.created_at,
                lambda entry: figures.moment(entry.created_at),
            ),
            TableColumn(message("Size"), 0.14, 90, size_text, lambda entry: entry.size_gib, _facts),
        )
        self.model = ListingModel(columns, self)
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSourceModel(self.model)
        self.proxy.setSortRole(SORT_ROLE)
        self.proxy.setSortLocaleAware(True)
        self.table = ListingTable(columns)
        self.empty = EmptyState()
        self.problem = ProblemView(store)
        self.create_button = button(_("Create…"), self._create, "primary")
        self.restore_button = button(_("Restore…"), self._restore)
        self.delete_button = button(_("Delete…"), self._delete, "danger")
        self._count = label("", "muted")
        self.policy = label("", "muted", wrap=True)
        self.change_policy = button(
            _("Change…"),
            lambda: store.intents.show_setting.emit("lifecycle.keep-automatic"),
            "link",
        )
        self._nothing = QWidget()
        self._stack = QStackedWidget()
        self._make_table()
        self._lay_out()
        store.part(MaintenanceStore).changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        store.part(SettingsStore).machine_changed.connect(self._show_policy)
        self.refresh()

    @property
    def selected(self) -> list[messages.CheckpointEntry]:
        """The selected checkpoints, in display order."""
        return self.table.selected

    def refresh(self) -> None:
        """Update the widgets from the store."""
        maintenance = self._store.part(MaintenanceStore)
        entries = maintenance.checkpoints or ()
        if entries != self.model.rows:
            self.table.show_rows(entries)
        again = [(_("Try again"), lambda: self._store.intents.request_maintenance.emit(messages.ListCheckpoints()))]
        unread = maintenance.problem(messages.ListCheckpoints)
        self.problem.show_problem(unread or maintenance.restore_problem, again if unread is not None else ())
        self._count.setText(ngettext("{count} checkpoint", "{count} checkpoints", len(entries)) if entries else "")
        self._show_policy()
        self._enable()
        if entries:
            self._stack.setCurrentWidget(self.table)
            return
        if maintenance.problem(messages.ListCheckpoints) is not None:
            self._stack.setCurrentWidget(self._nothing)  # the problem above explains it
            return
        self._stack.setCurrentWidget(self.empty)
        picture = icons.glyph("history", theme.current().muted)
        if maintenance.checkpoints is None:
            waits = self._store.phase is not None
            self.empty.show_state(
                picture,
                _("Loading checkpoints"),
                _("Waiting for the machine's agent…"),
                progress=(0, 0) if waits else None,
            )
        else:
            action = (_("Create…"), self._create) if self.create_button.isEnabled() else None
            self.empty.show_state(
                picture,
                _("No checkpoints yet"),
                _(
                    "Wherry creates one automatically before updates, disk size changes and erasing. You "
                    "can also create one before trying something new."
                ),
                action=action,
            )

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._store.intents.watch_checkpoints.emit(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._store.intents.watch_checkpoints.emit(False)

    def _show_policy(self) -> None:
        policy, settings = self._store.part(MaintenanceStore).policy, self._store.part(SettingsStore).machine
        self.policy.setVisible(policy is not None)
        self.change_policy.setVisible(settings is not None and "checkpoints.keep_automatic" in settings.values)
        if policy is None:
            return
        if policy.keep_days:
            days = ngettext("{count} day", "{count} days", policy.keep_days)
            self.policy.setText(
                ngettext(
                    "Keeps the newest automatic checkpoint ({count}) for {days}. Manual checkpoints are "
                    "kept until you delete them.",
                    "Keeps the newest {count} automatic checkpoints for {days}. Manual checkpoints are "
                    "kept until you delete them.",
                    policy.keep_automatic,
                    days=days,
                )
            )
        else:
            self.policy.setText(
                ngettext(
                    "Keeps the newest automatic checkpoint ({count}). Manual checkpoints are kept until "
                    "you delete them.",
                    "Keeps the newest {count} automatic checkpoints. Manual checkpoints are kept until "
                    "you delete them.",
                    policy.keep_automatic,
                )
            )

    def _enable(self) -> None:
        chosen, in_flight = self.selected, self._store.part(MaintenanceStore).in_flight
        suspended = (
            _("Not available while the machine is suspended. Resume or stop it first.")
            if self._store.phase is Phase.SUSPENDED
            else ""
        )
        reason, count = refusal(self._store) or suspended, len(chosen)
        foreign = any(entry.foreign for entry in chosen)
        busy = bool(in_flight & {messages.CreateCheckpoint, messages.RestoreCheckpoint, messages.DeleteCheckpoint})
        for widget, usable, tip in (
            (self.create_button, True, _("Save the current state of the disk")),
            (
                self.restore_button,
                count == 1 and not foreign,
                _("This checkpoint was created outside Wherry, so its content is unknown")
                if foreign
                else _("Restore the selected checkpoint"),
            ),
            (self.delete_button, count > 0, _("Delete the selected checkpoints (Del)")),
        ):
            widget.setEnabled(usable and not reason and not busy)
            widget.setToolTip(tooltip(reason or tip))
        self._restore_action.setEnabled(self.restore_button.isEnabled())
        self._delete_action.setEnabled(self.delete_button.isEnabled())

    def _create(self) -> None:
        ask = self._store.intents.request_maintenance.emit
        CreateDialog(self, lambda name: ask(messages.CreateCheckpoint(name=name))).open()

    def _restore(self) -> None:
        if not self.restore_button.isEnabled():
            return
        (entry,) = self.selected
        confirm_restore(self, self._store, entry)

    def _delete(self) -> None:
        if self.delete_button.isEnabled():
            confirm_deletion(self, self._store, self.selected)

    def _make_table(self) -> None:
        table = self.table
        table.setAccessibleName(_("Checkpoints"))
        table.setModel(self.proxy)
        table.sortByColumn(2, Qt.SortOrder.AscendingOrder)
        self._restore_action = QAction(icons.glyph("backup-restore"), _("Restore…"), table)
        self._restore_action.setShortcut(QKeySequence("Return"))
        self._restore_action.triggered.connect(lambda _checked=False: self._restore())
        self._delete_action = QAction(icons.glyph("trash-can-outline"), _("Delete…"), table)
        self._delete_action.setShortcut(QKeySequence("Del"))
        self._delete_action.triggered.connect(lambda _checked=False: self._delete())
        for action in (self._restore_action, self._delete_action):
            action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
            table.addAction(action)
        table.doubleClicked.connect(lambda _index: self._restore())
        table.customContextMenuRequested.connect(self._open_menu)
        table.selectionModel().selectionChanged.connect(lambda *_: self._enable())

    def _open_menu(self, at: QPoint) -> None:
        if self.selected:
            menu = QMenu(self)
            menu.addActions(self.table.actions())
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.table.viewport().mapToGlobal(at))

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.px(8))
        for widget in (self.create_button, self.restore_button, self.delete_button):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        buttons.addWidget(self._count)
        policy = QHBoxLayout()
        policy.setSpacing(theme.px(6))
        policy.addWidget(self.policy, 1)
        policy.addWidget(self.change_policy, 0, Qt.AlignmentFlag.AlignTop)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._nothing)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(2), theme.px(14), theme.px(2), theme.px(8))
        column.setSpacing(theme.px(12))
        column.addWidget(
            label(
                _(
                    "A checkpoint saves the state of the machine's disk: containers, images and volumes. "
                    "It takes space only for what changes later."
                ),
                "muted",
                wrap=True,
            )
        )
        column.addLayout(buttons)
        column.addWidget(self.problem)
        column.addWidget(self._stack, 1)
        column.addLayout(policy)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_stack"):
            self.refresh()


def _facts(entry: messages.CheckpointEntry) -> str:
    lines = [_("Deleting only this checkpoint frees {size}", size=size_text(entry))]
    if entry.disk_gib is not None:
        lines.append(_("Maximum disk size: {size}", size=_("{value} GiB", value=entry.disk_gib)))
    if entry.image_version:
        lines.append(_("Machine image {version}", version=entry.image_version))
    return "\n".join(lines)
