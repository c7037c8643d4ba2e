"""The record of a running QEMU. Written before QEMU starts, so that the next agent can take over after a crash."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from backend.files import write_private
from backend.model import AcceleratorStatus, MachineResources
from backend.vm.spec import DEFAULT_NET, SSH_PORT, UserNetwork


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the next agent needs to take over a running QEMU."""

    uuid: str
    """Id of this run: proves that the program on the monitor is the QEMU that we started."""
    accelerator: AcceleratorStatus
    resources: MachineResources
    image_version: str
    engine_version: str
    requested_at: float
    """Time of the start request, seconds since the epoch."""
    argv: list[str]
    qemu_version: str = ""
    """As in "7.2.22"; "" in records of older versions of Wherry."""
    network: str = str(DEFAULT_NET)
    """Network between host and guest: "10.0.2.0/24"."""
    ipv6: bool = False
    """Whether that network carries IPv6."""
    ssh_port: int = SSH_PORT
    """Port of the guest's SSH server."""

    def __post_init__(self) -> None:
        """Raises ValueError for a record without a valid network."""
        IPv4Network(self.network)

    @property
    def user_network(self) -> UserNetwork:
        """The network that QEMU was started with."""
        return UserNetwork(net=IPv4Network(self.network), ipv6=self.ipv6)


def save(path: Path, record: RunRecord) -> None:
    """Write the record and flush it to disk. Raises OSError."""
    write_private(path, msgspec.json.encode(record))


def load(path: Path) -> RunRecord | None:
    """Read the record; None when it is missing or unreadable: then no process can be proved to be our QEMU."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):
        return None
