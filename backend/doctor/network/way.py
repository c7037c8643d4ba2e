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
from backend.doctor.network.types import NetworkDiagnosis, NetworkHop, Unreached
from backend.doctor.network.web import Place, Web
from backend.engine.types import clean_text
from backend.host.base import Host
from backend.messages import Message, message, sentences, verbatim
from backend.model import HopState
from backend.net.engine_options import loopback_range
from backend.paths import MachineDir

_CLOCK_OFF_S: Final = 60.0
_MOST_MIRRORS: Final = 3
_OK, _FAILED, _WARNING, _SKIPPED = HopState.OK, HopState.FAILED, HopState.WARNING, HopState.SKIPPED
_FIREWALL: Final = message(
    "A firewall or VPN on this computer may block QEMU. Allow QEMU there, then restart the machine: wherry restart"
)
_REGISTRY_HOPS: Final = (
    ("api", message("Registry API")),
    ("token", message("Login")),
    ("manifest", message("Image")),
    ("blob", message("Layers")),
)
_HERE: Final = {
    "dns": message("DNS, from this computer"),
    "connect": message("Connection, from this computer"),
    "tls": message("TLS, from this computer"),
}
_THERE: Final = {
    "dns": message("DNS, from the machine"),
    "connect": message("Connection, from the machine"),
    "tls": message("TLS, from the machine"),
}


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
    detail: Message
    fix: Message | None = None


_Work = Callable[[_Reach], Awaitable[Message]]


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
            self._add("reference", message("Image name"), _FAILED, error.detail, error.fix)
            return self._conclude(clean_text(self._image, 200))
        self._add(
            "reference",
            message("Image name"),
            _OK,
            message("{wanted}, from {api_domain}.", wanted=str(wanted), api_domain=wanted.api_domain),
        )
        async with surroundings.look(self._host, self._dir, wanted.api_domain) as around:
            await _Walk(wanted, around, self._add).walk()
        return self._conclude(str(wanted))

    def _add(self, hop: str, title: Message, state: HopState, detail: Message, fix: Message | None = None) -> None:
        made = NetworkHop(id=hop, title=title, state=state, detail=detail, fix=fix)
        self._hops.append(made)
        self._on_hop(made)

    def _conclude(self, image: str) -> NetworkDiagnosis:
        failed = next((hop for hop in self._hops if hop.state is _FAILED), None)
        if failed is not None:
            found = message("{step}: {result}", step=failed.title, result=failed.detail)
            verdict = sentences(found, failed.fix)
        elif any(hop.id == "engine" and hop.state is _OK for hop in self._hops):
            verdict = message("{image} can be pulled: every step works.", image=image)
        else:
            skipped = [hop.detail for hop in self._hops if hop.id == "machine" and hop.state is _SKIPPED]
            verdict = sentences(message("No problem was found that prevents pulling {image}.", image=image), *skipped)
        return NetworkDiagnosis(image=image, hops=tuple(self._hops), verdict=verdict)


