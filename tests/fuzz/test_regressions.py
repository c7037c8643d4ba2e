"""What fuzzing has found, each once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.control.protocol import PROTOCOL
from backend.engine.engine_json import read_answer
from backend.errors import ProblemCode, WherryError
from backend.json_reader import NotUnderstood
from backend.settings import config
from tests.fuzz import engine, lines
from tests.fuzz.front import Play, run_play
from tests.fuzz.streams import VirtualLoop


def test_a_front_that_is_ended_twice_closes_the_engines_connection_during_an_upload() -> None:
    loop = VirtualLoop()
    head = b"POST /build HTTP/1.1\r\nHost: d\r\nContent-Length: 70000\r\n\r\nbegin"
    try:
        run_play(
            loop,
            Play(
                client=[head],
                client_ending="silence",
                client_pause_s=0.0,
                client_fails_after=None,
                engines=[([], "silence", 0.0, None)],
                hook=False,
            ),
        )
    finally:
        loop.close()


def test_requests_that_come_after_writing_broke_are_dropped_with_their_client() -> None:
    loop = VirtualLoop()
    hello = b'{"type":"hello","protocol":%d,"version":"0","pid":1}\n' % PROTOCOL
    slow = b'{"type":"request","id":1,"name":"slow"}\n'
    try:
        lines.run_client(loop, ([hello, b"\n", slow], "eof", 0))
        for ending in ("eof", "reset", "silence"):
            lines.run_client(loop, ([hello, slow[:9], slow[9:20], slow[20:30], slow[30:]], ending, 0))
    finally:
        loop.close()


@pytest.mark.parametrize("answer", [5, ["x"], [{"Names": [{}]}], [{"Names": ["a"], "Id": "a", "Mounts": True}], None])
def test_a_list_of_containers_of_another_shape_is_a_problem(answer: Any) -> None:
    with pytest.raises(WherryError) as raised:
        engine._client(lambda _path: answer).list_containers()
    assert raised.value.problem.code is ProblemCode.ENGINE_ERROR


@pytest.mark.parametrize(
    "line", [b"[" * 5000, b"5", b'{"timeNano": 1' + b"0" * 400 + b"}", b'{"time": []}', b'{"time": {}}']
)
def test_an_event_of_another_shape_is_a_problem(line: bytes) -> None:
    loop = VirtualLoop()
    try:
        engine.run_events(loop, [line + b"\n"])
    finally:
        loop.close()


def test_json_that_is_nested_too_deeply_is_not_understood() -> None:
    with pytest.raises(NotUnderstood):
        read_answer(b"[" * 100_000, "docker ps")


def test_settings_that_are_nested_too_deeply_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(WherryError, match="nested too deeply"):
        config.load(path)
