"""A Docker engine that replays recorded replies over a real unix socket, and can be killed, slowed and made to fail."""

from __future__ import annotations

import base64
import contextlib
import json
import queue
import re
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final, Self

from tests.gui.fakes.fake_inside import Inside, answer
from tests.gui.scenes.samples import recorded

_END: Final = None
_LISTED: Final = {"/images/json": "images", "/volumes": "volumes", "/networks": "networks", "/system/df": "df"}
_ROUTE: Final = re.compile(r"/v[\d.]+(?P<path>/[^?]*)(?:\?(?P<query>.*))?")
_UP: Final = {"start": "running", "restart": "running", "unpause": "running", "pause": "paused"}


class FakeEngine:
    """The fake engine. Its containers are `entries`; `happen` changes one and sends the event."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"unix://{path}"
        self.listings: dict[str, Any] = recorded("listings")
        self.entries: list[dict[str, Any]] = recorded("containers")
        self.requests: list[str] = []
        self.queries: dict[str, str] = {}
        """The last query of each request, by "POST /containers/web/stop"."""
        self.held: dict[str, threading.Event] = {}
        """Requests whose answer waits for the event, by the same key."""
        self.refuses: tuple[int, str] | None = None
        self.lists = 0
        self.logs: dict[str, bytes] = {}
        self.inside = Inside()
        self.log_queries: list[str] = []
        self.answers: dict[str, Any] = {}
        """Replies that replace the usual ones, by "POST /commit"; bytes are sent unchanged."""
        self.wire_logs: dict[str, bytes] = {}
        """Encoded HTTP chunks of logs that are too long to build at once, by container."""
        self.follows = True
        self._streams: list[queue.SimpleQueue[bytes | None]] = []
        self._log_streams: list[queue.SimpleQueue[bytes | None]] = []
        self._log_names: dict[int, str] = {}
        self.most_log_readers = 0
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(self, *_error: object) -> None:
        self.die()

    def listen(self) -> None:
        """Start listening, also again after `die`."""
        self.path.unlink(missing_ok=True)
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def die(self) -> None:
        """Close all connections, as a killed engine does."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.cut()
        self.end_streams()
        server.server_close()
        self.path.unlink(missing_ok=True)

    def happen(self, action: str, name: str) -> None:
        """Change a container's state and send the event."""
        for entry in list(self.entries):
            if entry["Names"][0] == f"/{name}" or entry["Id"] == name:
                if action == "destroy":
                    self.entries.remove(entry)
                else:
                    entry["State"] = _UP.get(action, "exited")
                    entry["Status"] = "Up 1 second" if entry["State"] == "running" else "Exited (137) 1 second ago"
        event = dict(recorded("event")) | {"Action": action}
        self._send_to(self._streams, json.dumps(event).encode() + b"\n")

    def event(self, kind: str, action: str) -> None:
        """Send an event that is not about a container."""
        event = {"Type": kind, "Action": action, "Actor": {"ID": "x", "Attributes": {}}, "time": 1, "timeNano": 10**9}
        self._send_to(self._streams, json.dumps(event).encode() + b"\n")

    def write_event(self, untrusted: bytes) -> None:
        """Send raw bytes to all readers of events."""
        self._send_to(self._streams, untrusted)

    def write_log(self, untrusted: bytes, container: str = "") -> None:
        """Send log output to all readers of logs, or only to those of one container."""
        with self._lock:
            chosen = [stream for stream in self._log_streams if container in ("", self._log_names[id(stream)])]
        self._send_to(chosen, untrusted)

    def end_streams(self) -> None:
        """End all streaming replies cleanly."""
        self._send_to(self._streams, _END)
        self._send_to(self._log_streams, _END)

    @property
    def listeners(self) -> int:
        """Number of clients that read events."""
        return len(self._streams)

    @property
    def log_readers(self) -> int:
        """Number of clients that read logs."""
        return len(self._log_streams)

    def end_logs(self) -> None:
        """End all open logs, as when their containers stop."""
        self._send_to(self._log_streams, _END)

    def subscribe(self, *, logs: bool, container: str = "") -> queue.SimpleQueue[bytes | None]:
        """Register a reader; returns the queue of data to send, ended by None."""
        made: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self._lock:
            (self._log_streams if logs else self._streams).append(made)
            self._log_names[id(made)] = container
            self.most_log_readers = max(self.most_log_readers, len(self._log_streams))
        return made

    def unsubscribe(self, stream: queue.SimpleQueue[bytes | None]) -> None:
        """Unregister a reader."""
        with self._lock:
            for streams in (self._streams, self._log_streams):
                if stream in streams:
                    streams.remove(stream)

    def _send_to(self, streams: list[queue.SimpleQueue[bytes | None]], data: bytes | None) -> None:
        with self._lock:
            for stream in list(streams):
                stream.put(data)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(str(engine.path), _Handler)
        self.engine = engine
        self.sockets: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        made, address = super().get_request()
        self.sockets.add(made)
        return made, address

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for one in list(self.sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect in the middle of a reply; tests do that on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_words: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        path, query = self._route()
        engine = self.server.engine
        if self._is_odd("GET", path) or answer(engine.inside, self, "GET", path, query):
            return
        if path == "/version":
            self._answer(200, recorded("version"))
        elif path == "/info":
            self._answer(200, recorded("info"))
        elif path == "/_ping":
            self._answer(200, "OK")
        elif path == "/containers/json":
            engine.lists += 1
            self._answer(200, engine.entries)
        elif path == "/events":
            self._stream(b"", logs=False)
        elif path in _LISTED:
            key = _LISTED[path]
            if key not in engine.listings:
                self._answer(500, {"message": "the list is not to be had"})
            else:
                self._answer(200, engine.listings[key])
        elif path.endswith("/json"):
            self._inspect(path.split("/")[2])
        elif path.endswith("/logs"):
            since = "since=" in query
            name = path.split("/")[2]
            wire = b"" if since else engine.wire_logs.get(name, b"")
            engine.log_queries.append(query)
            first = b"" if since else engine.logs.get(name, b"")
            self._stream(first, logs=True, wire=wire, container=name, follows="follow=1" in query)
        else:
            self._answer(404, {"message": "page not found"})

    def do_POST(self) -> None:
        path, query = self._route()
        if self._is_odd("POST", path) or answer(self.server.engine.inside, self, "POST", path, query):
            return
        name, verb = path.split("/")[2:4]
        self._change(name, verb, {"start": "start", "restart": "restart", "stop": "die"}.get(verb, verb))

    def do_HEAD(self) -> None:
        path, query = self._route()
        answer(self.server.engine.inside, self, "HEAD", path, query)

    def do_PUT(self) -> None:
        path, query = self._route()
        answer(self.server.engine.inside, self, "PUT", path, query)

    def do_DELETE(self) -> None:
        path, query = self._route()
        if answer(self.server.engine.inside, self, "DELETE", path, query):
            return
        self._change(path.split("/")[2], "remove", "destroy")

    def _is_odd(self, method: str, path: str) -> bool:
        """Send the reply that the test set, if any; returns whether there was one."""
        if (asked := f"{method} {path}") not in self.server.engine.answers:
            return False
        if method == "POST":
            self._body()
        self._answer(200, self.server.engine.answers[asked])
        return True

    def _body(self) -> bytes:
        """The whole body of the request, chunked or not."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _route(self) -> tuple[str, str]:
        match = _ROUTE.fullmatch(self.path)
        path, query = (match["path"], match["query"] or "") if match else (self.path, "")
        asked = f"{self.command} {path}"
        self.server.engine.requests.append(asked)
        self.server.engine.queries[asked] = query
        if (gate := self.server.engine.held.get(asked)) is not None:
            gate.wait(30)
        return path, query

    def _change(self, name: str, _verb: str, event: str) -> None:
        engine = self.server.engine
        if not any(name in (entry["Id"], entry["Names"][0][1:]) for entry in engine.entries):
            answer = recorded("no-such-container")
            self._answer(answer["status"], answer["body"])
        elif engine.refuses is not None:
            self._answer(engine.refuses[0], {"message": engine.refuses[1]})
        else:
            engine.happen(event, name)
            self._answer(204, None)

    def _inspect(self, name: str) -> None:
        engine = self.server.engine
        if not any(name in (entry["Id"], entry["Names"][0][1:]) for entry in engine.entries):
            answer = recorded("no-such-container")
            self._answer(answer["status"], answer["body"])
            return
        self._answer(200, recorded("inspect")["terminal" if name == "terminal" else "chatty"])

    def _answer(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(
        self, first: bytes, *, logs: bool, wire: bytes = b"", container: str = "", follows: bool = True
    ) -> None:
        engine = self.server.engine
        stream = engine.subscribe(logs=logs, container=container)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            self.wfile.write(wire)
            data: bytes | None = first
            while data is not None:
                if data:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                if logs and not (engine.follows and follows):
                    break
                data = stream.get()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            engine.unsubscribe(stream)


def frame(data: bytes, stream: int = 1) -> bytes:
    """Frame log data as the engine does for a container without a terminal."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def recorded_log(name: str) -> bytes:
    """The recorded log of a container, framed or raw."""
    return base64.b64decode(recorded("logs")[name])
