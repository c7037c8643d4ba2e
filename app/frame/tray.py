"""The tray icon and its menu, kept up to date from the store. On a desktop without a tray nothing is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app import texts
from app.state.machine_actions import machine_actions, operation, operation_line, refusal
from app.state.store import AppStore
from app.texts import _, ngettext, say
from app.ui import icons
from app.ui.ports import port_links
from app.ui.safe_text import menu_text, tooltip
from backend.api import Container, ContainerAction, Phase

FILL_AFTER_MS: Final = 200
MENU_CONTAINERS: Final = 12
"""Maximum number of containers that have their own menu entry."""
_UP: Final = (ContainerAction.STOP, ContainerAction.RESTART)
_DOWN: Final = (ContainerAction.START,)


class Tray(QObject):
    """The icon and its menu; hidden until `show`, which is called when the desktop has a tray."""

    def __init__(self, store: AppStore, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.menu = QMenu()
        # Filled when it is about to open, never while it is open: entries would move below the mouse.
        self.menu.aboutToShow.connect(self.fill)
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self._clicked: Callable[[], object] | None = None
        self.icon.messageClicked.connect(self._message_clicked)
        store.machine_changed.connect(self.refresh)
        for signal in (store.containers_changed, store.pending_changed):
            signal.connect(self._refresh_soon)
        self._soon = QTimer(self, singleShot=True, interval=FILL_AFTER_MS)
        self._soon.timeout.connect(self.refresh)
        # The tray host on Linux copies the menu, so it must not be empty before it is first opened.
        self.fill()
        self.refresh()

    def show(self) -> None:
        """Show the icon."""
        self.refresh()
        self.icon.show()

    def hide(self) -> None:
        """Hide the icon."""
        self.icon.hide()

    def message(self, title: str, text: str, clicked: Callable[[], object] | None = None) -> None:
        """Show a desktop notification. A click on it calls `clicked`, or shows the window."""
        self._clicked = clicked
        self.icon.showMessage(title, text, icons.boat())

    def _message_clicked(self) -> None:
        (self._clicked or self._store.intents.show_window.emit)()

    def refresh(self) -> None:
        """Update icon and tool tip from the store, and the menu unless it is open."""
        phase = self._store.phase
        self.icon.setIcon(icons.tray(phase))
        running = len(self._store.running)
        if running:
            self.icon.setToolTip(
                ngettext(
                    "Wherry: {phase}, {count} container",
                    "Wherry: {phase}, {count} containers",
                    running,
                    phase=texts.phase(phase),
                )
            )
        else:
            self.icon.setToolTip(_("Wherry: {phase}", phase=texts.phase(phase)))
        self._fill_unless_open()

    def _refresh_soon(self) -> None:
        # Once for many changes: building a submenu for each container takes as long as painting the list.
        if self.icon.isVisible() and not self._soon.isActive():
            self._soon.start()

    def _fill_unless_open(self) -> None:
        if not self.menu.isVisible():
            self.fill()

    def fill(self) -> None:
        """Rebuild the menu."""
        store, menu, intents = self._store, self.menu, self._store.intents
        for action in menu.actions():
            if (sub := action.menu()) is not None:
                assert isinstance(sub, QMenu)
                sub.deleteLater()
        menu.clear()
        # First, because on some desktops a click on the icon only opens this menu.
        menu.addAction(_("Open Wherry"), intents.show_window.emit)
        menu.addSeparator()
        menu.addAction(menu_text(self._state_line())).setEnabled(False)
        for offered in machine_actions(store):
            entry = menu.addAction(offered.label, offered.run)
            entry.setEnabled(offered.enabled)
            entry.setToolTip(tooltip(offered.tip))
        self._add_containers()
        menu.addSeparator()
        menu.addAction(_("Settings"), self._show_settings)
        menu.addSeparator()
        if store.machine_keeps_running:
            # Each entry says what happens to the machine, so that no dialog has to ask.
            menu.addAction(_("Quit and keep the machine running"), intents.quit_only.emit)
            refused = refusal(store)
            if store.phase in (Phase.RUNNING, Phase.DEGRADED):
                menu.addAction(_("Suspend the machine and quit"), intents.suspend_and_quit.emit).setEnabled(not refused)
            menu.addAction(_("Stop the machine and quit"), intents.stop_and_quit.emit).setEnabled(not refused)
        else:
            menu.addAction(_("Quit"), intents.quit.emit)

    def _state_line(self) -> str:
        """The phase, with the running operation or startup step."""
        store, phase = self._store, texts.phase(self._store.phase)
        under_way = operation(store)
        if under_way is not None:
            return _("Machine: {phase} · {step}", phase=phase, step=operation_line(under_way))
        step = store.machine.active_step if store.machine is not None and store.phase is not None else None
        if step is not None:
            return _("Machine: {phase} · {step}", phase=phase, step=say(step.title))
        return _("Machine: {phase}", phase=phase)

    def _add_containers(self) -> None:
        store, menu = self._store, self.menu
        stopped = [container for container in store.containers or () if not container.state.is_up]
        if store.running:
            menu.addSeparator()
            menu.addAction(_("Running containers")).setEnabled(False)
            for container in store.running[:MENU_CONTAINERS]:
                self._add_container(menu, container)
            if (more := len(store.running) - MENU_CONTAINERS) > 0:
                menu.addAction(_("{count} more…", count=more), store.intents.show_window.emit)
        if stopped:
            if not store.running:
                menu.addSeparator()
            sub = menu.addMenu(_("Stopped containers"))
            for container in stopped[:MENU_CONTAINERS]:
                self._add_container(sub, container)
            if (more := len(stopped) - MENU_CONTAINERS) > 0:
                sub.addAction(_("{count} more…", count=more), store.intents.show_window.emit)

    def _add_container(self, menu: QMenu, container: Container) -> None:
        intents = self._store.intents
        sub = menu.addMenu(menu_text(container.name))
        sub.addAction(_("Logs"), partial(self._show_log, container.id))
        for url in dict.fromkeys(link.url for link in port_links(container) if link.url):
            sub.addAction(menu_text(_("Open {url}", url=url)), partial(intents.open_url.emit, url))
        kinds = _UP if container.state.is_up else _DOWN
        for kind in kinds:
            entry = sub.addAction(texts.action(kind), partial(intents.act_on_containers.emit, (container.id,), kind))
            entry.setEnabled(container.id not in self._store.pending)

    def _show_log(self, container_id: str) -> None:
        self._store.intents.show_window.emit()
        self._store.intents.show_page.emit("containers")
        self._store.intents.open_container.emit(container_id, "logs")

    def _show_settings(self) -> None:
        self._store.intents.show_window.emit()
        self._store.intents.show_page.emit("settings")

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self._store.intents.show_window.emit()
