"""`QemuDriver`: starts, adopts and ends the QEMU process of one machine."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, WherryError, fail
from backend.host.base import DetachedProcess, Host
from backend.host.process import ProcessIdentity
from backend.messages import message
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from backend.vm import run
from backend.vm.disk import disks
from backend.vm.driver import PANIC, VmExit
from backend.vm.guest import GuestControl
from backend.vm.monitor import Monitor
from backend.vm.run import RunRecord
from backend.vm.spec import UnixAddress

_log = logging.getLogger(__name__)

KERNEL_ALIVE: Final = b"wherry: kernel alive"
"""The first line that the guest's initramfs prints."""
_EXIT_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.02
_TAIL_LINES: Final = 12
_TAIL_BYTES: Final = 32_768


class QemuDriver:
    """The VmDriver for QEMU."""

    def __init__(self, host: Host, directory: MachineDir) -> None:
        self.monitor = Monitor()
        self._host = host
        self._dir = directory
        self._child: DetachedProcess | None = None
        self._identity: ProcessIdentity | None = None
        self._owned = 0
        """Number of the current QEMU process (launched or adopted); 0 when there is none."""
        self._count = 0

    @property
    def pid(self) -> int | None:
        """QEMU's process id while it runs."""
        if self._identity is not None:
            return self._identity.pid
        return self._child.pid if self._child is not None else None

    async def launch(self, record: RunRecord, argv: list[str], *, timeout_s: float) -> None:
        """See VmDriver."""
        if await self._monitor_listens():
            raise self._not_ours(f"connect {self._dir.monitor_socket}")
        self._remove_leftovers()
        run.save(self._dir.run_record, record)
        self._dir.qemu_log.unlink(missing_ok=True)
        # Remove old logs: they do not belong to this run, and `wait` may report them.
        if self._dir.serial_log.exists() and self._dir.serial_log.stat().st_size:
            self._dir.serial_log.replace(self._dir.previous_serial_log)
        _log.info("starting %s", shlex.join(argv))
        try:
            self._child = self._host.spawn_detached(argv, output=self._dir.qemu_log)
        except OSError as error:
            self._dir.run_record.unlink(missing_ok=True)
            raise fail(
                ProblemCode.QEMU_UNUSABLE,
                message("{program} doesn't start: {error}.", program=argv[0], error=error.strerror),
                command=shlex.join(argv),
            ) from error
        self._own()
        self._identity = ProcessIdentity.of(self._child.pid, argument=record.uuid)
        try:
            await self.monitor.connect(
                UnixAddress(path=self._dir.monitor_socket), timeout_s=timeout_s, has_exited=self._has_exited
            )
            self._identity = self._identity or ProcessIdentity.of(self._child.pid, argument=record.uuid)
        except WherryError as error:
            await self.kill()
            raise self._explain_launch(error, argv) from error

    def _explain_launch(self, error: WherryError, argv: list[str]) -> WherryError:
        """Add QEMU's last output, which explains more than "the monitor did not answer"."""
        tail = _tail(self._dir.qemu_log)
        text = "\n".join(tail)
        command = shlex.join(argv)
        if disks.is_lock_message(text):
            return fail(
                ProblemCode.DISK_LOCKED,
                message("Another process uses the data disk {path}.", path=data_disk_path(self._dir)),
                command=command,
                tail=tail,
                hint=message("Stop that process, then start the machine again. To find it: wherry doctor"),
                retryable=True,
            )
        if "No space left" in text:
            return fail(
                ProblemCode.HOST_DISK_FULL,
                message("QEMU couldn't start: this computer's disk is full."),
                command=command,
                tail=tail,
                hint=message("Free up some space, then start the machine again."),
                retryable=True,
            )
        console = _tail(self._dir.serial_log)
        if any(PANIC in line for line in console):
            return fail(
                ProblemCode.KERNEL_PANIC,
                message("The guest's Linux kernel crashed before QEMU's monitor responded."),
                command=command,
                tail=console,
                hint=message(
                    "Start the machine again. If this happens again, the guest image may be damaged: wherry doctor"
                ),
                retryable=True,
            )
        hint = error.problem.hint or message(
            "Check QEMU's log (wherry logs qemu) and its installation (wherry doctor)."
        )
        return fail(error.problem.code, error.problem.summary, command=command, tail=tail, hint=hint)

    async def adopt(self, *, timeout_s: float) -> RunRecord | None:
        """See VmDriver."""
        record = run.load(self._dir.run_record)
        if record is None:
            return None
        identity = self._recorded_process(record)
        if identity is None and not await self._monitor_listens():
            self._remove_leftovers()
            self._dir.run_record.unlink(missing_ok=True)
            return None
        await self.monitor.connect(
            UnixAddress(path=self._dir.monitor_socket),
            timeout_s=timeout_s,
            has_exited=lambda: identity is not None and not identity.is_alive(),
        )
        answer = (await self.monitor.execute("query-uuid")).object()
        if answer.text("UUID") != record.uuid:
            await self.monitor.aclose()
            raise self._not_ours(f"query-uuid on {self._dir.monitor_socket}")
        self._own()
        self._identity = identity
        return record

    def _not_ours(self, command: str) -> WherryError:
        return fail(
            ProblemCode.NOT_OURS,
            message("A QEMU that Wherry didn't start uses the machine's monitor. It was left alone."),
            command=command,
            hint=message("Stop that QEMU, then start the machine again."),
        )

    def _own(self) -> None:
        self._count += 1
        self._owned = self._count

    async def abandon(self) -> None:
        """Kill a recorded QEMU whose monitor does not answer, so that the machine can start again."""
        record = run.load(self._dir.run_record)
        if record is not None and not self._owned:
            self._identity = self._recorded_process(record)
            self._own()
        await self.kill()

    def _recorded_process(self, record: RunRecord) -> ProcessIdentity | None:
        try:
            pid = int(self._dir.qemu_pid.read_text())
        except (OSError, ValueError):
            pid = 0
        # Without a pid file it may just be starting: its agent was killed at that moment.
        return (pid and ProcessIdentity.of(pid, argument=record.uuid)) or ProcessIdentity.find(record.uuid)

    async def _monitor_listens(self) -> bool:
        try:
            stream = await self._host.connect(self._dir.monitor_socket)
        except OSError:
            return False
        await stream.aclose()
        return True

    async def kill(self) -> None:
        """See VmDriver. `quit` closes the disk images properly; the signal is for a QEMU that does not respond."""
        owned = self._owned
        if not owned:
            return
        leaving_s = 0.0  # a QEMU whose monitor does not answer will not exit on request
        with contextlib.suppress(WherryError):
            await self.monitor.execute("quit", timeout_s=2)
            leaving_s = 2.0
        if not await self._wait_gone(leaving_s):
            self._kill_process()
            await self._wait_gone(_EXIT_TIMEOUT_S)
        await self._forget(owned)

    async def wait(self) -> VmExit:
        """See VmDriver."""
        owned, child = self._owned, self._child
        await self.monitor.wait_closed()
        if not await self._wait_gone(_EXIT_TIMEOUT_S):
            _log.error("QEMU closed its monitor but goes on; it is killed")
            self._kill_process()
            await self._wait_gone(_EXIT_TIMEOUT_S)
        code = child.poll() if child is not None else None
        result = VmExit(code=code, tail=_tail(self._dir.qemu_log), console_tail=_tail(self._dir.serial_log))
        await self._forget(owned)
        return result

    async def wait_kernel(self, *, timeout_s: float) -> None:
        """See VmDriver. Reads the console's log, because the console's socket is for the user."""
        async with asyncio.timeout(timeout_s):
            while KERNEL_ALIVE not in _read_end(self._dir.serial_log):
                if self._has_exited():
                    await asyncio.sleep(timeout_s)  # `wait` reports the exit; this wait is then cancelled
                await asyncio.sleep(_POLL_S)

    async def connect_guest(self, *, timeout_s: float) -> GuestControl:
        """See VmDriver."""
        return await GuestControl.connect(self._host, UnixAddress(path=self._dir.control_socket), timeout_s=timeout_s)

    async def detach(self) -> None:
        """See VmDriver."""
        await self.monitor.aclose()

    def _has_exited(self) -> bool:
        if self._child is not None:
            return self._child.poll() is not None
        return self._identity is not None and not self._identity.is_alive()

    def _kill_process(self) -> None:
        # A child process is ours even before it shows the arguments that identify it.
        if self._child is not None:
            self._child.kill()
        elif self._identity is not None:
            self._identity.kill()

    async def _wait_gone(self, timeout_s: float) -> bool:
        """Whether the process has ended within the time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self._has_exited():
            if self._child is None and self._identity is None:
                return True  # the process was never identified
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def _forget(self, owned: int) -> None:
        """Clean up after a QEMU that has ended. `kill` and `wait` may call this late: files of a newer one are kept."""
        if owned != self._owned or not owned:
            return
        self._owned = 0
        monitor, self.monitor = self.monitor, Monitor()
        self._child = None
        self._identity = None
        self._remove_leftovers()
        self._dir.run_record.unlink(missing_ok=True)
        await monitor.aclose()

    def _remove_leftovers(self) -> None:
        for path in (self._dir.monitor_socket, self._dir.control_socket, self._dir.console_socket, self._dir.qemu_pid):
            path.unlink(missing_ok=True)


def _read_end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read()
    except OSError:
        return b""  # It does not exist yet, or was just replaced: no last line.


def _tail(path: Path) -> tuple[str, ...]:
    """The most useful lines of a log, without control characters: from a panic's first line, else the last ones."""
    untrusted_text = _read_end(path).decode("utf-8", errors="replace")
    cleaned = ("".join(c for c in line if c.isprintable()) for line in untrusted_text.splitlines())
    lines = tuple(line for line in cleaned if line.strip())
    panic = next((number for number, line in enumerate(lines) if PANIC in line), None)
    return lines[-_TAIL_LINES:] if panic is None else lines[panic : panic + _TAIL_LINES]
