"""A real HTTP proxy on the loopback: CONNECT and absolute URLs, with a password, and counters of requests."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

_TIMEOUT_S = 60.0


class Proxy:
    """A running proxy; ended by `running_proxy`."""

    def __init__(self, account: str, names: Mapping[str, str]) -> None:
        """
        Args:
            account: "user:password" that clients must send.
            names: addresses by host name. Other names are refused.
        """
        self.names = dict(names)
        self.wanted = f"Basic {base64.b64encode(account.encode()).decode()}"
        self.passed: Counter[str] = Counter()
        """Number of forwarded requests, by "host:port"."""
        self.refused: Counter[str] = Counter()
        """Number of refused requests, by "host:port": wrong account or unknown name."""
        self.port = 0


class _Handler(socketserver.StreamRequestHandler):
    timeout = _TIMEOUT_S

    def handle(self) -> None:
        proxy: Proxy = self.server.proxy  # type: ignore[attr-defined]  # set by running_proxy
        first = self.rfile.readline(65_536).decode("latin-1").split()
        if len(first) != 3:
            return
        method, target, version = first
        headers: list[str] = []
        while (line := self.rfile.readline(65_536).decode("latin-1").strip()) != "":
            headers.append(line)
        authorization = [line.partition(":")[2].strip() for line in headers if line.lower().startswith("proxy-auth")]
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = parts.port or 80
        place = f"{parts.hostname}:{port}"
        if authorization != [proxy.wanted] or parts.hostname not in proxy.names:
            proxy.refused[place] += 1
            status = "407 Proxy Authentication Required" if authorization != [proxy.wanted] else "502 Unknown host"
            self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        proxy.passed[place] += 1
        with socket.create_connection((proxy.names[parts.hostname], port), timeout=_TIMEOUT_S) as upstream:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [line for line in headers if not line.lower().startswith(("proxy-", "connection:"))]
                path = parts._replace(scheme="", netloc="").geturl() or "/"
                head = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
                upstream.sendall(head.encode("latin-1"))
            self._pump(upstream)

    def _pump(self, upstream: socket.socket) -> None:
        ends = {self.connection: upstream, upstream: self.connection}
        while ready := select.select(list(ends), [], [], _TIMEOUT_S)[0]:
            for end in ready:
                data = end.recv(65_536)
                if not data:
                    return
                ends[end].sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""


@contextlib.contextmanager
def running_proxy(account: str, names: Mapping[str, str]) -> Iterator[Proxy]:
    """Serve on a free port of 127.0.0.1."""
    proxy = Proxy(account, names)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.proxy = proxy
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(timeout=20)
