"""The SSH session, and the front on top of it, against OpenSSH's own server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backend.engine.front.proxy import ApiFront
from backend.errors import ProblemCode, WherryError
from backend.host.systems.unix_socket import UnixListener
from backend.ssh import session as ssh_session
from backend.ssh import transport as ssh_transport
from backend.ssh.session import SshSession

if TYPE_CHECKING:
    from tests.contract.conftest import Run, Sshd, StartSshd

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=["the loop reads", "a thread reads"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads the network: where the loop cannot watch a socket (Windows), paramiko's thread."""
    if request.param == "a thread reads":
        monkeypatch.setattr(ssh_transport, "can_watch", lambda _loop: False)
    return str(request.param)


@contextlib.asynccontextmanager
async def connected(sshd: Sshd) -> AsyncIterator[SshSession]:
    session = await SshSession.connect(
        "127.0.0.1",
        sshd.port,
        username=sshd.user,
        key_path=sshd.keys.client.private_path,
        host_key_public=sshd.keys.host.public_line,
        timeout_s=20,
    )
    try:
        yield session
    finally:
        await session.aclose()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]


@contextlib.asynccontextmanager
async def guest_socket(path: Path, handler: Handler) -> AsyncIterator[Path]:
    """A server in the guest; at the end its connections are dropped, whoever still holds their other side."""
    open_ones: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            open_ones.discard(writer)

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield path
    finally:
        server.close()
        for writer in open_ones:
            writer.transport.abort()
        await server.wait_closed()  # since Python 3.12 for the connections too


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write(b"<eof>")


async def collect(read: Callable[[], Awaitable[bytes]]) -> bytes:
    data = bytearray()
    while piece := await read():
        data += piece
    return bytes(data)


def test_commands(start_sshd: StartSshd, run: Run) -> None:
    async def main() -> None:
        async with connected(start_sshd()) as session:
            result = await session.run("cat; echo oops >&2; exit 3", timeout_s=20, stdin=b"hello")
            assert (result.exit_code, result.untrusted_stdout, result.untrusted_stderr) == (3, b"hello", b"oops\n")
            killed = await session.run("kill -9 $$", timeout_s=20)
            assert killed.exit_code == -1
            unread = await session.run("exit 0", timeout_s=20, stdin=bytes(10_000_000))
            assert unread.exit_code == 0
            cut = await session.run("head -c 3000000 /dev/zero", timeout_s=20, output_limit=1000)
            assert (len(cut.untrusted_stdout), cut.truncated, cut.exit_code) == (1000, True, 0)
            many = await asyncio.gather(*(session.run(f"echo {number}", timeout_s=30) for number in range(20)))
            assert [int(one.untrusted_stdout) for one in many] == list(range(20))
            with pytest.raises(WherryError, match=r"within 0\.2 s"):
                await session.run("sleep 30", timeout_s=0.2)

    run(main())


