"""One window per user and home directory. A second start asks the first to show itself, and ends.

The lock decides, not the socket: it dies with its process, whereas a socket's file may stay behind.
"""

from __future__ import annotations

import getpass
import hashlib
import os
from pathlib import Path
from typing import Final

from PySide6.QtCore import QDir, QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

ANSWER_DEADLINE_MS: Final = 2_000
_SHOW: Final = b"show\n"
_DONE: Final = b"ok\n"


class SingleInstance(QObject):
    """Make it, then `claim`; only the one that gets True goes on."""

    asked_to_show = Signal()

    def __init__(self, home: Path | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        owner = f"{getpass.getuser()}|{home.resolve() if home else os.environ.get('WHERRY_HOME', '')}"
        # Short: a unix socket's path has room for some hundred characters.
        self._name = "wherry-desktop-" + hashlib.sha256(owner.encode()).hexdigest()[:16]
        self._lock = QLockFile(QDir.temp().filePath(f"{self._name}.lock"))
        # Zero: only a dead owner makes it stale, however long it was held.
        self._lock.setStaleLockTime(0)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._greet)

    def claim(self) -> bool:
        """Become the one instance; False if there is another."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._name)
        # Without a listener this window still works: only a second start cannot bring it to the front.
        self._server.listen(self._name)
        return True

    def ask_other_to_show(self) -> bool:
        """Tell the first instance; whether it heard within the deadline. Blocks: this process is about to end."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(ANSWER_DEADLINE_MS):
            return False
        socket.write(_SHOW)
        return socket.waitForReadyRead(ANSWER_DEADLINE_MS)

    def release(self) -> None:
        """Let another start be the first."""
        self._server.close()
        self._lock.unlock()

    def _greet(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(lambda socket=socket: self._hear(socket))
            socket.disconnected.connect(socket.deleteLater)

    def _hear(self, socket: QLocalSocket) -> None:
        if socket.readLine(64).data() == _SHOW:
            socket.write(_DONE)
            socket.flush()
            self.asked_to_show.emit()
