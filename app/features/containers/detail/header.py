"""The header of a container's page: back button, name, image, state, port links, and actions."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app import texts
from app.features.containers.actions.actions import ContainerActions
from app.features.containers.actions.entries import Section
from app.features.containers.list.columns import span_text, state_text
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.ports import port_links
from app.ui.safe_text import menu_text, tooltip
from app.ui.widgets import ElidedLabel, IconButton, StateDot, button, label
from backend.api import Container, ContainerAction

MAX_PORTS = 6


class DetailHeader(QFrame):
    """The header for one container."""

    left = Signal()  # the user returns to the list

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._container: Container | None = None
        self._shown_ports: tuple[object, ...] = ()
        self.setObjectName("detail-header")
        self.back = IconButton("arrow-left", _("Back to containers"), "Esc")
        self.back.clicked.connect(lambda _checked=False: self.left.emit())
        self._dot = StateDot(12)
        self.name = ElidedLabel()
        self.name.setProperty("role", "title")
        self.name.setMinimumWidth(theme.px(120))
        self._state = label("", "muted")
        self._image = ElidedLabel()
        self._image.setProperty("role", "muted")
        self._ports = QHBoxLayout()
        self._ports.setSpacing(theme.px(6))
        self.start = self._action_button(ContainerAction.START)
        self.stop = self._action_button(ContainerAction.STOP)
        self.restart = self._action_button(ContainerAction.RESTART)
        self.kill = self._action_button(ContainerAction.KILL)
        self.more = IconButton("dots-vertical", _("More"))
        self.more.setProperty("role", "menu")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.actions_here = ContainerActions(store, self, lambda: self._target, has_shortcuts=False)
        self.menu = QMenu(self.more)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.more.setMenu(self.menu)
        self._lay_out()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(theme.px(10))
        for widget in (self.back, self._dot):
            row.addWidget(widget)
        row.addWidget(self.name, 1)
        for control in (self.start, self.stop, self.restart, self.kill, self.more):
            row.addWidget(control)
        below = QHBoxLayout()
        below.setContentsMargins(theme.px(46), 0, 0, 0)
        below.setSpacing(theme.px(14))
        below.addWidget(self._state)
        below.addWidget(self._image, 1)
        below.addLayout(self._ports)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(10))
        column.setSpacing(theme.px(4))
        column.addLayout(row)
        column.addLayout(below)

    def show_container(self, container: Container | None, name: str) -> None:
        """Show the container's current state; None if it was removed, and `name` was its name."""
        self._container = container
        self.name.set_whole(name)
        self.name.setAccessibleName(name)
        if container is None:
            self._dot.set_colour(theme.current().stopped)
            self._state.setText(_("This container was removed"))
            self._image.set_whole("")
        else:
            self._dot.set_colour(
                theme.container_colour(theme.current(), container.state, container.health, container.exit_code)
            )
            self._state.setText(self._state_text(container))
            self._image.set_whole(container.image)
            self._image.setAccessibleName(_("Image: {image}", image=container.image))
        self._show_ports(container)
        self._enable()

    def _state_text(self, container: Container) -> str:
        if (waited := self._store.slow_stops.get(container.id)) is not None:
            return _("Still stopping… {elapsed}", elapsed=texts.seconds(waited))
        pending = self._store.pending.get(container.id)
        if pending is not None:
            return texts.action_pending(pending)
        text, span = state_text(container), span_text(container.status)
        if not span:
            return text
        return f"{text} " + (_("for {time}", time=span) if container.state.is_up else _("{time} ago", time=span))

    def _show_ports(self, container: Container | None) -> None:
        links = port_links(container) if container is not None else ()
        if links == self._shown_ports:
            return
        self._shown_ports = links
        while (item := self._ports.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for link in links[:MAX_PORTS]:
            if link.url is None:
                self._ports.addWidget(label(link.words, "muted"))
            else:
                opener = button(
                    menu_text(link.words), partial(self._store.intents.open_url.emit, link.url), "link",
                    _("Open {url} in your browser", url=link.url),
                )  # fmt: skip
                opener.setCursor(Qt.CursorShape.PointingHandCursor)
                opener.setAccessibleName(_("Open {url}", url=link.url))
                self._ports.addWidget(opener)
        if len(links) > MAX_PORTS:
            more = label(_("+{count}", count=len(links) - MAX_PORTS), "muted")
            more.setToolTip(tooltip("\n".join(link.words for link in links)))
            self._ports.addWidget(more)

    def _action_button(self, action: ContainerAction) -> QPushButton:
        widget = button(texts.action(action), partial(self._act, action))
        widget.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        return widget

    @property
    def _target(self) -> tuple[Container, ...]:
        return (self._container,) if self._container is not None else ()

    def _act(self, action: ContainerAction) -> None:
        self.actions_here.request(action, self._target)

    def _enable(self) -> None:
        container = self._container
        is_free = container is not None and container.id not in self._store.pending
        is_up = container is not None and container.state.is_up
        self.start.setVisible(not is_up)
        self.stop.setVisible(is_up)
        self.restart.setVisible(is_up)
        for widget in (self.start, self.stop, self.restart):
            widget.setEnabled(is_free)
        self.kill.setVisible(container is not None and container.id in self._store.slow_stops)
        self.more.setEnabled(container is not None)

    def _fill_menu(self) -> None:
        self.menu.clear()
        self.actions_here.recolour()
        self.actions_here.fill(self.menu, from_section=Section.STATE)
