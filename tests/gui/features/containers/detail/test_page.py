"""A container's page on the fake engine: requests, display, and failures."""

from __future__ import annotations

import json
from typing import cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.features.containers.data.store import DetailStore, Job, JobKind, JobState
from app.features.containers.detail.facts_tab import FactsTab
from app.features.containers.detail.inspect_tab import InspectTab
from app.features.containers.detail.processes_tab import ProcessesTab
from app.features.containers.detail.terminal_tab import TerminalTab
from app.features.containers.page import ContainersPage
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.terminal.session import TerminalState
from app.ui.masking import MASK, is_secret
from backend.engine.container.page_types import RemoteFile
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from tests.gui.fakes.detail_window import DetailWindow
from tests.gui.scenes import detail_scenes, samples


# -- terminal ---------------------------------------------------------------------------------------------------------
def test_a_shell_is_opened_typed_in_and_resized(whole: DetailWindow) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: whole.session().state is TerminalState.RUNNING)
    # The prompt came together with the head of the answer.
    whole.wait(lambda: "shell#" in whole.text())
    QTest.keyClicks(tab.view, "hello")
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    whole.wait(lambda: "hello" in whole.text())
    assert QApplication.focusWidget() is tab.view
    program = next(iter(whole.engine.inside.programs.values()))
    QTest.keyClick(tab.view, Qt.Key.Key_Escape)  # the program's, not the page's way back
    whole.wait(lambda: program.typed.endswith(b"\x1b"))
    assert program.argv[:2] == ["sh", "-c"]
    whole.window.resize(700, 900)
    screen = whole.session().screen
    whole.wait(lambda: program.size == (screen.columns, screen.lines))


def test_a_shell_outlives_other_tabs_and_is_offered_again_when_it_ended(whole: DetailWindow) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    session = whole.session()
    whole.open("inspect")
    whole.store.intents.close_container.emit()
    whole.open("terminal")
    assert whole.session() is session
    QTest.keyClicks(tab.view, "exit 3")
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    whole.wait(lambda: session.state is TerminalState.ENDED)
    assert session.exit_code == 3
    assert tab.again.isVisible()
    QTest.mouseClick(tab.again, Qt.MouseButton.LeftButton)
    whole.wait(lambda: whole.session() is not session and whole.session().state is TerminalState.RUNNING)


def test_an_image_without_a_shell_gets_a_debug_shell_that_is_removed(whole: DetailWindow) -> None:
    whole.engine.inside.has_shell = False
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: whole.session().state is TerminalState.NO_SHELL)
    QTest.mouseClick(tab._empty.button, Qt.MouseButton.LeftButton)
    whole.wait(lambda: "shell#" in whole.text(debug=True))
    assert whole.engine.inside.images == {"wherry/debug:1"}
    made = whole.engine.inside.created[0]
    assert made["HostConfig"]["PidMode"] == made["HostConfig"]["NetworkMode"] == f"container:{whole.id}"
    assert made["HostConfig"]["AutoRemove"]
    QTest.mouseClick(tab.end, Qt.MouseButton.LeftButton)
    whole.wait(lambda: whole.engine.inside.removed == ["helper"])
    assert whole.store.part(DetailStore).terminal(whole.id, debug=True) is None


def test_a_window_rebuilt_for_another_zoom_keeps_the_shell(whole: DetailWindow) -> None:
    whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    session = whole.session()
    whole.window.rebuild()
    tab: TerminalTab = whole.open("terminal")
    assert whole.session() is session
    QTest.keyClicks(tab.view, "again")
    QTest.keyClick(tab.view, Qt.Key.Key_Return)
    whole.wait(lambda: "again" in whole.text())
    assert tab.view.session is session


def test_a_closed_terminal_hangs_up_on_what_it_started(whole: DetailWindow) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    QTest.mouseClick(tab.end, Qt.MouseButton.LeftButton)
    whole.wait(lambda: len(whole.engine.inside.programs) == 2)
    killer = list(whole.engine.inside.programs.values())[1]
    assert "kill -HUP" in killer.argv[2]


def test_an_engine_that_dies_ends_the_terminal_and_it_can_be_opened_again(whole: DetailWindow) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    session = whole.session()
    whole.engine.die()
    whole.wait(lambda: session.state is TerminalState.ENDED)
    whole.engine.listen()
    whole.wait(lambda: whole.store.engine_link is LinkState.UP)
    QTest.mouseClick(tab.again, Qt.MouseButton.LeftButton)
    whole.wait(lambda: whole.session().state is TerminalState.RUNNING)


