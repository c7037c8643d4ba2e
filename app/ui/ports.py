"""A container's ports as they are shown and opened: pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from backend.api import Container, PortBinding, Problem, ProblemCode

LOOPBACK: Final = ("127.0.0.1", "::1")
WILDCARD: Final = ("0.0.0.0", "::")
_EVERYBODYS: Final = (None, "", *WILDCARD, *LOOPBACK)
"""What a container's port is reached by as "localhost"."""
_TLS_PORTS: Final = (443, 4443, 6443, 8443, 9443)


PORT_CODES: Final = (ProblemCode.PORT_TAKEN, ProblemCode.PORT_REFUSED)


class PortLink(NamedTuple):
    """One port."""

    words: str
    """ "8080:80", or "80/tcp" for one that is not published."""
    url: str | None
    """Where a browser finds it; None for what is not published, not TCP, or not running."""


def port_links(container: Container) -> tuple[PortLink, ...]:
    """Published ports first. The bindings that the engine makes for IPv4 and IPv6 are one for the user."""
    published: dict[str, PortLink] = {}
    exposed: dict[str, PortLink] = {}
    # Of twins that of IPv4 is taken: "localhost" leads to it everywhere.
    for port in sorted(container.ports, key=lambda port: ":" in (port.host_ip or "")):
        suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
        if port.host_port is None:
            words = f"{port.container_port}/{port.protocol}"
            exposed[words] = PortLink(words, None)
            continue
        where = "" if port.host_ip in _EVERYBODYS else f"{_host(port)}:"
        words = f"{where}{port.host_port}:{port.container_port}{suffix}"
        opens = port.protocol == "tcp" and container.state.is_up
        url = browser_url(_host(port), port.host_port, port.container_port) if opens else None
        published.setdefault(words, PortLink(words, url))
    return (*published.values(), *exposed.values())


def is_of_ports(problem: Problem) -> bool:
    """Whether it is that a published port cannot be had."""
    return problem.code in PORT_CODES


def browser_url(host: str, port: int, container_port: int | None) -> str:
    """The address of a published port; whether it is https is guessed by the port.

    Args:
        host: as it stands in a URL, with brackets around an IPv6 address.
    """
    scheme = "https" if (container_port or port) in _TLS_PORTS else "http"
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port == default else f"{scheme}://{host}:{port}"


def bracketed(address: str) -> str:
    """As an address stands before a port: "[::1]"."""
    return f"[{address}]" if ":" in address else address


def _host(port: PortBinding) -> str:
    # A name that the resolver gives to 127.0.0.1 first would not reach what listens on ::1 alone.
    if port.host_ip == "::1":
        return "[::1]"
    if port.host_ip is None or port.host_ip in _EVERYBODYS:
        return "localhost"
    return bracketed(port.host_ip)
