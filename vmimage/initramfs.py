"""The initramfs: a static busybox, the modules needed for the root disk, and the script that mounts it.

Not compressed: it is small, and an emulated CPU unpacks it faster that way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from vmimage import cpio
from vmimage.description import HERE
from vmimage.errors import ImageError
from vmimage.modules import Module, load_order

_APPLETS = ("insmod", "mount", "sh", "switch_root", "usleep")
_SCRIPT = HERE / "initramfs.sh"


def build(packages: Path, modules: Mapping[str, Module], wanted: Iterable[str], timestamp: int) -> bytes:
    """Build the cpio archive. `wanted` names the modules to load, stored as ``/m/NN-name.ko`` in load order."""
    busybox = packages / "usr/bin/busybox"
    if not busybox.is_file():
        raise ImageError("The package busybox-static has no usr/bin/busybox.")
    entries = [
        cpio.directory("bin"),
        cpio.directory("dev"),
        cpio.directory("m"),
        cpio.directory("root"),
        cpio.directory("sys"),
        # The kernel opens it for the first process, before devtmpfs can be mounted.
        cpio.character_device("dev/console", 5, 1),
        cpio.file("bin/busybox", busybox.read_bytes(), 0o755),
        *(cpio.symlink(f"bin/{applet}", "busybox") for applet in _APPLETS),
        cpio.file("init", _SCRIPT.read_bytes(), 0o755),
    ]
    for number, name in enumerate(load_order(wanted, modules)):
        entries.append(cpio.file(f"m/{number:02d}-{name}.ko", modules[name].data))
    return cpio.archive(entries, timestamp)
