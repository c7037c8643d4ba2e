"""Handles requests about settings: config.toml, daemon.json, the docker context, starting at login, logs.

A change is validated before it is written. Answers list the settings that take effect at the next start of the machine.
All requests work in every phase of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

from backend.agent.boot.prepare import resources
from backend.agent.core import started_with
from backend.control import messages
from backend.control.launch import desktop_program
from backend.control.messages.request import Handler
from backend.engine import context
from backend.errors import ProblemCode, WherryError, fail
from backend.host.base import Host
from backend.host.process import total_memory_mib
from backend.messages import Message, message
from backend.paths import MachineDir
from backend.settings import config, daemon_json
from backend.settings.config import Config
from backend.settings.daemon_json import Finding, Severity
from backend.settings.disk import data_disk_path
from backend.ssh.session import Result
from backend.vm.disk import disks

VALIDATE: Final = 'f=$(mktemp) && cat >"$f" && dockerd --validate --config-file "$f"; code=$?; rm -f "$f"; exit $code'
"""Run in the guest with the text as standard input."""
_VALIDATE_S: Final = 20.0
_TAIL_BYTES: Final = 65_536

Execute = Callable[..., Awaitable[Result | None]]


class SettingsService:
    """Handles the requests. Changes are made one after the other."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        *,
        is_live: Callable[[], bool],
        execute: Execute,
        host_changes: Callable[[], Collection[str]] = tuple,
        settings_changed: Callable[[Collection[str]], Awaitable[None]] | None = None,
    ) -> None:
        """
        Args:
            is_live: whether the machine runs.
            execute: runs a command in the guest and returns its result; None if no guest can be reached.
            host_changes: keys of settings whose value, taken from this computer, has changed since the start.
            settings_changed: called with the keys that were set; raises WherryError where one cannot be followed.
        """
        self._host = host
        self._dir = directory
        self._is_live = is_live
        self._execute = execute
        self._host_changes = host_changes
        self._settings_changed = settings_changed
        self._writing = asyncio.Lock()

    def handlers(self) -> tuple[Handler, ...]:
        """The handlers for the control channel."""
        return (
            messages.GetSettings.handled_by(self._get_settings),
            messages.SetSettings.handled_by(self._set_settings),
            messages.GetDaemonFile.handled_by(self._get_daemon_file),
            messages.CheckDaemonFile.handled_by(self._check_daemon_file),
            messages.SetDaemonFile.handled_by(self._set_daemon_file),
            messages.GetContext.handled_by(self._get_context),
            messages.InstallContext.handled_by(self._install_context),
            messages.SelectContext.handled_by(self._select_context),
            messages.RemoveContext.handled_by(self._remove_context),
            messages.GetAutostart.handled_by(self._get_autostart),
            messages.SetAutostart.handled_by(self._set_autostart),
            messages.ReadLog.handled_by(self._read_log),
        )

    # -- config.toml ----------------------------------------------------------------------------------------------
    async def _get_settings(self, _request: messages.GetSettings) -> messages.SettingsReply:
        return await asyncio.to_thread(self._describe)

    async def _set_settings(self, request: messages.SetSettings) -> messages.SettingsReply:
        values = request.values

        def change() -> messages.SettingsReply:
            if isinstance(size := values.get("machine.disk_gib"), int):
                disks.check_size(data_disk_path(self._dir), size)
            self._dir.create()
            config.set_values(self._dir.config, values)
            return self._describe()

        async with self._writing:
            reply = await asyncio.to_thread(change)
            if self._settings_changed is not None:
                await self._settings_changed(values)
            return reply

    def _describe(self) -> messages.SettingsReply:
        loaded, names = config.load(self._dir.config), config.keys()
        disk_gib = disks.present_size_gib(data_disk_path(self._dir))
        nearest = next(place for place in (self._dir.home, *self._dir.home.parents) if place.exists())
        return messages.SettingsReply(
            values={key: config.get(loaded, key) for key in names},
            defaults={key: config.get(Config(), key) for key in names},
            chosen=resources(loaded, disk_gib=max(disk_gib or 0, loaded.machine.disk_gib)),
            host=messages.HostLimits(
                cpus=os.cpu_count() or 1,
                memory_mib=total_memory_mib(),
                disk_free_gib=shutil.disk_usage(nearest).free // 1024**3,
                minimum_memory_mib=config.MINIMUM_MEMORY_MIB,
            ),
            disk=messages.DataDisk(
                exists=data_disk_path(self._dir).exists(),
                size_gib=disk_gib,
                path=str(data_disk_path(self._dir)),
                used_bytes=self._host.allocated_bytes(data_disk_path(self._dir)),
            ),
            restart_reasons=tuple(self._restart_reasons(loaded)),
        )

    def _restart_reasons(self, loaded: Config) -> list[str]:
        """Keys of the settings that differ from those the running machine was started with."""
        if not self._is_live():
            return []
        used = started_with.settings(self._dir)
        if used is None:
            return []
        names = config.keys()
        reasons = [
            key
            for key in names
            if not key.startswith("docker.")
            and key not in config.LIFECYCLE_KEYS
            and config.get(used, key) != config.get(loaded, key)
        ]
        options = started_with.daemon_options(self._dir)
        with contextlib.suppress(WherryError):  # an invalid one is reported by GetDaemonFile
            if options is not None and options != config.daemon_options(self._dir.daemon_json):
                reasons.append("daemon")
        reasons.extend(sorted(set(self._host_changes()) - set(reasons)))
        return reasons

    # -- daemon.json ----------------------------------------------------------------------------------------------
    async def _get_daemon_file(self, _request: messages.GetDaemonFile) -> messages.DaemonFile:
        def read() -> messages.DaemonFile:
            text = config.daemon_text(self._dir.daemon_json)
            findings = daemon_json.check(text)
            return messages.DaemonFile(
                text=text, path=str(self._dir.daemon_json), findings=findings, valid=_is_valid(findings)
            )

        return await asyncio.to_thread(read)

    async def _check_daemon_file(self, request: messages.CheckDaemonFile) -> messages.DaemonVerdict:
        """Check the text; with the guest's dockerd, too, if the machine runs."""
        return await self._validate(request.text)

    async def _set_daemon_file(self, request: messages.SetDaemonFile) -> messages.DaemonFileSaved:
        reasons: tuple[str, ...] | None = None
        async with self._writing:
            verdict = await self._validate(request.text)
            if verdict.valid:

                def write() -> tuple[str, ...]:
                    self._dir.create()
                    config.set_daemon_text(self._dir.daemon_json, request.text)
                    return tuple(self._restart_reasons(config.load(self._dir.config)))

                reasons = await asyncio.to_thread(write)
        return messages.DaemonFileSaved(
            findings=verdict.findings,
            valid=verdict.valid,
            asked_dockerd=verdict.asked_dockerd,
            restart_reasons=reasons,
            saved=verdict.valid,
            text=request.text,
        )

    async def _validate(self, text: str) -> messages.DaemonVerdict:
        findings = daemon_json.check(text)
        if not _is_valid(findings) or not text.strip():
            return messages.DaemonVerdict(findings=findings, valid=_is_valid(findings))
        result = await self._execute(VALIDATE, stdin=text.encode(), timeout_s=_VALIDATE_S)
        if result is not None and result.exit_code != 0:
            said = (result.untrusted_stderr + result.untrusted_stdout).decode("utf-8", errors="replace")
            words = " ".join("".join(c if c.isprintable() else " " for c in said).split())[-600:]
            # It begins with the name of a file that only the guest has.
            words = words.partition(": ")[2] or words
            refusal = Finding(
                severity=Severity.ERROR, line=1, column=1, message=message("dockerd rejects it: {words}", words=words)
            )
            findings = (*findings, refusal)
        return messages.DaemonVerdict(findings=findings, valid=_is_valid(findings), asked_dockerd=result is not None)

    # -- the docker context ---------------------------------------------------------------------------------------
    async def _get_context(self, _request: messages.GetContext) -> messages.ContextState:
        return await asyncio.to_thread(self._describe_context)

    async def _install_context(self, _request: messages.InstallContext) -> messages.ContextState:
        return await self._change_context(lambda: context.install(self._url))

    async def _select_context(self, _request: messages.SelectContext) -> messages.ContextState:
        return await self._change_context(lambda: context.select(self._url))

    async def _remove_context(self, _request: messages.RemoveContext) -> messages.ContextState:
        return await self._change_context(context.remove)

    async def _change_context(self, change: Callable[[], context.ContextChange]) -> messages.ContextState:
        def run() -> messages.ContextState:
            note = change().note
            return self._describe_context(note)

        async with self._writing:
            return await asyncio.to_thread(run)

    @property
    def _url(self) -> str:
        return self._host.docker_url(self._dir.docker_socket)

    def _describe_context(self, note: Message | None = None) -> messages.ContextState:
        url = context.current_url()
        current = context.current_name()
        return messages.ContextState(
            name=context.NAME,
            exists=url is not None,
            url=url or "",
            wanted_url=self._url,
            selected=current == context.NAME,
            current=current,
            overridden_by=context.overriding_variable() or "",
            note=note,
        )

    # -- starting at login ----------------------------------------------------------------------------------------
    async def _get_autostart(self, _request: messages.GetAutostart) -> messages.AutostartState:
        return await asyncio.to_thread(self._describe_autostart)

    async def _set_autostart(self, request: messages.SetAutostart) -> messages.AutostartState:
        async with self._writing:
            await asyncio.to_thread(set_autostart, self._host, self._dir, on=request.on)
        return await asyncio.to_thread(self._describe_autostart)

    def _describe_autostart(self) -> messages.AutostartState:
        autostart = self._host.autostart()
        return messages.AutostartState(on=autostart.is_on(), place=autostart.place)

    # -- logs -----------------------------------------------------------------------------------------------------
    async def _read_log(self, request: messages.ReadLog) -> messages.LogTail:
        log = messages.MachineLog
        path = {log.SERIAL: self._dir.serial_log, log.QEMU: self._dir.qemu_log, log.AGENT: self._dir.agent_log}[
            request.which
        ]
        content = await asyncio.to_thread(_tail, path)
        return messages.LogTail(which=request.which, text=content.decode("utf-8", errors="replace"), path=str(path))


def set_autostart(host: Host, directory: MachineDir, *, on: bool) -> None:
    """Turn starting the window at login on or off. Raises WherryError (PATH_UNUSABLE)."""
    autostart = host.autostart()
    try:
        if on:
            autostart.turn_on(desktop_program(directory))
        else:
            autostart.turn_off()
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            message("Couldn't change starting at login: {error}.", error=error.strerror or error),
            command=autostart.place,
            hint=message("Check that this file belongs to you."),
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
            ProblemCode.PATH_UNUSABLE,
            message("The log can't be read: {error}.", error=error.strerror),
            command=str(path),
        ) from error


def _is_valid(findings: tuple[Finding, ...]) -> bool:
    return all(finding.severity is not Severity.ERROR for finding in findings)
