"""The hops of a pull, in their order."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from backend.doctor.network import credentials, surroundings
from backend.doctor.network.reference import ImageReference, is_insecure, parse_reference
from backend.doctor.network.registry import Registry
from backend.doctor.network.sides import HostSide
from backend.doctor.network.surroundings import Surroundings
from backend.doctor.network.types import HopState, NetworkDiagnosis, NetworkHop, Unreached
from backend.doctor.network.web import Place, Web
from backend.engine.types import clean_text
from backend.host.base import Host
from backend.net.engine_options import loopback_range
from backend.paths import MachineDir

_CLOCK_OFF_S: Final = 60.0
_MOST_MIRRORS: Final = 3
_OK, _FAILED, _WARNING, _SKIPPED = HopState.OK, HopState.FAILED, HopState.WARNING, HopState.SKIPPED
_FIREWALL: Final = (
    "A firewall or VPN of this computer may forbid it to QEMU: allow QEMU there. Then restart the machine, which makes "
    "its network anew: wherry restart"
)
_REGISTRY_HOPS: Final = (
    ("api", "Registry's API"),
    ("token", "Log-in"),
    ("manifest", "Image"),
    ("blob", "Layers"),
)


@dataclass(slots=True)
class _Reach:
    """One side on its way to the registry."""

    web: Web
    place: Place
    check: bool
    """Whether the certificate is to be checked."""
    failed: bool = False
    believed_elsewhere: bool = False
    """Whether this computer believes the registry's certificate."""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What one side found at one hop."""

    ok: bool
    detail: str
    fix: str = ""


_Work = Callable[[_Reach], Awaitable[str]]


class Way:
    """One walk along the hops."""

    def __init__(self, host: Host, directory: MachineDir, image: str, on_hop: Callable[[NetworkHop], object]) -> None:
        """Make one.

        Args:
            host: this computer.
            directory: of the machine.
            image: as after `docker pull`.
            on_hop: told of each hop.
        """
        self._host = host
        self._dir = directory
        self._image = image
        self._on_hop = on_hop
        self._hops: list[NetworkHop] = []

    async def walk(self) -> NetworkDiagnosis:
        """Go as far as it goes."""
        try:
            wanted = parse_reference(self._image)
        except Unreached as error:
            self._add("reference", "Image's name", _FAILED, error.detail, error.fix)
            return self._conclude(clean_text(self._image, 200))
        self._add("reference", "Image's name", _OK, f"{wanted}, asked of {wanted.api_domain}")
        async with surroundings.look(self._host, self._dir, wanted.api_domain) as around:
            await _Walk(wanted, around, self._add).walk()
        return self._conclude(str(wanted))

    def _add(self, hop: str, title: str, state: HopState, detail: str, fix: str = "") -> None:
        made = NetworkHop(id=hop, title=title, state=state, detail=detail.rstrip("."), fix=fix)
        self._hops.append(made)
        self._on_hop(made)

    def _conclude(self, image: str) -> NetworkDiagnosis:
        failed = next((hop for hop in self._hops if hop.state is _FAILED), None)
        if failed is not None:
            verdict = f"{failed.title}: {failed.detail}. {failed.fix}".strip()
        elif any(hop.id == "engine" and hop.state is _OK for hop in self._hops):
            verdict = f"{image} can be pulled: every hop to it works."
        else:
            verdict = f"Nothing was found that keeps {image} from being pulled."
            verdict += "".join(
                f" {hop.detail[:1].upper()}{hop.detail[1:]}."
                for hop in self._hops
                if hop.id == "machine" and hop.state is _SKIPPED
            )
        return NetworkDiagnosis(image=image, hops=tuple(self._hops), verdict=verdict)


