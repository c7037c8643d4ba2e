"""``manifest.json``: the content of an image directory, and its verification."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vmimage.errors import ImageError

NAME = "manifest.json"
FORMAT = 1
_AGAIN = "Build or download the image again."
ARTEFACTS = ("kernel", "initramfs", "root")


def digest(path: Path) -> str:
    """SHA-256 of the file, as 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def artefact(path: Path, **more: str) -> dict[str, Any]:
    """{"file", "size" (bytes), "sha256"} of `path`, and `more`."""
    return {"file": path.name, "size": path.stat().st_size, "sha256": digest(path), **more}


def write(
    directory: Path,
    *,
    arch: str,
    version: str,
    cmdline: str,
    cmdline_emulated: str,
    packages: Mapping[str, str],
    timestamp: int,
    docker_version: str,
    ssh_port: int,
    artefacts: Mapping[str, Mapping[str, Any]],
    authorities: Sequence[str] = (),
) -> None:
    """Write the manifest of `directory`; keys have a fixed order, so that equal images have equal manifests.

    cmdline: kernel parameters; cmdline_emulated: additional ones for an emulated CPU. ssh_port: port of the guest's SSH
    server on its network interface. authorities: fingerprints of the certificates that the engine trusts by default.
    """
    content = {
        "format": FORMAT,
        "arch": arch,
        "version": version,
        "timestamp": timestamp,
        "cmdline": cmdline,
        "cmdline_emulated": cmdline_emulated,
        "docker_version": docker_version,
        "ssh_port": ssh_port,
        **artefacts,
        "packages": dict(sorted(packages.items())),
        "authorities": list(authorities),
    }
    (directory / NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(directory: Path) -> dict[str, Any]:
    """Read the manifest of an image directory. ImageError: missing, not JSON, another format, or a missing key."""
    try:
        content = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ImageError(f"{directory} holds no image: it has no {NAME}.", advice=_AGAIN) from error
    except (OSError, ValueError) as error:
        raise ImageError(f"The {NAME} in {directory} cannot be read: {error}.", advice=_AGAIN) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ImageError(f"The {NAME} in {directory} is not of format {FORMAT}.", advice=_AGAIN)
    for key in ("arch", "version", "cmdline", "cmdline_emulated"):
        if not isinstance(content.get(key), str):
            raise ImageError(f"The {NAME} in {directory} lacks {key!r}.", advice=_AGAIN)
    for key in ARTEFACTS:
        part = content.get(key)
        if (
            not isinstance(part, dict)
            or not isinstance(part.get("file"), str)
            or not isinstance(part.get("size"), int)
            or not isinstance(part.get("sha256"), str)
        ):
            raise ImageError(f"The {NAME} in {directory} does not describe the {key}.", advice=_AGAIN)
        # A file name from the manifest must not refer outside its directory.
        if part["file"] in {"", ".", ".."} or "/" in part["file"] or "\\" in part["file"]:
            raise ImageError(
                f"The {NAME} in {directory} names the {key} file {part['file']!r}, which is no file name.",
                advice=_AGAIN,
            )
    return content


def verify(directory: Path) -> dict[str, Any]:
    """Verify size and digest of every artefact, and return the manifest; ImageError names the first mismatch."""
    content = read(directory)
    for key in ARTEFACTS:
        part = content[key]
        path = directory / part["file"]
        if not path.is_file():
            raise ImageError(f"The image lacks its {key}, the file {part['file']}.", advice=_AGAIN)
        if (size := path.stat().st_size) != part["size"]:
            raise ImageError(
                f"The image's {key} has {size} bytes instead of {part['size']}: it is cut off or damaged.",
                advice=_AGAIN,
            )
        if digest(path) != part["sha256"]:
            raise ImageError(f"The image's {key} does not have the content that its manifest states.", advice=_AGAIN)
    return content
