"""The form that runs a new container, or recreates one with other settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from app.features.containers.form.draft import EngineFacts, FieldError, draft_of, read
from app.features.containers.form.fields import FormFields
from app.features.containers.form.pull_pane import PullPane
from app.features.problems.problem import ProblemView
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.texts import _, message, say
from app.ui import theme
from app.ui.widgets import button, label, resize_on_screen
from backend.api import (
    Container,
    ContainerSpec,
    Created,
    Problem,
    RecreateStep,
    create_container,
    has_image,
    is_image_reference,
    local_images,
    network_names,
    recreate_container,
    run_command,
    with_tag,
)

if TYPE_CHECKING:
    from backend.api import EngineClient

_CHECK_AFTER_MS: Final = 300
_STEPS: Final = {
    RecreateStep.STOP: message("Stopping the old container…"),
    RecreateStep.CREATE: message("Creating the container…"),
    RecreateStep.START: message("Starting the new container…"),
    RecreateStep.REMOVE: message("Removing the old container…"),
    RecreateStep.RESTORE: message("Something went wrong. Restoring the old container…"),
}


class _Reporter(QObject):
    """Delivers a job's steps to the GUI thread. Has no parent, because it must live as long as the job."""

    reached = Signal(str)


class ContainerForm(QDialog):
    """Not modal, so that the list stays usable during a pull. `finished_with` is emitted on success."""

    finished_with = Signal(object)  # Created

    def __init__(
        self, store: AppStore, parent: QWidget | None, spec: ContainerSpec, replaces: Container | None = None
    ) -> None:
        """Create the form, filled in from `spec`.

        Args:
            spec: initial values of the fields; settings without a field are kept.
            replaces: the container to recreate; None for a new container.
        """
        super().__init__(parent)
        self._store = store
        self._base = spec
        self._replaces = replaces
        self._images: frozenset[str] | None = None
        self._attempted = False
        self._busy = False
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        title = _("Edit and recreate “{name}”", name=replaces.name) if replaces else _("Run a container")
        self.setWindowTitle(title)
        resize_on_screen(self, 720, 760)
        self.fields = FormFields()
        self.pull = PullPane(store)
        self.problem = ProblemView(store)
        self.progress = QProgressBar(textVisible=False)
        self.progress.setRange(0, 0)
        self.progress.setAccessibleName(_("Progress"))
        self.step = label("", "muted")
        self.send = button((_("Recreate") if replaces else _("Run")), self.submit, "primary")
        self.copy = button(_("Copy as docker run"), self._copy)
        self.cancel = button(_("Cancel"), self.reject)
        self._lay_out(title)
        self.fields.fill(draft_of(spec))
        self.fields.changed.connect(self._check)
        self.pull.pulled.connect(self._on_pulled)
        self.pull.ended.connect(self._on_pull_ended)
        store.engine_changed.connect(self._check)
        store.containers_changed.connect(self._check)
        self._check_timer = QTimer(self, singleShot=True, interval=_CHECK_AFTER_MS)
        self._check_timer.timeout.connect(self._show_image)
        self._set_busy(None)
        self._check()
        self.fields.lines["image"].setFocus()
        store.intents.request_engine.emit(local_images, self._on_images)
        store.intents.request_engine.emit(network_names, self._on_networks)

    @property
    def busy(self) -> bool:
        """Whether the engine is pulling or creating."""
        return self._busy or self.pull.busy

    def submit(self) -> None:
        """Submit the form if it is valid; otherwise focus the first field with an error."""
        self._attempted = True
        faults = self._check()
        if faults:
            widget = self.fields.place_of(faults[0])
            self._scroll.ensureWidgetVisible(widget)
            widget.setFocus()
            return
        if self.busy or self._store.engine_link is not LinkState.UP:
            return
        self.problem.show_problem(None)
        self._set_busy(_("Checking the image…"))
        image = self._read()[0].image
        self._store.intents.request_engine.emit(partial(_has_image, image=image), self._on_has_image)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if event.key() in keys and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.submit()
        elif event.key() not in keys:
            # Enter in a field must not submit an incomplete form.
            super().keyPressEvent(event)

    def reject(self) -> None:
        """Close, unless a step runs that cannot be cancelled."""
        if not self._busy:
            if self.pull.busy:
                self.pull.stop()
            super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._busy:
            event.ignore()
            return
        if self.pull.busy:
            self.pull.stop()
        super().closeEvent(event)

    # --- replies of the engine -------------------------------------------------------------------------------------

    def _on_images(self, answer: tuple[str, ...] | Problem) -> None:
        if not isinstance(answer, Problem):
            self._images = frozenset(answer)
            self.fields.offer_images(answer)
            self._show_image()

    def _on_networks(self, answer: tuple[str, ...] | Problem) -> None:
        if not isinstance(answer, Problem):
            self.fields.offer_networks(("", *answer))

    def _on_has_image(self, answer: bool | Problem) -> None:
        if isinstance(answer, Problem):
            self._fail(answer)
        elif answer:
            self._start_create()
        else:
            self._set_busy(None)
            self.pull.offer(self._read()[0].image)
            self._show_buttons()

    def _on_pulled(self, reference: str) -> None:
        self._store.intents.request_engine.emit(local_images, self._on_images)
        self._show_buttons()
        if reference == self._read()[0].image and not self._check():
            self._start_create()

    def _on_pull_ended(self, problem: Problem | None) -> None:
        self._show_buttons()
        check = partial(self._store.intents.check_network.emit, self.pull.reference)
        self.problem.show_problem(problem, [(_("Why can't I pull?"), check)])

    def _start_create(self) -> None:
        spec = self._read()[0]
        reporter = _Reporter()
        reporter.reached.connect(self._on_step)
        if self._replaces is None:
            self._on_step(RecreateStep.CREATE)
            job = partial(_create, spec=spec)
        else:
            job = partial(_recreate, spec=spec, container_id=self._replaces.id, reporter=reporter)
        self._store.intents.request_engine.emit(job, self._on_created)

    def _on_step(self, step: str) -> None:
        self._set_busy(say(_STEPS[RecreateStep(step)]))

    def _on_created(self, answer: Created | Problem) -> None:
        if isinstance(answer, Problem):
            self._fail(answer)
            return
        self._set_busy(None)
        self.finished_with.emit(answer)
        self.accept()

    def _fail(self, problem: Problem) -> None:
        self._set_busy(None)
        self.problem.show_problem(None)
        self.problem.show_problem(problem)

    # --- display ---------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[ContainerSpec, tuple[FieldError, ...]]:
        return read(self.fields.draft(), self._base, self._engine_facts())

    def _engine_facts(self) -> EngineFacts:
        own = self._replaces.id if self._replaces else ""
        others = [entry for entry in self._store.containers or () if entry.id != own]
        used = {
            (port.host_port, port.protocol): entry.name
            for entry in others
            if entry.state.is_up
            for port in entry.ports
            if port.host_port is not None
        }
        return EngineFacts(names=frozenset(entry.name for entry in others), used_ports=used)

    def _check(self) -> tuple[FieldError, ...]:
        faults = self._read()[1]
        self.fields.show_faults([fault for fault in faults if self._attempted or not fault.is_missing])
        self._check_timer.start()
        self._show_buttons()
        return faults

    def _show_image(self) -> None:
        image = self.fields.lines["image"].text().strip()
        is_valid = self._images is not None and is_image_reference(image) and "@" not in image
        here = self._images is not None and with_tag(image) in self._images
        text = (
            _("This image is available on the machine.")
            if here
            else _("This image isn't on the machine yet and will be pulled.")
        )
        self.fields.image_state.setText(text if is_valid else "")
        self.fields.image_state.setVisible(is_valid)

    def _set_busy(self, step: str | None) -> None:
        self._busy = step is not None
        self.progress.setVisible(self._busy)
        self.step.setText(step or "")
        self.fields.setEnabled(not self._busy)
        self._show_buttons()

    def _show_buttons(self) -> None:
        up = self._store.engine_link is LinkState.UP
        self.send.setEnabled(up and not self.busy and not self.pull.isVisibleTo(self))
        self.cancel.setEnabled(not self._busy)
        if not up:
            self.step.setText(_("Not connected to the Docker engine."))
        elif not self._busy:
            self.step.setText("")

    def _copy(self) -> None:
        self._attempted = True
        if not self._check():
            QGuiApplication.clipboard().setText(run_command(self._read()[0]))

    def _lay_out(self, title: str) -> None:
        heading = QVBoxLayout()
        heading.setContentsMargins(theme.px(20), theme.px(16), theme.px(20), theme.px(8))
        heading.addWidget(label(title, "title", wrap=True))
        if self._replaces is not None:
            heading.addWidget(
                label(
                    _(
                        "The container is replaced by a new one. Its logs and any files not stored in a "
                        "volume will be deleted. Volumes are kept and attached to the new container. The old "
                        "container is kept until the new one has started."
                    ),
                    "warning",
                    wrap=True,
                )
            )
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setWidget(self.fields)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        below = QVBoxLayout()
        below.setContentsMargins(theme.px(20), theme.px(8), theme.px(20), theme.px(14))
        below.setSpacing(theme.px(8))
        for widget in (self.problem, self.pull, self.progress):
            below.addWidget(widget)
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy)
        buttons.addWidget(self.step, 1)
        buttons.addWidget(self.send)
        buttons.addWidget(self.cancel)
        below.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(heading)
        column.addWidget(self._scroll, 1)
        column.addLayout(below)


def _has_image(client: EngineClient, *, image: str) -> bool:
    return has_image(client, image)


def _create(client: EngineClient, *, spec: ContainerSpec) -> Created:
    return create_container(client, spec)


def _recreate(client: EngineClient, *, spec: ContainerSpec, container_id: str, reporter: _Reporter) -> Created:
    return recreate_container(client, container_id, spec, lambda step: reporter.reached.emit(step.value))
