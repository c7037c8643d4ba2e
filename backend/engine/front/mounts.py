"""Where the sources of mounts are in the guest: paths of the host, however a client asks for them.

So far one thing of the host is available in containers: the engine's socket. Clients that were told a socket by
DOCKER_HOST or a docker context mount that path; in the guest it is `GUEST_SOCKET`.
"""

from __future__ import annotations

import os.path
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from backend.errors import ProblemCode, fail
from backend.messages import message

GUEST_SOCKET: Final = "/var/run/docker.sock"


class MountSources:
    """Maps the sources of mounts in requests.

    The bodies of requests are changed in place. All methods may read the file system (blocking), return whether they
    changed something, and raise WherryError for what can't be mounted.

    Bodies of an unexpected shape are left to the engine.
    """

    def __init__(self, socket: Path, url: str) -> None:
        """Store where clients find the engine.

        Args:
            socket: the socket in the host's file system.
            url: the same for docker clients, as in DOCKER_HOST, which may name it by another path.
        """
        named = url.partition("://")[2]
        paths = (str(socket), os.path.realpath(socket), named, unquote(named))
        self._sockets = frozenset(_plain(path) for path in paths if path.startswith("/"))
        self._directories = frozenset(map(posixpath.dirname, self._sockets))

    def map_container(self, body: dict[str, object]) -> bool:
        """Of `POST /containers/create`."""
        host = body.get("HostConfig")
        if not isinstance(host, dict):
            return False
        binds = host.get("Binds")
        if not isinstance(binds, list):
            binds = []
        changed = False
        for at, bind in enumerate(binds):
            source, colon, rest = str(bind).partition(":")
            if colon and (mapped := self._map(source)) is not None:
                binds[at] = mapped + colon + rest
                changed = True
        return self._map_mounts(host.get("Mounts")) or changed

    def map_service(self, body: dict[str, object]) -> bool:
        """Of `POST /services/create` and `POST /services/ID/update`."""
        task = body.get("TaskTemplate")
        container = task.get("ContainerSpec") if isinstance(task, dict) else None
        return isinstance(container, dict) and self._map_mounts(container.get("Mounts"))

    def map_volume(self, body: dict[str, object]) -> bool:
        """Of `POST /volumes/create`."""
        return self._map_value(body.get("DriverOpts"), "device")

    def _map_mounts(self, mounts: object) -> bool:
        changed = False
        for mount in mounts if isinstance(mounts, list) else ():
            if not isinstance(mount, dict):
                continue
            if mount.get("Type") == "bind":
                changed |= self._map_value(mount, "Source")
            volume = mount.get("VolumeOptions")
            driver = volume.get("DriverConfig") if isinstance(volume, dict) else None
            if isinstance(driver, dict):
                changed |= self._map_value(driver.get("Options"), "device")
        return changed

    def _map_value(self, values: object, key: str) -> bool:
        source = values.get(key) if isinstance(values, dict) else None
        mapped = self._map(source) if isinstance(source, str) else None
        if mapped is None or not isinstance(values, dict):
            return False
        values[key] = mapped
        return True

    def _map(self, source: str) -> str | None:
        """The path in the guest; None: the same as on the host. Raises WherryError."""
        if not source.startswith("/") or "\0" in source:
            return None  # a volume's name, or nothing that can be mounted
        plain = _plain(source)
        if plain == GUEST_SOCKET:
            return None
        if _any_of((plain, os.path.realpath(plain)), self._sockets):
            return GUEST_SOCKET
        if _any_of((plain, posixpath.dirname(plain)), self._directories):
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("{path} can't be mounted into a container: it belongs to Wherry.", path=plain),
                hint=message("To use the engine in a container, mount its socket: {socket}", socket=GUEST_SOCKET),
            )
        return None


def _plain(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip("/")


def _any_of(paths: Iterable[str], known: frozenset[str]) -> bool:
    return any(path in known for path in paths)
