"""What the hops depend on: settings, proxies and trust of both sides, the way into the machine if there is one."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from backend.control.launch import agent_answers
from backend.doctor.network.http import RegistryResponse, exchange
from backend.doctor.network.proxy import ProxyRules
from backend.doctor.network.sides import MachineSide
from backend.doctor.network.types import Unreached
from backend.errors import WherryError
from backend.host.base import Host
from backend.host.proxies import SystemProxies
from backend.messages import Message, message
from backend.model import MachineStatus, Phase
from backend.net import proxies
from backend.paths import MachineDir
from backend.settings import config as settings
from backend.settings.config import Config
from backend.ssh.keys import ensure_keys
from backend.ssh.session import SshSession

_SSH_S: Final = 20.0
_ENGINE_S: Final = 60.0
_ENVIRONMENT: Final = "cat /sys/firmware/qemu_fw_cfg/by_name/opt/io.wherry/environment/raw 2>/dev/null || true"
_TRUST: Final = "cat /etc/ssl/certs/ca-certificates.crt; cat /etc/docker/certs.d/{}/*.crt 2>/dev/null; true"
"""Whom the engine believes, for one registry."""
_CLOCK: Final = "date +%s.%N"
_GATEWAY: Final = "ip route show default"


@dataclass(kw_only=True)
class Surroundings:
    """Found once."""

    host: Host
    directory: MachineDir
    config: Config = field(default_factory=Config)
    options: Mapping[str, object] = field(default_factory=dict)
    """The user's daemon.json."""
    trouble: Message | None = None
    """Why the settings could not be read."""
    host_rules: ProxyRules = field(default_factory=ProxyRules)
    notes: tuple[Message, ...] = ()
    """What of this computer's proxies cannot be used, in sentences."""
    machine: MachineSide | None = None
    absent: Message | None = None
    """Why there is no machine to try from."""
    machine_rules: ProxyRules = field(default_factory=ProxyRules)
    machine_pem: str = ""
    gateway: str = "host.docker.internal"
    """How the machine names this computer."""
    clock_ahead_s: float | None = None
    """How far the machine's clock is before ours."""

    def strings(self, option: str) -> list[str]:
        """An option of daemon.json that is a list of texts."""
        found = self.options.get(option)
        return [entry for entry in found if isinstance(entry, str)] if isinstance(found, list) else []

    async def ask_engine(self, target: str, headers: Mapping[str, str] | None = None) -> RegistryResponse:
        """One question to the engine at our endpoint. Raises Unreached."""
        try:
            async with asyncio.timeout(_ENGINE_S):
                stream = await self.host.connect(self.directory.docker_socket)
                try:
                    return await exchange(
                        stream, "GET", target, {"Host": "docker", **(headers or {})}, timeout_s=_ENGINE_S
                    )
                finally:
                    await stream.aclose()
        except TimeoutError as error:
            raise Unreached(
                message("The engine didn't respond within {engine_s} s.", engine_s=f"{_ENGINE_S:g}")
            ) from error
        except OSError as error:
            raise Unreached(message("The engine doesn't respond: {error}.", error=error)) from error


@contextlib.asynccontextmanager
async def look(host: Host, directory: MachineDir, domain: str) -> AsyncIterator[Surroundings]:
    """Find everything out; the way into the machine is open while the block lasts.

    Args:
        host: this computer.
        directory: of the machine.
        domain: of the registry, with its port.
    """
    found = Surroundings(host=host, directory=directory)
    try:
        found.config = await asyncio.to_thread(settings.load, directory.config)
        found.options = await asyncio.to_thread(settings.daemon_options, directory.daemon_json)
    except WherryError as error:
        found.trouble = error.problem.summary
    try:
        found.host_rules, found.notes = await asyncio.to_thread(_host_rules, found.config, host, found.options)
    except WherryError as error:
        found.trouble = found.trouble or error.problem.summary
    session: SshSession | None = None
    try:
        session = await _open_session(found)
        if session is not None:
            found.machine = MachineSide(session)
            await _ask_machine(found, found.machine, domain)
        yield found
    finally:
        if session is not None:
            await session.aclose()


def _host_rules(config: Config, host: Host, options: Mapping[str, object]) -> tuple[ProxyRules, tuple[Message, ...]]:
    """What the machine would be given, as this computer reaches it; and notes. Raises WherryError (BAD_REQUEST)."""
    network = config.network
    chosen = proxies.choose(network, host.system_proxies() if network.proxy == "system" else SystemProxies())
    return _rules(proxies.with_engine_options(chosen, options)), chosen.notes


def _rules(used: proxies.Proxies) -> ProxyRules:
    return ProxyRules(http=used.http, https=used.https, no_proxy=used.no_proxy, source=used.source)


async def _open_session(found: Surroundings) -> SshSession | None:
    status = await asyncio.to_thread(_status, found)
    if status is None or status.ssh_port is None:
        return None
    try:
        keys = await asyncio.to_thread(ensure_keys, found.directory.keys)
        return await SshSession.connect(
            "127.0.0.1",
            status.ssh_port,
            username="root",
            key_path=keys.client.private_path,
            host_key_public=keys.host.public_line,
            timeout_s=_SSH_S,
        )
    except WherryError as error:
        found.absent = message(
            "The machine is running, but the connection to it failed: {summary}", summary=error.problem.summary
        )
        return None


def _status(found: Surroundings) -> MachineStatus | None:
    """The machine's state, if it can be tried from; an agent is not started for it."""
    from backend.control.client import MachineClient

    found.absent = message("The machine isn't running. Start it to check its network: wherry start")
    if not agent_answers(found.host, found.directory):
        return None
    try:
        with MachineClient(str(found.directory.agent_socket)) as client:
            status = client.status
    except WherryError as error:
        found.absent = message("The agent doesn't report the machine's state: {summary}", summary=error.problem.summary)
        return None
    if status.phase not in (Phase.RUNNING, Phase.DEGRADED):
        return None
    found.absent = None
    return status


async def _ask_machine(found: Surroundings, machine: MachineSide, domain: str) -> None:
    environment = await machine.read(_ENVIRONMENT) or ""
    pairs = (line.partition("=") for line in environment.splitlines() if "=" in line)
    given = {name: value for name, _, value in pairs}
    no_proxy, _ = proxies.bypass_entries([given.get("NO_PROXY", "")])
    used = proxies.Proxies(
        http=given.get("HTTP_PROXY", ""),
        https=given.get("HTTPS_PROXY", ""),
        no_proxy=no_proxy,
        source="what the machine was started with",
    )
    found.machine_rules = _rules(proxies.with_engine_options(used, found.options))
    found.machine_pem = await machine.read(_TRUST.format(shlex.quote(domain))) or ""
    words = (await machine.read(_GATEWAY) or "").split()
    if "via" in words[:-1]:
        found.gateway = words[words.index("via") + 1]
    before = time.time()
    try:
        theirs = float(await machine.read(_CLOCK) or "")
    except ValueError:
        return
    found.clock_ahead_s = theirs - (before + time.time()) / 2
