"""Private sockets: never the wrong owner, never the wrong mode; half-closed is told from gone."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ProblemCode, WherryError
from backend.host.base import StreamHandler
from backend.host.systems import unix_socket
from backend.host.systems.unix_socket import UnixListener, UnixStream
from backend.stream import ByteStream


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await coroutine

    asyncio.run(main())


async def ignore(_stream: ByteStream) -> None:
    return


def keep_in(queue: asyncio.Queue[UnixStream]) -> StreamHandler:
    """A handler that hands its connections over and keeps them until the listener ends."""

    async def keep(stream: ByteStream) -> None:
        assert isinstance(stream, UnixStream)
        queue.put_nowait(stream)
        await asyncio.Event().wait()

    return keep


def refused(path: Path) -> ProblemCode:
    with pytest.raises(WherryError) as caught:
        run(bind_and_close(path))
    assert caught.value.problem.hint
    return caught.value.problem.code


async def bind_and_close(path: Path) -> None:
    await (await UnixListener.bind(path, ignore)).aclose()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_mode_is_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    async def main() -> None:
        path = tmp_path / "docker.sock"
        listener = await UnixListener.bind(path, ignore)
        assert path.stat().st_mode & 0o7777 == 0o600
        await listener.aclose()
        assert list(tmp_path.iterdir()) == []

    before = os.umask(umask)
    try:
        run(main())
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    run(bind_and_close(path))
    assert not path.exists()


def test_a_live_listener_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        assert refused(path) is ProblemCode.ENDPOINT_TAKEN
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_live_listener_with_a_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as live, socket.socket(socket.AF_UNIX) as client:
        live.bind(str(path))
        live.listen(0)
        client.connect(str(path))
        assert refused(path) is ProblemCode.ENDPOINT_TAKEN


@pytest.mark.parametrize("kind", ["file", "directory", "symlink"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "docker.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    assert refused(path) is ProblemCode.ENDPOINT_TAKEN
    assert path.is_symlink() or path.exists()


def test_a_path_that_cannot_be_a_socket_is_a_problem(tmp_path: Path) -> None:
    assert refused(tmp_path / ("x" * 120)) is ProblemCode.PATH_UNUSABLE
    assert refused(tmp_path / "absent" / "docker.sock") is ProblemCode.PATH_UNUSABLE
    assert list(tmp_path.iterdir()) == []


def test_close_removes_only_its_own_socket(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "docker.sock"
        listener = await UnixListener.bind(path, ignore)
        path.unlink()
        path.write_text("somebody else's")
        await listener.aclose()
        assert path.read_text() == "somebody else's"

    run(main())


def test_presence_tells_a_half_close_from_an_end(tmp_path: Path) -> None:
    async def main() -> None:
        accepted: asyncio.Queue[UnixStream] = asyncio.Queue()
        path = tmp_path / "docker.sock"
        listener = await UnixListener.bind(path, keep_in(accepted))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            stream = await accepted.get()
            client.shutdown(socket.SHUT_WR)
            assert await stream.read() == b""
            assert not stream.peer_is_gone()
            await stream.write(b"still there")
            assert client.recv(100) == b"still there"
        assert stream.peer_is_gone() or not hasattr(os, "pidfd_open")  # known on Linux
        with pytest.raises(ConnectionError):
            while True:
                await stream.write(b"nobody reads this")
        await stream.aclose()
        await stream.aclose()
        await listener.aclose()

    run(main())


def test_close_wakes_a_waiting_reader_and_a_waiting_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_socket, "_FLUSH_S", 0.1)

    async def main() -> None:
        accepted: asyncio.Queue[UnixStream] = asyncio.Queue()
        path = tmp_path / "docker.sock"
        listener = await UnixListener.bind(path, keep_in(accepted))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            stream = await accepted.get()
            reading = asyncio.ensure_future(stream.read())
            writing = asyncio.ensure_future(stream.write(bytes(50_000_000)))
            await asyncio.sleep(0)  # both have begun
            await stream.aclose()  # waits for a reader that does not come
            with pytest.raises(ConnectionError):
                await reading
            with pytest.raises(ConnectionError):
                await writing
        await listener.aclose()

    run(main())
