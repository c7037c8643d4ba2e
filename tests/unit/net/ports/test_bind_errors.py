"""Who has a port, and the sentence that the user reads when it cannot be opened."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from backend.addresses import Forward, Holder, Protocol
from backend.errors import Problem, ProblemCode
from backend.host.ports import owner_in, parse_lsof, port_holder
from backend.net.ports.bind_errors import explain, try_bind

LOOPBACK = "127.0.0.1"


def forward(address: str = LOOPBACK, port: int = 8080, protocol: Protocol = Protocol.TCP) -> Forward:
    return Forward(protocol=protocol, host_ip=address, host_port=port, guest_ip=LOOPBACK, guest_port=port)


def failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as made:
        yield made


@pytest.mark.parametrize("code", [errno.EADDRINUSE, errno.EACCES])
def test_a_holder_is_named(code: int) -> None:
    """Windows says EACCES of a port that another program keeps for itself."""
    problem = explain(failure(code), forward(), Holder(pid=4711, name="nginx"), system="windows")
    assert problem.code is ProblemCode.PORT_TAKEN
    assert str(problem.summary) == "Port 8080 on 127.0.0.1 is used by nginx (process 4711)."
    assert str(problem.hint) == "Stop nginx, or publish another port."


def test_another_engine_is_named() -> None:
    holder = Holder(pid=5, name="docker-proxy of Docker Engine")
    problem = explain(failure(errno.EADDRINUSE), forward(protocol=Protocol.UDP), holder)
    assert str(problem.summary) == "Port 8080 on 127.0.0.1 (UDP) is used by docker-proxy of Docker Engine (process 5)."
    assert problem.hint is not None
    assert str(problem.hint).startswith("Stop the container")


def test_an_unknown_holder() -> None:
    problem = explain(failure(errno.EADDRINUSE), forward(), None)
    assert (problem.code, str(problem.summary)) == (
        ProblemCode.PORT_TAKEN,
        "Port 8080 on 127.0.0.1 is used by another program.",
    )


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("linux", "sudo sysctl net.ipv4.ip_unprivileged_port_start=80 "),
        ("windows", "netsh int ipv4 show excludedportrange protocol=tcp"),
        ("darwin", "0.0.0.0"),
    ],
)
def test_what_to_do_about_a_low_port(system: str, words: str) -> None:
    problem = explain(failure(errno.EACCES), forward(port=80), None, system=system)
    assert problem.code is ProblemCode.PORT_REFUSED
    assert words in (str(problem.hint) or "")


@pytest.mark.parametrize(
    ("code", "address", "words"),
    [
        (errno.EADDRNOTAVAIL, "192.0.2.1", "doesn't have the address 192.0.2.1"),
        (errno.EADDRNOTAVAIL, "::1", "IPv6 is off"),
        (errno.EAFNOSUPPORT, "::", "IPv6 is off"),
        (errno.EMFILE, LOOPBACK, "too many"),
        (errno.ENOBUFS, LOOPBACK, os.strerror(errno.ENOBUFS)),
    ],
)
def test_other_reasons(code: int, address: str, words: str) -> None:
    problem = explain(failure(code), forward(address), None)
    assert problem.code is ProblemCode.PORT_REFUSED
    assert words in str(problem.summary)


def test_a_port_is_tried() -> None:
    async def story() -> tuple[Problem | None, Problem | None, Problem | None]:
        with socket.create_server(("0.0.0.0", 0)) as other:
            port = other.getsockname()[1]
            in_use = await try_bind(forward(port=port))
            # Each protocol has ports of its own.
            other_protocol = await try_bind(forward(port=port, protocol=Protocol.UDP))
        return in_use, other_protocol, await try_bind(forward(port=port))

    in_use, other_protocol, freed = asyncio.run(story())
    assert in_use is not None
    assert in_use.code is ProblemCode.PORT_TAKEN
    assert f"(process {os.getpid()})" in str(in_use.summary)
    assert other_protocol is None
    assert freed is None


def test_an_address_that_is_not_here() -> None:
    problem = asyncio.run(try_bind(forward("192.0.2.1")))
    assert problem is not None
    assert problem.code is ProblemCode.PORT_REFUSED


def test_a_udp_port_is_never_shared() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, 0))
        problem = asyncio.run(try_bind(forward(port=other.getsockname()[1], protocol=Protocol.UDP)))
    assert problem is not None
    assert problem.code is ProblemCode.PORT_TAKEN
    assert str(os.getpid()) in str(problem.summary)


def test_the_holder_of_a_port(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    mine = Holder(pid=os.getpid(), name=psutil.Process().name())
    assert port_holder(Protocol.TCP, LOOPBACK, port) == mine
    assert port_holder(Protocol.TCP, "0.0.0.0", port) == mine
    assert port_holder(Protocol.TCP, "127.0.0.2", port) is None
    assert port_holder(Protocol.TCP, "::1", port) is None
    assert port_holder(Protocol.UDP, LOOPBACK, port) is None


def test_who_asks_for_many_ports_has_the_system_list_its_sockets_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, times = psutil.net_connections, []

    def counted(kind: str) -> object:
        times.append(kind)
        return read(kind)

    monkeypatch.setattr(psutil, "net_connections", counted)
    monkeypatch.setattr("backend.host.ports._FRESH_S", 60.0)
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(20)]
        for server in servers:
            holder = port_holder(Protocol.TCP, LOOPBACK, server.getsockname()[1])
            assert holder is not None
            assert holder.pid == os.getpid()
    assert times == ["tcp"]


def test_a_server_of_both_families_keeps_ipv4_away() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        holder = port_holder(Protocol.TCP, LOOPBACK, server.getsockname()[1])
    assert holder is not None
    assert holder.pid == os.getpid()


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 0100007F:8A3C 01 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0
   1: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000    12        0 222 1 0 100 0 0 10 0
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 333 1 0 100 0 0 10 0
 odd
"""


