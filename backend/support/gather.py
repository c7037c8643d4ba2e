"""Collects the pieces of a support bundle. Each is independent: one that fails is reported and the others remain."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import shlex
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import msgspec

from backend import VERSION, doctor
from backend.doctor.subject import Subject
from backend.errors import ProblemCode, WherryError, fail
from backend.host import engines
from backend.host.base import Host
from backend.host.process import descriptors_of, figures_of, total_memory_mib
from backend.messages import Message, message
from backend.net.proxies import secrets_of
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from backend.ssh.command import ssh_command
from backend.support.redact import Redactor
from backend.vm import run

PIECE_BYTES: Final = 1_048_576
"""Size limit of a piece: of a longer log only the end is taken."""
_GUEST_LOGS: Final = ("dockerd", "containerd", "sshd")
_GUEST_TIMEOUT_S: Final = 20
_TOOL_TIMEOUT_S: Final = 30
_MAX_FILES: Final = 2000
_VARIABLES: Final = ("DOCKER_", "WHERRY_", "COMPOSE_", "BUILDKIT_", "QT_", "XDG_")
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy")


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the bundle."""

    name: str
    what: Message
    """A short description, for the user who wants to know what is sent."""
    content: Callable[[], str]
    """Returns the text; raises WherryError or OSError when it cannot be collected."""


