"""The Files tab: browsing, editing, copying both ways, commit and export."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.features.containers.actions.commit_dialog import CommitDialog
from app.features.containers.data.files import FileEntry, Listing, from_wire, listing_of, shown_path, to_wire
from app.features.containers.data.store import DetailStore, JobState
from app.features.containers.files.drag_out import DragOut
from app.features.containers.files.model import rows_of
from app.features.containers.files.tab import FilesTab
from app.features.containers.files.viewer import hex_dump, picture_of, text_of
from app.features.containers.page import ContainersPage
from app.frame.main_window import MainWindow
from app.state.store import AppStore
from backend.control import messages
from backend.engine.container.page_types import ChangeKind
from tests.gui.fakes.detail_window import DetailWindow
from tests.gui.scenes import detail_scenes, samples
from tests.gui.scenes.replies import answer_to, reply


def asked(whole: DetailWindow, path: str) -> messages.ListFiles:
    """A request for a directory."""
    return messages.ListFiles(container=whole.id, path=path)


def listed(whole: DetailWindow, path: str, *entries: list[Any]) -> None:
    """Let the agent reply with a listing."""
    directory = [".", 0o40755, 4096, 1, 5, 6, ""]
    result = {"container": whole.id, "path": path, "resolved": path, "directory": directory, "entries": list(entries)}
    whole.machine_link.answer(*reply(asked(whole, path), result))


def names(tab: FilesTab) -> dict[str, str]:
    rows = range(tab.proxy.rowCount())
    return {str(tab.proxy.index(row, 0).data()): str(tab.proxy.index(row, 5).data()) for row in rows}


def test_directories_are_walked_with_marks(whole: DetailWindow) -> None:
    tab: FilesTab = whole.open("files")
    assert whole.machine_link.requests[-1] == asked(whole, "/")
    listed(whole, "/", ["etc", 0o40755, 0, 1, 0, 0, ""], ["b\xff", 0o100644, 5, 1, 0, 0, ""])
    whole.wait(lambda: names(tab).get("etc") == "modified")
    assert list(names(tab)) == ["etc", "b\N{REPLACEMENT CHARACTER}"]
    tab.only.setChecked(True)
    assert list(names(tab)) == ["etc"]
    tab.only.setChecked(False)
    tab.table.setFocus()
    tab.table.setCurrentIndex(tab.proxy.index(0, 0))
    QTest.keyClick(tab.table, Qt.Key.Key_Return)
    assert whole.machine_link.requests[-1] == asked(whole, "/etc")
    listed(whole, "/etc", ["motd", 0o100644, 5, 1, 0, 0, ""])
    assert names(tab) == {"motd": "added"}
    QTest.keyClick(tab.table, Qt.Key.Key_Backspace)
    assert whole.machine_link.requests[-1] == asked(whole, "/")


def test_an_answer_that_is_late_or_a_refusal(whole: DetailWindow) -> None:
    tab: FilesTab = whole.open("files")
    listed(whole, "/", ["etc", 0o40755, 0, 1, 0, 0, ""])
    tab.go("/one")
    tab.go("/two")
    listed(whole, "/one", ["late", 0o100644, 5, 1, 0, 0, ""])
    assert "late" not in names(tab)
    whole.machine_link.answer(asked(whole, "/two"), samples.ENGINE_PROBLEM)
    assert tab._problem.problem == samples.ENGINE_PROBLEM
    assert "etc" in names(tab)  # the last directory stays below


def test_a_link_leads_to_a_directory_or_a_file(whole: DetailWindow) -> None:
    tab: FilesTab = whole.open("files")
    listed(whole, "/", ["link", 0o120777, 4, 1, 0, 0, "/etc/motd"])
    whole.engine.inside.files["/link"] = b"through\n"
    for _twice in range(2):
        tab._enter(tab.proxy.index(0, 0))
    refused = samples.ENGINE_PROBLEM
    for _twice in range(2):
        whole.machine_link.answer(asked(whole, "/link"), refused)
    whole.wait(lambda: tab.viewer.editor.toPlainText() == "through\n")
    assert tab._problem.problem is None


def test_a_file_is_edited_with_its_owner_and_never_over_another_change(whole: DetailWindow) -> None:
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


def test_unsaved_changes_are_not_lost_without_a_question(whole: DetailWindow) -> None:
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


def jobs_done(whole: DetailWindow) -> bool:
    jobs = whole.store.part(DetailStore).jobs
    return bool(jobs) and all(job.state is not JobState.RUNNING for job in jobs)


def test_going_back_asks_about_unsaved_changes(store: AppStore, window: MainWindow) -> None:
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


def test_removal_is_requested_once(store: AppStore, window: MainWindow, qtbot: QtBot) -> None:
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


def test_files_go_up_and_come_down(whole: DetailWindow, tmp_path: Path) -> None:
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
    whole.store.part(DetailStore).intents.download.emit(whole.id, ("/srv/my folder", "/etc/motd"), target)
    whole.wait(lambda: jobs_done(whole))
    assert (target / "my folder" / "zoë").read_bytes() == b"boat" * 1000
    assert (target / "motd").read_bytes() == b"ahoy\n"
    assert [job.problem for job in whole.store.part(DetailStore).jobs] == [None] * 3


def test_a_cancelled_copy_leaves_nothing(whole: DetailWindow, tmp_path: Path) -> None:
    whole.open("files")
    whole.engine.inside.export_size = 50_000_000
    whole.engine.inside.hold.clear()
    whole.store.part(DetailStore).intents.export.emit(whole.id, tmp_path / "x.tar")
    whole.wait(lambda: whole.store.part(DetailStore).jobs[0].transfer.done_bytes > 0)
    whole.store.part(DetailStore).intents.cancel.emit(whole.store.part(DetailStore).jobs[0])
    whole.wait(lambda: whole.store.part(DetailStore).jobs[0].state is JobState.CANCELLED)
    whole.engine.inside.hold.set()
    assert list(tmp_path.glob("*.tar*")) == []
    assert list(tmp_path.glob(".*part*")) == []


def test_commit_and_export(whole: DetailWindow, tmp_path: Path) -> None:
    whole.open("files")
    whole.store.part(DetailStore).intents.commit.emit(whole.id, "shop:1", "why", False)
    whole.store.part(DetailStore).intents.export.emit(whole.id, tmp_path / "x.tar")
    whole.wait(lambda: len(whole.store.part(DetailStore).jobs) == 2 and jobs_done(whole))
    asked = whole.engine.inside.commits[0]
    assert (asked["repo"], asked["tag"], asked["comment"], asked["pause"]) == (["shop"], ["1"], ["why"], ["0"])
    assert (tmp_path / "x.tar").stat().st_size == whole.engine.inside.export_size
    for job in whole.store.part(DetailStore).jobs:
        whole.store.part(DetailStore).intents.dismiss.emit(job)
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


def test_names_that_are_not_utf8_are_preserved() -> None:
    raw = "/srv/\udcff\nzoë"
    assert from_wire(to_wire(raw)) == raw
    assert shown_path(raw) == "/srv/\N{REPLACEMENT CHARACTER}␊zoë"
    answer = {
        "container": "c",
        "path": to_wire(raw),
        "resolved": "/",
        "entries": [["\xff", 1, 2, 3, 4, 5, ""]],
    }
    assert (
        listing_of(answer_to(messages.ListFiles(container="c", path="/"), answer)).entries[0].untrusted_name == "\udcff"
    )


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


def test_kinds_of_content_are_distinguished() -> None:
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


def press_and_move(tab: FilesTab, row: int) -> None:
    viewport = tab.table.viewport()
    at = tab.table.visualRect(tab.proxy.index(row, 0)).center()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=at)
    for step in (4, 12, 30):
        moved = QPointF(at + QPoint(step, 0))
        left = Qt.MouseButton.LeftButton
        QApplication.sendEvent(
            viewport,
            QMouseEvent(
                QEvent.Type.MouseMove, moved, viewport.mapToGlobal(moved), left, left, Qt.KeyboardModifier.NoModifier
            ),
        )


def test_a_file_is_dragged_out(whole: DetailWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    tab: FilesTab = whole.open("files")
    listed(whole, "/", ["motd", 0o100644, 5, 1, 0, 0, ""])
    whole.engine.inside.files["/motd"] = b"ahoy\n"
    taken: list[bytes] = []
    monkeypatch.setattr(DragOut, "drag", lambda _self, files: taken.extend(file.read_bytes() for file in files))
    press_and_move(tab, 0)
    assert len(whole.store.part(DetailStore).jobs) == 1  # the copy has begun, and the drag has not
    assert not taken
    whole.wait(lambda: taken == [b"ahoy\n"])
    whole.wait(lambda: not whole.store.part(DetailStore).jobs)


def test_a_drag_that_is_let_go_early_is_given_up(whole: DetailWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    tab: FilesTab = whole.open("files")
    listed(whole, "/", ["motd", 0o100644, 5, 1, 0, 0, ""])
    whole.engine.inside.files["/motd"] = b"ahoy\n"
    taken: list[object] = []
    monkeypatch.setattr(DragOut, "drag", lambda _self, files: taken.append(files))
    press_and_move(tab, 0)
    job = whole.store.part(DetailStore).jobs[0]
    QTest.mouseRelease(tab.table.viewport(), Qt.MouseButton.LeftButton)
    assert job.transfer.is_cancelled
    whole.wait(lambda: job.state is not JobState.RUNNING)
    assert not taken
