"""Recovery of hangs in the real machine, its clock, and the return of freed memory and disk space to the host."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm


@pytest.fixture(autouse=True)
def well(machine: Machine) -> Iterator[None]:
    """Check that the machine is healthy before and after each test."""

    def ask() -> bool:
        status = machine.status()
        return status["phase"] == "running" and not status["problems"]

    wait_until("the machine to be well", ask, timeout_s=120, every_s=0.5)
    yield
    wait_until("the machine to be well again", ask, timeout_s=120, every_s=0.5)


def clock_is_right(machine: Machine) -> bool:
    """Whether the guest's clock is within a second of the host's, measured through SSH."""
    before = time.time()
    said = float(machine.wherry("shell", "echo $EPOCHREALTIME").stdout)
    return before - 1 <= said <= time.time() + 1


@pytest.mark.parametrize("off_s", [-3600, 7200])
def test_a_wrong_clock_is_right_again_in_ten_seconds(machine: Machine, off_s: int) -> None:
    machine.wherry("shell", f"/usr/bin/date -u -s @{time.time() + off_s:.0f}")
    # Ten seconds are promised; the measurement itself takes time on a loaded computer.
    wait_until("the guest's clock to be right", lambda: clock_is_right(machine), timeout_s=10 + 20)
    assert "is off by" in (machine.home / "logs/agent.log").read_text()


def test_a_stopped_qemu_is_named_and_its_clock_is_right_afterwards(machine: Machine) -> None:
    pid = int(machine.status()["pid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until("it to be noticed", lambda: machine.status()["phase"] == "degraded", timeout_s=60, every_s=0.5)
        assert "paused by a signal" in machine.status()["problems"][0]["summary"]
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until("the guest's clock to be right", lambda: clock_is_right(machine), timeout_s=10 + 20)
    assert machine.status()["pid"] == pid


def test_a_stopped_dockerd_continues_automatically_and_loses_no_container(machine: Machine) -> None:
    machine.docker("run", "-d", "--name", "lasts", BUSYBOX, "sleep", "600")
    try:
        machine.wherry("shell", "kill -STOP $(cat /run/wherry/pid/dockerd)")
        assert "lasts" in machine.docker("ps", timeout_s=120).stdout
    finally:
        machine.docker("rm", "-f", "lasts")


def test_memory_that_runs_out_costs_the_container_and_not_the_engine(machine: Machine) -> None:
    pid = machine.wherry("shell", "cat /run/wherry/pid/dockerd").stdout
    hog = "tail /dev/zero"
    done = machine.docker("run", "--rm", "--memory", "64m", BUSYBOX, "sh", "-c", hog, check=False)
    assert done.returncode == 137
    assert machine.wherry("shell", "cat /run/wherry/pid/dockerd").stdout == pid
    log = machine.home / "logs/agent.log"
    wait_until("the agent to tell it", lambda: "its memory limit was reached" in log.read_text(), timeout_s=60)


def test_removed_data_is_returned_to_the_host(machine: Machine) -> None:
    disk = machine.home / "machine/data.qcow2"

    def allocated() -> int:
        return disk.stat().st_blocks * 512

    size = 200_000_000
    before = allocated()
    write = f"head -c {size} /dev/urandom >/big; sync"
    machine.docker("run", "--name", "big", BUSYBOX, "sh", "-c", write)
    full = allocated()
    assert full - before > 0.8 * size
    machine.docker("rm", "big")
    # Ten seconds to see it, ten to be sure that no more follows, and no more than once a minute.
    wait_until("the file to shrink", lambda: full - allocated() > 0.8 * size, timeout_s=150, every_s=1)
