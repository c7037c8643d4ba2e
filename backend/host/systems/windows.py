"""`Host` for Windows: WHPX, local application data, named pipes with an explicit access list. Not yet tested.

Design (2026-11):
- Local endpoints are named pipes in message mode: the Docker clients' half-close on a pipe is an empty message, which
  only a message pipe can carry. The access list names this user and SYSTEM, because the default one lets everyone
  read; remote clients are refused.
- CPython has no Unix sockets on Windows although QEMU has: the monitor, control port and console need TlsAddress (TCP
  on 127.0.0.1 with mutual TLS), which the command line builder supports and the driver does not yet. Until then,
  `listen`, `connect` and `connect_blocking` raise errors.
- The docker pipe in the session: a keeper, as on the other systems (backend/host/session/keeper.py), but a pipe has no
  listening socket to hand over. The keeper makes the first instance (FILE_FLAG_FIRST_PIPE_INSTANCE, which decides who
  owns the name) and the agent further ones, which the access list allows to this user. While an agent holds the
  keeper's control pipe, the keeper's instance stays unconnected, and clients reach the agent's. When that connection
  breaks, the keeper waits in ConnectNamedPipe; the client that comes makes it start an agent, which gets the connected
  instance by DuplicateHandle. It starts at login from the Run key. Not written yet.
- QEMU must be at least 11.1.1 for WHPX with `-cpu host`; older ones get qemu64 and no kernel interrupt controller.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, WherryError, fail
from backend.host import certificates, proxies
from backend.host.autostart import RunKey
from backend.host.base import AcceleratorFact, BlockingStream, DetachedProcess, KeptListener, Listener, StreamHandler
from backend.host.certificates import CertificateSource
from backend.host.dirs import user_cache_dir, user_data_dir
from backend.host.proxies import SystemProxies
from backend.host.routes import Route, parse_windows, run_and_parse
from backend.host.session.place import EndpointPlace
from backend.messages import Message, message
from backend.stream import ByteStream

_BINARIES: Final = {"amd64": "qemu-system-x86_64w.exe", "arm64": "qemu-system-aarch64w.exe"}
"""The `w` programs: the plain ones open a console window."""
_WHV_HYPERVISOR_PRESENT: Final = 0
_CREATE_NO_WINDOW: Final = 0x0800_0000
_CREATE_NEW_PROCESS_GROUP: Final = 0x0000_0200
_CREATE_BREAKAWAY_FROM_JOB: Final = 0x0100_0000


class WindowsHost:
    """See Host."""

    name = "windows"
    low_ports_on_wildcard_only = False
    max_socket_path_bytes = 32_000  # names of pipes are made from a digest, whatever the path's length

    def __init__(self, arch: str) -> None:
        self.arch = arch

    def default_home(self) -> Path:
        r"""%LOCALAPPDATA%\wherry."""
        return user_data_dir()

    def image_cache(self) -> Path:
        r"""%LOCALAPPDATA%\wherry\Cache\images."""
        return user_cache_dir() / "images"

    def short_run_base(self) -> Path:
        """Never needed: see max_socket_path_bytes."""
        return user_data_dir() / "run"

    def autostart(self) -> RunKey:
        """See Host."""
        return RunKey()

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        """WHPX, as reported by the Windows Hypervisor Platform."""
        title = "Windows Hypervisor Platform"
        hint = message(
            "Turn on the Windows feature in an administrator's terminal, then restart the computer: "
            "DISM /online /Enable-Feature /FeatureName:HypervisorPlatform /All"
        )
        try:
            library = ctypes.CDLL("WinHvPlatform.dll")
            present = ctypes.c_int32(0)
            written = ctypes.c_uint32(0)
            result = library.WHvGetCapability(
                _WHV_HYPERVISOR_PRESENT, ctypes.byref(present), ctypes.sizeof(present), ctypes.byref(written)
            )
        except (OSError, AttributeError):
            reason = message("WinHvPlatform.dll is missing.")
            return (AcceleratorFact(name="whpx", title=title, available=False, reason=reason, hint=hint),)
        if result != 0 or not present.value:
            reason = message("Windows reports no hypervisor.")
            return (AcceleratorFact(name="whpx", title=title, available=False, reason=reason, hint=hint),)
        fingerprint = f"{platform.version()}/{platform.processor()}"
        return (
            AcceleratorFact(
                name="whpx",
                title=title,
                available=True,
                reason=message("A hypervisor is present."),
                fingerprint=fingerprint,
            ),
        )

    def cpu_identity(self) -> str:
        """Architecture and processor name; features are not available to Python."""
        return f"{platform.machine()}/{platform.processor()}"

    def routes(self) -> tuple[Route, ...]:
        """IPv4 only, from route.exe."""
        return run_and_parse(("route.exe", "print", "-4"), parse_windows)

    def system_proxies(self) -> SystemProxies:
        """Environment variables, else the Internet settings."""
        return proxies.from_environment() or proxies.from_windows()

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        """The certificate stores of the system and the user."""
        return certificates.from_windows()

    def qemu_candidates(self, arch: str) -> tuple[Path, ...]:
        """QEMU on the PATH and in its installer's directory."""
        name = _BINARIES[arch]
        program = shutil.which(name)
        places = [Path(program)] if program else []
        places.append(Path(os.environ.get("PROGRAMFILES", r"C:\Program Files")) / "qemu" / name)
        return tuple(dict.fromkeys(place for place in places if place.exists()))

    def qemu_hint(self, arch: str) -> Message:
        """QEMU's installer."""
        del arch
        return message("Install QEMU 11.1.1 or newer for Windows.")

    def spawn_detached(
        self, argv: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> DetachedProcess:
        """See Host. Without a console window, and outside our job object if that is allowed."""
        flags = _CREATE_NO_WINDOW | _CREATE_NEW_PROCESS_GROUP
        try:
            return self._spawn(argv, output, environment, flags | _CREATE_BREAKAWAY_FROM_JOB)
        except PermissionError:
            return self._spawn(argv, output, environment, flags)  # our own job forbids it

    def _spawn(
        self, argv: Sequence[str], output: Path, environment: Mapping[str, str] | None, flags: int
    ) -> DetachedProcess:
        with output.open("ab") as log:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                close_fds=True,
                creationflags=flags,
                env=None if environment is None else dict(environment),
            )
        return DetachedProcess(pid=process.pid, poll=process.poll, kill=process.kill)

    async def listen(self, address: Path, handler: StreamHandler) -> Listener:
        """See Host."""
        del handler
        raise self._not_yet(address)

    def session_endpoint(self, place: EndpointPlace) -> None:
        """See Host. Not yet: see the design above."""

    async def listen_kept(
        self, place: EndpointPlace, handler: StreamHandler, *, wanted: Callable[[], bool]
    ) -> KeptListener:
        """See Host."""
        del handler, wanted
        raise self._not_yet(place.docker_socket)

    async def connect(self, address: Path) -> ByteStream:
        """See Host."""
        raise self._not_yet(address)

    def connect_blocking(self, address: Path, *, timeout_s: float) -> BlockingStream:
        """See Host."""
        del timeout_s
        raise OSError(f"nobody listens on {self.pipe_name(address)}")

    def bridge_terminal(self, connection: BlockingStream) -> None:
        """See Host."""
        del connection
        raise fail(
            ProblemCode.INTERNAL,
            message("The console isn't available on Windows yet."),
            hint=message("Use: wherry shell"),
        )

    def pipe_name(self, address: Path) -> str:
        r"""The pipe used in place of a socket: \\.\pipe\wherry-<digest of the directory>-<file name>."""
        digest = hashlib.sha256(str(address.parent).lower().encode()).hexdigest()[:12]
        return rf"\\.\pipe\wherry-{digest}-{address.stem}"

    def pipe_security(self, user_sid: str) -> str:
        """The access list of our pipes in SDDL: SYSTEM and this user, nothing inherited."""
        return f"D:P(A;;GA;;;SY)(A;;GA;;;{user_sid})"

    def allocated_bytes(self, path: Path) -> int | None:
        """See Host. Files on Windows are sparse only on request, which QEMU does not make."""
        try:
            return path.stat().st_size
        except OSError:
            return None

    def raise_file_limit(self) -> None:
        """See Host: Windows has no such limit."""

    def deepen_backlog(self, pid: int, descriptor: int, backlog: int) -> bool:  # noqa: ARG002 -- Host
        """See Host. Not supported here."""
        return False

    def hosts_file(self) -> Path:
        """See Host."""
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "drivers" / "etc" / "hosts"

    def docker_url(self, address: Path) -> str:
        """ "npipe://" and the pipe's name with forward slashes."""
        return "npipe://" + self.pipe_name(address).replace("\\", "/")

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """The proactor loop: the only one that supports pipes."""
        return asyncio.new_event_loop()

    def _not_yet(self, address: Path) -> WherryError:
        return fail(
            ProblemCode.INTERNAL,
            message(
                "Wherry can't serve {name} yet: Windows support isn't finished.",
                name=self.pipe_name(address),
            ),
            hint=message("Use Wherry on Linux for now."),
        )
