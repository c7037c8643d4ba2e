"""What checkpoints cost: `WHERRY_TEST_IMAGE=DIR python tests/bench/bench_checkpoints.py [MIB]`.

Fills a volume with MIB (1024), and measures on the running and on the stopped machine how long it takes to take, list,
restore and delete a checkpoint (each the whole command, median of 3 where it can be repeated), and what the disk takes
on the host before, with a checkpoint of data that was then removed in the guest, and after its deletion.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.vm.support.machine import BUSYBOX, Machine  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402


def timed(machine: Machine, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Seconds and answer of a `wherry` command."""
    begun = time.monotonic()
    answer = machine.json(*arguments, check=True)
    return time.monotonic() - begun, answer


def measure(machine: Machine, what: str) -> str:
    """Take, list and restore; returns the id of the one that was restored."""
    taken = [timed(machine, "checkpoint", "create", f"{what} {number}") for number in range(3)]
    listed = statistics.median(timed(machine, "checkpoint", "list")[0] for _ in range(3))
    restored, _ = timed(machine, "checkpoint", "restore", "--yes", taken[-1][1]["id"])
    print(
        f"{what:<8} create {statistics.median(seconds for seconds, _ in taken):6.2f} s  list {listed:6.2f} s  "
        f"restore {restored:6.2f} s"
    )
    return str(taken[-1][1]["id"])


def main() -> None:
    """Measure and print."""
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    with tempfile.TemporaryDirectory(prefix="wherry-b-") as base:
        docker_config = Path(base) / "docker"
        docker_config.mkdir()
        image = Path(os.environ["WHERRY_TEST_IMAGE"])
        machine = Machine(home=Path(base) / "h", image=image, tools=find_tools(), docker_config=docker_config)
        try:
            machine.wherry("start")
            machine.import_busybox()
            fill = f"yes checkpoint | head -c {mebibytes * 1024**2} >/v/f; sync"
            machine.docker("run", "--rm", "-v", "data:/v", BUSYBOX, "sh", "-c", fill, timeout_s=1200)
            print(f"the disk takes {host_mib(machine)} MiB with {mebibytes} MiB in a volume")
            measure(machine, "running")
            kept = str(machine.json("checkpoint", "create", "full", check=True)["id"])
            others = [entry["id"] for entry in machine.json("checkpoint", "list")["checkpoints"] if entry["id"] != kept]
            machine.wherry("checkpoint", "delete", "--yes", *others)
            print(f"{host_mib(machine)} MiB with one checkpoint of all of it")
            machine.docker("volume", "rm", "data")
            machine.wherry("shell", "sync; fstrim /data")
            print(f"{host_mib(machine)} MiB once the volume is removed, which the checkpoint keeps")
            seconds, answer = timed(machine, "checkpoint", "delete", "--yes", kept)
            print(
                f"{host_mib(machine)} MiB after deleting it: {answer['freed_bytes'] // 1024**2} MiB in {seconds:.2f} s"
            )
            machine.wherry("stop")
            measure(machine, "stopped")
        finally:
            machine.wherry("stop", "--kill", check=False)


def host_mib(machine: Machine) -> int:
    """What the disk takes on the host."""
    return int(machine.json("checkpoint", "list", check=True)["disk_bytes"]) // 1024**2


if __name__ == "__main__":
    main()