class _Walk:
    """The hops of an image whose name is understood."""

    def __init__(
        self, wanted: ImageReference, around: Surroundings, tell: Callable[[str, str, HopState, str, str], None]
    ) -> None:
        self._wanted = wanted
        self._around = around
        self._tell = tell
        self._has_mirror = False
        self._has_failed = False

    async def walk(self) -> None:
        """Go as far as it goes."""
        wanted, around = self._wanted, self._around
        insecure = [*around.strings("insecure-registries"), loopback_range(around.gateway)]
        check = not is_insecure(wanted.domain, [], insecure)
        place = Place(scheme="https", host=wanted.host, port=wanted.port or 443)
        names = ("host.docker.internal", "gateway.docker.internal", around.gateway)
        here = _Reach(Web(HostSide(names), around.host_rules, None), place, check)
        there = None
        if around.machine is not None:
            there = _Reach(Web(around.machine, around.machine_rules, around.machine_pem), place, check)
        self._tell_surroundings(check=check)
        self._tell_proxy(here, there)
        if wanted.is_hub:
            await self._try_mirrors((there or here).web, insecure)
        await self._try_both("dns", "Name", self._resolve, here, there)
        if check and (there is not None or wanted.host not in names):  # ranges take addresses
            addresses = list((there or here).addresses)
            for reach in filter(None, (here, there)):
                reach.check = not is_insecure(wanted.domain, addresses, insecure)
        await self._try_both("connect", "Connection", self._connect, here, there)
        await self._try_both("tls", "TLS", self._secure, here, there)
        best = there or here
        if best.failed:
            for hop, title in _REGISTRY_HOPS:
                self._add(hop, title, _SKIPPED, "the registry is not reached")
        else:
            await self._ask_registry(best)
        await self._ask_engine()

    # -- what is around ---------------------------------------------------------------------------------------------
    def _tell_surroundings(self, *, check: bool) -> None:
        wanted, around = self._wanted, self._around
        if around.trouble:
            self._add("settings", "Settings", _WARNING, around.trouble, "Mend the settings, then look again.")
        elif not check:
            self._add(
                "settings", "Settings", _OK, f"{wanted.domain} may be spoken to without TLS or a good certificate"
            )
        if around.machine is None:
            self._add("machine", "Machine", _SKIPPED, around.absent)
            return
        ahead = around.clock_ahead_s
        if ahead is not None and abs(ahead) > _CLOCK_OFF_S:
            way = "ahead of" if ahead > 0 else "behind"
            detail = f"it runs, and its clock is {abs(ahead):.0f} s {way} this computer's"
            self._add("machine", "Machine", _WARNING, detail, "Certificates seem out of date so: wherry restart")
        else:
            self._add("machine", "Machine", _OK, "it runs, and its clock is right")

    def _tell_proxy(self, here: _Reach, there: _Reach | None) -> None:
        reach = there or here
        notes = "".join(f". {note.rstrip('.')}" for note in self._around.notes)
        try:
            proxy = reach.web.proxy_for(reach.place)
        except Unreached as error:
            self._add("proxy", "Proxy", _FAILED, error.detail, error.fix)
            return
        if proxy is None:
            rules = reach.web.rules
            excluded = " for this registry" if rules.https else ""
            self._add("proxy", "Proxy", _WARNING if notes else _OK, f"none is used{excluded}{notes}")
        else:
            self._add("proxy", "Proxy", _OK, f"{proxy}, of {reach.web.rules.source}{notes}")

    async def _try_mirrors(self, web: Web, insecure: list[str]) -> None:
        for url in self._around.strings("registry-mirrors")[:_MOST_MIRRORS]:
            try:
                place = Place.of(f"{url.rstrip('/')}/v2/")
                answer = await web.ask("GET", place, check=not is_insecure(place.authority, [], insecure))
                if answer.status not in (200, 401):
                    raise Unreached(f"it answers {answer.status}")
            except Unreached as error:
                fix = error.fix or "Each pull waits for it in vain: take it out of daemon.json, or have it mended."
                self._add("mirror", "Mirror", _WARNING, f"{clean_text(url, 100)}: {error.detail}", fix)
            else:
                self._has_mirror = True
                self._add("mirror", "Mirror", _OK, f"{place.authority} answers; the engine asks it first")

    # -- the way to the registry, from both sides -------------------------------------------------------------------
    async def _try_both(self, hop: str, title: str, work: _Work, here: _Reach, there: _Reach | None) -> None:
        """Emit the two hops. What only this computer does not reach stops no pull, where there is a machine."""
        if hop == "tls":  # what one believes tells about the other
            first = await _try(work, here)
            if there is not None:
                there.believed_elsewhere = first is not None and first.ok and here.check
            second = await _try(work, there)
        else:
            first, second = await asyncio.gather(_try(work, here), _try(work, there))
        names = (f"{title}, {here.web.side.title}", f"{title}, from the machine")
        if first is None:
            self._add(f"{hop}-host", names[0], _SKIPPED, "the hop before it failed")
        else:
            matters = there is None or (second is not None and not second.ok)
            state = _OK if first.ok else _FAILED if matters else _WARNING
            fix = "" if first.ok else first.fix or _HOST_FIXES[hop]
            self._add(f"{hop}-host", names[0], state, first.detail, fix)
        if there is None:
            self._add(f"{hop}-machine", names[1], _SKIPPED, "there is none that runs")
        elif second is None:
            self._add(f"{hop}-machine", names[1], _SKIPPED, "the hop before it failed")
        elif second.ok:
            self._add(f"{hop}-machine", names[1], _OK, second.detail)
        else:
            only_there = first is not None and first.ok
            fix = second.fix
            if self._wanted.is_loopback:
                fix = _other_name(self._wanted)
            elif only_there and not fix:
                fix = _DNS_FIX if hop == "dns" else _FIREWALL
            told = f"{second.detail}; this computer reaches it, the machine does not" if only_there else second.detail
            self._add(f"{hop}-machine", names[1], _FAILED, told, fix)

    async def _resolve(self, reach: _Reach) -> str:
        proxy = reach.web.proxy_for(reach.place)
        name = proxy.host if proxy is not None else reach.place.host
        addresses = await reach.web.side.resolve(name)
        if proxy is None:
            reach.addresses = tuple(addresses)
        if addresses == [name]:
            return f"{name} is an address itself"
        more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
        return f"{name} is {', '.join(addresses[:3])}{more}"

    async def _connect(self, reach: _Reach) -> str:
        proxy = reach.web.proxy_for(reach.place)
        stream = await reach.web.tunnel(reach.place)
        await stream.aclose()
        by = f" through the proxy {proxy}" if proxy is not None else ""
        return f"{reach.place.host}:{reach.place.port} is reached{by}"

    async def _secure(self, reach: _Reach) -> str:
        try:
            stream = await reach.web.open(reach.place, check=reach.check)
        except ssl.SSLError as error:
            if reach.check:
                believed = reach.believed_elsewhere
                raise await reach.web.why_not_trusted(reach.place, error, believed_elsewhere=believed) from error
        except Unreached:
            if reach.check:
                raise
        else:
            await stream.aclose()
            return "the certificate is good" if reach.check else "TLS is spoken, and the certificate is not checked"
        # What is listed as insecure may speak plain HTTP, as the engine tries then.
        port = reach.place.port if reach.place.port != 443 else 80
        plain = Place(scheme="http", host=reach.place.host, port=port)
        stream = await reach.web.tunnel(plain)
        await stream.aclose()
        reach.place = plain
        return "plain HTTP is spoken, which is allowed for this registry"

    # -- the registry -----------------------------------------------------------------------------------------------
    async def _ask_registry(self, reach: _Reach) -> None:
        wanted = self._wanted
        path = credentials.config_path()
        known = await asyncio.to_thread(credentials.find, wanted.domain, is_hub=wanted.is_hub, path=path)
        registry = Registry(reach.web, reach.place, wanted, known, check=reach.check)
        left = list(_REGISTRY_HOPS)
        try:
            said, challenge = await registry.ask_api()
            self._add(*left.pop(0), _OK, said)
            if challenge.scheme:
                self._add(*left[0], _OK, await registry.get_token(challenge))
            else:
                self._add(*left[0], _SKIPPED, "none is asked for")
            left.pop(0)
            seen, fix = await registry.find_manifest()
            self._add(*left.pop(0), _FAILED if fix else _OK, seen, fix)
            told = await registry.try_blob()
            self._add(*left.pop(0), _OK if told else _SKIPPED, told or "looking would take a pull, and none is left")
        except Unreached as error:
            hop, title = left.pop(0)
            if error.wants_login and known.helper:
                detail = f"{error.detail}; docker sends the credentials that {known.helper} keeps, which was not run"
                self._add(hop, title, _WARNING, detail, error.fix)
            else:
                trouble = f" ({known.trouble})" if error.wants_login and known.trouble else ""
                self._add(hop, title, _FAILED, error.detail + trouble, error.fix)
            for hop, title in left:
                self._add(hop, title, _SKIPPED, "the hop before it failed")

    async def _ask_engine(self) -> None:
        wanted, around = self._wanted, self._around
        hop, title = "engine", "What the engine says"
        if around.machine is None:
            self._add(hop, title, _SKIPPED, "it does not run")
            return
        known = await asyncio.to_thread(
            credentials.find, wanted.domain, is_hub=wanted.is_hub, path=credentials.config_path()
        )
        auth = known.registry_auth(wanted.domain)
        try:
            answer = await around.ask_engine(
                f"/distribution/{wanted}/json", {"X-Registry-Auth": auth} if auth else None
            )
        except Unreached as error:
            self._add(hop, title, _FAILED, error.detail, "Start it anew: wherry restart --engine")
            return
        if answer.status == 200:
            self._add(hop, title, _OK, "it finds the image")
            return
        said = answer.message() or f"it answers {answer.status}"
        state = _WARNING if known.helper and answer.status in (401, 403) else _FAILED
        self._add(hop, title, state, said, "The hops above tell why." if self._has_failed else "")

    def _add(self, hop: str, title: str, state: HopState, detail: str, fix: str = "") -> None:
        if state is _FAILED and self._has_mirror and hop != "engine":
            state = _WARNING  # the mirror gives the image
        self._has_failed = self._has_failed or state is _FAILED
        self._tell(hop, title, state, detail, fix)


async def _try(work: _Work, reach: _Reach | None) -> _Found | None:
    """None: there is nobody to try, or it has failed before."""
    if reach is None or reach.failed:
        return None
    try:
        return _Found(True, await work(reach))
    except Unreached as error:
        reach.failed = True
        return _Found(False, error.detail, error.fix)


_DNS_FIX: Final = (
    "Name a DNS server that the machine reaches: wherry config set network.dns ADDRESS. After a change of network or "
    "VPN a restart may be enough: wherry restart"
)


_HOST_FIXES: Final = {
    "dns": "Check how the registry's name is written, and whether this computer is online or needs its VPN for it.",
    "connect": "The registry may be off or listen at another port, or a firewall is in the way. Where the world is "
    "only reached through a proxy, name it: wherry config set network.proxy manual, and network.https_proxy.",
    "tls": "A firewall, or a program that looks into connections, may be in the way: ask who runs your network.",
}


def _other_name(wanted: ImageReference) -> str:
    name = f"host.docker.internal:{wanted.port}" if wanted.port else "host.docker.internal"
    return (
        f"For the engine, {wanted.host} is the machine and not this computer. Name a registry of this computer {name}, "
        f"as in {name}/{wanted.repository}."
    )
