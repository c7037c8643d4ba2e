"""A container's ports as they are shown and opened: pure."""

from __future__ import annotations

from typing import NamedTuple

from backend.api import Container, PortBinding

_ANY = (None, "", "0.0.0.0", "::", "127.0.0.1", "::1")
_TLS_PORTS = (443, 8443, 9443)


class PortLink(NamedTuple):
    """One port."""

    words: str
    """ "8080:80", or "80/tcp" for one that is not published."""
    url: str | None
    """Where a browser finds it; None for what is not published, not TCP, or not running."""


def port_links(container: Container) -> tuple[PortLink, ...]:
    """Published ports first. The two bindings that the engine makes for IPv4 and IPv6 are one for the user."""
    published: dict[str, PortLink] = {}
    exposed: dict[str, PortLink] = {}
    for port in container.ports:
        suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
        if port.host_port is None:
            words = f"{port.container_port}/{port.protocol}"
            exposed[words] = PortLink(words, None)
            continue
        where = "" if port.host_ip in _ANY else f"{_host(port)}:"
        words = f"{where}{port.host_port}:{port.container_port}{suffix}"
        opens = port.protocol == "tcp" and container.state.is_up
        published.setdefault(words, PortLink(words, _url(port) if opens else None))
    return (*published.values(), *exposed.values())


def _host(port: PortBinding) -> str:
    if port.host_ip is None or port.host_ip in _ANY:
        return "localhost"
    return f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip


def _url(port: PortBinding) -> str:
    scheme = "https" if port.container_port in _TLS_PORTS else "http"
    return f"{scheme}://{_host(port)}:{port.host_port}"
