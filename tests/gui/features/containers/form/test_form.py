"""The container form: requests from typed values, errors at their fields, cancelled pulls, and no lost input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.features.containers.form.draft import (
    Draft,
    EngineFacts,
    MountDraft,
    PortDraft,
    VariableDraft,
    draft_of,
    parse_memory,
    read,
)
from app.features.containers.form.form import ContainerForm
from app.frame.main_window import MainWindow
from app.state.store import AppStore
from backend.engine.client.pulling import PullProgress
from backend.engine.container.creating import Created, RecreateStep, local_images, network_names
from backend.engine.spec.container_spec import ContainerSpec
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from tests.gui.scenes import samples
from tests.gui.scenes.container_scenes import SPEC, running
from tests.gui.screenshots import SCENES
from tests.unit.engine.spec.test_container_spec import SPECS

LEFT = Qt.MouseButton.LeftButton
NOTHING = EngineFacts()


class Engine:
    """Records the form's requests; replies when the test says so."""

    def __init__(self, store: AppStore) -> None:
        self.asked: list[tuple[Any, Callable[[object], None]]] = []
        store.intents.request_engine.connect(self._on_asked)

    def _on_asked(self, job: Any, done: Callable[[object], None]) -> None:
        if job is local_images:
            done(("nginx:latest", "ghcr.io/boats/shop:2.1"))
        elif job is network_names:
            done(("bridge", "shop_default"))
        else:
            self.asked.append((job, done))

    def answer(self, value: object) -> Any:
        """Reply to the oldest request; returns its job."""
        job, done = self.asked.pop(0)
        done(value)
        return job


@pytest.fixture
def engine(store: AppStore) -> Engine:
    return Engine(store)


@pytest.fixture
def form(store: AppStore, window: MainWindow, engine: Engine) -> ContainerForm:
    running(store)
    made = ContainerForm(store, window, ContainerSpec(image=""))
    made.show()
    return made


@given(SPECS)
def test_an_untouched_form_returns_its_spec(spec: ContainerSpec) -> None:
    found, faults = read(draft_of(spec), spec, NOTHING)
    # Two host ports that collide are a fault of the spec itself.
    assert {fault.key for fault in faults} <= {"port-twice"}
    assert found == spec


@pytest.mark.parametrize(
    ("draft", "field", "key"),
    [
        (Draft(), "image", "image-missing"),
        (Draft(image="Not One"), "image", "image"),
        (Draft(image="x", name="-"), "name", "name"),
        (Draft(image="x", name="taken"), "name", "name-taken"),
        (Draft(image="x", ports=(PortDraft(),)), "container_port", "port-missing"),
        (Draft(image="x", ports=(PortDraft(container_port="0"),)), "container_port", "port"),
        (Draft(image="x", ports=(PortDraft(container_port="80", host_port="99999"),)), "host_port", "port"),
        (Draft(image="x", ports=(PortDraft(container_port="80", host_port="٣"),)), "host_port", "port"),
        (Draft(image="x", ports=(PortDraft(container_port="80", host_ip="here"),)), "host_ip", "address"),
        (Draft(image="x", ports=(PortDraft("", "1", "1"), PortDraft("::1", "1", "2"))), "host_port", "port-twice"),
        (Draft(image="x", ports=(PortDraft(container_port="80", host_port="8080"),)), "host_port", "port-used"),
        (Draft(image="x", mounts=(MountDraft(),)), "source", "source-missing"),
        (Draft(image="x", mounts=(MountDraft(source="here", target="/x"),)), "source", "host-path"),
        (Draft(image="x", mounts=(MountDraft("volume", "a b", "/x"),)), "source", "volume-name"),
        (Draft(image="x", mounts=(MountDraft("volume", "a", "x"),)), "target", "inner-path"),
        (Draft(image="x", mounts=(MountDraft("tmpfs", "", "/x"),) * 2), "target", "target-twice"),
        (Draft(image="x", variables=(VariableDraft("A B", ""),)), "name", "variable"),
        (Draft(image="x", variables=(VariableDraft("A", "1"), VariableDraft("A", "2"))), "name", "variable-twice"),
        (Draft(image="x", cpus="many"), "cpus", "cpus"),
        (Draft(image="x", cpus="0"), "cpus", "cpus"),
        (Draft(image="x", memory="512"), "memory", "memory"),
        (Draft(image="x", memory="1m"), "memory", "memory-least"),
        (Draft(image="x", command="echo 'open"), "command", "quotes"),
        (Draft(image="x", working_directory="here"), "working_directory", "inner-path"),
        (Draft(image="x", auto_remove=True, restart_policy="always"), "auto_remove", "remove-and-restart"),
    ],
)
def test_errors_are_assigned_to_their_fields(draft: Draft, field: str, key: str) -> None:
    around = EngineFacts(names=frozenset({"taken"}), used_ports={(8080, "tcp"): "web"})
    faults = read(draft, ContainerSpec(image=""), around)[1]
    assert (field, key) in {(fault.field, fault.key) for fault in faults}


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("512m", 512 << 20),
        ("1.5g", 1536 << 20),
        ("1,5 GiB", 1536 << 20),
        ("2G", 2 << 30),
        ("64kb", 64 << 10),
        ("x", None),
    ],
)
def test_memory_is_read_as_people_write_it(words: str, count: int | None) -> None:
    assert parse_memory(words) == count


