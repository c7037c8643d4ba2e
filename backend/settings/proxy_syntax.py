"""Validation of proxy addresses. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from backend.errors import ProblemCode, fail

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def proxy_error(url: str) -> str | None:
    """Why a proxy's address ("host:port" or a URL) is invalid, without its password; None when it is valid."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "it has a space or a line end in it"
    try:
        parts = urlsplit(with_scheme(url))
        port = parts.port
    except ValueError as error:
        return f"it is no URL ({error})" if "@" not in url else "it is no URL"
    if parts.scheme not in _SCHEMES:
        return f"{parts.scheme!r} is none of {', '.join(_SCHEMES)}"
    if not parts.hostname or port == 0:
        return "it names no host"
    return None


def check_setting(key: str, value: str) -> None:
    """Raise WherryError (BAD_REQUEST) for an invalid proxy; "" is valid."""
    wrong = proxy_error(value) if value else None
    if wrong is not None:
        raise fail(
            ProblemCode.BAD_REQUEST,
            f"{key} cannot be used: {wrong}.",
            hint="It is a proxy's address, as in http://proxy.example.com:3128; signs in a password are written as in "
            "URLs: %40 for @, %2F for /, %3A for a colon.",
        )


def with_scheme(url: str) -> str:
    return url if not url or "://" in url else f"http://{url}"
