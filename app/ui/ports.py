"""Display and links of a container's ports. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from backend.api import Container, PortBinding, Problem, ProblemCode

LOOPBACK: Final = ("127.0.0.1", "::1")
WILDCARD: Final = ("0.0.0.0", "::")
_EVERYBODYS: Final = (None, "", *WILDCARD, *LOOPBACK)
"""Addresses that can be opened as "localhost"."""
_TLS_PORTS: Final = (443, 4443, 6443, 8443, 9443)


PORT_CODES: Final = (ProblemCode.PORT_TAKEN, ProblemCode.PORT_REFUSED)


class PortLink(NamedTuple):
    """A port as shown to the user."""

    words: str
    """"8080:80", or "80/tcp" for a port that is not published."""
    url: str | None
    """URL for a browser; None when it is not published, not TCP, or not running."""


def port_links(container: Container) -> tuple[PortLink, ...]:
    """The ports of a container, published ones first. A pair of bindings for IPv4 and IPv6 is one entry."""
    published: dict[str, PortLink] = {}
    exposed: dict[str, PortLink] = {}
    # Of a pair the IPv4 binding is used: "localhost" reaches it everywhere.
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
    """Whether the problem is that a published port cannot be opened."""
    return problem.code in PORT_CODES


def browser_url(host: str, port: int, container_port: int | None) -> str:
    """URL of a published port; https is assumed for some ports.

    Args:
        host: in URL form, with brackets around an IPv6 address.
        port: on the host.
        container_port: decides between http and https; None when unknown.
    """
    scheme = "https" if (container_port or port) in _TLS_PORTS else "http"
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port == default else f"{scheme}://{host}:{port}"


def bracketed(address: str) -> str:
    """The address with brackets if it is IPv6: "[::1]"."""
    return f"[{address}]" if ":" in address else address


def _host(port: PortBinding) -> str:
    # For ::1 only: a name that resolves to 127.0.0.1 first would not reach it.
    if port.host_ip == "::1":
        return "[::1]"
    if port.host_ip is None or port.host_ip in _EVERYBODYS:
        return "localhost"
    return bracketed(port.host_ip)