class _Walk:
    """The hops of an image whose name is understood."""

    def __init__(
        self,
        wanted: ImageReference,
        around: Surroundings,
        tell: Callable[[str, Message, HopState, Message, Message | None], None],
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
        await self._try_both("dns", self._resolve, here, there)
        if check and (there is not None or wanted.host not in names):  # ranges take addresses
            addresses = list((there or here).addresses)
            for reach in filter(None, (here, there)):
                reach.check = not is_insecure(wanted.domain, addresses, insecure)
        await self._try_both("connect", self._connect, here, there)
        await self._try_both("tls", self._secure, here, there)
        best = there or here
        if best.failed:
            for hop, title in _REGISTRY_HOPS:
                self._add(hop, title, _SKIPPED, message("The registry isn't reachable."))
        else:
            await self._ask_registry(best)
        await self._ask_engine()

    # -- what is around ---------------------------------------------------------------------------------------------
    def _tell_surroundings(self, *, check: bool) -> None:
        wanted, around = self._wanted, self._around
        settings = message("Settings")
        if around.trouble is not None:
            self._add("settings", settings, _WARNING, around.trouble, message("Fix the settings, then check again."))
        elif not check:
            allowed = message(
                "{domain} is allowed as an insecure registry, without TLS or a trusted certificate.",
                domain=wanted.domain,
            )
            self._add("settings", settings, _OK, allowed)
        machine = message("Machine")
        if around.machine is None:
            self._add("machine", machine, _SKIPPED, around.absent or _STOPPED)
            return
        ahead = around.clock_ahead_s
        if ahead is not None and abs(ahead) > _CLOCK_OFF_S:
            seconds = f"{abs(ahead):.0f}"
            detail = (
                message("The machine's clock is {seconds} s ahead of this computer's.", seconds=seconds)
                if ahead > 0
                else message("The machine's clock is {seconds} s behind this computer's.", seconds=seconds)
            )
            fix = message("Certificates look invalid with a wrong clock. Restart the machine: wherry restart")
            self._add("machine", machine, _WARNING, detail, fix)
        else:
            self._add("machine", machine, _OK, message("Running, and its clock is correct."))

    def _tell_proxy(self, here: _Reach, there: _Reach | None) -> None:
        reach = there or here
        title, notes = message("Proxy"), self._around.notes
        try:
            proxy = reach.web.proxy_for(reach.place)
        except Unreached as error:
            self._add("proxy", title, _FAILED, error.detail, error.fix)
            return
        rules = reach.web.rules
        if proxy is not None:
            used = message("{proxies}, from {source}.", proxies=str(proxy), source=rules.source)
            self._add("proxy", title, _OK, sentences(used, *notes))
        else:
            none = message("No proxy is used for this registry.") if rules.https else message("No proxy is used.")
            self._add("proxy", title, _WARNING if notes else _OK, sentences(none, *notes))

    async def _try_mirrors(self, web: Web, insecure: list[str]) -> None:
        for url in self._around.strings("registry-mirrors")[:_MOST_MIRRORS]:
            try:
                place = Place.of(f"{url.rstrip('/')}/v2/")
                answer = await web.ask("GET", place, check=not is_insecure(place.authority, [], insecure))
                if answer.status not in (200, 401):
                    raise Unreached(message("The server responded with {status}.", status=answer.status))
            except Unreached as error:
                fix = error.fix or message(
                    "Every pull waits for this mirror. Remove it from daemon.json, or have it fixed."
                )
                self._add(
                    "mirror",
                    message("Mirror"),
                    _WARNING,
                    message("{step}: {result}", step=clean_text(url, 100), result=error.detail),
                    fix,
                )
            else:
                self._has_mirror = True
                self._add(
                    "mirror",
                    message("Mirror"),
                    _OK,
                    message("{authority} responds. The engine tries it first.", authority=place.authority),
                )

    # -- the way to the registry, from both sides -------------------------------------------------------------------
    async def _try_both(self, hop: str, work: _Work, here: _Reach, there: _Reach | None) -> None:
        """Emit the two hops. What only this computer does not reach stops no pull, where there is a machine."""
        if hop == "tls":  # what one believes tells about the other
            first = await _try(work, here)
            if there is not None:
                there.believed_elsewhere = first is not None and first.ok and here.check
            second = await _try(work, there)
        else:
            first, second = await asyncio.gather(_try(work, here), _try(work, there))
        names = (_HERE[hop], _THERE[hop])
        if first is None:
            self._add(f"{hop}-host", names[0], _SKIPPED, message("A previous step failed."))
        else:
            matters = there is None or (second is not None and not second.ok)
            state = _OK if first.ok else _FAILED if matters else _WARNING
            fix = None if first.ok else first.fix or _HOST_FIXES[hop]
            self._add(f"{hop}-host", names[0], state, first.detail, fix)
        if there is None:
            self._add(f"{hop}-machine", names[1], _SKIPPED, message("The machine isn't running."))
        elif second is None:
            self._add(f"{hop}-machine", names[1], _SKIPPED, message("A previous step failed."))
        elif second.ok:
            self._add(f"{hop}-machine", names[1], _OK, second.detail)
        else:
            only_there = first is not None and first.ok
            fix = second.fix
            if self._wanted.is_loopback:
                fix = _other_name(self._wanted)
            elif only_there and not fix:
                fix = _DNS_FIX if hop == "dns" else _FIREWALL
            told = (
                message("{detail} This computer can reach it, but the machine can't.", detail=second.detail)
                if only_there
                else second.detail
            )
            self._add(f"{hop}-machine", names[1], _FAILED, told, fix)

    async def _resolve(self, reach: _Reach) -> Message:
        proxy = reach.web.proxy_for(reach.place)
        name = proxy.host if proxy is not None else reach.place.host
        addresses = await reach.web.side.resolve(name)
        if proxy is None:
            reach.addresses = tuple(addresses)
        if addresses == [name]:
            return message("{name} is an address.", name=name)
        shown = (*addresses[:3], *(["…"] if len(addresses) > 3 else []))
        return message("{name}: {addresses}", name=name, addresses=shown)

    async def _connect(self, reach: _Reach) -> Message:
        proxy = reach.web.proxy_for(reach.place)
        stream = await reach.web.tunnel(reach.place)
        await stream.aclose()
        address = f"{reach.place.host}:{reach.place.port}"
        if proxy is None:
            return message("Connected to {address}.", address=address)
        return message("Connected to {address} through the proxy {proxy}.", address=address, proxy=str(proxy))

    async def _secure(self, reach: _Reach) -> Message:
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
            return (
                message("The certificate is trusted.")
                if reach.check
                else message("Uses TLS. The certificate isn't checked.")
            )
        # What is listed as insecure may speak plain HTTP, as the engine tries then.
        port = reach.place.port if reach.place.port != 443 else 80
        plain = Place(scheme="http", host=reach.place.host, port=port)
        stream = await reach.web.tunnel(plain)
        await stream.aclose()
        reach.place = plain
        return message("Uses plain HTTP, which is allowed for this registry.")

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
                self._add(*left[0], _SKIPPED, message("Not required."))
            left.pop(0)
            seen, fix = await registry.find_manifest()
            self._add(*left.pop(0), _FAILED if fix else _OK, seen, fix)
            told = await registry.try_blob()
            self._add(
                *left.pop(0),
                _OK if told else _SKIPPED,
                told or message("Skipped, because it would count as a pull and the limit is reached."),
            )
        except Unreached as error:
            hop, title = left.pop(0)
            if error.wants_login and known.helper:
                detail = message(
                    "{detail} The credentials stored by {helper} were not tried.",
                    detail=error.detail,
                    helper=known.helper,
                )
                self._add(hop, title, _WARNING, detail, error.fix)
            else:
                trouble = known.trouble if error.wants_login else None
                self._add(hop, title, _FAILED, sentences(error.detail, trouble), error.fix)
            for hop, title in left:
                self._add(hop, title, _SKIPPED, message("A previous step failed."))

    async def _ask_engine(self) -> None:
        wanted, around = self._wanted, self._around
        hop, title = "engine", message("Engine's result")
        if around.machine is None:
            self._add(hop, title, _SKIPPED, message("The machine isn't running."))
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
            self._add(hop, title, _FAILED, error.detail, message("Restart the engine: wherry restart --engine"))
            return
        if answer.status == 200:
            self._add(hop, title, _OK, message("The engine finds the image."))
            return
        words = answer.message()
        said = verbatim(words) if words else message("The engine responded with {status}.", status=answer.status)
        state = _WARNING if known.helper and answer.status in (401, 403) else _FAILED
        self._add(hop, title, state, said, message("See the steps above for the cause.") if self._has_failed else None)

    def _add(self, hop: str, title: Message, state: HopState, detail: Message, fix: Message | None = None) -> None:
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


_STOPPED: Final = message("The machine isn't running.")
_DNS_FIX: Final = message(
    "Set a DNS server that the machine can reach: wherry config set network.dns ADDRESS. After a "
    "change of network or VPN, a restart may be enough: wherry restart"
)


_HOST_FIXES: Final = {
    "dns": message("Check the registry's name, and whether this computer is online or needs a VPN."),
    "connect": message(
        "The registry may be off or use another port, or a firewall may block it. If your network "
        "requires a proxy, set it: wherry config set network.proxy manual, and network.https_proxy."
    ),
    "tls": message("A firewall or security software may block the connection. Ask your network administrator."),
}


def _other_name(wanted: ImageReference) -> Message:
    name = f"host.docker.internal:{wanted.port}" if wanted.port else "host.docker.internal"
    return message(
        "For the engine, {host} is the machine, not this computer. Use {name} instead, for example "
        "{name}/{repository}.",
        host=wanted.host,
        name=name,
        repository=wanted.repository,
    )
