"""The operating system of this computer. Only this package reads `sys.platform`."""

from __future__ import annotations

import platform
import sys
from functools import lru_cache

from backend.host.base import Host

__all__ = ["Host", "current"]

_ARCHES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}


@lru_cache(maxsize=1)
def current() -> Host:
    """The implementation of `Host` for the system that this process runs on."""
    arch = _ARCHES.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "win32":
        from backend.host.systems.windows import WindowsHost

        return WindowsHost(arch)
    if sys.platform == "darwin":
        from backend.host.systems.macos import MacHost

        return MacHost(arch)
    from backend.host.systems.linux import LinuxHost

    return LinuxHost(arch)
