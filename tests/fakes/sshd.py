"""The SSH server of the fake guest: paramiko's server with Wherry's keys, and a small scripted engine.

It accepts the authorized key, opens `direct-streamlocal@openssh.com` channels to the engine, and runs scripted
commands. It does not depend on QEMU: the fake QEMU passes connected sockets to it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_FAILED_CONNECT_FAILED, OPEN_SUCCEEDED

STREAM_LOCAL = "direct-streamlocal@openssh.com"
_PATIENCE_S = 60.0


class Engine:
    """Answers the few requests that Wherry itself sends to dockerd."""

    def __init__(
        self, *, accepts: Callable[[], bool], answers: Callable[[], bool], lines: Path, containers: str | None = None
    ) -> None:
        """Create the engine.

        Args:
            accepts: whether its socket exists.
            answers: whether accepted connections are answered.
            lines: file to which `POST /lines/WORD` appends a line, flushed before the answer.
            containers: file with the running containers as inspect answers; None: there are none.
        """
        self.accepts = accepts
        self.answers = answers
        self._lines = lines
        self._containers_file = containers

    def serve(self, channel: paramiko.Channel) -> None:
        """Serve one connection to its end."""
        channel.settimeout(_PATIENCE_S)
        pending = b""
        with contextlib.suppress(OSError, EOFError):
            while True:
                while b"\r\n\r\n" not in pending:
                    chunk = channel.recv(65_536)
                    if not chunk:
                        return
                    pending += chunk
                head, _, pending = pending.partition(b"\r\n\r\n")
                while not self.answers():  # hangs, and answers when it continues
                    if channel.closed or channel.eof_received:
                        return
                    time.sleep(0.02)
                if head.startswith(b"GET /events"):
                    self._tick(channel)
                    return
                if head.startswith(b"POST /lines/"):
                    self._keep(head.split(b" ", 2)[1].rsplit(b"/", 1)[-1])
                channel.sendall(_answer(head, self._containers()))
                if b"connection: close" in head.lower() or b" HTTP/1.0\r\n" in head:
                    return

    def _tick(self, channel: paramiko.Channel) -> None:
        """An endless answer: a line now and then, and events of containers, while the client reads."""
        before = set(self._containers())
        channel.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        while self.accepts():
            if self.answers():
                now = set(self._containers())
                changes = [(key, "destroy") for key in before - now] + [(key, "start") for key in now - before]
                events = [{"Type": "container", "Action": action, "Actor": {"ID": key}} for key, action in changes]
                for event in [*events, {}]:
                    line = json.dumps(event).encode() + b"\n"
                    channel.sendall(b"%x\r\n%s\r\n" % (len(line), line))
                before = now
            time.sleep(0.05)

    def _containers(self) -> dict[str, dict[str, Any]]:
        if self._containers_file is None or not Path(self._containers_file).exists():
            return {}
        return {one["Id"]: one for one in json.loads(Path(self._containers_file).read_text(encoding="utf-8"))}

    def _keep(self, word: bytes) -> None:
        descriptor = os.open(self._lines, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, word + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_LISTS = {
    b"/images/json": [{"Id": "sha256:" + "a" * 64}],
    b"/volumes": {"Volumes": [{"Name": "hold"}]},
    b"/networks": [
        {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}},
        {"Name": "quay", "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}, "Labels": {}},
        {"Name": "none", "IPAM": {"Config": None}, "Labels": None},
    ],
}
"""Answers of the engine by path."""


def _answer(head: bytes, containers: dict[str, dict[str, Any]]) -> bytes:
    target = head.split(b" ", 2)[1].split(b"?")[0]
    inspects = {b"/containers/%s/json" % key.encode(): one for key, one in containers.items()}
    listed = [
        {"Id": key, "Names": [one["Name"]], "Ports": [{"PublicPort": 1}], "HostConfig": {}}
        for key, one in containers.items()
    ]
    lists = {**_LISTS, b"/containers/json": listed, **inspects}
    if target.endswith(b"/_ping") or target.startswith(b"/lines/"):
        status, kind, body = b"200 OK", b"text/plain", b"OK"
    elif target.endswith(b"/version"):
        status, kind, body = b"200 OK", b"application/json", json.dumps({"ApiVersion": "1.51"}).encode()
    elif target in lists:
        status, kind, body = b"200 OK", b"application/json", json.dumps(lists[target]).encode()
    else:
        status, kind, body = b"404 Not Found", b"application/json", json.dumps({"message": "no such page"}).encode()
    fields = [b"HTTP/1.1 " + status, b"Api-Version: 1.51", b"Content-Type: " + kind]
    return b"\r\n".join([*fields, b"Content-Length: %d" % len(body), b"", body])


class Figures:
    """The guest's `stats` program: one busy container, a sample every few hundredths of a second."""

    def __init__(self, note: Callable[[str], None], *, exit_code: int | None = None) -> None:
        """Create the program.

        Args:
            note: called at its start and end.
            exit_code: print nothing and exit with this code.
        """
        self._note = note
        self._exit_code = exit_code

    def serve(self, channel: paramiko.Channel) -> None:
        """Print until the client stops reading."""
        self._note("stats begun")
        try:
            self._print(channel)
        finally:
            self._note("stats ended")

    def _print(self, channel: paramiko.Channel) -> None:
        if self._exit_code is not None:
            channel.send_exit_status(self._exit_code)
            return
        at = 0
        while not channel.closed:
            at += 1
            lines = (
                f"sample {at}.00",
                f"cpu  {at * 50} 0 0 {at * 150} 0 0 0 0 0 0",
                "MemTotal: 4000000 kB",
                "MemFree: 2500000 kB",
                "Buffers: 100000 kB",
                "Cached: 400000 kB",
                "disk 4096 16000000 15000000",
                f"docker/{'c' * 64}/cpu.stat:usage_usec {at * 500_000}",
                f"docker/{'c' * 64}/memory.current:1048576",
                "end",
            )
            channel.sendall("\n".join(lines).encode() + b"\n")
            time.sleep(0.05)


