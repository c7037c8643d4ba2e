"""The publisher where something comes late, fails, or leaves in the midst: what is open stays what is wanted."""

from __future__ import annotations

import asyncio
import socket

import pytest

from backend.addresses import Protocol
from backend.errors import ProblemCode
from backend.net.ports import publisher as module
from backend.vm.usernet import HostForward
from tests.unit.net.ports.publisher_stage import Stage, end, play, row, until


def test_a_container_that_ends_at_once_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("job", {"80/tcp": [row(ports[0])]}, {})
        assert await stage.publisher.prepare_start("job", stage.engine.dial) is None
        assert stage.qemu.ports
        assert await stage.publisher.finish_start("job") is None
        await until(lambda: not stage.qemu.ports)

    play(story)


def test_a_client_that_leaves_while_ports_are_opened_leaves_nothing_open(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {})
        stage.qemu.adds.clear()
        starting = asyncio.create_task(stage.publisher.prepare_start("web", stage.engine.dial))
        await until(lambda: stage.qemu.ports)
        await end(starting)
        stage.qemu.adds.set()
        await until(lambda: not stage.qemu.ports)
        assert stage.publisher.published() == ()

    play(story)


@pytest.mark.expect_log("ports could not be updated")
def test_what_cannot_be_closed_is_closed_later(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        await stage.begin()
        running = asyncio.create_task(stage.publisher.run())
        stage.qemu.is_gone = True
        stage.engine.run("web", running=False)
        await stage.publisher.release("web")
        assert stage.qemu.ports, "QEMU did not answer"
        stage.qemu.is_gone = False
        await until(lambda: not stage.qemu.ports)
        await end(running)

    play(story)


@pytest.mark.expect_log("ports could not be updated")
def test_what_qemu_opened_without_an_answer_is_taken_over(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        stage.qemu.is_gone = True
        await stage.begin()
        (web, _) = stage.publisher.published()
        assert stage.publisher.problem_of(web) is not None
        stage.qemu.is_gone = False
        with socket.create_server(("127.0.0.1", ports[0])):  # QEMU's own, were it a real one
            assert await stage.publisher.finish_start("web") is None
        assert web.forward in stage.forwarder.opened
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}

    play(story)


@pytest.mark.expect_log(r"reconciler: \[::1\]:")
def test_a_companion_that_is_taken_is_opened_once_it_is_free(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        for name, port in zip(("web", "other"), ports, strict=False):
            stage.engine.add(name, {"80/tcp": [row(port)]}, {"80/tcp": [row(port, "127.0.0.1")]}, running=True)
        with socket.create_server(("::1", ports[0]), family=socket.AF_INET6):
            with socket.create_server(("::1", ports[1]), family=socket.AF_INET6):
                await stage.begin()
                assert stage.qemu.ports == {("127.0.0.1", ports[0]), ("127.0.0.1", ports[1])}
                assert (stage.notices, stage.problems) == ([], ()), "nobody misses them"
                running = asyncio.create_task(stage.publisher.run())
            companions = {one.forward.host_port: one.forward for one in stage.publisher.published() if one.is_companion}
            web, other = (companions[port] for port in ports[:2])
            await until(lambda: other in stage.forwarder.opened)
            assert web not in stage.forwarder.opened
        await until(lambda: web in stage.forwarder.opened)
        await end(running)

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_problem_goes_with_its_container_and_counts_its_ports(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        asked = {"80/tcp": [row(ports[0])], "81/tcp": [row(ports[1])]}
        given = {"80/tcp": [row(ports[0], "127.0.0.1")], "81/tcp": [row(ports[1], "127.0.0.1")]}
        stage.engine.add("web", asked, given, running=True)
        with socket.create_server(("127.0.0.1", ports[0])), socket.create_server(("127.0.0.1", ports[1])):
            await stage.begin()
            (problem,) = stage.problems
            assert problem.code is ProblemCode.PORT_TAKEN
            assert f"127.0.0.1:{ports[0]}/tcp and 1 more. " in str(problem.summary)
            assert "process" in str(problem.summary)
            assert problem.hint is not None
            assert str(problem.hint).endswith("Wherry publishes it as soon as possible.")
            assert await stage.publisher.prepare_start("web", stage.engine.dial) is not None
            assert [problem] == list(stage.problems), "a restart changes nothing"
            stage.engine.run("web", running=False)
            await stage.publisher.release("web")
            assert not stage.problems
            assert [str(notice.text) for notice in stage.notices] == [str(problem.summary)], "said once"

    play(story)


@pytest.mark.expect_log("reconciler: 127.0.0.1:")
def test_a_port_that_stays_taken_holds_up_no_start(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def holder(_protocol: Protocol, _address: str, port: int) -> None:
        asked.append(port)

    monkeypatch.setattr("backend.net.ports.bind_errors.port_holder", holder)

    async def story() -> None:
        stage = Stage()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        stage.engine.add("other", {"80/tcp": [row(ports[1])]}, {"80/tcp": [row(ports[1], "127.0.0.1")]})
        with socket.create_server(("127.0.0.1", ports[0])):
            await stage.begin()
            assert asked == [ports[0]]
            assert await stage.publisher.prepare_start("other", stage.engine.dial) is None
            stage.engine.run("other")
            assert await stage.publisher.finish_start("other") is None
            assert asked == [ports[0]], "who has it was found out already"
            assert stage.problems
        stage.engine.run("other", running=False)
        await stage.publisher.release("other")
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        assert not stage.problems

    play(story)


def test_each_socket_of_qemus_is_given_its_backlog(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        asked, given = {"80/tcp": [row(ports[0], "0.0.0.0")]}, {"80/tcp": [row(ports[0], "0.0.0.0")]}
        stage.engine.add("web", asked, given, running=True)
        stage.deepened.clear()
        for _ in range(2):
            stage.engine.run("web")
            await stage.publisher.finish_start("web")
            await stage.publisher.finish_start("web")
            stage.engine.run("web", running=False)
            await stage.publisher.release("web")
        assert stage.deepened == [ports[0], ports[0]]

    play(story)


def test_an_answer_that_was_overtaken_changes_nothing(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]})
        held, late = asyncio.Event(), asyncio.Event()

        async def hold(_target: str) -> None:
            held.set()
            await late.wait()

        stage.engine.hold = hold
        looking = asyncio.create_task(stage.publisher.finish_start("web"))  # sees that it does not run
        await held.wait()
        stage.engine.hold = None
        stage.engine.run("web")
        assert await stage.publisher.finish_start("web") is None
        late.set()
        await looking
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}

    play(story)


def test_what_starts_while_everything_is_looked_at_keeps_its_ports(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]})
        stage.engine.add("after", {"80/tcp": [row(ports[1])]}, {"80/tcp": [row(ports[1], "127.0.0.1")]})
        held, late = asyncio.Event(), asyncio.Event()

        async def hold(target: str) -> None:
            if target == "/containers/json":
                held.set()
                await late.wait()

        stage.engine.hold = hold
        running = asyncio.create_task(stage.publisher.run())
        await held.wait()
        stage.engine.run("web")
        assert await stage.publisher.finish_start("web") is None
        late.set()
        stage.engine.run("after")
        stage.engine.tell("after", "start")
        await until(lambda: ("127.0.0.1", ports[1]) in stage.qemu.ports)
        assert ("127.0.0.1", ports[0]) in stage.qemu.ports
        await end(running)

    play(story)


