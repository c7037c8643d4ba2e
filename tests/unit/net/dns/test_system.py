"""The system's own resolver, the threads that wait for it, and what is read of the host's set-up."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import dns.resolver
import pytest

from backend.errors import WherryError
from backend.net.dns import system, upstream
from backend.net.dns.system import Verdict
from backend.net.dns.threads import BusyError, LookupThreads
from backend.settings import dns_servers as servers
from backend.settings.dns_servers import Server
from tests.fakes.loop import on_loop

ROOT = Path(__file__).parents[4]

INSIDE = """
import ctypes, fcntl, os, socket, struct, sys, tempfile
from pathlib import Path
from backend.net.dns.system import look_up
from backend.net.dns.upstream import system_config
from tests.fakes.dns import ZoneServer

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # "ip link set lo up", without ip
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private: nobody else sees what is mounted here

def use(text):
    new = tempfile.NamedTemporaryFile("w", delete=False)
    new.write(text)
    new.close()
    os.chmod(new.name, 0o644)
    assert libc.mount(new.name.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, 4096, None) == 0

first = [("db.corp.test", 300, "A", "192.0.2.1"), ("six.test", 300, "AAAA", "2001:db8::6"), ("m.test", 9, "MX", "1 m.")]
second = [("db.home.test", 300, "A", "192.0.2.2")]
with ZoneServer(first, address="127.0.0.1", port=53), ZoneServer(second, address="127.0.0.2", port=53):
    use("search corp.test\\nnameserver 127.0.0.1\\n")
    for name in ("db", "db.corp.test", "nix", "nix.corp.test", "six.test", "m.test"):
        found = look_up(name.encode(), ipv6=False, tells_apart=True)
        print(name, found.verdict.name, *found.ipv4)
    print("six.test", *look_up(b"six.test", ipv6=True, tells_apart=True).ipv6)
    print(*system_config().servers, *system_config().search)
    use("search home.test\\nnameserver 127.0.0.2\\n")
    print("moved", *look_up(b"db", ipv6=False, tells_apart=True).ipv4)
    print(*system_config().servers, *system_config().search)
