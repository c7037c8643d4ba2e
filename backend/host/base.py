"""What this computer is and how its system does things: the seam that every OS implements once.

Facts carry a value, a reason and a hint; probing never raises. Everything that differs between systems and is not
Qt's business is a method here, so that a new system is one new file.
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
from backend.stream import ByteStream


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorFact:
    """Whether one accelerator may be tried. A yes is not a promise: only a booted kernel proves it."""

    name: str
    """QEMU's name: "kvm", "hvf", "whpx"."""
    title: str
    available: bool
    reason: str
    """Why it is (or is not) worth a try, for the user."""
    hint: str | None = None
    """What the user can do to make it available."""
    suspect: bool = False
    """It opens, but this host is of a kind on which it often does not run a kernel: tried with a short deadline."""
    fingerprint: str = ""
    """Changes when what was learnt by trying it may no longer hold (host kernel, CPU, boot)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachedProcess:
    """A process started to outlive us."""

    pid: int
    poll: Callable[[], int | None]
    """Exit code once it has ended (negative: killed by that signal), None while it runs."""
    kill: Callable[[], None]
    """End it at once; does nothing once `poll` has told its end, so never hits another process of the same id."""


StreamHandler = Callable[[ByteStream], Awaitable[None]]


class Listener(Protocol):
    """A local endpoint that is being served."""

    async def aclose(self) -> None:
        """Stop listening, remove the endpoint's name, end its connections. Idempotent."""
        ...


class BlockingStream(Protocol):
    """The few methods of a socket that a blocking client needs, with a socket's meanings and errors."""

    def settimeout(self, value: float | None, /) -> None:
        """Seconds until recv and sendall raise TimeoutError."""
        ...

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""
        ...

    def recv(self, size: int, /) -> bytes:
        """The next bytes; b"" once the peer has closed."""
        ...

    def close(self) -> None:
        """Close both ways."""
        ...


class Host(Protocol):
    """One operating system."""

    name: str
    """"linux", "darwin" or "windows"."""
    arch: str
    """"amd64" or "arm64", as the guest image names it."""
    max_socket_path_bytes: int
    """Longest path of a local socket, without the closing NUL."""

    def default_home(self) -> Path:
        """Where a machine lives unless the user says otherwise."""
        ...

    def image_cache(self) -> Path:
        """Where guest images are kept, shared by all machines of the user."""
        ...

    def short_run_base(self) -> Path:
        """A private directory with a short name. MAY not exist yet."""
        ...

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        """Better than software emulation, best first. Takes milliseconds, never raises."""
        ...

    def cpu_identity(self) -> str:
        """Changes with what a guest on a hardware accelerator may have found in the processor. Never raises."""
        ...

    def qemu_candidates(self, arch: str) -> tuple[Path, ...]:
        """Where the QEMU for `arch` may be, best first; only files that exist."""
        ...

    def qemu_hint(self, arch: str) -> str:
        """How the user gets QEMU on this system."""
        ...

    def spawn_detached(
        self, argv: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> DetachedProcess:
        """Start a program that outlives us, with no input, its output appended to `output`.

        Files that it makes are private to the user. Raises OSError when it cannot be started.
        """
        ...

    async def listen(self, address: Path, handler: StreamHandler) -> Listener:
        """Serve a local endpoint that only this user can open; one task per connection.

        Raises:
            WherryError: ENDPOINT_TAKEN when something that is not ours holds the name.
        """
        ...

    async def connect(self, address: Path) -> ByteStream:
        """Connect to a local endpoint. Raises OSError when nobody listens."""
        ...

    def connect_blocking(self, address: Path, *, timeout_s: float) -> BlockingStream:
        """Connect to a local endpoint, for a client without a loop. Raises OSError when nobody listens."""
        ...

    def bridge_terminal(self, connection: BlockingStream) -> None:
        """Join this process's terminal, in raw mode, to a connection until Ctrl-] is typed or the peer closes."""
        ...

    def autostart(self) -> Autostart:
        """Starting at login."""
        ...

    def allocated_bytes(self, path: Path) -> int | None:
        """What a file takes on the host's disk, which is less than its size where it has holes; None if it is gone."""
        ...

    def routes(self) -> tuple[Route, ...]:
        """Where this computer leads packets, both families. May take a second: not for the loop.

        Raises:
            WherryError: TOOL_MISSING; the system does not tell.
        """
        ...

    low_ports_on_wildcard_only: bool
    """Whether everybody may listen on ports below 1024, but on all addresses at once only (macOS)."""

    def raise_file_limit(self) -> None:
        """Let this process, and what it starts, have many files and sockets open: each published port is one."""
        ...

    def system_proxies(self) -> SystemProxies:
        """The proxies that this computer is set to. May take seconds: not for the loop. Never raises."""
        ...

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        """The authorities that it trusts. May take seconds: not for the loop. Never raises."""
        ...

    def deepen_backlog(self, pid: int, descriptor: int, backlog: int) -> bool:
        """Let more connections wait at a listening socket of another process of this user.

        Returns:
            False where the system has no way to, or refuses.
        """
        ...

    def hosts_file(self) -> Path:
        """Where the system's own list of names is. MAY not exist."""
        ...

    def docker_url(self, address: Path) -> str:
        """DOCKER_HOST for an endpoint made by `listen`."""
        ...

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop that can do all of the above."""
        ...