class Gatherer:
    """Collects the pieces of one machine. `redactor` knows the secrets in its settings from the start."""

    def __init__(self, host: Host, directory: MachineDir, *, agent_alive: bool) -> None:
        self._host = host
        self._dir = directory
        self._subject = Subject(host, directory, agent_alive=agent_alive)
        self._agent_alive = agent_alive
        self._docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = ""
        self.redactor = Redactor(user=user, home=str(Path.home()))
        self._learn_secrets()

    def _learn_secrets(self) -> None:
        for path in (self._docker / "config.json", self._dir.daemon_json, self._dir.used_daemon_json):
            with contextlib.suppress(OSError, ValueError, RecursionError):
                self.redactor.scan(json.loads(_tail(path)))
        for name, value in os.environ.items():
            self.redactor.scan(value, name)
        for url in self._proxies():
            for secret in secrets_of(url):
                self.redactor.learn(secret)
                self.redactor.learn(unquote(secret))
        for path in self._dir.keys.glob("*"):
            if not path.name.endswith(".pub"):
                with contextlib.suppress(OSError):
                    self.redactor.learn_key(_tail(path))

    def _proxies(self) -> Iterator[str]:
        """All configured proxy URLs, unparsed: a password in one may make it an invalid URL."""
        yield from (value for name, value in os.environ.items() if name.lower() in _PROXIES)
        with contextlib.suppress(OSError, ValueError):
            section = tomllib.loads(_tail(self._dir.config)).get("network", {})
            yield from (str(section.get(name, "")) for name in ("http_proxy", "https_proxy"))
        with contextlib.suppress(OSError):
            yield from (line.partition("=")[2] for line in _tail(self._dir.guest_inputs / "environment").splitlines())

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order. Their content still has secrets: use `clean`."""
        yield Piece("facts.json", message("versions, this computer, variables that concern docker"), self._facts)
        yield Piece("status.json", message("what the machine does"), self._status)
        yield Piece(
            "processes.json", message("memory, threads and open files of the agent and of QEMU"), self._processes
        )
        yield Piece("doctor.txt", message("what the checks found"), self._doctor)
        yield Piece("settings/config.toml", message("Wherry's settings"), lambda: _tail(self._dir.config))
        yield Piece("settings/daemon.json", message("options for dockerd"), lambda: _tail(self._dir.daemon_json))
        yield Piece(
            "settings/docker-config.json", message("docker's own settings"), lambda: _tail(self._docker / "config.json")
        )
        yield Piece("settings/docker-contexts.json", message("names of docker contexts"), self._contexts)
        yield Piece("machine/qemu-command.txt", message("how QEMU was started"), self._command)
        yield Piece("machine/data-disk.json", message("the data disk by qemu-img info"), self._disk)
        yield Piece("machine/accelerators.json", message("accelerators that failed"), lambda: _tail(self._dir.verdicts))
        yield Piece("machine/files.txt", message("the machine's files: mode, size, name"), self._files)
        logs = [self._dir.agent_log, self._dir.agent_output, self._dir.qemu_log, self._dir.serial_log]
        older = [self._dir.agent_log.with_name(f"{self._dir.agent_log.name}.{number}") for number in (1, 2)]
        older.append(self._dir.previous_serial_log)
        for path in (*logs, *(path for path in older if path.exists())):
            yield Piece(f"logs/{path.name}", message("a log of this computer"), partial(_tail, path))
        for name in _GUEST_LOGS:
            yield Piece(f"logs/guest-{name}.log", message("a log of the guest"), partial(self._guest_log, name))

    def _facts(self) -> str:
        facts: dict[str, object] = {
            "wherry": VERSION,
            "python": sys.version,
            "system": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "memory_mib": total_memory_mib(),
            "home": str(self._dir.home),
            "variables": {
                name: value
                for name, value in sorted(os.environ.items())
                if name.startswith(_VARIABLES) or name.lower() in _PROXIES
            },
        }
        with contextlib.suppress(WherryError):
            facts["qemu"] = {"program": str(self._subject.qemu.binary), "version": self._subject.qemu.version_text}
        return _json(facts)

    def _status(self) -> str:
        status, problem = self._subject.agent
        if status is None:
            return _json({"agent": "not running" if problem is None else problem.as_text()})
        return _json(msgspec.to_builtins(status))

    def _processes(self) -> str:
        pids = {"agent": self._subject.agent_pid, "qemu": self._subject.status.pid if self._subject.status else None}
        found: dict[str, object] = {
            name: {"figures": msgspec.to_builtins(figures_of(pid)), "open": descriptors_of(pid)[:_MAX_FILES]}
            for name, pid in pids.items()
            if pid is not None
        }
        return _json(found or {"agent": "not running"})

    def _doctor(self) -> str:
        results = doctor.examine(self._host, self._dir, agent_alive=self._agent_alive)
        return doctor.check_results_as_text(results)

    def _contexts(self) -> str:
        return _json(engines.context_names())

    def _command(self) -> str:
        record = run.load(self._dir.run_record)
        if record is None:
            raise fail(
                ProblemCode.MACHINE_STOPPED,
                message("The machine isn't running. The agent's log has its last start."),
            )
        return shlex.join(record.argv)

    def _disk(self) -> str:
        argv = [str(self._subject.image_tool), "info", "--output=json", "-U", str(data_disk_path(self._dir))]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=_TOOL_TIMEOUT_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise fail(
                ProblemCode.STEP_TIMED_OUT, message("qemu-img didn't respond."), command=shlex.join(argv)
            ) from error
        return done.stdout or done.stderr

    def _files(self) -> str:
        lines = []
        for number, path in enumerate(sorted(self._dir.home.rglob("*"))):
            if number >= _MAX_FILES:
                lines.append("…")
                break
            with contextlib.suppress(OSError):
                status = path.lstat()
                lines.append(f"{stat.filemode(status.st_mode)} {status.st_size:>14} {path.relative_to(self._dir.home)}")
        return "\n".join(lines)

    def _guest_log(self, name: str) -> str:
        status = self._subject.status
        if status is None:
            raise fail(ProblemCode.MACHINE_STOPPED, message("The machine isn't running."))
        command = ssh_command(
            self._dir.keys, status.ssh_port, ["tail", "-c", str(PIECE_BYTES), f"/data/log/{name}.log"]
        )
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=_GUEST_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise fail(
                ProblemCode.SSH_FAILED,
                message("The guest didn't respond within {seconds} s.", seconds=_GUEST_TIMEOUT_S),
            ) from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[:300]
            raise fail(ProblemCode.SSH_FAILED, message("The guest reported an error: {error}", error=said))
        return done.stdout[-PIECE_BYTES:].decode(errors="replace")

    def clean(self, piece: Piece) -> str:
        """The content of a piece without secrets. Raises what its `content` raises."""
        text = piece.content()
        if piece.name.endswith(".json"):
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(text)
                self.redactor.scan(value)
                text = _json(self.redactor.value(value))
        return self.redactor.text(text)


def _tail(path: Path) -> str:
    """The end of a text file, up to PIECE_BYTES, from the start of a line. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - PIECE_BYTES))
        data = file.read(PIECE_BYTES)
    text = data.decode("utf-8", errors="replace")
    return text.partition("\n")[2] if size > PIECE_BYTES else text


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
