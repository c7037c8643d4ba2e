"""The engine's client on a real dockerd's recorded answers, over a real socket."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.engine.answers import container_from_answer, framed_chunks
from backend.engine.client import EngineClient
from backend.engine.types import ContainerAction, ContainerState, Health, LogChunk, LogStream, clean_text
from backend.errors import ProblemCode, WherryError
from tests.gui.fake_engine import FakeEngine, frame, recorded_log
from tests.gui.samples import HOSTILE, recorded

# docker-py leaves the socket of a failed connection to the garbage collector.
LEAKS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
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
    found = {entry.name: entry for entry in client.list_containers()}
    assert found["web"].state is ContainerState.RUNNING
    assert (found["web"].compose_project, found["web"].compose_service) == ("shop", "web")
    assert {(port.host_port, port.container_port) for port in found["web"].ports} == {(8080, 80), (8443, 443)}
    assert found["db"].health is Health.HEALTHY
    assert found["sick"].health is Health.UNHEALTHY
    assert found["paused"].state is ContainerState.PAUSED
    assert found["not-started"].state is ContainerState.CREATED
    failed = next(entry for name, entry in found.items() if name.startswith("failed-job"))
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
    assert "8080" in caught.value.problem.summary
    assert caught.value.problem.hint is not None


@LEAKS
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


def test_logs_as_the_engine_framed_them(client: EngineClient, engine: FakeEngine) -> None:
    engine.follows = False
    engine.logs["chatty"] = recorded_log("chatty")
    stream = client.logs("chatty", follow=False)
    chunks = list(stream)
    stream.release()
    assert {chunk.stream for chunk in chunks} == {LogStream.STDOUT, LogStream.STDERR}
    assert b"\x1b[31mred" in b"".join(chunk.untrusted_data for chunk in chunks)


def test_logs_of_a_terminal_have_no_frames(client: EngineClient, engine: FakeEngine) -> None:
    engine.follows = False
    engine.logs["terminal"] = recorded_log("terminal")
    stream = client.logs("terminal", follow=False)
    assert b"on a terminal" in b"".join(chunk.untrusted_data for chunk in stream)
    stream.release()


@pytest.mark.parametrize("size", [1, 3, 8, 11, 1000])
def test_frames_may_be_cut_anywhere(size: int) -> None:
    raw = frame(b"hello\n") + frame(b"oops\n", 2) + frame(b"")[:8] + frame(b"end")
    chunks = list(framed_chunks(raw[at : at + size] for at in range(0, len(raw), size)))
    out = b"".join(chunk.untrusted_data for chunk in chunks if chunk.stream is LogStream.STDOUT)
    err = b"".join(chunk.untrusted_data for chunk in chunks if chunk.stream is LogStream.STDERR)
    assert (out, err) == (b"hello\nend", b"oops\n")


def test_a_frame_that_claims_to_be_huge_passes_in_parts() -> None:
    raw = bytes((1, 0, 0, 0)) + (0xFFFFFFFF).to_bytes(4, "big") + b"x" * 10
    assert list(framed_chunks(iter([raw]))) == [LogChunk(LogStream.STDOUT, b"x" * 10)]


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_words_are_clean_lines(words: str) -> None:
    clean = clean_text(words)
    assert len(clean) <= 256
    assert not any(ord(letter) < 32 or 0x202A <= ord(letter) <= 0x202E for letter in clean)
    clean.encode()  # no lone surrogates


def test_an_entry_with_nothing_in_it() -> None:
    found = container_from_answer({"Id": "ab" * 32, "Names": None, "Labels": None, "Ports": None, "State": "new-word"})
    assert (found.name, found.state) == ("ab" * 6, ContainerState.UNKNOWN)
