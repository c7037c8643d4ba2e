"""QEMU's monitor (QMP): connecting, commands, events. The only module that imports qemu.qmp.

QMP serves one client at a time: the kernel accepts a second connection, but QEMU greets it only after the first has
closed. So every connect has a deadline, and the agent keeps its one connection open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError

from backend.addresses import Protocol
from backend.errors import ProblemCode, fail
from backend.json_reader import Json, JsonSource
from backend.messages import message
from backend.vm import usernet
from backend.vm.spec import SocketAddress, UnixAddress
from backend.vm.usernet import HostForward, UserNetTable

_log = logging.getLogger(__name__)
_EXECUTE_TIMEOUT_S: Final = 10.0
_RETRY_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class MonitorEvent:
    """An event of QEMU: its QMP name ("SHUTDOWN", "GUEST_PANICKED", "STOP"), and its data."""

    name: str
    data: Mapping[str, object]


class Monitor:
    """A connection to a QEMU process."""

    def __init__(self) -> None:
        self._client = QMPClient("wherry")

    async def connect(
        self, address: SocketAddress, *, timeout_s: float, has_exited: Callable[[], bool] = lambda: False
    ) -> None:
        """Connect and negotiate, with retries while QEMU starts.

        Args:
            address: the monitor's address.
            timeout_s: deadline for all tries together.
            has_exited: called between tries; True stops them.

        Raises:
            WherryError: MACHINE_DIED when `has_exited`, STEP_TIMED_OUT at the deadline.
        """
        if not isinstance(address, UnixAddress):
            raise fail(ProblemCode.INTERNAL, message("A QEMU monitor over TLS isn't supported on this system yet."))
        deadline = asyncio.get_running_loop().time() + timeout_s
        last: Exception | None = None
        while (remaining_s := deadline - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(remaining_s):
                    await self._client.connect(str(address.path))
                return
            except TimeoutError as error:
                last = error
                await self._reset()
            except (QMPError, OSError, AssertionError) as error:
                # WORKAROUND: qemu.qmp 0.0.6, AsyncProtocol.connect asserts that the connection is still open when it
                # returns; with a QEMU that exits right after its greeting this is an AssertionError.
                last = error
                await self._reset()
                if has_exited():
                    raise fail(
                        ProblemCode.MACHINE_DIED, message("QEMU stopped before its monitor responded.")
                    ) from error
                await asyncio.sleep(_RETRY_S)
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            message("QEMU's monitor didn't respond within {seconds:g} s.", seconds=timeout_s),
            hint=message(
                "Another program may be connected to it. Stop that program, or stop the machine: wherry stop --kill"
            ),
        ) from last

    async def execute(
        self, command: str, arguments: dict[str, object] | None = None, *, timeout_s: float = _EXECUTE_TIMEOUT_S
    ) -> Json:
        """Run a QMP command and return its `return` value; reading that raises INTERNAL where its shape is another.

        Raises:
            WherryError: INTERNAL with QEMU's message when it refuses; MACHINE_DIED when the connection is closed;
                STEP_TIMED_OUT at the deadline.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return Json(await self._client.execute(command, arguments), _source(command))
        except ExecuteError as error:
            raise fail(
                ProblemCode.INTERNAL,
                message("QEMU refused {command}: {error}.", command=command, error=str(error)),
                command=command,
            ) from error
        except TimeoutError as error:
            raise fail(
                ProblemCode.STEP_TIMED_OUT,
                message("QEMU didn't respond to {command} within {seconds:g} s.", command=command, seconds=timeout_s),
                command=command,
            ) from error
        except (QMPError, OSError) as error:
            raise fail(
                ProblemCode.MACHINE_DIED,
                message(
                    "Lost the connection to QEMU's monitor ({command}: {error}).", command=command, error=str(error)
                ),
            ) from error

    async def status(self, *, timeout_s: float = _EXECUTE_TIMEOUT_S) -> str:
        """QEMU's word for what the guest's processors do: "running", "paused", "io-error". Raises as `execute`."""
        return (await self.execute("query-status", timeout_s=timeout_s)).object().required_text("status")

    async def hand_over(self, descriptor: int, name: str) -> None:
        """Pass a file descriptor to QEMU under the name `name`; ours can be closed afterwards.

        Raises:
            WherryError: as `execute`; SUSPEND_FAILED when this system cannot pass descriptors.
        """
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError, AttributeError, NotImplementedError) as error:
            raise fail(
                ProblemCode.SUSPEND_FAILED,
                message("QEMU can't receive a file on this system: {error}.", error=str(error)),
            ) from error
        await self.execute("getfd", {"fdname": name})

    async def forward_tcp(self, guest_port: int) -> int:
        """Forward a free port of 127.0.0.1, chosen by the kernel, to a port of the guest. Returns the host's port.

        Raises:
            WherryError: as `execute`; INTERNAL when QEMU does not list the forward.
        """
        if (existing := _existing_forward(await self.usernet(), "", guest_port)) is not None:
            return existing
        await self.add_forward(HostForward(Protocol.TCP, "127.0.0.1", 0, "", guest_port))
        if (port := _existing_forward(await self.usernet(), "", guest_port)) is None:
            raise fail(
                ProblemCode.INTERNAL,
                message("QEMU doesn't list its forward to port {port}.", port=guest_port),
            )
        return port

    async def usernet(self) -> UserNetTable:
        """Read the port forwards and their open connections. Raises WherryError, as `execute`."""
        return usernet.parse(await self._human("info usernet"))

    async def add_forward(self, forward: HostForward) -> None:
        """Create a port forward.

        Raises:
            WherryError: as `execute`; PORT_REFUSED when QEMU cannot listen there. It does not say why.
        """
        command = usernet.add_command(forward)
        if answer := (await self._human(command)).strip():
            raise fail(
                ProblemCode.PORT_REFUSED,
                message("QEMU can't forward the port: {error}", error=answer),
                command=command,
            )

    async def remove_forward(self, forward: HostForward) -> None:
        """Remove a port forward; its open connections stay. Does nothing when there is no such forward.

        Raises:
            WherryError: as `execute`.
        """
        await self._human(usernet.remove_command(forward))

    async def _human(self, line: str) -> str:
        return (await self.execute("human-monitor-command", {"command-line": line})).text()

    async def events(self) -> AsyncIterator[MonitorEvent]:
        """Yield events until the connection ends. MUST be consumed by one task for the connection's whole life."""
        with contextlib.suppress(QMPError, EOFError, OSError):
            async for message in self._client.events:
                yield _event(message)

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, for any reason."""
        while self._client.runstate.name == "RUNNING":
            await self._client.runstate_changed()

    async def aclose(self) -> None:
        """Close the connection; QEMU keeps running. Idempotent."""
        await self._reset()

    async def _reset(self) -> None:
        # disconnect() raises the connection's error again, which was already reported. It runs to its end when we are
        # cancelled: interrupted, it would leave a task behind.
        leaving = asyncio.ensure_future(self._client.disconnect())
        leaving.add_done_callback(lambda done: done.cancelled() or done.exception())
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await asyncio.shield(leaving)


def _source(command: str) -> JsonSource:
    return JsonSource(summary=message("QEMU's answer wasn't understood."), code=ProblemCode.INTERNAL, command=command)


def _event(received: Message) -> MonitorEvent:
    data = received.get("data")
    return MonitorEvent(str(received["event"]), data if isinstance(data, dict) else {})


def _existing_forward(table: UserNetTable, guest_ip: str, guest_port: int) -> int | None:
    """The port of 127.0.0.1 that is already forwarded there, if any; `guest_ip` "" means the guest's own address."""
    for one in table.forwards:
        matches = one.guest_ip == guest_ip if guest_ip else not one.guest_ip.startswith("127.")
        if one.protocol is Protocol.TCP and one.host_ip == "127.0.0.1" and one.guest_port == guest_port and matches:
            return one.host_port
    return None
