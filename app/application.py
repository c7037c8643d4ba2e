"""The composition root: creates the links, the store, the window and the tray, and the wiring that connects them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from app.features.containers.detail.wiring import DetailWiring
from app.features.containers.form.wiring import ContainerFormWiring
from app.features.containers.list.wiring import ContainersWiring
from app.features.doctor.bundle_wiring import BundleWiring
from app.features.doctor.checks_wiring import ChecksWiring
from app.features.doctor.network_check_wiring import NetworkCheckWiring
from app.features.listings.wiring import ListingsWiring
from app.features.logs.wiring import LogsWiring
from app.features.machine.wiring import MachineWiring
from app.features.maintenance.wiring import MaintenanceWiring
from app.features.ports.wiring import PortsWiring
from app.features.settings.wiring import SettingsWiring
from app.features.stats.wiring import StatsWiring
from app.frame.appearance import AppearanceWiring, apply_language, apply_theme
from app.frame.main_window import MainWindow
from app.frame.notifications_wiring import NotificationsWiring
from app.frame.quitting import QuittingWiring
from app.frame.tray import Tray
from app.links.engine_link import EngineLink
from app.links.machine_link import MachineLink
from app.state.parts import Parts
from app.state.preferences import Preferences
from app.state.store import AppStore
from app.texts import message
from app.ui import desktop
from app.ui.focus import FocusFrames
from backend.api import Notice

TRAY_CHECK_MS: Final = 2_000
TRAY_CHECKS: Final = 15
THREAD_SWITCH_S: Final = 0.0005


class WherryApp(QObject):
    """The whole desktop application. Call `start` once, and `close` before the process ends."""

    def __init__(
        self,
        app: QApplication,
        find_agent: Callable[[], str],
        *,
        preferences: Preferences | None = None,
        home: Path | None = None,
    ) -> None:
        """Create all parts; nothing is connected to the agent before `start`.

        Args:
            find_agent: returns the address of the agent for the machine in `home`, starting it if needed; blocks.
            preferences: the user's preferences; None keeps them in memory only.
            home: the machine's directory, as in `wherry-desktop --home`; None for the default one.
        """
        super().__init__()
        # A thread that reads many log lines would otherwise block the GUI for 5 ms each time it runs.
        sys.setswitchinterval(THREAD_SWITCH_S)
        app.setQuitOnLastWindowClosed(False)
        self.preferences = preferences or Preferences()
        self.preferences.setParent(self)
        apply_language(self.preferences)
        apply_theme(app, self.preferences)
        FocusFrames(app)
        self.store = AppStore(self, preferences=self.preferences)
        self.machine_link = MachineLink(find_agent, self)
        self.engine_link = EngineLink(self)
        self.window = MainWindow(self.store)
        self.tray = Tray(self.store, self)
        parts = Parts(app, self.store, self.machine_link, self.engine_link, self.window)
        AppearanceWiring(parts, self.window, self.tray, self)
        machine = MachineWiring(parts, self)
        ContainersWiring(parts, self)
        ContainerFormWiring(parts, self)
        self._detail = DetailWiring(parts, self)
        ListingsWiring(parts, self)
        PortsWiring(parts, self)
        self._checks = ChecksWiring(parts, home, self)
        self._bundle = BundleWiring(parts, home, self)
        self._network_check = NetworkCheckWiring(parts, home, self)
        self._logs = LogsWiring(parts, self)
        self._quitting = QuittingWiring(parts, machine, self.window, self.tray, self)
        StatsWiring(parts, self)
        MaintenanceWiring(parts, self)
        SettingsWiring(parts, self)
        NotificationsWiring(parts, self.tray, self)
        intents = self.store.intents
        intents.show_window.connect(self.show_window)
        intents.open_url.connect(lambda url: QDesktopServices.openUrl(QUrl(url)))
        self.preferences.failed.connect(self.store.set_problem)
        self.store.set_problem(self.preferences.problem)
        self.window.restore()
        self._tray_timer = QTimer(self, interval=TRAY_CHECK_MS)
        self._tray_timer.timeout.connect(self._check_for_tray)
        self._tray_checks = 0

    def start(self, *, background: bool) -> None:
        """Connect to the agent and show the window, or only the tray icon. Does not start the machine."""
        has_tray = desktop.tray_is_shown()
        if has_tray:
            self.tray.show()
        if not background:
            self.show_window()
        elif not has_tray:
            # Without a tray icon the user could never bring a hidden window back.
            self.window.showMinimized()
        if not has_tray:
            self.store.notice(
                Notice(
                    level="info",
                    text=message("This desktop doesn't show tray icons, so closing the window quits Wherry."),
                )
            )
            self._tray_timer.start()
        self.machine_link.open()

    def _check_for_tray(self) -> None:
        """Check once for a tray that appeared after us, as at login; then hide the window if it is still minimized."""
        self._tray_checks += 1
        if desktop.tray_is_shown():
            self._tray_timer.stop()
            self.tray.show()
            if self.window.isMinimized():
                self.window.hide()
        elif self._tray_checks >= TRAY_CHECKS:
            self._tray_timer.stop()

    def show_window(self) -> None:
        """Bring the window to the front."""
        desktop.bring_to_front(self.window)

    def quit(self) -> None:
        """End the event loop, after which `close` is called. The machine keeps running."""
        self._quitting.quit()

    def close(self) -> None:
        """Close all connections and join all threads. The agent and the machine keep running."""
        self.tray.hide()
        self.window.remember()
        self.window.close_for_good()
        self._detail.close()
        self._checks.close()
        self._bundle.close()
        self._network_check.close()
        self._logs.close()
        self.machine_link.close()
        self.engine_link.close()
        self.preferences.close()
