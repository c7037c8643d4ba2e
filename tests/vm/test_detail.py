"""A container's page on the real machine: terminal, debug shell, files, commit and export."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.exceptions import TimeoutError as WaitError
from pytestqt.qtbot import QtBot

from app.application import WherryApp
from app.features.containers.data.store import DetailStore, JobState
from app.features.containers.detail.page import DetailPage
from app.features.containers.detail.terminal_tab import TerminalTab
from app.features.containers.files.tab import FilesTab
from app.features.containers.page import ContainersPage
from app.terminal.session import TerminalSession, TerminalState
from backend.api import ProcessTable
from tests.vm.support.machine import ARTIFACTS, BUSYBOX, Machine

pytestmark = [
    pytest.mark.vm,
    pytest.mark.gui,
    pytest.mark.qt_log_ignore("This plugin does not support", extend=True),
]
WAIT_MS = 90_000
BARE = "bare:test"


@pytest.fixture
def container(machine: Machine) -> Iterator[str]:
    """A container with a shell, a volume and something changed."""
    script = "mkdir /srv; echo boats >/srv/list; echo x >>/etc/passwd; rm -r /var; exec sleep 100000"
    arguments = ("--name", "page", "-v", "page-data:/data", "-e", "DB_PASSWORD=rowing")
    machine.docker("run", "-d", "--init", *arguments, BUSYBOX, "sh", "-c", script)
    yield machine.docker("inspect", "-f", "{{.Id}}", "page").stdout.strip()
    machine.docker("rm", "-f", "page", check=False)
    machine.docker("volume", "rm", "page-data", check=False)


@pytest.fixture
def bare(machine: Machine) -> Iterator[str]:
    """A container of an image that has one program and no shell."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        content = machine.tools.busybox.read_bytes()
        entry = tarfile.TarInfo("sleep")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    machine.docker("import", "--change", 'CMD ["/sleep", "100000"]', "-", BARE, input_=buffer.getvalue())
    machine.docker("run", "-d", "--name", "bare", BARE)
    yield machine.docker("inspect", "-f", "{{.Id}}", "bare").stdout.strip()
    machine.docker("rm", "-f", "bare", check=False)


class Page:
    """Actions of a user on the page."""

    def __init__(self, window: WherryApp, qtbot: QtBot) -> None:
        self.window = window
        self.qtbot = qtbot

    def open(self, container_id: str, tab: str) -> None:
        self.wait(lambda: self.window.store.container(container_id) is not None)
        self.window.store.intents.open_container.emit(container_id, tab)

    @property
    def page(self) -> DetailPage:
        return cast(ContainersPage, self.window.window.page("containers")).detail

    @property
    def files(self) -> FilesTab:
        return cast(FilesTab, self.page.tab("files"))

    @property
    def terminal(self) -> TerminalTab:
        return cast(TerminalTab, self.page.tab("terminal"))

    def wait(self, condition: Callable[[], object]) -> None:
        try:
            self.qtbot.waitUntil(lambda: bool(condition()), timeout=WAIT_MS)
        except WaitError:
            raise AssertionError(f"it did not come to it\n{self.describe()}") from None

    def describe(self) -> str:
        """The state of the page, for failure messages."""
        detail = self.window.store.part(DetailStore)
        self.grab("failed")
        lines = [f"engine {self.window.store.engine_link} {self.window.store.engine_problem}"]
        for debug in (False, True):
            session = detail.terminal(self.page.container_id, debug=debug)
            if session is not None:
                lines += [f"{session.state} {session.exit_code} {session.problem}", self.screen(debug=debug)]
        lines += [f"{job.kind} {job.state} {job.problem}" for job in detail.jobs]
        return "\n".join(lines)

    def session(self, *, debug: bool = False) -> TerminalSession | None:
        return self.window.store.part(DetailStore).terminal(self.page.container_id, debug=debug)

    def screen(self, *, debug: bool = False) -> str:
        session = self.session(debug=debug)
        assert session is not None
        return "\n".join(session.screen.row_text(row) for row in range(session.screen.lines))

    def wait_for(self, words: str, *, debug: bool = False) -> None:
        self.wait(lambda: words in self.screen(debug=debug))

    def type(self, words: str) -> None:
        for letter in words:
            key = {"\r": Qt.Key.Key_Return, "\x1b": Qt.Key.Key_Escape}.get(letter)
            if key is None:
                QTest.keyClicks(self.terminal.view, letter)
            else:
                QTest.keyClick(self.terminal.view, key)

    def wait_for_size(self) -> None:
        """Wait until the program's terminal has the widget's size, which is sent asynchronously."""
        session = self.session()
        assert session is not None

        def has_size() -> bool:
            self.type("clear; stty size\r")
            self.qtbot.wait(500)
            return f"{session.screen.lines} {session.screen.columns}" in self.screen()

        self.wait(has_size)

    def names(self) -> dict[str, str]:
        """The rows of the table: change mark by name."""
        proxy = self.files.proxy
        return {str(proxy.index(row, 0).data()): str(proxy.index(row, 5).data()) for row in range(proxy.rowCount())}

    def grab(self, name: str) -> None:
        assert self.window.window.grab().save(str(ARTIFACTS / f"detail-{name}.png"))


