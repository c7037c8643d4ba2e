"""The record of a running QEMU: written before it starts, so that an agent that dies at any moment can be followed."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from backend.files import write_private
from backend.model import AcceleratorStatus, MachineResources
from backend.vm.spec import DEFAULT_NET, SSH_PORT, UserNetwork


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the next agent has to know to take over."""

    uuid: str
    """Of this run: proves that whatever answers on the monitor is the QEMU that we started."""
    accelerator: AcceleratorStatus
    resources: MachineResources
    image_version: str
    engine_version: str
    requested_at: float
    """When the start was asked for, seconds since the epoch."""
    argv: list[str]
    qemu_version: str = ""
    """As in "7.2.22"; "" in the record of a Wherry that did not note it."""
    network: str = str(DEFAULT_NET)
    """Between host and guest: "10.0.2.0/24"."""
    ipv6: bool = False
    """Whether that network carries IPv6."""
    ssh_port: int = SSH_PORT
    """Of the guest's SSH server."""

    def __post_init__(self) -> None:
        """Refuse a record that tells no network. Raises ValueError."""
        IPv4Network(self.network)

    @property
    def user_network(self) -> UserNetwork:
        """The network that it was started with."""
        return UserNetwork(net=IPv4Network(self.network), ipv6=self.ipv6)


def save(path: Path, record: RunRecord) -> None:
    """Write the record durably. Raises OSError."""
    write_private(path, msgspec.json.encode(record))


def load(path: Path) -> RunRecord | None:
    """The record, or None when there is none or it cannot be read: then no QEMU can be proved to be ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunRecord)
    except (OSError, msgspec.DecodeError):
        return None
