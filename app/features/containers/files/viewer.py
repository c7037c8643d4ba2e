"""Viewer and editor for one file of a container: text, a picture, or a hex dump.

A file is editable only if the editor returns exactly its bytes, so that opening and saving changes nothing.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt, Signal
from PySide6.QtGui import QImageReader, QKeyEvent, QKeySequence, QPixmap, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.features.containers.data.files import shown_path
from app.features.containers.data.store import DetailStore
from app.features.problems.problem import ProblemView
from app.state.store import AppStore
from app.texts import _
from app.ui import theme
from app.ui.figures import size
from app.ui.widgets import MONOSPACE, ElidedLabel, IconButton, button, label
from backend.api import Problem, ProblemCode, RemoteFile

HEX_BYTES: Final = 65_536
"""Maximum bytes of a binary file shown."""
MAX_PICTURE_PIXELS: Final = 40_000_000
MAX_LINE_CHARS: Final = 100_000
"""Longer lines make Qt's text layout unusably slow; such a file is shown as a hex dump."""
_PICTURES: Final = frozenset((b"png", b"jpeg", b"jpg", b"gif", b"bmp", b"webp", b"ico"))


class FileViewer(QWidget):
    """Shows one file. `closed` is emitted when the user returns to the list."""

    closed = Signal()

    def __init__(self, store: AppStore) -> None:
        super().__init__()
        self._store = store
        self._container_id = ""
        self._path = ""
        self._file: RemoteFile | None = None
        self._newline = "\n"
        self._overwrite = False
        self._saving: bytes | None = None
        self.back = IconButton("arrow-left", _("Back to files"), "Esc")
        self.back.clicked.connect(lambda _checked=False: self.leave())
        self._name = ElidedLabel()
        self._about = label("", "muted")
        self.reload = button(_("Reload"), self._reload)
        self.download = button(_("Download…"), lambda: None)
        self.save = button(_("Save"), self._save, "primary")
        QShortcut(QKeySequence(QKeySequence.StandardKey.Save), self, self._save).setContext(
            Qt.ShortcutContext.WidgetWithChildrenShortcut
        )
        self._problem = ProblemView(store)
        self.editor = _Editor()
        self.editor.setObjectName("log")
        self.editor.setAccessibleName(_("File content"))
        font = self.editor.font()
        font.setFamilies(MONOSPACE)
        self.editor.setFont(font)
        self.editor.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.editor.modificationChanged.connect(lambda _is: self._enable())
        self._picture = QLabel()
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.setAccessibleName(_("Image"))
        scroll = QScrollArea(widgetResizable=True)
        scroll.setAccessibleName(_("Image"))
        scroll.setWidget(self._picture)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.editor)
        self._stack.addWidget(scroll)
        bar = QHBoxLayout()
        bar.setSpacing(theme.px(8))
        bar.addWidget(self.back)
        bar.addWidget(self._name, 1)
        for widget in (self._about, self.reload, self.download, self.save):
            bar.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.px(8))
        column.addLayout(bar)
        column.addWidget(self._problem)
        column.addWidget(self._stack, 1)
        store.part(DetailStore).file_read.connect(self._on_read)
        store.part(DetailStore).file_saved.connect(self._on_saved)

    @property
    def container_id(self) -> str:
        """Id of the container whose file is shown."""
        return self._container_id

    @property
    def path(self) -> str:
        """Requested path of the file that is shown."""
        return self._path

    @property
    def is_changed(self) -> bool:
        """Whether there are unsaved changes."""
        return not self.editor.isReadOnly() and self.editor.document().isModified()

    def show_file(self, container_id: str, path: str) -> None:
        """Load and show a file."""
        self._container_id, self._path, self._file = container_id, path, None
        self._overwrite = False
        self._name.set_whole(shown_path(path))
        self._name.setAccessibleName(shown_path(path))
        self._about.setText(_("Loading…"))
        self._problem.show_problem(None)
        self._set_text("", editable=False)
        self._store.part(DetailStore).intents.load_file.emit(container_id, path)
        self._enable()

    def leave(self) -> None:
        """Return to the list; asks first if there are unsaved changes."""
        if not self.is_changed:
            self._forget()
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(_("Unsaved changes"))
        box.setText(_("Your changes to {name} aren't saved.", name=shown_path(self._path)))
        drop = box.addButton(_("Discard changes"), QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton(_("Keep editing"), QMessageBox.ButtonRole.RejectRole)
        for widget in (drop, stay):
            widget.setAccessibleName(widget.text())
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        drop.clicked.connect(self._forget)
        box.open()

    def _forget(self) -> None:
        self._path = ""
        self._file = None
        self._set_text("", editable=False)
        self.closed.emit()

    def _reload(self) -> None:
        self.show_file(self._container_id, self._path)

    def _on_read(self, container_id: str, path: str, answer: RemoteFile | Problem) -> None:
        if (container_id, path) != (self._container_id, self._path) or not path:
            return
        if isinstance(answer, Problem):
            self._about.setText("")
            self._problem.show_problem(answer)
        else:
            self._file = answer
            self._show_content(answer)
        self._enable()

    def _show_content(self, file: RemoteFile) -> None:
        data = file.untrusted_data
        about = f"{size(file.size)}  {file.mode:04o}  {file.user_id}:{file.group_id}"
        if (picture := picture_of(data)) is not None and file.is_whole:
            self._picture.setPixmap(picture)
            self._stack.setCurrentIndex(1)
            about = f"{picture.width()} × {picture.height()}  {about}"
        elif (text := text_of(data, whole=file.is_whole)) is not None:
            self._newline = "\r\n" if "\r\n" in text else "\n"
            plain = text.replace("\r\n", "\n")
            self._set_text(plain, editable=file.is_whole)
            same = self._content() == data
            self.editor.setReadOnly(not (file.is_whole and same))
            if not file.is_whole:
                about = _("Only the first {size} are shown", size=size(len(data))) + "  " + about
            elif not same:
                about = _("Read-only: the file contains characters that editing would change") + "  " + about
        else:
            self._set_text(hex_dump(data[:HEX_BYTES]), editable=False)
            about = _("Binary") + "  " + about
        self._about.setText(about)

    def _set_text(self, text: str, *, editable: bool) -> None:
        self._stack.setCurrentIndex(0)
        self.editor.setPlainText(text)
        self.editor.setReadOnly(not editable)
        self.editor.document().setModified(False)

    def _content(self) -> bytes:
        """The bytes to save. Uses Qt's raw text, because `toPlainText` replaces no-break spaces."""
        raw = self.editor.document().toRawText().replace("\u2029", "\n")
        return raw.replace("\n", self._newline).encode("utf-8", "surrogatepass")

    def _save(self) -> None:
        if self._file is not None and self.is_changed and self._saving is None:
            self._saving = self._content()
            self._store.part(DetailStore).intents.save_file.emit(
                self._container_id, self._file, self._saving, self._overwrite
            )
            self._enable()

    def _on_saved(self, container_id: str, answer: RemoteFile | Problem) -> None:
        saved, self._saving = self._saving, None
        if container_id != self._container_id or saved is None:
            return
        if isinstance(answer, Problem):
            # Saving again overwrites the file; the problem says so.
            self._overwrite = answer.code is ProblemCode.WRONG_PHASE
            self._problem.show_problem(answer)
        elif self._file is not None and answer.path == self._file.path:
            self._overwrite = False
            self._problem.show_problem(None)
            self._file = answer
            # Text typed during the save is still unsaved.
            self.editor.document().setModified(self._content() != saved)
        self._enable()

    def _enable(self) -> None:
        self.save.setVisible(not self.editor.isReadOnly())
        self.save.setEnabled(self.is_changed and self._saving is None)
        self.save.setText(_("Saving…") if self._saving is not None else _("Save"))
        self.reload.setEnabled(not self.is_changed)


class _Editor(QPlainTextEdit):
    """The text editor. Tab inserts a tab, so Ctrl+Tab and Ctrl+Shift+Tab move the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("keepsTab", True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_tab = event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab)
        if is_tab and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            # Not QPlainTextEdit's own method, which does nothing while Tab is an input.
            QWidget.focusNextPrevChild(self, event.key() == Qt.Key.Key_Tab)
        else:
            super().keyPressEvent(event)


def text_of(untrusted_data: bytes, *, whole: bool) -> str | None:
    """Decode the data as text; None if it is binary. `whole` is False for the beginning of a file."""
    if b"\0" in untrusted_data:
        return None
    try:
        text = untrusted_data.decode("utf-8")
    except UnicodeDecodeError as error:
        # The last character of a partial file may be cut.
        if whole or error.start < len(untrusted_data) - 4:
            return None
        text = untrusted_data[: error.start].decode("utf-8")
    return None if any(len(line) > MAX_LINE_CHARS for line in text.split("\n")) else text


def hex_dump(untrusted_data: bytes) -> str:
    """A hex dump with offset, sixteen bytes and their characters in each line."""
    lines = []
    for at in range(0, len(untrusted_data), 16):
        part = untrusted_data[at : at + 16]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{at:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  {letters}")
    return "\n".join(lines)


def picture_of(untrusted_data: bytes) -> QPixmap | None:
    """Decode the data as a picture, if it has a simple format and a safe size; None otherwise."""
    buffer = QBuffer()
    buffer.setData(QByteArray(untrusted_data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    reader.setDecideFormatFromContent(True)
    if not reader.canRead() or bytes(reader.format().data()).lower() not in _PICTURES:
        return None
    dimensions: QSize = reader.size()
    if not dimensions.isValid() or dimensions.width() * dimensions.height() > MAX_PICTURE_PIXELS:
        return None
    image = reader.read()
    return None if image.isNull() else QPixmap.fromImage(image)