def test_a_new_container_from_nothing_to_the_request(form: ContainerForm, engine: Engine, qtbot: QtBot) -> None:
    QTest.keyClicks(form.fields.lines["image"], "nginx")
    QTest.keyClicks(form.fields.lines["name"], "front")
    QTest.mouseClick(form.fields.ports.add_button, LEFT)
    row = form.fields.ports.rows[0]
    QTest.keyClicks(row.fields["host_port"], "8081")
    QTest.keyClicks(row.fields["container_port"], "80")
    QTest.keyClicks(form.fields.lines["command"], "nginx -g 'daemon off;'")
    QTest.mouseClick(form.copy, LEFT)
    said = "docker run -d --name front -p 8081:80 nginx nginx -g 'daemon off;'"
    assert QGuiApplication.clipboard().text() == said
    QTest.mouseClick(form.send, LEFT)
    assert form.busy
    assert not form.fields.isEnabled()
    engine.answer(True)  # the image is there
    spec = engine.asked[0][0].keywords["spec"]
    assert (spec.image, spec.name, spec.command) == ("nginx", "front", ("nginx", "-g", "daemon off;"))
    with qtbot.waitSignal(form.finished_with):
        engine.answer(Created(id="ab" * 32))
    assert not form.isVisible()


def test_missing_fields_are_reported_on_submit(form: ContainerForm, engine: Engine) -> None:
    fault = form.fields._faults["image"]
    assert not fault.isVisible()
    QTest.mouseClick(form.send, LEFT)
    assert fault.text() == "Enter an image."
    assert engine.asked == []
    QTest.keyClicks(form.fields.lines["image"], "nginx")
    assert not fault.isVisible()


