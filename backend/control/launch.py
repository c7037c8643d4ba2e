"""Find the machine's agent, or start it: what every client does first. Safe to call from many clients at once."""

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
from backend.paths import MachineDir

HOME_VARIABLE: Final = "WHERRY_HOME"
_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.01
EXIT_ALREADY_OWNED: Final = 3
"""The agent's exit code where another one owns the machine: the caller connects to that one."""
_RESPAWN_S: Final = 0.1


def machine_directory(home: Path | None) -> MachineDir:
    """The directory of the machine that `home` means; None: $WHERRY_HOME, else the platform's place."""
    machine_host = host.current()
    chosen = home or Path(os.environ.get(HOME_VARIABLE) or machine_host.default_home())
    return MachineDir.locate(
        chosen,
        max_socket_path_bytes=machine_host.max_socket_path_bytes,
        short_run_base=machine_host.short_run_base(),
    )


def ensure_agent(home: Path | None) -> str:
    """Return the address of the machine's agent, starting the agent if none answers. Blocks for up to 20 s.

    Raises:
        WherryError: AGENT_UNREACHABLE with what the agent printed, or PATH_UNUSABLE.
    """
    machine_host = host.current()
    directory = machine_directory(home)
    if agent_answers(machine_host, directory):
        return str(directory.agent_socket)
    try:
        directory.create()
        directory.agent_output.unlink(missing_ok=True)
        process = _spawn(machine_host, directory)
        refused = False
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            if agent_answers(machine_host, directory):
                return str(directory.agent_socket)
            code = process.poll()
            if code in (EXIT_ALREADY_OWNED, 0):
                # Another one is on its way up, or on its way out (or ours was, being idle): then nobody else would
                # start the next.
                refused = code == EXIT_ALREADY_OWNED
                time.sleep(_RESPAWN_S)
                process = _spawn(machine_host, directory)
            elif code is not None:
                raise _unreachable(directory, f"The agent ended at once (code {code}).")
            time.sleep(_POLL_S)
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            f"The machine's home {directory.home} cannot be used: {error.strerror}.",
            command=str(error.filename or ""),
            hint="Check that it belongs to you and that its disk has room, or name another with --home.",
        ) from error
    if refused:
        raise _unreachable(
            directory,
            f"Another process holds {directory.agent_lock}, and no agent has answered for {_TIMEOUT_S:g} s.",
            hint="An agent hangs, or something else has that file open: end it, then run the command again.",
        )
    raise _unreachable(directory, f"The agent did not answer within {_TIMEOUT_S:g} s.")


def _spawn(machine_host: Host, directory: MachineDir) -> DetachedProcess:
    return machine_host.spawn_detached(
        [*_agent_program(), "--home", str(directory.home)], output=directory.agent_output
    )


def agent_answers(machine_host: Host, directory: MachineDir) -> bool:
    """Whether an agent listens."""
    try:
        machine_host.connect_blocking(directory.agent_socket, timeout_s=2).close()
    except OSError:
        return False
    return True


def _agent_program() -> list[str]:
    """The frozen application is its own agent; otherwise the interpreter runs the module."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "agent"]
    return [sys.executable, "-m", "backend.agent"]


def desktop_program(directory: MachineDir) -> list[str]:
    """What starts the window of this machine at login."""
    beside = Path(sys.executable).with_name("wherry-desktop")
    found = next((str(path) for path in (beside, beside.with_suffix(".exe")) if path.is_file()), None)
    program = [found] if found else [sys.executable, "-m", "app"]
    home = [] if directory.home == host.current().default_home() else ["--home", str(directory.home)]
    return [*program, "--login", *home]


def _unreachable(directory: MachineDir, summary: str, *, hint: str | None = None) -> Exception:
    try:
        printed = directory.agent_output.read_text(errors="replace").splitlines()
    except OSError:
        printed = []
    return fail(
        ProblemCode.AGENT_UNREACHABLE,
        summary,
        command=subprocess.list2cmdline([*_agent_program(), "--home", str(directory.home)]),
        tail=printed[-12:],
        hint=hint or f"See the agent's log: {directory.agent_log}",
        retryable=True,
    )
