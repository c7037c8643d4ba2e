"""Other container engines that people have: their sockets, contexts and processes, and which of them are here."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.host.process import names_of_processes

_MAX_META_BYTES: Final = 65_536
_PROBE_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEngine:
    """One product."""

    name: str
    contexts: tuple[str, ...] = ()
    """Names of its docker contexts; one that ends in "*" stands for all that begin so."""
    sockets: tuple[str, ...] = ()
    """"~" and variables are expanded."""
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
    """Where programs look that know no context."""
    return (Path("/var/run/docker.sock"), Path.home() / ".docker" / "run" / "docker.sock")


def answers(path: Path) -> bool | None:
    """Whether somebody listens; None when nobody does; False when we may not connect."""
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


def owner_of(path: Path) -> str | None:
    """The product whose socket this is, by its place."""
    return next((engine.name for engine in KNOWN if path in _places(engine)), None)


def present() -> list[tuple[str, list[str]]]:
    """The products that left a sign of themselves here, with the signs: "runs", "context x", "socket y"."""
    running = names_of_processes()
    contexts = context_names()
    found = []
    for engine in KNOWN:
        signs = ["runs"] if running & set(engine.processes) else []
        signs += [f"context {name!r}" for name in contexts if _matches(engine, name)]
        signs += [f"socket {path}" for path in _places(engine) if answers(path) is not None]
        if signs:
            found.append((engine.name, signs))
    return found


def context_names() -> list[str]:
    """The docker contexts of this user, as far as they can be read."""
    directory = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "contexts" / "meta"
    names = []
    for meta in sorted(directory.glob("*/meta.json"))[:200]:
        try:
            with meta.open("rb") as file:
                content = json.loads(file.read(_MAX_META_BYTES))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict) and isinstance(content.get("Name"), str):
            names.append(content["Name"])
    return names


def _matches(engine: KnownEngine, name: str) -> bool:
    return any(name.startswith(word[:-1]) if word.endswith("*") else name == word for word in engine.contexts)


def _places(engine: KnownEngine) -> list[Path]:
    expanded = (os.path.expandvars(os.path.expanduser(word)) for word in engine.sockets)  # noqa: PTH111 -- a text yet
    return [Path(word) for word in expanded if "$" not in word]
