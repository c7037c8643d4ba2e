"""The Settings page. It works in every phase of the machine; only what works here is shown."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QTabWidget, QVBoxLayout, QWidget

from app.features.settings.docker import DockerSettings
from app.features.settings.engine import EngineSection
from app.features.settings.general import GeneralSection
from app.features.settings.lifecycle import CONFIG_KEYS, LifecycleSection
from app.features.settings.network import NETWORK_KEYS, PROXY_KEYS, NetworkSettings
from app.features.settings.resources import ResourcesSection
from app.features.settings.restart_bar import RestartBar
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.texts import text
from app.ui import theme
from app.ui.widgets import label

SETTINGS: Final = {
    "general.login": "settings.login",
    "general.start-machine": "settings.start-machine",
    "general.close-to-tray": "settings.close-to-tray",
    "general.notifications": "settings.notifications",
    "general.theme": "settings.theme",
    "general.language": "settings.language",
    "general.zoom": "settings.zoom",
    "resources.cpus": "resources.cpus",
    "resources.memory": "resources.memory",
    "resources.disk": "resources.disk",
    "resources.data-disk": "disk.title",
    **{key: key for key in NETWORK_KEYS},
    "lifecycle.on-demand": "lifecycle.on-demand",
    "lifecycle.idle": "lifecycle.idle",
    "lifecycle.idle-action": "lifecycle.idle-action",
    "lifecycle.on-quit": "lifecycle.on-quit",
    "lifecycle.keep-automatic": "lifecycle.keep-automatic",
    "lifecycle.keep-days": "lifecycle.keep-days",
    "lifecycle.update": "lifecycle.update",
    "engine.daemon-json": "engine.editor",
    "docker.context": "settings.docker",
    "docker.automatic": "docker.automatic",
}
"""Every setting that can be gone to, by the key of its words: section and name in it."""


_TOPICS: Final = {
    "general": "window",
    "resources": "disk-and-memory",
    "network": "names-and-networks",
    "lifecycle": "suspend-and-idle",
    "engine": "docker-command",
    "docker": "docker-command",
}


def offered_settings(store: AppStore) -> dict[str, str]:
    """Those of SETTINGS that can be gone to now."""
    machine = store.part(SettingsStore).machine
    known = machine.values if machine is not None else {}
    hidden = {key for key, name in CONFIG_KEYS.items() if name not in known}
    hidden.update(key for key in NETWORK_KEYS if key not in known)
    if known.get("network.proxy") != "manual":
        hidden.update(PROXY_KEYS)
    if machine is None or not machine.disk.exists:
        hidden.add("resources.data-disk")
    return {key: words for key, words in SETTINGS.items() if key not in hidden}


class SettingsPage(QWidget):
    """Sections behind tabs."""

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
        self.tabs.setAccessibleName(text("settings.sections"))
        self.tabs.tabBar().setAccessibleName(text("settings.sections"))
        self.tabs.tabBar().setExpanding(False)
        self.tabs.tabBar().setDrawBase(False)
        for name, section in self._sections.items():
            self.tabs.addTab(section, text(f"settings.{name}"))
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(18), theme.px(20), theme.px(8))
        column.setSpacing(theme.px(12))
        column.addWidget(label(text("settings.title"), "title"))
        column.addWidget(self.tabs, 1)
        # Below them: what is being clicked on must not move, and it is seen from every place in every section.
        column.addWidget(self.restart)

    @property
    def help_topic(self) -> str:
        """The topic of the manual about the section that is open."""
        return _TOPICS[next(name for name, part in self._sections.items() if part is self.tabs.currentWidget())]

    def show_setting(self, key: str) -> None:
        """Go to a setting of SETTINGS, with the keyboard on it."""
        section = self._sections[key.partition(".")[0]]
        self.tabs.setCurrentWidget(section)
        control = section.controls[key]
        assert isinstance(section, QScrollArea)
        section.ensureWidgetVisible(control)
        control.setFocus(Qt.FocusReason.ShortcutFocusReason)
