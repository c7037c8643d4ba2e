"""Docker context: whether the docker command, Compose and editors on this computer talk to this engine."""

from __future__ import annotations

from typing import Final

from PySide6.QtWidgets import QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow, SettingsSection, line_of, muted
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import text
from app.ui.widgets import CopyableCommand, button, label
from backend.api import messages

AUTOMATIC: Final = "docker.context"
"""The setting of that name."""


class DockerSettings(SettingsSection):
    """A function of the store."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(text("settings.docker"))
        self._store = store
        ask = store.intents.ask_agent
        self.problem = ProblemView(store)
        self.state = label("", "heading", wrap=True)
        self.note = label("", "muted", wrap=True)
        self.use = button(
            text("docker.use"), lambda: ask.emit(messages.SelectContext()), "primary", text("docker.use.tip")
        )
        self.remove = button(
            text("docker.remove"), lambda: ask.emit(messages.RemoveContext()), None, text("docker.remove.tip")
        )
        self.automatic = CheckRow(text("docker.automatic"), text("docker.automatic.help"))
        self.automatic.toggled.connect(lambda on: ask.emit(messages.SetSettings(values={AUTOMATIC: on})))
        self.command = CopyableCommand("docker context use wherry", text("docker.command"))
        self.controls: dict[str, QWidget] = {"docker.context": self.use, "docker.automatic": self.automatic.box}
        for widget in (muted(text("docker.help")), self.problem, self.state, self.note):
            self.column.addWidget(widget)
        self.column.addLayout(line_of(self.use, self.remove))
        self.column.addWidget(self.automatic)
        self.column.addWidget(muted(text("docker.command.help")))
        self.column.addWidget(self.command)
        self.column.addStretch(1)
        store.part(SettingsStore).context_changed.connect(self.refresh)
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        settings = self._store.part(SettingsStore)
        context, machine = settings.context, settings.machine
        self.problem.show_problem(settings.problem(Topic.CONTEXT) or settings.config_problem((AUTOMATIC,)))
        self.automatic.show_value(None if machine is None else bool(machine.values[AUTOMATIC]))
        self.use.setEnabled(context is not None and not context.selected)
        self.remove.setEnabled(context is not None and context.exists)
        self.command.setVisible(context is not None and context.exists)
        if context is None:
            self.state.setText(text("docker.unknown"))
            self.note.setText("")
            return
        if context.overridden_by:
            self.state.setText(text("docker.overridden", variable=context.overridden_by))
        elif context.selected:
            self.state.setText(text("docker.selected"))
        else:
            self.state.setText(text("docker.other", name=context.current))
        self.note.setText(context.note)
        self.note.setVisible(bool(context.note))
