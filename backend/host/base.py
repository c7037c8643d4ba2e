"""`Host`, the interface to the operating system. Each supported system implements it once.

Everything that differs between systems, and that Qt does not cover, is a method here: a new system is one new file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.host.autostart import Autostart
from backend.host.certificates import CertificateSource
from backend.host.proxies import SystemProxies
from backend.host.routes import Route
from backend.messages import Message
from backend.stream import ByteStream


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorFact:
    """Whether an accelerator is worth trying. Only a booted kernel proves that it works."""

    name: str
    """QEMU's name: "kvm", "hvf", "whpx"."""
    title: str
    available: bool
    reason: Message
    """Why it is or is not available, for the user."""
    hint: Message | None = None
    """What the user can do to make it available."""
    suspect: bool = False
    """It opens, but on hosts of this kind it often cannot run a kernel, so it is tried with a short deadline."""
    fingerprint: str = ""
    """Changes when an earlier result of trying it may be out of date (host kernel, CPU, boot)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedProcess:
    """A process that keeps running after we exit."""

    pid: int
    poll: Callable[[], int | None]
    """Gives the exit code (negative: the signal that killed it), or None while it runs."""
    kill: Callable[[], None]
    """Kills it. Does nothing once `poll` has given an exit code, so it cannot hit a process that reuses the id."""


StreamHandler = Callable[[ByteStream], Awaitable[None]]


class Listener(Protocol):
    """A local endpoint that accepts connections."""

    async def aclose(self) -> None:
        """Stop listening, remove the endpoint's file, close its connections. Idempotent."""
        ...


class BlockingStream(Protocol):
    """The methods of `socket.socket` that a blocking client needs, with the same behaviour and errors."""

    def settimeout(self, value: float | None, /) -> None:
        """Set the seconds after which recv and sendall raise TimeoutError; None: never."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of `data`."""
        ...

    def recv(self, size: int, /) -> bytes:
        """The next bytes, at most `size`; b"" once the peer has closed."""
        ...

    def close(self) -> None:
        """Close both directions."""
        ...


class Host(Protocol):
    """The operating system of this computer."""

    name: str
    """"linux", "darwin" or "windows"."""
    arch: str
    """Processor architecture: "amd64" or "arm64", as in the guest image's name."""
    max_socket_path_bytes: int
    """Longest path of a local socket in bytes, without the closing NUL."""

    def default_home(self) -> Path:
        """The directory of a machine when the user names no other."""
        ...

    def image_cache(self) -> Path:
        """The directory of guest images, shared by all machines of the user."""
        ...

    def short_run_base(self) -> Path:
        """A private directory with a short path, for sockets. MAY not exist yet."""
        ...

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        """The hardware accelerators of this system, available or not, best first. Takes milliseconds, never raises."""
        ...

    def cpu_identity(self) -> str:
        """A text that changes when the processor features that a guest can see change. Never raises."""
        ...

    def qemu_candidates(self, arch: str) -> tuple[Path, ...]:
        """Existing programs that may be the QEMU for `arch`, best first."""
        ...

    def qemu_hint(self, arch: str) -> Message:
        """How to install QEMU on this system, for the user."""
        ...

    def spawn_detached(
        self, argv: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> DetachedProcess:
        """Start a program that keeps running after we exit, without input, its output appended to the file `output`.

        Files that it creates are private to the user. `environment` replaces the whole environment. Raises OSError.
        """
        ...

    async def listen(self, address: Path, handler: StreamHandler) -> Listener:
        """Serve a local endpoint that only this user can open; one task per connection.

        Raises:
            WherryError: ENDPOINT_TAKEN when another program has the endpoint.
        """
        ...

    async def connect(self, address: Path) -> ByteStream:
        """Connect to a local endpoint. Raises OSError when nobody listens."""
        ...

    def connect_blocking(self, address: Path, *, timeout_s: float) -> BlockingStream:
        """Connect to a local endpoint from a thread without an event loop. Raises OSError when nobody listens."""
        ...

    def bridge_terminal(self, connection: BlockingStream) -> None:
        """Connect this process's terminal, in raw mode, to a stream until Ctrl-] is typed or the peer closes."""
        ...

    def autostart(self) -> Autostart:
        """The login entry of this system."""
        ...

    def allocated_bytes(self, path: Path) -> int | None:
        """Bytes that a file occupies on disk (a sparse file takes less than its size); None when it does not exist."""
        ...

    def routes(self) -> tuple[Route, ...]:
        """The routing table, IPv4 and IPv6. May take a second: call it in a thread.

        Raises:
            WherryError: TOOL_MISSING, the routes cannot be read.
        """
        ...

    low_ports_on_wildcard_only: bool
    """Whether an unprivileged user may listen on ports below 1024, but only on the wildcard address (macOS)."""

    def raise_file_limit(self) -> None:
        """Raise the limit of open files for this process and its children: each published port needs one."""
        ...

    def system_proxies(self) -> SystemProxies:
        """The proxies in this computer's settings. May take seconds: call it in a thread. Never raises."""
        ...

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        """The certificate authorities that it trusts. May take seconds: call it in a thread. Never raises."""
        ...

    def deepen_backlog(self, pid: int, descriptor: int, backlog: int) -> bool:
        """Raise the backlog of a listening socket that belongs to another process of this user.

        Returns:
            False when the system cannot do that or refuses.
        """
        ...

    def hosts_file(self) -> Path:
        """Path of the system's hosts file. MAY not exist."""
        ...

    def docker_url(self, address: Path) -> str:
        """The value of DOCKER_HOST for an endpoint created by `listen`."""
        ...

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop that supports everything above."""
        ...
