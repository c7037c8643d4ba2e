"""Finds the running agent or starts one. Several clients may do so at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from backend import host
from backend.errors import ProblemCode, fail
from backend.host.base import DetachedProcess, Host
from backend.messages import Message, message
from backend.paths import MachineDir, check_path

HOME_VARIABLE: Final = "WHERRY_HOME"
_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.01
EXIT_ALREADY_OWNED: Final = 3
"""The agent's exit code when another agent owns the machine. The caller then connects to that agent."""
_RESPAWN_S: Final = 0.1


def machine_directory(home: Path | None) -> MachineDir:
    """The paths of the machine in `home`; None: in $WHERRY_HOME, or else the platform's default home."""
    machine_host = host.current()
    chosen = home or Path(os.environ.get(HOME_VARIABLE) or machine_host.default_home())
    return MachineDir.locate(
        chosen,
        max_socket_path_bytes=machine_host.max_socket_path_bytes,
        short_run_base=machine_host.short_run_base(),
    )


def ensure_agent(home: Path | None) -> str:
    """Return the path of the agent's socket; start an agent if none accepts connections. Blocks for up to 20 s.

    Raises:
        WherryError: AGENT_UNREACHABLE, with the last lines that the agent printed; PATH_UNUSABLE.
    """
    machine_host = host.current()
    directory = machine_directory(home)
    check_path(directory.home)
    if agent_answers(machine_host, directory):
        return str(directory.agent_socket)
    try:
        directory.create()
        directory.agent_output.unlink(missing_ok=True)
        process = _spawn(machine_host, directory)
        owned_by_other = False
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            if agent_answers(machine_host, directory):
                return str(directory.agent_socket)
            code = process.poll()
            if code in (EXIT_ALREADY_OWNED, 0):
                # Another agent is starting or ending, or ours has ended because it was idle. If it is ending, nobody
                # else would start the next one.
                owned_by_other = code == EXIT_ALREADY_OWNED
                time.sleep(_RESPAWN_S)
                process = _spawn(machine_host, directory)
            elif code is not None:
                raise _unreachable(directory, message("The agent stopped immediately (code {code}).", code=code))
            time.sleep(_POLL_S)
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            message("The machine's folder {path} can't be used: {error}.", path=directory.home, error=error.strerror),
            command=str(error.filename or ""),
            hint=message(
                "Check that it belongs to you and that its disk has free space, or choose another one with --home."
            ),
        ) from error
    if owned_by_other:
        raise _unreachable(
            directory,
            message(
                "Another process holds {path}, but no agent responded within {seconds:g} s.",
                path=directory.agent_lock,
                seconds=_TIMEOUT_S,
            ),
            hint=message(
                "An agent is hanging, or another program has this file open. Stop it, then run the command again."
            ),
        )
    raise _unreachable(directory, message("The agent didn't respond within {seconds:g} s.", seconds=_TIMEOUT_S))


def _spawn(machine_host: Host, directory: MachineDir) -> DetachedProcess:
    return machine_host.spawn_detached([*agent_program(), "--home", str(directory.home)], output=directory.agent_output)


def agent_answers(machine_host: Host, directory: MachineDir) -> bool:
    """Whether an agent accepts connections. Blocks for up to 2 s."""
    try:
        machine_host.connect_blocking(directory.agent_socket, timeout_s=2).close()
    except OSError:
        return False
    return True


def agent_program() -> list[str]:
    """The command that runs the agent: the frozen application itself, or else the interpreter with the module."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "agent"]
    return [sys.executable, "-m", "backend.agent"]


def desktop_program(directory: MachineDir) -> list[str]:
    """The command that opens the window for this machine at login."""
    script = Path(sys.executable).with_name("wherry-desktop")
    executable = next((str(path) for path in (script, script.with_suffix(".exe")) if path.is_file()), None)
    program = [executable] if executable else [sys.executable, "-m", "app"]
    home = [] if directory.home == host.current().default_home() else ["--home", str(directory.home)]
    return [*program, "--login", *home]


def _unreachable(directory: MachineDir, summary: Message, *, hint: Message | None = None) -> Exception:
    try:
        printed = directory.agent_output.read_text(errors="replace").splitlines()
    except OSError:
        printed = []
    return fail(
        ProblemCode.AGENT_UNREACHABLE,
        summary,
        command=subprocess.list2cmdline([*agent_program(), "--home", str(directory.home)]),
        tail=printed[-12:],
        hint=(hint or message("Check the agent's log: {path}", path=directory.agent_log)),
        retryable=True,
    )
