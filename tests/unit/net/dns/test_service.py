"""The agent's resolver as a whole, on real sockets: its port, what it follows, and what the guest is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest
from dns.rcode import Rcode

from backend import host
from backend.net.dns import service
from backend.net.dns.service import NameService
from backend.paths import MachineDir
from backend.settings import config
from tests.fakes.dns import ZoneServer
from tests.fakes.loop import on_loop


def directory_at(home: Path) -> MachineDir:
    directory = MachineDir.locate(home, max_socket_path_bytes=1000, short_run_base=home)
    directory.create()
    return directory


@asynccontextmanager
async def running(directory: MachineDir, lines_sent: list[str] | None = None) -> AsyncIterator[NameService]:
    lines = lines_sent if lines_sent is not None else []

    async def tell(line: str) -> None:
        lines.append(line)

    made = NameService(host.current(), directory, tell_guest=tell, gateway=lambda: "10.0.2.2", ipv6=lambda: False)
    await made.start()
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.aclose()


def port_of(made: NameService) -> int:
    return int(made.greeting.split()[1])


async def ask(made: NameService, name: str, type_: str = "A") -> tuple[Rcode, list[str]]:
    query = dns.message.make_query(name, type_)
    answer = await dns.asyncquery.udp(query, "127.0.0.1", port=port_of(made), timeout=10)
    return answer.rcode(), [rdata.to_text() for rrset in answer.answer for rdata in rrset]


@on_loop
async def test_the_port_is_kept_over_agents(tmp_path: Path) -> None:
    directory = directory_at(tmp_path)
    async with running(directory) as made:
        port = port_of(made)
    async with running(directory) as made:
        assert port_of(made) == port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as blocker:
        blocker.bind(("127.0.0.1", port))
        async with running(directory) as made:
            assert port_of(made) not in (0, port)
            assert int(directory.resolver_port.read_text()) == port_of(made)


@pytest.mark.parametrize("content", ["", "x", "0", "80", "99999", "-1"])
def test_a_port_file_that_was_damaged_costs_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "port"
    path.write_text(content)
    assert service._read_port(path) is None
    assert service._read_port(tmp_path / "none") is None


@on_loop
async def test_the_setting_takes_effect_at_once_and_the_guest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVERY_S", 0.05)
    monkeypatch.setattr(service, "_NETWORK_EVERY", 1)
    look, made_looks = NameService._probe, list[int]()

    def counted(made: NameService) -> object:
        made_looks.append(1)
        return look(made)

    monkeypatch.setattr(NameService, "_probe", counted)
    directory, told = directory_at(tmp_path), list[str]()
    with ZoneServer([("vpn.test", 300, "A", "192.0.2.3")]) as server:
        async with running(directory, told) as made:
            config.set_values(directory.config, {"network.dns": f"127.0.0.1#{server.port}"})
            while not told:
                await asyncio.sleep(0.02)
            assert told == [made.greeting]
            assert await ask(made, "vpn.test") == (Rcode.NOERROR, ["192.0.2.3"])
            assert await ask(made, "localhost") == (Rcode.NXDOMAIN, [])
            directory.config.write_text("broken = [")
            looks = seen = len(made_looks)
            while seen < looks + 2:  # the second begins when the first is over
                await asyncio.sleep(0.01)
                seen = len(made_looks)
            assert await ask(made, "nix.test") == (Rcode.NXDOMAIN, []), "the last servers that were known stay"
            assert server.asked[-1] == ("nix.test", "A")


@on_loop
async def test_without_a_setting_the_system_is_asked(tmp_path: Path) -> None:
    async with running(directory_at(tmp_path)) as made:
        assert await ask(made, "localhost") == (Rcode.NOERROR, ["127.0.0.1"])


@on_loop
@pytest.mark.expect_log("internal error while the network was checked")
async def test_a_network_that_cannot_be_looked_at_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVERY_S", 0.02)
    look, failures = NameService._probe, [OSError("no cards")]

    def fail_once(made: NameService) -> object:
        if failures:
            raise failures.pop()
        return look(made)

    monkeypatch.setattr(NameService, "_probe", fail_once)
    told: list[str] = []
    async with running(directory_at(tmp_path), told) as made:
        while not told:
            await asyncio.sleep(0.02)
        assert await ask(made, "localhost") == (Rcode.NOERROR, ["127.0.0.1"])


@on_loop
@pytest.mark.expect_log("left to QEMU's resolver")
async def test_without_a_port_the_guest_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> int:
        raise OSError("no more")

    monkeypatch.setattr("backend.net.dns.server.DnsServer.start", refuse)
    async with running(directory_at(tmp_path)) as made:
        assert made.greeting == "resolver 0"
