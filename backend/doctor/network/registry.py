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
from backend.messages import Message, message, sentences

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
        message("The registry requires an unsupported type of authentication: {header}", header=clean_text(header, 80))
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

    async def ask_api(self) -> tuple[Message, Challenge]:
        """What it says of itself. Raises Unreached."""
        answer = await self._ask("GET", "/v2/")
        version = answer.headers.get("docker-distribution-api-version", "")
        if answer.status == 200:
            return message("Responds, and requires no login."), Challenge(scheme="")
        if answer.status == 401:
            challenge = read_challenge(answer.headers.get("www-authenticate", ""))
            if challenge.scheme == "bearer":
                return message("Responds, and requires a token."), challenge
            return message("Responds, and requires a user name and password."), challenge
        if answer.status in (301, 302, 303, 307, 308):
            page = message(
                "A login page of your network (hotel, café, company) may be in the way. Open a browser and log in."
            )
            place = clean_text(answer.headers.get("location", "?"), 100)
            raise Unreached(message("/v2/ is redirected to {value}.", value=place), None if version else page)
        if answer.status == 404:
            raise Unreached(
                message("The server isn't a registry (404 for /v2/)."), message("Check the registry's name and port.")
            )
        raise self._unexpected(answer)

    async def get_token(self, challenge: Challenge) -> Message:
        """Log in as the engine does. Raises Unreached. Returns what was seen."""
        if challenge.scheme == "basic":
            if not self._basic:
                raise Unreached(
                    message("The registry requires a user name and password, and none are stored here."),
                    message("Log in: docker login {domain}", domain=self._reference.domain),
                    wants_login=True,
                )
            self._authorization = self._basic
            return message("Uses the user name and password in docker's config.json.")
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
                message("The token server {host} isn't reachable: {detail}", host=place.host, detail=error.detail),
                error.fix
                or message("Allow {host} in the firewall or proxy, in addition to the registry.", host=place.host),
            ) from error
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        if answer.status in (401, 403):
            said = _said(answer)
            refused = (
                message(
                    "{host} rejected the credentials in docker's config.json ({answer}).", host=place.host, answer=said
                )
                if basic
                else message("{host} rejected a request without credentials ({answer}).", host=place.host, answer=said)
            )
            raise Unreached(refused, message("Log in again: {command}", command=self._login), wants_login=not basic)
        token = _token(answer) if answer.status == 200 else ""
        if not token:
            raise _unexpected(
                message("The token server {host} responded with {answer}.", host=place.host, answer=_said(answer)),
                answer,
            )
        self._authorization = f"Bearer {token}"
        if basic:
            return message("{host} issued a token for the user in docker's config.json.", host=place.host)
        return message("{host} issued a token without credentials.", host=place.host)

    @property
    def _login(self) -> str:
        """The command that logs in."""
        return f"docker login {'' if self._reference.is_hub else self._reference.domain}".rstrip()

    @staticmethod
    def _unexpected(answer: RegistryResponse) -> Unreached:
        return _unexpected(message("The registry responded with {answer}.", answer=_said(answer)), answer)

    async def find_manifest(self) -> tuple[Message, Message | None]:
        """Whether the image is there. Raises Unreached. Returns what was seen, and what to do about a limit or None."""
        path = f"/v2/{self._reference.repository}/manifests/{self._reference.manifest}"
        answer = await self._ask("HEAD", path, {"Accept": _MANIFESTS})
        if answer.status == 405:
            answer = await self._ask("GET", path, {"Accept": _MANIFESTS})
        limit = read_limit(answer)
        if answer.status == 200:
            seen = sentences(message("The image exists."), limit.words if limit is not None else None)
            self._may_pull = limit is None or limit.remaining > 0
            return seen, (_LIMIT_FIX if limit is not None and limit.remaining == 0 else None)
        name = str(self._reference)
        if answer.status in (401, 403):
            denied = (
                message("Reading {name} without login was denied ({answer}).", name=name, answer=_said(answer))
                if self.is_anonymous
                else message("Your account has no access to {name} ({answer}).", name=name, answer=_said(answer))
            )
            raise Unreached(
                sentences(denied, message("The image may also not exist.")),
                message("Check the name. For a private image, log in: {command}", command=self._login),
                wants_login=self.is_anonymous,
            )
        if answer.status == 404:
            raise Unreached(
                message("The registry has no {name} ({answer}).", name=name, answer=_said(answer)),
                message("Check the image's name and tag."),
            )
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        raise self._unexpected(answer)

    _may_pull = True

    async def try_blob(self) -> Message | None:
        """Read the beginning of a blob, wherever it is kept. Raises Unreached. Returns what was seen, if any."""
        if not self._may_pull:
            return None
        digest = await self._config_digest()
        answer = await self._ask("GET", f"/v2/{self._reference.repository}/blobs/{digest}", {"Range": "bytes=0-0"})
        if answer.status in (200, 206):
            return message("The registry provides the layers.")
        if answer.status not in (301, 302, 303, 307, 308):
            raise _unexpected(
                message("For a layer, the registry responded with {answer}.", answer=_said(answer)), answer
            )
        url = answer.headers.get("location", "")
        place = Place.of(url if "://" in url else f"{self._place.scheme}://{self._place.authority}{url}")
        try:
            answer = await self._web.ask("GET", place, {"Range": "bytes=0-0"}, check=self._check, body_bytes=65_536)
        except Unreached as error:
            raise Unreached(
                message(
                    "The layers are stored on {host}, which isn't reachable: {detail}",
                    host=place.host,
                    detail=error.detail,
                ),
                error.fix or message("Allow {host} in the firewall, in addition to the registry.", host=place.host),
            ) from error
        if answer.status not in (200, 206):
            raise _unexpected(
                message("For a layer, {host} responded with {answer}.", host=place.host, answer=_said(answer)), answer
            )
        return message("{host} provides the layers.", host=place.host)

    async def _config_digest(self) -> str:
        """Of the image's smallest blob, by its manifest or by the first of those that it lists."""
        try:
            manifest = await self._manifest(self._reference.manifest)
            if inner := manifest.objects("manifests"):
                manifest = await self._manifest(_digest(inner[0]))
            return _digest(manifest.object("config"))
        except NotUnderstood as error:
            raise Unreached(message("The registry sent an invalid manifest.")) from error

    async def _manifest(self, name: str) -> JsonObject:
        path = f"/v2/{self._reference.repository}/manifests/{name}"
        answer = await self._ask("GET", path, {"Accept": _MANIFESTS})
        if answer.status == 429:
            raise _too_many(answer, self._reference)
        if answer.status != 200:
            raise self._unexpected(answer)
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
        raise Unreached(message("The registry sent an invalid manifest."))
    return digest


