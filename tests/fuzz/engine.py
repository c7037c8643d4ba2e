"""Fuzz targets for the engine's answers and the user's files: invalid data is reported as a Problem."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from backend.doctor.engine_answer import read_answer
from backend.engine.client import listings
from backend.engine.client.answers import events
from backend.engine.client.engine_client import EngineClient
from backend.engine.client.log_records import LOG_LINE_BYTES, LogRecords, log_blocks
from backend.engine.client.pulling import pull_progress
from backend.engine.client.stream import EngineStream
from backend.engine.container.archive import safe_part
from backend.engine.container.creating import network_names, spec_of
from backend.engine.engine_json import engine_source
from backend.engine.spec.command import run_command
from backend.engine.spec.request import create_body
from backend.errors import WherryError
from backend.http_exchange import HttpExchange, IncompleteResponse, InvalidResponse, fetch_blocking
from backend.json_reader import Json
from backend.settings import config, daemon_json
from tests.fuzz.material import ODD_TEXTS, changed, json_bytes, noise, pieces, spoil, token, words
from tests.fuzz.streams import VirtualLoop

_RECORDED = Path(__file__).parents[1] / "gui" / "recorded"


@cache
def recorded(name: str) -> Any:
    """A recorded answer of a real engine."""
    return json.loads((_RECORDED / f"{name}.json").read_text())


@cache
def _samples() -> dict[str, Any]:
    whole = recorded("listings")
    return {
        "containers": recorded("containers")[:3],
        "images": whole["images"][:3],
        "volumes": whole["volumes"],
        "networks": whole["networks"][:3],
        "df": whole["df"],
        "inspect": recorded("inspect")["chatty"],
    }


def _client(answers: Callable[[str], Any]) -> EngineClient:
    """A client with a scripted engine."""
    client = EngineClient.__new__(EngineClient)
    client.call = lambda command, _method, path, **_options: Json(answers(path), engine_source(command))  # type: ignore[method-assign]  # no engine
    return client


def make_answers(source: random.Random) -> dict[str, Any]:
    """An answer of each kind, one of them changed."""
    samples = _samples()
    chosen = source.choice(sorted(samples))
    # The others are valid, so that the changed one is reached.
    return {name: changed(source, sample, 14) if name == chosen else sample for name, sample in samples.items()} | {
        "chosen": chosen
    }


def run_answers(_loop: VirtualLoop, answers: dict[str, Any]) -> None:
    """The client returns values or raises a problem."""

    def answer(path: str) -> Any:
        if path.startswith("/containers/json"):
            return answers["containers"]
        if path.startswith("/images/json"):
            return answers["images"]
        if path.startswith("/volumes"):
            return answers["volumes"]
        if path.startswith("/networks"):
            return answers["networks"]
        if path.startswith("/system/df"):
            return answers["df"]
        return answers["inspect"]

    client = _client(answer)
    calls: dict[str, tuple[Callable[[], Any], ...]] = {
        "containers": (client.list_containers, lambda: listings.list_images(client)),
        "images": (lambda: listings.list_images(client),),
        "volumes": (lambda: listings.list_volumes(client),),
        "networks": (lambda: listings.list_networks(client), lambda: network_names(client)),
        "df": (lambda: listings.volume_sizes(client),),
        "inspect": (lambda: client.inspect("abc"), lambda: _through_spec(client)),
    }
    for call in calls[answers["chosen"]]:
        with contextlib.suppress(WherryError):
            call()


def _through_spec(client: EngineClient) -> None:
    spec = spec_of(client, "abc")
    run_command(spec)
    json.dumps(create_body(spec))


def make_events(source: random.Random) -> list[bytes]:
    """An endless answer: events, or the progress of a pull."""
    samples = (
        recorded("event"),
        {"status": "Downloading", "progressDetail": {"current": 1, "total": 2}, "id": "a"},
        {"error": "no", "errorDetail": {"message": "no"}},
    )
    lines = [json_bytes(source, source.choice(samples)) for _ in range(source.randrange(1, 4))]
    return pieces(source, b"\n".join(lines) + b"\n")


def run_events(_loop: VirtualLoop, blocks: list[bytes]) -> None:
    """Reading gives items or a problem."""
    for items in (events, lambda found: pull_progress(found, command="docker pull x")):
        stream: EngineStream[Any] = EngineStream(cast(Any, None), items, "docker events", iter(blocks))
        try:
            for item in stream:
                str(item)
        except WherryError:
            pass


_LOG = (
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"\r\n", b"\n", b"2026-01-01T00:00:00.123456789Z ", b"text", b"x" * 17_000),
    *(b"\1\0\0\0\0\0\0\5hello", b"\2\0\0\0\0\0\0\6hello\n"),
    *(b"\1\0\0\0\xff\xff\xff\xff", b"ffffffffff\r\n", b"-5\r\n"),
    *(b"d\r\n\1\0\0\0\0\0\0\5abcd\n\r\n", b"\3\0\0\0\0\0\0\1\n", b"+5\r\n", b"0x5\r\n", b"1_0\r\n"),
)


def make_log(source: random.Random) -> tuple[bool, bool, list[bytes]]:
    """The answer to a request for logs: whether it is chunked, whether it is framed, and its pieces."""
    data = words(source, _LOG, 12)
    return source.randrange(2) == 0, source.randrange(2) == 0, pieces(source, data + noise(source, 20))


def run_log(_loop: VirtualLoop, log: tuple[bool, bool, list[bytes]]) -> None:
    """Records have limited length and are at the given offsets, or reading fails."""
    chunked, framed, blocks = log
    records = LogRecords(chunked=chunked, framed=framed)
    try:
        for block in log_blocks(iter(blocks), records):
            for start in block.starts:
                length = int.from_bytes(block.untrusted_data[start + 4 : start + 8], "big")
                assert length <= LOG_LINE_BYTES + 1
                assert block.untrusted_data[start + 7 + length : start + 8 + length] == b"\n"
    except (ValueError, OSError):
        pass  # EngineStream turns these into problems
    assert len(records._rest) <= 140_000
    assert len(records._frame) <= 140_000


_TOML = (
    *(
        b"[machine]\n",
        b"[image]\n",
        b"[checkpoints]\n",
        b"cpus = 2\n",
        b"memory_mib = 9999999999999999999\n",
        b"[[machine]]\n",
    ),
    *(
        b"version = 1\n",
        b"version = 2\n",
        b"version = true\n",
        b"accelerator = 'kvm'\n",
        b"disk_gib = -1\n",
        b"x = nan\n",
    ),
    *(
        b"directory = '''\n",
        b"cpus = 1e400\n",
        b"a.b.c = 1\n",
        b"# \xff\n",
        b"d = 9999-99-99\n",
        b"context = 'yes'\n",
        b"= 1\n",
    ),
)


def make_files(source: random.Random) -> tuple[bytes, bytes]:
    """Contents of a config.toml and a daemon.json."""
    deep = b"a = " + b"[" * source.choice((5, 3000)) + b"\n" if source.randrange(20) == 0 else b""
    options = {"dns": ["1.1.1.1"], "mtu": 1400, "debug": True, "log-opts": {"max-size": "1m"}, "hosts": [], "mtuu": 1}
    return words(source, _TOML, 8) + deep, json_bytes(source, options)


_FILES = tempfile.TemporaryDirectory(prefix="wherry-fuzz-")


def run_files(_loop: VirtualLoop, files: tuple[bytes, bytes]) -> None:
    """Loading gives settings or a problem; checking raises nothing."""
    toml, daemon = Path(_FILES.name) / "config.toml", Path(_FILES.name) / "daemon.json"
    toml.write_bytes(files[0])
    daemon.write_bytes(files[1])
    for read in (lambda: config.load(toml), lambda: config.daemon_options(daemon)):
        with contextlib.suppress(WherryError):
            read()
    daemon_json.check(files[1].decode("utf-8", "replace"))


def make_version(source: random.Random) -> list[bytes]:
    """An answer at the endpoint to a request of the doctor, in pieces."""
    head = words(
        source,
        (
            *(b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 X\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
            *(b"Date: Thu, 01 Jan 1970 00:01:40 GMT\r\n", b"Date: x\r\n", b":\r\n"),
            *(b"Content-Length: 40\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
        ),
        5,
    )
    body = json_bytes(source, {"Version": "28.5", "message": "no"})
    if source.randrange(3) == 0:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return pieces(source, spoil(source, head + b"\r\n" + body))


class _Recorded:
    """A connection with recorded data of the peer."""

    def __init__(self, untrusted_pieces: list[bytes]) -> None:
        self._left = list(reversed(untrusted_pieces))

    def sendall(self, data: bytes, /) -> None:
        assert data.endswith(b"\r\n\r\n")

    def settimeout(self, seconds: float | None, /) -> None:
        assert seconds

    def recv(self, _max_bytes: int, /) -> bytes:
        return self._left.pop() if self._left else b""


def run_version(_loop: VirtualLoop, untrusted_pieces: list[bytes]) -> None:
    """Reading gives a response or an error; interpreting it gives an answer or a problem."""
    exchange = HttpExchange("GET", "/version", {"Host": "docker"})
    try:
        response = fetch_blocking(_Recorded(untrusted_pieces), exchange, timeout_s=60, max_bytes=1_000)
    except (InvalidResponse, IncompleteResponse):
        return
    assert len(response.untrusted_body) <= 1_000
    with contextlib.suppress(WherryError):
        assert read_answer(response, Path("/s"), seconds=0.1, now=100.0).version.isprintable()


def make_name(source: random.Random) -> str:
    """A file name in an archive from the engine."""
    return source.choice(ODD_TEXTS) + token(source, (b"/", b"\\", b"..", b"a", b"CON", b"\0")).decode("latin-1")


def run_name(_loop: VirtualLoop, name: str) -> None:
    """The result is one path component without special meaning."""
    part = safe_part(name)
    assert part not in (".", "..")
    assert "/" not in part
    assert "\0" not in part
