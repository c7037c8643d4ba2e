"""The words of /proc/net/tcp, tcp6, udp and udp6, of this computer or of the guest. Pure."""

from __future__ import annotations

import ipaddress


def address_of(word: str) -> str:
    """An address as a little-endian machine writes it there, each four bytes turned round: 8 or 32 hex digits.

    Raises:
        ValueError: it is of another length, or no hexadecimal number.
    """
    packed = b"".join(bytes.fromhex(word[at : at + 8])[::-1] for at in range(0, len(word), 8))
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
