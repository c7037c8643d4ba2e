"""The log of one container, as a tab of its page."""

from __future__ import annotations

from app.features.logs.view.pane import LogPane
from app.state.store import AppStore


class LogsTab(LogPane):
    """A pane that shows one container."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(store, "detail")

    def show_container(self, container_id: str) -> None:
        """Show its log; "" shows none, and stops reading."""
        self.show_containers((container_id,) if container_id else ())