def test_enter_in_a_field_submits_nothing(form: ContainerForm, engine: Engine) -> None:
    QTest.keyClicks(form.fields.lines["image"], "nginx")
    QTest.keyClick(form.fields.lines["image"], Qt.Key.Key_Return)
    assert engine.asked == []
    assert form.isVisible()
    QTest.keyClick(form.fields.lines["image"], Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert len(engine.asked) == 1


def test_a_refusal_is_shown_in_the_form_and_nothing_typed_is_lost(form: ContainerForm, engine: Engine) -> None:
    form.fields.lines["image"].setText("nginx")
    form.submit()
    engine.answer(True)
    engine.answer(samples.ENGINE_PROBLEM)
    assert form.problem.problem == samples.ENGINE_PROBLEM
    assert form.problem.isVisible()
    assert form.fields.isEnabled()
    assert form.fields.lines["image"].text() == "nginx"


def test_an_image_that_is_not_there_is_pulled_and_run(form: ContainerForm, engine: Engine) -> None:
    form.fields.lines["image"].setText("postgres:17")
    form.submit()
    engine.answer(False)
    assert form.pull.isVisible()
    assert engine.asked == [], "nothing is pulled before the user says so"
    QTest.mouseClick(form.pull.start, LEFT)
    form.pull._progressed(PullProgress(layers=4, layers_done=1, bytes_done=25, bytes_total=100))
    assert form.pull.bar.value() == 250
    assert "1 of 4 layers" in form.pull.detail.text()
    engine.answer(None)
    assert engine.asked[0][0].keywords["spec"].image == "postgres:17", "then it is run"


def test_a_pull_is_cancelled_at_once(form: ContainerForm, engine: Engine) -> None:
    form.fields.lines["image"].setText("postgres:17")
    form.submit()
    engine.answer(False)
    form.pull.begin()
    pull = engine.asked[0][0].__self__
    QTest.mouseClick(form.pull.cancel, LEFT)
    assert pull.cancelled
    assert not form.pull.isVisible()
    assert form.send.isEnabled()
    engine.answer(Problem(code=ProblemCode.CANCELLED, summary=verbatim("It was cancelled.")))
    assert form.problem.problem is None


def test_a_failed_pull_shows_its_problem(form: ContainerForm, engine: Engine) -> None:
    form.fields.lines["image"].setText("postgres:17")
    form.submit()
    engine.answer(False)
    form.pull.begin()
    problem = Problem(code=ProblemCode.ENGINE_ERROR, summary=verbatim("manifest unknown"))
    engine.answer(problem)
    assert form.problem.problem == problem


def test_editing_explains_what_is_lost_and_names_the_steps(store: AppStore, window: MainWindow, engine: Engine) -> None:
    running(store)
    web = next(entry for entry in samples.containers() if entry.name == "web")
    form = ContainerForm(store, window, SPEC, web)
    form.show()
    assert form.fields.draft() == draft_of(SPEC)
    form.fields.variables.rows[0].fields["value"].setText("test")  # type: ignore[union-attr]  # it is a line
    form.submit()
    engine.answer(True)
    job = engine.asked[0][0]
    assert job.keywords["container_id"] == web.id
    assert dict(job.keywords["spec"].environment)["SHOP_MODE"] == "test"
    form._on_step(RecreateStep.RESTORE)
    assert "Restoring the old container" in form.step.text()
    form.reject()
    assert form.isVisible(), "work that cannot be taken back is not left"
    engine.answer(Created(id="ab" * 32))


def test_lines_are_taken_away(form: ContainerForm) -> None:
    form.fields.variables.fill((VariableDraft("A", "1"), VariableDraft("B", "2"), VariableDraft("C", "3")))
    form.fields.variables.rows[1].removed.emit()
    assert form.fields.variables.drafts() == (VariableDraft("A", "1"), VariableDraft("C", "3"))


@pytest.mark.parametrize("width", [640, 900, 1300])
def test_headings_are_above_their_fields(store: AppStore, window: MainWindow, width: int, qtbot: QtBot) -> None:
    SCENES["form-edit"](store, window)
    (form,) = window.findChildren(ContainerForm)
    form.resize(width, 800)

    def farthest() -> int:
        pairs = [
            pair
            for table in (form.fields.ports, form.fields.mounts, form.fields.variables)
            for pair in zip(table._heading.labels, table.rows[0].fields.values(), strict=False)
        ]
        return max(abs(one.mapTo(form, QPoint()).x() - other.mapTo(form, QPoint()).x()) for one, other in pairs)

    qtbot.waitUntil(lambda: farthest() <= 4)
    assert form.fields.ports._heading.isVisible()
