"""Validation of proxy addresses. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from backend.errors import ProblemCode, fail
from backend.messages import Message, message

_SCHEMES: Final = ("http", "https", "socks5", "socks5h")


def proxy_error(url: str) -> Message | None:
    """Why a proxy's address ("host:port" or a URL) is invalid, without its password; None when it is valid."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return message("It contains a space or line break.")
    try:
        parts = urlsplit(with_scheme(url))
        port = parts.port
    except ValueError as error:
        return message("It isn't a URL: {error}.", error=error) if "@" not in url else message("It isn't a URL.")
    if parts.scheme not in _SCHEMES:
        return message("The scheme must be one of {names}, not “{scheme}”.", names=_SCHEMES, scheme=parts.scheme)
    if not parts.hostname or port == 0:
        return message("It has no host.")
    return None


def check_setting(key: str, value: str) -> None:
    """Raise WherryError (BAD_REQUEST) for an invalid proxy; "" is valid."""
    wrong = proxy_error(value) if value else None
    if wrong is not None:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("{key} can't be used. {reason}", key=key, reason=wrong),
            hint=message(
                "Enter an address such as http://proxy.example.com:3128. Write special characters in a password as in "
                "URLs: %40 for @, %2F for /, %3A for a colon."
            ),
        )


def with_scheme(url: str) -> str:
    return url if not url or "://" in url else f"http://{url}"
