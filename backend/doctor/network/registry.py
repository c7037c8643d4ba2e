"""What a registry is asked in a pull: its API, a token, the manifest, the first bytes of a layer.

Docker Hub counts reading a manifest as a pull; asking only for its head does not count. So the layer is looked at only
where the limit leaves room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from backend.doctor.network.credentials import Credentials
from backend.doctor.network.http import RegistryResponse
from backend.doctor.network.reference import ImageReference
from backend.doctor.network.types import Unreached
from backend.doctor.network.web import Place, Web
from backend.engine.types import clean_text
from backend.json_reader import JsonObject, NotUnderstood

_MANIFESTS: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|([^\s,]+))')
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """How a registry wants to be proved who asks."""

    scheme: str
    """ "bearer", "basic" or "" for none."""
    realm: str = ""
    service: str = ""


def read_challenge(header: str) -> Challenge:
    """WWW-Authenticate of a registry. Raises Unreached for what cannot be answered."""
    scheme, _, rest = header.partition(" ")
    values = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
    if scheme.lower() == "bearer" and values.get("realm"):
        return Challenge(scheme="bearer", realm=values["realm"], service=values.get("service", ""))
    if scheme.lower() == "basic":
        return Challenge(scheme="basic")
    raise Unreached(
        f"the registry asks for credentials in a way that the engine does not know: {clean_text(header, 80)}"
    )


class Registry:
    """One registry, asked from one side."""

    def __init__(
        self, web: Web, place: Place, reference: ImageReference, credentials: Credentials, *, check: bool
    ) -> None:
        """Make one.

        Args:
            web: from where, and how.
            place: its root.
            reference: what is wanted of it.
            credentials: the user's for it; sent only where the certificate has been checked.
            check: whether its certificate is to be checked.
        """
        self._web = web
        self._place = place
        self._reference = reference
        self._check = check
        is_safe = check and place.scheme == "https"
        self._basic = credentials.basic if is_safe else ""
        self._authorization = ""
        self.is_anonymous = not self._basic

    async def ask_api(self) -> tuple[str, Challenge]:
        """What it says of itself. Raises Unreached."""
        answer = await self._ask("GET", "/v2/")
        version = answer.headers.get("docker-distribution-api-version", "")
        if answer.status == 200:
            return "answers, and asks for no credentials", Challenge(scheme="")
        if answer.status == 401:
            challenge = read_challenge(answer.headers.get("www-authenticate", ""))
            return "answers, and asks for a token" if challenge.scheme == "bearer" else (
                "answers, and asks for a user name and a password"
            ), challenge
        if answer.status in (301, 302, 303, 307, 308):
            raise Unreached(
                f"/v2/ is redirected to {clean_text(answer.headers.get('location', '?'), 100)}",
                "A login page of the network (hotel, café, company) may answer in its place: open a browser and log in."
                if not version
                else "",
            )
        if answer.status == 404:
            raise Unreached("what answers there is no registry (404 for /v2/)", "Check the registry's name and port.")
        raise _unexpected("the registry", answer)

    async def get_token(self, challenge: Challenge) -> str:
        """Log in as the engine does. Raises Unreached. Returns what was seen."""
        if challenge.scheme == "basic":
            if not self._basic:
                raise Unreached(
                    "the registry wants a user name and a password, and none are known here",
                    f"Log in: docker login {self._reference.domain}",
                    wants_login=True,
                )
            self._authorization = self._basic
            return "the user name and password of docker's config.json are sent"
        query = {"scope": f"repository:{self._reference.repository}:pull"}
        if challenge.service:
            query["service"] = challenge.service
        realm = Place.of(challenge.realm)
        mark = "&" if "?" in realm.target else "?"
        place = Place(
            scheme=realm.scheme, host=realm.host, port=realm.port, target=realm.target + mark + urlencode(query)
        )
        basic = self._basic if realm.scheme == "https" else ""
        try:
            answer = await self._web.ask("GET", place, {"Authorization": basic} if basic else {}, check=self._check)
        except Unreached as error:
            raise Unreached(
                f"the token server {place.host} is not reached: {error.detail}",
                error.fix or f"Have {place.host} allowed by the firewall or proxy, as the registry itself.",
            ) from error
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        if answer.status in (401, 403):
            who = "the credentials of docker's config.json" if basic else "a request without credentials"
            raise Unreached(
                f"{place.host} refuses {who} ({answer.status}{_said(answer)})",
                f"Log in again: docker login {'' if self._reference.is_hub else self._reference.domain}".rstrip(),
                wants_login=not basic,
            )
        token = _token(answer) if answer.status == 200 else ""
        if not token:
            raise _unexpected(f"the token server {place.host}", answer)
        self._authorization = f"Bearer {token}"
        return f"{place.host} gives a token " + (
            "for the user of docker's config.json" if basic else "without credentials"
        )

    async def find_manifest(self) -> tuple[str, str]:
        """Whether the image is there. Raises Unreached. Returns what was seen, and a warning or ""."""
        path = f"/v2/{self._reference.repository}/manifests/{self._reference.manifest}"
        answer = await self._ask("HEAD", path, {"Accept": _MANIFESTS})
        if answer.status == 405:
            answer = await self._ask("GET", path, {"Accept": _MANIFESTS})
        limit = read_limit(answer)
        if answer.status == 200:
            seen = "it is there" + (f", {limit.words}" if limit else "")
            self._may_pull = limit is None or limit.remaining > 0
            return seen, (_LIMIT_FIX if limit is not None and limit.remaining == 0 else "")
        name = str(self._reference)
        login = f"docker login {'' if self._reference.is_hub else self._reference.domain}".rstrip()
        if answer.status in (401, 403):
            denied = "forbidden" if answer.status == 403 else "not allowed"
            who = "for somebody who is not logged in" if self.is_anonymous else "for the user who is logged in"
            raise Unreached(
                f"reading {name} is {denied} {who} ({answer.status}{_said(answer)}), or there is no such image",
                f"Check the name. If it is private, log in: {login}",
                wants_login=self.is_anonymous,
            )
        if answer.status == 404:
            raise Unreached(
                f"the registry has no {name} (404{_said(answer)})", "Check the name and the tag: they may be misspelt."
            )
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        raise _unexpected("the registry", answer)

    _may_pull = True

    async def try_blob(self) -> str:
        """Read the beginning of a blob, wherever it is kept. Raises Unreached. Returns what was seen, or "" if none."""
        if not self._may_pull:
            return ""
        digest = await self._config_digest()
        answer = await self._ask("GET", f"/v2/{self._reference.repository}/blobs/{digest}", {"Range": "bytes=0-0"})
        if answer.status in (200, 206):
            return "the registry keeps the layers itself, and gives them"
        if answer.status not in (301, 302, 303, 307, 308):
            raise _unexpected("the registry, asked for a layer,", answer)
        url = answer.headers.get("location", "")
        place = Place.of(url if "://" in url else f"{self._place.scheme}://{self._place.authority}{url}")
        try:
            answer = await self._web.ask("GET", place, {"Range": "bytes=0-0"}, check=self._check, body_bytes=65_536)
        except Unreached as error:
            raise Unreached(
                f"the layers are kept at {place.host}, which is not reached: {error.detail}",
                error.fix
                or f"Have {place.host} allowed too: a firewall that allows only the registry lets no pull through.",
            ) from error
        if answer.status not in (200, 206):
            raise _unexpected(f"{place.host}, which keeps the layers,", answer)
        return f"the layers are kept at {place.host}, which gives them"

    async def _config_digest(self) -> str:
        """Of the image's smallest blob, by its manifest or by the first of those that it lists."""
        try:
            manifest = await self._manifest(self._reference.manifest)
            if inner := manifest.objects("manifests"):
                manifest = await self._manifest(_digest(inner[0]))
            return _digest(manifest.object("config"))
        except NotUnderstood as error:
            raise Unreached("the manifest that came is none that an engine can use") from error

    async def _manifest(self, name: str) -> JsonObject:
        path = f"/v2/{self._reference.repository}/manifests/{name}"
        answer = await self._ask("GET", path, {"Accept": _MANIFESTS})
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        if answer.status != 200:
            raise _unexpected("the registry", answer)
        return answer.content()

    async def _ask(self, method: str, target: str, headers: dict[str, str] | None = None) -> RegistryResponse:
        place = Place(scheme=self._place.scheme, host=self._place.host, port=self._place.port, target=target)
        sent = dict(headers or {})
        if self._authorization:
            sent["Authorization"] = self._authorization
        return await self._web.ask(method, place, sent, check=self._check)


