"""The window on the real machine, used as a person would; screenshots are saved for review."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.features.containers.form.form import ContainerForm
from app.features.containers.list.columns import ContainerColumn
from app.features.containers.page import ContainersPage
from app.features.logs.view.tab import LogsTab
from app.links.link_state import LinkState
from backend.api import ContainerAction, Phase
from tests.vm.support.machine import ARTIFACTS, BUSYBOX, Machine

pytestmark = [
    pytest.mark.vm,
    pytest.mark.gui,
    # Not our warning: Qt's offscreen platform logs it whenever a window is shown.
    pytest.mark.qt_log_ignore("This plugin does not support", extend=True),
]
WAIT_MS = 120_000


@pytest.fixture
def container(machine: Machine) -> Iterator[str]:
    """A container that prints lines."""
    name = "talker"
    script = "i=0; while true; do i=$((i+1)); echo saying $i; sleep 0.5; done"
    machine.docker("run", "-d", "--init", "--name", name, BUSYBOX, "sh", "-c", script)
    yield name
    machine.docker("rm", "-f", name, check=False)


def test_a_container_is_listed_opened_and_stopped(
    machine: Machine, window: WherryApp, container: str, qtbot: QtBot
) -> None:
    view = window.window.containers

    def cell(row: int, column: ContainerColumn) -> str:
        return str(view.model.index(row, column).data())

    def row_of(name: str) -> int | None:
        rows = range(view.model.rowCount())
        return next((row for row in rows if cell(row, ContainerColumn.NAME) == name), None)

    qtbot.waitUntil(lambda: window.store.machine is not None, timeout=WAIT_MS)
    status = window.store.machine
    assert status is not None
    assert status.phase is Phase.RUNNING
    qtbot.waitUntil(lambda: row_of(container) is not None, timeout=WAIT_MS)

    # It arrives by the engine's events, not by polling.
    machine.docker("run", "-d", "--name", "second", BUSYBOX, "sleep", "1000")
    qtbot.waitUntil(lambda: row_of("second") is not None, timeout=WAIT_MS)
    machine.docker("rm", "-f", "second")
    qtbot.waitUntil(lambda: row_of("second") is None, timeout=WAIT_MS)

    row = row_of(container)
    assert row is not None
    view.table.selectRow(row)
    view.table.setFocus()
    QTest.keyClick(view.table, Qt.Key.Key_Return)
    page = window.window.page("containers")
    assert isinstance(page, ContainersPage)
    logs = page.detail.tab("logs")
    assert isinstance(logs, LogsTab)
    qtbot.waitUntil(lambda: "saying 3" in logs.lines.visible_text(), timeout=WAIT_MS)
    assert window.window.grab().save(str(ARTIFACTS / "window-live.png"))

    view.table.selectRow(row)
    view.actions_by_kind[ContainerAction.STOP].trigger()
    qtbot.waitUntil(
        lambda: machine.docker("inspect", "-f", "{{.State.Running}}", container).stdout.strip() == "false",
        timeout=WAIT_MS,
    )
    machine.docker("start", container)


def test_a_container_is_run_from_the_form_and_its_command_copied(
    machine: Machine, window: WherryApp, qapp: QApplication, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: window.store.engine_link is LinkState.UP, timeout=WAIT_MS)
    window.store.intents.new_container.emit(BUSYBOX)

    def form() -> ContainerForm | None:
        return next((widget for widget in qapp.topLevelWidgets() if isinstance(widget, ContainerForm)), None)

    qtbot.waitUntil(lambda: form() is not None, timeout=WAIT_MS)
    shown = form()
    assert shown is not None
    shown.fields.lines["name"].setText("from-form")
    shown.fields.lines["command"].setText("sleep 1000")
    assert shown.grab().save(str(ARTIFACTS / "form-live.png"))
    try:
        shown.copy.click()
        copied = qapp.clipboard().text()
        assert copied.startswith("docker run")
        assert "--name from-form" in copied
        shown.submit()

        def runs() -> bool:
            wanted = ("inspect", "-f", "{{.State.Running}} {{json .Config.Cmd}}", "from-form")
            return machine.docker(*wanted, check=False).stdout.strip() == 'true ["sleep","1000"]'

        qtbot.waitUntil(runs, timeout=WAIT_MS)
        # The list shows the new container, and the form is closed.
        qtbot.waitUntil(lambda: form() is None, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: "from-form" in [entry.name for entry in window.store.containers or ()], timeout=WAIT_MS)
    finally:
        machine.docker("rm", "-f", "from-form", check=False)


def test_a_container_is_recreated_with_its_settings(
    machine: Machine, window: WherryApp, qapp: QApplication, qtbot: QtBot
) -> None:
    made = (
        "--name",
        "anew",
        "-p",
        "8081:80",
        "-v",
        "anew-data:/data",
        "-e",
        "A=1",
        "--memory",
        "64m",
        "--label",
        "x=y",
    )
    machine.docker("run", "-d", "--init", "--restart", "unless-stopped", *made, BUSYBOX, "sleep", "1000")
    try:

        def inspect(what: str) -> str:
            return machine.docker("inspect", "-f", what, "anew", check=False).stdout.strip()

        before = inspect("{{.Id}}")
        qtbot.waitUntil(lambda: window.store.container(before) is not None, timeout=WAIT_MS)
        window.store.intents.edit_container.emit(before)

        def form() -> ContainerForm | None:
            return next((widget for widget in qapp.topLevelWidgets() if isinstance(widget, ContainerForm)), None)

        qtbot.waitUntil(lambda: form() is not None, timeout=WAIT_MS)
        shown = form()
        assert shown is not None
        assert shown.fields.lines["name"].text() == "anew"
        row = shown.fields.variables.add()
        for name, text in (("name", "B"), ("value", "two words")):
            field = row.fields[name]
            assert isinstance(field, QLineEdit)
            field.setText(text)
        shown.submit()
        qtbot.waitUntil(
            lambda: inspect("{{.Id}}") not in ("", before) and inspect("{{.State.Running}}") == "true", timeout=WAIT_MS
        )
        qtbot.waitUntil(lambda: form() is None, timeout=WAIT_MS)
        assert {"A=1", "B=two words"} <= set(json.loads(inspect("{{json .Config.Env}}")))
        assert inspect("{{.HostConfig.Memory}}") == str(64 * 1024**2)
        assert inspect("{{.HostConfig.RestartPolicy.Name}}") == "unless-stopped"
        assert inspect("{{.HostConfig.Init}}") == "true"
        assert json.loads(inspect("{{json .HostConfig.PortBindings}}"))["80/tcp"][0]["HostPort"] == "8081"
        assert inspect('{{(index .Mounts 0).Name}} {{(index .Config.Labels "x")}}') == "anew-data y"
        assert machine.docker("ps", "-a", "-q", "--filter", "name=anew").stdout.count("\n") == 1  # the old one is gone
    finally:
        machine.docker("rm", "-f", "anew", check=False)
        machine.docker("volume", "rm", "anew-data", check=False)


def test_a_dead_agent_is_replaced_and_the_window_keeps_working(
    machine: Machine, window: WherryApp, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: window.store.machine is not None, timeout=WAIT_MS)
    agent = machine.agent_pid()
    assert agent is not None
    os.kill(agent, signal.SIGKILL)

    def recovered() -> bool:
        status = window.store.machine
        return machine.agent_pid() not in (None, agent) and status is not None and status.phase is Phase.RUNNING

    qtbot.waitUntil(recovered, timeout=WAIT_MS)


def test_stop_and_start_from_the_window(machine: Machine, window: WherryApp, qtbot: QtBot) -> None:
    def phase() -> Phase | None:
        return window.store.machine.phase if window.store.machine is not None else None

    qtbot.waitUntil(lambda: phase() is Phase.RUNNING, timeout=WAIT_MS)
    QTest.mouseClick(window.window.header.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phase() is Phase.STOPPED, timeout=WAIT_MS)
    assert window.window.grab().save(str(ARTIFACTS / "window-stopped.png"))
    QTest.mouseClick(window.window.header.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: phase() is Phase.BOOTING, timeout=WAIT_MS)
    assert window.window.grab().save(str(ARTIFACTS / "window-starting.png"))
    qtbot.waitUntil(lambda: phase() is Phase.RUNNING, timeout=3 * WAIT_MS)
    machine.docker("ps")
