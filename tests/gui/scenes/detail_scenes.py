"""Scenes of a container's page: each tab normal, empty, in error and with hostile content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QColor, QPixmap

from app.features.containers.data.files import FileEntry, Listing
from app.features.containers.data.store import DetailStore, Job, JobKind, JobState
from app.features.containers.detail.page import DetailPage
from app.features.containers.files.tab import FilesTab
from app.features.containers.page import ContainersPage
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.terminal.session import TerminalSession, TerminalState
from backend.engine.client.details import details_from_answer
from backend.engine.container.page_types import ChangeKind, ProcessTable, RemoteFile
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from tests.fakes.answers import entry
from tests.gui.scenes import samples

Scene = Callable[[AppStore, MainWindow], None]

_REFUSED = Problem(
    code=ProblemCode.ENGINE_ERROR,
    summary=verbatim("There is no such directory in the container."),
    command="ls -la /nowhere  (in de2974551930)",
)


def page(window: MainWindow) -> DetailPage:
    """The open page."""
    return cast(ContainersPage, window.page("containers")).detail


def open_page(store: AppStore, window: MainWindow, tab: str, *, hostile: bool = False, stopped: bool = False) -> str:
    """Open a container's page; returns the container's id."""
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.RUNNING))
    store.set_engine_link(LinkState.UP)
    containers = samples.hostile() if hostile else samples.containers()
    store.set_containers(containers)
    ports = sorted(containers, key=lambda entry: -len(entry.ports))
    chosen = next(entry for entry in ports if entry.state.is_up != stopped)
    store.part(DetailStore).set_container(chosen.id)
    store.part(DetailStore).set_details(chosen.id, details_from_answer(entry(inspected(chosen.id, hostile=hostile))))
    store.intents.open_container.emit(chosen.id, tab)
    return chosen.id


def inspected(container_id: str, *, hostile: bool = False) -> dict[str, Any]:
    """The `docker inspect` output of a container with all kinds of settings."""
    answer = dict(samples.recorded("inspect")["chatty"])
    answer["Id"] = container_id
    answer["Config"] = {
        **answer["Config"],
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "POSTGRES_PASSWORD=correct horse battery staple",
            "DATABASE_URL=postgres://boats:rowing@db:5432/boats",
            "PWD=/srv",
            "LANG=C.UTF-8",
        ],
        "Labels": {"com.docker.compose.project": "shop", "org.opencontainers.image.licenses": "Apache-2.0"},
    }
    if hostile:
        words = list(samples.HOSTILE.values())
        answer["Config"]["Env"] = [f"{word}={word}" for word in words]
        answer["Config"]["Labels"] = {word: word for word in words}
    answer["Mounts"] = [
        {"Type": "volume", "Name": "shop_data", "Source": "/var/lib/docker/volumes/shop_data/_data",
         "Destination": "/var/lib/postgresql/data", "RW": True},
        {"Type": "bind", "Source": "/home/ana/shop/config", "Destination": "/etc/shop", "RW": False},
    ]  # fmt: skip
    return answer


def _entry(name: str, mode: int, size: int = 0, target: str = "") -> FileEntry:
    return FileEntry(name, mode, size, 1_795_400_000, 0, 0, target)


def listing(container_id: str, path: str = "/", names: tuple[str, ...] = ()) -> Listing:
    """A typical root directory, or one with these names."""
    made = (
        *(
            _entry(name, 0o40755)
            for name in ("bin", "dev", "etc", "home", "proc", "root", "srv", "sys", "tmp", "usr", "var")
        ),
        _entry("lib64", 0o120777, 9, "usr/lib64"),
        _entry(".dockerenv", 0o100755),
        _entry("docker-entrypoint.sh", 0o100755, 4_616),
        _entry("backup.tar", 0o100644, 734_003_200),
    )
    entries = tuple(_entry(name, 0o100644, 12) for name in names) or made
    return Listing(container_id, path, path, _entry(".", 0o40755), entries, is_truncated=False)


CHANGES = {
    "/etc": ChangeKind.MODIFIED,
    "/backup.tar": ChangeKind.ADDED,
    "/tmp": ChangeKind.MODIFIED,
    "/docker-entrypoint.sh": ChangeKind.MODIFIED,
    "/README": ChangeKind.DELETED,
}
PROCESSES = ProcessTable(
    ("PID", "PPID", "USER", "STAT", "VSZ", "RSS", "COMMAND"),
    (
        ("2211", "2189", "root", "S", "9840", "4512", "nginx: master process nginx -g daemon off;"),
        ("2254", "2211", "101", "S", "10m", "3104", "nginx: worker process"),
        ("2255", "2211", "101", "R", "10m", "3108", "nginx: worker process"),
        ("2391", "2189", "root", "Ss", "2268", "1800", "sh -c <b>not bold</b> sleep 1000"),
    ),
)


def inspect(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "inspect")


def inspect_search(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "inspect")
    cast(Any, page(window).tab("inspect")).search.setText("ipaddress")


def inspect_error(store: AppStore, window: MainWindow) -> None:
    chosen = open_page(store, window, "inspect")
    store.part(DetailStore).set_details(chosen, samples.ENGINE_PROBLEM)


def inspect_hostile(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "inspect", hostile=True)
    cast(Any, page(window).tab("inspect")).search.setText("env")


def mounts(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "mounts")


def mounts_revealed(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "mounts")
    cast(Any, page(window).tab("mounts")).reveal.setChecked(True)


def mounts_hostile(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "mounts", hostile=True)


def processes(store: AppStore, window: MainWindow) -> None:
    store.part(DetailStore).set_processes(open_page(store, window, "processes"), PROCESSES)


def processes_stopped(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "processes", stopped=True)


def processes_error(store: AppStore, window: MainWindow) -> None:
    chosen = open_page(store, window, "processes")
    store.part(DetailStore).set_processes(chosen, PROCESSES)
    store.part(DetailStore).set_processes(chosen, samples.ENGINE_PROBLEM)


def files(store: AppStore, window: MainWindow) -> None:
    chosen = open_page(store, window, "files")
    store.part(DetailStore).set_listing(chosen, "/", listing(chosen))
    store.part(DetailStore).set_changes(chosen, dict(CHANGES))
    cast(FilesTab, page(window).tab("files")).table.selectRow(3)


def files_changes(store: AppStore, window: MainWindow) -> None:
    files(store, window)
    cast(FilesTab, page(window).tab("files")).only.setChecked(True)


def files_error(store: AppStore, window: MainWindow) -> None:
    chosen = open_page(store, window, "files")
    store.part(DetailStore).set_listing(chosen, "/", _REFUSED)


def files_hostile(store: AppStore, window: MainWindow) -> None:
    chosen = open_page(store, window, "files", hostile=True)
    names = (*(word.replace("\ud800", "") for word in samples.HOSTILE.values()), "\udcff\udcfe not UTF-8", "-rf", "..")
    store.part(DetailStore).set_listing(chosen, "/", listing(chosen, names=names))


def _file(store: AppStore, window: MainWindow, path: str, data: bytes, size: int | None = None) -> None:
    files(store, window)
    chosen = page(window).container_id
    tab = cast(FilesTab, page(window).tab("files"))
    tab._open_file(path, may_be_directory=False)
    answer = RemoteFile(
        path=path, untrusted_data=data, size=len(data) if size is None else size, mode=0o644, user_id=0, group_id=0,
        changed_at="2026-11-23T22:51:33Z",
    )  # fmt: skip
    store.part(DetailStore).set_file(chosen, path, answer)


def file_text(store: AppStore, window: MainWindow) -> None:
    _file(store, window, "/etc/shop.conf", b"# boats\nlisten = 8080\nworkers = 4\n" * 12)
    cast(FilesTab, page(window).tab("files")).viewer.editor.insertPlainText("# changed here\n")


def file_binary(store: AppStore, window: MainWindow) -> None:
    _file(store, window, "/usr/bin/nginx", b"\x7fELF" + bytes(range(256)) * 8)


def file_picture(store: AppStore, window: MainWindow) -> None:
    picture = QPixmap(320, 200)
    picture.fill(QColor("#0b6b80"))
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    _file(store, window, "/srv/logo.png", bytes(data.data()))


def _terminal(store: AppStore, window: MainWindow, data: bytes, state: TerminalState = TerminalState.RUNNING) -> None:
    chosen = open_page(store, window, "mounts")
    session = TerminalSession(chosen, parent=store.part(DetailStore))
    store.part(DetailStore).set_terminal(chosen, session, debug=False)
    store.intents.open_container.emit(chosen, "terminal")
    if state is TerminalState.RUNNING:
        session.opened(lambda _data: None)
    else:
        session.ended(state, exit_code=137 if state is TerminalState.ENDED else None, problem=samples.ENGINE_PROBLEM)
    session._parser.feed(data)
    session.drawn.emit()


_PROMPT = b"\x1b[1;32mroot@web\x1b[0m:\x1b[1;34m/srv\x1b[0m# "


def _pair(n: int) -> bytes:
    return (
        f"\x1b[{30 + n}mcolour {n}\x1b[0m  \x1b[{90 + n}mbright {n}\x1b[0m  \x1b[{40 + n}m ground \x1b[0m\r\n".encode()
    )


COLOURS = b"".join(
    (
        b"\x1b]0;a title nobody sees\x07" + _PROMPT + b"ls --color\r\n",
        *(_pair(n) for n in range(8)),
        b"\x1b[1mbold\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4munderline\x1b[0m ",
        b"\x1b[7mreverse\x1b[0m \x1b[9mstruck\x1b[0m\r\n",
        *(f"\x1b[48;5;{n}m  ".encode() for n in range(16, 52)),
        b"\x1b[0m\r\n",
        *(f"\x1b[48;2;{n * 7};80;{255 - n * 7}m  ".encode() for n in range(36)),
        b"\x1b[0m\r\n",
        "漢字とかな wide, ñ é combining e\u0301, שלום\r\n".encode(),
        "┌──────┬──────┐\r\n│ box  │ art  │\r\n└──────┴──────┘\r\n".encode(),
        b"\x1b(0lqqqqk\r\nx\x1b(B acs \x1b(0x\r\nmqqqqj\x1b(B\r\n" + _PROMPT,
    )
)


def terminal(store: AppStore, window: MainWindow) -> None:
    _terminal(store, window, COLOURS)


def terminal_ended(store: AppStore, window: MainWindow) -> None:
    _terminal(store, window, b"# exit\r\n", TerminalState.ENDED)


def terminal_no_shell(store: AppStore, window: MainWindow) -> None:
    _terminal(store, window, b"", TerminalState.NO_SHELL)


def terminal_failed(store: AppStore, window: MainWindow) -> None:
    _terminal(store, window, b"", TerminalState.FAILED)


def terminal_stopped(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "terminal", stopped=True)


def jobs(store: AppStore, window: MainWindow) -> None:
    files(store, window)
    chosen = page(window).container_id
    download = Job(JobKind.DOWNLOAD, chosen, "/backup.tar")
    download.transfer.total_bytes, download.transfer.done_bytes = 734_003_200, 301_000_000
    commit = Job(JobKind.COMMIT, chosen, "shop:2026-11")
    done = Job(JobKind.EXPORT, chosen, "web.tar", state=JobState.DONE, result="/home/ana/web.tar")
    failed = Job(JobKind.UPLOAD, chosen, "logo.png", state=JobState.FAILED, problem=samples.ENGINE_PROBLEM)
    for job in (download, commit, done, failed):
        store.part(DetailStore).add_job(job)


def gone(store: AppStore, window: MainWindow) -> None:
    open_page(store, window, "processes")
    store.set_containers(())


SCENES: dict[str, Scene] = {
    "detail-inspect": inspect,
    "detail-inspect-search": inspect_search,
    "detail-inspect-error": inspect_error,
    "detail-inspect-hostile": inspect_hostile,
    "detail-mounts": mounts,
    "detail-mounts-revealed": mounts_revealed,
    "detail-mounts-hostile": mounts_hostile,
    "detail-processes": processes,
    "detail-processes-stopped": processes_stopped,
    "detail-processes-error": processes_error,
    "detail-files": files,
    "detail-files-changes": files_changes,
    "detail-files-error": files_error,
    "detail-files-hostile": files_hostile,
    "detail-file-text": file_text,
    "detail-file-binary": file_binary,
    "detail-file-picture": file_picture,
    "detail-terminal": terminal,
    "detail-terminal-ended": terminal_ended,
    "detail-terminal-no-shell": terminal_no_shell,
    "detail-terminal-failed": terminal_failed,
    "detail-terminal-stopped": terminal_stopped,
    "detail-jobs": jobs,
    "detail-gone": gone,
}
