"""Ports that containers with `--network host` listen on, reported by the guest's kernel.

Such a container uses the guest's own network, so the engine does not know its ports. The guest's program `listeners`
reports which listening sockets belong to which container while it runs. It runs only while there is a container of this
kind: see `uses_host_network`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from backend.addresses import Protocol, address_of
from backend.errors import WherryError
from backend.json_reader import JsonObject
from backend.stream import CommandOutput
from backend.while_wanted import WhileWanted

_log = logging.getLogger(__name__)

COMMAND: Final = "exec /usr/lib/wherry/listeners 2>/dev/null"
SILENCE_S: Final = 90.0
"""The program sends a line every 20 s even when nothing changed; an emulated machine under load is slow."""
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
MAX_LISTENERS: Final = 1_000
_MAX_LINE_BYTES: Final = 512
_EXIT_CODE_S: Final = 5.0
_NOT_THERE: Final = (126, 127)
_LINE: Final = re.compile(r"(tcp6?|udp6?) ([0-9A-F]{8}|[0-9A-F]{32}) ([0-9A-F]{4}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestListener:
    """A listening socket of a container in the guest's own network."""

    protocol: Protocol
    guest_ip: str
    """As `ipaddress` writes it: "0.0.0.0", "127.0.0.1", "10.0.2.15", "::", "::1". A socket on "::" includes IPv4,
    unless the same container has one on "0.0.0.0" at that port."""
    port: int
    container_id: str
    """64 hexadecimal digits. Untrusted: look it up among the engine's containers."""


def uses_host_network(container: JsonObject) -> bool:
    """Whether a container, as listed or inspected by the engine, uses the guest's own network."""
    return container.object("HostConfig").text("NetworkMode") == "host"


class HostNetworkFeed:
    """Reports the listening sockets. Call `run` as a task; `set_wanted` and `set_up` may be called at any time.

    `changed` receives the complete set after each change: the current set when following starts, and an empty set when
    it is no longer wanted or the machine is down. While the connection to the guest is lost, the last set stays valid.
    With an image that lacks the program, the set is always empty.
    """

    def __init__(
        self,
        follow: Callable[[str], AbstractAsyncContextManager[CommandOutput]],
        changed: Callable[[frozenset[GuestListener]], None],
    ) -> None:
        """It is not wanted yet.

        Args:
            follow: starts a command in the guest, as `GuestLink.follow`; raises WherryError.
            changed: called on the loop with each new set; MUST be quick.
        """
        self._follow = follow
        self._changed = changed
        self._work = WhileWanted(self._keep_following, name="the ports of host networks", stopped=self._stopped)
        self.listeners: frozenset[GuestListener] = frozenset()
        """The set that was last reported."""

    def set_wanted(self, wanted: bool) -> None:
        """Set whether a running container uses the guest's own network (`uses_host_network`)."""
        self._work.set_wanted(wanted)

    def set_up(self, up: bool) -> None:
        """Set whether the machine runs and can be reached."""
        self._work.set_up(up)

    async def run(self) -> None:
        """Run until cancelled."""
        await self._work.run()

    def _stopped(self) -> None:
        self._tell(frozenset())

    def _tell(self, listeners: frozenset[GuestListener]) -> None:
        if listeners != self.listeners:
            self.listeners = listeners
            self._changed(listeners)

    async def _keep_following(self) -> None:
        """Follow the program, with retries, until cancelled."""
        failures = 0
        while True:
            try:
                async for listeners in self._sets():
                    failures = 0
                    self._tell(listeners)
                why = "it ended"
            except WherryError as error:
                why = str(error.problem.summary)
            except TimeoutError:
                why = f"it said nothing for {SILENCE_S:g} s"
            except ConnectionError as error:
                why = str(error) or "the connection ended"
            except _ProgramMissing:
                _log.warning("ports of containers with the host's network are not published: the image is too old")
                self._tell(frozenset())
                await asyncio.Event().wait()  # cancelled when the machine stops
            failures += 1
            _log.info("the guest's listeners are asked for again: %s", why)
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    async def _sets(self) -> AsyncIterator[frozenset[GuestListener]]:
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
                    raise _ProgramMissing


class _ProgramMissing(Exception):  # noqa: N818 -- a finding
    """The image lacks the program."""


class Parser:
    """Parses the program's output into sets. Invalid parts are skipped; the first is logged."""

    def __init__(self) -> None:
        self._rest = b""
        self._set: set[GuestListener] = set()
        self._odd = False

    def feed(self, untrusted_data: bytes) -> list[frozenset[GuestListener]]:
        """Parse more output. Returns the sets that it completes."""
        completed = []
        *lines, self._rest = (self._rest + untrusted_data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:  # the rest is parsed as an invalid line
            self._rest = self._rest[:_MAX_LINE_BYTES]
        for line in lines:
            if line == b"end":
                completed.append(frozenset(self._set))
                self._set = set()
            elif line != b"still":
                self._take(line)
        return completed

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
            listener = GuestListener(
                protocol=protocol, guest_ip=address_of(address), port=number, container_id=container_id
            )
            self._set.add(listener)
