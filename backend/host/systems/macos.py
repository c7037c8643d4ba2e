"""`Host` for macOS: Hypervisor.framework, Library directories. Not yet tested on a Mac."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from backend.host import certificates, proxies
from backend.host.autostart import LaunchAgent
from backend.host.base import AcceleratorFact
from backend.host.certificates import CertificateSource
from backend.host.dirs import user_cache_dir, user_data_dir
from backend.host.proxies import SystemProxies
from backend.host.routes import Route, parse_mac, run_and_parse
from backend.host.systems.posix import PosixHost
from backend.host.systems.session_managers import Launchd, SessionManager
from backend.messages import Message, message

_BINARIES: Final = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
_SYSCTL: Final = ("/usr/sbin/sysctl", "-n", "kern.hv_support")
_PROBE_TIMEOUT_S: Final = 5


class MacHost(PosixHost):
    """See Host."""

    name = "darwin"
    low_ports_on_wildcard_only = True

    def default_home(self) -> Path:
        """~/Library/Application Support/wherry."""
        return user_data_dir()

    def image_cache(self) -> Path:
        """~/Library/Caches/wherry/images."""
        return user_cache_dir() / "images"

    def autostart(self) -> LaunchAgent:
        """See Host."""
        return LaunchAgent()

    def session_managers(self) -> tuple[SessionManager, ...]:
        """launchd."""
        return (Launchd(),)

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        """HVF, as reported by the kernel (kern.hv_support is 0 on a Mac that is itself a virtual machine)."""
        title = "Hypervisor.framework"
        try:
            answer = subprocess.run(_SYSCTL, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return (
                AcceleratorFact(
                    name="hvf", title=title, available=False, reason=message("sysctl failed: {error}", error=error)
                ),
            )
        if answer.stdout.strip() != "1":
            reason = message("kern.hv_support isn't 1: this Mac is a virtual machine or too old.")
            return (AcceleratorFact(name="hvf", title=title, available=False, reason=reason),)
        return (
            AcceleratorFact(
                name="hvf",
                title=title,
                available=True,
                reason=message("kern.hv_support is 1."),
                fingerprint=f"{platform.release()}/{platform.machine()}",
            ),
        )

    def cpu_identity(self) -> str:
        """Architecture and processor name; features are not available to Python."""
        return f"{platform.machine()}/{platform.processor()}"

    def routes(self) -> tuple[Route, ...]:
        """The output of netstat."""
        return run_and_parse(("/usr/sbin/netstat", "-rn"), parse_mac)

    def system_proxies(self) -> SystemProxies:
        """Environment variables, else the settings of the active network."""
        return proxies.from_environment() or proxies.from_macos()

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        """The keychains."""
        return certificates.from_macos()

    def qemu_candidates(self, arch: str) -> tuple[Path, ...]:
        """QEMU on the PATH and in Homebrew's directories: an app started from the Dock has a short PATH."""
        name = _BINARIES[arch]
        program = shutil.which(name)
        places = [Path(program)] if program else []
        places += [Path(prefix) / name for prefix in ("/opt/homebrew/bin", "/usr/local/bin")]
        return tuple(dict.fromkeys(place for place in places if place.exists()))

    def qemu_hint(self, arch: str) -> Message:
        """Homebrew's package."""
        del arch
        return message("Install QEMU: brew install qemu")
