"""Other container engines on this computer, recognised by their sockets, docker contexts and processes."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode
from backend.host.process import names_of_processes
from backend.json_reader import JsonSource, NotUnderstood, decode
from backend.messages import message

_MAX_META_BYTES: Final = 65_536
_PROBE_S: Final = 1.0
_CONTEXT: Final = JsonSource(
    summary=message("A docker context wasn't understood."), code=ProblemCode.CONTEXT_FAILED, command="docker context ls"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEngine:
    """A product that we recognise."""

    name: str
    contexts: tuple[str, ...] = ()
    """Names of its docker contexts; "*" at the end matches any ending."""
    sockets: tuple[str, ...] = ()
    """Paths of its sockets; "~" and environment variables are expanded."""
    processes: tuple[str, ...] = ()


KNOWN: Final = (
    KnownEngine(
        name="Docker Desktop",
        contexts=("desktop-linux", "desktop-windows"),
        sockets=("~/.docker/run/docker.sock", "~/.docker/desktop/docker.sock"),
        processes=("com.docker.backend", "com.docker.backend.exe", "Docker Desktop", "Docker Desktop.exe"),
    ),
    KnownEngine(
        name="Rancher Desktop",
        contexts=("rancher-desktop",),
        sockets=("~/.rd/docker.sock",),
        processes=("rancher-desktop", "Rancher Desktop", "Rancher Desktop.exe"),
    ),
    KnownEngine(
        name="Podman",
        contexts=("podman*",),
        sockets=("/run/podman/podman.sock", "${XDG_RUNTIME_DIR}/podman/podman.sock"),
        processes=("podman", "podman.exe", "Podman Desktop", "Podman Desktop.exe"),
    ),
    KnownEngine(
        name="Colima",
        contexts=("colima*",),
        sockets=("~/.colima/default/docker.sock", "~/.colima/docker.sock"),
        processes=("colima",),
    ),
    KnownEngine(
        name="OrbStack",
        contexts=("orbstack",),
        sockets=("~/.orbstack/run/docker.sock",),
        processes=("OrbStack", "OrbStack Helper"),
    ),
    KnownEngine(name="Lima", contexts=("lima-*",), processes=("limactl",)),
    KnownEngine(name="Docker Engine", contexts=("rootless",), processes=("dockerd",)),
)


def default_sockets() -> tuple[Path, ...]:
    """Sockets that docker clients use when no context is set."""
    return (Path("/var/run/docker.sock"), Path.home() / ".docker" / "run" / "docker.sock")


def probe_socket(path: Path) -> bool | None:
    """Probe a socket: True when a program accepts connections, False when permission is denied, None otherwise."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except PermissionError:
            return False
        except OSError:
            return None
    return True


def product_at(path: Path) -> str | None:
    """The product that uses a socket at this path; None when unknown."""
    return next((engine.name for engine in KNOWN if path in _socket_paths(engine)), None)


def detect() -> list[tuple[str, list[str]]]:
    """The products detected here, each with its evidence: "runs", "context x", "socket y"."""
    running = names_of_processes()
    contexts = context_names()
    products = []
    for engine in KNOWN:
        evidence = ["runs"] if running & set(engine.processes) else []
        evidence += [f"context {name!r}" for name in contexts if _matches(engine, name)]
        evidence += [f"socket {path}" for path in _socket_paths(engine) if probe_socket(path) is not None]
        if evidence:
            products.append((engine.name, evidence))
    return products


def context_names() -> list[str]:
    """Names of this user's docker contexts; contexts that cannot be read are left out."""
    directory = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "contexts" / "meta"
    names = []
    for meta in sorted(directory.glob("*/meta.json"))[:200]:
        try:
            with meta.open("rb") as file:
                names.append(decode(file.read(_MAX_META_BYTES), _CONTEXT).object().required_text("Name"))
        except (OSError, NotUnderstood):
            continue  # docker does not use it either
    return names


def _matches(engine: KnownEngine, name: str) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in engine.contexts
    )


def _socket_paths(engine: KnownEngine) -> list[Path]:
    expanded = (os.path.expandvars(os.path.expanduser(word)) for word in engine.sockets)  # noqa: PTH111 -- a text yet
    return [Path(word) for word in expanded if "$" not in word]
