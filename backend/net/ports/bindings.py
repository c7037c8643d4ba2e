"""Reading published ports from the engine's description of containers and services. Pure.

Before a start only the requested ports are known (`HostConfig.PortBindings`), and only single ports can be foreseen; of
a running container, `NetworkSettings.Ports` has all that the engine assigned. Inspect answers and requests to create a
container are read the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.addresses import Forward, Origin, Protocol
from backend.engine.types import clean_text
from backend.json_reader import JsonObject
from backend.net.ports.host_network import GuestListener

LOOPBACK: Final = "127.0.0.1"
ANY: Final = "0.0.0.0"
_LOOPBACK6: Final = "::1"
_ANY6: Final = "::"
_COMPANIONS: Final = {LOOPBACK: _LOOPBACK6, ANY: _ANY6}
"""IPv6 companions of ports published without an address: clients try "localhost" on ::1 first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published port: the forward, and the container or service that it belongs to."""

    forward: Forward
    origin: Origin
    owner_id: str
    """Id of the container or service."""
    owner_name: str
    owner_port: int | None
    """The container's port."""
    accompanies: Forward | None = None
    """For a companion (see `_COMPANIONS`): the main forward. When that fails, the companion is not opened either."""
    is_chosen: bool = True
    """Whether the engine chose the host port, so that another one would do."""

    @property
    def is_companion(self) -> bool:
        """Whether it is a companion of another forward."""
        return self.accompanies is not None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads published ports from the engine's answers, according to the settings."""

    publish_everywhere: bool
    """Whether ports published without an address listen on all of the host's addresses."""
    host_address: Callable[[str], str]
    """Converts an alias of the guest's loopback into the host's address; see `aliases`."""
    has_ipv6: bool = True
    """Whether the host has "::1"; if not, there are no companions."""

    def asked(self, inspected: JsonObject) -> tuple[Published, ...]:
        """The ports that a container will request when it starts, as far as known: single ports only."""
        requested: list[Published] = []
        for protocol, port, binding in _bindings(inspected.object("HostConfig").object("PortBindings")):
            number = _port(binding.text("HostPort"))
            if number:
                address = binding.text("HostIp") or self._default
                requested += self._forwards(inspected, protocol, port, address, number, asked=(binding,))
        return tuple(dict.fromkeys(requested))

    def given(self, inspected: JsonObject) -> tuple[Published, ...]:
        """The ports that a running container has published; empty when it does not run."""
        if not inspected.object("State").flag("Running"):
            return ()
        asked: dict[tuple[Protocol, int], list[JsonObject]] = {}
        for protocol, port, binding in _bindings(inspected.object("HostConfig").object("PortBindings")):
            asked.setdefault((protocol, port), []).append(binding)
        published: list[Published] = []
        for protocol, port, binding in _bindings(inspected.object("NetworkSettings").object("Ports")):
            number = _port(binding.text("HostPort"))
            if number:
                address = binding.text("HostIp") or self._default
                published += self._forwards(
                    inspected, protocol, port, address, number, asked=asked.get((protocol, port))
                )
        return tuple(dict.fromkeys(published))

    def services(self, listed: Iterable[JsonObject]) -> tuple[Published, ...]:
        """The ports that swarm services publish on every node. Ports of their tasks belong to their containers."""
        published: list[Published] = []
        for service in listed:
            for one in service.object("Endpoint").objects("Ports"):
                protocol, number = _protocol(one.text("Protocol")), one.integer("PublishedPort")
                if protocol is None or not 0 < number < 65_536 or one.text("PublishMode") == "host":
                    continue
                for forward, accompanies in self._addresses(ANY, protocol, number, defaulted=True):
                    published.append(
                        Published(
                            forward=forward,
                            origin=Origin.SERVICE,
                            owner_id=service.text("ID"),
                            owner_name=clean_text(service.object("Spec").text("Name")),
                            owner_port=one.integer("TargetPort") or None,
                            accompanies=accompanies,
                            is_chosen=False,
                        )
                    )
        return tuple(dict.fromkeys(published))

    def listeners(self, heard: Iterable[GuestListener], names: Mapping[str, str]) -> tuple[Published, ...]:
        """The ports that containers with the host's network listen on.

        Args:
            heard: all listeners of the guest.
            names: names of known containers by id; listeners of others are left out.
        """
        published: list[Published] = []
        for one in sorted(heard, key=lambda each: (each.port, each.protocol, each.guest_ip, each.container_id)):
            # "::" includes IPv4; other addresses belong to the guest and its bridges.
            guest_ip = ANY if one.guest_ip == _ANY6 else one.guest_ip
            if one.container_id not in names or not (guest_ip == ANY or guest_ip.startswith("127.")):
                continue
            for forward, accompanies in self._addresses(guest_ip, one.protocol, one.port, defaulted=True):
                published.append(
                    Published(
                        forward=forward,
                        origin=Origin.HOST_NETWORK,
                        owner_id=one.container_id,
                        owner_name=names[one.container_id],
                        owner_port=one.port,
                        accompanies=accompanies,
                        is_chosen=False,
                    )
                )
        return tuple(dict.fromkeys(published))

    @property
    def _default(self) -> str:
        return ANY if self.publish_everywhere else LOOPBACK

    def _forwards(
        self,
        inspected: JsonObject,
        protocol: Protocol,
        port: int,
        guest_ip: str,
        number: int,
        *,
        asked: Sequence[JsonObject] | None,
    ) -> Iterator[Published]:
        # An address that the engine chose, not the user, is replaced by our default.
        defaulted = not any(
            one.text("HostIp") == guest_ip and _port(one.text("HostPort")) in (0, number) for one in asked or ()
        )
        is_chosen = not asked or not any(_port(one.text("HostPort")) == number for one in asked)
        for forward, accompanies in self._addresses(guest_ip, protocol, number, defaulted=defaulted):
            yield Published(
                forward=forward,
                origin=Origin.CONTAINER,
                owner_id=inspected.text("Id"),
                owner_name=name_of(inspected),
                owner_port=port,
                accompanies=accompanies,
                is_chosen=is_chosen,
            )

    def _addresses(
        self, guest_ip: str, protocol: Protocol, number: int, *, defaulted: bool
    ) -> Iterator[tuple[Forward, Forward | None]]:
        """The forwards for a listening address of the guest, each with the main forward if it is a companion."""
        if ":" in guest_ip and self.host_address(guest_ip) == guest_ip:
            return  # the guest's own IPv6 is not reachable; on the host it is covered by the IPv4 companion
        host_ip = self.host_address(guest_ip)
        if defaulted and host_ip in (ANY, LOOPBACK):
            host_ip = self._default if host_ip == ANY else LOOPBACK
        target = "" if guest_ip == ANY else guest_ip
        forward = _forward(protocol, host_ip, target, number)
        yield forward, None
        if defaulted and self.has_ipv6 and host_ip in _COMPANIONS:
            yield _forward(protocol, _COMPANIONS[host_ip], target, number), forward


def name_of(inspected: JsonObject) -> str:
    """A container's name, sanitised."""
    return clean_text(inspected.text("Name").removeprefix("/"))


def _forward(protocol: Protocol, host_ip: str, guest_ip: str, number: int) -> Forward:
    return Forward(protocol=protocol, host_ip=host_ip, host_port=number, guest_ip=guest_ip, guest_port=number)


def _bindings(ports: JsonObject) -> Iterator[tuple[Protocol, int, JsonObject]]:
    """Yield the rows of {"80/tcp": [{"HostIp": ..., "HostPort": ...}], "81/tcp": null}."""
    for key in ports:
        number, _, word = key.partition("/")
        protocol, port = _protocol(word), _port(number)
        if protocol is not None and port:
            for row in ports.objects(key):
                yield protocol, port, row


def _protocol(word: str) -> Protocol | None:
    try:
        return Protocol(word.lower() or "tcp")
    except ValueError:
        return None  # SCTP, which QEMU's user network does not support


def _port(text: str) -> int:
    """Parse a single port; 0 for none and for a range."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return number if 0 < number < 65_536 else 0
