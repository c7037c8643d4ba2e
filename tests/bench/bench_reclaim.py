"""How much of what the guest no longer uses comes back to the host, and when: `python tests/bench/bench_reclaim.py`.

image removed     600 MB written in the machine's data disk by a container, its image removed: until the disk's file
                  has shrunk by 90 % of that, and by how much in all
memory freed      600 MB of a process's memory freed: until QEMU's resident memory has shrunk by 90 % of it
page cache        600 MB of a file read, then `wherry reclaim`: what came back, and how long the command took
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.vm.support.machine import BUSYBOX, Machine  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402

MB = 1_000_000
SIZE = 600 * MB


def resident(machine: Machine) -> int:
    """QEMU's, in bytes."""
    status = Path(f"/proc/{machine.status()['pid']}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def allocated(machine: Machine) -> int:
    """What the data disk's file takes, in bytes."""
    return (machine.home / "machine/data.qcow2").stat().st_blocks * 512


def shrinks(measure: Callable[[], int], before: int, taken: int, *, timeout_s: float) -> str:
    """Wait until `measure` has come down from `before` by 90 % of `taken`, and a little longer for the rest."""
    begun = time.monotonic()
    reached: float | None = None
    lowest = before
    while time.monotonic() - begun < timeout_s:
        lowest = min(lowest, measure())
        if reached is None and before - lowest >= 0.9 * taken:
            reached = time.monotonic() - begun
            timeout_s = reached + 5
        time.sleep(0.5)
    when = f"90 % after {reached:5.1f} s" if reached is not None else f"not 90 % within {timeout_s:g} s"
    back = before - lowest
    share = 100 * back / max(1, taken)
    return f"{taken / MB:6.0f} MB taken, {back / MB:6.0f} MB returned ({share:3.0f} %), {when}"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("WHERRY_TEST_IMAGE"), help="guest image directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "docker").mkdir()
        machine = Machine(base / "home", options.image, find_tools(), base / "docker")
        machine.wherry("config", "set", "machine.memory_mib", "2048")
        try:
            machine.wherry("start", timeout_s=900)
            machine.import_busybox()
            count = str(SIZE // MB)
            write = f"dd if=/dev/urandom of=/big bs=1000000 count={count} 2>/dev/null; sync"

            empty = allocated(machine)
            machine.docker("run", "--name", "big", BUSYBOX, "sh", "-c", write, timeout_s=900)
            machine.docker("commit", "big", "big:test", timeout_s=900)
            full = allocated(machine)
            machine.docker("rm", "big")
            machine.docker("rmi", "big:test")
            print("image removed  ", shrinks(lambda: allocated(machine), full, full - empty, timeout_s=180), flush=True)

            machine.wherry("reclaim")
            small = resident(machine)
            hog = f"head -c {SIZE} /dev/zero | tail -c {SIZE} >/dev/null"
            machine.docker("run", "--rm", BUSYBOX, "sh", "-c", hog, timeout_s=900)
            peak = int(next(
                line.split()[1] for line in Path(f"/proc/{machine.status()['pid']}/status").read_text().splitlines()
                if line.startswith("VmHWM")
            )) * 1024  # fmt: skip
            print("memory freed   ", shrinks(lambda: resident(machine), peak, peak - small, timeout_s=60), flush=True)

            machine.docker("volume", "create", "cached")
            keep = f"dd if=/dev/zero of=/v/big bs=1000000 count={count} 2>/dev/null; cat /v/big >/dev/null; sync"
            small = resident(machine)
            machine.docker("run", "--rm", "-v", "cached:/v", BUSYBOX, "sh", "-c", keep, timeout_s=900)
            full = resident(machine)
            begun = time.monotonic()
            answer = machine.json("reclaim")
            took = time.monotonic() - begun
            back = full - answer["memory_after"]
            print(
                f"page cache      {(full - small) / MB:6.0f} MB taken, {back / MB:6.0f} MB returned "
                f"({100 * back / max(1, full - small):3.0f} %), command took {took:.1f} s"
            )
        finally:
            machine.wherry("stop", "--kill", check=False)


if __name__ == "__main__":
    main()
