"""The overview of the machine: problems, the running operation, use of resources, startup steps and versions."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from app.features.machine.console import ConsoleView
from app.features.machine.steps import StepsCard
from app.features.machine.usage import UsageCards
from app.features.maintenance.operation import OperationCard
from app.features.maintenance.update import UpdateBanner, VersionsCard
from app.features.problems.problem import ProblemView, is_warning
from app.features.stats.graphs import GraphGrid
from app.state.store import AppStore
from app.texts import _, ngettext, pgettext, say
from app.ui import theme
from app.ui.widgets import Card, CopyableCommand, label
from backend.api import Action, MachineStatus, Phase

_Line = tuple[str, str | None]
"""A text and its role in the style sheet."""


class MachineOverview(QScrollArea):
    """Shows the machine's state from the store as a column of cards."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.setWidgetResizable(True)
        self.setAccessibleName(_("Machine"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._problems: list[ProblemView] = []
        self._problem_list = QVBoxLayout()
        self._problem_list.setSpacing(theme.px(14))
        self.operation = OperationCard(store)
        self.update_banner = UpdateBanner(store)
        self.usage = UsageCards(store)
        self.graphs = GraphGrid(store)
        self.console = ConsoleView(store)
        self._steps = StepsCard(store)
        self._accelerator = _Lines(_("Acceleration"))
        self._resources = _Lines(_("Resources"))
        self.versions = VersionsCard(store)
        self._endpoint = Card(_("Docker endpoint"))
        self._endpoint_state = label("", "muted", wrap=True)
        self._command = CopyableCommand(what=_("Docker endpoint"))
        self._endpoint.body.addWidget(self._endpoint_state)
        self._endpoint.body.addWidget(self._command)
        across = QHBoxLayout()
        across.setSpacing(theme.px(14))
        for cards in ((self._steps, self.versions), (self._accelerator, self._endpoint, self._resources)):
            pile = QVBoxLayout()
            pile.setSpacing(theme.px(14))
            for card in cards:
                pile.addWidget(card)
            pile.addStretch(1)
            across.addLayout(pile, 1)
        page = QWidget()
        page.setObjectName("page")
        column = QVBoxLayout(page)
        column.setContentsMargins(theme.px(2), theme.px(14), theme.px(14), theme.px(18))
        column.setSpacing(theme.px(14))
        column.addLayout(self._problem_list)
        column.addWidget(self.operation)
        column.addWidget(self.update_banner)
        column.addWidget(self.usage)
        column.addWidget(self.graphs)
        column.addLayout(across)
        column.addWidget(self.console)
        column.addStretch(1)
        self.setWidget(page)
        store.machine_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Update the widgets from the store."""
        machine = self._store.machine
        self._show_problems(machine)
        self.graphs.setVisible(self._store.phase in (Phase.RUNNING, Phase.DEGRADED))
        self._show_facts(machine)

    def _show_problems(self, machine: MachineStatus | None) -> None:
        # Errors come before warnings.
        phase = self._store.phase
        problems = sorted(machine.problems, key=lambda each: is_warning(each, phase)) if machine else []
        if self._store.agent_problem is not None:
            problems.insert(0, self._store.agent_problem)
        failed = machine is not None and machine.phase is Phase.FAILED
        intents = self._store.intents
        again = (_("Start again"), intents.start_machine.emit)
        while len(self._problems) < len(problems):
            view = ProblemView(self._store)
            self._problems.append(view)
            self._problem_list.addWidget(view)
        for number, view in enumerate(self._problems):
            problem = problems[number] if number < len(problems) else None
            starts = problem is not None and problem.action in (Action.START, Action.CONTINUE)
            view.show_problem(problem, [again] if failed and number == 0 and not starts else ())

    def _show_facts(self, machine: MachineStatus | None) -> None:
        accelerator = machine.accelerator if machine else None
        if accelerator is None:
            self._accelerator.show_lines([(_("Detected when the machine starts."), "muted")])
        else:
            title = say(accelerator.title)
            title = title[:1].upper() + title[1:]
            text = (
                _("{title} (hardware virtualization)", title=title)
                if accelerator.hardware
                else _("{title} (works everywhere, but slowly)", title=title)
            )
            lines: list[_Line] = [(text, None)]
            lines += [(say(reason), "muted") for reason in accelerator.reasons]
            self._accelerator.show_lines(lines)
        endpoint = machine.endpoint if machine else None
        self._command.setVisible(endpoint is not None)
        if endpoint is None:
            self._endpoint_state.setText(_("Available when the machine is running."))
        else:
            state = _("Ready") if endpoint.ready else _("Not ready yet")
            self._endpoint_state.setText(state + ". " + _("Docker clients connect here. In a terminal:"))
            self._command.set_command(f"export DOCKER_HOST={endpoint.url}")
        resources = machine.resources if machine else None
        if resources is None:
            self._resources.show_lines([(pgettext("resources", "Available when the machine is running."), "muted")])
        else:
            memory = (
                _("{value} GiB", value=f"{resources.memory_mib / 1024:g}")
                if resources.memory_mib >= 1024
                else _("{value} MiB", value=resources.memory_mib)
            )
            parts = (
                ngettext("{count} processor", "{count} processors", resources.cpus),
                _("{amount} memory", amount=memory),
                _("up to {amount} GiB disk", amount=resources.disk_gib),
            )
            self._resources.show_lines([(", ".join(parts), None)])


class _Lines(Card):
    """A card with lines of text."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._labels: list[QLabel] = []

    def show_lines(self, lines: list[_Line]) -> None:
        while len(self._labels) < len(lines):
            line = label("", wrap=True, selectable=True)
            self._labels.append(line)
            self.body.addWidget(line)
        for number, line in enumerate(self._labels):
            line.setVisible(number < len(lines))
            if number < len(lines):
                line.setText(lines[number][0])
                if line.property("role") != lines[number][1]:
                    line.setProperty("role", lines[number][1])
                    line.style().polish(line)
