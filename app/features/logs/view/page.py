"""The logs page: container selection at the left, their merged log at the right."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from app.features.logs.store import LogStore
from app.features.logs.view.pane import LogPane
from app.features.logs.view.picker import ContainerPicker
from app.state.machine_actions import refusal, start_label
from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.empty import EmptyState
from app.ui.widgets import label
from backend.api import Phase

KEY = "page"


class LogsPage(QWidget):
    """Shows the store's state; owns only the selection. When first shown, all running containers are selected."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self._store = store
        opened = store.part(LogStore).log(KEY)
        self.picker = ContainerPicker(store, opened.container_ids if opened else ())
        self.pane = LogPane(store, KEY)
        self.empty = EmptyState()
        self._stack = QStackedWidget()
        self._chose = opened is not None
        self._lay_out()
        self.picker.chosen.connect(self._on_chosen)
        store.containers_changed.connect(self.refresh)
        store.machine_changed.connect(self.refresh)
        store.part(LogStore).opened.connect(self._on_opened)
        self.refresh()

    def choose(self, container_ids: tuple[str, ...]) -> None:
        """Show the logs of these containers."""
        self.picker.filter.clear()
        self.picker.tick(container_ids)

    def focus_search(self) -> None:
        """Handle Ctrl+F."""
        if self._stack.currentWidget() is self.pane:
            self.pane.focus_search()
        else:
            self.picker.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def refresh(self) -> None:
        """Update from the store."""
        store = self._store
        has_log = bool(self.pane.container_ids)
        if self.isVisible() and not self._chose and store.running:
            self.choose(tuple(entry.id for entry in store.running))
            return
        self._left.setVisible(bool(store.containers))
        if has_log and store.containers != ():
            self._stack.setCurrentWidget(self.pane)
            return
        self._stack.setCurrentWidget(self.empty)
        self._show_empty()

    def _on_opened(self, _key: str) -> None:
        self.refresh()

    def _on_chosen(self, container_ids: tuple[str, ...]) -> None:
        self._chose = True
        self.pane.show_containers(container_ids)
        self.refresh()

    def _show_empty(self) -> None:
        store, phase, show = self._store, self._store.phase, self.empty.show_state
        muted = theme.current().muted
        if store.containers:
            running = tuple(entry.id for entry in store.running)
            action = (_("Show all running"), lambda: self.choose(running)) if running else None
            show(
                icons.glyph("text-box-search-outline", muted),
                _("No containers selected"),
                _("Select one or more containers to see their logs in one stream, ordered by time."),
                action=action,
            )
        elif store.containers is not None:
            show(
                icons.glyph("cube-outline", muted),
                _("No containers yet"),
                _("Logs appear here when you run a container."),
            )
        elif phase in (Phase.STOPPED, Phase.FAILED, Phase.SUSPENDED):
            start = (start_label(store), store.intents.start_machine.emit)
            offered = phase is not Phase.FAILED and not refusal(store)
            if phase is Phase.SUSPENDED:
                title, words = _("Wherry is suspended"), _("Resume to see container logs.")
            else:
                title, words = _("The machine is stopped"), _("Start the machine to see container logs.")
            picture = icons.tray(phase if phase is Phase.SUSPENDED else Phase.STOPPED)
            show(picture, title, words, action=start if offered else None)
        else:
            show(
                icons.boat("tray-starting"),
                _("Waiting for the Docker engine"),
                _("Logs appear here as soon as the engine is ready."),
                progress=(0, 0),
            )

    def _lay_out(self) -> None:
        self._left = QWidget()
        left = QVBoxLayout(self._left)
        left.setContentsMargins(theme.px(20), theme.px(18), theme.px(12), theme.px(14))
        left.setSpacing(theme.px(12))
        left.addWidget(label(_("Logs"), "title"))
        left.addWidget(self.picker, 1)
        self._stack.addWidget(self.pane)
        self._stack.addWidget(self.empty)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(self._left)
        split.addWidget(self._stack)
        split.setStretchFactor(1, 1)
        split.setChildrenCollapsible(False)
        split.setSizes([theme.px(270), theme.px(700)])
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(split)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "_left"):
            self.picker.recolour()
            self.refresh()