_LIMIT_FIX: Final = message("Log in for a higher limit (docker login), wait for the limit to reset, or use a mirror.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Docker Hub's count of pulls."""

    remaining: int
    words: Message
    """A sentence."""


def read_limit(answer: RegistryResponse) -> Limit | None:
    """ratelimit-limit and ratelimit-remaining, "100;w=21600"; None where the registry has none."""
    total = re.match(r"(\d{1,9})(?:;w=(\d{1,9}))?", answer.headers.get("ratelimit-limit", ""))
    left = re.match(r"(\d{1,9})", answer.headers.get("ratelimit-remaining", ""))
    if total is None or left is None:
        return None
    if total[2] and int(total[2]) >= 3600:
        words = message(
            "{left} of {total} pulls left (limit per {hours} hours).",
            left=left[1],
            total=total[1],
            hours=int(total[2]) // 3600,
        )
    else:
        words = message("{left} of {total} pulls left.", left=left[1], total=total[1])
    return Limit(remaining=int(left[1]), words=words)


def _too_many(answer: RegistryResponse, reference: ImageReference) -> Unreached:
    limit = read_limit(answer)
    reached = (
        message("Docker Hub's pull limit is reached (429).")
        if reference.is_hub
        else message("The registry's pull limit is reached (429).")
    )
    again = answer.headers.get("retry-after", "")
    later = message("Try again in {seconds} s.", seconds=int(again)) if again.isdigit() and len(again) < 6 else None
    return Unreached(sentences(reached, limit.words if limit is not None else None), sentences(_LIMIT_FIX, later))


def _unexpected(said: Message, answer: RegistryResponse) -> Unreached:
    return Unreached(
        said, message("This is a problem of the server. Try again later.") if answer.status >= 500 else None
    )


def _said(answer: RegistryResponse) -> str:
    """The status, and the registry's own words after ": "."""
    said = answer.message()
    return f"{answer.status}: {said}" if said else str(answer.status)
