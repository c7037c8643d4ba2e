"""What clients may ask and change of the settings: config.toml, daemon.json, the docker context, starting at login.

A change is checked whole before it is written, and every answer says what of it waits for a restart of the machine.
All of it works while the machine is stopped, starting or failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from backend.agent.boot.prepare import resources
from backend.agent.launch import desktop_program
from backend.agent.server import Method
from backend.engine import context
from backend.errors import ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.host.process import total_memory_mib
from backend.paths import MachineDir
from backend.settings import config, daemon_json
from backend.settings.config import Config
from backend.settings.daemon_json import Finding, Severity
from backend.ssh.session import Result
from backend.vm.disk import disks

VALIDATE: Final = 'f=$(mktemp) && cat >"$f" && dockerd --validate --config-file "$f"; code=$?; rm -f "$f"; exit $code'
"""Run in the guest, with the text as its input."""
_VALIDATE_S: Final = 20.0
_TAIL_BYTES: Final = 65_536
_LOGS: Final = ("serial", "qemu", "agent")

Execute = Callable[..., Awaitable[Result | None]]


class SettingsService:
    """One per agent."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        *,
        is_live: Callable[[], bool],
        execute: Execute,
        host_changes: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Make it.

        Args:
            is_live: whether there is a machine that a restart would change.
            execute: runs a command in the guest, None when there is none to be reached.
            host_changes: settings for which this computer offers something else than the machine was given.
        """
        self._host = host
        self._dir = directory
        self._is_live = is_live
        self._execute = execute
        self._host_changes = host_changes
        self._writing = asyncio.Lock()

    def methods(self) -> dict[str, Method]:
        """For the control channel."""
        return {
            "config.get": self._config_get,
            "config.set": self._config_set,
            "daemon.get": self._daemon_get,
            "daemon.check": self._daemon_check,
            "daemon.set": self._daemon_set,
            "context.get": self._context_get,
            "context.install": self._context_install,
            "context.select": self._context_select,
            "context.remove": self._context_remove,
            "autostart.get": self._autostart_get,
            "autostart.set": self._autostart_set,
            "logs.tail": self._logs_tail,
        }

    # -- config.toml ----------------------------------------------------------------------------------------------
    async def _config_get(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._describe)

    async def _config_set(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`values`: by key, as `config.keys` lists them. All are changed, or none."""
        values = arguments.get("values")
        if not isinstance(values, dict) or not all(isinstance(value, int | str | bool) for value in values.values()):
            raise fail(ProblemCode.BAD_REQUEST, "config.set takes an object `values`: setting -> new value.")

        def change() -> dict[str, Any]:
            if isinstance(size := values.get("machine.disk_gib"), int):
                disks.check_size(self._dir.data_disk, size)
            self._dir.create()
            config.set_values(self._dir.config, values)
            return self._describe()

        async with self._writing:
            return await asyncio.to_thread(change)

    def _describe(self) -> dict[str, Any]:
        loaded, names = config.load(self._dir.config), config.keys()
        disk_gib = disks.present_size_gib(self._dir.data_disk)
        chosen = resources(loaded, disk_gib=max(disk_gib or 0, loaded.machine.disk_gib))
        nearest = next(place for place in (self._dir.home, *self._dir.home.parents) if place.exists())
        return {
            "values": {key: config.get(loaded, key) for key in names},
            "defaults": {key: config.get(Config(), key) for key in names},
            "chosen": msgspec.to_builtins(chosen),
            "host": {
                "cpus": os.cpu_count() or 1,
                "memory_mib": total_memory_mib(),
                "disk_free_gib": shutil.disk_usage(nearest).free // 1024**3,
                "minimum_memory_mib": config.MINIMUM_MEMORY_MIB,
            },
            "disk": {"exists": self._dir.data_disk.exists(), "size_gib": disk_gib, "path": str(self._dir.data_disk)},
            "restart_reasons": self._restart_reasons(loaded),
        }

    def _restart_reasons(self, loaded: Config) -> list[str]:
        """Which settings differ from those that the running machine was started with."""
        if not self._is_live():
            return []
        try:
            used = msgspec.json.decode(self._dir.used_config.read_bytes(), type=Config)
        except (OSError, msgspec.DecodeError):
            return []  # started by a version that did not note it
        names = config.keys()
        reasons = [
            key
            for key in names
            if not key.startswith("docker.")
            and key not in config.LIFECYCLE_KEYS
            and config.get(used, key) != config.get(loaded, key)
        ]
        with contextlib.suppress(OSError, ValueError, WherryError):  # a broken one is told by daemon.get
            options = msgspec.json.decode(self._dir.used_daemon_json.read_bytes())
            if options != config.daemon_options(self._dir.daemon_json):
                reasons.append("daemon")
        reasons.extend(sorted(set(self._host_changes()) - set(reasons)))
        return reasons

    # -- daemon.json ----------------------------------------------------------------------------------------------
    async def _daemon_get(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            text = config.daemon_text(self._dir.daemon_json)
            return {"text": text, "path": str(self._dir.daemon_json), **_findings(daemon_json.check(text))}

        return await asyncio.to_thread(read)

    async def _daemon_check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`text`: what would be saved. Asks the real dockerd if the machine runs."""
        return await self._examine(_text_of(arguments))

    async def _daemon_set(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`text`: saved if nothing in it is an error; else the findings are the answer and nothing is changed."""
        text = _text_of(arguments)
        async with self._writing:
            answer = await self._examine(text)
            if answer["valid"]:

                def write() -> list[str]:
                    self._dir.create()
                    config.set_daemon_text(self._dir.daemon_json, text)
                    return self._restart_reasons(config.load(self._dir.config))

                answer["restart_reasons"] = await asyncio.to_thread(write)
        return {**answer, "saved": answer["valid"], "text": text}

    async def _examine(self, text: str) -> dict[str, Any]:
        findings = daemon_json.check(text)
        answer = _findings(findings)
        answer["asked_dockerd"] = False
        if not answer["valid"] or not text.strip():
            return answer
        result = await self._execute(VALIDATE, stdin=text.encode(), timeout_s=_VALIDATE_S)
        if result is None:
            return answer
        answer["asked_dockerd"] = True
        if result.exit_code != 0:
            said = (result.untrusted_stderr + result.untrusted_stdout).decode("utf-8", errors="replace")
            words = " ".join("".join(c if c.isprintable() else " " for c in said).split())[-600:]
            # It begins with the name of a file that only the guest has.
            words = words.partition(": ")[2] or words
            refusal = Finding(severity=Severity.ERROR, line=1, column=1, message=f"dockerd refuses it: {words}")
            answer |= _findings((*findings, refusal))
        return answer

    # -- the docker context ---------------------------------------------------------------------------------------
    async def _context_get(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._describe_context)

    async def _context_install(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await self._change_context(lambda: context.install(self._url))

    async def _context_select(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await self._change_context(lambda: context.select(self._url))

    async def _context_remove(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await self._change_context(context.remove)

    async def _change_context(self, change: Callable[[], context.ContextChange]) -> dict[str, Any]:
        def run() -> dict[str, Any]:
            note = change().note
            return {**self._describe_context(), "note": note}

        async with self._writing:
            return await asyncio.to_thread(run)

    @property
    def _url(self) -> str:
        return self._host.docker_url(self._dir.docker_socket)

    def _describe_context(self) -> dict[str, Any]:
        url = context.current_url()
        current = context.current_name()
        return {
            "name": context.NAME,
            "exists": url is not None,
            "url": url or "",
            "wanted_url": self._url,
            "selected": current == context.NAME,
            "current": current,
            "overridden_by": context.overriding_variable() or "",
            "note": "",
        }

    # -- starting at login ----------------------------------------------------------------------------------------
    async def _autostart_get(self, _arguments: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.to_thread(self._describe_autostart)

    async def _autostart_set(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`on`: whether Wherry's window is to start when the user logs in."""
        on = arguments.get("on")
        if not isinstance(on, bool):
            raise fail(ProblemCode.BAD_REQUEST, "autostart.set takes `on`: true or false.")
        async with self._writing:
            await asyncio.to_thread(set_autostart, self._host, self._dir, on=on)
        return await asyncio.to_thread(self._describe_autostart)

    def _describe_autostart(self) -> dict[str, Any]:
        autostart = self._host.autostart()
        return {"on": autostart.is_on(), "place": autostart.place}

    # -- logs -----------------------------------------------------------------------------------------------------
    async def _logs_tail(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """`which`: "serial" (the guest's console), "qemu" or "agent". Gives the last 64 KiB of it as text."""
        which = arguments.get("which")
        if which not in _LOGS:
            raise fail(
                ProblemCode.BAD_REQUEST, f"There is no log {str(which)[:40]!r}.", hint=f"There are: {', '.join(_LOGS)}."
            )
        path = {"serial": self._dir.serial_log, "qemu": self._dir.qemu_log, "agent": self._dir.agent_log}[which]
        content = await asyncio.to_thread(_tail, path)
        return {"which": which, "text": content.decode("utf-8", errors="replace"), "path": str(path)}


def set_autostart(host: Host, directory: MachineDir, *, on: bool) -> None:
    """Have the window started at login, or no longer. Raises WherryError (PATH_UNUSABLE)."""
    autostart = host.autostart()
    try:
        if on:
            autostart.turn_on(desktop_program(directory))
        else:
            autostart.turn_off()
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            f"Starting at login could not be changed: {error.strerror or error}.",
            command=autostart.place,
            hint="Check that this place belongs to you.",
        ) from error


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read(_TAIL_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE, f"The log cannot be read: {error.strerror}.", command=str(path)
        ) from error


def _text_of(arguments: Mapping[str, Any]) -> str:
    text = arguments.get("text")
    if not isinstance(text, str):
        raise fail(ProblemCode.BAD_REQUEST, "This request takes `text`, the whole daemon.json.")
    return text


def _findings(findings: tuple[Finding, ...]) -> dict[str, Any]:
    return {
        "findings": msgspec.to_builtins(findings),
        "valid": all(finding.severity is not Severity.ERROR for finding in findings),
    }
