"""The agent's name service: its port, its sources, and the guest's notification.

The port stays the same across agents, so that a running guest finds the next agent there. The guest is sent the port on
each connection, and again when the network or the settings change, upon which its forwarder clears its cache. While no
agent is connected the guest uses QEMU's resolver.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from backend.errors import WherryError
from backend.files import write_private
from backend.host import network
from backend.host.base import Host
from backend.net.dns import hosts
from backend.net.dns.resolver import Resolver, Sources, system_look_up
from backend.net.dns.server import Answers, DnsServer
from backend.net.dns.threads import LookupThreads
from backend.net.dns.upstream import SystemConfig, Upstream, system_config
from backend.paths import MachineDir
from backend.settings import config
from backend.settings import dns_servers as servers

_log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
"""How often the settings file is checked, in seconds; the network is checked every few times."""
_NETWORK_EVERY: Final = 3
_RETRY_EVERY: Final = 30
_THREADS_END_S: Final = 0.5


class NameService:
    """The name service of the agent. Call `start`, then `run`."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        *,
        tell_guest: Callable[[str], Awaitable[None]],
        gateway: Callable[[], str],
        ipv6: Callable[[], bool],
    ) -> None:
        """It does not listen yet.

        Args:
            host: this computer.
            directory: the machine's directory, which stores the port.
            tell_guest: sends a line to the guest, if connected. MUST NOT raise.
            gateway: gives the address of this computer as seen by containers.
            ipv6: whether containers can use IPv6.
        """
        self._host = host
        self._dir = directory
        self._tell_guest = tell_guest
        self._gateway = gateway
        self._ipv6 = ipv6
        self._threads = LookupThreads()
        # Not every system distinguishes a missing name from one without addresses.
        self._look_up = system_look_up(self._threads, tells_apart=host.name != "darwin")
        self._resolver = Resolver(Sources(self._look_up, Upstream(())))
        self._server = DnsServer(Answers(self._resolver.known, self._resolver.resolve))
        self._last_state: tuple[Any, ...] | None = None
        self._named: tuple[servers.Server, ...] = ()

    @property
    def greeting(self) -> str:
        """The line that tells the guest which resolver to use."""
        return f"resolver {self._server.port or 0}"

    async def start(self) -> None:
        """Listen and read the network's state. Without a port the guest keeps QEMU's resolver. Never raises."""
        try:
            await self._follow()
        except Exception:  # noqa: BLE001 -- logged; `run` looks again
            _log.exception("internal error while the network was checked")
        await self._listen()

    async def _listen(self) -> None:
        path = self._dir.resolver_port
        preferred = await asyncio.to_thread(_read_port, path)
        try:
            port = await self._server.start(preferred)
            if port != preferred:
                await asyncio.to_thread(write_private, path, f"{port}\n".encode())
        except OSError as error:
            _log.warning("names are left to QEMU's resolver: %s", error)
            return
        _log.info("names are resolved at 127.0.0.1:%d", port)

    async def run(self) -> None:
        """Watch the network and the settings until cancelled."""
        settings = network.file_fingerprint(self._dir.config)
        for tick in itertools.count(1):
            await asyncio.sleep(EVERY_S)
            try:
                now = network.file_fingerprint(self._dir.config)
                if self._server.port is None and tick % _RETRY_EVERY == 0:
                    await self._listen()
                    await self._tell_guest(self.greeting)
                elif now != settings or tick % _NETWORK_EVERY == 0:
                    settings = now
                    if await self._follow():
                        _log.info("the network or its settings changed: the DNS cache was cleared")
                        await self._tell_guest(self.greeting)
            except Exception:  # noqa: BLE001 -- logged; checked again later
                _log.exception("internal error while watching the network")

    async def aclose(self) -> None:
        """Stop listening. Lookups in progress end with the process."""
        await self._server.aclose()
        await self._resolver.aclose()
        if not await asyncio.to_thread(self._threads.close, within_s=_THREADS_END_S):
            _log.info("a DNS lookup has not ended")

    async def _follow(self) -> bool:
        """Check settings and network. Returns whether anything has changed."""
        current = (*await asyncio.to_thread(self._probe), self._gateway(), self._ipv6())
        if current == self._last_state:
            return False
        self._last_state = current
        named, system, _addresses, _mark, own_name, gateway, ipv6 = current
        own = servers.Server("127.0.0.1", self._server.port or 0)
        upstream = tuple(server for server in named or system.servers if server != own)
        self._resolver.use(
            Sources(
                system=self._look_up,
                upstream=Upstream(upstream),
                search=system.search,
                hosts=await asyncio.to_thread(hosts.load, self._host.hosts_file()),
                own_name=own_name,
                only_upstream=bool(named),
                gateway=gateway,
                ipv6=ipv6,
            )
        )
        return True

    def _probe(
        self,
    ) -> tuple[tuple[servers.Server, ...], SystemConfig, frozenset[tuple[str, str]], tuple[int, ...], bytes]:
        try:
            self._named = servers.parse(config.load(self._dir.config).network.dns)
        except WherryError as error:  # keep the last valid ones: commands that read the settings report the error
            _log.debug("the settings cannot be read: %s", error)
        own_name = hosts.own_name().encode("ascii", errors="ignore").lower()
        return (
            self._named,
            system_config(),
            network.addresses(),
            network.file_fingerprint(self._host.hosts_file()),
            own_name,
        )


def _read_port(path: Path) -> int | None:
    try:
        port = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if 1024 <= port < 65_536 else None
