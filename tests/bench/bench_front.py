"""What the API front over SSH costs, beside OpenSSH's own forwarding: ``python tests/bench/bench_front.py``.

One run starts an sshd on loopback, an engine, our front in a process of its own, and ``ssh -L unix:unix``, and asks the
same of both in turn, so that whatever else the computer does falls on both. It asserts nothing; it prints a table.

The engine is a small responder (GET /_ping, GET /download, POST /upload), or for the pings a real dockerd:
``--engine /var/run/docker.sock``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend.engine.front.proxy import ApiFront  # noqa: E402
from backend.host.systems.unix_socket import UnixListener  # noqa: E402
from backend.ssh.keys import ensure_keys  # noqa: E402
from backend.ssh.session import SshSession  # noqa: E402

BULK_BYTES = 200 * 1024 * 1024
_PIECE = bytes(64 * 1024)
_PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: bench\r\n\r\n"


# --- the engine ----------------------------------------------------------------------------------------------------


def serve_engine(path: Path) -> None:
    """Answer /_ping, /download (chunked, as docker save) and /upload (chunked) for ever."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_one, args=(connection,), daemon=True).start()


def _serve_one(connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            if head.startswith(b"GET /download"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                piece = b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE)
                for _ in range(BULK_BYTES // len(_PIECE)):
                    connection.sendall(piece)
                connection.sendall(b"0\r\n\r\n")
                continue
            if head.startswith(b"POST /upload"):
                tail = data
                while not tail.endswith(b"\r\n0\r\n\r\n"):
                    tail = tail[-16:] + connection.recv(262144)
                data = b""
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nOK")


# --- our side ------------------------------------------------------------------------------------------------------


def serve_front(directory: Path, port: int, routes: list[str]) -> None:
    """Serve each ENGINE=FRONT pair of paths in `routes` until terminated."""

    async def main() -> None:
        keys = ensure_keys(directory / "keys")
        session = await SshSession.connect(
            "127.0.0.1",
            port,
            username=_user(),
            key_path=keys.client.private_path,
            host_key_public=keys.host.public_line,
            timeout_s=20,
        )
        fronts = []
        for route in routes:
            engine, _, path = route.partition("=")
            front = ApiFront(lambda engine=engine: session.open_unix(engine))  # type: ignore[misc]
            fronts.append((await UnixListener.bind(Path(path), front.handle), front))
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        for listener, front in fronts:
            await listener.aclose()
            await front.aclose()
        await session.aclose()

    asyncio.run(main())


# --- the client ----------------------------------------------------------------------------------------------------


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def _ping(connection: socket.socket) -> None:
    connection.sendall(_PING)
    answer = b""
    while not answer.endswith(b"OK"):
        more = connection.recv(65536)
        if not more:
            raise SystemExit(f"the connection was closed after {answer!r}")
        answer += more


def time_keep_alive(path: Path) -> list[float]:
    """Seconds per ping, one connection."""
    times = []
    with _connect(path) as connection:
        _ping(connection)
        for _ in range(200):
            begun = time.perf_counter()
            _ping(connection)
            times.append(time.perf_counter() - begun)
    return times


def time_new_connection(path: Path) -> list[float]:
    """Seconds per ping, a new connection for each."""
    times = []
    for _ in range(80):
        begun = time.perf_counter()
        with _connect(path) as connection:
            _ping(connection)
        times.append(time.perf_counter() - begun)
    return times


def rate_download(path: Path) -> list[float]:
    """Bytes per second of one large chunked response."""
    buffer = bytearray(256 * 1024)
    with _connect(path) as connection:
        begun = time.perf_counter()
        connection.sendall(b"GET /download HTTP/1.1\r\nHost: docker\r\n\r\n")
        seen = 0
        while seen < BULK_BYTES:
            count = connection.recv_into(buffer)
            if not count:
                raise SystemExit("the download was cut short")
            seen += count
        return [BULK_BYTES / (time.perf_counter() - begun)]


def rate_upload(path: Path) -> list[float]:
    """Bytes per second of one large chunked request."""
    piece = b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE)
    with _connect(path) as connection:
        begun = time.perf_counter()
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(BULK_BYTES // len(_PIECE)):
            connection.sendall(piece)
        connection.sendall(b"0\r\n\r\n")
        if not connection.recv(65536).endswith(b"OK"):
            raise SystemExit("the upload was not answered")
        return [BULK_BYTES / (time.perf_counter() - begun)]


# --- the run -------------------------------------------------------------------------------------------------------


def _user() -> str:
    import getpass

    return getpass.getuser()


@contextlib.contextmanager
def _process(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} was not there after 20 s")
        time.sleep(0.02)


def _answers(address: tuple[str, int]) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(address, 1):
        return True
    return False


def run(engine: Path | None, rounds: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        keys = ensure_keys(directory / "keys")
        (directory / "authorized_keys").write_text(keys.client.public_line + "\n")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = directory / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {keys.host.private_path}\nPidFile none\nStrictModes no\n"
            f"AuthorizedKeysFile {directory}/authorized_keys\nUsePAM no\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        stack.enter_context(_process("/usr/sbin/sshd", "-D", "-f", str(config)))
        _wait_for(lambda: _answers(("127.0.0.1", port)), "sshd")
        responder = directory / "engine.sock"
        stack.enter_context(_process(sys.executable, __file__, "--serve-engine", str(responder)))
        _wait_for(responder.exists, "the engine")
        engines = {"bulk": responder, "ping": engine or responder}
        paths = {
            "direct": engines,
            "ssh -L": {kind: directory / f"{kind}-openssh.sock" for kind in engines},
            "front": {kind: directory / f"{kind}-front.sock" for kind in engines},
        }
        forwards = [f"-L{paths['ssh -L'][kind]}:{path}" for kind, path in engines.items()]
        options = [f"-o{option}" for option in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")]
        cipher = "-oCiphers=aes128-gcm@openssh.com"  # the same as ours: the comparison is of the programs
        target = f"{_user()}@127.0.0.1"
        identity = str(keys.client.private_path)
        openssh = stack.enter_context(
            _process("ssh", "-N", f"-p{port}", "-i", identity, cipher, *options, *forwards, target)
        )
        routes = [f"{path}={paths['front'][kind]}" for kind, path in engines.items()]
        front = stack.enter_context(
            _process(sys.executable, __file__, "--serve-front", str(directory), str(port), *routes)
        )
        for way in paths.values():
            for path in way.values():
                _wait_for(path.exists, str(path))
        _measure(paths, {"ssh -L": openssh.pid, "front": front.pid}, rounds)
        status = Path(f"/proc/{front.pid}/status").read_text()
        print(f"front's memory: {int(status.split('VmRSS:')[1].split()[0]) / 1024:.0f} MiB")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(paths: dict[str, dict[str, Path]], pids: dict[str, int], rounds: int) -> None:
    measures: list[tuple[str, str, Callable[[Path], list[float]], float, str]] = [
        ("GET /_ping, keep-alive", "ping", time_keep_alive, 1e6, "us"),
        ("GET /_ping, new connection", "ping", time_new_connection, 1e6, "us"),
        ("download 200 MB", "bulk", rate_download, 1e-6, "MB/s"),
        ("upload 200 MB", "bulk", rate_upload, 1e-6, "MB/s"),
    ]
    results: dict[tuple[str, str], list[float]] = {}
    cpu: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for title, kind, measure, _, _ in measures:
            for way, by_kind in paths.items():
                before = _cpu_s(pids[way]) if way in pids else 0.0
                results.setdefault((title, way), []).extend(measure(by_kind[kind]))
                if way in pids:
                    cpu[title, way] = cpu.get((title, way), 0.0) + _cpu_s(pids[way]) - before
    print(
        f"{'median of ' + str(rounds) + ' rounds':30}"
        + "".join(f"{way:>14}" for way in paths)
        + "   front/ssh -L   its CPU time/ssh -L's"
    )
    for title, _, _, scale, unit in measures:
        medians = {way: statistics.median(results[title, way]) for way in paths}
        cells = "".join(f"{value * scale:9.0f} {unit:4}" for value in medians.values())
        ratio = medians["front"] / medians["ssh -L"]
        work = cpu[title, "front"] / max(cpu[title, "ssh -L"], 0.01)
        print(f"{title:30}{cells}   {ratio:12.2f}   {work:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve-engine"]:
        serve_engine(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--serve-front"]:
        serve_front(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--engine", type=Path, help="a real docker.sock for the pings")
        parser.add_argument("--rounds", type=int, default=5)
        arguments = parser.parse_args()
        run(arguments.engine, arguments.rounds)
