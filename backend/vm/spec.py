"""The values that describe a run of QEMU; `command.py` turns them into a command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

NETDEV: Final = "net0"
"""Id of the network back end, for hostfwd_add."""
DEFAULT_NET: Final = IPv4Network("10.0.2.0/24")
"""Network between host and guest: QEMU's default."""
SSH_PORT: Final = 22
"""Default port of the guest's SSH server, when the image's manifest names no other."""
DATA_NODE: Final = "data"
"""Name of the data disk's block node, for the monitor."""
CONTROL_PORT_NAME: Final = "io.wherry.control"
"""Name of the virtio-serial port that the guest's control service opens."""
INPUT_PREFIX: Final = "opt/io.wherry/"
"""fw_cfg directory of the guest's inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One combination of accelerator, CPU model and machine.

    QEMU's own fall-back (`-accel a -accel b`) only covers a failed initialisation and keeps the CPU model, which may
    not exist for the second accelerator; so each combination is tried with a new process.
    """

    accelerator: str
    """"kvm", "hvf", "whpx" or "tcg"."""
    cpu: str
    machine: str
    """"q35" or "virt"."""
    firmware: str = ""
    """File name of one of QEMU's firmware files; "" for the machine's default."""
    accelerator_options: str = ""
    """Appended to -accel, with a leading comma: ",thread=multi"."""

    @property
    def key(self) -> str:
        """Key of this candidate in the remembered verdicts."""
        return f"{self.accelerator}{self.accelerator_options} {self.cpu} {self.machine} {self.firmware}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    """A Unix socket in a private directory."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsAddress:
    """A TCP port on 127.0.0.1 protected by mutual TLS, for systems whose Python has no Unix sockets.

    Never plain TCP: a container reaches the host's loopback through 10.0.2.2, and a monitor is as powerful as a shell.
    """

    port: int
    credentials: Path
    """Directory with ca-cert.pem, server-cert.pem and server-key.pem."""


SocketAddress = UnixAddress | TlsAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestImage:
    """The files of a verified guest image."""

    directory: Path
    arch: str
    version: str
    kernel: Path
    initramfs: Path
    root: Path
    cmdline: str
    """Kernel parameters."""
    cmdline_emulated: str
    """Additional kernel parameters for emulated processors; may be empty."""
    engine_version: str
    ssh_port: int
    """Port of the guest's SSH server, on its network interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuFacts:
    """Version and features of a QEMU binary."""

    binary: Path
    version: tuple[int, int, int]
    accelerators: frozenset[str]
    """Accelerators from `-accel help`: compiled in, not necessarily usable."""
    sandbox: bool
    """Whether it supports -sandbox (seccomp)."""

    @property
    def version_text(self) -> str:
        """As in "7.2.22"."""
        return ".".join(str(part) for part in self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserNetwork:
    """The virtual network between host and guest, provided by QEMU."""

    net: IPv4Network = DEFAULT_NET
    ipv6: bool = False

    @property
    def gateway(self) -> str:
        """Address through which the guest reaches the host's loopback, and other networks."""
        return str(self.net[2])

    @property
    def nameserver(self) -> str:
        """Address of QEMU's resolver, which forwards to the host's first server."""
        return str(self.net[3])

    @property
    def guest(self) -> str:
        """The guest's fixed address."""
        return str(self.net[15])

    def as_input(self) -> str:
        """Value of the guest's input `network`."""
        return f"address={self.guest}\ngateway={self.gateway}\nnameserver={self.nameserver}\nipv6={int(self.ipv6)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """Everything that the command line depends on."""

    host: str
    """"linux", "darwin" or "windows"."""
    qemu: QemuFacts
    candidate: Candidate
    image: GuestImage
    uuid: str
    cpus: int
    memory_mib: int
    data_disk: Path
    monitor: SocketAddress
    control: SocketAddress
    console: SocketAddress
    serial_log: Path
    pid_file: Path
    inputs: tuple[tuple[str, Path], ...] = field(default=())
    """Pairs of a name below INPUT_PREFIX and the file with its value."""
    network: UserNetwork = UserNetwork()
