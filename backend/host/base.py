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
from backend.host.session.place import EndpointPlace
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


class KeptListener(Listener, Protocol):
    """The docker endpoint of an agent, which the session keeps when the agent ends."""

    @property
    def is_kept(self) -> bool:
        """Whether docker clients are still answered after this agent has ended: the next one starts an agent."""
        ...

    async def keep(self) -> None:
        """Leave the endpoint to the session, now and at each login. Raises WherryError or OSError; it is ours then."""
        ...

    async def let_go(self, *, remove: bool) -> None:
        """Take the endpoint back from the session: it ends with this agent.

        Args:
            remove: for good; else until the next login or start.

        Raises:
            OSError: the session still has it.
        """
        ...


class SessionEndpoint(Protocol):
    """The docker endpoint of one machine in the user's session. Everything blocks, for seconds: call it in a thread."""

    def start(self) -> None:
        """Listen, without an agent, if nobody does. Raises WherryError or OSError."""
        ...

    def rest(self) -> None:
        """Listen no more until the next login or start. Raises OSError."""
        ...

    def remove(self) -> list[Path]:
        """Listen no more, and remove what was written into the session. Returns those files. Raises OSError."""
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

    def session_endpoint(self, place: EndpointPlace) -> SessionEndpoint | None:
        """The endpoint as the session has it; None on a system where it ends with the agent."""
        ...

    async def listen_kept(
        self, place: EndpointPlace, handler: StreamHandler, *, wanted: Callable[[], bool]
    ) -> KeptListener:
        """As `listen`, for an endpoint that the session can keep.

        Args:
            place: the endpoint.
            handler: as of `listen`.
            wanted: whether the session is to keep it, asked in a thread when a keeper was ended.

        Raises:
            WherryError: as of `listen`.
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