"""
"""Run in namespaces of its own, where port 53 is free and resolv.conf can be changed."""

EXPECTED = """\
db EXISTS 192.0.2.1
db.corp.test EXISTS 192.0.2.1
nix NO_NAME
nix.corp.test NO_NAME
six.test EXISTS
m.test EXISTS
six.test 2001:db8::6
Server(address='127.0.0.1', port=53) corp.test.
moved 192.0.2.2
Server(address='127.0.0.2', port=53) home.test.
"""


def can_unshare() -> bool:
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, "-rmn", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="namespaces cannot be made here")
def test_the_system_is_asked_as_by_ping_tells_names_apart_and_follows_a_change_of_network() -> None:
    done = subprocess.run(
        ["unshare", "-rmn", sys.executable, "-c", INSIDE],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (EXPECTED, "")


@pytest.mark.parametrize(
    ("error", "apart", "verdict"),
    [
        (socket.EAI_NONAME, True, Verdict.NO_NAME),
        (socket.EAI_NONAME, False, Verdict.NO_NAME_OR_ADDRESS),
        (getattr(socket, "EAI_NODATA", 11004), True, Verdict.EXISTS),
        (11004, True, Verdict.EXISTS),  # Windows' WSANO_DATA
        (socket.EAI_AGAIN, True, Verdict.FAILED),
        (socket.EAI_FAIL, True, Verdict.FAILED),
    ],
)
def test_each_error_of_the_system_has_its_meaning(
    monkeypatch: pytest.MonkeyPatch, error: int, apart: bool, verdict: Verdict
) -> None:
    def failing(*_: object) -> None:
        raise socket.gaierror(error, "x")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    assert system.look_up(b"db", ipv6=True, tells_apart=apart).verdict is verdict


@pytest.mark.parametrize(
    "name", [b"", b".", b"a..b", b"a b", b"*.test", b"a" * 64, b"\xff", b"x/y", b"a." * 127 + b"b"]
)
def test_the_system_is_asked_for_host_names_only(name: bytes) -> None:
    assert not system.is_host_name(name)


def test_scoped_addresses_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry(family: int, address: str) -> tuple[object, ...]:
        return (family, socket.SOCK_STREAM, 6, "", (address, 0))

    answer = [entry(socket.AF_INET6, "fe80::1%eth0"), entry(socket.AF_INET, "192.0.2.1"), entry(10, "2001:db8::1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [*answer, *answer])
    result = system.look_up(b"db", ipv6=True, tells_apart=True)
    assert (result.ipv4, result.ipv6) == (("192.0.2.1",), ("2001:db8::1",))


def test_a_host_without_a_set_up_has_no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver, "Resolver", none)
    assert upstream.system_config() == upstream.SystemConfig()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (" , ", ()),
        ("192.0.2.1", (Server("192.0.2.1", 53),)),
        ("192.0.2.1#5353, 2001:db8::1", (Server("192.0.2.1", 5353), Server("2001:db8::1", 53))),
        ("fe80::1%eth0", (Server("fe80::1%eth0", 53),)),
    ],
)
def test_servers_as_the_user_writes_them(text: str, found: tuple[Server, ...]) -> None:
    assert servers.parse(text) == found


@pytest.mark.parametrize(
    "text", ["dns.test", "1.2.3", "192.0.2.1:53", "192.0.2.1#", "192.0.2.1#0", "192.0.2.1#65536", "192.0.2.1#x",
             "0.0.0.0", "224.0.0.1", "192.0.2.1#" + "9" * 5000, ",".join(["192.0.2.1"] * 9)],
)  # fmt: skip
def test_what_is_no_server_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(WherryError) as caught:
        servers.parse(text)
    assert "network.dns" in str(caught.value.problem.summary)
    assert caught.value.problem.hint


@on_loop
async def test_threads_are_made_when_needed_and_no_more_than_that() -> None:
    pool = LookupThreads(most=3, most_waiting=5)
    names: set[str] = set()
    go = threading.Event()

    def work() -> int:
        names.add(threading.current_thread().name)
        go.wait(10)
        return 1

    assert await asyncio.gather(*(pool.run(lambda: 2) for _ in range(3))) == [2, 2, 2]
    held = [asyncio.create_task(pool.run(work)) for _ in range(3)]
    while len(names) < 3:
        await asyncio.sleep(0.001)
    held += [asyncio.create_task(pool.run(work)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await pool.run(work)
    held[-1].cancel()
    go.set()
    assert await asyncio.gather(*held[:-1]) == [1] * 7
    assert len(names) == 3
    assert await pool.run(lambda: 3) == 3
    assert pool.close(within_s=10)
    with pytest.raises(BusyError):
        await pool.run(work)


@on_loop
async def test_no_lookup_waits_behind_one_that_hangs_while_a_thread_may_be_made() -> None:
    go = threading.Event()
    for _ in range(200):
        pool, begun = LookupThreads(most=3), threading.Semaphore(0)

        def hang(begun: threading.Semaphore = begun) -> bool:
            begun.release()
            return go.wait(60)

        await pool.run(lambda: None)  # leaves an idle thread, which takes the next job at a moment of its own
        hanging = [asyncio.create_task(pool.run(hang)) for _ in range(3)]
        for _ in hanging:
            assert await asyncio.to_thread(begun.acquire, timeout=10), "a lookup waits though a thread may be made"
        go.set()
        await asyncio.gather(*hanging)
        go.clear()
        assert pool.close(within_s=10)


@on_loop
async def test_one_lookup_after_the_other_needs_one_thread() -> None:
    pool = LookupThreads()
    names = {await pool.run(lambda: threading.current_thread().name) for _ in range(500)}
    assert len(names) == 1
    assert pool.close(within_s=10)


@on_loop
async def test_an_error_in_a_thread_is_raised_where_its_result_is_awaited() -> None:
    pool = LookupThreads()
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 / 0)
    assert pool.close(within_s=10)


@on_loop
async def test_a_lookup_that_hangs_does_not_hold_up_the_end() -> None:
    pool, entered, go = LookupThreads(), threading.Event(), threading.Event()

    def hang() -> bool:
        entered.set()
        return go.wait(30)

    hanging = asyncio.create_task(pool.run(hang))
    await asyncio.to_thread(entered.wait, 30)
    begun = time.monotonic()
    assert not pool.close(within_s=0.05)
    assert time.monotonic() - begun < 5
    hanging.cancel()
    go.set()
