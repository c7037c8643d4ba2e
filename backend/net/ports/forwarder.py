"""Opens and closes port forwards: with QEMU where possible, else with a relay of ours to a forward of QEMU.

QEMU's user network listens only on IPv4. Where the system allows ports below 1024 only on the wildcard address, QEMU
cannot filter by the client's address. In both cases a `Relay` is opened, whose target is the IPv4 forward to the same
guest port if there is one, else a hidden one on a port that the kernel chooses.

QEMU also listens with a backlog of one: of a browser's six parallel connections some wait a second for a second SYN
(measured: 64 at once took 165 s, and ten of them failed). Where the system allows it, the backlog of QEMU's sockets is
raised from outside; elsewhere TCP uses relays too, which connect to QEMU one at a time.

Forwards of QEMU outlive the agent, relays do not: the next agent reads the former from the monitor and opens the latter
again. Nothing is stored on disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.addresses import Forward, Protocol
from backend.errors import ProblemCode, WherryError, fail
from backend.messages import message
from backend.net.ports.bind_errors import try_bind
from backend.net.ports.bindings import ANY, LOOPBACK
from backend.net.ports.relay import Relay
from backend.vm.monitor import Monitor
from backend.vm.usernet import HostForward, UserNetTable

_log = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_Place = tuple[Protocol, str, int]
"""Target in the guest: protocol, address ("" for the guest's own), port."""
_Listener = tuple[_Place, str, int]
"""Target in the guest, host address and host port."""


@dataclass(slots=True, eq=False)
class _Hidden:
    """A forward from a port of 127.0.0.1 that the kernel chose, used only as the target of relays."""

    made: HostForward
    users: set[Forward]
    """The forwards whose relays use it."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Current traffic of a forward; None: not known."""

    connections: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


class Forwarder:
    """The forwards of a machine. Methods other than `traffic` MUST NOT run concurrently: the reconciler sees to it."""

    def __init__(
        self,
        monitor: Callable[[], Monitor],
        *,
        guest_ssh_port: Callable[[], int],
        deepen: Callable[[int, int], bool],
        low_ports_on_any: bool = False,
    ) -> None:
        """Nothing is open yet.

        Args:
            monitor: gives the monitor of the running QEMU.
            guest_ssh_port: port of the guest's SSH server; the forward to it belongs to the agent.
            deepen: raises the backlog of a socket of QEMU, by descriptor; returns False when that is not possible.
            low_ports_on_any: whether ports below 1024 can be bound only on the wildcard address (macOS).
        """
        self._monitor = monitor
        self._guest_ssh_port = guest_ssh_port
        self._low_ports_on_any = low_ports_on_any
        self._direct: dict[Forward, HostForward] = {}
        self._relays: dict[Forward, Relay] = {}
        self._hidden: dict[_Place, _Hidden] = {}
        self._deepen = deepen
        self._deep: set[_Listener] = set()
        """QEMU's listeners whose backlog was raised."""
        self._is_shallow = False
        """Whether the backlog of QEMU's sockets cannot be raised."""

    @property
    def opened(self) -> frozenset[Forward]:
        """The open forwards."""
        return frozenset(self._direct) | frozenset(self._relays)

    async def adopt(self, wanted: Iterable[Forward]) -> None:
        """Read which forwards QEMU has; keep the wanted ones and close the others.

        MUST be called first, and again after every error of the monitor: the failed command may have been executed.

        Raises:
            WherryError: the monitor does not answer.
        """
        self._hidden = {place: hidden for place, hidden in self._hidden.items() if hidden.users}
        table = await self._monitor().usernet()
        self._deep.clear()
        self._is_shallow = not self._deepen_all(table)
        ports = {row.host_port for row in table.forwards}
        if any(hidden.made.host_port not in ports for hidden in self._hidden.values()):
            await self.drop()  # another QEMU: the relays have no target any more
        existing = {_key(row): row for row in table.forwards}
        if self._is_shallow:  # an earlier agent may have used QEMU for what needs relays now
            wanted = [one for one in wanted if one.protocol is Protocol.UDP]
        self._direct = {one: existing.pop(_wanted_key(one)) for one in wanted if _wanted_key(one) in existing}
        leading = {_place(hidden.made): hidden.made.host_port for hidden in self._hidden.values()}
        for row in existing.values():
            if _place(row) == (Protocol.TCP, "", self._guest_ssh_port()) and row.host_ip == LOOPBACK:
                continue  # the agent's own SSH forward
            if leading.get(_place(row)) != row.host_port:
                await self._monitor().remove_forward(row)

    async def open(self, forward: Forward) -> None:
        """Listen on the host.

        Raises:
            WherryError: PORT_TAKEN or PORT_REFUSED with the program that has the port and what to do; or the monitor
                does not
                answer.
        """
        if forward in self._direct or forward in self._relays:
            return
        if ":" in forward.host_ip or (self._is_shallow and forward.protocol is Protocol.TCP):
            await self._open_relay(forward)
            return
        problem = await try_bind(forward)
        if problem is None:
            row = HostForward(
                forward.protocol, forward.host_ip, forward.host_port, forward.guest_ip, forward.guest_port
            )
            try:
                await self._monitor().add_forward(row)
            except WherryError as error:
                # Another program may have bound it meanwhile. QEMU does not say why it failed.
                is_refused = error.problem.code is ProblemCode.PORT_REFUSED
                problem = await try_bind(forward) if is_refused else None
                raise (WherryError(problem) if problem is not None else error) from error
            self._direct[forward] = row
        elif problem.code is ProblemCode.PORT_REFUSED and self._low_ports_on_any and forward.host_ip == LOOPBACK:
            await self._open_relay(forward, only_from_loopback=True)
        else:
            raise WherryError(problem)

    async def deepen(self) -> None:
        """Raise the backlog of listeners that were opened since the last call.

        Raises:
            WherryError: the monitor does not answer.
        """
        rows = [*self._direct.values(), *(hidden.made for hidden in self._hidden.values())]
        if not self._is_shallow and any(row.protocol is Protocol.TCP and _key(row) not in self._deep for row in rows):
            self._deepen_all(await self._monitor().usernet())

    def _deepen_all(self, table: UserNetTable) -> bool:
        """Returns whether it worked for every socket that was tried. A few system calls for each socket."""
        new = [row for row in table.forwards if row.protocol is Protocol.TCP and _key(row) not in self._deep]
        done = {_key(row) for row in new if self._deepen(row.descriptor, _BACKLOG)}
        self._deep = (self._deep & set(map(_key, table.forwards))) | done
        return len(done) == len(new)

    async def close(self, forward: Forward) -> None:
        """Stop listening; connections through QEMU stay open, as with any engine. Does nothing when it is not open.

        Raises:
            WherryError: the monitor does not answer.
        """
        relay = self._relays.get(forward)
        if relay is not None:
            await relay.aclose()
            del self._relays[forward]
            await self._release(forward)
        row = self._direct.get(forward)
        if row is not None:
            await self._remove(row)
            del self._direct[forward]

    async def drop(self) -> None:
        """Forget all forwards and close the relays: QEMU has exited."""
        relays, self._relays = self._relays, {}
        self._direct.clear()
        self._hidden.clear()
        self._deep.clear()
        for relay in relays.values():
            await relay.aclose()

    async def traffic(self) -> Mapping[Forward, Traffic]:
        """Current traffic of each forward.

        Raises:
            WherryError: the monitor does not answer.
        """
        table = await self._monitor().usernet()
        traffic: dict[Forward, Traffic] = {}
        relayed: dict[tuple[str, int], int] = {}
        for forward, relay in self._relays.items():
            traffic[forward] = Traffic(relay.connections, relay.received_bytes, relay.sent_bytes)
            if forward.protocol is Protocol.TCP:
                target = self._direct_address(forward)
                relayed[target] = relayed.get(target, 0) + relay.connections
        for forward in self._direct:
            count = None
            if forward.protocol is Protocol.TCP:
                key = (forward.host_ip, forward.host_port)
                count = max(0, table.connections.get(key, 0) - relayed.get(key, 0))
            traffic[forward] = Traffic(count)
        return traffic

    async def _open_relay(self, forward: Forward, *, only_from_loopback: bool = False) -> None:
        target = await self._target(forward)
        try:
            relay = await Relay.open(
                forward.protocol,
                forward.host_ip,
                forward.host_port,
                target,
                only_from_loopback=only_from_loopback,
                one_by_one=self._is_shallow,
            )
        except BaseException:
            await self._release(forward)
            raise
        self._relays[forward] = relay

    def _direct_address(self, forward: Forward) -> tuple[str, int]:
        """The address and port on which QEMU listens for this target, as in its table."""
        for other, row in self._direct.items():
            if _wanted_place(other) == _wanted_place(forward) and other.host_ip in (LOOPBACK, ANY):
                return row.host_ip, row.host_port
        hidden = self._hidden.get(_wanted_place(forward))
        return (LOOPBACK, hidden.made.host_port) if hidden is not None else (LOOPBACK, 0)

    async def _target(self, forward: Forward) -> tuple[str, int]:
        """The relay's target: a port of the host's loopback that is forwarded to the guest."""
        place = _wanted_place(forward)
        _, port = self._direct_address(forward)
        if port and place not in self._hidden:
            return LOOPBACK, port
        hidden = self._hidden.get(place)
        if hidden is None:
            row = HostForward(forward.protocol, LOOPBACK, 0, forward.guest_ip, forward.guest_port)
            known = {one.host_port for one in (await self._monitor().usernet()).forwards}
            await self._monitor().add_forward(row)
            made = _made(await self._monitor().usernet(), place, known)
            hidden = self._hidden[place] = _Hidden(made, set())
        hidden.users.add(forward)
        return LOOPBACK, hidden.made.host_port

    async def _release(self, forward: Forward) -> None:
        place = _wanted_place(forward)
        hidden = self._hidden.get(place)
        if hidden is not None:
            hidden.users.discard(forward)
            if not hidden.users:
                await self._remove(hidden.made)
                del self._hidden[place]

    async def _remove(self, row: HostForward) -> None:
        await self._monitor().remove_forward(row)
        self._deep.discard(_key(row))


def _guest_ip(address: str) -> str:
    return address if address.startswith("127.") else ""


def _place(row: HostForward) -> _Place:
    return row.protocol, _guest_ip(row.guest_ip), row.guest_port


def _wanted_place(forward: Forward) -> _Place:
    return forward.protocol, forward.guest_ip, forward.guest_port


def _key(row: HostForward) -> _Listener:
    return _place(row), row.host_ip, row.host_port


def _wanted_key(forward: Forward) -> _Listener:
    return _wanted_place(forward), forward.host_ip, forward.host_port


def _made(table: UserNetTable, place: _Place, known: set[int]) -> HostForward:
    for row in table.forwards:
        if _place(row) == place and row.host_ip == LOOPBACK and row.host_port not in known:
            return row
    raise fail(ProblemCode.INTERNAL, message("QEMU doesn't list its forward to port {port}.", port=place[2]))
