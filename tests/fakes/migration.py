"""The fake QEMU's migration: a state written to and read from a passed descriptor, or refused on cue.

The state is a line with the guest's progress and a block of bytes, so that a truncated or foreign state is detected, as
by QEMU.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAGIC = "a fake state"
_HEAP = b"\0memory\n" * 4096


class FdChannel:
    """Both directions of a Unix socket, including passed descriptors, which asyncio's streams would drop."""

    def __init__(self, connection: socket.socket) -> None:
        """Start reading. `close` ends it."""
        connection.setblocking(False)
        self.reader = asyncio.StreamReader()
        self.descriptors: list[int] = []
        self._connection = connection
        self._pending = b""
        asyncio.get_running_loop().add_reader(connection.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, 65_536, 8)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self.descriptors += descriptors
        if data:
            self.reader.feed_data(data)
        else:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self.reader.feed_eof()

    def write(self, data: bytes) -> None:
        """See StreamWriter."""
        self._pending += data

    async def drain(self) -> None:
        """See StreamWriter."""
        pending, self._pending = self._pending, b""
        await asyncio.get_running_loop().sock_sendall(self._connection, pending)

    def get_extra_info(self, _name: str) -> socket.socket:
        """The socket."""
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        asyncio.get_running_loop().remove_reader(self._connection.fileno())
        self._connection.close()


class Migration:
    """The migration of one fake QEMU."""

    def __init__(self, cues: dict[str, Any], *, save: Callable[[], dict[str, Any]], incoming: bool) -> None:
        """Nothing is in progress at first.

        Args:
            cues: migrate_blocked (message), migrate_fails ("save" or "load"), hold "migrate".
            save: returns the guest's state.
            incoming: whether this QEMU was started to load a state.
        """
        self._cues = cues
        self._save = save
        self._named: dict[str, int] = {}
        self._status: str | None = None
        self._words = ""
        self._task: asyncio.Task[None] | None = None
        self.incoming = incoming
        """Whether the state has not arrived yet."""
        self.loaded: dict[str, Any] | None = None

    def execute(self, name: str, arguments: dict[str, Any], descriptors: list[int]) -> dict[str, Any] | None:
        """Run a command; None when it is not about migration."""
        match name:
            case "getfd":
                if not descriptors:
                    return {"error": {"class": "GenericError", "desc": "No file descriptor supplied via SCM_RIGHTS"}}
                self._named[str(arguments["fdname"])] = descriptors.pop(0)
            case "migrate-set-parameters":
                pass
            case "query-migrate":
                answer: dict[str, Any] = {}
                if self._status is not None:
                    answer["status"] = self._status
                    if self._words:
                        answer["error-desc"] = self._words
                if blocked := self._cues.get("migrate_blocked"):
                    answer["blocked-reasons"] = [blocked]
                return {"return": answer}
            case "migrate":
                self._begin(self._write(self._named.pop(arguments["uri"].removeprefix("fd:"))))
            case "migrate-incoming":
                self._begin(self._read(self._named.pop(arguments["uri"].removeprefix("fd:"))))
            case "migrate_cancel":
                if self._task is not None and not self._task.done():
                    self._task.cancel()
                    self._status = "cancelled"
            case _:
                return None
        return {"return": {}}

    def _begin(self, work: Any) -> None:
        self._status, self._words = "active", ""
        self._task = asyncio.create_task(work)

    async def _write(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({"magic": _MAGIC, **self._save()}).encode() + b"\n" + _HEAP[:1000])
            file.flush()
            await self._held()
            if self._cues.get("migrate_fails") == "save":
                self._status, self._words = "failed", "Unable to write to socket: Input/output error"
                return
            file.write(_HEAP[1000:])
        self._status = "completed"

    async def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as file:
            head, _, heap = file.read().partition(b"\n")
        await self._held()
        try:
            state = json.loads(head)
            is_valid = state["magic"] == _MAGIC and heap == _HEAP
        except (ValueError, KeyError, TypeError):
            is_valid = False
        if not is_valid or self._cues.get("migrate_fails") == "load":
            # QEMU 7.2 exits with this message.
            os.write(2, b"qemu-system-fake: load of migration failed: Invalid argument\n")
            os._exit(1)
        self.loaded = state
        self.incoming = False
        self._status = "completed"

    async def _held(self) -> None:
        path = self._cues.get("hold", {}).get("migrate")
        while path and not Path(path).exists():
            await asyncio.sleep(0.01)
