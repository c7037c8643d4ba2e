"""HTTP(S) from one side, hop by hop: name, connection, proxy, TLS. Each hop that fails says which it is."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from backend import VERSION
from backend.doctor.network.http import RegistryResponse, connect_through, exchange, start_tls
from backend.doctor.network.proxy import Proxy, ProxyRules
from backend.doctor.network.sides import Side
from backend.doctor.network.tls import believing_all, explain, facts_of, trusting
from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.http_exchange import HttpHead
from backend.messages import message
from backend.stream import ByteStream

PROXY_S: Final = 15.0
TLS_S: Final = 15.0
ANSWER_S: Final = 30.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a URL leads."""

    scheme: str
    host: str
    port: int
    target: str = "/"

    @classmethod
    def of(cls, url: str) -> Place:
        """Raises Unreached."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Unreached(message("“{url}” isn't a valid URL.", url=clean_text(url, 100))) from error
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise Unreached(message("“{url}” isn't the URL of a registry.", url=clean_text(url, 100)))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(scheme=parts.scheme, host=parts.hostname, port=port or _DEFAULT_PORTS[parts.scheme], target=target)

    @property
    def authority(self) -> str:
        """As in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Web:
    """One side's way to the world, with its proxies and what it trusts."""

    def __init__(self, side: Side, rules: ProxyRules, trust_pem: str | None) -> None:
        """Make one.

        Args:
            side: from where.
            rules: which proxies it uses.
            trust_pem: whom it believes; None: whom this computer believes.
        """
        self.side = side
        self.rules = rules
        self._pem = trust_pem
        self.context: Callable[[], ssl.SSLContext] = self._make_context
        self._context: ssl.SSLContext | None = None

    def _make_context(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = trusting(self._pem)
            except (ssl.SSLError, ValueError) as error:
                why = getattr(error, "reason", None) or error
                raise Unreached(message("The trusted authorities can't be read: {why}.", why=why)) from error
        return self._context

    def proxy_for(self, place: Place) -> Proxy | None:
        """Raises Unreached."""
        try:
            return self.rules.choose(place.scheme, place.host, place.port)
        except ValueError as error:
            raise Unreached(
                message("The proxy from {source} is invalid: {error}.", source=self.rules.source, error=error),
                message("Use this form: http://proxy.example.com:3128"),
            ) from error

    async def tunnel(self, place: Place) -> ByteStream:
        """A stream to the place, or to its proxy if that is to be spoken to in plain HTTP. Raises Unreached."""
        proxy = self.proxy_for(place)
        if proxy is None:
            return await self.side.connect(place.host, place.port)
        if proxy.scheme not in ("http", "https"):
            raise Unreached(
                message("{scheme} proxies can't be tested here.", scheme=proxy.scheme),
                message("See the engine's result below."),
            )
        stream = await self.side.connect(proxy.host, proxy.port)
        try:
            if proxy.scheme == "https":
                stream = await self._secure_proxy(stream, proxy)
            if place.scheme == "https":
                await self._connect_through(stream, proxy, place)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def _secure_proxy(self, stream: ByteStream, proxy: Proxy) -> ByteStream:
        """What goes wrong here is the proxy's, not the registry's. Raises Unreached."""
        try:
            return await self._secure(stream, proxy.host)
        except ssl.SSLError as error:
            why = explain(error, None, host=proxy.host, believed_elsewhere=False)
            raise Unreached(
                message("TLS with the proxy {proxy} failed: {detail}", proxy=str(proxy), detail=why.detail), why.fix
            ) from error

    async def _connect_through(self, stream: ByteStream, proxy: Proxy, place: Place) -> None:
        name = f"[{place.host}]" if ":" in place.host else place.host
        authority = f"{name}:{place.port}"
        headers = {"Host": authority}
        if proxy.authorization:
            headers["Proxy-Authorization"] = proxy.authorization
        try:
            head = await connect_through(stream, authority, headers, timeout_s=PROXY_S)
        except TimeoutError as error:
            raise Unreached(
                message(
                    "The proxy {proxy} didn't respond within {proxy_s} s.", proxy=str(proxy), proxy_s=f"{PROXY_S:g}"
                )
            ) from error
        except ConnectionError as error:
            raise Unreached(
                message("The proxy {proxy} closed the connection: {error}.", proxy=str(proxy), error=error)
            ) from error
        check_proxy_answer(head, proxy, place)

    async def _secure(self, stream: ByteStream, host: str, *, check: bool = True) -> ByteStream:
        try:
            async with asyncio.timeout(TLS_S):
                return await start_tls(stream, self._make_context() if check else believing_all(), host)
        except TimeoutError as error:
            raise Unreached(
                message("{host} didn't complete the TLS handshake within {tls_s} s.", host=host, tls_s=f"{TLS_S:g}"),
                message("A firewall may allow the connection but block its data."),
            ) from error
        except ConnectionError as error:
            raise Unreached(
                message("{host} closed the connection during the TLS handshake: {error}.", host=host, error=error),
                message("A firewall may block this server by name. Ask your network administrator."),
            ) from error

    async def open(self, place: Place, *, check: bool = True) -> ByteStream:
        """A stream on which HTTP can be spoken with the place.

        Raises:
            Unreached: it could not be had.
            ssl.SSLError: TLS failed; `why_not_trusted` explains it.
        """
        stream = await self.tunnel(place)
        if place.scheme != "https":
            return stream
        try:
            return await self._secure(stream, place.host, check=check)
        except BaseException:
            await stream.aclose()
            raise

    async def why_not_trusted(self, place: Place, error: ssl.SSLError, *, believed_elsewhere: bool) -> Unreached:
        """Look at the certificate that was refused, and say why."""
        facts = None
        if isinstance(error, ssl.SSLCertVerificationError):
            with contextlib.suppress(Unreached, ssl.SSLError, ConnectionError):
                stream = await self.open(place, check=False)
                try:
                    facts = facts_of(getattr(stream, "ssl").getpeercert(True))  # noqa: B009 -- a ByteStream by type
                finally:
                    await stream.aclose()
        return explain(error, facts, host=place.host, believed_elsewhere=believed_elsewhere)

    async def ask(
        self, method: str, place: Place, headers: Mapping[str, str] | None = None, *, check: bool = True,
        body_bytes: int = 4_194_304,
    ) -> RegistryResponse:  # fmt: skip
        """One request and its answer, on a connection of its own. Raises Unreached."""
        async with self._opened(place, check) as stream:
            sent = {"Host": place.authority, "User-Agent": f"wherry/{VERSION}", "Accept": "*/*", **(headers or {})}
            target = place.target
            if place.scheme == "http" and (proxy := self.proxy_for(place)) is not None:
                target = f"http://{place.authority}{place.target}"
                if proxy.authorization:
                    sent["Proxy-Authorization"] = proxy.authorization
            try:
                answer = await exchange(stream, method, target, sent, timeout_s=ANSWER_S, body_bytes=body_bytes)
            except TimeoutError as error:
                raise Unreached(
                    message("{host} didn't respond within {answer_s} s.", host=place.host, answer_s=f"{ANSWER_S:g}")
                ) from error
            except ConnectionError as error:
                raise Unreached(
                    message("{host} closed the connection: {error}.", host=place.host, error=error)
                ) from error
            if answer.status == 407:
                raise _wants_credentials()
            return answer

    @contextlib.asynccontextmanager
    async def _opened(self, place: Place, check: bool) -> AsyncIterator[ByteStream]:
        try:
            stream = await self.open(place, check=check)
        except ssl.SSLError as error:
            raise await self.why_not_trusted(place, error, believed_elsewhere=False) from error
        try:
            yield stream
        finally:
            await stream.aclose()


def check_proxy_answer(head: HttpHead, proxy: Proxy, place: Place) -> None:
    """Raises Unreached where a proxy does not let us through."""
    if 200 <= head.status < 300:
        return
    if head.status == 407:
        raise _wants_credentials()
    said = clean_text(f"{head.status} {head.reason}", 100)
    if head.status in (403, 451):
        raise Unreached(
            message("The proxy {proxy} blocks {host} ({said}).", proxy=str(proxy), host=place.host, said=said),
            message("Ask the proxy's administrator to allow {host}.", host=place.host),
        )
    raise Unreached(
        message(
            "The proxy {proxy} can't reach {host}:{port} ({said}).",
            proxy=str(proxy),
            host=place.host,
            port=place.port,
            said=said,
        ),
        message(
            "Ask the proxy's administrator, or exclude {host} from the proxy: wherry config set network.no_proxy …",
            host=place.host,
        ),
    )


def _wants_credentials() -> Unreached:
    return Unreached(
        message("The proxy requires a user name and password (407)."),
        message(
            "Add them to the proxy's URL, with special characters as %XX: wherry config set network.proxy "
            "manual, wherry config set network.https_proxy http://USER:PASSWORD@PROXY:PORT, then wherry "
            "restart."
        ),
    )
