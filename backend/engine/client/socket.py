"""docker-py on a Unix socket, with a fix: a socket whose connect fails is closed.

Besides `engine_client.py` the only module that imports docker-py.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from docker import APIClient
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

from backend.engine.front.clients import OWN_CLIENT_HEADER

_SCHEME: Final = "unix://"


def open_api(url: str, version: str, timeout_s: int) -> APIClient:
    """Create docker-py's client. It connects at its first request.

    Args:
        url: as in DOCKER_HOST.
        version: version of the API.
        timeout_s: for each step of a request.
    """
    api = APIClient(base_url=url, version=version, timeout=timeout_s)
    # The agent must tell our own requests from those of docker clients: they never start the machine.
    api.headers[OWN_CLIENT_HEADER] = "1"
    if url.startswith(_SCHEME):
        api.mount("http+docker://", _Adapter("http+" + url, timeout_s))
    return api


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout  # docker-py's timeout, in seconds
        return _Connection(self.base_url, self.socket_path, timeout)


class _Adapter(UnixHTTPAdapter):
    def get_connection(self, url: bytes | str, proxies: Any = None) -> _Pool:  # noqa: ARG002 -- docker-py's signature
        with self.pools.lock:
            pool: _Pool | None = self.pools.get(url)
            if pool is None:
                pool = self.pools[url] = _Pool(str(url), self.socket_path, self.timeout, maxsize=self.max_pool_size)
            return pool
