"""Ports that containers with `--network host` listen on: no engine knows them, so the guest's kernel is asked.

Such a container has the guest's own network, not one of its own. The guest's program `listeners` tells, for as long as
it is followed, which listening sockets of that network belong to which container. It is followed only while a container
of this kind runs: see `uses_host_network`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final
from typing import Protocol as Interface

from backend.addresses import Protocol, address_of
from backend.errors import WherryError
from backend.json_reader import JsonObject
from backend.while_wanted import WhileWanted

_log = logging.getLogger(__name__)

COMMAND: Final = "exec /usr/lib/wherry/listeners 2>/dev/null"
SILENCE_S: Final = 90.0
"""It says every 20 s that nothing changed; an emulated machine under load needs its time."""
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
MAX_LISTENERS: Final = 1_000
_MAX_LINE_BYTES: Final = 512
_EXIT_CODE_S: Final = 5.0
_NOT_THERE: Final = (126, 127)
_LINE: Final = re.compile(r"(tcp6?|udp6?) ([0-9A-F]{8}|[0-9A-F]{32}) ([0-9A-F]{4}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A socket that a container listens on in the guest's own network."""

    protocol: Protocol
    guest_ip: str
    """As `ipaddress` writes it: "0.0.0.0", "127.0.0.1", "10.0.2.15", "::", "::1". A socket on "::" takes IPv4 as well,
    unless the same container has one on "0.0.0.0" at that port."""
    port: int
    container_id: str
    """64 hexadecimal digits. It came from the guest: look it up among the engine's containers."""


class Followed(Interface):
    """A command under way in the guest; `FollowedCommand` is one."""

    async def read(self) -> bytes:
        """What it printed next; b"" at its end. Raises ConnectionError."""
        ...

    async def exit_code(self) -> int:
        """How it ended."""
        ...


def uses_host_network(container: JsonObject) -> bool:
    """Whether a container, as the engine lists or inspects it, has the guest's own network."""
    return container.object("HostConfig").text("NetworkMode") == "host"


class HostNetworkFeed:
    """One per agent. `run` it as a task; `set_wanted` and `set_up` may be called at any time, as often as one likes.

    `changed` is given the whole new set each time that it changes: first what is listened on when following begins;
    an empty set as soon as it is no longer wanted or the machine is down. While the way to the guest is lost the last
    set stays good. An image that is too old for it gives an empty set for ever.
    """

    def __init__(
        self,
        follow: Callable[[str], AbstractAsyncContextManager[Followed]],
        changed: Callable[[frozenset[Listener]], None],
    ) -> None:
        """Make a feed that is not wanted yet.

        Args:
            follow: begins a command in the guest, as `EngineLink.follow`; raises WherryError.
            changed: called in the loop with each new set; MUST be quick.
        """
        self._follow = follow
        self._changed = changed
        self._work = WhileWanted(self._keep_following, name="the ports of host networks", stopped=self._stopped)
        self.listeners: frozenset[Listener] = frozenset()
        """The set that was told last."""

    def set_wanted(self, wanted: bool) -> None:
        """Whether a running container has the guest's own network (`uses_host_network`)."""
        self._work.set_wanted(wanted)

    def set_up(self, up: bool) -> None:
        """Whether the machine runs and can be asked."""
        self._work.set_up(up)

    async def run(self) -> None:
        """Until cancelled."""
        await self._work.run()

    def _stopped(self) -> None:
        self._tell(frozenset())

    def _tell(self, listeners: frozenset[Listener]) -> None:
        if listeners != self.listeners:
            self.listeners = listeners
            self._changed(listeners)

    async def _keep_following(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                async for listeners in self._sets():
                    failures = 0
                    self._tell(listeners)
                why = "it ended"
            except WherryError as error:
                why = error.problem.summary
            except TimeoutError:
                why = f"it said nothing for {SILENCE_S:g} s"
            except ConnectionError as error:
                why = str(error) or "the connection ended"
            except _NotThere:
                _log.warning("ports of containers with the host's network are not published: the image is too old")
                self._tell(frozenset())
                await asyncio.Event().wait()  # for the cancellation, with the end of this machine
            failures += 1
            _log.info("the guest's listeners are asked for again: %s", why)
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    async def _sets(self) -> AsyncIterator[frozenset[Listener]]:
        """Run the program once, to its end. Raises WherryError, TimeoutError, ConnectionError, _NotThere."""
        parser = Parser()
        async with self._follow(COMMAND) as program:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    data = await program.read()
                if not data:
                    break
                for listeners in parser.feed(data):
                    yield listeners
            async with asyncio.timeout(_EXIT_CODE_S):
                if await program.exit_code() in _NOT_THERE:
                    raise _NotThere


class _NotThere(Exception):  # noqa: N818 -- a finding
    """The image has no such program."""


class Parser:
    """Bytes of the guest's program to sets. What is not as it must be is left out; the first of it is logged."""

    def __init__(self) -> None:
        self._rest = b""
        self._set: set[Listener] = set()
        self._odd = False

    def feed(self, untrusted_data: bytes) -> list[frozenset[Listener]]:
        """Take what was printed next; gives the sets that it completes."""
        found = []
        *lines, self._rest = (self._rest + untrusted_data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:  # it goes on as a line that is not understood
            self._rest = self._rest[:_MAX_LINE_BYTES]
        for line in lines:
            if line == b"end":
                found.append(frozenset(self._set))
                self._set = set()
            elif line != b"still":
                self._take(line)
        return found

    def _take(self, untrusted_line: bytes) -> None:
        matched = _LINE.fullmatch(untrusted_line.decode("ascii", errors="replace"))
        if matched is None or len(self._set) >= MAX_LISTENERS:
            if not self._odd:
                self._odd = True
                _log.warning("the guest's list of listeners has an odd or a surplus line: %r", untrusted_line[:100])
            return
        table, address, port, container_id = matched.groups()
        if number := int(port, 16):
            protocol = Protocol.TCP if table.startswith("tcp") else Protocol.UDP
            listener = Listener(protocol=protocol, guest_ip=address_of(address), port=number, container_id=container_id)
            self._set.add(listener)
