"""The publisher and its forwarder: held starts, conflicts, events, adoption. Real ports, a scripted engine."""

from __future__ import annotations

import asyncio
import socket

import pytest

from backend.addresses import Protocol
from backend.errors import ProblemCode
from backend.net.ports import publisher as module
from backend.net.ports.host_network import GuestListener
from backend.vm.usernet import HostForward
from tests.unit.net.ports.publisher_stage import SSH, Stage, listens, play, row, until


def test_a_port_is_open_before_its_container_starts_and_goes_when_it_stops(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]})
        assert await stage.publisher.prepare_start("web", stage.engine.dial) is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        assert await asyncio.to_thread(listens, ports[0])
        stage.engine.run("web")
        assert await stage.publisher.finish_start("web") is None
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        stage.engine.run("web", running=False)
        await stage.publisher.release("web")
        assert stage.qemu.ports == set()
        assert not await asyncio.to_thread(listens, ports[0])

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_taken_port_is_a_problem_and_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])], "81/tcp": [row(ports[1])]}, {})
        with socket.create_server(("127.0.0.1", ports[1])):
            problem = await stage.publisher.prepare_start("web", stage.engine.dial)
        assert problem is not None
        assert problem.code is ProblemCode.PORT_TAKEN
        assert stage.qemu.ports == set()
        assert stage.publisher.published() == ()
        assert stage.notices == [], "the client was told"

    play(story)


def test_a_start_that_the_engine_refuses_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {})
        await stage.publisher.prepare_start("web", stage.engine.dial)
        await stage.publisher.give_up_start("web")
        assert stage.qemu.ports == set()

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_port_of_the_engines_choice_that_is_taken_makes_it_choose_again(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row("")]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)

        def next_port(_name: str) -> None:
            stage.engine.containers["web"]["NetworkSettings"]["Ports"] = {"80/tcp": [row(ports[1], "127.0.0.1")]}

        stage.engine.restarted = next_port
        with socket.create_server(("127.0.0.1", ports[0])):
            assert await stage.publisher.finish_start("web") is None
        assert stage.engine.asked == ["/containers/web/restart?t=0"]
        assert stage.qemu.ports == {("127.0.0.1", ports[1])}

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_port_that_stays_taken_stops_the_container(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row("")]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        with socket.create_server(("127.0.0.1", ports[0])):
            problem = await stage.publisher.finish_start("web")
        assert problem is not None
        assert stage.engine.asked[-1] == "/containers/web/stop?t=0"
        assert 2 <= len(stage.engine.asked) <= 12
        assert stage.publisher.published() == ()

    play(story)


