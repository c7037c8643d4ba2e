"""Making containers, and making one anew: whatever fails, the old one is there as it was."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest

from backend.engine.client.details import ContainerDetails, details_from_answer
from backend.engine.client.engine_client import EngineClient
from backend.engine.client.pulling import pull_progress
from backend.engine.container import creating
from backend.engine.container.creating import RecreateStep, create_container, has_image, recreate_container, spec_of
from backend.engine.spec.container_spec import ContainerSpec
from backend.engine.types import RemovePolicy
from backend.errors import ProblemCode, WherryError, fail
from backend.json_reader import Json
from backend.messages import verbatim
from tests.fakes.answers import answer, entry
from tests.unit.engine.spec.test_container_spec import IMAGE, INSPECT

OLD = INSPECT["Id"]
NEW = "12" * 32


class Engine:
    """As much of an engine as these functions ask for, with its containers in a table; refuses on cue."""

    def __init__(self, *, state: str = "running", refuses: str = "", auto_remove: bool = False) -> None:
        old = copy.deepcopy(INSPECT)
        old["State"]["Status"] = state
        old["HostConfig"]["AutoRemove"] = auto_remove
        self.containers: dict[str, dict[str, Any]] = {OLD: old}
        self.refuses = refuses
        self.breaks = ""
        self.new_state = "running"
        self.bodies: list[dict[str, Any]] = []
        self.done: list[str] = []

    @property
    def client(self) -> EngineClient:
        return cast(EngineClient, self)

    def states(self) -> dict[str, str]:
        return {entry["Name"][1:]: entry["State"]["Status"] for entry in self.containers.values()}

    def inspect(self, container_id: str) -> ContainerDetails:
        return details_from_answer(entry(self.containers[container_id]))

    def stop(self, container_id: str) -> None:
        self._do("stop", container_id)
        self.containers[container_id]["State"]["Status"] = "exited"

    def start(self, container_id: str) -> None:
        self._do("start new" if container_id == NEW else "start old", container_id)
        state = self.new_state if container_id == NEW else "running"
        self.containers[container_id]["State"] |= {"Status": state, "ExitCode": 3 if state == "exited" else 0}

    def rename(self, container_id: str, name: str) -> None:
        self._do("rename", container_id)
        self.containers[container_id]["Name"] = f"/{name}"

    def remove(self, container_id: str, policy: RemovePolicy) -> None:
        assert policy is RemovePolicy.KILL_FIRST
        self._do("remove", container_id)
        del self.containers[container_id]

    def call(self, command: str, method: str, path: str, **asked: Any) -> Json:
        if path == "/containers/create":
            self._do("create", NEW)
            self.bodies.append(asked["body"])
            made = copy.deepcopy(INSPECT)
            made |= {"Id": NEW, "Name": "/" + (asked["params"] or {"name": "random"})["name"], "RestartCount": 0}
            made["State"]["Status"] = "created"
            self.containers[NEW] = made
            return answer({"Id": NEW, "Warnings": ["a warning"]})
        assert path.startswith("/images/")
        if self.refuses == "image":
            raise fail(ProblemCode.ENGINE_ERROR, verbatim("No such image: nginx:1.27"), command=command)
        return answer(IMAGE)

    def _do(self, what: str, _container_id: str) -> None:
        if what == self.breaks:
            raise KeyError(what)
        if what == self.refuses:
            raise fail(ProblemCode.ENGINE_ERROR, verbatim(f"no {what} today"), command=f"docker {what}")
        self.done.append(what)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "_WATCH_S", 0.02)
    monkeypatch.setattr(creating, "_WATCH_STEP_S", 0.01)


def test_a_container_is_made_and_started() -> None:
    engine = Engine()
    made = create_container(engine.client, ContainerSpec(image="nginx", name="web"))
    assert (made.id, made.warnings, made.ended_at_once) == (NEW, ("a warning",), None)
    assert engine.states()["web"] == "running"


def test_one_that_does_not_start_leaves_nothing() -> None:
    engine = Engine(refuses="start new")
    with pytest.raises(WherryError) as caught:
        create_container(engine.client, ContainerSpec(image="nginx", name="web"))
    assert str(caught.value.problem.summary) == "no start new today"
    assert engine.states() == {"shop": "running"}


def test_one_that_ends_at_once_is_told() -> None:
    engine = Engine()
    engine.new_state = "exited"
    assert create_container(engine.client, ContainerSpec(image="nginx", name="web")).ended_at_once == 3


def test_an_old_one_is_replaced_with_all_that_it_had() -> None:
    engine = Engine()
    steps: list[RecreateStep] = []
    spec = spec_of(engine.client, OLD)
    made = recreate_container(engine.client, OLD, spec, steps.append)
    assert made.kept_as == ""
    assert engine.states() == {"shop": "running"}
    assert OLD not in engine.containers
    assert steps == [RecreateStep.STOP, RecreateStep.CREATE, RecreateStep.START, RecreateStep.REMOVE]
    assert engine.bodies[0]["HostConfig"]["CapAdd"] == ["NET_ADMIN"]


def test_one_that_was_stopped_stays_stopped() -> None:
    engine = Engine(state="exited")
    recreate_container(engine.client, OLD, spec_of(engine.client, OLD), lambda _step: None)
    assert engine.states() == {"shop": "created"}


@pytest.mark.parametrize("refused", ["stop", "rename", "create", "start new"])
@pytest.mark.parametrize("state", ["running", "exited"])
def test_whatever_fails_the_old_one_is_there_as_it_was(refused: str, state: str) -> None:
    if state == "exited" and refused in ("stop", "start new"):
        pytest.skip("is not done to a stopped container")
    engine = Engine(state=state, refuses=refused)
    spec = spec_of(engine.client, OLD)
    with pytest.raises(WherryError) as caught:
        recreate_container(engine.client, OLD, spec, lambda _step: None)
    assert str(caught.value.problem.summary) == f"no {refused} today"
    assert engine.states() == {"shop": state}
    assert list(engine.containers) == [OLD]


def test_a_failed_way_back_is_told_too() -> None:
    engine = Engine(refuses="create")
    engine_rename = engine.rename

    def rename(container_id: str, name: str) -> None:
        if name == "shop":
            raise fail(ProblemCode.ENGINE_DOWN, verbatim("gone"))
        engine_rename(container_id, name)

    engine.rename = rename  # type: ignore[method-assign]  # fails from the second time on
    with pytest.raises(WherryError) as caught:
        recreate_container(engine.client, OLD, ContainerSpec(image="nginx"), lambda _step: None)
    assert "gone" in caught.value.problem.tail
    assert OLD in engine.containers


def test_when_the_new_one_ends_at_once_both_are_kept() -> None:
    engine = Engine()
    engine.new_state = "exited"
    made = recreate_container(engine.client, OLD, spec_of(engine.client, OLD), lambda _step: None)
    assert made.ended_at_once == 3
    assert engine.states() == {"shop": "exited", made.kept_as: "exited"}


def test_a_defect_leaves_no_new_one_behind() -> None:
    engine = Engine()
    engine.breaks = "start new"
    with pytest.raises(KeyError):
        create_container(engine.client, ContainerSpec(image="nginx", name="web"))
    assert engine.states() == {"shop": "running"}


@pytest.mark.parametrize("broken", ["stop", "rename", "create", "start new"])
def test_a_defect_leaves_the_old_one_as_it_was_too(broken: str) -> None:
    engine = Engine()
    engine.breaks = broken
    with pytest.raises(KeyError):
        recreate_container(engine.client, OLD, ContainerSpec(image="nginx"), lambda _step: None)
    assert engine.states() == {"shop": "running"}


def test_one_that_vanishes_when_it_stops_is_not_touched() -> None:
    engine = Engine(auto_remove=True)
    with pytest.raises(WherryError) as caught:
        recreate_container(engine.client, OLD, ContainerSpec(image="nginx"), lambda _step: None)
    assert "--rm" in str(caught.value.problem.summary)
    assert engine.done == []


def test_an_image_that_is_not_there() -> None:
    assert has_image(Engine().client, "nginx:1.27")
    assert not has_image(Engine(refuses="image").client, "nginx:1.27")


PULL = (
    b'{"status":"Pulling from library/nginx","id":"1.27"}\n'
    b'{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}\n'
    b'{"status":"Pulling fs layer","progressDetail":{},"id":"bb"}\n'
    b'{"status":"Downloading","progressDetail":{"current":50,"total":200},"id":"aa"}\n'
    b'{"status":"Already exists","progressDetail":{},"id":"bb"}\n'
    b'{"status":"Download complete","progressDetail":{},"id":"aa"}\n'
    b'{"status":"Pull complete","progressDetail":{},"id":"aa"}\n'
    b'{"status":"Status: Downloaded newer image for nginx:1.27"}\n'
)


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_how_far_a_pull_is(size: int) -> None:
    blocks = (PULL[at : at + size] for at in range(0, len(PULL), size))
    told = list(pull_progress(blocks, command="docker pull nginx:1.27"))
    downloading = next(progress for progress in told if progress.status == "Downloading")
    assert (downloading.layers, downloading.bytes_done, downloading.bytes_total) == (2, 50, 200)
    assert (told[-1].layers_done, told[-1].layers, told[-1].bytes_done) == (2, 2, 200)


def test_a_pull_that_the_registry_refuses() -> None:
    line = b'{"errorDetail":{"message":"x"},"error":"pull access denied for x, may require docker login"}\n'
    with pytest.raises(WherryError) as caught:
        list(pull_progress(iter([line]), command="docker pull x"))
    assert "docker login" in (str(caught.value.problem.hint) or "")
