"""The Files tab: browse, view, edit, upload and download a container's files, running or not, and see changes.

Files can be dropped from the desktop, and dragged to it (`drag_out`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QModelIndex, QPoint, QStandardPaths, Qt, QTimer
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QGuiApplication,
    QKeySequence,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.data.files import Listing, child, parent, shown_path
from app.features.containers.data.store import DetailStore, Job, JobKind, JobState
from app.features.containers.files.drag_out import DragOut
from app.features.containers.files.model import FileColumn, FileRow, FilesModel, FilesProxy, rows_of
from app.features.containers.files.viewer import FileViewer
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _, ngettext, pgettext
from app.ui import theme
from app.ui.tables.sort_header import SortHeader
from app.ui.widgets import IconButton, button, label
from backend.api import ContainerDetails, Problem

_SLOW_MS: Final = 400
"""Time until a slow listing shows a loading message."""


class FilesTab(QWidget):
    """The tab: the list of a directory, or the viewer in its place."""

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._container_id = ""
        self._requested = ""
        self._listing: Listing | None = None
        self._directories: dict[str, str] = {}
        """The last open directory by container id."""
        self._link_tried = ""
        self.setAcceptDrops(True)
        self.model = FilesModel()
        self.proxy = FilesProxy(self)
        self.proxy.setSourceModel(self.model)
        self.up = IconButton("arrow-up", _("Up"), "Alt+Up")
        self.up.clicked.connect(lambda _checked=False: self._go_up())
        self.path = QLineEdit("/")
        self.path.setAccessibleName(_("Path in the container"))
        self.path.returnPressed.connect(lambda: self.go(self.path.text().strip() or "/"))
        self.refresh = IconButton("refresh", _("Refresh"), "F5")
        self.refresh.clicked.connect(lambda _checked=False: self._reload())
        self.only = QToolButton()
        self.only.setText(_("Changes only"))
        self.only.setAccessibleName(_("Changes only"))
        self.only.setToolTip(
            _("Show only files added, modified or deleted since the container was created from its image")
        )
        self.only.setCheckable(True)
        self.only.setProperty("role", "segment")
        self.only.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.only.toggled.connect(self.proxy.set_only_changes)
        self.only.toggled.connect(lambda _on: self._show_count())
        self.upload = button(_("Upload…"), self._upload)
        self.download = button(_("Download…"), self._download)
        self.table = self._make_table()
        DragOut(self.table, store.part(DetailStore), lambda: (self._container_id, self._paths()))
        self._problem = ProblemView(store)
        self._changes_problem = label("", "warning", wrap=True)
        self._count = label("", "muted")
        self._drop = label("", "notice")
        self._drop.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._drop.hide()
        self.viewer = FileViewer(store)
        self.viewer.closed.connect(self._show_list)
        self.viewer.download.clicked.connect(lambda _checked=False: self._download_paths((self.viewer.path,)))
        self._slow = QTimer(self, singleShot=True, interval=_SLOW_MS)
        self._slow.timeout.connect(lambda: self._count.setText(_("Loading…")))
        self._lay_out()
        detail = store.part(DetailStore)
        detail.listed.connect(self._on_listed)
        detail.listed.connect(self._on_link_tried)  # connected after `_on_listed`: it may replace what that shows
        detail.changes_changed.connect(self._show_rows)
        detail.job_changed.connect(self._on_job)

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setObjectName("plain")
        table.setModel(self.proxy)
        table.setAccessibleName(_("Container files"))
        table.setHorizontalHeader(SortHeader(table))
        table.setSortingEnabled(True)
        table.sortByColumn(FileColumn.NAME, Qt.SortOrder.AscendingOrder)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTabKeyNavigation(False)
        table.setDragEnabled(True)  # so that a press on a selected file keeps the selection
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(theme.px(30))
        header = table.horizontalHeader()
        header.setStretchLastSection(True)
        header.setHighlightSections(False)
        for column, width in (
            (FileColumn.NAME, 300),
            (FileColumn.SIZE, 100),
            (FileColumn.MODIFIED, 160),
            (FileColumn.MODE, 120),
        ):
            header.resizeSection(column, theme.px(width))
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._menu)
        table.doubleClicked.connect(self._enter)
        table.selectionModel().selectionChanged.connect(lambda *_: self._enable())
        for keys, do in (
            ("Return", self._enter_current),
            ("Enter", self._enter_current),
            ("Backspace", self._go_up),
            ("Alt+Up", self._go_up),
        ):
            QShortcut(QKeySequence(keys), table, do).setContext(Qt.ShortcutContext.WidgetShortcut)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), table, self._copy_paths).setContext(
            Qt.ShortcutContext.WidgetShortcut
        )
        return table

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(theme.px(8))
        bar.addWidget(self.up)
        bar.addWidget(self.path, 1)
        for widget in (self.refresh, self.only, self.upload, self.download):
            bar.addWidget(widget)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(8))
        column.addLayout(bar)
        for part in (self._problem, self._changes_problem, self._drop):
            column.addWidget(part)
        column.addWidget(self.table, 1)
        column.addWidget(self._count)
        self._changes_problem.hide()
        self._stack = QStackedWidget()
        self._stack.addWidget(page)
        self._stack.addWidget(self.viewer)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(theme.px(20), theme.px(12), theme.px(20), theme.px(12))
        outer.addWidget(self._stack)

    # -- navigation -----------------------------------------------------------------------------------------------
    def show_container(self, container_id: str) -> None:
        """Show another container, at its last open directory."""
        self._container_id = container_id
        self._listing = None
        self._requested = ""
        self.model.show(())
        # A file with unsaved changes is kept until its container is shown again.
        is_edited = self.viewer.is_changed and self.viewer.container_id == container_id
        self._stack.setCurrentIndex(1 if is_edited else 0)
        self.path.setText(shown_path(self._directories.get(container_id, "/")))
        self._count.setText("")
        self._problem.show_problem(None)
        self._enable()
        if self.isVisible():
            self._load()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._container_id:
            self._load()

    @property
    def has_unsaved(self) -> bool:
        """Whether there are unsaved changes."""
        return self._stack.currentIndex() == 1 and self.viewer.is_changed

    def focus_search(self) -> None:
        """Focus the path field."""
        self.path.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.path.selectAll()

    def go_back(self) -> bool:
        """Close the open file; returns whether there was one."""
        if self._stack.currentIndex() != 1:
            return False
        self.viewer.leave()
        return True

    def _load(self) -> None:
        self.go(self._directories.get(self._container_id, "/"))
        self._store.part(DetailStore).intents.load_changes.emit(self._container_id)

    def _reload(self) -> None:
        self._load()

    def go(self, path: str) -> None:
        """Open a directory."""
        path = path if path.startswith("/") else child(self._directory, path)
        self._requested = path
        self._slow.start()
        self._store.part(DetailStore).intents.load_listing.emit(self._container_id, path)

    @property
    def _directory(self) -> str:
        return self._listing.path if self._listing is not None else "/"

    def _go_up(self) -> None:
        if self._directory != "/":
            self.go(parent(self._directory))

    def _on_listed(self, container_id: str, path: str, answer: Listing | Problem) -> None:
        if (container_id, path) != (self._container_id, self._requested):
            return
        self._slow.stop()
        self._problem.show_problem(answer if isinstance(answer, Problem) else None, [(_("Try again"), self._reload)])
        if isinstance(answer, Problem):
            self._show_count()
            if self._directories.get(container_id) == path:
                self._directories.pop(container_id)  # it cannot be opened: do not return to it
            return
        moved = self._listing is None or answer.path != self._listing.path
        self._listing = answer
        self._directories[container_id] = answer.path
        self.path.setText(shown_path(answer.path))
        self._show_rows()
        if moved and self.proxy.rowCount():
            self.table.setCurrentIndex(self.proxy.index(0, 0))
            self.table.clearSelection()
            self.table.scrollToTop()

    def _show_rows(self) -> None:
        changes = self._store.part(DetailStore).changes
        failed = changes.summary if isinstance(changes, Problem) else ""
        self._changes_problem.setText(_("Couldn't load the changes since the image: {why}", why=failed))
        self._changes_problem.setVisible(bool(failed))
        if self._listing is None:
            return
        selected = {row.untrusted_name for row in self._chosen()}
        rows = rows_of(self._listing, {} if changes is None or isinstance(changes, Problem) else changes)
        self.model.show(rows, self._mounted())
        selection = self.table.selectionModel()
        for number in range(self.proxy.rowCount()):
            index = self.proxy.index(number, 0)
            if self._row(index).untrusted_name in selected:
                selection.select(index, selection.SelectionFlag.Select | selection.SelectionFlag.Rows)
        self._show_count()
        self._enable()

    def _mounted(self) -> frozenset[str]:
        details = self._store.part(DetailStore).details
        if not isinstance(details, ContainerDetails):
            return frozenset()
        places = (mount.destination.rstrip("/") for mount in details.mounts)
        return frozenset(place.rpartition("/")[2] for place in places if parent(place) == self._directory)

    def _show_count(self) -> None:
        if self._listing is None:
            self._count.setText("")
            return
        text = ngettext("{count} item", "{count} items", self.proxy.rowCount())
        if self._listing.is_truncated:
            text = text + "  " + _("This folder is too large to show completely.")
        self._count.setText(text)

    # -- selection ------------------------------------------------------------------------------------------------
    def _row(self, index: QModelIndex) -> FileRow:
        return self.model.row(self.proxy.mapToSource(index).row())

    def _chosen(self) -> list[FileRow]:
        return [row for index in self.table.selectionModel().selectedRows() if (row := self._row(index)).entry]

    def _paths(self) -> tuple[str, ...]:
        return tuple(child(self._directory, row.untrusted_name) for row in self._chosen())

    def _enable(self) -> None:
        self.up.setEnabled(self._directory != "/")
        self.download.setEnabled(bool(self._chosen()))
        self.upload.setEnabled(self._listing is not None)

    def _enter_current(self) -> None:
        if self.table.currentIndex().isValid():
            self._enter(self.table.currentIndex())

    def _enter(self, index: QModelIndex) -> None:
        row = self._row(index)
        if row.entry is None:
            return
        path = child(self._directory, row.untrusted_name)
        if row.entry.is_directory:
            self.go(path)
        elif row.entry.is_file or row.entry.is_link:
            self._open_file(path, may_be_directory=row.entry.is_link)

    def _open_file(self, path: str, *, may_be_directory: bool) -> None:
        if may_be_directory:
            # Only the container can resolve a link, so it is tried as a directory first.
            self._link_tried = path
            self.go(path)
            return
        if self.viewer.is_changed:
            self._stack.setCurrentWidget(self.viewer)
            self.viewer.leave()  # asks about unsaved changes of the other file
            return
        self.viewer.show_file(self._container_id, path)
        self._stack.setCurrentWidget(self.viewer)
        self.viewer.editor.setFocus(Qt.FocusReason.OtherFocusReason)

    def _on_link_tried(self, container_id: str, path: str, answer: Listing | Problem) -> None:
        if not path or path != self._link_tried or container_id != self._container_id:
            return
        self._link_tried = ""
        if isinstance(answer, Problem):
            self._problem.show_problem(None)
            self._requested = ""
            self._open_file(path, may_be_directory=False)

    def _show_list(self) -> None:
        self._stack.setCurrentIndex(0)
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        self.go(self._directory)

    def _menu(self, point: QPoint) -> None:
        menu = QMenu(self.table)
        chosen = self._chosen()
        if len(chosen) == 1:
            menu.addAction(pgettext("verb", "Open"), self._enter_current)
        if chosen:
            menu.addAction(_("Download…"), self._download)
            menu.addAction(_("Copy path"), self._copy_paths)
        menu.addAction(_("Upload…"), self._upload)
        menu.exec(self.table.viewport().mapToGlobal(point))
        menu.deleteLater()

    def _copy_paths(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(shown_path(path) for path in self._paths()))

    # -- to and from this computer --------------------------------------------------------------------------------
    def _download(self) -> None:
        self._download_paths(self._paths())

    def _download_paths(self, paths: tuple[str, ...]) -> None:
        if not paths:
            return
        usual = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DownloadLocation)
        chosen = QFileDialog.getExistingDirectory(self, _("Download to"), usual)
        if chosen:
            self._store.part(DetailStore).intents.download.emit(self._container_id, paths, Path(chosen))

    def _upload(self) -> None:
        chosen, _kind = QFileDialog.getOpenFileNames(self, _("Upload files to the container"))
        if chosen:
            self.upload_files(tuple(Path(name) for name in chosen))

    def upload_files(self, sources: tuple[Path, ...]) -> None:
        """Copy files and folders into the open directory; they get its owner."""
        owner = self._listing.directory if self._listing is not None else None
        ids = (owner.user_id, owner.group_id) if owner is not None else (0, 0)
        self._store.part(DetailStore).intents.upload.emit(self._container_id, self._directory, sources, ids)

    def _on_job(self, job: Job) -> None:
        if job.kind is JobKind.UPLOAD and job.container_id == self._container_id and job.state is not JobState.RUNNING:
            self.go(self._directory)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._listing is not None and self._stack.currentIndex() == 0 and _dropped(event):
            event.acceptProposedAction()
            self._drop.setText(_("Drop to upload to {path}", path=shown_path(self._directory)))
            self._drop.show()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop.hide()
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.hide()
        sources = _dropped(event)
        if sources:
            # Always a copy, whatever the desktop proposes: the originals stay.
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            self.upload_files(sources)


def _dropped(event: QDropEvent) -> tuple[Path, ...]:
    return tuple(Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile() and url.toLocalFile())
