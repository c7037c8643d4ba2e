"""Statistics of the real machine: CPU use of a busy container, limits, and byte counters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.control.client import MachineClient
from backend.stats import ContainerUsage, StatsSample
from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm
WAIT_S = 90.0


@pytest.fixture
def run(machine: Machine) -> Iterator[Callable[..., str]]:
    """Starts containers, and removes them after the test."""
    made: list[str] = []

    def start(*words: str) -> str:
        identity = machine.docker("run", "-d", "--init", *words).stdout.strip()
        made.append(identity)
        return identity

    yield start
    if made:
        machine.docker("rm", "-f", *made)


def samples(machine: Machine) -> Iterator[StatsSample]:
    with MachineClient.open(machine.home) as client:
        for push in client.stats(timeout_s=WAIT_S):
            assert push.problem is None, push.problem
            if push.sample is not None:
                yield push.sample


def until(machine: Machine, identity: str, holds: Callable[[ContainerUsage], Any]) -> ContainerUsage:
    """Wait for figures of a container for which `holds` is true."""
    seen: list[ContainerUsage] = []
    for sample in samples(machine):
        for usage in sample.containers:
            if usage.id == identity:
                if holds(usage):
                    return usage
                seen.append(usage)
    raise AssertionError(f"not seen within {WAIT_S:g} s: {seen[-3:]}")


def test_a_busy_container_and_its_limits(machine: Machine, run: Callable[..., str]) -> None:
    busy = run("--memory", "64m", BUSYBOX, "sh", "-c", "while :; do :; done")
    usage = until(machine, busy, lambda found: 70 <= found.cpu_percent <= 115)
    assert usage.memory_limit_bytes == 64 * 1024**2
    assert usage.cpu_limit_percent is None
    assert 0 < usage.memory_bytes < usage.memory_limit_bytes
    assert usage.pids == 2
    halved = run("--cpus", "0.5", BUSYBOX, "sh", "-c", "while :; do :; done")
    assert until(machine, halved, lambda found: 35 <= found.cpu_percent <= 65).cpu_limit_percent == 50.0


def test_memory_is_that_of_the_programs_without_the_file_cache(machine: Machine, run: Callable[..., str]) -> None:
    script = "head -c 60000000 /dev/zero >/file; sync; cat /file >/dev/null; sleep 1000"
    writer = run(BUSYBOX, "sh", "-c", script)
    usage = until(machine, writer, lambda found: found.block_written_bytes >= 60_000_000)
    assert usage.memory_bytes < 40_000_000


def test_network_bytes_grow_and_the_hosts_network_is_nobodys(machine: Machine, run: Callable[..., str]) -> None:
    server = run(BUSYBOX, "sh", "-c", "mkdir /w; head -c 500000 /dev/zero >/w/f; exec httpd -f -p 80 -h /w")
    address = machine.docker(
        "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", server
    ).stdout.strip()
    before = until(machine, server, lambda _found: True).network_sent_bytes
    reader = run(BUSYBOX, "sh", "-c", f"while :; do wget -qO /dev/null http://{address}/f; sleep 1; done")
    until(machine, server, lambda found: found.network_sent_bytes > before + 500_000)
    until(machine, reader, lambda found: found.network_received_bytes > 500_000)
    on_host = run("--network", "host", BUSYBOX, "sleep", "1000")
    usage = until(machine, on_host, lambda _found: True)
    assert (usage.network_received_bytes, usage.network_sent_bytes) == (0, 0)


def test_the_machine_and_the_host(machine: Machine, run: Callable[..., str]) -> None:
    run(BUSYBOX, "sleep", "1000")
    sample = next(samples(machine))
    used = sample.machine
    given = machine.status()["resources"]
    assert 0.8 < used.memory_total_bytes / (given["memory_mib"] * 1024**2) <= 1
    assert 0 < used.memory_used_bytes < used.memory_total_bytes
    assert 0.9 < used.disk_total_bytes / (given["disk_gib"] * 1024**3) <= 1
    assert 0 < used.disk_used_bytes < used.disk_total_bytes
    disk = (machine.home / "machine/data.qcow2").stat()
    assert used.disk_on_host_bytes is not None
    assert abs(used.disk_on_host_bytes - disk.st_blocks * 512) < 50_000_000
    assert used.memory_on_host_bytes is not None
    assert used.memory_on_host_bytes > 100_000_000


def test_a_container_that_ends_goes_from_the_figures(machine: Machine, run: Callable[..., str]) -> None:
    short = run(BUSYBOX, "sleep", "1000")
    until(machine, short, lambda _found: True)
    machine.docker("kill", short)
    assert next(sample for sample in samples(machine) if short not in {usage.id for usage in sample.containers})


def test_the_guests_program_ends_with_the_last_subscriber(machine: Machine) -> None:
    next(samples(machine))

    def running() -> str:
        return machine.wherry("shell", "ps | grep '[w]herry/stats' | wc -l").stdout.strip()

    wait_until("the program to end", lambda: running() == "0", timeout_s=30, every_s=1)


def test_from_the_command_line(machine: Machine, run: Callable[..., str]) -> None:
    identity = run("--name", "figured", BUSYBOX, "sleep", "1000")
    until(machine, identity, lambda _found: True)
    table = machine.wherry("stats", "--no-stream").stdout
    assert table.startswith("machine ")
    assert "figured" in table
    assert identity[:12] in table
    found = json.loads(machine.wherry("stats", "--no-stream", "--json").stdout)
    assert identity in [usage["id"] for usage in found["containers"]]
