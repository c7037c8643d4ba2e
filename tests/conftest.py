"""What every test gets: no leftovers of the user's own machine, docker settings or image."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before anything imports Qt: no test may need a screen
# The tests start a thousand Python programs: where none may keep its bytecode, each compiles the whole tree.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import hypothesis
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from pytestqt.wait_signal import SignalBlocker

# No test may write into the session of whoever runs it: an agent leaves its endpoint to the session's manager.
_session = tempfile.TemporaryDirectory(prefix="wherry-session-")
for _name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
    os.environ[_name] = str(Path(_session.name) / _name)
    Path(os.environ[_name]).mkdir(mode=0o700)

pytest_plugins = ["tests.plugins.logfail", "tests.plugins.sharing", "tests.plugins.timing"]
# pytest-timeout ends a test that hangs. A deadline for each example only fails tests on a busy computer.
hypothesis.settings.register_profile("wherry", deadline=None)
hypothesis.settings.load_profile("wherry")
PATIENCE_MS = 60_000
"""How long the window may take on a computer that does three other things; nothing ever sleeps for it."""
BOOTING = ("vm", "vmimage", "faults")
"""Folders whose tests boot machines, some several times."""
BOOTING_S = 600
"""When such a test counts as one that hangs; for the others pyproject.toml says it."""
OURS = ("WHERRY_HOME", "WHERRY_IMAGE", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that boot machines their time, unless they say themselves how long they may take."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in BOOTING and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BOOTING_S))


@pytest.fixture(autouse=True)
def no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that needs one of these sets it itself."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")  # the command line speaks English


class PatientBot(QtBot):
    """Waits longer than pytest-qt's own five seconds, where a test does not say how long."""

    def waitUntil(self, callback: Callable[[], bool | None], *, timeout: int = PATIENCE_MS) -> None:
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(
        self,
        signal: Any,
        *,
        timeout: int = PATIENCE_MS,
        raising: bool | None = None,
        check_params_cb: Callable[..., bool] | None = None,
    ) -> SignalBlocker:
        return super().waitSignal(signal, timeout=timeout, raising=raising, check_params_cb=check_params_cb)


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> QtBot:
    """pytest-qt's, with patience."""
    return PatientBot(request)
