"""Lifecycle settings: automatic start, suspend and stop, automatic checkpoints, and updates.

Settings that the agent does not support are hidden.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow, ChoiceRow, NumberRow, SettingsSection
from app.state.preferences import ON_QUIT
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import _, message, ngettext, say
from app.ui.widgets import label
from backend.api import messages

ON_DEMAND: Final = "machine.start_on_demand"
KEEP_ENDPOINT: Final = "docker.keep_endpoint"
IDLE_MINUTES: Final = "machine.idle_minutes"
IDLE_ACTION: Final = "machine.idle_action"
KEEP_AUTOMATIC: Final = "checkpoints.keep_automatic"
KEEP_DAYS: Final = "checkpoints.keep_days"
IMAGE_UPDATE: Final = "image.update"
CONFIG_KEYS: Final = {
    "lifecycle.on-demand": ON_DEMAND,
    "lifecycle.keep-endpoint": KEEP_ENDPOINT,
    "lifecycle.idle": IDLE_MINUTES,
    "lifecycle.idle-action": IDLE_ACTION,
    "lifecycle.keep-automatic": KEEP_AUTOMATIC,
    "lifecycle.keep-days": KEEP_DAYS,
    "lifecycle.update": IMAGE_UPDATE,
}
"""Configuration keys of the settings that are shown only if the agent supports them."""
_ON_QUIT: Final = {
    "ask": message("Ask every time"),
    "keep": message("Keep the machine running"),
    "suspend": message("Suspend the machine"),
    "stop": message("Stop the machine"),
}
_MINUTES: Final = (0, 5, 15, 30, 60, 120, 240)
_MOST_KEPT: Final = 100
_MOST_DAYS: Final = 365


class LifecycleSection(SettingsSection):
    """The section. All changes take effect immediately."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Lifecycle"))
        self._store = store
        preferences = store.preferences
        self.problem = ProblemView(store)
        self.on_demand = CheckRow(
            _("Start the machine automatically when docker is used"),
            _("A docker command starts or resumes the machine if needed."),
        )
        self.keep_endpoint = CheckRow(
            _("Answer docker commands from login on"),
            _("Your session listens for docker commands, also while Wherry is closed or after a crash."),
        )
        self.idle = ChoiceRow(
            _("Stop the machine when idle"),
            [(minutes, _minutes(minutes)) for minutes in _MINUTES],
            _("Idle means no running containers and no active docker commands."),
        )
        self.idle_action = ChoiceRow(
            _("When idle"),
            [("suspend", _("Suspend the machine")), ("stop", _("Stop the machine"))],
            _("Either way, the memory returns to this computer."),
        )
        self.on_quit = ChoiceRow(_("When quitting Wherry"), [(name, say(_ON_QUIT[name])) for name in ON_QUIT])
        self.keep_automatic = NumberRow(
            _("Automatic checkpoints to keep"),
            0,
            _MOST_KEPT,
            _("Keeps the newest ones. Manual checkpoints are never deleted automatically."),
        )
        self.keep_days = NumberRow(
            _("Days to keep them"),
            0,
            _MOST_DAYS,
            _("Older automatic checkpoints are deleted."),
            zero=_("No limit"),
        )
        self.image_update = ChoiceRow(
            _("When an update is available"),
            [("ask", _("Notify me")), ("auto", _("Install at the next start"))],
            _(
                "A checkpoint is created first. The update rolls back automatically if the engine or "
                "a container is missing afterwards."
            ),
        )
        self._rows: dict[str, CheckRow | ChoiceRow | NumberRow] = {
            ON_DEMAND: self.on_demand,
            KEEP_ENDPOINT: self.keep_endpoint,
            IDLE_MINUTES: self.idle,
            IDLE_ACTION: self.idle_action,
            KEEP_AUTOMATIC: self.keep_automatic,
            KEEP_DAYS: self.keep_days,
            IMAGE_UPDATE: self.image_update,
        }
        self.controls: dict[str, QWidget] = {
            "lifecycle.on-demand": self.on_demand.box,
            "lifecycle.keep-endpoint": self.keep_endpoint.box,
            "lifecycle.idle": self.idle.box,
            "lifecycle.idle-action": self.idle_action.box,
            "lifecycle.on-quit": self.on_quit.box,
            "lifecycle.keep-automatic": self.keep_automatic.box,
            "lifecycle.keep-days": self.keep_days.box,
            "lifecycle.update": self.image_update.box,
        }
        self._headings: list[tuple[QWidget, tuple[str, ...]]] = []
        self.column.addWidget(self.problem)
        for heading, rows in (
            (_("Start and stop"), (self.on_demand, self.keep_endpoint, self.idle, self.idle_action, self.on_quit)),
            (_("Automatic checkpoints"), (self.keep_automatic, self.keep_days)),
            (_("Updates"), (self.image_update,)),
        ):
            title = label(heading, "heading")
            keys = tuple(key for key, row in self._rows.items() if row in rows)
            self._headings.append((title, keys))
            self.column.addWidget(title)
            for row in rows:
                self.column.addWidget(row)
        self.column.addStretch(1)
        self.on_demand.toggled.connect(lambda on: self._set(ON_DEMAND, on))
        self.keep_endpoint.toggled.connect(lambda on: self._set(KEEP_ENDPOINT, on))
        for key, choice in (
            *((IDLE_MINUTES, self.idle), (IDLE_ACTION, self.idle_action), (IMAGE_UPDATE, self.image_update)),
        ):
            choice.chosen.connect(lambda value, key=key: self._set(key, value))
        for key, number in ((KEEP_AUTOMATIC, self.keep_automatic), (KEEP_DAYS, self.keep_days)):
            number.chosen.connect(lambda value, key=key: self._set(key, value))
        self.on_quit.chosen.connect(lambda value: setattr(preferences, "on_quit", value))
        preferences.changed.connect(self.refresh)
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the preferences and the store."""
        settings = self._store.part(SettingsStore)
        values = settings.machine.values if settings.machine is not None else {}
        self.problem.show_problem(settings.config_problem(self._rows))
        self.on_quit.show_value(self._store.preferences.on_quit)
        minutes = values.get(IDLE_MINUTES)
        if isinstance(minutes, int):
            # A value set on the command line gets its own entry.
            self.idle.offer([(each, _minutes(each)) for each in sorted({*_MINUTES, minutes})])
        for key, row in self._rows.items():
            row.setVisible(key in values)
            value = values.get(key)
            if isinstance(row, CheckRow):
                row.show_value(None if value is None else bool(value))
            elif isinstance(row, NumberRow):
                row.show_value(None if value is None else int(value))
            else:
                row.show_value(value)
        for title, keys in self._headings:
            title.setVisible(any(key in values for key in keys) or IDLE_MINUTES in keys)

    def _set(self, key: str, value: messages.SettingValue) -> None:
        self._store.intents.request_agent.emit(messages.SetSettings(values={key: value}))


def _minutes(count: int) -> str:
    if not count:
        return _("Never")
    if count % 60 == 0:
        return ngettext("After {count} hour", "After {count} hours", count // 60)
    return ngettext("After {count} minute", "After {count} minutes", count)
