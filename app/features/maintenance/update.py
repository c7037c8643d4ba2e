"""Updates of the guest image: a banner when one is available, and a card with versions and a button to check."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMessageBox, QVBoxLayout, QWidget

from app.features.problems.problem import ProblemView
from app.state.machine_actions import refusal
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import icons, theme
from app.ui.confirm import ask
from app.ui.safe_text import tooltip
from app.ui.widgets import Card, button, label
from backend.api import VERSION, messages


class UpdateBanner(QFrame):
    """Offers the available update. Hidden while there is none."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self.setObjectName("banner")
        self._store = store
        self._picture = QLabel()
        self.title = label("", "heading", wrap=True)
        self.text = label("", wrap=True)
        self.apply = button(_("Update now"), self._confirm, "primary")
        texts_column = QVBoxLayout()
        texts_column.setSpacing(theme.px(2))
        texts_column.addWidget(self.title)
        texts_column.addWidget(self.text)
        texts_column.addWidget(
            label(
                _(
                    "A checkpoint is created first. The update rolls back automatically if the engine or "
                    "a container is missing afterwards."
                ),
                "muted",
                wrap=True,
            )
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(16), theme.px(12), theme.px(16), theme.px(12))
        row.setSpacing(theme.px(14))
        row.addWidget(self._picture)
        row.addLayout(texts_column, 1)
        row.addWidget(self.apply)
        store.machine_changed.connect(self.refresh)
        store.part(MaintenanceStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        store = self._store
        machine, check = store.machine, store.part(MaintenanceStore).update
        offered = machine.image_offer if machine is not None and store.phase is not None else None
        self.setVisible(offered is not None and (machine is None or machine.operation is None))
        if offered is None:
            return
        self._picture.setPixmap(icons.glyph("update", theme.current().accent).pixmap(theme.px(28), theme.px(28)))
        self.title.setText(_("Update available"))
        offer = check.offer if check is not None else None
        if check is not None and offer is not None and offer.version == offered:
            old, new = check.current, offer
            if new.engine_version != old.engine_version:
                self.text.setText(
                    _(
                        "From {old} to {new}. The Docker engine changes from {old_engine} to {new_engine}.",
                        old=old.version,
                        new=new.version,
                        old_engine=old.engine_version,
                        new_engine=new.engine_version,
                    )
                )
            else:
                self.text.setText(_("From {old} to {new}.", old=old.version, new=new.version))
        else:
            present = machine.image_version if machine is not None else None
            self.text.setText(_("From {old} to {new}.", old=present or _("unknown"), new=offered))
        reason = refusal(store)
        self.apply.setEnabled(not reason and messages.ApplyUpdate not in store.part(MaintenanceStore).in_flight)
        self.apply.setToolTip(tooltip(reason))

    def _confirm(self) -> None:
        store = self._store
        if store.running:
            confirm_update(self, store)
        else:
            store.intents.request_maintenance.emit(messages.ApplyUpdate())


def confirm_update(parent: QWidget, store: AppStore) -> QMessageBox:
    """Confirm updating now, which restarts the running containers."""
    lines = [
        ngettext(
            "The machine restarts. {count} running container is stopped first and starts again "
            "if its restart policy allows.",
            "The machine restarts. {count} running containers are stopped first and start again "
            "if their restart policies allow.",
            len(store.running),
        ),
        _(
            "A checkpoint is created first. The update rolls back automatically if the engine or "
            "a container is missing afterwards."
        ),
    ]
    return ask(
        parent,
        _("Update guest image"),
        _("Update now?"),
        lines,
        confirm=_("Update now"),
        confirmed=lambda _ticked: store.intents.request_maintenance.emit(messages.ApplyUpdate()),
        danger=False,
    )


class VersionsCard(Card):
    """Shows the versions in use and the result of the last check for updates."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Versions"))
        self._store = store
        self.lines = label("", wrap=True, selectable=True)
        self.result = label("", "muted", wrap=True)
        self.check = button(
            _("Check for updates"),
            lambda: store.intents.request_maintenance.emit(messages.CheckUpdate()),
            None,
            _("Look for a newer guest image on this computer"),
        )
        self.problem = ProblemView(store)
        self.body.addWidget(self.lines)
        row = QHBoxLayout()
        row.addWidget(self.check)
        row.addWidget(self.result, 1)
        self.body.addLayout(row)
        self.body.addWidget(self.problem)
        store.machine_changed.connect(self.refresh)
        store.part(MaintenanceStore).changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        store, machine = self._store, self._store.machine
        versions = [_("Wherry {version}", version=VERSION)]
        if machine and machine.image_version:
            versions.append(_("Machine image {version}", version=machine.image_version))
        if machine and machine.engine_version:
            versions.append(_("Docker engine {version}", version=machine.engine_version))
        self.lines.setText("\n".join(versions))
        maintenance = store.part(MaintenanceStore)
        checking = messages.CheckUpdate in maintenance.in_flight
        self.check.setEnabled(not checking and not refusal(store))
        self.check.setText(_("Checking…") if checking else _("Check for updates"))
        self.problem.show_problem(maintenance.problem(messages.CheckUpdate))
        check = maintenance.update
        if checking or check is None or maintenance.problem(messages.CheckUpdate) is not None:
            self.result.setText("")
        elif check.offer is None:
            self.result.setText(_("You have the newest version."))
        else:
            self.result.setText(_("Version {version} is available.", version=check.offer.version))
