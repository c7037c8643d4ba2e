"""`Host` for Linux: KVM, XDG directories."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from pathlib import Path
from typing import Final

import psutil

from backend.host import certificates, proxies
from backend.host.autostart import XdgAutostart
from backend.host.base import AcceleratorFact
from backend.host.certificates import CertificateSource
from backend.host.dirs import user_cache_dir, user_data_dir
from backend.host.proxies import SystemProxies
from backend.host.routes import Route, parse_linux_v4, parse_linux_v6, routes_unreadable
from backend.host.systems import linux_sockets
from backend.host.systems.posix import PosixHost
from backend.host.systems.session_managers import LoginEntry, SessionManager, SystemdUser
from backend.messages import Message, message

_KVM_GET_API_VERSION: Final = 0xAE00
_KVM_API_VERSION: Final = 12
PROC_NET_VARIABLE: Final = "WHERRY_PROC_NET"
"""Environment variable with a directory to read instead of /proc/net: tests change routes there."""
_BINARIES: Final = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}


class LinuxHost(PosixHost):
    """See Host."""

    name = "linux"
    low_ports_on_wildcard_only = False

    def __init__(
        self,
        arch: str,
        *,
        kvm_device: Path = Path("/dev/kvm"),
        cpuinfo: Path = Path("/proc/cpuinfo"),
        modules: Path = Path("/sys/module"),
        proc_net: Path | None = None,
    ) -> None:
        super().__init__(arch)
        self._proc_net = proc_net or Path(os.environ.get(PROC_NET_VARIABLE) or "/proc/net")
        self._kvm_device = kvm_device
        self._cpuinfo = cpuinfo
        self._modules = modules

    def deepen_backlog(self, pid: int, descriptor: int, backlog: int) -> bool:
        """See Host: `listen` on a duplicate of the socket (Linux 5.6, and a process that we might debug)."""
        return linux_sockets.listen_again(pid, descriptor, backlog)

    def default_home(self) -> Path:
        """$XDG_DATA_HOME/wherry."""
        return user_data_dir()

    def image_cache(self) -> Path:
        """$XDG_CACHE_HOME/wherry/images."""
        return user_cache_dir() / "images"

    def autostart(self) -> XdgAutostart:
        """See Host."""
        return XdgAutostart()

    def session_managers(self) -> tuple[SessionManager, ...]:
        """systemd's user manager where it runs, else the desktop's entries for login."""
        managers: tuple[SessionManager, ...] = (SystemdUser(), LoginEntry())
        return managers if SystemdUser.is_available() else managers[::-1]

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        """KVM: whether its device opens, its interface version, and whether this host is itself a virtual machine."""
        return (self._kvm(),)

    def _kvm(self) -> AcceleratorFact:
        import fcntl  # not on Windows, where this module must still be importable

        def no(reason: Message, hint: Message | None) -> AcceleratorFact:
            return AcceleratorFact(name="kvm", title="KVM", available=False, reason=reason, hint=hint)

        device = self._kvm_device
        if not device.exists():
            return no(
                message("{device} doesn't exist.", device=device),
                message(
                    "Turn on virtualization (VT-x or AMD-V) in the firmware and load the kvm module. In a virtual "
                    "machine, turn on nested virtualization."
                ),
            )
        try:
            descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            return no(
                message("You don't have permission to open {device}.", device=device),
                message("Join its group (sudo usermod -aG kvm $USER), then log in again."),
            )
        except OSError as error:
            return no(message("{device} can't be opened: {error}.", device=device, error=error), None)
        try:
            version = fcntl.ioctl(descriptor, _KVM_GET_API_VERSION, 0)
        except OSError as error:
            return no(message("{device} doesn't respond as KVM: {error}.", device=device, error=error), None)
        finally:
            os.close(descriptor)
        if version != _KVM_API_VERSION:
            return no(
                message(
                    "{device} has interface version {version} instead of {wanted}.",
                    device=device,
                    version=version,
                    wanted=_KVM_API_VERSION,
                ),
                None,
            )
        suspicion = self._suspicion()
        return AcceleratorFact(
            name="kvm",
            title="KVM",
            available=True,
            reason=suspicion or message("{device} is available.", device=device),
            suspect=suspicion is not None,
            fingerprint=f"{platform.release()}/{self._cpu_model()}/{psutil.boot_time():.0f}",
        )

    def _suspicion(self) -> Message | None:
        """Why KVM may fail although it opens: in a guest without nested virtualisation it cannot run a kernel."""
        if (self._modules / "kvm_pvm").exists():
            return message("This computer is a virtual machine whose KVM works without hardware support.")
        flags = self._cpuinfo_field("flags").split()
        if self.arch == "amd64" and "hypervisor" in flags and not {"vmx", "svm"} & set(flags):
            return message("This computer is a virtual machine without nested virtualization.")
        return None

    def _cpu_model(self) -> str:
        return self._cpuinfo_field("model name") or platform.machine()

    def _cpuinfo_field(self, name: str) -> str:
        try:
            text = self._cpuinfo.read_text(errors="replace")
        except OSError:
            return ""
        for line in text.splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
        return ""

    def cpu_identity(self) -> str:
        """Model name and a digest of the feature flags."""
        features = " ".join(sorted((self._cpuinfo_field("flags") or self._cpuinfo_field("Features")).split()))
        return f"{self._cpu_model()}/{hashlib.sha256(features.encode()).hexdigest()[:16]}"

    def routes(self) -> tuple[Route, ...]:
        """The kernel's main routing tables."""
        try:
            text = (self._proc_net / "route").read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise routes_unreadable(f"cat {self._proc_net / 'route'}", error.strerror or str(error)) from error
        try:
            text6 = (self._proc_net / "ipv6_route").read_text(encoding="ascii", errors="replace")
        except OSError:  # a kernel without IPv6
            text6 = ""
        return parse_linux_v4(text) + parse_linux_v6(text6)

    def system_proxies(self) -> SystemProxies:
        """Environment variables, else GNOME's settings."""
        return proxies.from_environment() or proxies.from_gnome()

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        """The distribution's bundle."""
        return certificates.from_linux()

    def qemu_candidates(self, arch: str) -> tuple[Path, ...]:
        """The distribution's QEMU, on the PATH."""
        program = shutil.which(_BINARIES[arch])
        return (Path(program),) if program else ()

    def qemu_hint(self, arch: str) -> Message:
        """The distribution's package."""
        debian = {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}[arch]
        return message(
            "Install QEMU: sudo apt install {package} qemu-utils (Debian, Ubuntu) "
            "or sudo dnf install qemu-kvm qemu-img (Fedora).",
            package=debian,
        )