def _token(answer: RegistryResponse) -> str:
    """What a token server gives; "" where its answer has none."""
    try:
        content = answer.content()
        return content.text("token") or content.text("access_token")
    except NotUnderstood:
        return ""


def _digest(descriptor: JsonObject) -> str:
    """Raises Unreached."""
    digest = descriptor.text("digest")
    if not _DIGEST.fullmatch(digest):
        raise Unreached("the manifest that came is none that an engine can use")
    return digest


_LIMIT_FIX: Final = "Log in to have more pulls (docker login), wait until the window is over, or use a mirror."


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Docker Hub's count of pulls."""

    remaining: int
    words: str
    """As in a sentence."""


def read_limit(answer: RegistryResponse) -> Limit | None:
    """ratelimit-limit and ratelimit-remaining, "100;w=21600"; None where the registry has none."""
    total = re.match(r"(\d{1,9})(?:;w=(\d{1,9}))?", answer.headers.get("ratelimit-limit", ""))
    left = re.match(r"(\d{1,9})", answer.headers.get("ratelimit-remaining", ""))
    if total is None or left is None:
        return None
    window = f" in {int(total[2]) // 3600} hours" if total[2] and int(total[2]) >= 3600 else ""
    return Limit(remaining=int(left[1]), words=f"{left[1]} of {total[1]} pulls{window} are left")


def _too_many(answer: RegistryResponse, reference: ImageReference) -> Unreached:
    limit = read_limit(answer)
    words = f" ({limit.words})" if limit is not None else ""
    whose = "Docker Hub" if reference.is_hub else "the registry"
    again = answer.headers.get("retry-after", "")
    later = f" Try again in {int(again)} s." if again.isdigit() and len(again) < 6 else ""
    return Unreached(f"{whose} allows no more pulls from this address for now (429){words}", _LIMIT_FIX + later)


def _unexpected(who: str, answer: RegistryResponse) -> Unreached:
    fix = "It has a fault of its own: try again later." if answer.status >= 500 else ""
    return Unreached(f"{who} answers {answer.status}{_said(answer)}", fix)


def _said(answer: RegistryResponse) -> str:
    """The registry's own words, after ": "."""
    said = answer.message()
    return f": {said}" if said else ""
