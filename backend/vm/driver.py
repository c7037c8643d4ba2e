"""The seam for QEMU: what the supervisor needs of a virtual machine, whichever way it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from backend.vm.guest import GuestControl
from backend.vm.monitor import Monitor
from backend.vm.run import RunRecord

PANIC: Final = "Kernel panic"
"""What the kernel's last words begin with, on the console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmExit:
    """How QEMU went."""

    code: int | None
    """Exit code, negative for a signal; None for a process that was not our child."""
    tail: tuple[str, ...]
    """The last lines that QEMU printed."""
    console_tail: tuple[str, ...]
    """The last lines of the guest's console."""

    @property
    def panicked(self) -> bool:
        """Whether the guest's kernel panicked."""
        return any(PANIC in line for line in self.console_tail)


class VmDriver(Protocol):
    """One machine's QEMU."""

    monitor: Monitor

    @property
    def pid(self) -> int | None:
        """QEMU's process id while it runs."""
        ...

    async def launch(self, record: RunRecord, argv: list[str], *, timeout_s: float) -> None:
        """Start QEMU. MUST write the run record first; MUST NOT return before the monitor answers.

        When it is cancelled the process goes on: `kill` ends it, `detach` leaves it to the next agent.

        Raises:
            WherryError: it ended, or did not answer in time; no process is left then. NOT_OURS when something answers
                on the monitor's address already; then nothing was touched.
        """
        ...

    async def adopt(self, *, timeout_s: float) -> RunRecord | None:
        """Take over a QEMU that a former agent started. None: there is none (and stale files are gone).

        Raises:
            WherryError: NOT_OURS when something else answers; then nothing was touched. STEP_TIMED_OUT when the
                monitor does not answer in time.
        """
        ...

    async def kill(self) -> None:
        """End the QEMU that was launched or adopted at once, leaving its disk consistent.

        Idempotent; returns when the process is gone. Touches nothing when there is none.
        """
        ...

    async def wait(self) -> VmExit:
        """Return when QEMU is gone, however it went."""
        ...

    async def wait_kernel(self, *, timeout_s: float) -> None:
        """Return when the guest's kernel has shown that it runs. Raises TimeoutError."""
        ...

    async def connect_guest(self, *, timeout_s: float) -> GuestControl:
        """Open the guest's control port. Raises TimeoutError or OSError."""
        ...

    async def detach(self) -> None:
        """Let go without touching QEMU: the next agent adopts it."""
        ...