@pytest.mark.usefixtures("reading")
def test_streams_are_whole_in_both_directions(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    block = os.urandom(1_000_000)

    async def main() -> None:
        async with connected(start_sshd()) as session, guest_socket(tmp_path / "s", echo) as path:
            stream = await session.open_unix(str(path))

            async def send() -> None:
                for _ in range(20):
                    await stream.write(block)
                await stream.write_eof()
                await stream.write_eof()

            sending = asyncio.ensure_future(send())
            received = await collect(stream.read)
            await sending
            assert len(received) == 20_000_005
            assert hashlib.sha256(received).digest() == hashlib.sha256(block * 20 + b"<eof>").digest()
            assert await stream.read() == b""
            await stream.aclose()
            await stream.aclose()

    run(main())


@pytest.mark.parametrize("who", ["we ask", "the server asks"])
@pytest.mark.usefixtures("reading")
def test_large_transfers_survive_new_keys(
    start_sshd: StartSshd, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    if who == "we ask":
        monkeypatch.setattr(ssh_transport, "REKEY_BYTES", 2_000_000)
        sshd_options = []
    else:
        sshd_options = ["RekeyLimit 2M"]
    exchanges = 0
    block = os.urandom(500_000)

    async def main() -> None:
        nonlocal exchanges
        async with connected(start_sshd(*sshd_options)) as session, guest_socket(tmp_path / "s", echo) as path:
            original = session._transport._parse_newkeys

            def counting(message: object) -> None:
                nonlocal exchanges
                exchanges += 1
                original(message)  # type: ignore[arg-type]

            session._transport._handler_table[21] = counting
            streams = [await session.open_unix(str(path)) for _ in range(3)]

            async def pump(index: int) -> None:
                stream = streams[index]

                async def send() -> None:
                    for _ in range(20):
                        await stream.write(block)
                    await stream.write_eof()

                sending = asyncio.ensure_future(send())
                assert await collect(stream.read) == block * 20 + b"<eof>"
                await sending

            await asyncio.gather(*(pump(index) for index in range(3)))
            assert (await session.run("echo alive", timeout_s=20)).untrusted_stdout == b"alive\n"

    run(main())
    assert exchanges >= 3


def test_tcp_streams(start_sshd: StartSshd, run: Run) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await echo(reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with connected(start_sshd()) as session:
            stream = await session.open_tcp("127.0.0.1", port)
            await stream.write(b"hi")
            await stream.write_eof()
            assert await collect(stream.read) == b"hi<eof>"
            await stream.aclose()
        server.close()
        await server.wait_closed()

    run(main())


def test_a_reader_that_sleeps_costs_one_window_and_no_other_stream(
    start_sshd: StartSshd, run: Run, tmp_path: Path
) -> None:
    sent = 0

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < 50_000_000:
            writer.write(bytes(100_000))
            await writer.drain()
            sent += 100_000

    async def main() -> None:
        async with (
            connected(start_sshd()) as session,
            guest_socket(tmp_path / "flood", flood) as flooding,
            guest_socket(tmp_path / "echo", echo) as echoing,
        ):
            unread = await session.open_unix(str(flooding))
            assert len(await unread.read(1)) == 1
            other = await session.open_unix(str(echoing))
            for _ in range(200):
                await other.write(b"ping")
                assert await other.read() == b"ping"
            held = len(unread._channel.inbox)  # type: ignore[attr-defined]
            assert held <= ssh_transport.WINDOW_BYTES
            assert sent < ssh_transport.WINDOW_BYTES + 5_000_000
            await unread.aclose()
            await other.aclose()

    run(main())


@pytest.mark.usefixtures("reading")
def test_a_peer_that_does_not_read_stops_the_writer(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    go = asyncio.Event()
    received = 0

    async def stall(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await go.wait()
        while data := await reader.read(1 << 20):
            received += len(data)

    async def main() -> None:
        async with connected(start_sshd()) as session, guest_socket(tmp_path / "s", stall) as path:
            stream = await session.open_unix(str(path))
            writing = asyncio.ensure_future(stream.write(bytes(50_000_000)))
            done, _ = await asyncio.wait([writing], timeout=1)
            assert not done  # it waits; and the loop does not
            assert session._transport.wire.backlog_bytes < 2_000_000
            go.set()
            await writing
            await stream.write_eof()
            assert await stream.read() == b""
            assert received == 50_000_000
            await stream.aclose()

    run(main())


@pytest.mark.usefixtures("reading")
def test_close_wakes_the_one_who_waits(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with connected(start_sshd()) as session, guest_socket(tmp_path / "s", hold) as path:
            stream = await session.open_unix(str(path))
            reading = asyncio.ensure_future(stream.read())
            await asyncio.sleep(0)  # it waits now
            await stream.aclose()
            with pytest.raises(ConnectionError):
                await reading
            with pytest.raises(ConnectionError):
                await stream.write(b"x")
            again = await session.open_unix(str(path))
            await again.aclose()
            # The peer confirms each close when it gets to it, and then nothing of a channel is left.
            await session.run("true", timeout_s=20)
            async with asyncio.timeout(20):
                while session._transport._linked or session._transport.channels_seen:
                    await asyncio.sleep(0.01)

    run(main())


def test_open_fails_as_a_problem_and_the_session_stays(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with connected(start_sshd()) as session:
            for _ in range(3):
                with pytest.raises(WherryError) as caught:
                    await session.open_unix(str(tmp_path / "absent"))
                assert caught.value.problem.code is ProblemCode.SSH_FAILED
                assert caught.value.problem.retryable
            assert (await session.run("echo ok", timeout_s=20)).exit_code == 0

    run(main())


@pytest.mark.usefixtures("reading")
def test_death_of_the_server_wakes_everything_and_is_told_once(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        sshd = start_sshd()
        lost = asyncio.Event()
        calls = 0

        def on_lost() -> None:
            nonlocal calls
            calls += 1
            lost.set()

        async with connected(sshd) as session, guest_socket(tmp_path / "s", hold) as path:
            session.on_lost(on_lost)
            stream = await session.open_unix(str(path))
            reading = asyncio.ensure_future(stream.read())
            running = asyncio.ensure_future(session.run("sleep 60", timeout_s=60))
            await session.run("true", timeout_s=20)
            sshd.signal_sessions(signal.SIGKILL)
            with pytest.raises(ConnectionError):
                await reading
            with pytest.raises(WherryError, match="Lost the connection"):
                await running
            await lost.wait()
            assert not session.is_alive
            with pytest.raises(ConnectionError):
                await stream.write(b"x")
            with pytest.raises(WherryError, match="Lost the connection"):
                await session.open_unix(str(path))
            late = asyncio.Event()
            session.on_lost(late.set)
            await late.wait()
            await stream.aclose()
        assert calls == 1

    run(main())


@pytest.mark.expect_log("session: the SSH connection answered nothing")
def test_a_server_that_falls_silent_is_given_up(
    start_sshd: StartSshd, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_session, "KEEPALIVE_S", 0.2)

    async def main() -> None:
        sshd = start_sshd()
        lost = asyncio.Event()
        async with connected(sshd) as session:
            session.on_lost(lost.set)
            # Alive and idle is not silent: as many ticks as would give it up pass with its answers.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2 * (ssh_session.KEEPALIVE_MISSES + 4)):
                    await lost.wait()
            sshd.signal_sessions(signal.SIGSTOP)
            await lost.wait()
            sshd.signal_sessions(signal.SIGCONT)

    run(main())


def test_another_host_key_is_somebody_else(start_sshd: StartSshd, run: Run) -> None:
    async def main() -> None:
        sshd, other = start_sshd(), start_sshd()
        with pytest.raises(WherryError, match="Something else answered") as caught:
            await SshSession.connect(
                "127.0.0.1",
                sshd.port,
                username=sshd.user,
                key_path=sshd.keys.client.private_path,
                host_key_public=other.keys.host.public_line,
                timeout_s=20,
            )
        assert not caught.value.problem.retryable
        with pytest.raises(WherryError, match="accept Wherry"):
            await SshSession.connect(
                "127.0.0.1",
                sshd.port,
                username=sshd.user,
                key_path=other.keys.client.private_path,
                host_key_public=sshd.keys.host.public_line,
                timeout_s=20,
            )

    run(main())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]


@pytest.mark.parametrize("peer", ["silent", "closes", "refuses", "not SSH"])
def test_a_server_that_is_not_ready_is_a_retryable_problem(start_sshd: StartSshd, run: Run, peer: str) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if peer == "silent":
                await reader.read()
            if peer == "not SSH":
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 200)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if peer == "refuses":
            server.close()
            await server.wait_closed()
        keys = start_sshd().keys
        with pytest.raises(WherryError) as caught:
            await SshSession.connect(
                "127.0.0.1",
                port,
                username="root",
                key_path=keys.client.private_path,
                host_key_public=keys.host.public_line,
                timeout_s=0.5 if peer == "silent" else 10,
            )
        assert caught.value.problem.code is ProblemCode.SSH_FAILED
        assert caught.value.problem.retryable
        server.close()
        await server.wait_closed()

    run(main())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]


def test_connect_can_be_cancelled(start_sshd: StartSshd, run: Run) -> None:
    keys = start_sshd().keys

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            attempt = asyncio.ensure_future(
                SshSession.connect(
                    "127.0.0.1",
                    listener.getsockname()[1],
                    username="root",
                    key_path=keys.client.private_path,
                    host_key_public=keys.host.public_line,
                    timeout_s=60,
                )
            )
            accepted, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            accepted.close()

    run(main())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ssh")]


def test_the_front_over_ssh(start_sshd: StartSshd, run: Run, tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"/logs" not in await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert await reader.read() == b""
        closed.set()

    async def main() -> None:
        async with connected(start_sshd()) as session, guest_socket(tmp_path / "engine", engine) as path:
            front = ApiFront(lambda: session.open_unix(str(path)))
            listener = await UnixListener.bind(tmp_path / "front", front.handle)
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "front"))
            for _ in range(10):
                writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
                assert (await reader.readuntil(b"OK")).startswith(b"HTTP/1.1 200")
                await reader.readuntil(b"OK")
            writer.write(b"GET /containers/x/logs HTTP/1.1\r\nHost: d\r\n\r\n")
            await reader.readuntil(b"first\r\n")
            writer.close()
            await writer.wait_closed()
            await closed.wait()
            await listener.aclose()
            await front.aclose()

    run(main())
