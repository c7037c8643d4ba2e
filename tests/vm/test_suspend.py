"""Suspending the real machine to disk and resuming it, with containers that must not notice."""

from __future__ import annotations

import json
import time

from tests.vm.support.machine import BUSYBOX, Machine, wait_until

COUNTER = "echo kept >/dev/shm/note; i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"


def clock_offset(machine: Machine) -> float:
    """The guest's clock minus the host's, in seconds, as exact as a command allows."""
    before = time.time()
    guest = float(machine.wherry("shell", "--", "/usr/bin/date", "+%s.%N").stdout)
    return guest - (before + time.time()) / 2


def counted(machine: Machine, name: str) -> int:
    """The last number that the container printed."""
    return int(machine.docker("logs", "--tail", "1", name).stdout)


def test_containers_continue_where_they_were(machine: Machine) -> None:
    machine.docker("run", "-d", "--name", "sleeper", BUSYBOX, "sh", "-c", COUNTER)
    try:
        wait_until("it counts", lambda: counted(machine, "sleeper") > 3, timeout_s=60)
        started_at = inspected(machine, "sleeper")
        before = counted(machine, "sleeper")
        assert "suspended" in machine.wherry("suspend").stdout
        assert machine.status()["phase"] == "suspended"
        saved = machine.home / "machine" / "suspended.state"
        assert saved.stat().st_mode & 0o777 == 0o600
        time.sleep(3)  # the guest's clock stands still meanwhile

        # No `wherry start`: the docker command itself brings the machine back.
        assert machine.docker("exec", "sleeper", "cat", "/dev/shm/note").stdout == "kept\n"
        assert machine.status()["phase"] == "running"
        assert not saved.exists()
        assert inspected(machine, "sleeper") == started_at, "it was not started anew"
        wait_until("it goes on counting", lambda: counted(machine, "sleeper") > before + 3, timeout_s=60)
        wait_until("the clock is right again", lambda: abs(clock_offset(machine)) < 1, timeout_s=10)
    finally:
        machine.docker("rm", "-f", "sleeper", check=False)


def test_a_client_that_listens_gets_its_end_and_the_next_is_answered(machine: Machine) -> None:
    with machine.docker_stream("events") as listener:
        time.sleep(0.5)
        machine.wherry("suspend")
        assert listener.wait(timeout=30) is not None, "no client hangs on a machine that sleeps"
    assert machine.docker("version", "--format", "{{.Server.Os}}").stdout == "linux\n"


def test_a_suspended_machine_is_shut_down_in_order(machine: Machine) -> None:
    farewell = "trap 'echo bye >>/v/said; exit 0' TERM; echo hello >/v/said; while :; do sleep 0.1; done"
    machine.docker("run", "-d", "--name", "polite", "-v", "said:/v", BUSYBOX, "sh", "-c", farewell)
    try:
        wait_until(
            "it runs",
            lambda: "hello" in machine.docker("exec", "polite", "cat", "/v/said", check=False).stdout,
            timeout_s=60,
        )
        machine.wherry("suspend")
        machine.wherry("stop")
        assert machine.status()["phase"] == "stopped"
        machine.wherry("start")
        said = machine.docker("run", "--rm", "-v", "said:/v", BUSYBOX, "cat", "/v/said").stdout
        assert said == "hello\nbye\n"
    finally:
        machine.docker("rm", "-f", "polite", check=False)
        machine.docker("volume", "rm", "said", check=False)


def inspected(machine: Machine, name: str) -> tuple[str, int]:
    """The container's start time, and its process id in the guest."""
    state = json.loads(machine.docker("inspect", name).stdout)[0]["State"]
    return state["StartedAt"], state["Pid"]
