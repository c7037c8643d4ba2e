"""Guest loopback addresses that stand for host addresses which the guest cannot use itself.

`-p [::1]:8080:80` names an address that the guest has too, but that QEMU's user network does not reach; `-p
192.168.1.5:8080:80` one that only the host has. Requests to create such a container are rewritten to an alias in
127.66.0.0/16 (every Linux accepts the whole range), which the container keeps, and the engine's answers are translated
back. The table outlives agents and machines: entries are only added, and stored before an alias is used.
"""

from __future__ import annotations

import json
import re
import threading
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.files import write_private
from backend.messages import message

NETWORK: Final = IPv4Network("127.66.0.0/16")
_LIMIT: Final = 4096
_IN_ANSWERS: Final = re.compile(rb'("(?:HostIp|IP)"\s*:\s*")(127\.66\.\d{1,3}\.\d{1,3})(")')


class Aliases:
    """The alias table of one machine. Reads and writes a small file (blocking). Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Read the table; empty when there is none yet."""
        self._path = path
        self.problem: Problem | None = None
        """Why the table cannot be read; None when it can. The file is left unchanged, so that containers keep their
        addresses once it is repaired, and no alias can be added."""
        self._by_alias: dict[str, str] = {}
        try:
            rows = json.loads(path.read_bytes())
            for alias, address in rows.items():
                self._by_alias[str(IPv4Address(alias))] = str(ip_address(address))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError) as error:
            self._by_alias.clear()
            self.problem = Problem(
                code=ProblemCode.CONFIG_BROKEN,
                summary=message("The table of published addresses can't be read: {error}.", error=str(error)),
                command=f"read {path}",
                hint=message(
                    "Restore {path} from a copy. Or delete it, recreate containers that publish on "
                    "::1 or on a single address, then run: wherry restart --agent",
                    path=path,
                ),
            )
        self._by_address = {address: alias for alias, address in self._by_alias.items()}
        self._growing = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether no container can have an alias."""
        return not self._by_alias

    def host_address(self, guest_ip: str) -> str:
        """The host address of an alias; other addresses are returned unchanged."""
        return self._by_alias.get(guest_ip, guest_ip)

    def alias_of(self, host_ip: str) -> str:
        """The alias of a host address; a new one is stored first.

        Raises:
            WherryError: CONFIG_BROKEN when the table could not be read, PATH_UNUSABLE when it cannot be written,
                BAD_REQUEST
                when there are too many.
        """
        if self.problem is not None:
            raise WherryError(self.problem)
        with self._growing:
            return self._by_address.get(host_ip) or self._add(host_ip)

    def _add(self, host_ip: str) -> str:
        if len(self._by_alias) >= _LIMIT:
            raise fail(
                ProblemCode.BAD_REQUEST,
                message(
                    "Containers are published on {limit} different addresses, which is the maximum.",
                    limit=_LIMIT,
                ),
                hint=message("Publish on 127.0.0.1 or 0.0.0.0."),
            )
        alias = next(str(address) for address in NETWORK.hosts() if str(address) not in self._by_alias)
        rows = self._by_alias | {alias: host_ip}
        try:
            write_private(self._path, json.dumps(rows, indent=1).encode())
        except OSError as error:
            raise fail(
                ProblemCode.PATH_UNUSABLE,
                message("The table of published addresses can't be saved: {error}.", error=error.strerror),
                command=f"write {self._path}",
            ) from error
        self._by_alias = rows
        self._by_address[host_ip] = alias
        return alias

    def restore(self, answer: bytes) -> bytes:
        """Replace the aliases in an answer of the engine by the host's addresses."""
        return _IN_ANSWERS.sub(self._restored, answer)

    def _restored(self, match: re.Match[bytes]) -> bytes:
        return match[1] + self.host_address(match[2].decode()).encode() + match[3]


def needs_alias(host_ip: str) -> str | None:
    """The address in canonical form if it needs an alias; None when it is passed to the engine unchanged."""
    try:
        address = ip_address(host_ip)
    except ValueError:
        return None  # invalid: the engine reports the error
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.version == 4 and (address.is_loopback or address.is_unspecified):
        return None
    return str(address)