def test_what_happened_before_the_events_were_followed_is_not_missed(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        await stage.begin()
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        running = asyncio.create_task(stage.publisher.run())
        await until(lambda: stage.qemu.ports == {("127.0.0.1", ports[0])})
        await end(running)

    play(story)


@pytest.mark.expect_log("not all ports could be published")
def test_an_engine_that_does_not_answer_is_looked_at_again(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.02)

    async def story() -> None:
        stage = Stage()
        running = asyncio.create_task(stage.publisher.run())
        stage.engine.add("web", {"80/tcp": [row(ports[0])]}, {"80/tcp": [row(ports[0], "127.0.0.1")]}, running=True)
        stage.qemu.rows.append(HostForward(Protocol.TCP, "127.0.0.1", ports[1], "127.0.0.1", ports[1]))
        stage.engine.is_down = True
        await stage.begin()
        assert stage.qemu.ports == {("127.0.0.1", ports[1])}, "of an earlier agent"
        stage.engine.is_down = False
        await until(lambda: stage.qemu.ports == {("127.0.0.1", ports[0])})

        stage.engine.run("web", running=False)
        stage.engine.is_down = True
        stage.engine.tell("web", "die")
        await until(stage.engine.events.empty)
        stage.engine.is_down = False
        await until(lambda: not stage.qemu.ports)
        await end(running)

    play(story)


@pytest.mark.expect_log("the engine does not tell its services")
def test_services_go_on_while_their_swarm_has_no_leader(ports: list[int]) -> None:
    async def story() -> None:
        stage = Stage()
        port = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": ports[0], "PublishMode": "ingress"}
        stage.engine.services = 200, [{"ID": "s1", "Spec": {"Name": "shop"}, "Endpoint": {"Ports": [port]}}]
        await stage.begin()
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        stage.engine.services = 500, {"message": "rpc error: The swarm does not have a leader."}
        await stage.publisher.read_services()
        assert stage.qemu.ports == {("127.0.0.1", ports[0])}
        stage.engine.services = 503, {"message": "This node is not a swarm manager."}
        await stage.publisher.read_services()
        assert stage.qemu.ports == set()

    play(story)
