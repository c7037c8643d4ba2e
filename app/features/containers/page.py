"""The Containers page: the list, or one container in its place. Escape and the back button return to the list."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget

from app.features.containers.detail.page import DetailPage
from app.features.containers.list.view import ContainersView
from app.state.store import AppStore


class ContainersPage(QStackedWidget):
    """Switches between list and container, on `store.intents.open_container` and `close_container`."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._detail: DetailPage | None = None
        self.view = ContainersView(store)
        self.addWidget(self.view)
        store.intents.open_container.connect(self.open_container)
        store.intents.close_container.connect(self.close_container)
        store.intents.show_container.connect(self.show_container)

    @property
    def detail(self) -> DetailPage:
        """The page of one container, created on first use."""
        if self._detail is None:
            self._detail = DetailPage(self._store)
            self.addWidget(self._detail)
        return self._detail

    @property
    def is_open(self) -> bool:
        """Whether a container is open in place of the list."""
        return self._detail is not None and self.currentWidget() is self._detail

    def open_container(self, container_id: str, tab: str) -> None:
        """Open a container at a tab; "" for the first."""
        if self._store.container(container_id) is not None:
            self.detail.open(container_id, tab)
            self.setCurrentWidget(self.detail)

    def show_container(self, container_id: str) -> None:
        """Open a container, unless it is open already, at whichever tab."""
        if not (self.is_open and self.detail.container_id == container_id):
            self._store.intents.open_container.emit(container_id, "")

    def close_container(self) -> None:
        """Return to the list, at the container that was open."""
        if self.is_open:
            self.view.set_current(self.detail.container_id)
            self.detail.leave()
            self.setCurrentWidget(self.view)
            self.view.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def focus_search(self) -> None:
        """Focus the search field of the open container, or of the list."""
        if self.is_open:
            self.detail.focus_search()
        else:
            self.view.focus_search()