class _Server(paramiko.ServerInterface):
    def __init__(self, authorized: frozenset[bytes], engine: Engine, figures: Figures) -> None:
        self.commands: dict[int, str] = {}
        self.kinds: dict[int, str] = {}
        self._authorized = authorized
        self._engine = engine
        self._figures = figures

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == "root" and key.asbytes() in self._authorized
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self.kinds[chanid] = kind
        if kind == "session" or (kind == STREAM_LOCAL and self._engine.accepts()):
            return OPEN_SUCCEEDED
        return OPEN_FAILED_CONNECT_FAILED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands[channel.get_id()] = command.decode()
        threading.Thread(target=self._execute, args=(channel,), daemon=True).start()
        return True

    def _execute(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError, EOFError):
            channel.settimeout(_PATIENCE_S)
            given = b""
            while chunk := channel.recv(4096):  # to the end of stdin, which arrives after the reply to the request
                given += chunk
            if "/wherry/stats" in self.commands[channel.get_id()]:
                self._figures.serve(channel)
            elif b"no-such-option" in given:  # like dockerd --validate
                channel.sendall_stderr(
                    b"unable to configure the Docker daemon with file /tmp/tmp.x: the following directives don't match "
                    b"any configuration option: no-such-option\n"
                )
                channel.send_exit_status(1)
            else:
                channel.sendall(f"ran {self.commands[channel.get_id()]}\n".encode())
                channel.send_exit_status(0)
            channel.close()


class SshServer:
    """Serves connections that the caller has accepted."""

    def __init__(
        self, *, host_key: Path, authorized_keys: Path, engine: Engine, figures: Figures, cut: Callable[[], bool]
    ) -> None:
        """Create the server.

        Args:
            host_key: private key file.
            authorized_keys: file with the accepted keys.
            engine: serves the channels.
            figures: the `stats` program.
            cut: whether connections break now.
        """
        self._host_key = paramiko.Ed25519Key.from_private_key_file(str(host_key))
        lines = authorized_keys.read_text(encoding="ascii").splitlines()
        self._authorized = frozenset(base64.b64decode(line.split()[1]) for line in lines if line.strip())
        self._engine = engine
        self._figures = figures
        self._cut = cut

    def serve(self, connection: socket.socket) -> None:
        """Serve one connection to its end; for a thread."""
        transport = paramiko.Transport(connection)
        transport.daemon = True
        transport.add_server_key(self._host_key)
        server = _Server(self._authorized, self._engine, self._figures)
        sessions: list[paramiko.Channel] = []  # keep a reference, or paramiko closes the channel
        try:
            transport.start_server(server=server)
            while transport.is_active() and not self._cut():
                channel = transport.accept(0.2)
                if channel is None:
                    continue
                if server.kinds.get(channel.get_id()) == STREAM_LOCAL:
                    threading.Thread(target=self._serve_engine, args=(channel,), daemon=True).start()
                else:
                    sessions = [*(session for session in sessions if not session.closed), channel]
        except (paramiko.SSHException, OSError, EOFError):
            pass  # the client closed
        finally:
            transport.close()

    def _serve_engine(self, channel: paramiko.Channel) -> None:
        try:
            self._engine.serve(channel)
        finally:
            with contextlib.suppress(OSError, EOFError):
                channel.close()