@pytest.fixture
def page(window: WherryApp, qtbot: QtBot) -> Page:
    return Page(window, qtbot)


def test_a_terminal_runs_vi_and_top_and_follows_the_size(machine: Machine, page: Page, container: str) -> None:
    page.open(container, "terminal")
    page.wait(lambda: (found := page.session()) is not None and found.state is TerminalState.RUNNING)
    page.wait_for("#")
    page.wait_for_size()
    page.type("vi /tmp/note\r")
    page.wait_for("~")
    page.type("ifrom vi")
    page.wait_for("from vi")
    # With a pause, as a person does: vi takes what follows Escape at once for a key's sequence.
    page.type("\x1b")
    page.wait_for("[Modified]")
    page.type(":wq\r")
    page.wait(lambda: "from vi" in machine.docker("exec", "page", "cat", "/tmp/note", check=False).stdout)
    page.type("top -d 1\r")
    page.wait_for("PID  PPID")
    page.grab("top")
    page.type("q")
    session = page.session()
    assert session is not None
    page.window.window.resize(900, 900)
    page.wait(lambda: session.screen.columns < 110)
    page.wait_for_size()

    # A flood leaves the window alive, and Ctrl+C ends it.
    page.type("yes\r")
    page.wait(lambda: session.screen.pushed > 20_000)
    QTest.keyClick(page.terminal.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    page.type("echo s$((40+4))s\r")
    page.wait_for("s44s")

    # It survives a switch to another tab, and is ended with all its child processes.
    page.type("sleep 54321 &\r")
    page.open(container, "processes")
    page.wait(lambda: isinstance(page.window.store.part(DetailStore).processes, ProcessTable))
    page.wait(lambda: "sleep 54321" in str(page.window.store.part(DetailStore).processes))
    page.grab("processes")
    page.open(container, "terminal")
    assert page.session() is session
    page.type("trap '' HUP\r")
    QTest.mouseClick(page.terminal.end, Qt.MouseButton.LeftButton)
    page.wait(lambda: "54321" not in machine.docker("top", "page").stdout)


def test_an_image_without_a_shell_has_a_debug_shell(machine: Machine, page: Page, bare: str) -> None:
    page.open(bare, "terminal")
    page.wait(lambda: (found := page.session()) is not None and found.state is TerminalState.NO_SHELL)
    page.grab("no-shell")
    page.terminal._open_debug()
    page.wait(lambda: (found := page.session(debug=True)) is not None and found.state is TerminalState.RUNNING)
    page.wait_for("debug:/proc/1/root #", debug=True)
    page.type("ls; ps; id -u\r")
    page.wait_for("/sleep 100000", debug=True)
    page.wait_for("sleep", debug=True)
    page.grab("debug")
    # What is shown of containers knows nothing of the helper; the command line sees it for as long as it lives.
    assert all(entry.image != "wherry/debug:1" for entry in page.window.store.containers or ())
    assert "wherry/debug:1" in machine.docker("ps").stdout
    page.type("exit\r")
    page.wait(lambda: (found := page.session(debug=True)) is not None and found.state is TerminalState.ENDED)
    page.wait(lambda: "wherry/debug:1" not in machine.docker("ps", "-a").stdout)


def test_files_are_browsed_edited_and_copied(machine: Machine, page: Page, container: str, tmp_path: Path) -> None:
    page.open(container, "files")
    page.wait(lambda: "srv" in page.names())
    page.wait(lambda: page.names().get("srv") == "added")
    assert page.names()["etc"] == "modified"
    assert page.names()["var"] == "deleted"
    page.grab("files")
    page.files.only.setChecked(True)
    assert "bin" not in page.names()
    page.files.only.setChecked(False)

    # Edit: content, mode and owner.
    machine.docker("exec", "page", "sh", "-c", "chmod 640 /srv/list; chown 12:34 /srv/list; ln -s /srv /link")
    page.files.go("/link")
    page.wait(lambda: page.names().get("list") == "added")
    page.files._open_file("/srv/list", may_be_directory=False)
    viewer = page.files.viewer
    page.wait(lambda: viewer.editor.toPlainText() == "boats\n")
    viewer.editor.setPlainText("boats and oars\n")
    viewer.editor.document().setModified(True)
    viewer._save()
    page.wait(lambda: not viewer.is_changed)
    shown = machine.docker("exec", "page", "sh", "-c", "cat /srv/list; stat -c %a:%u:%g /srv/list").stdout
    assert shown == "boats and oars\n640:12:34\n"
    viewer.leave()

    # Up and down, a folder with an odd name; into a volume too.
    source = tmp_path / "from here"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "zoë's file").write_bytes(b"\0\1\2" * 100_000)
    page.files.go("/data")
    page.wait(lambda: page.files.path.text() == "/data")
    page.files.upload_files((source,))
    page.wait(lambda: "from here" in page.names())
    target = tmp_path / "out"
    target.mkdir()
    page.window.store.part(DetailStore).intents.download.emit(container, ("/data/from here", "/srv/list"), target)
    page.wait(lambda: all(job.state is not JobState.RUNNING for job in page.window.store.part(DetailStore).jobs))
    assert [job.problem for job in page.window.store.part(DetailStore).jobs] == [None, None, None]
    assert (target / "from here" / "sub" / "zoë's file").read_bytes() == b"\0\1\2" * 100_000
    assert (target / "list").read_text() == "boats and oars\n"

    # A stopped container shows the same.
    machine.docker("stop", "-t", "1", "page")
    page.files.go("/srv")
    page.wait(lambda: page.files.path.text() == "/srv")
    page.files.go("/data/from here")
    page.wait(lambda: list(page.names()) == ["sub"])


def test_commit_and_export(machine: Machine, page: Page, container: str, tmp_path: Path) -> None:
    page.open(container, "mounts")
    page.grab("mounts")
    detail = page.window.store.part(DetailStore)
    detail.intents.commit.emit(container, "kept:of-page", "a test", True)
    detail.intents.export.emit(container, tmp_path / "page.tar")
    page.wait(lambda: detail.jobs and all(job.state is not JobState.RUNNING for job in detail.jobs))
    assert [job.problem for job in detail.jobs] == [None, None]
    page.grab("jobs")
    assert machine.docker("run", "--rm", "kept:of-page", "cat", "/srv/list").stdout == "boats\n"
    with tarfile.open(tmp_path / "page.tar") as archive:
        assert "srv/list" in archive.getnames()
    machine.docker("rmi", "kept:of-page")
