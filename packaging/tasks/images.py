"""The guest image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tasks import ARCH, cache, debian


def image(arguments: list[str]) -> int:
    """Build or find the guest image, and print where it is."""
    if arguments:
        print("`image` takes no arguments.", file=sys.stderr)
        return 2
    debian.install(*debian.FOR_IMAGE)
    print(build())
    return 0


def build() -> Path:
    """The guest image of this tree's description: found in the cache by its content, or built into it."""
    key = capture(sys.executable, "-m", "vmimage", "key", "--arch", ARCH).strip()
    directory = cache() / "images" / f"{ARCH}-{key[:16]}"
    if not (directory / "manifest.json").exists():
        print(f"Building the guest image into {directory} (some minutes, once)", flush=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "vmimage", "build", "--arch", ARCH, "--output", str(directory)]
        subprocess.run(command, check=True)
    return directory


def capture(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
