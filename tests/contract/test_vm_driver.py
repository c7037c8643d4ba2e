"""The promises of VmDriver, on the fake QEMU and on the real one: what we believe of the fake is proved again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.host.process import ProcessIdentity
from backend.settings.disk import data_disk_path
from backend.vm import run
from backend.vm.spec import UnixAddress
from tests.agent.machine import alive, eventually
from tests.contract.vm import LAUNCH_S, Bench


@pytest.fixture(params=["fake", pytest.param("qemu", marks=pytest.mark.vm)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A directory of its own; whatever QEMU is left in it is killed."""
    base = Path(tempfile.mkdtemp(prefix="wherry-c-"))
    made = Bench(base, request.param)
    yield made
    record = run.load(made.paths.run_record)
    if record is not None and (left := ProcessIdentity.find(record.uuid)) is not None:
        left.kill()
        eventually(lambda: not left.is_alive(), "QEMU is gone")
    shutil.rmtree(base, ignore_errors=True)


def play(story: Callable[[], Awaitable[None]]) -> None:
    """Run one test's coroutine."""

    async def within() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(within())


def test_launch_writes_the_record_first_and_returns_when_the_monitor_answers(bench: Bench) -> None:
    async def story() -> None:
        driver = bench.driver()
        record, argv = await bench.line()
        launching = asyncio.create_task(driver.launch(record, argv, timeout_s=LAUNCH_S))
        while driver.pid is None:
            await asyncio.sleep(0)
        assert run.load(bench.paths.run_record) == record
        await launching
        assert (await driver.monitor.execute("query-uuid")).object().text("UUID") == record.uuid
        assert driver.pid is not None
        assert int(bench.paths.qemu_pid.read_text()) == driver.pid
        await driver.kill()

    play(story)


def test_a_program_that_does_not_start_leaves_no_record(bench: Bench) -> None:
    async def story() -> None:
        driver = bench.driver()
        record, argv = await bench.line()
        with pytest.raises(WherryError) as caught:
            await driver.launch(record, ["/nonexistent/qemu", *argv[1:]], timeout_s=LAUNCH_S)
        assert caught.value.problem.code is ProblemCode.QEMU_UNUSABLE
        assert not bench.paths.run_record.exists()
        assert driver.pid is None

    play(story)


def test_a_qemu_that_refuses_its_arguments_is_quoted_and_leaves_nothing(bench: Bench) -> None:
    async def story() -> None:
        driver = bench.driver()
        record, argv = await bench.line(data_disk=bench.paths.machine / "no such disk")
        with pytest.raises(WherryError) as caught:
            await driver.launch(record, argv, timeout_s=LAUNCH_S)
        assert any("No such file" in line for line in caught.value.problem.tail)
        assert caught.value.problem.hint
        assert not bench.paths.run_record.exists()
        assert list(bench.paths.run.iterdir()) == []

    play(story)


def test_a_second_qemu_is_refused_the_disk(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        second = Bench(bench.paths.home / "second", bench.kind)
        record, argv = await second.line(data_disk=data_disk_path(bench.paths))
        with pytest.raises(WherryError) as caught:
            await second.driver().launch(record, argv, timeout_s=LAUNCH_S)
        assert caught.value.problem.code is ProblemCode.DISK_LOCKED
        await driver.kill()

    play(story)


def test_another_driver_adopts(bench: Bench) -> None:
    async def story() -> None:
        first, record = await bench.launched()
        pid = first.pid
        await first.detach()
        second = bench.driver()
        assert await second.adopt(timeout_s=12) == record
        assert second.pid == pid
        waiting = asyncio.create_task(second.wait())
        await second.kill()
        exit_ = await waiting
        assert exit_.code is None, "it was not our child"
        assert pid is not None
        eventually(lambda: not alive(pid), "QEMU is gone")

    play(story)


def test_a_qemu_is_found_without_its_pid_file(bench: Bench) -> None:
    async def story() -> None:
        first, record = await bench.launched()
        pid = first.pid
        await first.detach()
        bench.paths.qemu_pid.unlink()
        second = bench.driver()
        assert await second.adopt(timeout_s=12) == record
        assert second.pid == pid
        await second.kill()

    play(story)


def test_there_is_nothing_to_adopt_in_a_new_directory(bench: Bench) -> None:
    async def story() -> None:
        assert await bench.driver().adopt(timeout_s=12) is None

    play(story)


def test_what_a_killed_qemu_left_is_cleared_at_adoption(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        assert driver.pid is not None
        await driver.detach()
        os.kill(driver.pid, signal.SIGKILL)
        eventually(driver._has_exited, "QEMU is gone")  # reaps our child
        assert bench.paths.monitor_socket.exists()
        assert await bench.driver().adopt(timeout_s=12) is None
        assert not bench.paths.run_record.exists()
        assert list(bench.paths.run.iterdir()) == []

    play(story)


def test_a_qemu_of_another_is_refused_and_not_touched(bench: Bench) -> None:
    async def story() -> None:
        driver, record = await bench.launched()
        pid = driver.pid
        assert pid is not None
        await driver.detach()
        other, _ = await bench.line()
        run.save(bench.paths.run_record, other)
        stranger = bench.driver()
        with pytest.raises(WherryError) as caught:
            await stranger.adopt(timeout_s=12)
        assert caught.value.problem.code is ProblemCode.NOT_OURS
        await stranger.kill()
        with pytest.raises(WherryError) as caught:
            await stranger.launch(*await bench.line(), timeout_s=LAUNCH_S)
        assert caught.value.problem.code is ProblemCode.NOT_OURS
        assert alive(pid)
        assert run.load(bench.paths.run_record) == other
        assert int(bench.paths.qemu_pid.read_text()) == pid
        run.save(bench.paths.run_record, record)
        again = bench.driver()
        assert await again.adopt(timeout_s=12) == record, "it still listens"
        await again.kill()

    play(story)


def test_kill_can_be_repeated_and_leaves_nothing(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        pid = driver.pid
        assert pid is not None
        await asyncio.gather(driver.kill(), driver.kill())
        await driver.kill()
        assert driver.pid is None
        assert not alive(pid)
        assert not bench.paths.run_record.exists()
        assert not bench.paths.qemu_pid.exists()
        assert list(bench.paths.run.iterdir()) == []

    play(story)


def test_kill_before_a_launch_touches_nothing(bench: Bench) -> None:
    async def story() -> None:
        bench.paths.qemu_pid.write_text("1\n")
        await bench.driver().kill()
        assert bench.paths.qemu_pid.read_text() == "1\n"

    play(story)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0)], ids=["SIGKILL", "SIGTERM"])
