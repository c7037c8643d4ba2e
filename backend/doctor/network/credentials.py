"""The user's credentials for a registry, as far as they can be had without running anything: docker's config.json."""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode
from backend.json_reader import JsonObject, JsonSource, NotUnderstood, decode
from backend.messages import Message, message

_HUB_KEY: Final = "https://index.docker.io/v1/"
_MAX_BYTES: Final = 4_194_304


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What was found for one registry."""

    basic: str = ""
    """Value of an Authorization header; MUST NOT be shown."""
    helper: str = ""
    """Name of the program that keeps them, which is not run: it may ask the user for things."""
    trouble: Message | None = None
    """Why the file could not be read."""

    def registry_auth(self, domain: str) -> str:
        """X-Registry-Auth for the engine; "" without credentials."""
        if not self.basic:
            return ""
        user, _, password = (
            base64.b64decode(self.basic.removeprefix("Basic ")).decode("utf-8", "replace").partition(":")
        )
        record = {"username": user, "password": password, "serveraddress": domain}
        return base64.urlsafe_b64encode(json.dumps(record).encode()).decode()


def config_path() -> Path:
    """docker's config.json of this user."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def find(domain: str, *, is_hub: bool, path: Path) -> Credentials:
    """Look them up as the docker CLI does."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return Credentials()
    except OSError as error:
        return Credentials(trouble=message("{path} can't be read: {error}.", path=path, error=error))
    source = JsonSource(
        summary=message("{path} wasn't understood.", path=path),
        code=ProblemCode.CONFIG_BROKEN,
        command=f"docker login {domain}",
    )
    try:
        return _find(decode(content, source).object(), domain, is_hub=is_hub, path=path)
    except NotUnderstood as error:
        return Credentials(trouble=message("{path} can't be read: {tail}.", path=path, tail=error.problem.tail[0]))


def _find(config: JsonObject, domain: str, *, is_hub: bool, path: Path) -> Credentials:
    keys = (_HUB_KEY, "docker.io", "index.docker.io") if is_hub else (domain, f"https://{domain}", f"http://{domain}")
    auths, helpers = config.object("auths"), config.object("credHelpers")
    for key in keys:
        if helper := helpers.text(key):
            return Credentials(helper=f"docker-credential-{helper}")
    for key in keys:
        name = key if key in auths else f"{key}/"
        if name not in auths:
            continue
        if said := auths.object(name).text("auth"):
            try:
                base64.b64decode(said, validate=True)
            except (binascii.Error, ValueError):
                return Credentials(trouble=message("The entry for {key} in {path} is invalid.", key=key, path=path))
            return Credentials(basic=f"Basic {said}")
        if store := config.text("credsStore"):
            return Credentials(helper=f"docker-credential-{store}")
    return Credentials()
