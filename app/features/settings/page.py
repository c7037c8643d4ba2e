"""The Settings page. It works in every phase of the machine, and shows only supported settings."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QTabWidget, QVBoxLayout, QWidget

from app.features.settings.docker import DockerSettings
from app.features.settings.engine import EngineSection
from app.features.settings.general import GeneralSection
from app.features.settings.lifecycle import CONFIG_KEYS, LifecycleSection
from app.features.settings.network import NETWORK_KEYS, NETWORK_NAMES, PROXY_KEYS, NetworkSettings
from app.features.settings.resources import ResourcesSection
from app.features.settings.restart_bar import RestartBar
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import Message, _, message, say
from app.ui import theme
from app.ui.widgets import label

SETTINGS: Final = {
    "general.login": message("Start Wherry when you log in"),
    "general.start-machine": message("Start the machine when Wherry starts"),
    "general.close-to-tray": message("Keep Wherry in the tray when you close the window"),
    "general.notifications": message("Notify me when a container fails"),
    "general.theme": message("Theme"),
    "general.language": message("Language"),
    "general.zoom": message("Zoom"),
    "resources.cpus": message("Processors"),
    "resources.memory": message("Memory"),
    "resources.swap": message("Swap"),
    "resources.disk": message("Disk"),
    "resources.data-disk": message("Data disk"),
    **NETWORK_NAMES,
    "lifecycle.on-demand": message("Start the machine automatically when docker is used"),
    "lifecycle.keep-endpoint": message("Answer docker commands from login on"),
    "lifecycle.idle": message("Stop the machine when idle"),
    "lifecycle.idle-action": message("When idle"),
    "lifecycle.on-quit": message("When quitting Wherry"),
    "lifecycle.keep-automatic": message("Automatic checkpoints to keep"),
    "lifecycle.keep-days": message("Days to keep them"),
    "lifecycle.update": message("When an update is available"),
    "engine.daemon-json": message("Docker engine options (daemon.json)"),
    "docker.context": message("Docker context"),
    "docker.automatic": message("Update the context when the machine starts"),
}
"""Titles of all settings that can be opened from elsewhere, by key ("section.name")."""

_TITLES: Final = {
    "general": message("General"),
    "resources": message("Resources"),
    "network": message("Network"),
    "lifecycle": message("Lifecycle"),
    "engine": message("Docker engine"),
    "docker": message("Docker context"),
}
"""Help topics of the sections."""


_TOPICS: Final = {
    "general": "window",
    "resources": "disk-and-memory",
    "network": "names-and-networks",
    "lifecycle": "suspend-and-idle",
    "engine": "docker-command",
    "docker": "docker-command",
}


def offered_settings(store: AppStore) -> dict[str, Message]:
    """The settings of SETTINGS that are visible now."""
    machine = store.part(SettingsStore).machine
    values = machine.values if machine is not None else {}
    hidden = {key for key, name in CONFIG_KEYS.items() if name not in values}
    hidden.update(key for key in NETWORK_KEYS if key not in values)
    if values.get("network.proxy") != "manual":
        hidden.update(PROXY_KEYS)
    if machine is None or not machine.disk.exists:
        hidden.add("resources.data-disk")
    return {key: title for key, title in SETTINGS.items() if key not in hidden}


class SettingsPage(QWidget):
    """The page with a tab for each section."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("page")
        self.general = GeneralSection(store)
        self.resources = ResourcesSection(store)
        self.lifecycle = LifecycleSection(store)
        self.engine = EngineSection(store)
        self.docker = DockerSettings(store)
        self.network = NetworkSettings(store)
        self._sections: dict[
            str, GeneralSection | ResourcesSection | NetworkSettings | LifecycleSection | EngineSection | DockerSettings
        ] = {
            "general": self.general,
            "resources": self.resources,
            "network": self.network,
            "lifecycle": self.lifecycle,
            "engine": self.engine,
            "docker": self.docker,
        }
        self.restart = RestartBar(store)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName(_("Settings sections"))
        self.tabs.tabBar().setAccessibleName(_("Settings sections"))
        self.tabs.tabBar().setExpanding(False)
        self.tabs.tabBar().setDrawBase(False)
        for name, section in self._sections.items():
            self.tabs.addTab(section, say(_TITLES[name]))
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(8))
        column.setSpacing(theme.px(12))
        column.addWidget(label(_("Settings"), "title"))
        column.addWidget(self.tabs, 1)
        # Below the tabs: it must not move what the user is clicking on, and stays visible in every section.
        column.addWidget(self.restart)

    @property
    def help_topic(self) -> str:
        """Name of the help topic about the open section."""
        return _TOPICS[next(name for name, part in self._sections.items() if part is self.tabs.currentWidget())]

    def show_setting(self, key: str) -> None:
        """Open the section of a setting of SETTINGS and focus its control."""
        section = self._sections[key.partition(".")[0]]
        self.tabs.setCurrentWidget(section)
        control = section.controls[key]
        assert isinstance(section, QScrollArea)
        section.ensureWidgetVisible(control)
        control.setFocus(Qt.FocusReason.ShortcutFocusReason)