def test_wait_returns_when_a_signal_ends_it(bench: Bench, number: signal.Signals, code: int) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        waiting = asyncio.create_task(driver.wait())
        pid = driver.pid
        assert pid is not None
        os.kill(pid, number)
        exit_ = await waiting
        assert exit_.code == code
        assert not alive(pid)
        assert not bench.paths.run_record.exists()

    play(story)


def test_wait_returns_when_the_monitor_ends_it(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        waiting = asyncio.create_task(driver.wait())
        await driver.monitor.execute("quit")
        assert (await waiting).code == 0

    play(story)


def test_the_next_launch_keeps_its_files_though_the_last_end_is_noted_late(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        waiting = asyncio.create_task(driver.wait())
        await asyncio.sleep(0)
        await driver.kill()
        record, argv = await bench.line()
        launching = asyncio.create_task(driver.launch(record, argv, timeout_s=LAUNCH_S))
        await waiting
        await launching
        assert run.load(bench.paths.run_record) == record
        assert (await driver.monitor.execute("query-uuid")).object().text("UUID") == record.uuid
        await driver.kill()

    play(story)


def test_a_launch_that_is_cancelled_leaves_a_qemu_that_can_be_killed(bench: Bench) -> None:
    async def story() -> None:
        driver = bench.driver()
        launching = asyncio.create_task(driver.launch(*await bench.line(), timeout_s=LAUNCH_S))
        while driver.pid is None:
            await asyncio.sleep(0)
        pid = driver.pid
        launching.cancel()
        await asyncio.wait({launching})
        assert alive(pid)
        await driver.kill()
        assert not alive(pid)
        assert not bench.paths.run_record.exists()

    play(story)


def test_a_port_is_chosen_and_read_back_and_kept(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        assert (await driver.monitor.usernet()).forwards == ()
        port = await driver.monitor.forward_tcp(22)
        assert await driver.monitor.forward_tcp(22) == port
        (row,) = (await driver.monitor.usernet()).forwards
        assert (row.host_ip, row.host_port, row.guest_port) == ("127.0.0.1", port, 22)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        await driver.detach()
        again = bench.driver()
        await again.adopt(timeout_s=12)
        assert await again.monitor.forward_tcp(22) == port, "an adopted QEMU keeps its forwards"
        await again.kill()

    play(story)


def test_the_monitor_has_one_client_and_is_free_after_it(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        second = bench.driver()
        with pytest.raises(WherryError) as caught:
            await second.monitor.connect(
                second_address(bench),
                timeout_s=0.5,
            )
        assert caught.value.problem.code is ProblemCode.STEP_TIMED_OUT
        await driver.detach()
        await second.monitor.connect(second_address(bench), timeout_s=LAUNCH_S)
        await second.monitor.execute("quit")
        await second.monitor.aclose()
        await driver.wait()

    play(story)


def second_address(bench: Bench) -> UnixAddress:
    return UnixAddress(path=bench.paths.monitor_socket)


def test_the_guest_shows_life_on_its_console_and_answers_on_its_port(bench: Bench) -> None:
    async def story() -> None:
        driver, _ = await bench.launched()
        await driver.wait_kernel(timeout_s=90)
        control = await driver.connect_guest(timeout_s=10)
        await control.aclose()
        await driver.kill()

    play(story)


def test_a_kernel_that_shows_nothing_is_not_waited_for_longer_than_asked(bench: Bench) -> None:
    async def story() -> None:
        driver = bench.driver()
        record, argv = await bench.line()
        if bench.kind == "qemu":
            argv = [*argv, "-S"]
        else:
            bench.paths.machine.joinpath("fake-cues.json").write_text('{"kernel_hang": true}')
        await driver.launch(record, argv, timeout_s=LAUNCH_S)
        with pytest.raises(TimeoutError):
            await driver.wait_kernel(timeout_s=0.3)
        await driver.kill()

    play(story)
