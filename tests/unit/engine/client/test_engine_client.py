"""The engine's client on a real dockerd's recorded answers, over a real socket."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.engine.client.answers import container_from_answer
from backend.engine.client.engine_client import DEFAULT_GRACE_S, ENDLESS_GRACE_S, EngineClient
from backend.engine.container import creating, inside
from backend.engine.container.exec import open_debug_shell
from backend.engine.container.page_types import TerminalSize
from backend.engine.spec.container_spec import ContainerSpec
from backend.engine.types import ContainerAction, ContainerState, Health, clean_text
from backend.errors import ProblemCode, WherryError
from tests.fakes.answers import entry
from tests.gui.fakes.fake_engine import FakeEngine, frame, recorded_log
from tests.gui.scenes.samples import HOSTILE, recorded

DEADLINE_S = 10


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as made:
        yield made


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    made = EngineClient(engine.url)
    yield made
    made.close()


def test_containers_of_every_state(client: EngineClient) -> None:
    containers = {entry.name: entry for entry in client.list_containers()}
    assert containers["web"].state is ContainerState.RUNNING
    assert (containers["web"].compose_project, containers["web"].compose_service) == ("shop", "web")
    assert {(port.host_port, port.container_port) for port in containers["web"].ports} == {(8080, 80), (8443, 443)}
    assert containers["db"].health is Health.HEALTHY
    assert containers["sick"].health is Health.UNHEALTHY
    assert containers["paused"].state is ContainerState.PAUSED
    assert containers["not-started"].state is ContainerState.CREATED
    failed = next(entry for name, entry in containers.items() if name.startswith("failed-job"))
    assert (failed.state, failed.exit_code) == (ContainerState.EXITED, 3)


def test_version_and_info(client: EngineClient) -> None:
    assert client.version().version == recorded("version")["Version"]
    assert client.info().storage_driver == recorded("info")["Driver"]
    client.ping()


@pytest.mark.parametrize("action", list(ContainerAction))
def test_every_action_reaches_the_engine(client: EngineClient, engine: FakeEngine, action: ContainerAction) -> None:
    client.act(action, "web")
    removes = action in (ContainerAction.REMOVE, ContainerAction.REMOVE_WITH_VOLUMES)
    verb = "DELETE /containers/web" if removes else f"POST /containers/web/{action.value}"
    assert verb in engine.requests


@pytest.mark.parametrize(
    ("own", "seconds"), [(None, DEFAULT_GRACE_S), (0, 0), (45, 45), (-1, ENDLESS_GRACE_S)], ids=str
)
def test_a_container_has_its_own_time_to_stop(
    client: EngineClient, engine: FakeEngine, own: int | None, seconds: int
) -> None:
    engine.answers["GET /containers/web/json"] = {"Config": {} if own is None else {"StopTimeout": own}}
    assert client.stop_timeout_s("web") == seconds
    for verb in ("stop", "restart"):
        client.act(ContainerAction(verb), "web")
        assert engine.queries[f"POST /containers/web/{verb}"] == "", "the engine applies the container's own"


def test_an_engine_that_takes_long_is_not_called_dead(engine: FakeEngine) -> None:
    engine.held["GET /info"] = threading.Event()
    quick = EngineClient(engine.url, timeout_s=1)
    try:
        with pytest.raises(WherryError) as caught:
            quick.info()
    finally:
        engine.held["GET /info"].set()
        quick.close()
    problem = caught.value.problem
    assert problem.code is ProblemCode.ENGINE_SLOW
    assert problem.tail == (), "no exception's text"
    assert "restart" not in str(problem.hint)
    del caught
    gc.collect()


def test_a_stop_may_take_longer_than_a_question(engine: FakeEngine) -> None:
    engine.held["POST /containers/web/stop"] = gate = threading.Event()
    patient = EngineClient(engine.url, timeout_s=1)
    threading.Timer(1.5, gate.set).start()
    try:
        patient.stop("web")
    finally:
        patient.close()


def test_a_container_that_is_gone(client: EngineClient) -> None:
    with pytest.raises(WherryError) as caught:
        client.start("no-such")
    problem = caught.value.problem
    assert problem.code is ProblemCode.ENGINE_ERROR
    assert problem.command == "docker start no-such"
    assert "No such container" in problem.tail[0]


def test_a_refusal_says_what_the_engine_said(client: EngineClient, engine: FakeEngine) -> None:
    engine.refuses = (500, "Bind for 0.0.0.0:8080 failed: port is already allocated")
    with pytest.raises(WherryError) as caught:
        client.start("web")
    assert "8080" in str(caught.value.problem.summary)
    assert caught.value.problem.hint is not None


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(WherryError) as caught:
        EngineClient(f"unix://{tmp_path}/none.sock")
    assert caught.value.problem.code is ProblemCode.ENGINE_DOWN
    assert caught.value.problem.retryable
    # Let it leak here, where it is expected, not into the next test.
    del caught
    gc.collect()


@pytest.mark.parametrize("name", ["../../info", "", "a b", "x" * 300, "-rm"])
def test_only_ids_and_names_go_into_the_address(client: EngineClient, name: str) -> None:
    with pytest.raises(WherryError) as caught:
        client.stop(name)
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST


def test_events_come_and_the_stream_is_closed_from_another_thread(client: EngineClient, engine: FakeEngine) -> None:
    stream = client.events()
    engine.happen("start", "chatty")
    assert next(stream).action == "start"
    closer = threading.Timer(0.1, stream.close)
    closer.start()
    assert list(stream) == []
    closer.join(DEADLINE_S)
    stream.release()


def test_a_stream_that_breaks_is_an_error_not_an_end(client: EngineClient, engine: FakeEngine) -> None:
    stream = client.events()
    engine.happen("start", "chatty")
    next(stream)
    server = engine._server
    assert server is not None
    server.cut()
    with pytest.raises(WherryError) as caught:
        next(stream)
    assert caught.value.problem.code is ProblemCode.ENGINE_DOWN
    stream.release()


@pytest.mark.parametrize("untrusted", [b"{]\n", b"[]\n", b"7\n", b'{"time": "soon"}\n', b"[" * 9000 + b"\n"])
def test_an_event_that_is_not_understood_is_no_lost_connection(
    client: EngineClient, engine: FakeEngine, untrusted: bytes
) -> None:
    with client.events() as stream:
        engine.write_event(untrusted)
        with pytest.raises(WherryError) as caught:
            next(stream)
        stream.release()
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR
    assert "understood" in str(caught.value.problem.summary)


def test_a_log_that_is_not_understood_is_no_lost_connection(client: EngineClient, engine: FakeEngine) -> None:
    engine.wire_logs["chatty"] = b"this is no chunk of a log\r\n"
    stream = client.logs("chatty")
    with pytest.raises(WherryError) as caught:
        list(stream)
    stream.release()
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR


def test_a_version_that_is_no_json_is_not_understood(client: EngineClient, engine: FakeEngine) -> None:
    engine.answers["GET /version"] = b"<html>"
    with pytest.raises(WherryError) as caught:
        client.version()
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR


@pytest.mark.parametrize("body", [[], ["Id"], "Id", 7, None])
@pytest.mark.parametrize(
    ("asked", "ask"),
    [
        ("POST /commit", lambda client: inside.commit(client, "web", "shop:1")),
        ("GET /containers/web/top", lambda client: inside.processes(client, "web")),
        ("POST /containers/create", lambda client: open_debug_shell(client, "web", TerminalSize(80, 24), "me")),
        ("POST /containers/create", lambda client: creating.create_container(client, ContainerSpec(image="nginx"))),
    ],
    ids=["commit", "top", "debug", "create"],
)
def test_an_answer_of_another_shape_is_not_understood(
    client: EngineClient, engine: FakeEngine, body: object, asked: str, ask: Callable[[EngineClient], object]
) -> None:
    engine.answers[asked] = body
    with pytest.raises(WherryError) as caught:
        ask(client)
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR
    assert "understood" in str(caught.value.problem.summary)


def logged(client: EngineClient, name: str) -> list[bytes]:
    """The records of a log, read to its end."""
    made = []
    with client.logs(name, follow=False) as stream:
        for data, starts in stream:
            made += [data[at : at + 8 + int.from_bytes(data[at + 4 : at + 8], "big")] for at in starts]
        stream.release()
    return made


def test_logs_as_the_engine_framed_them(client: EngineClient, engine: FakeEngine) -> None:
    engine.follows = False
    engine.logs["chatty"] = recorded_log("chatty")
    records = logged(client, "chatty")
    assert [record[0] for record in records] == [1, 1, 2]
    assert b"".join(records) == recorded_log("chatty")


def test_logs_of_a_terminal_have_no_frames(client: EngineClient, engine: FakeEngine) -> None:
    engine.follows = False
    engine.logs["terminal"] = recorded_log("terminal")
    (record,) = logged(client, "terminal")
    assert record[8:].endswith(b"on a terminal\r\n")


def test_a_log_that_breaks_off_is_an_error_not_an_end(client: EngineClient, engine: FakeEngine) -> None:
    stream = client.logs("chatty")
    engine.write_log(frame(b"2026-11-23T22:51:35.333911212Z one\n"))
    assert len(next(stream).starts) == 1
    server = engine._server
    assert server is not None
    server.cut()
    with pytest.raises(WherryError) as caught:
        list(stream)
    assert caught.value.problem.code is ProblemCode.ENGINE_DOWN
    stream.release()


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_words_are_clean_lines(words: str) -> None:
    clean = clean_text(words)
    assert len(clean) <= 256
    assert not any(ord(letter) < 32 or 0x202A <= ord(letter) <= 0x202E for letter in clean)
    clean.encode()  # no lone surrogates


def test_an_entry_with_nothing_in_it() -> None:
    container = container_from_answer(
        entry({"Id": "ab" * 32, "Names": None, "Labels": None, "Ports": None, "State": "new-word"})
    )
    assert (container.name, container.state) == ("ab" * 6, ContainerState.UNKNOWN)
