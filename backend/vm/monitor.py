"""QEMU's monitor (QMP): connect, execute, events. The only module that imports qemu.qmp.

QMP serves one client at a time: a second connection is accepted by the kernel but gets no greeting until the first has
left. So every connect has a deadline, and the agent keeps the one connection for as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError

from backend.errors import ProblemCode, fail
from backend.vm.spec import NETDEV, SocketAddress, UnixAddress

_log = logging.getLogger(__name__)
_EXECUTE_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 0.01
_FORWARD_ROW: Final = re.compile(r"TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)")


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    """One event of QEMU: its name as in QMP ("SHUTDOWN", "GUEST_PANICKED", "STOP"), and its data."""

    name: str
    data: dict[str, Any]


class Monitor:
    """A connection to one QEMU."""

    def __init__(self) -> None:
        self._client = QMPClient("wherry")

    async def connect(
        self, address: SocketAddress, *, timeout_s: float, has_exited: Callable[[], bool] = lambda: False
    ) -> None:
        """Connect and negotiate, trying again while QEMU is on its way up.

        Args:
            address: where the monitor listens.
            timeout_s: how long to try in all.
            has_exited: asked between tries; True ends them at once.

        Raises:
            WherryError: MACHINE_DIED when `has_exited`, STEP_TIMED_OUT at the deadline.
        """
        if not isinstance(address, UnixAddress):
            raise fail(ProblemCode.INTERNAL, "A monitor over TLS is not served by this system's host module yet.")
        deadline = asyncio.get_running_loop().time() + timeout_s
        last: Exception | None = None
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._client.connect(str(address.path))
                return
            except TimeoutError as error:
                last = error
                await self._reset()
            except (QMPError, OSError, AssertionError) as error:
                # WORKAROUND: qemu.qmp 0.0.6, AsyncProtocol.connect asserts that the connection still stands when it
                # returns; a QEMU that ends right after its greeting makes that an AssertionError.
                last = error
                await self._reset()
                if has_exited():
                    raise fail(ProblemCode.MACHINE_DIED, "QEMU ended before its monitor answered.") from error
                await asyncio.sleep(_RETRY_S)
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            f"QEMU's monitor did not answer within {timeout_s:g} s.",
            hint="Another program may be connected to it: end that, or stop the machine with: wherry stop --kill",
        ) from last

    async def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, timeout_s: float = _EXECUTE_TIMEOUT_S
    ) -> Any:
        """Run one QMP command and return its `return` value.

        Raises:
            WherryError: INTERNAL with QEMU's words when it refuses; MACHINE_DIED when the connection is gone;
                STEP_TIMED_OUT at the deadline.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise fail(ProblemCode.INTERNAL, f"QEMU refused {command}: {error}.", command=command) from error
        except TimeoutError as error:
            raise fail(
                ProblemCode.STEP_TIMED_OUT, f"QEMU did not answer {command} within {timeout_s:g} s.", command=command
            ) from error
        except (QMPError, OSError) as error:
            raise fail(ProblemCode.MACHINE_DIED, f"QEMU's monitor is gone ({command}: {error}).") from error

    async def hand_over(self, descriptor: int, name: str) -> None:
        """Give QEMU a file descriptor to be called `name`; ours can be closed afterwards.

        Raises:
            WherryError: as `execute`; SUSPEND_FAILED where this system cannot hand descriptors over.
        """
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError, AttributeError, NotImplementedError) as error:
            raise fail(ProblemCode.SUSPEND_FAILED, f"QEMU cannot be given a file here: {error}.") from error
        await self.execute("getfd", {"fdname": name})

    async def forward_tcp(self, guest_port: int) -> int:
        """Forward a port of 127.0.0.1, chosen by the kernel, to the guest's; return the host's port.

        Raises:
            WherryError: as `execute`; INTERNAL when QEMU does not list the forward.
        """
        existing = await self.tcp_forwards()
        if guest_port in existing:
            return existing[guest_port]
        answer = await self._human(f"hostfwd_add {NETDEV} tcp:127.0.0.1:0-:{guest_port}")
        if answer.strip():
            raise fail(ProblemCode.INTERNAL, f"QEMU did not forward port {guest_port}: {answer.strip()}")
        forwards = await self.tcp_forwards()
        if guest_port not in forwards:
            raise fail(ProblemCode.INTERNAL, f"QEMU does not list its forward to port {guest_port}.")
        return forwards[guest_port]

    async def tcp_forwards(self) -> dict[int, int]:
        """Guest port -> port on 127.0.0.1, of the TCP forwards that there are."""
        table = await self._human("info usernet")
        return {int(guest): int(host) for host, guest in _FORWARD_ROW.findall(table)}

    async def _human(self, line: str) -> str:
        # There is no QMP command for the user network's forwards up to QEMU 11.
        return str(await self.execute("human-monitor-command", {"command-line": line}))

    async def events(self) -> AsyncIterator[MonitorEvent]:
        """Yield events until the connection ends. MUST be consumed by one task for the connection's whole life."""
        with contextlib.suppress(QMPError, EOFError, OSError):
            async for message in self._client.events:
                yield _event(message)

    async def wait_closed(self) -> None:
        """Return when QEMU has closed the connection, however that came."""
        while self._client.runstate.name == "RUNNING":
            await self._client.runstate_changed()

    async def aclose(self) -> None:
        """Leave the monitor to the next client. QEMU goes on. Idempotent."""
        await self._reset()

    async def _reset(self) -> None:
        # disconnect() raises again whatever ended the connection; that was reported where it happened. It is left to
        # finish when we are cancelled: half done, it leaves a task behind.
        leaving = asyncio.ensure_future(self._client.disconnect())
        leaving.add_done_callback(lambda done: done.cancelled() or done.exception())
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await asyncio.shield(leaving)


def _event(message: Message) -> MonitorEvent:
    data = message.get("data")
    return MonitorEvent(str(message["event"]), data if isinstance(data, dict) else {})
