"""Programs with a terminal in a container: its shell, or a debug shell for an image without one.

A debug shell is a small container that shares the target's processes and network. Its image is an empty file system,
imported once; its program is the machine's static busybox, mounted read-only. So nothing is downloaded, and it works
for images of any architecture. It starts in the target's root directory and is removed when it ends.
"""

from __future__ import annotations

import io
import secrets
import tarfile
from typing import TYPE_CHECKING, Final, Protocol

from backend.engine.client.answers import DEBUG_ROLE, ROLE_LABEL, is_debug_helper
from backend.engine.client.engine_client import check_id
from backend.engine.container.page_types import TerminalSize
from backend.errors import ProblemCode, WherryError

if TYPE_CHECKING:
    from backend.engine.client.duplex import Duplex
    from backend.engine.client.engine_client import EngineClient

OWNER_LABEL: Final = "io.wherry.owner"
DEBUG_IMAGE: Final = "wherry/debug:1"
_BUSYBOX: Final = "/usr/bin/busybox"
_TERMINAL: Final = ("TERM=xterm-256color", "COLORTERM=truecolor")
_MARK: Final = "WHERRY_TERMINAL"
_SHELL: Final = "for s in bash ash; do command -v $s >/dev/null 2>&1 && exec $s; done; exec sh"
_HANG_UP: Final = (
    'for d in /proc/[0-9]*; do grep -qa "$0" "$d/environ" 2>/dev/null && kill -HUP "${d#/proc/}" 2>/dev/null; done; :'
)
_DEBUG: Final = (
    "/b/busybox --install -s /bin; export PATH=/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin HOME=/root;"
    " PS1='debug:\\w # '; export PS1; cd /proc/1/root 2>/dev/null || cd /; exec /bin/sh"
)
NO_SUCH_PROGRAM: Final = frozenset((126, 127))
"""Exit codes of a program that could not be started."""


class Program(Protocol):
    """A program with a terminal."""

    connection: Duplex

    def resize(self, client: EngineClient, size: TerminalSize) -> None:
        """Set its terminal's size. Raises WherryError."""

    def exit_code(self, client: EngineClient) -> int | None:
        """Its exit code; None while it runs or when it is unknown. Raises WherryError."""

    def end(self, client: EngineClient) -> None:
        """End it like a closed terminal does. Raises WherryError."""


class Shell:
    """A shell in the container."""

    def __init__(self, container_id: str, exec_id: str, mark: str, connection: Duplex) -> None:
        self.connection = connection
        self._container_id = container_id
        self._exec_id = exec_id
        self._mark = mark

    def resize(self, client: EngineClient, size: TerminalSize) -> None:
        """See Program."""
        params = {"h": size.lines, "w": size.columns}
        client.call("docker exec (resize)", "POST", f"/exec/{self._exec_id}/resize", params=params)

    def exit_code(self, client: EngineClient) -> int | None:
        """See Program."""
        answer = client.call("docker exec (inspect)", "GET", f"/exec/{self._exec_id}/json").object()
        return answer.integer("ExitCode") if "ExitCode" in answer and not answer.flag("Running") else None

    def end(self, client: EngineClient) -> None:
        """See Program. The engine does not end a shell whose terminal has closed, so it gets a signal."""
        self.connection.close()
        try:
            # Processes started by the shell have its mark in their environment.
            exec_id = _create(
                client, self._container_id, ["sh", "-c", _HANG_UP, f"{_MARK}={self._mark}"], [], tty=False
            )
            client.call("docker exec (hang up)", "POST", f"/exec/{exec_id}/start", body={"Detach": True, "Tty": False})
        except WherryError as error:
            if error.problem.code is not ProblemCode.ENGINE_ERROR:
                raise  # the engine refuses: the container has stopped, and the shell with it


class DebugShell:
    """A debug shell in a helper container."""

    def __init__(self, helper_id: str, connection: Duplex) -> None:
        self.connection = connection
        self.helper_id = helper_id

    def resize(self, client: EngineClient, size: TerminalSize) -> None:
        """See Program."""
        params = {"h": size.lines, "w": size.columns}
        client.call("docker attach (resize)", "POST", f"/containers/{self.helper_id}/resize", params=params)

    def exit_code(self, client: EngineClient) -> int | None:  # noqa: ARG002 -- the engine forgets it with the helper
        """See Program."""
        return None

    def end(self, client: EngineClient) -> None:
        """See Program."""
        self.connection.close()
        remove_helper(client, self.helper_id)


