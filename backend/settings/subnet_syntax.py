"""Validation of the setting `network.subnet`. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

from backend.errors import ProblemCode, fail

LENGTH: Final = 24


def parse_subnet(text: str) -> IPv4Network:
    """Parse the setting `network.subnet`.

    Raises:
        WherryError: BAD_REQUEST, with the reason.
    """
    try:
        net = IPv4Network(text.strip())
    except ValueError as error:
        raise _bad(text, f"{error}") from error
    if net.prefixlen != LENGTH:
        raise _bad(text, f"it is a /{net.prefixlen}, and has to be a /{LENGTH}")
    first = net.network_address
    shared = net.subnet_of(IPv4Network("100.64.0.0/10"))
    if first.is_loopback or first.is_link_local or not (first.is_private or shared) or first.packed[0] == 0:
        raise _bad(text, "it is no private range, and would hide a part of the Internet")
    return net


def _bad(text: str, why: str) -> Exception:
    return fail(
        ProblemCode.BAD_REQUEST,
        f"{text!r} is not a value for network.subnet: {why.rstrip('.')}.",
        hint='Give a private /24 as in "10.0.2.0/24", or "" to let Wherry choose.',
    )
