"""Installs the Debian packages that the tasks need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tasks import ARCH

# By purpose.
FOR_MACHINE = (
    {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}.get(ARCH, "qemu-system"),
    "qemu-utils",
    "openssh-client",
)
FOR_IMAGE = ("mmdebstrap", "erofs-utils", "cpio", "kmod", "zstd", "xz-utils", "ca-certificates")
FOR_WINDOW = (
    "libdbus-1-3", "libegl1", "libfontconfig1", "libgl1", "libglib2.0-0", "libgssapi-krb5-2", "libx11-xcb1",
    "libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1", "libxcb-randr0", "libxcb-render-util0",
    "libxcb-shape0", "libxcb-shm0", "libxcb-sync1", "libxcb-util1", "libxcb-xfixes0", "libxcb-xkb1", "libxkbcommon0",
    "libxkbcommon-x11-0", "fonts-dejavu-core",
)  # fmt: skip
FOR_TESTS = (
    "openssh-server", "openssh-sftp-server", "busybox-static", "e2fsprogs", "xvfb", "xauth", "trayer", "xdotool",
)  # fmt: skip
RENAMED = {"libglib2.0-0": "libglib2.0-0t64"}
"""Package names that newer Debian releases have changed: old name to new."""


def install(*packages: str) -> None:
    """Install those of the packages that are missing. On another system only print them."""
    present = installed()
    missing = [package for package in packages if not {package, RENAMED.get(package)} & present]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        print(f"Not a Debian system: make sure that what these packages hold is there: {' '.join(missing)}")
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    print(f"Installing {len(missing)} Debian packages: {' '.join(missing)}", flush=True)
    subprocess.run([*apt, "update", "-qq"], check=True)
    known = [RENAMED[name] if name in RENAMED and not is_known(name) else name for name in missing]
    subprocess.run([*apt, "install", "-y", "-qq", "--no-install-recommends", *known], check=True, stdout=sys.stderr)


def installed() -> set[str]:
    """The names of all Debian packages that are installed; empty on another system."""
    if shutil.which("dpkg-query") is None:
        return set()
    command = ["dpkg-query", "-W", "-f=${Status}\t${Package}\n"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return {name for status, _, name in (line.partition("\t") for line in lines) if status.endswith("ok installed")}


def is_known(package: str) -> bool:
    """Whether apt can install a package of this name."""
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", package], capture_output=True, check=False)
    return shown.returncode == 0 and bool(shown.stdout.strip())