def test_events_open_and_close_what_no_client_asked_for(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        running = asyncio.create_task(stage.publisher.run())
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        stage.engine.events.put_nowait(b"not json\n")
        stage.engine.tell("web", "start")
        while stage.qemu.ports != {("127.0.0.1", ports[0])}:
            await asyncio.sleep(0.01)
        stage.engine.containers["web"]["NetworkSettings"]["Ports"] = {"80/tcp": [row(ports[1], "127.0.0.1")]}
        stage.engine.tell("web", "connect")
        while stage.qemu.ports != {("127.0.0.1", ports[1])}:
            await asyncio.sleep(0.01)
        stage.engine.run("web", running=False)
        stage.engine.tell("web", "die")
        while stage.qemu.ports:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait({running})

    play(story)


def test_what_was_open_is_taken_over_and_what_nobody_wants_is_closed(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        wanted = HostForward(Protocol.TCP, "127.0.0.1", ports[0], "127.0.0.1", ports[0])
        orphan = HostForward(Protocol.TCP, "127.0.0.1", ports[1], "127.0.0.1", ports[1])
        stage.qemu.rows += [wanted, orphan]
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        with socket.create_server(("127.0.0.1", ports[0])):  # QEMU's own, were it a real one
            await stage.begin()
        assert stage.qemu.rows == [SSH, wanted]
        assert await asyncio.to_thread(listens, ports[0]), "relays are made anew"
        await stage.publisher.forget()
        assert not await asyncio.to_thread(listens, ports[0])

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_port_that_is_taken_when_the_machine_comes_is_told_and_opened_once_it_is_free(
    ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        marker = {"80/tcp": [row(ports[1])]}, {"80/tcp": [row(ports[1], "127.0.0.1")]}
        with socket.create_server(("127.0.0.1", ports[0])):
            await stage.begin()
            assert stage.qemu.ports == set()
            assert [problem.code for problem in stage.problems] == [ProblemCode.PORT_TAKEN]
            assert str(stage.problems[0].summary).startswith(f"web isn't published at 127.0.0.1:{ports[0]}/tcp. Port ")
            companion = stage.publisher.published()[1]
            assert stage.publisher.problem_of(companion) is not None, "it is not about to be opened"
            assert [str(notice.text) for notice in stage.notices] == [str(stage.problems[0].summary)]
            running = asyncio.create_task(stage.publisher.run())
            with socket.create_server(("127.0.0.1", ports[1])):
                stage.engine.add("marker", *marker, running=True)
                stage.engine.tell("marker", "start")
                await until(lambda: len(stage.notices) == 2)
            # It is opened by what tries again, which has tried the other too.
            await until(lambda: ("127.0.0.1", ports[1]) in stage.qemu.ports)
            assert [str(notice.text)[:4] for notice in stage.notices[:2]] == ["web ", "mark"], "said once"
            stage.engine.run("marker", running=False)
            stage.engine.tell("marker", "die")
            await until(lambda: not stage.qemu.ports)
        while not stage.qemu.ports:
            await asyncio.sleep(0.01)
        while stage.problems:
            await asyncio.sleep(0.01)
        assert str(stage.notices[-1].text) == f"Solved: {stage.notices[0].text}"
        running.cancel()
        await asyncio.wait({running})

    play(story)


def test_where_qemus_sockets_cannot_be_given_a_backlog_tcp_is_relayed(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage(shallow=True)
        await stage.begin()
        given = {"80/tcp": [row(ports[0], "127.0.0.1")], "53/udp": [row(ports[1], "127.0.0.1")]}
        stage.engine.add("web", {"80/tcp": [row(ports[0])], "53/udp": [row(ports[1])]}, given, running=True)
        assert await stage.publisher.finish_start("web") is None
        assert await asyncio.to_thread(listens, ports[0], "127.0.0.1")
        assert ("127.0.0.1", ports[0]) not in stage.qemu.ports, "QEMU has another port for it"
        assert ("127.0.0.1", ports[1]) in stage.qemu.ports
        await stage.publisher.forget()

    play(story)


@pytest.mark.parametrize(("first", "second"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")])
@pytest.mark.expect_log(r"reconciler: (127\.0\.0\.1|0\.0\.0\.0):")
def test_a_port_of_another_container_is_told_as_that(ports: list[int], first: str, second: str) -> None:
    async def story() -> None:
        stage = Stage()
        rows = {"80/tcp": [row(ports[0], first)]}
        stage.engine.add("web", rows, rows, running=True)
        await stage.begin()
        stage.engine.add("other", {"80/tcp": [row(ports[0], second)]}, {})
        with socket.create_server((first, ports[0])):  # QEMU's own, were it a real one
            problem = await stage.publisher.prepare_start("other", stage.engine.dial)
        assert problem is not None
        assert problem.code is ProblemCode.PORT_TAKEN
        assert "is already published by the container web" in str(problem.summary)
        assert str(problem.hint) == "Stop that container, or publish another port."
        assert stage.qemu.ports == {(first, ports[0])}

    play(story)


def test_an_address_that_is_asked_for_needs_no_companion(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        asked = {"80/tcp": [row(ports[0]), row(ports[0], "127.66.0.1")]}
        given = {"80/tcp": [row(ports[0], "127.0.0.1"), row(ports[0], "127.66.0.1")]}
        stage.engine.add("web", asked, given, running=True)
        await stage.begin()
        addresses = [one.forward.address for one in stage.publisher.published()]
        assert sorted(addresses) == [f"127.0.0.1:{ports[0]}/tcp", f"[::1]:{ports[0]}/tcp"]
        assert all(stage.publisher.problem_of(one) is None for one in stage.publisher.published())
        assert await asyncio.to_thread(listens, ports[0])

    play(story)


def test_a_program_that_listens_on_several_addresses_has_one_port(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("dns", {}, {}, running=True)
        stage.engine.containers["dns"]["HostConfig"]["NetworkMode"] = "host"
        assert await stage.publisher.finish_start("dns") is None
        addresses = ("0.0.0.0", "127.0.0.1", "::")
        heard = [
            GuestListener(protocol=Protocol.TCP, guest_ip=ip, port=ports[0], container_id="dns" * 8) for ip in addresses
        ]
        await stage.publisher.hear(frozenset(heard))
        published = stage.publisher.published()
        assert [one.forward.address for one in published] == [f"127.0.0.1:{ports[0]}/tcp", f"[::1]:{ports[0]}/tcp"]
        assert stage.forwarder.opened == {one.forward for one in published}
        assert stage.notices == []

    play(story)


def test_what_the_engine_gives_wins_over_what_was_asked_for(ports: list[int]) -> None:
    """A network that was made when ports were published everywhere has the engine listen on all addresses."""

    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "0.0.0.0")]})
        assert await stage.publisher.prepare_start("web", stage.engine.dial) is None
        stage.engine.run("web")
        assert await stage.publisher.finish_start("web") is None
        assert [(one.host_ip, one.guest_ip) for one in stage.qemu.rows if one != SSH] == [("127.0.0.1", "10.0.2.15")]
        assert await asyncio.to_thread(listens, ports[0])

    play(story)
