"""A registry, a token server and a proxy on the loopback with configurable behaviour, and certificates for them."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CONFIG = b'{"architecture": "amd64", "os": "linux"}'
DIGEST = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": DIGEST, "size": len(CONFIG)}, "layers": []}).encode()
INDEX_DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
INDEX = json.dumps({"schemaVersion": 2, "manifests": [{"digest": INDEX_DIGEST}]}).encode()
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Manners:
    """Behaviour of the server. Its `answers`, by prefix of "METHOD PATH", take precedence."""

    answers: dict[str, Answer] = field(default_factory=dict)
    token: bool = False
    """Whether it requires a token, which it also issues."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Authorization of each request."""


@contextmanager
def serving(manners: Manners, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve in a thread; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            manners.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            status, headers, body = self._answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 -- the base class's names

        def _answer(self) -> Answer:
            path = self.path.removeprefix(f"http://{self.headers.get('Host')}")
            for begin, answer in manners.answers.items():
                if f"{self.command} {path}".startswith(begin):
                    return answer
            if path.startswith("/token"):
                return 200, {}, b'{"token": "t0ken"}'
            if manners.token and self.headers.get("Authorization") != "Bearer t0ken":
                scheme = "https" if tls is not None else "http"
                realm = f'Bearer realm="{scheme}://{self.headers.get("Host")}/token",service="the service"'
                return 401, {"WWW-Authenticate": realm}, b'{"errors": [{"message": "authentication required"}]}'
            if path == "/v2/":
                return 200, {"Docker-Distribution-Api-Version": "registry/2.0"}, b"{}"
            if path == f"/v2/app/manifests/{INDEX_DIGEST}":
                return 200, {}, MANIFEST
            if path == "/v2/app/manifests/latest":
                return 200, {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "42;w=21600"}, INDEX
            if path == f"/v2/app/blobs/{DIGEST}":
                return 200, {}, CONFIG
            return 404, {}, b'{"errors": [{"message": "not known to the registry"}]}'

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that disconnects during the handshake is part of the test

        def finish_request(self, request: object, client_address: object) -> None:
            assert isinstance(request, socket.socket)
            if tls is None:
                super().finish_request(request, client_address)
                return
            request.settimeout(20)
            with tls.wrap_socket(request, server_side=True) as secured:  # here, on the connection's own thread
                super().finish_request(secured, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def proxying(*, answer: bytes = b"", wants: str = "", to: int = 0) -> Iterator[tuple[int, list[str]]]:
    """A proxy that connects every CONNECT to a port of the loopback; yields its port and the request lines received.

    Args:
        answer: sent instead, before closing.
        wants: required user:password; else the answer is 407.
        to: the target port.
    """
    heard: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := connection.recv(4096)):
                    return
                head += piece
            heard.append(head.split(b"\r\n", 1)[0].decode())
            right = base64.b64encode(wants.encode())
            if answer or (wants and right not in head):
                connection.sendall(answer or b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", to)) as onward:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                while True:
                    for ready in select.select([connection, onward], [], [], 20)[0]:
                        if not (data := ready.recv(65_536)):
                            return
                        (onward if ready is connection else connection).sendall(data)

    def quietly(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=quietly, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """A certificate authority."""

    def __init__(self, directory: Path, name: str = "Zoë's Test Authority") -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(self._name, self._key, (), -1, 30, is_authority=True)
        self.pem = directory / "authority.pem"
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def serve_as(self, *names: str, begins: int = -1, ends: int = 30) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these names, valid between these days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key, names, begins, ends, is_authority=False)
        path = self._directory / f"{names[0]}{begins}{ends}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[str, ...],
        begins: int,
        ends: int,
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begins))
            .not_valid_after(now + timedelta(days=ends))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            entries = [_alternative(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
        return builder.sign(self._key, hashes.SHA256())
