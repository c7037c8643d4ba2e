"""The tray icon in a real tray on a real display, clicked with a mouse. A screenshot is saved."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.model import Phase
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.scenes import samples

ROOT = Path(__file__).parents[3]
ARTIFACTS = ROOT / "artifacts"
PATIENCE_S = 30.0
SHOT = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
app.primaryScreen().grabWindow(0).save(sys.argv[1])
"""


def needs(program: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is not installed; run: python3 packaging/dev.py test"
    return found


class Screen:
    """A display with a tray in its corner."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.children = [
            subprocess.Popen(
                [needs("Xvfb"), "-displayfd", str(writer), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
                pass_fds=(writer,),
                stderr=subprocess.DEVNULL,
            )
        ]
        os.close(writer)
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb did not start"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("QT_", "WAYLAND"))},
            "DISPLAY": f":{number}",
            "QT_QPA_PLATFORM": "xcb",
            # This is the older tray protocol (XEmbed); a desktop's StatusNotifier host must not take the icon.
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "PYTHONPATH": str(ROOT),
        }

    def open_tray(self) -> None:
        where = ("--edge", "top", "--align", "right", "--widthtype", "request", "--heighttype", "pixel")
        self.start(needs("trayer"), *where, "--height", "28")
        self.until(lambda: self.windows("--class", "trayer"), "the tray is there")

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        made = subprocess.Popen(command, env=self.environment, text=True, **options)
        self.children.append(made)
        return made

    def xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            [needs("xdotool"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout

    def windows(self, *criteria: str) -> list[str]:
        return self.xdotool("search", "--onlyvisible", *criteria).split()

    def place(self, window: str) -> tuple[int, int, int, int]:
        told = dict(
            line.split("=", 1)
            for line in self.xdotool("getwindowgeometry", "--shell", window).splitlines()
            if "=" in line
        )
        return int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"])

    def click(self, x: int, y: int, button: int = 1) -> None:
        self.xdotool("mousemove", str(x), str(y), "click", str(button))

    def save(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-c", SHOT, str(path)], env=self.environment, check=True, timeout=60)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (value := holds()):
            assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s: {what}"
            time.sleep(0.1)
        return value

    def close(self) -> None:
        for child in reversed(self.children):
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait(10)
            if child.stdout is not None:
                child.stdout.close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    try:
        made.open_tray()
        yield made
    finally:
        made.close()


def line(child: subprocess.Popen[str]) -> dict[str, Any]:
    """Read the next JSON line that the window prints."""
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], PATIENCE_S)
    assert ready, "the window said nothing"
    read: dict[str, Any] = json.loads(child.stdout.readline())
    return read


@pytest.mark.slow
def test_the_icon_is_clicked_and_an_entry_chosen(screen: Screen, agent: FakeAgent) -> None:
    agent.status = samples.status(Phase.DEGRADED, endpoint=None)
    window = screen.start(sys.executable, "-m", "tests.gui.tray_window", str(agent.path), stdout=subprocess.PIPE)
    assert line(window) == {"platform": "xcb", "tray": True}
    tray = screen.windows("--class", "trayer")[0]
    screen.until(lambda: agent.connections, "the window has found its agent")
    x, y, width, height = screen.until(
        lambda: place if (place := screen.place(tray))[2] >= 20 else None, "the icon is in the tray"
    )
    centre = x + width // 2, y + height // 2
    assert not screen.windows("--name", "^Wherry$"), "started in the background: only the icon"
    screen.click(*centre)
    screen.until(lambda: screen.windows("--name", "^Wherry$"), "a click shows the window")
    screen.click(*centre, button=3)
    places = line(window)
    screen.save(ARTIFACTS / "tray-host.png")
    assert any(words.startswith("Machine: Running") for words in places)
    screen.click(*places["Stop"])
    screen.until(lambda: agent.requests and agent.requests[-1].name == "stop", "the entry was chosen")
    window.terminate()
    assert window.wait(20) == 0
    assert agent.status.phase is Phase.DEGRADED
