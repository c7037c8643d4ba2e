"""How quick and how small the window is: `python tests/bench/bench_window.py`. Offscreen, with a fake agent and engine.

  usable list   from starting the process until the list of 20 containers is painted
  update gap    while an engine with 1,000 containers changes all of them again and again: the longest time that the
                window's event loop did not turn, for each change (median and worst); the list of the engine is read
                and taken apart by the same process meanwhile, as in real life
  resident      the window's process, after each of the two

The window runs in a process of its own; the engine and the agent in this one.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

DEADLINE_S = 60
SETTLE_MS = 150


def child(home: Path, wanted: int) -> None:
    """The window, with a timer that watches it. Prints a line of JSON for each thing that it saw."""
    from PySide6.QtCore import QTimer

    import app.__main__ as entry
    from app.application import WherryApp

    begin = WherryApp.start
    ticks: list[float] = []

    def say(**values: object) -> None:
        print(json.dumps(values), flush=True)

    def start(self: WherryApp, *, background: bool) -> None:
        begin(self, background=background)
        look = QTimer(self, interval=1)
        seen: list[int] = []

        def tick() -> None:
            now = time.perf_counter()
            ticks.append(now)
            model = self.window.containers.model
            if not seen and model.rowCount() >= wanted and self.window.isVisible():
                self.window.containers.table.viewport().repaint()
                seen.append(0)
                say(usable_at=time.time())
                self.store.containers_changed.connect(changed)

        def changed() -> None:
            # From before the list came until well after it was painted.
            QTimer.singleShot(SETTLE_MS, tell)

        def tell() -> None:
            recent = [tick for tick in ticks if tick > ticks[-1] - 2 * SETTLE_MS / 1000]
            ticks[:] = recent
            say(gap_ms=max(late - early for early, late in itertools.pairwise(recent)) * 1000)

        look.timeout.connect(tick)
        look.start()

    WherryApp.start = start  # type: ignore[method-assign]  # the only way to see a whole application from within
    sys.exit(entry.main(["--home", str(home)]))


class Window:
    """The child process."""

    def __init__(self, home: Path, wanted: int) -> None:
        environment = dict(os.environ) | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}
        self.begun = time.time()
        command = [sys.executable, __file__, "--child", str(home), "--wanted", str(wanted)]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def next(self) -> dict[str, Any]:
        """The next thing that it saw."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the window ended by itself")
        found: dict[str, Any] = json.loads(line)
        return found

    def resident_mib(self) -> float:
        """Of the process."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024

    def end(self) -> None:
        """Quit it."""
        self._process.terminate()
        self._process.communicate(timeout=DEADLINE_S)


def entries(count: int) -> list[dict[str, Any]]:
    """A recorded list, longer."""
    from tests.gui.scenes.samples import recorded

    some = recorded("containers")
    made = []
    for number in range(count):
        entry = dict(some[number % len(some)])
        made.append(entry | {"Id": f"{number:064x}", "Names": [f"{entry['Names'][0]}-{number}"]})
    return made


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--wanted", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--containers", type=int, default=1000)
    options = parser.parse_args()
    if options.child is not None:
        child(options.child, options.wanted)
        return
    from backend.control.launch import machine_directory
    from backend.model import EngineEndpoint, Phase
    from tests.gui.fakes.fake_agent import FakeAgent
    from tests.gui.fakes.fake_engine import FakeEngine
    from tests.gui.scenes.samples import status

    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        # As an installed program has it: its own modules are compiled once, not at each start.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(name) / "compiled")
        where = machine_directory(home)
        where.agent_socket.parent.mkdir(parents=True)
        with FakeEngine(Path(name) / "docker.sock") as engine, FakeAgent(where.agent_socket) as agent:
            agent.status = dataclasses.replace(
                status(Phase.RUNNING), endpoint=EngineEndpoint(url=engine.url, ready=True)
            )
            engine.entries = entries(20)
            took = []
            for number in range(options.starts + 1):
                window = Window(home, 20)
                usable_at = window.next()["usable_at"]
                if number:  # the first one compiles
                    took.append(usable_at - window.begun)
                resident = window.resident_mib()
                window.end()
            print(f"usable list, 20 containers     median {statistics.median(took):6.2f} s   worst {max(took):6.2f} s")
            print(f"resident, 20 containers        {resident:6.0f} MiB")
            engine.entries = entries(options.containers)
            window = Window(home, options.containers)
            window.next()
            gaps = []
            for turn in range(options.updates):
                engine.entries = [
                    entry | {"Status": f"Up {turn + 2} minutes", "State": "running"} for entry in engine.entries
                ]
                engine.happen("exec_start", "none")
                gaps.append(window.next()["gap_ms"])
                time.sleep(0.3)
            what = f"update gap, {options.containers} change"
            print(f"{what:30} median {statistics.median(gaps):6.1f} ms  worst {max(gaps):6.1f} ms")
            print(f"resident, {options.containers} containers      {window.resident_mib():6.0f} MiB")
            window.end()


if __name__ == "__main__":
    main()
