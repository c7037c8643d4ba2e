"""The inside of the fake engine's containers: programs with a terminal, files as tar archives, processes, changes."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs

_GO_DIRECTORY = 1 << 31


@dataclass
class Program:
    """A program behind an exec or attach: prints a prompt, echoes lines, and ends at `exit CODE`."""

    argv: list[str]
    exit_code: int | None = None
    size: tuple[int, int] = (0, 0)
    typed: bytes = b""

    def talk(self, handler: BaseHTTPRequestHandler) -> None:
        """Run until the program ends or the client disconnects."""
        handler.wfile.write(b"shell# ")
        handler.wfile.flush()
        line = b""
        while byte := handler.rfile.read(1):
            self.typed += byte
            if byte != b"\r":
                line += byte
                continue
            word, _, rest = line.partition(b" ")
            line = b""
            if word == b"exit":
                self.exit_code = int(rest or b"0")
                return
            said = b"%d %d" % (self.size[1], self.size[0]) if word == b"size" else word + b" " + rest
            handler.wfile.write(b"\r\n" + said + b"\r\nshell# ")
            handler.wfile.flush()


@dataclass
class Inside:
    """The files, programs and processes of all containers together."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/etc/motd": b"ahoy\n"})
    odd_members: list[tarfile.TarInfo] = field(default_factory=list)
    """Members added at the beginning of every archive sent."""
    has_shell: bool = True
    programs: dict[str, Program] = field(default_factory=dict)
    received: list[tarfile.TarInfo] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    changed_at: int = 0
    created: list[dict[str, Any]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    commits: list[dict[str, list[str]]] = field(default_factory=list)
    export_size: int = 1_000_000
    hold: threading.Event = field(default_factory=threading.Event)
    """While not set, a copy out of a container stops after its first block."""

    def __post_init__(self) -> None:
        self.hold.set()


def answer(inside: Inside, handler: Any, method: str, path: str, query: str) -> bool:
    """Reply to a request about the inside of a container; returns False for any other request."""
    parts = path.strip("/").split("/")
    values = {key: found[0] for key, found in parse_qs(query, keep_blank_values=True).items()}
    chosen: Callable[..., None] | None = None
    match method, parts:
        case "POST", ["containers", _, "exec"]:
            chosen = _exec_create
        case "POST", ["exec", _, "start"]:
            chosen = _exec_start
        case ("POST", ["exec" | "containers", _, "resize"]):
            chosen = _resize
        case "GET", ["exec", _, "json"]:
            chosen = _exec_inspect
        case "GET", ["containers", _, "top"]:
            titles = ["PID", "USER", "COMMAND"]
            handler._answer(200, {"Titles": titles, "Processes": [["12", "root", "sleep 1"], ["7", "root", "init"]]})
            return True
        case "GET", ["containers", _, "changes"]:
            handler._answer(200, [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/motd", "Kind": 1}])
            return True
        case "HEAD", ["containers", _, "archive"]:
            chosen = _stat
        case "GET", ["containers", _, "archive"]:
            chosen = _get
        case "PUT", ["containers", _, "archive"]:
            chosen = _put
        case "GET", ["containers", _, "export"]:
            chosen = _export
        case "POST", ["commit"]:
            inside.commits.append(parse_qs(query))
            handler._body()
            handler._answer(201, {"Id": "sha256:" + "c" * 64})
            return True
        case "POST", ["images", "create"]:
            handler._body()
            inside.images.add(f"{values['repo']}:{values['tag']}")
            handler._answer(200, {"status": "sha256:" + "d" * 64})
            return True
        case "GET", ["images", first, *rest, "json"]:
            known = "/".join((first, *rest)) in inside.images
            handler._answer(200 if known else 404, {} if known else {"message": "No such image"})
            return True
        case "POST", ["containers", _, "attach"]:
            chosen = _attach
        case "POST", ["containers", "helper", "start"]:
            handler._answer(204, None)
            return True
        case "DELETE", ["containers", "helper"]:
            inside.removed.append("helper")
            handler._answer(204, None)
            return True
        case "POST", ["containers", "create"] if b"io.wherry.role" in (body := handler._body()):
            inside.created.append(json.loads(body))
            handler._answer(201, {"Id": "helper"})
            return True
    if chosen is None:
        return False
    chosen(inside, handler, parts, values)
    return True


def _exec_create(inside: Inside, handler: Any, _parts: list[str], _values: dict[str, str]) -> None:
    body = json.loads(handler._body())
    name = f"e{len(inside.programs):063x}"
    inside.programs[name] = Program(body["Cmd"])
    handler._answer(201, {"Id": name})


def _exec_start(inside: Inside, handler: Any, parts: list[str], _values: dict[str, str]) -> None:
    program = inside.programs[parts[1]]
    if json.loads(handler._body()).get("Detach"):
        handler._answer(200, None)
        return
    _hijack(handler)
    if inside.has_shell:
        program.talk(handler)
    else:
        handler.wfile.write(b'OCI runtime exec failed: exec: "sh": executable file not found in $PATH\r\n')
        program.exit_code = 127
    handler.close_connection = True


def _attach(inside: Inside, handler: Any, _parts: list[str], _values: dict[str, str]) -> None:
    handler._body()
    _hijack(handler)
    program = inside.programs["helper"] = Program(["debug"])
    program.talk(handler)
    handler.close_connection = True


def _hijack(handler: Any) -> None:
    head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n"
    handler.wfile.write(f"{head}Upgrade: tcp\r\n\r\n".encode())


def _resize(inside: Inside, handler: Any, parts: list[str], values: dict[str, str]) -> None:
    inside.programs[parts[1]].size = (int(values["w"]), int(values["h"]))
    handler._answer(200, None)


def _exec_inspect(inside: Inside, handler: Any, parts: list[str], _values: dict[str, str]) -> None:
    program = inside.programs[parts[1]]
    handler._answer(200, {"Running": program.exit_code is None, "ExitCode": program.exit_code})


def _stat(inside: Inside, handler: Any, _parts: list[str], values: dict[str, str]) -> None:
    path = values["path"].rstrip("/") or "/"
    is_directory = any(name.startswith(path.rstrip("/") + "/") for name in inside.files)
    if not is_directory and path not in inside.files:
        handler.send_response(404)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    told = {
        "name": PurePosixPath(path).name,
        "size": len(inside.files.get(path, b"")),
        "mode": _GO_DIRECTORY | 0o755 if is_directory else 0o644,
        "mtime": f"2026-11-23T22:51:{inside.changed_at:02}Z",
        "linkTarget": "",
    }
    handler.send_response(200)
    handler.send_header("X-Docker-Container-Path-Stat", base64.b64encode(json.dumps(told).encode()).decode())
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _get(inside: Inside, handler: Any, _parts: list[str], values: dict[str, str]) -> None:
    path = PurePosixPath(values["path"])
    # The real engine compresses for who would take it.
    assert handler.headers.get("Accept-Encoding") == "identity"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in inside.odd_members:
            archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isfile() else None)
        for name, data in inside.files.items():
            if PurePosixPath(name) == path or path in PurePosixPath(name).parents:
                entry = tarfile.TarInfo(str(PurePosixPath(name).relative_to(path.parent)))
                entry.size, entry.mode, entry.uid, entry.gid = len(data), 0o640, 12, 34
                archive.addfile(entry, io.BytesIO(data))
    _send(inside, handler, buffer.getvalue())


def _export(inside: Inside, handler: Any, _parts: list[str], _values: dict[str, str]) -> None:
    _send(inside, handler, b"t" * inside.export_size)


def _send(inside: Inside, handler: Any, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-tar")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for at in range(0, len(data), 4096):
        block = data[at : at + 4096]
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        handler.wfile.flush()
        inside.hold.wait(20)
    handler.wfile.write(b"0\r\n\r\n")


def _put(inside: Inside, handler: Any, _parts: list[str], values: dict[str, str]) -> None:
    with tarfile.open(fileobj=io.BytesIO(handler._body())) as archive:
        for member in archive:
            inside.received.append(member)
            if (content := archive.extractfile(member)) is not None:
                path = f"{values['path'].rstrip('/')}/{member.name}"
                inside.contents[path] = inside.files[path] = content.read()
                inside.changed_at += 1
    handler._answer(200, None)
