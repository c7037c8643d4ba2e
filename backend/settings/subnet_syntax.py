"""Validation of the setting `network.subnet`. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

from backend.errors import ProblemCode, fail
from backend.messages import Message, message

LENGTH: Final = 24


def parse_subnet(text: str) -> IPv4Network:
    """Parse the setting `network.subnet`.

    Raises:
        WherryError: BAD_REQUEST, with the reason.
    """
    try:
        net = IPv4Network(text.strip())
    except ValueError as error:
        raise _bad(text, message("{error}.", error=error)) from error
    if net.prefixlen != LENGTH:
        raise _bad(text, message("It is a /{length} but must be a /{wanted}.", length=net.prefixlen, wanted=LENGTH))
    first = net.network_address
    shared = net.subnet_of(IPv4Network("100.64.0.0/10"))
    if first.is_loopback or first.is_link_local or not (first.is_private or shared) or first.packed[0] == 0:
        raise _bad(text, message("It isn't a private range and would hide part of the internet."))
    return net


def _bad(text: str, why: Message) -> Exception:
    return fail(
        ProblemCode.BAD_REQUEST,
        message("“{text}” isn't valid for network.subnet. {reason}", text=text, reason=why),
        hint=message('Enter a private /24 such as "10.0.2.0/24", or "" to let Wherry choose.'),
    )
