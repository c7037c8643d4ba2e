"""`VmDriver`, the interface for running a virtual machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from backend.vm.guest import GuestControl
from backend.vm.monitor import Monitor
from backend.vm.run import RunRecord

PANIC: Final = "Kernel panic"
"""Start of the kernel's message on the console when it panics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmExit:
    """How QEMU exited."""

    code: int | None
    """Exit code, negative for a signal; None when the process was not our child."""
    tail: tuple[str, ...]
    """The last lines of QEMU's output."""
    console_tail: tuple[str, ...]
    """The last lines of the guest's console."""

    @property
    def panicked(self) -> bool:
        """Whether the guest's kernel panicked."""
        return any(PANIC in line for line in self.console_tail)


class VmDriver(Protocol):
    """Controls the QEMU process of one machine."""

    monitor: Monitor

    @property
    def pid(self) -> int | None:
        """QEMU's process id while it runs."""
        ...

    async def launch(self, record: RunRecord, argv: list[str], *, timeout_s: float) -> None:
        """Start QEMU. MUST write the run record first; MUST NOT return before the monitor answers.

        On cancellation the process keeps running: `kill` ends it, `detach` leaves it to the next agent.

        Raises:
            WherryError: it exited or did not answer in time; then no process remains. NOT_OURS when another program
                answers
                at the monitor's address; then nothing was changed.
        """
        ...

    async def adopt(self, *, timeout_s: float) -> RunRecord | None:
        """Take over a QEMU that a previous agent started. Returns None, after removing stale files, when there is none.

        Raises:
            WherryError: NOT_OURS when another program answers; then nothing was changed. STEP_TIMED_OUT when the
                monitor does
                not answer in time.
        """
        ...

    async def kill(self) -> None:
        """End QEMU at once, leaving its disk consistent. Idempotent; returns when the process has ended."""
        ...

    async def wait(self) -> VmExit:
        """Wait for QEMU to exit, for any reason."""
        ...

    async def wait_kernel(self, *, timeout_s: float) -> None:
        """Wait for the first sign that the guest's kernel runs. Raises TimeoutError."""
        ...

    async def connect_guest(self, *, timeout_s: float) -> GuestControl:
        """Open the guest's control port. Raises TimeoutError or OSError."""
        ...

    async def detach(self) -> None:
        """Stop controlling QEMU and leave it running: the next agent adopts it."""
        ...
