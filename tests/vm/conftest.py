"""One real machine for all tests of this folder, and a real registry on the loopback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtWidgets import QApplication

from app.application import WherryApp
from backend.api import ensure_agent
from tests.vm.support.machine import ARTIFACTS, Machine, give_verdicts, keep_verdicts
from tests.vm.support.registry import serve_registry
from tests.vm.support.tools import Tools, find_tools

_LOG_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the machine's own logs with a failure: what happened inside is seldom in the test's words."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for machine in (value for value in item.funcargs.values() if isinstance(value, Machine)):
            for log in sorted((machine.home / "logs").glob("*.log")):
                lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
                report.sections.append((f"end of {log.name}", "\n".join(lines)))
    return report


@pytest.fixture(scope="session")
def image_directory() -> Path:
    """The guest image under test."""
    named = os.environ.get("WHERRY_TEST_IMAGE")
    if not named:
        pytest.fail("WHERRY_TEST_IMAGE does not name a guest image; run: python3 packaging/dev.py test")
    return Path(named)


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The docker CLI, buildx, Compose and the registry."""
    return find_tools()


@pytest.fixture(scope="session")
def machine(image_directory: Path, tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A running machine, in a home that has spaces, a comma and letters beyond ASCII in its name."""
    base = tmp_path_factory.mktemp("m")
    docker_config = base / "docker"
    docker_config.mkdir()
    (docker_config / "cli-plugins").symlink_to(tools.plugins)
    made = Machine(home=base / "Zoë's, 2nd", image=image_directory, tools=tools, docker_config=docker_config)
    made.home.mkdir()
    (made.home / "daemon.json").write_text('{"insecure-registries": ["10.0.2.2/32"]}')
    made.wherry("config", "set", "image.directory", str(image_directory))  # for agents that the window starts, too
    try:
        made.wherry("start")
        keep_verdicts(made.home)
        made.import_busybox()
        yield made
    finally:
        made.wherry("stop", "--quit", check=False)
        ARTIFACTS.mkdir(exist_ok=True)
        shutil.copytree(made.home / "logs", ARTIFACTS / "machine-logs", dirs_exist_ok=True)


@pytest.fixture
def fresh(image_directory: Path, tools: Tools, tmp_path: Path) -> Iterator[Machine]:
    """A machine that was never started; its processes and files are removed after the test."""
    docker_config = tmp_path / "docker"
    docker_config.mkdir()
    made = Machine(home=tmp_path / "home", image=image_directory, tools=tools, docker_config=docker_config)
    give_verdicts(made.home)
    yield made
    if made.home.exists():
        made.wherry("stop", "--kill", "--quit", check=False)


@pytest.fixture(scope="session")
def registry(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry; yields its address as the guest reaches it."""
    with serve_registry(tools, tmp_path_factory.mktemp("registry")) as port:
        yield f"10.0.2.2:{port}"


@pytest.fixture
def window(machine: Machine, qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[WherryApp]:
    """The whole window on the machine, as `wherry-desktop --home` builds it."""
    ARTIFACTS.mkdir(exist_ok=True)
    monkeypatch.setenv("DOCKER_CONFIG", str(machine.docker_config))  # an agent that it starts inherits this
    whole = WherryApp(qapp, lambda: ensure_agent(machine.home))
    whole.start(background=False)
    yield whole
    whole.close()
    # At once and in order, not when Python gets to it in the middle of the next window's life.
    shiboken6.delete(whole.window)
    shiboken6.delete(whole)
