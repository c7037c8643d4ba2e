"""The tray icon and its menu: a function of the store. Where a desktop has no tray, this is simply never seen."""

from __future__ import annotations

from functools import partial
from typing import Final

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app import icons, texts
from app.safe_text import menu_text
from app.store import AppStore
from app.texts import text
from backend.api import Container, ContainerAction, Phase

MENU_CONTAINERS: Final = 12
"""So many have an entry of their own."""


class Tray(QObject):
    """Make it once; `show` when the desktop has a tray."""

    def __init__(self, store: AppStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.menu = QMenu()
        # Filled when it is about to open, never while it is open: entries would move below the mouse.
        self.menu.aboutToShow.connect(self.fill)
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        for signal in (store.machine_changed, store.containers_changed):
            signal.connect(self.refresh)
        # The tray's host on Linux takes a copy of the menu: it must not be empty before it is first opened.
        self.fill()
        self.refresh()

    def show(self) -> None:
        """Appear."""
        self.icon.show()

    def hide(self) -> None:
        """Vanish."""
        self.icon.hide()

    def message(self, title: str, words: str) -> None:
        """A notification beside the icon."""
        self.icon.showMessage(title, words, icons.boat())

    def refresh(self) -> None:
        """Show the store: icon and tool tip, and the menu unless it is open."""
        phase = self._store.phase
        self.icon.setIcon(icons.tray(phase))
        running = len(self._store.running)
        if running:
            self.icon.setToolTip(texts.plural("tray.tooltip.containers", running, phase=texts.phase(phase)))
        else:
            self.icon.setToolTip(text("tray.tooltip", phase=texts.phase(phase)))
        if not self.menu.isVisible():
            self.fill()

    def fill(self) -> None:
        """Make the menu anew."""
        store, menu, intents = self._store, self.menu, self._store.intents
        phase = store.phase
        for action in menu.actions():
            if (sub := action.menu()) is not None:
                assert isinstance(sub, QMenu)
                sub.deleteLater()
        menu.clear()
        # First, for on some desktops a click on the icon opens this menu and nothing else.
        menu.addAction(text("tray.open"), intents.show_window.emit)
        menu.addSeparator()
        menu.addAction(text("tray.machine", phase=texts.phase(phase))).setEnabled(False)
        if phase in (Phase.STOPPED, Phase.FAILED):
            menu.addAction(text("machine.start"), intents.start_machine.emit)
        elif phase is not None and phase is not Phase.STOPPING:
            menu.addAction(text("machine.stop"), intents.stop_machine.emit)
            if phase in (Phase.RUNNING, Phase.DEGRADED):
                menu.addAction(text("machine.restart"), intents.restart_machine.emit)
        if store.running:
            menu.addSeparator()
            menu.addAction(text("tray.containers")).setEnabled(False)
            for container in store.running[:MENU_CONTAINERS]:
                self._add_container(container)
            if (more := len(store.running) - MENU_CONTAINERS) > 0:
                menu.addAction(text("tray.more", count=more), intents.show_window.emit)
        menu.addSeparator()
        if store.machine_keeps_running:
            menu.addAction(text("quit.keeps"), intents.quit.emit)
            menu.addAction(text("quit.stop"), intents.stop_and_quit.emit)
        else:
            menu.addAction(text("quit.plain"), intents.quit.emit)

    def _add_container(self, container: Container) -> None:
        intents = self._store.intents
        sub = self.menu.addMenu(menu_text(container.name))
        sub.addAction(text("containers.logs"), partial(self._show_log, container.id))
        for kind in (ContainerAction.STOP, ContainerAction.RESTART):
            entry = sub.addAction(texts.action(kind), partial(intents.act_on_containers.emit, (container.id,), kind))
            entry.setEnabled(container.id not in self._store.pending)

    def _show_log(self, container_id: str) -> None:
        self._store.intents.show_window.emit()
        self._store.intents.open_log.emit(container_id)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self._store.intents.show_window.emit()
