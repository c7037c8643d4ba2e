"""A container's page on the fake engine: what is asked, what is shown, what becomes of it when things go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.container_files import FileEntry, Listing, from_wire, listing_from_answer, shown_path, to_wire
from app.detail_store import Job, JobKind, JobState
from app.engine_link import EngineLink
from app.machine_link import MachineLink
from app.main_window import MainWindow
from app.masking import MASK, is_secret
from app.store import AppStore, LinkState
from app.terminal.session import TerminalSession, TerminalState
from app.tray import Tray
from app.views.containers_page import ContainersPage
from app.views.detail.commit_dialog import CommitDialog
from app.views.detail.facts_tab import FactsTab
from app.views.detail.file_viewer import hex_dump, picture_of, text_of
from app.views.detail.files_model import rows_of
from app.views.detail.files_tab import FilesTab
from app.views.detail.inspect_tab import InspectTab
from app.views.detail.page import DetailPage
from app.views.detail.processes_tab import ProcessesTab
from app.views.detail.terminal_tab import TerminalTab
from app.wiring.containers import ContainersWiring
from app.wiring.detail import DetailWiring
from app.wiring.parts import Parts
from backend.engine.page_types import ChangeKind, RemoteFile
from backend.errors import Problem, ProblemCode
from backend.model import Phase
from tests.gui import detail_scenes, samples
from tests.gui.fake_engine import FakeEngine

# docker-py leaves a socket to the garbage collector when nobody listens, which two tests here are about.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


class Whole:
    """Window, links and wiring on the fake engine."""

    def __init__(self, store: AppStore, window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
        self.store, self.window, self.engine, self.qtbot = store, window, engine, qtbot
        self.link = EngineLink()
        self.machine_link = MachineLink(lambda: "")
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        parts = Parts(app, store, self.machine_link, self.link, window, Tray(store, window))
        ContainersWiring(parts, window)
        self.wiring = DetailWiring(parts, window)
        store.set_agent_link(LinkState.UP)
        store.set_machine(samples.status(Phase.RUNNING))
        self.link.set_endpoint(engine.url)
        self.wait(lambda: store.containers)
        self.id = next(entry.id for entry in store.containers or () if entry.state.value == "running")
        self.asked: list[tuple[str, dict[str, Any]]] = []
        # The agent is a matter of other tests: what it is asked is noted, what it answers is said here.
        self.machine_link.request = lambda name, **args: self.asked.append((name, args))  # type: ignore[method-assign]

    def wait(self, condition: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=5000)

    def open(self, tab: str) -> Any:
        self.store.intents.open_container.emit(self.id, tab)
        return self.page.tab(tab)

    @property
    def page(self) -> DetailPage:
        return cast(ContainersPage, self.window.page("containers")).detail

    def session(self, *, debug: bool = False) -> TerminalSession:
        found = self.store.detail.terminal(self.id, debug=debug)
        assert found is not None
        return found

    def text(self, *, debug: bool = False) -> str:
        screen = self.session(debug=debug).screen
        return "\n".join(screen.row_text(row) for row in range(screen.lines))

    def close(self) -> None:
        self.wiring.close()
        self.link.close()
        self.machine_link.close()


@pytest.fixture
def whole(store: AppStore, window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> Iterator[Whole]:
    made = Whole(store, window, engine, qtbot)
    yield made
    made.close()


# -- terminal ---------------------------------------------------------------------------------------------------------
def test_a_shell_is_opened_typed_in_and_resized(whole: Whole) -> None:
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


def test_a_shell_outlives_other_tabs_and_is_offered_again_when_it_ended(whole: Whole) -> None:
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


def test_an_image_without_a_shell_gets_a_debug_shell_that_is_removed(whole: Whole) -> None:
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
    assert whole.store.detail.terminal(whole.id, debug=True) is None


def test_a_closed_terminal_hangs_up_on_what_it_started(whole: Whole) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    QTest.mouseClick(tab.end, Qt.MouseButton.LeftButton)
    whole.wait(lambda: len(whole.engine.inside.programs) == 2)
    killer = list(whole.engine.inside.programs.values())[1]
    assert "kill -HUP" in killer.argv[2]


def test_an_engine_that_dies_ends_the_terminal_and_it_can_be_opened_again(whole: Whole) -> None:
    tab: TerminalTab = whole.open("terminal")
    whole.wait(lambda: "shell#" in whole.text())
    session = whole.session()
    whole.engine.die()
    whole.wait(lambda: session.state is TerminalState.ENDED)
    whole.engine.listen()
    whole.wait(lambda: whole.store.engine_link is LinkState.UP)
    QTest.mouseClick(tab.again, Qt.MouseButton.LeftButton)
    whole.wait(lambda: whole.session().state is TerminalState.RUNNING)


def test_debug_shells_are_not_in_the_list_and_those_of_dead_windows_are_removed(whole: Whole) -> None:
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
    assert len(whole.engine.entries) == before + 1  # nothing but the helper was asked to go


# -- inspect, processes, facts -----------------------------------------------------------------------------------
def test_inspect_is_searched_and_copied_from(whole: Whole) -> None:
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
    assert tab._count.text() == "No match"
    tab._copy_all.click()
    assert json.loads(QGuiApplication.clipboard().text())["Config"]


def test_processes_are_asked_while_they_are_seen(whole: Whole) -> None:
    tab: ProcessesTab = whole.open("processes")
    whole.wait(lambda: tab._model.rowCount() == 2)
    assert tab._proxy.index(0, 0).data() == "7"  # numbers sort as numbers
    assert tab._timer.isActive()
    whole.open("inspect")
    assert not tab._timer.isActive()


def test_secrets_are_hidden_until_asked_for_and_not_found_by_the_filter(store: AppStore, window: MainWindow) -> None:
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


# -- files ------------------------------------------------------------------------------------------------------
def listed(whole: Whole, path: str, *entries: list[Any]) -> None:
    """Let the agent answer."""
    directory = [".", 0o40755, 4096, 1, 5, 6, ""]
    answer = {"container": whole.id, "path": path, "resolved": path, "directory": directory, "entries": list(entries)}
    whole.machine_link.answered.emit("files.list", answer)
    whole.machine_link.replied.emit("files.list", None)


def names(tab: FilesTab) -> dict[str, str]:
    rows = range(tab.proxy.rowCount())
    return {str(tab.proxy.index(row, 0).data()): str(tab.proxy.index(row, 5).data()) for row in rows}


def test_directories_are_walked_with_marks(whole: Whole) -> None:
    tab: FilesTab = whole.open("files")
    assert whole.asked[-1] == ("files.list", {"container": whole.id, "path": "/"})
    listed(whole, "/", ["etc", 0o40755, 0, 1, 0, 0, ""], ["b\xff", 0o100644, 5, 1, 0, 0, ""])
    whole.wait(lambda: names(tab).get("etc") == "modified")
    assert list(names(tab)) == ["etc", "b\N{REPLACEMENT CHARACTER}"]
    tab.only.setChecked(True)
    assert list(names(tab)) == ["etc"]
    tab.only.setChecked(False)
    tab.table.setFocus()
    tab.table.setCurrentIndex(tab.proxy.index(0, 0))
    QTest.keyClick(tab.table, Qt.Key.Key_Return)
    assert whole.asked[-1][1]["path"] == "/etc"
    listed(whole, "/etc", ["motd", 0o100644, 5, 1, 0, 0, ""])
    assert names(tab) == {"motd": "added"}
    QTest.keyClick(tab.table, Qt.Key.Key_Backspace)
    assert whole.asked[-1][1]["path"] == "/"


def test_an_answer_that_is_late_or_a_refusal(whole: Whole) -> None:
    tab: FilesTab = whole.open("files")
    listed(whole, "/", ["etc", 0o40755, 0, 1, 0, 0, ""])
    tab.go("/one")
    tab.go("/two")
    listed(whole, "/one", ["late", 0o100644, 5, 1, 0, 0, ""])
    assert "late" not in names(tab)
    whole.machine_link.replied.emit("files.list", samples.ENGINE_PROBLEM)
    assert tab._problem.problem == samples.ENGINE_PROBLEM
    assert "etc" in names(tab)  # the last directory stays below


def test_a_file_is_edited_with_its_owner_and_never_over_another_change(whole: Whole) -> None:
    tab: FilesTab = whole.open("files")
    tab.go("/etc")
    listed(whole, "/etc", ["motd", 0o100644, 5, 1, 0, 0, ""])
    tab._open_file("/etc/motd", may_be_directory=False)
    viewer = tab.viewer
    whole.wait(lambda: viewer.editor.toPlainText() == "ahoy\n")
    viewer.editor.insertPlainText("x")
    QTest.mouseClick(viewer.save, Qt.MouseButton.LeftButton)
    whole.wait(lambda: not viewer.is_changed)
    assert whole.engine.inside.contents["/etc/motd"] == b"xahoy\n"
    sent = whole.engine.inside.received[-1]
    assert (sent.mode, sent.uid, sent.gid) == (0o640, 12, 34)

    viewer.editor.insertPlainText("y")
    whole.engine.inside.changed_at += 7
    QTest.mouseClick(viewer.save, Qt.MouseButton.LeftButton)
    whole.wait(lambda: viewer._problem.problem is not None)
    assert whole.engine.inside.contents["/etc/motd"] == b"xahoy\n"
    QTest.mouseClick(viewer.save, Qt.MouseButton.LeftButton)
    whole.wait(lambda: whole.engine.inside.contents["/etc/motd"] == b"xyahoy\n")


def test_what_is_typed_is_not_lost_without_a_question(whole: Whole) -> None:
    tab: FilesTab = whole.open("files")
    tab.go("/etc")
    listed(whole, "/etc", ["motd", 0o100644, 5, 1, 0, 0, ""])
    tab._open_file("/etc/motd", may_be_directory=False)
    whole.wait(lambda: tab.viewer.editor.toPlainText() == "ahoy\n")
    tab.viewer.editor.insertPlainText("x")
    QTest.keyClick(QApplication.focusWidget() or tab, Qt.Key.Key_Escape)
    box = whole.window.findChild(QMessageBox)
    assert box is not None
    assert tab._stack.currentIndex() == 1
    drop = next(made for made in box.findChildren(QPushButton) if "Discard" in made.text())
    QTest.mouseClick(drop, Qt.MouseButton.LeftButton)
    assert tab._stack.currentIndex() == 0
    assert cast(ContainersPage, whole.window.page("containers")).is_open


def jobs_done(whole: Whole) -> bool:
    jobs = whole.store.detail.jobs
    return bool(jobs) and all(job.state is not JobState.RUNNING for job in jobs)


def test_the_way_back_asks_about_what_is_typed(store: AppStore, window: MainWindow) -> None:
    detail_scenes.file_text(store, window)
    host = cast(ContainersPage, window.page("containers"))
    QTest.mouseClick(host.detail.header.back, Qt.MouseButton.LeftButton)
    assert window.findChild(QMessageBox) is not None
    assert host.currentWidget() is host.detail
    # Another container's page leaves it where it is.
    mine = host.detail.container_id
    other = next(entry.id for entry in store.containers or () if entry.id != mine)
    store.intents.open_container.emit(other, "files")
    store.intents.open_container.emit(mine, "files")
    assert "# changed here" in cast(FilesTab, host.detail.tab("files")).viewer.editor.toPlainText()
    assert cast(FilesTab, host.detail.tab("files")).has_unsaved


def test_removal_is_asked_for_once(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    detail_scenes.mounts(store, window)
    header = detail_scenes.page(window).header
    header._fill_menu()
    remove = next(action for action in header.menu.actions() if "Remove" in action.text())
    remove.trigger()
    box = window.findChild(QMessageBox)
    assert box is not None
    confirm = next(made for made in box.findChildren(QPushButton) if made.text() == "Remove")
    with qtbot.waitSignal(store.intents.act_on_containers):
        QTest.mouseClick(confirm, Qt.MouseButton.LeftButton)


def test_files_go_up_and_come_down(whole: Whole, tmp_path: Path) -> None:
    tab: FilesTab = whole.open("files")
    whole.engine.inside.files["/srv/keep"] = b""
    tab.go("/srv")
    listed(whole, "/srv")
    folder = tmp_path / "my folder"
    folder.mkdir()
    (folder / "zoë").write_bytes(b"boat" * 1000)
    tab.upload_files((folder,))
    whole.wait(lambda: jobs_done(whole))
    assert whole.engine.inside.contents["/srv/my folder/zoë"] == b"boat" * 1000
    assert whole.engine.inside.contents["/srv/my folder/zoë"] == b"boat" * 1000
    assert {(member.uid, member.gid) for member in whole.engine.inside.received} == {(5, 6)}
    target = tmp_path / "out"
    target.mkdir()
    whole.store.detail.intents.download.emit(whole.id, ("/srv/my folder", "/etc/motd"), target)
    whole.wait(lambda: jobs_done(whole))
    assert (target / "my folder" / "zoë").read_bytes() == b"boat" * 1000
    assert (target / "motd").read_bytes() == b"ahoy\n"
    assert [job.problem for job in whole.store.detail.jobs] == [None] * 3


def test_a_cancelled_copy_leaves_nothing(whole: Whole, tmp_path: Path) -> None:
    whole.open("files")
    whole.engine.inside.export_size = 50_000_000
    whole.engine.inside.hold.clear()
    whole.store.detail.intents.export.emit(whole.id, tmp_path / "x.tar")
    whole.wait(lambda: whole.store.detail.jobs[0].transfer.done_bytes > 0)
    whole.store.detail.intents.cancel.emit(whole.store.detail.jobs[0])
    whole.wait(lambda: whole.store.detail.jobs[0].state is JobState.CANCELLED)
    whole.engine.inside.hold.set()
    assert list(tmp_path.glob("*.tar*")) == []
    assert list(tmp_path.glob(".*part*")) == []


def test_commit_and_export(whole: Whole, tmp_path: Path) -> None:
    whole.open("files")
    whole.store.detail.intents.commit.emit(whole.id, "shop:1", "why", False)
    whole.store.detail.intents.export.emit(whole.id, tmp_path / "x.tar")
    whole.wait(lambda: len(whole.store.detail.jobs) == 2 and jobs_done(whole))
    asked = whole.engine.inside.commits[0]
    assert (asked["repo"], asked["tag"], asked["comment"], asked["pause"]) == (["shop"], ["1"], ["why"], ["0"])
    assert (tmp_path / "x.tar").stat().st_size == whole.engine.inside.export_size
    for job in whole.store.detail.jobs:
        whole.store.detail.intents.dismiss.emit(job)
    assert not whole.page.jobs.isVisible()


def test_a_commit_wants_a_name_that_an_image_can_have(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
    dialog = CommitDialog(samples.containers()[0], window)
    qtbot.addWidget(dialog)
    for name, fits in (("", False), ("Shop", False), ("shop", True), ("shop:", False), ("reg:5000/shop:1.2", True)):
        dialog.name.setText(name)
        assert dialog.make.isEnabled() is fits, name
    with qtbot.waitSignal(dialog.chosen) as signal:
        dialog._accept()
    assert signal.args == ["reg:5000/shop:1.2", "", True]


def test_names_that_are_no_text_come_through() -> None:
    raw = "/srv/\udcff\nzoë"
    assert from_wire(to_wire(raw)) == raw
    assert shown_path(raw) == "/srv/\N{REPLACEMENT CHARACTER}␊zoë"
    answer = {
        "container": "c",
        "path": to_wire(raw),
        "resolved": "/",
        "directory": [],
        "entries": [["\xff", 1, 2, 3, 4, 5, ""]],
    }
    assert listing_from_answer(answer).entries[0].untrusted_name == "\udcff"


def test_deleted_files_are_shown_and_marks_survive_odd_names() -> None:
    entry = FileEntry("\udcff", 0o100644, 1, 1, 0, 0)
    listing = Listing("c", "/srv", "/srv", None, (entry,), is_truncated=False)
    changes = {
        "/srv/\N{REPLACEMENT CHARACTER}": ChangeKind.ADDED,
        "/srv/gone": ChangeKind.DELETED,
        "/srv/deep/gone": ChangeKind.DELETED,
    }
    rows = rows_of(listing, changes)
    assert [(row.untrusted_name, row.change) for row in rows] == [
        ("\udcff", ChangeKind.ADDED),
        ("gone", ChangeKind.DELETED),
    ]


def test_content_is_told_apart() -> None:
    assert text_of("zoë\n".encode(), whole=True) == "zoë\n"
    assert text_of("zoë".encode()[:-1], whole=False) == "zo"
    assert text_of("zoë".encode()[:-1], whole=True) is None
    assert text_of(b"a\0b", whole=True) is None
    assert text_of(b"x" * 200_000, whole=True) is None
    assert hex_dump(b"\x7fELF" + bytes(14)).splitlines() == [
        "00000000  7f 45 4c 46 00 00 00 00  00 00 00 00 00 00 00 00  .ELF............",
        "00000010  00 00                                             ..",
    ]
    assert picture_of(b"<svg xmlns='http://www.w3.org/2000/svg'/>") is None


@pytest.mark.parametrize("data", [b"a\r\nb\r\n", b"one\xc2\xa0two\n", b"no newline", b"", b"tab\there\n"])
def test_opening_and_saving_changes_nothing(store: AppStore, window: MainWindow, data: bytes) -> None:
    detail_scenes._file(store, window, "/x", data)
    viewer = cast(FilesTab, detail_scenes.page(window).tab("files")).viewer
    assert viewer._content() == data
    assert not viewer.editor.isReadOnly()


@pytest.mark.parametrize("data", [b"a\r\nb\n", b"a\rb", "a\u2029b".encode()])
def test_what_an_editor_would_change_is_not_edited(store: AppStore, window: MainWindow, data: bytes) -> None:
    detail_scenes._file(store, window, "/x", data)
    assert cast(FilesTab, detail_scenes.page(window).tab("files")).viewer.editor.isReadOnly()


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


def test_a_job_says_what_went_wrong_in_its_place(store: AppStore, window: MainWindow) -> None:
    detail_scenes.files(store, window)
    problem = Problem(code=ProblemCode.HOST_DISK_FULL, summary="No space left on device")
    job = Job(JobKind.DOWNLOAD, "c", "/x", state=JobState.FAILED, problem=problem)
    store.detail.add_job(job)
    assert detail_scenes.page(window).jobs._rows[job]._problem.problem is problem


def test_a_remote_file_knows_whether_it_is_whole() -> None:
    file = RemoteFile(path="/x", untrusted_data=b"ab", size=3, mode=0, user_id=0, group_id=0, changed_at="")
    assert not file.is_whole
