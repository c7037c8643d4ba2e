"""The docker context "wherry", through which the docker CLI, Compose and buildx find the engine without configuration.

Uses the docker CLI's files: `<config>/contexts/meta/<sha256 of the name>/meta.json`, and "currentContext" in
`<config>/config.json`. docker-py has functions for this, but (7.2) they write below the current directory when there is
no config.json, and ignore errors. Here the user's config.json is written atomically.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, fail
from backend.files import write_private
from backend.json_reader import JsonObject, JsonSource, NotUnderstood, decode
from backend.messages import Message, message

NAME: Final = "wherry"
_DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextChange:
    """Result of `install` or `remove`."""

    changed: bool
    """Whether the context was created, changed or removed."""
    selected: bool
    """Whether it is (for `remove`: was) docker's current context."""
    note: Message
    """A sentence for the user."""


def install(url: str, *, config_directory: Path | None = None, default_socket: Path = _DEFAULT_SOCKET) -> ContextChange:
    """Create the context, and select it unless the user has another engine.

    That is the case when another context is selected, $DOCKER_HOST or $DOCKER_CONTEXT is set, or an engine answers on
    the default socket.

    Args:
        url: the endpoint, as in DOCKER_HOST.
        config_directory: docker's configuration; None for the user's.
        default_socket: docker's default socket.

    Raises:
        WherryError: CONTEXT_FAILED; nothing was changed then.
    """
    directory = config_directory or _config_directory()
    config = _read_config(directory)
    meta = _meta_file(directory)
    content = {
        "Name": NAME,
        "Metadata": {"Description": "The Docker engine in the Wherry machine"},
        "Endpoints": {"docker": {"Host": url, "SkipTLSVerify": False}},
    }
    present = _load(meta)
    changed = present is None or present.untrusted != content
    try:
        if changed:
            meta.parent.mkdir(parents=True, exist_ok=True)
            write_private(meta, json.dumps(content).encode())
        current = config.get("currentContext") or "default"
        if current == NAME:
            return ContextChange(
                changed=changed, selected=True, note=message("The docker context “{name}” is in use.", name=NAME)
            )
        other = _other_engine(str(current), default_socket)
        if other is not None:
            note = message("{other} To use Wherry with docker: docker context use {name}", other=other, name=NAME)
            return ContextChange(changed=changed, selected=False, note=note)
        _write_config(directory, {**config, "currentContext": NAME})
    except OSError as error:
        raise _failed(directory, error) from error
    return ContextChange(changed=True, selected=True, note=message("The docker command now uses Wherry."))


def select(url: str, *, config_directory: Path | None = None) -> ContextChange:
    """Create the context and select it unconditionally, at the user's request. Raises as `install`."""
    directory = config_directory or _config_directory()
    change = install(url, config_directory=directory)
    config = _read_config(directory)
    if config.get("currentContext") != NAME:
        try:
            _write_config(directory, {**config, "currentContext": NAME})
        except OSError as error:
            raise _failed(directory, error) from error
    note = message("The docker command now uses Wherry.")
    if variable := overriding_variable():
        note = message(
            "The docker context “{name}” is selected, but ${variable} is set and takes precedence.",
            name=NAME,
            variable=variable,
        )
    return ContextChange(changed=change.changed or not change.selected, selected=True, note=note)


def current_name(*, config_directory: Path | None = None) -> str:
    """Name of docker's current context, ignoring environment variables. Raises WherryError (CONTEXT_FAILED)."""
    return str(_read_config(config_directory or _config_directory()).get("currentContext") or "default")


def overriding_variable() -> str | None:
    """The environment variable that overrides the context, if one is set."""
    return next((name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(name)), None)


def variable_value(name: str) -> str:
    """Its value."""
    return os.environ.get(name, "")


def remove(*, config_directory: Path | None = None) -> ContextChange:
    """Remove the context; when it was selected, docker's default is selected. Raises as `install`."""
    directory = config_directory or _config_directory()
    config = _read_config(directory)
    meta = _meta_file(directory)
    selected = config.get("currentContext") == NAME
    existed = meta.exists()
    try:
        if selected:
            _write_config(directory, {key: value for key, value in config.items() if key != "currentContext"})
        if existed:
            shutil.rmtree(meta.parent)
    except OSError as error:
        raise _failed(directory, error) from error
    note = message("Docker context removed.") if existed else message("There is no docker context to remove.")
    return ContextChange(changed=existed or selected, selected=selected, note=note)


def current_url(*, config_directory: Path | None = None) -> str | None:
    """The endpoint of our context; None when there is no such context."""
    content = _load(_meta_file(config_directory or _config_directory()))
    try:
        if content is None:
            return None
        return content.object("Endpoints").object("docker").required_text("Host")
    except NotUnderstood:
        return None


def _config_directory() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _meta_file(directory: Path) -> Path:
    return directory / "contexts" / "meta" / hashlib.sha256(NAME.encode()).hexdigest() / "meta.json"


def _other_engine(current: str, default_socket: Path) -> Message | None:
    """Why the user's other engine stays in use; None when there is none."""
    if variable := overriding_variable():
        return message("${variable} is set and stays in use.", variable=variable)
    if current != "default":
        return message("The docker context “{name}” stays in use.", name=current)
    if hasattr(socket, "AF_UNIX"):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        probe.settimeout(1)
        try:
            probe.connect(str(default_socket))
        except OSError:
            return None
        else:
            return message("Another engine answers on {path} and stays in use.", path=default_socket)
        finally:
            probe.close()
    return None


def _read_config(directory: Path) -> dict[str, object]:
    path = directory / "config.json"
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise fail(
            ProblemCode.CONTEXT_FAILED,
            message("docker's settings in {path} can't be read: {error}.", path=path, error=str(error)),
            hint=message("Correct the file. Until then, use: eval $(wherry env)"),
        ) from error
    if not isinstance(loaded, dict):
        raise fail(ProblemCode.CONTEXT_FAILED, message("docker's settings in {path} aren't a JSON object.", path=path))
    return loaded


def _write_config(directory: Path, config: dict[str, object]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    # Follow a link: some people keep their configuration files elsewhere.
    write_private((directory / "config.json").resolve(), json.dumps(config, indent="\t").encode() + b"\n")


def _load(path: Path) -> JsonObject | None:
    source = JsonSource(
        summary=message("A docker context wasn't understood."), code=ProblemCode.CONTEXT_FAILED, command=f"read {path}"
    )
    try:
        return decode(path.read_bytes(), source).object()
    except (OSError, NotUnderstood):
        return None  # missing or invalid JSON: not what we would write


def _failed(directory: Path, error: OSError) -> Exception:
    return fail(
        ProblemCode.CONTEXT_FAILED,
        message(
            "The docker context in {folder} couldn't be changed: {error}.",
            folder=directory,
            error=error.strerror or error,
        ),
        command=str(error.filename or ""),
        hint=message("Until this is fixed, use: eval $(wherry env)"),
    )