def test_debug_shells_are_not_in_the_list_and_those_of_dead_windows_are_removed(whole: DetailWindow) -> None:
    before = len(whole.engine.entries)
    entry = dict(whole.engine.entries[0])
    entry |= {"Id": "helper", "Names": ["/helper"], "Labels": {"io.wherry.role": "debug", "io.wherry.owner": "old"}}
    whole.engine.entries.append(entry)
    lists = whole.engine.lists
    whole.link.refresh()
    whole.wait(lambda: whole.engine.lists > lists)
    assert whole.store.container("helper") is None
    whole.engine.die()
    whole.wait(lambda: whole.store.engine_link is LinkState.RECONNECTING)
    whole.engine.listen()
    whole.wait(lambda: whole.engine.inside.removed == ["helper"])
    assert len(whole.engine.entries) == before + 1  # only the debug shell was removed


# -- inspect, processes, facts -----------------------------------------------------------------------------------
def test_inspect_is_searched_and_copied_from(whole: DetailWindow) -> None:
    tab: InspectTab = whole.open("inspect")
    whole.wait(lambda: tab.model.rowCount() > 0)
    tab.search.setText("hostname")
    assert tab.tree.currentIndex().data() == "Hostname"
    first = tab._count.text()
    QTest.keyClick(tab.search, Qt.Key.Key_Return)
    assert tab._count.text() != first or tab._count.text() == "1 of 1"
    while tab.tree.currentIndex().data() != "Hostname":
        tab._step(1)
    tab._copy_path()
    assert QGuiApplication.clipboard().text() == ".Config.Hostname"
    tab._copy_value()
    assert QGuiApplication.clipboard().text() == samples.recorded("inspect")["chatty"]["Config"]["Hostname"]
    tab.search.setText("nothing like this")
    assert tab._count.text() == "No matches"
    tab._copy_all.click()
    assert json.loads(QGuiApplication.clipboard().text())["Config"]


def test_processes_are_loaded_while_visible(whole: DetailWindow) -> None:
    tab: ProcessesTab = whole.open("processes")
    whole.wait(lambda: tab._model.rowCount() == 2)
    assert tab._proxy.index(0, 0).data() == "7"  # numbers sort as numbers
    assert tab._timer.isActive()
    whole.open("inspect")
    assert not tab._timer.isActive()


def test_secrets_are_masked_until_revealed_and_not_searched(store: AppStore, window: MainWindow) -> None:
    detail_scenes.mounts(store, window)
    tab = cast(FactsTab, detail_scenes.page(window).tab("mounts"))

    def shown() -> dict[str, str]:
        sections = [tab.tree.topLevelItem(at) for at in range(tab.tree.topLevelItemCount())]
        rows = [section.child(at) for section in sections if section for at in range(section.childCount())]
        return {row.text(0): row.text(1) for row in rows if row is not None and not row.isHidden()}

    assert shown()["POSTGRES_PASSWORD"] == shown()["DATABASE_URL"] == MASK
    assert shown()["PWD"] == "/srv"
    assert "shop_data" in shown()["/var/lib/postgresql/data"]
    tab.filter.setText("correct horse")
    assert shown() == {}
    tab.filter.clear()
    tab.reveal.setChecked(True)
    assert shown()["POSTGRES_PASSWORD"] == "correct horse battery staple"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DB_PASS", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("GITHUB_TOKEN", "x", True),
        ("URL", "redis://:pw@cache", True),
        ("URL", "http://a.example/x", False),
        ("TLS_KEY_FILE", "/run/secrets/key", False),
        ("KEYBOARD", "pt", False),
        ("PASSWORD", "", False),
    ],
)
def test_what_looks_like_a_secret(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret


# -- the page ---------------------------------------------------------------------------------------------------
def test_escape_and_the_button_lead_back(store: AppStore, window: MainWindow) -> None:
    detail_scenes.processes(store, window)
    host = cast(ContainersPage, window.page("containers"))
    assert host.currentWidget() is host.detail
    QTest.keyClick(QApplication.focusWidget() or window, Qt.Key.Key_Escape)
    assert not host.is_open
    detail_scenes.processes(store, window)
    QTest.mouseClick(host.detail.header.back, Qt.MouseButton.LeftButton)
    assert not host.is_open


def test_the_head_follows_the_container(store: AppStore, window: MainWindow) -> None:
    detail_scenes.mounts(store, window)
    header = detail_scenes.page(window).header
    assert header.stop.isVisible()
    assert not header.start.isVisible()
    store.set_containers(())
    assert header._state.text() == "This container was removed"
    assert not header.start.isEnabled()


def test_a_failed_job_shows_its_problem(store: AppStore, window: MainWindow) -> None:
    detail_scenes.files(store, window)
    problem = Problem(code=ProblemCode.HOST_DISK_FULL, summary=verbatim("No space left on device"))
    job = Job(JobKind.DOWNLOAD, "c", "/x", state=JobState.FAILED, problem=problem)
    store.part(DetailStore).add_job(job)
    assert detail_scenes.page(window).jobs._rows[job]._problem.problem is problem


def test_a_remote_file_knows_whether_it_is_whole() -> None:
    file = RemoteFile(path="/x", untrusted_data=b"ab", size=3, mode=0, user_id=0, group_id=0, changed_at="")
    assert not file.is_whole
