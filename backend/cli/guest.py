"""`wherry shell`, `console`, `logs` and `env`: access to the guest."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final

from backend import host
from backend.cli.exits import EXIT_OK
from backend.cli.machine import may_be_alive
from backend.cli.output import stopped
from backend.control.client import MachineClient
from backend.control.launch import machine_directory
from backend.errors import ProblemCode, fail
from backend.messages import message
from backend.model import MachineStatus
from backend.ssh.command import ssh_command
from backend.texts import _

_GUEST_LOGS: Final = {"engine": "dockerd", "containerd": "containerd", "sshd": "sshd"}
_POLL_S: Final = 0.3


def shell(options: argparse.Namespace) -> int:
    """Open a root shell in the guest, or run one command there, with OpenSSH. Returns the exit code of ssh."""
    status = _running(options)
    return subprocess.call(ssh_command(machine_directory(options.home).keys, status.ssh_port, options.command))


def console(options: argparse.Namespace) -> int:
    """Connect this terminal to the guest's serial console until Ctrl-]."""
    directory = machine_directory(options.home)
    if not sys.stdin.isatty():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("The console needs a terminal."),
            hint=message("Run it in a terminal, or read the output so far: wherry logs guest"),
        )
    try:
        connection = host.current().connect_blocking(directory.console_socket, timeout_s=5)
    except OSError as error:
        raise fail(
            ProblemCode.MACHINE_STOPPED,
            message("The guest's console doesn't respond: the machine is stopped, or its console is open elsewhere."),
            command=f"connect {directory.console_socket}",
            hint=message("Start the machine: wherry start"),
        ) from error
    print(_("Connected to the guest's console. Leave it with Ctrl-]."))
    try:
        host.current().bridge_terminal(connection)
    finally:
        connection.close()
    return EXIT_OK


def logs(options: argparse.Namespace) -> int:
    """Print the end of a log; with --follow also new lines, until Ctrl-C."""
    if options.which in _GUEST_LOGS:
        name = _GUEST_LOGS[options.which]
        follow = ["-F"] if options.follow else []
        command = ["tail", "-n", str(options.lines), *follow, f"/data/log/{name}.log"]
        status = _running(options)
        return subprocess.call(ssh_command(machine_directory(options.home).keys, status.ssh_port, command))
    directory = machine_directory(options.home)
    path = {"agent": directory.agent_log, "qemu": directory.qemu_log, "guest": directory.serial_log}[options.which]
    try:
        _print_file(path, lines=options.lines, follow=options.follow)
    except FileNotFoundError as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("This log doesn't exist yet: {path}", path=path),
            hint=message("It is created at the first start: wherry start"),
        ) from error
    except KeyboardInterrupt:
        pass
    return EXIT_OK


def _print_file(path: Path, *, lines: int, follow: bool) -> None:
    while True:
        with path.open("rb") as file:
            untrusted_lines = b"".join(deque(file, maxlen=lines)).decode("utf-8", errors="replace").splitlines()
            for line in untrusted_lines[-lines:]:
                print(_printable(line), flush=follow)
            while follow and not _is_replaced(path, file):
                if not _print_line(file):
                    time.sleep(_POLL_S)
            while follow and _print_line(file):  # the rest of the old file
                pass
        if not follow:
            return
        lines = sys.maxsize  # the new file is printed from its start


def _print_line(file: BinaryIO) -> bool:
    """Print the next line. False: there is none yet."""
    line = file.readline()
    if line:
        print(_printable(line.decode("utf-8", errors="replace").rstrip("\r\n")), flush=True)
    return bool(line)


def _is_replaced(path: Path, file: BinaryIO) -> bool:
    """Whether the log was replaced or truncated: by a new run of the machine, or because it had become too long."""
    try:
        current = path.stat()
    except FileNotFoundError:
        return False  # it is being replaced
    opened = os.fstat(file.fileno())
    return (current.st_dev, current.st_ino) != (opened.st_dev, opened.st_ino) or current.st_size < file.tell()


def _printable(untrusted_line: str) -> str:
    """Replace control characters, which the terminal would obey: the guest's output is not trusted."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in untrusted_line.rstrip("\r"))


def environment(options: argparse.Namespace) -> int:
    """Print the shell command that sets DOCKER_HOST to the engine."""
    directory = machine_directory(options.home)
    url = host.current().docker_url(directory.docker_socket)
    if options.json:
        from backend.cli.output import print_json

        print_json({"DOCKER_HOST": url})
    elif os.environ.get("SHELL", "").endswith("fish"):
        quoted = url.replace("\\", "\\\\").replace("'", "\\'")
        print(f"set -gx DOCKER_HOST '{quoted}';")
    else:
        print(f"export DOCKER_HOST={shlex.quote(url)}")
    return EXIT_OK


def _running(options: argparse.Namespace) -> MachineStatus:
    if not may_be_alive(options):
        raise stopped()
    with MachineClient.open(options.home) as client:
        if client.status.pid is None:
            raise stopped()
        # A new agent that has adopted the machine has an SSH connection to it after a moment.
        for update in client.updates(timeout_s=15):
            if isinstance(update, MachineStatus) and (update.ssh_port is not None or update.pid is None):
                break
        return client.status
