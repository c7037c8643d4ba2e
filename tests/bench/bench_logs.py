"""How a million log lines fare in the window: `python tests/bench/bench_logs.py [--lines N] [--containers N]`.

Everything on the way is real but the engine: a process of its own answers over a unix socket as dockerd does, each line
a frame in a chunk of its own. The window is whole, drawn offscreen, and follows the log while it pours in.

  poured     from asking for the log until its last line is in sight, and the scroll bar spans all
  memory     growth of the process's resident memory over that time, at its peak and after it
  gap        the longest time in which the event loop did nothing else, while lines poured in
  scroll     from moving the scroll bar to a line that was never shown until it is drawn
  search     until all lines were searched; and the longest gap of the event loop meanwhile
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if TYPE_CHECKING:
    from app.features.logs.data.search import LogSearch

DEADLINE_S = 180.0
_WORDS = ("INFO ", "INFO ", "DEBUG", "INFO ", "WARN ", "INFO ", "ERROR", "INFO ")


def line(number: int) -> bytes:
    """A line such as a web service writes, with its time, a hundred bytes or so."""
    level = _WORDS[number * 7919 % 8]
    second, nano = divmod(number * 431_000, 1_000_000_000)
    return (
        f"2026-11-23T{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{nano:09d}Z "
        f"\x1b[3{number % 7 + 1}m{level}\x1b[0m [http-{number % 16}] GET /api/v1/boats/{number} 200 {number % 97} ms "
        f"trace={number * 2654435761 % 2**32:08x} agent=Mozilla/5.0\n"
    ).encode()


def serve(path: Path, lines: int, containers: int) -> None:
    """Be the engine, in a process of its own, until the input ends."""
    from tests.gui.fakes.fake_engine import FakeEngine, frame

    engine = FakeEngine(path)
    wires: list[list[bytes]] = [[] for _ in range(containers)]
    for number in range(lines):
        framed = frame(line(number))
        wires[number % containers].append(b"%x\r\n%b\r\n" % (len(framed), framed))
    template = engine.entries[0]
    engine.entries = []
    for number, wire in enumerate(wires):
        container_id = f"{number + 1:064x}"
        engine.entries.append(template | {"Id": container_id, "Names": [f"/bench-{number}"], "State": "running"})
        engine.wire_logs[container_id] = b"".join(wire)
    with engine:
        print("ready", flush=True)
        sys.stdin.read()


def memory_mib(key: str = "VmRSS") -> float:
    """Of this process; "VmHWM" is the peak since `reset_peak`."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(row for row in status.splitlines() if row.startswith(key)).split()[1]) / 1024


def reset_peak() -> None:
    """Let the peak begin at the present."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


class Loop:
    """Runs the event loop and measures its gaps."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._timer = QTimer(interval=1)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self.gaps: list[float] = []
        self._last = 0.0

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    def run_until(self, condition: Callable[[], bool]) -> float:
        """Seconds until it was true."""
        from PySide6.QtCore import QCoreApplication, QEventLoop

        begun = self._last = time.perf_counter()
        self.gaps = []
        self._timer.start()
        while not condition():
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if time.perf_counter() - begun > DEADLINE_S:
                raise TimeoutError("it never came")
        self._timer.stop()
        return time.perf_counter() - begun

    def worst(self) -> str:
        """The longest gap and the 99th percentile, in milliseconds."""
        ordered = sorted(self.gaps)
        return f"{ordered[-1] * 1000:.1f} ms (99 %: {ordered[len(ordered) * 99 // 100] * 1000:.1f} ms)"


def measure(url: str, lines: int, containers: int) -> None:
    """One run, from an empty window."""
    from PySide6.QtWidgets import QApplication

    from app.application import WherryApp
    from app.features.logs.view.page import LogsPage
    from app.links.link_state import LinkState

    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    whole = WherryApp(app, lambda: "")
    loop = Loop()
    whole.show_window()
    whole.engine_link.set_endpoint(url)
    loop.run_until(lambda: whole.store.engine_link is LinkState.UP and whole.store.containers is not None)
    page = whole.window.page("logs")
    assert isinstance(page, LogsPage)
    page.choose(())
    whole.window.show_page("logs")
    loop.run_until(lambda: not page.pane.container_ids)
    ids = tuple(f"{number + 1:064x}" for number in range(containers))
    view = page.pane.lines
    before = memory_mib()
    reset_peak()

    def all_shown() -> bool:
        rows = view.visible_rows() if view.shown.count == lines else []
        return bool(rows) and rows[-1].number == lines - 1 and view.verticalScrollBar().maximum() > lines - 200

    begun = time.perf_counter()
    page.choose(ids)
    loop.run_until(all_shown)
    print(f"poured   {time.perf_counter() - begun:6.2f} s for {lines:,} lines of {containers} container(s)")
    print(f"gap      {loop.worst()}")
    print(
        f"memory   +{memory_mib('VmHWM') - before:.1f} MiB at its peak, +{memory_mib() - before:.1f} after;"
        f" from {before:.0f}"
    )
    scroll(view, lines)
    for words, regex in (("boats/77777", False), ("GET", False), (r"trace=[0-9a-f]+00 .*Mozilla", True)):
        page.pane.searching.regex.setChecked(regex)
        page.pane.searching.field.setText(words)
        page.pane._begin_search()
        search = page.pane._search
        assert search is not None
        took = loop.run_until(partial(is_done, search))
        print(f"search   {took:6.2f} s, {len(search.matches):,} lines match {words!r}; gap {loop.worst()}")
    print(f"memory   +{memory_mib('VmHWM') - before:.1f} MiB at its peak, search included")
    whole.close()


def is_done(search: LogSearch) -> bool:
    """Whether all lines were searched."""
    return search.is_done


def scroll(view: object, lines: int) -> None:
    """To places all over the log, drawn each time."""
    from PySide6.QtCore import QCoreApplication

    from app.features.logs.view.lines_view import LinesView

    assert isinstance(view, LinesView)
    times = []
    for number in range(50):
        begun = time.perf_counter()
        view.verticalScrollBar().setValue(number * 7_919_993 % lines)
        view.viewport().repaint()
        times.append((time.perf_counter() - begun) * 1000)
        QCoreApplication.processEvents()
    print(f"scroll   median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms")
    view.jump_to_end()


def main() -> None:
    """Serve and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--containers", type=int, default=1)
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.lines, options.containers)
        return
    with tempfile.TemporaryDirectory(dir=Path.home()) as directory:
        os.environ |= {"XDG_CACHE_HOME": directory, "XDG_CONFIG_HOME": directory, "XDG_DATA_HOME": directory}
        path = Path(directory) / "docker.sock"
        numbers = ["--lines", str(options.lines), "--containers", str(options.containers)]
        argv = [sys.executable, __file__, "--serve", str(path), *numbers]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            try:
                measure(f"unix://{path}", options.lines, options.containers)
            finally:
                server.communicate()


if __name__ == "__main__":
    main()
