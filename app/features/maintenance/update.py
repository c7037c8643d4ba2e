"""Updates of the guest image: a banner when there is one, and the versions with a button that looks for one."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMessageBox, QVBoxLayout, QWidget

from app import texts
from app.features.problems.problem import ProblemView
from app.state.machine_actions import refusal
from app.state.maintenance_store import UpkeepStore
from app.state.store import AppStore
from app.texts import text
from app.ui import icons, theme
from app.ui.confirm import ask
from app.ui.safe_text import tooltip
from app.ui.widgets import Card, button, label
from backend.api import VERSION, messages


class UpdateBanner(QFrame):
    """A function of the store. Hidden while no newer image is there."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._store = store
        self._picture = QLabel()
        self.title = label("", "heading", wrap=True)
        self.words = label("", wrap=True)
        self.apply = button(text("update.apply"), self._ask, "primary")
        words = QVBoxLayout()
        words.setSpacing(theme.px(2))
        words.addWidget(self.title)
        words.addWidget(self.words)
        words.addWidget(label(text("update.safe"), "muted", wrap=True))
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(12), theme.px(16), theme.px(12))
        row.setSpacing(theme.px(14))
        row.addWidget(self._picture)
        row.addLayout(words, 1)
        row.addWidget(self.apply)
        store.machine_changed.connect(self.refresh)
        store.part(UpkeepStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        store = self._store
        machine, known = store.machine, store.part(UpkeepStore).update
        offered = machine.image_offer if machine is not None and store.phase is not None else None
        self.setVisible(offered is not None and (machine is None or machine.operation is None))
        if offered is None:
            return
        self._picture.setPixmap(icons.glyph("update", theme.current().accent).pixmap(theme.px(28), theme.px(28)))
        self.title.setText(text("update.there"))
        offer = known.offer if known is not None else None
        if known is not None and offer is not None and offer.version == offered:
            key = "update.from-to.engine" if offer.engine_version != known.current.engine_version else "update.from-to"
            self.words.setText(
                text(
                    key,
                    old=known.current.version,
                    new=offer.version,
                    old_engine=known.current.engine_version,
                    new_engine=offer.engine_version,
                )
                if key.endswith("engine")
                else text(key, old=known.current.version, new=offer.version)
            )
        else:
            old = machine.image_version if machine is not None else None
            self.words.setText(text("update.from-to", old=old or text("usage.unknown"), new=offered))
        reason = refusal(store)
        self.apply.setEnabled(not reason and messages.ApplyUpdate not in store.part(UpkeepStore).asked)
        self.apply.setToolTip(tooltip(reason))

    def _ask(self) -> None:
        store = self._store
        if store.running:
            ask_update(self, store)
        else:
            store.intents.ask_upkeep.emit(messages.ApplyUpdate())


def ask_update(parent: QWidget, store: AppStore) -> QMessageBox:
    """Containers run: are they to be restarted now?"""
    lines = [texts.plural("upkeep.restarts", len(store.running)), text("update.safe")]
    return ask(
        parent,
        text("update.title"),
        text("update.question"),
        lines,
        confirm=text("update.apply"),
        confirmed=lambda _ticked: store.intents.ask_upkeep.emit(messages.ApplyUpdate()),
        danger=False,
    )


class VersionsCard(Card):
    """Which versions run, and whether there is a newer image."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(text("machine.versions"))
        self._store = store
        self.lines = label("", wrap=True, selectable=True)
        self.found = label("", "muted", wrap=True)
        self.check = button(
            text("update.check"),
            lambda: store.intents.ask_upkeep.emit(messages.CheckUpdate()),
            None,
            text("update.check.tip"),
        )
        self.problem = ProblemView(store)
        self.body.addWidget(self.lines)
        row = QHBoxLayout()
        row.addWidget(self.check)
        row.addWidget(self.found, 1)
        self.body.addLayout(row)
        self.body.addWidget(self.problem)
        store.machine_changed.connect(self.refresh)
        store.part(UpkeepStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        store, machine = self._store, self._store.machine
        versions = [text("machine.versions.app", version=VERSION)]
        if machine and machine.image_version:
            versions.append(text("machine.versions.image", version=machine.image_version))
        if machine and machine.engine_version:
            versions.append(text("machine.versions.engine", version=machine.engine_version))
        self.lines.setText("\n".join(versions))
        upkeep = store.part(UpkeepStore)
        asking = messages.CheckUpdate in upkeep.asked
        self.check.setEnabled(not asking and not refusal(store))
        self.check.setText(text("update.checking" if asking else "update.check"))
        self.problem.show_problem(upkeep.problem(messages.CheckUpdate))
        known = upkeep.update
        if asking or known is None or upkeep.problem(messages.CheckUpdate) is not None:
            self.found.setText("")
        elif known.offer is None:
            self.found.setText(text("update.none"))
        else:
            self.found.setText(text("update.found", version=known.offer.version))
