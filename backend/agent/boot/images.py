"""Chooses the guest image that the machine starts with: the same as before, until the user updates.

    the image that an update tries > $WHERRY_IMAGE > the setting image.directory > the pin > the newest in the cache

The pin (machine/image.json) is written when the engine has answered with an image, so that a newer image in the cache
is not used without an update. The image that an update tries is recorded in the operation's journal only: without the
journal, for example after a crash, the machine starts with the image it had.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from backend.agent.core import journal
from backend.control import messages
from backend.errors import ProblemCode, WherryError, fail
from backend.files import explain_os_error, write_private
from backend.host.base import Host
from backend.messages import message
from backend.paths import MachineDir
from backend.settings.config import Config
from backend.vm import image
from backend.vm.image import ImageFacts

IMAGE_VARIABLE: Final = "WHERRY_IMAGE"
"""Environment variable with the image's directory; takes precedence over the settings."""
UPDATE: Final = messages.ApplyUpdate.wire_name
TRYING: Final = "trying"
"""The stage of an update in which the machine starts with the image in `details["directory"]` of the journal."""


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The content of machine/image.json."""

    directory: str
    version: str
    refused: tuple[str, ...] = ()
    """Manifest digests of images to which an update failed: they are not installed automatically again."""


def pinned(directory: MachineDir) -> Pin | None:
    """The image that the machine ran with last; None if that is not known."""
    try:
        return msgspec.json.decode(directory.image_pin.read_bytes(), type=Pin)
    except (OSError, msgspec.DecodeError):
        return None


def pin(directory: MachineDir, facts: ImageFacts) -> None:
    """Save this image as the pin. Raises WherryError (HOST_DISK_FULL, PATH_UNUSABLE)."""
    before = pinned(directory)
    _write(
        directory,
        Pin(
            directory=str(facts.directory), version=facts.version, refused=before.refused if before is not None else ()
        ),
    )


def refuse(directory: MachineDir, facts: ImageFacts) -> None:
    """Do not install this image automatically again. Raises WherryError (HOST_DISK_FULL, PATH_UNUSABLE)."""
    before = pinned(directory) or Pin(directory="", version="")
    if facts.digest not in before.refused:
        _write(directory, msgspec.structs.replace(before, refused=(*before.refused[-7:], facts.digest)))


def named(config: Config) -> Path | None:
    """The image directory from the environment or the settings; None if neither is set."""
    chosen = os.environ.get(IMAGE_VARIABLE) or config.image.directory
    return Path(chosen).expanduser() if chosen else None


def directory_of(config: Config, host: Host, directory: MachineDir) -> Path:
    """The directory of the image for the next start. Raises WherryError (IMAGE_MISSING)."""
    left = journal.load(directory.operation_journal)
    if left is not None and left.name == UPDATE and left.stage == TRYING:
        return Path(str(left.details.get("directory")))
    if (chosen := named(config)) is not None:
        return chosen
    kept = pinned(directory)
    if kept is not None and kept.directory and (Path(kept.directory) / image.MANIFEST).is_file():
        return Path(kept.directory)
    found = cached(host)
    if not found:
        raise fail(
            ProblemCode.IMAGE_MISSING,
            message("There is no guest image for {arch} in {folder}.", arch=host.arch, folder=host.image_cache()),
            hint=message("Build one: python3 packaging/dev.py image"),
        )
    return found[-1]


def cached(host: Host) -> list[Path]:
    """Directories of the cached images for this host's architecture, oldest first."""
    dated: list[tuple[float, Path]] = []
    for manifest in host.image_cache().glob(f"{host.arch}-*/{image.MANIFEST}"):
        try:
            dated.append((manifest.stat().st_mtime, manifest.parent))
        except OSError:
            continue  # it is being removed
    return [path for _, path in sorted(dated)]


def offer(config: Config, host: Host, directory: MachineDir) -> ImageFacts | None:
    """A newer image in the cache than the pinned one; None if there is none, or if an image directory is set."""
    if named(config) is not None or (kept := pinned(directory)) is None or not kept.directory:
        return None
    directories = cached(host)
    if not directories:
        return None
    try:
        newest, present = image.read_facts(directories[-1]), image.read_facts(Path(kept.directory))
        is_newer = _written_at(newest.directory) > _written_at(present.directory)
    except (OSError, WherryError):
        return None  # it is incomplete or damaged: not offered
    return newest if is_newer and newest.digest != present.digest else None


def _written_at(directory: Path) -> float:
    return (directory / image.MANIFEST).stat().st_mtime


def _write(directory: MachineDir, content: Pin) -> None:
    try:
        write_private(directory.image_pin, msgspec.json.encode(content))
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
