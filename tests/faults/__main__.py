"""Injects faults into a machine and checks that it recovers.

    python -m tests.faults --target fake --count 1000 --seed 7
    python -m tests.faults --target real --minutes 25 --seed 7 --out artifacts/faults.jsonl
    python -m tests.faults --target real --replay artifacts/faults.jsonl:17 --times 5

Prints a line per fault and a table at the end; exit code 1 if one failed. The real machine uses the image in
$WHERRY_TEST_IMAGE, or else the newest in the cache.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from tests.faults import plan
from tests.faults.fake import FakeTarget
from tests.faults.plan import Fault, Kind, Stage
from tests.faults.report import table
from tests.faults.run import Outcome, perform_all
from tests.faults.target import Target, isolated

FAKE_WEIGHTS = {Stage.START: 2, Stage.STOP: 2}
DEADLINES = {"fake": "idle=60,shutdown=10", "real": ""}
REAL_WEIGHTS = {Stage.RUNNING: 2}

_asked_to_end = threading.Event()


def main() -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n")[0])
    parser.add_argument("--target", choices=("real", "fake"), required=True)
    parser.add_argument("--count", type=int, default=1_000_000, help="how many faults (as many as there is time for)")
    parser.add_argument("--minutes", type=float, help="begin no fault after this time")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--parallel", type=int, default=1, help="how many machines at once (fake)")
    parser.add_argument("--stage", type=Stage, action="append", help="only this stage; may be given again")
    parser.add_argument("--kind", type=Kind, action="append", help="only this kind; may be given again")
    parser.add_argument("--replay", metavar="FILE:LINE", help="one fault of an earlier run")
    parser.add_argument("--times", type=int, default=1, help="how often to replay it")
    parser.add_argument("--out", type=Path, default=None, help="file that gets a JSON line for each fault")
    options = parser.parse_args()
    if options.count > 100_000 and options.minutes is None and not options.replay:
        parser.error("say --count or --minutes")
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # the machines are ended after the present fault, and the table is told
        signal.signal(number, lambda *_: _asked_to_end.set())
    print(f"seed {options.seed}", flush=True)
    out = options.out.open("a", encoding="utf-8") if options.out else None
    try:
        with isolated(DEADLINES[options.target]) as base, ThreadPoolExecutor(options.parallel) as pool:
            parts = pool.map(lambda part: _run(options, part, base / str(part), out), range(options.parallel))
            outcomes = [outcome for part in parts for outcome in part]
    finally:
        if out is not None:
            out.close()
    print(table(outcomes))
    return int(any(outcome.how == "failed" for outcome in outcomes))


def make_target(name: str, base: Path) -> Target:
    """Create the target "real" or "fake" in the new directory `base`; it is not set up yet."""
    base.mkdir()
    if name == "fake":
        return FakeTarget(base)
    from tests.faults.real import RealTarget

    return RealTarget(base)


def _run(options: argparse.Namespace, part: int, base: Path, out: TextIO | None) -> list[Outcome]:
    until = time.monotonic() + options.minutes * 60 if options.minutes else math.inf
    target = make_target(options.target, base)
    seed = options.seed + part
    try:
        target.set_up()
        faults = _replayed(options) if options.replay else faults_of(target, seed, options, part)
        head = {"seed": seed, "target": options.target}
        outcomes = perform_all(
            target,
            faults,
            is_over=lambda: _asked_to_end.is_set() or time.monotonic() > until,
            artefact=out,
            head=head,
            report=lambda line: print(line, flush=True),
        )
        if target.status().phase.is_live:
            target.wherry("stop")
        print(f"the data disk at the end: {target.check_disk()}")
        return outcomes
    finally:
        target.close()


def faults_of(target: Target, seed: int, options: argparse.Namespace, part: int) -> list[Fault]:
    """The plan of machine number `part`."""
    return plan.make(
        seed,
        min(options.count // options.parallel + (part < options.count % options.parallel), 20_000),
        stages=frozenset(options.stage or target.features()),
        kinds=frozenset(options.kind or target.kinds),
        weights=FAKE_WEIGHTS if options.target == "fake" else REAL_WEIGHTS,
    )


def _replayed(options: argparse.Namespace) -> list[Fault]:
    path, _, line = options.replay.rpartition(":")
    fields = json.loads(Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1])
    return [Fault.from_dict(fields)] * options.times


if __name__ == "__main__":
    sys.exit(main())
