"""Docker settings: whether the docker command, Compose and editors on this computer use this engine."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow, SettingsSection, line_of, muted
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import _, say
from app.ui.widgets import CopyableCommand, button, label
from backend.api import messages

AUTOMATIC: Final = "docker.context"
"""Key of the setting that selects the context automatically."""


class DockerSettings(SettingsSection):
    """Shows and changes the Docker context."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Docker context"))
        self._store = store
        ask = store.intents.request_agent
        self.problem = ProblemView(store)
        self.state = label("", "heading", wrap=True)
        self.note = label("", "muted", wrap=True)
        self.use = button(
            _("Use Wherry"), lambda: ask.emit(messages.SelectContext()), "primary", _("Create and select the context")
        )
        self.remove = button(
            _("Remove context"),
            lambda: ask.emit(messages.RemoveContext()),
            None,
            _("Return the docker command to its default engine"),
        )
        self.automatic = CheckRow(
            _("Update the context when the machine starts"), _("Selects it only if no other engine is in use.")
        )
        self.automatic.toggled.connect(lambda on: ask.emit(messages.SetSettings(values={AUTOMATIC: on})))
        self.command = CopyableCommand("docker context use wherry", _("Command to select Wherry"))
        self.controls: dict[str, QWidget] = {"docker.context": self.use, "docker.automatic": self.automatic.box}
        for widget in (
            muted(_("A context tells the docker command, Compose and editors on this computer which engine to use.")),
            self.problem,
            self.state,
            self.note,
        ):
            self.column.addWidget(widget)
        self.column.addLayout(line_of(self.use, self.remove))
        self.column.addWidget(self.automatic)
        self.column.addWidget(muted(_("In a terminal:")))
        self.column.addWidget(self.command)
        self.column.addStretch(1)
        store.part(SettingsStore).context_changed.connect(self.refresh)
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        settings = self._store.part(SettingsStore)
        context, machine = settings.context, settings.machine
        self.problem.show_problem(settings.problem(Topic.CONTEXT) or settings.config_problem((AUTOMATIC,)))
        self.automatic.show_value(None if machine is None else bool(machine.values[AUTOMATIC]))
        self.use.setEnabled(context is not None and not context.selected)
        self.remove.setEnabled(context is not None and context.exists)
        self.command.setVisible(context is not None and context.exists)
        if context is None:
            self.state.setText(_("Checking the docker settings…"))
            self.note.setText("")
            return
        if context.overridden_by:
            self.state.setText(
                _(
                    "${variable} is set and decides which engine the docker command uses.",
                    variable=context.overridden_by,
                )
            )
        elif context.selected:
            self.state.setText(_("The docker command uses Wherry."))
        else:
            self.state.setText(_("The docker command uses another engine (context “{name}”).", name=context.current))
        self.note.setText(say(context.note) if context.note is not None else "")
        self.note.setVisible(context.note is not None)
