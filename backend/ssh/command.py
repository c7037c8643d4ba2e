"""The command line of OpenSSH's `ssh` that connects to the guest."""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.errors import ProblemCode, fail
from backend.messages import message
from backend.ssh.keys import CLIENT_KEY_NAME


def ssh_command(keys: Path, ssh_port: int | None, command: list[str]) -> list[str]:
    """Build an `ssh` command that uses our key and accepts only the guest's pinned host key.

    Args:
        keys: the directory of the machine's keys.
        ssh_port: port of the guest's SSH server on 127.0.0.1; None when it cannot be reached yet.
        command: the command to run in the guest; empty for a shell.

    Raises:
        WherryError: TOOL_MISSING, or MACHINE_STOPPED when the guest cannot be reached yet.
    """
    program = shutil.which("ssh")
    if program is None:
        raise fail(
            ProblemCode.TOOL_MISSING,
            message("The ssh program, which wherry shell needs, isn't installed."),
            hint=message("Install it: sudo apt install openssh-client. wherry console works without it."),
        )
    if ssh_port is None:
        raise fail(
            ProblemCode.MACHINE_STOPPED,
            message("The guest can't be reached by SSH yet."),
            hint=message("Wait until wherry status says running, or check wherry console."),
            retryable=True,
        )
    settings = {
        "IdentityFile": _ssh_value(keys / CLIENT_KEY_NAME),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": _ssh_value(keys / "known_hosts"),
        "StrictHostKeyChecking": "yes",
        "PasswordAuthentication": "no",
        "ConnectTimeout": "20",
        "LogLevel": "ERROR",
    }
    arguments = [argument for key, value in settings.items() for argument in ("-o", f"{key}={value}")]
    return [program, "-F", "none", *arguments, "-p", str(ssh_port), "root@127.0.0.1", *command]


def _ssh_value(path: Path) -> str:
    """Quote a path for ssh_config: in quotes, with quotes and "%" escaped."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'
