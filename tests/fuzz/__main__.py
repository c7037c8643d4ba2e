"""Runs all fuzz targets: `python -m tests.fuzz --inputs 1000000 [--seed N]`. Prints a table of the results.

An input depends only on the seed, the name of its target and its number, so a failure is repeated by
`--seed N --target NAME --at NUMBER`.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import sys
import time
import traceback

import psutil

from tests.fuzz.streams import VirtualLoop
from tests.fuzz.targets import TARGETS, Target

_WARM_UP = 300
"""Inputs after which caches are full. Growth of memory is measured from there."""
_MAX_GROWTH_MIB = 64
_REPORT_EVERY_S = 30


def source_for(seed: int, target: Target, number: int) -> random.Random:
    """The random source of input `number`."""
    return random.Random(f"{seed}/{target.name}/{number}")


def resident_mib() -> float:
    """Resident memory of this process in MiB."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1024**2


def fuzz(target: Target, inputs: int, seed: int, *, first: int = 0) -> tuple[int, float, float, list[str]]:
    """Run one target. Returns the number of inputs, seconds, memory growth in MiB, and failures (at most five)."""
    loop = VirtualLoop()
    begun, reported = time.monotonic(), time.monotonic()
    before, failures, done = resident_mib(), [], 0
    for number in range(first, first + inputs):
        if number - first == _WARM_UP:
            before = resident_mib()
        given = None
        try:
            given = target.make(source_for(seed, target, number))
            target.run(loop, given)
        except Exception:  # noqa: BLE001 -- any exception is a failure of the target
            failures.append(
                f"{target.name} --seed {seed} --at {number}\n{repr(given)[:2000]}\n{traceback.format_exc()}"
            )
            sys.stderr.write(failures[-1] + "\n")
            loop = VirtualLoop()
        done += 1
        if len(failures) >= 5:
            break
        if time.monotonic() - reported > _REPORT_EVERY_S:
            reported = time.monotonic()
            sys.stderr.write(f"{target.name}: {done} of {inputs}\n")
    loop.close()
    return done, time.monotonic() - begun, resident_mib() - before, failures


def main() -> int:
    """Run the command line. Returns 1 if a target failed, otherwise 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="in all, shared out to the targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", default="", help="only targets whose name holds this")
    parser.add_argument("--at", type=int, default=None, help="only the input of this number")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL if options.at is None else logging.NOTSET)
    logging.getLogger("backend.engine.front.proxy").disabled = False
    chosen = [target for target in TARGETS if options.target in target.name]
    shares = sum(target.share for target in chosen)
    all_failures: list[str] = []
    total = 0
    print(f"{'target':34} {'inputs':>9} {'seconds':>8} {'per s':>7} {'growth MiB':>10} {'failures':>8}")
    for target in chosen:
        inputs = 1 if options.at is not None else max(1, -(-options.inputs * target.share // shares))
        done, seconds, growth, failures = fuzz(target, inputs, options.seed, first=options.at or 0)
        if growth > _MAX_GROWTH_MIB:
            failures.append(f"{target.name}: memory grew by {growth:.0f} MiB")
            sys.stderr.write(failures[-1] + "\n")
        rate = done / max(seconds, 1e-9)
        print(f"{target.name:34} {done:9} {seconds:8.1f} {rate:7.0f} {growth:10.1f} {len(failures):8}", flush=True)
        all_failures += failures
        total += done
    print(f"{'all':34} {total:9}")
    return 1 if all_failures else 0


if __name__ == "__main__":
    sys.exit(main())
