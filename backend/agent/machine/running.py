"""The QEMU that runs now, as values of its phase: what it was started with, and the ways that lead into its guest.

None        no QEMU whose kernel has shown life
Launched    its record, and the way to its guest by SSH
Connected   the guest's control port, too
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import msgspec

from backend.agent.boot.link import GuestLink
from backend.agent.core.guest import Guest
from backend.errors import ProblemCode, fail
from backend.host.base import Host
from backend.messages import message
from backend.paths import MachineDir
from backend.ssh.session import FollowedCommand, Result
from backend.vm.monitor import Monitor
from backend.vm.qemu import QemuDriver
from backend.vm.run import RunRecord
from backend.vm.spec import SSH_PORT, UserNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A QEMU that runs."""

    record: RunRecord
    """What it was started with: accelerator, resources, versions, network."""
    link: GuestLink
    """The way to the guest and its engine by SSH."""
    is_adopted: bool = False
    """Whether an earlier agent started it."""

    def connected(self, guest: Guest) -> Connected:
        """The same with its guest's control port."""
        return Connected(record=self.record, link=self.link, is_adopted=self.is_adopted, guest=guest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Launched):
    """A QEMU whose guest's control port is open."""

    guest: Guest


class RunningMachine:
    """Holds the value of the present phase. One per agent; only the supervisor's effects change it."""

    def __init__(self, host: Host, directory: MachineDir) -> None:
        self.driver = QemuDriver(host, directory)
        self.now: Launched | None = None

    def set_disk_size(self, size_gib: int) -> RunRecord | None:
        """The data disk has been made larger. Returns the record, to be kept for the next agent; None: nothing runs."""
        if self.now is None:
            return None
        resources = replace(self.now.record.resources, disk_gib=size_gib)
        self.now = replace(self.now, record=msgspec.structs.replace(self.now.record, resources=resources))
        return self.now.record

    # -- what it is -----------------------------------------------------------------------------------------------
    @property
    def record(self) -> RunRecord | None:
        """Of the QEMU that runs."""
        return self.now.record if self.now is not None else None

    @property
    def link(self) -> GuestLink | None:
        """The way to the guest's engine, ready or not."""
        return self.now.link if self.now is not None else None

    @property
    def guest(self) -> Guest | None:
        """The guest's control port, while it is open."""
        return self.now.guest if isinstance(self.now, Connected) else None

    @property
    def monitor(self) -> Monitor:
        """QEMU's monitor; connected while there is a QEMU."""
        return self.driver.monitor

    @property
    def pid(self) -> int | None:
        """QEMU's process id."""
        return self.driver.pid

    @property
    def is_hardware(self) -> bool:
        """Whether the guest's instructions are run by the processor itself; False while nothing runs."""
        return self.now is not None and self.now.record.accelerator.hardware

    @property
    def network(self) -> UserNetwork:
        """Between host and guest: that of the QEMU that runs, or the usual one."""
        return self.now.record.user_network if self.now is not None else UserNetwork()

    @property
    def guest_ssh_port(self) -> int:
        """Where the SSH server listens in the guest."""
        return self.now.record.ssh_port if self.now is not None else SSH_PORT

    # -- what can be done in it -----------------------------------------------------------------------------------
    async def execute(self, command: str, *, stdin: bytes, timeout_s: float) -> Result | None:
        """Run a command in the guest; None when no guest can be reached now. Raises WherryError when it breaks off."""
        link = self.link
        if link is None or not link.is_ready:
            return None
        return await link.execute(command, stdin=stdin, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def follow(self, command: str) -> AsyncIterator[FollowedCommand]:
        """Begin a command in the guest and read what it prints, while the block lasts. Raises WherryError."""
        link = self.link
        if link is None:
            raise fail(ProblemCode.SSH_FAILED, message("Not connected to the guest."), retryable=True)
        async with link.follow(command) as running:
            yield running

    async def tell_guest(self, line: str) -> None:
        """Send a line on the guest's control port, if it is open."""
        guest = self.guest
        if guest is not None:
            with contextlib.suppress(ConnectionError):  # the next connection begins with it
                await guest.control.send(line)
