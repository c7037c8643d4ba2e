"""A `docker ps` on a stopped and on a suspended machine, in one run: each brings the machine up and is answered.

    python -m tests.bench.bench_resume --image DIR [--rounds 3] [--containers 3] [--accelerator auto]

The machine is stopped, or suspended, before each round; its containers run before and after. What is timed is the
docker command alone, from its start to its exit. The agent runs already, as on a desktop; the host's files are cached.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from tests.vm.support.machine import BUSYBOX, Machine
from tests.vm.support.tools import find_tools


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--containers", type=int, default=3)
    parser.add_argument("--accelerator", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as base:
        docker_config = Path(base) / "docker"
        docker_config.mkdir()
        machine = Machine(
            home=Path(base) / "home", image=options.image, tools=find_tools(), docker_config=docker_config
        )
        machine.home.mkdir()
        machine.wherry("config", "set", "machine.accelerator", options.accelerator)
        try:
            measure(machine, options.rounds, options.containers)
        finally:
            machine.wherry("stop", "--kill", "--quit", check=False)


def measure(machine: Machine, rounds: int, containers: int) -> None:
    """Both sides, in turn."""
    machine.wherry("start")
    machine.import_busybox()
    for number in range(containers):
        machine.docker("run", "-d", "--restart", "always", "--name", f"c{number}", BUSYBOX, "sleep", "1000000")
    print(f"accelerator: {machine.status()['accelerator']['title']}, {containers} containers")
    cold: list[float] = []
    warm: list[float] = []
    saving: list[float] = []
    for _ in range(rounds):
        machine.wherry("stop")
        cold.append(docker_ps(machine, containers))
        began = time.monotonic()
        machine.wherry("suspend")
        saving.append(time.monotonic() - began)
        size = (machine.home / "machine" / "suspended.state").stat().st_size
        warm.append(docker_ps(machine, containers))
        print(
            f"  stopped {cold[-1]:.2f} s, suspended {warm[-1]:.2f} s; to suspend {saving[-1]:.2f} s, {size >> 20} MiB"
        )
    ratio = statistics.median(warm) / statistics.median(cold)
    print(
        f"medians: stopped {statistics.median(cold):.2f} s, suspended {statistics.median(warm):.2f} s, "
        f"ratio {ratio:.2f}; to suspend {statistics.median(saving):.2f} s"
    )


def docker_ps(machine: Machine, containers: int) -> float:
    """Seconds until `docker ps` has answered; its answer must have every container in it."""
    began = time.monotonic()
    names = machine.docker("ps", "--format", "{{.Names}}").stdout.split()
    took = time.monotonic() - began
    deadline = time.monotonic() + 60
    while len(names) != containers:  # restart policies act a moment after the engine's first answer
        if time.monotonic() > deadline:
            raise SystemExit(f"containers are missing: {names}")
        names = machine.docker("ps", "--format", "{{.Names}}").stdout.split()
    return took


if __name__ == "__main__":
    main()