def open_shell(client: EngineClient, container_id: str, size: TerminalSize) -> Shell:
    """Start the best shell of the container: bash, ash or sh.

    Without a shell, the program ends at once with a code of `NO_SUCH_PROGRAM`.

    Raises:
        WherryError: ENGINE_ERROR, for example when the container does not run; ENGINE_DOWN.
    """
    command = f"docker exec -it {container_id[:12]} sh"
    check_id(container_id, command)
    mark = secrets.token_hex(8)
    environment = [*_TERMINAL, f"{_MARK}={mark}"]
    exec_id = _create(client, container_id, ["sh", "-c", _SHELL], environment, tty=True, size=size)
    body = {"Detach": False, "Tty": True, "ConsoleSize": [size.lines, size.columns]}
    connection = client.hijack(command, f"/exec/{exec_id}/start", body=body)
    return Shell(container_id, exec_id, mark, connection)


def open_debug_shell(client: EngineClient, container_id: str, size: TerminalSize, owner: str) -> DebugShell:
    """Start a debug shell for a running container.

    Args:
        client: the engine.
        container_id: id of the container.
        size: of the terminal.
        owner: id of this window, by which `remove_leftovers` recognises helpers of closed windows.

    Raises:
        WherryError: ENGINE_ERROR, ENGINE_DOWN.
    """
    command = f"docker run --rm -it --pid container:{container_id[:12]} --network container:{container_id[:12]} debug"
    check_id(container_id, command)
    _ensure_image(client)
    body = {
        "Image": DEBUG_IMAGE,
        "Entrypoint": ["/b/busybox", "sh", "-c", _DEBUG],
        "Env": list(_TERMINAL),
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Labels": {ROLE_LABEL: DEBUG_ROLE, OWNER_LABEL: owner, "io.wherry.target": container_id},
        "HostConfig": {
            "AutoRemove": True,
            "PidMode": f"container:{container_id}",
            "NetworkMode": f"container:{container_id}",
            # To access the target's files and memory through /proc, like a debugger.
            "CapAdd": ["SYS_PTRACE"],
            "Binds": [f"{_BUSYBOX}:/b/busybox:ro"],
            "ConsoleSize": [size.lines, size.columns],
        },
    }
    created = client.call(command, "POST", "/containers/create", body=body)
    helper_id = created.object().required_text("Id")
    try:
        params = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}
        connection = client.hijack(command, f"/containers/{helper_id}/attach", params=params)
        try:
            client.call(command, "POST", f"/containers/{helper_id}/start")
        except BaseException:
            connection.release()
            raise
    except BaseException:
        remove_helper(client, helper_id)
        raise
    return DebugShell(helper_id, connection)


def remove_leftovers(client: EngineClient, owner: str) -> int:
    """Remove helpers of closed windows. Returns their number. Raises WherryError."""
    filters = '{"label":["%s=%s"]}' % (ROLE_LABEL, DEBUG_ROLE)  # noqa: UP031 -- braces
    listed = client.call("docker ps", "GET", "/containers/json", params={"all": 1, "filters": filters})
    # Checked again: an engine that ignores the filter lists all containers.
    stale = [
        entry.required_text("Id")
        for entry in listed.objects()
        if is_debug_helper(entry) and entry.object("Labels").text(OWNER_LABEL) != owner
    ]
    for identity in stale:
        remove_helper(client, identity)
    return len(stale)


def remove_helper(client: EngineClient, helper_id: str) -> None:
    """Remove a helper; not an error when it no longer exists. Raises WherryError."""
    try:
        client.call(
            f"docker rm --force {helper_id[:12]}", "DELETE", f"/containers/{helper_id}", params={"force": 1, "v": 1}
        )
    except WherryError as error:
        if error.problem.code is not ProblemCode.ENGINE_ERROR:
            raise


def _create(
    client: EngineClient,
    container_id: str,
    argv: list[str],
    environment: list[str],
    *,
    tty: bool,
    size: TerminalSize | None = None,
) -> str:
    body: dict[str, object] = {"Cmd": argv, "Env": environment, "Tty": tty, "AttachStdin": tty}
    body |= {"AttachStdout": tty, "AttachStderr": tty}
    if size is not None:
        body["ConsoleSize"] = [size.lines, size.columns]
    command = f"docker exec {container_id[:12]} {argv[0]}"
    answer = client.call(command, "POST", f"/containers/{container_id}/exec", body=body)
    exec_id = answer.object().required_text("Id")
    check_id(exec_id, command)
    return exec_id


def _ensure_image(client: EngineClient) -> None:
    command = f"docker import - {DEBUG_IMAGE}"
    try:
        client.call(f"docker image inspect {DEBUG_IMAGE}", "GET", f"/images/{DEBUG_IMAGE}/json")
        return
    except WherryError as error:
        if error.problem.code is not ProblemCode.ENGINE_ERROR:
            raise
    repository, tag = DEBUG_IMAGE.split(":")
    params = {"fromSrc": "-", "repo": repository, "tag": tag, "message": "Wherry's debug shell: an empty tree"}
    client.upload(command, "POST", "/images/create", iter((_empty_tree(),)), params=params)


def _empty_tree() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("b", "bin", "dev", "etc", "proc", "root", "sys", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
    return buffer.getvalue()