def test_the_user_of_a_port_whose_program_is_not_told(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    assert owner_in(TABLE, Protocol.TCP, LOOPBACK, 8080) == 33
    assert owner_in(TABLE, Protocol.TCP, "127.0.0.53", 53) == 12
    assert owner_in(TABLE, Protocol.TCP, LOOPBACK, 53) is None
    port = listener.getsockname()[1]
    connections = [connection._replace(pid=None) for connection in psutil.net_connections("tcp")]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: connections)
    holder = port_holder(Protocol.TCP, LOOPBACK, port)
    assert holder is not None
    assert holder.pid is None
    assert str(holder).startswith("a program of the user ")


LSOF = """\
p611
f9
n127.0.0.1:8080->127.0.0.1:50000
TST=ESTABLISHED
f10
n[::1]:8080
TST=LISTEN
p700
f3
n*:8080
TST=LISTEN
"""


def test_what_lsof_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [tuple(entry) for entry in parse_lsof(LSOF, 8080)] == [
        ("127.0.0.1", 611, False),
        ("::1", 611, True),
        ("0.0.0.0", 700, True),
    ]
    asked = []

    def denied(kind: str) -> None:
        raise psutil.AccessDenied

    def lsof(argv: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, LSOF.replace("p700", f"p{os.getpid()}"), "")

    monkeypatch.setattr(psutil, "net_connections", denied)
    monkeypatch.setattr(shutil, "which", lambda *_arguments, **_options: "/usr/sbin/lsof")
    monkeypatch.setattr(subprocess, "run", lsof)
    holder = port_holder(Protocol.TCP, LOOPBACK, 8080)
    assert holder is not None
    assert holder.pid == os.getpid()
    assert asked[0][1:3] == ["-nP", "-iTCP:8080"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="POSIX limits")
def test_the_agent_may_have_many_sockets() -> None:
    script = (
        "import resource\n"
        "from backend import host\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 3000))\n"
        "host.current().raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "host.current().raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "(3000, 3000)\n" * 2
