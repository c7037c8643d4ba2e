"""General settings: start at login, appearance, language and notifications."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow, ChoiceRow, SettingsSection
from app.state.preferences import ZOOMS
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import LANGUAGES, _, message, say
from app.ui import theme
from backend.api import messages

_SCHEMES: Final = {
    theme.Scheme.SYSTEM: message("System"),
    theme.Scheme.LIGHT: message("Light"),
    theme.Scheme.DARK: message("Dark"),
}


def scheme_name(scheme: theme.Scheme) -> str:
    """Name of a color theme."""
    return say(_SCHEMES[scheme])


class GeneralSection(SettingsSection):
    """The section. All changes take effect immediately."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("General"))
        self._store = store
        preferences = store.preferences
        self.login = CheckRow(
            _("Start Wherry when you log in"),
            _("Opens the window and the tray icon. The next setting controls the machine."),
        )
        self.background = CheckRow(_("Start in the tray, without the window"), indent=True)
        self.machine = CheckRow(
            _("Start the machine when Wherry starts"), _("Docker is ready a few seconds after you open Wherry.")
        )
        self.tray = CheckRow(
            _("Keep Wherry in the tray when you close the window"),
            _("If off, closing the window quits Wherry. Lifecycle settings control what happens to the machine."),
        )
        self.notifications = CheckRow(
            _("Notify me when a container fails"),
            _("When a container exits with an error or its health check fails, or the machine has a problem."),
        )
        self.theme = ChoiceRow(_("Theme"), [(scheme, scheme_name(scheme)) for scheme in theme.Scheme])
        self.language = ChoiceRow(_("Language"), [("system", _("System")), *LANGUAGES.items()])
        self.zoom = ChoiceRow(_("Zoom"), [(zoom, _("{zoom}%", zoom=zoom)) for zoom in ZOOMS])
        self.problem = ProblemView(store)
        self.controls: dict[str, QWidget] = {
            "general.login": self.login.box,
            "general.start-machine": self.machine.box,
            "general.close-to-tray": self.tray.box,
            "general.notifications": self.notifications.box,
            "general.theme": self.theme.box,
            "general.language": self.language.box,
            "general.zoom": self.zoom.box,
        }
        for row in (
            *(self.problem, self.login, self.background, self.machine, self.tray, self.notifications),
            *(self.theme, self.language, self.zoom),
        ):
            self.column.addWidget(row)
        self.column.addStretch(1)
        self.login.toggled.connect(lambda on: store.intents.request_agent.emit(messages.SetAutostart(on=on)))
        self.background.toggled.connect(lambda on: setattr(preferences, "start_in_background", on))
        self.machine.toggled.connect(lambda on: setattr(preferences, "start_machine", on))
        self.tray.toggled.connect(lambda on: setattr(preferences, "close_to_tray", on))
        self.notifications.toggled.connect(lambda on: setattr(preferences, "notifications", on))
        self.theme.chosen.connect(lambda scheme: setattr(preferences, "theme", scheme))
        self.language.chosen.connect(lambda code: setattr(preferences, "language", code))
        self.zoom.chosen.connect(lambda zoom: setattr(preferences, "zoom", zoom))
        preferences.changed.connect(self.refresh)
        store.part(SettingsStore).autostart_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the preferences and the store."""
        preferences, settings = self._store.preferences, self._store.part(SettingsStore)
        self.login.show_value(settings.autostart)
        self.background.show_value(preferences.start_in_background)
        self.background.setVisible(bool(settings.autostart))
        self.machine.show_value(preferences.start_machine)
        self.tray.show_value(preferences.close_to_tray)
        self.notifications.show_value(preferences.notifications)
        self.theme.show_value(preferences.theme)
        self.language.show_value(preferences.language)
        self.zoom.show_value(preferences.zoom)
        self.problem.show_problem(settings.problem(Topic.AUTOSTART))
