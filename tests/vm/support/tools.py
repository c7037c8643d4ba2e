"""Third-party programs for the tests: Debian's docker CLI, buildx, Compose and registry.

They are unpacked once from Debian packages into the user's cache, beside the guest images; nothing is installed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

SUITE = "forky"
PACKAGES = ("busybox-static", "docker-buildx", "docker-cli", "docker-compose", "docker-registry")
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Tools:
    """Paths of programs."""

    root: Path
    docker: Path
    registry: Path
    busybox: Path
    plugins: Path
    """Directory with docker-buildx and docker-compose."""


def find_tools() -> Tools:
    """Find the programs in the cache, or download them into it."""
    key = hashlib.sha256(repr((SUITE, PACKAGES)).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry" / "test-tools"
    root = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock", timeout=2 * _TIMEOUT_S):  # several workers may want them first
        if not root.exists():
            _fetch(root, PACKAGES)
    return Tools(
        root=root,
        docker=root / "usr/bin/docker",
        registry=root / "usr/bin/docker-registry",
        busybox=root / "usr/bin/busybox",
        plugins=root / "usr/libexec/docker/cli-plugins",
    )


def find_foreign_busybox() -> tuple[str, Path]:
    """Docker's name of an architecture that is not this computer's, and a static busybox for it from the cache."""
    foreign = "amd64" if platform.machine() in ("aarch64", "arm64") else "arm64"
    root = find_tools().root.with_name(f"busybox-{SUITE}-{foreign}")
    with FileLock(f"{root}.lock", timeout=2 * _TIMEOUT_S):
        if not root.exists():
            _fetch(root, ("busybox-static",), f"--architectures={foreign}")
    return foreign, root / "usr/bin/busybox"


def _fetch(root: Path, packages: tuple[str, ...], *options: str) -> None:
    temporary = root.with_name(f"{root.name}.{os.getpid()}")
    command = ["mmdebstrap", "--mode=chrootless", "--variant=extract", "--format=directory", *options]
    if _stale_index_allowed():
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    command += ['--aptopt=APT::Install-Recommends "false"', f"--include={','.join(packages)}", SUITE, str(temporary)]
    try:
        subprocess.run(command, check=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, capture_output=True)
        temporary.rename(root)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr.decode(errors="replace"))
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _stale_index_allowed() -> bool:
    from vmimage.packages import stale_index_allowed

    return stale_index_allowed(False)
