"""Builds or finds the guest image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks import ARCH, cache, debian


def image(arguments: list[str]) -> int:
    """Build or find the guest image and print its directory."""
    if arguments:
        print("`image` takes no arguments.", file=sys.stderr)
        return 2
    debian.install(*debian.FOR_IMAGE)
    print(build())
    return 0


def build() -> Path:
    """Return the directory of the guest image in the cache; build it if there is none for this tree's description."""
    key = capture(sys.executable, "-m", "vmimage", "key", "--arch", ARCH).strip()
    directory = cache() / "images" / f"{ARCH}-{key[:16]}"
    if not (directory / "manifest.json").exists():
        print(f"Building the guest image into {directory} (some minutes, once)", flush=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "vmimage", "build", "--arch", ARCH, "--output", str(directory)]
        subprocess.run(command, check=True)
    return directory


def capture(*command: str) -> str:
    """Run a command and return its standard output."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
