"""Allows one window per user and home directory. A second process asks the first to show itself, and exits.

The lock file decides, not the socket: a lock is released when its process dies, while a socket's file can remain.
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
    """The lock and the local socket of one process. Only a process whose `claim` returns True may open the window."""

    show_requested = Signal()

    def __init__(self, home: Path | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # Without a directory the machine is below the user's home directory, which can differ for the same user.
        usual = [os.environ.get("WHERRY_HOME", ""), os.environ.get("XDG_DATA_HOME", ""), str(Path.home())]
        owner = "|".join([getpass.getuser(), *([str(home.resolve())] if home else usual)])
        # Short, because the path of a unix socket is limited to about 100 characters.
        self._name = "wherry-desktop-" + hashlib.sha256(owner.encode()).hexdigest()[:16]
        self._lock = QLockFile(QDir.temp().filePath(f"{self._name}.lock"))
        # Zero: the lock becomes stale only when its owner dies, never by age.
        self._lock.setStaleLockTime(0)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self) -> bool:
        """Take the lock and listen for later processes. Returns False if another process holds the lock."""
        if not self._lock.tryLock(0):
            return False
        QLocalServer.removeServer(self._name)
        # If listening fails, the window still works; a second process just cannot bring it to the front.
        self._server.listen(self._name)
        return True

    def show_running_instance(self) -> bool:
        """Ask the running instance to show its window. Returns whether it replied.

        Blocks for up to twice ANSWER_DEADLINE_MS; the caller exits afterwards.
        """
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(ANSWER_DEADLINE_MS):
            return False
        socket.write(_SHOW)
        return socket.waitForReadyRead(ANSWER_DEADLINE_MS)

    def release(self) -> None:
        """Stop listening and release the lock, so that another process can claim it."""
        self._server.close()
        self._lock.unlock()

    def _on_connection(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(lambda socket=socket: self._on_request(socket))
            socket.disconnected.connect(socket.deleteLater)

    def _on_request(self, socket: QLocalSocket) -> None:
        if socket.readLine(64).data() == _SHOW:
            socket.write(_DONE)
            socket.flush()
            self.show_requested.emit()
