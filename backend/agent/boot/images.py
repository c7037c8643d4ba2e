"""Which guest image a machine runs with: the one it ran with before, until it is updated.

    the one that is being tried by an update > $WHERRY_IMAGE > the setting image.directory > the pin > the newest

The pin (machine/image.json) is written once the engine has answered with an image, so that a newer one in the cache
changes nothing by itself. An image on trial is named by the operation's journal and by nothing else: without that
journal, whatever became of the agent, the machine starts with what it had.
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
from backend.paths import MachineDir
from backend.settings.config import Config
from backend.vm import image
from backend.vm.image import ImageFacts

IMAGE_VARIABLE: Final = "WHERRY_IMAGE"
"""Environment variable that names the image's directory, over the settings."""
UPDATE: Final = messages.ApplyUpdate.wire_name
TRYING: Final = "trying"
"""The stage of an update in which the machine starts with the image that is named by `directory` in its details."""


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file."""

    directory: str
    version: str
    refused: tuple[str, ...] = ()
    """Digests of manifests with which an update failed: such an image is not taken by itself again."""


def pinned(directory: MachineDir) -> Pin | None:
    """What the machine ran with last; None when that is not known."""
    try:
        return msgspec.json.decode(directory.image_pin.read_bytes(), type=Pin)
    except (OSError, msgspec.DecodeError):
        return None


def pin(directory: MachineDir, facts: ImageFacts) -> None:
    """Keep the machine at this image. Raises WherryError."""
    before = pinned(directory)
    _write(
        directory,
        Pin(
            directory=str(facts.directory), version=facts.version, refused=before.refused if before is not None else ()
        ),
    )


def refuse(directory: MachineDir, facts: ImageFacts) -> None:
    """Never take this image by itself again: an update to it failed. Raises WherryError."""
    before = pinned(directory) or Pin(directory="", version="")
    if facts.digest not in before.refused:
        _write(directory, msgspec.structs.replace(before, refused=(*before.refused[-7:], facts.digest)))


def named(config: Config) -> Path | None:
    """The directory that the environment or the settings name; None when they leave it to the machine."""
    chosen = os.environ.get(IMAGE_VARIABLE) or config.image.directory
    return Path(chosen).expanduser() if chosen else None


def directory_of(config: Config, host: Host, directory: MachineDir) -> Path:
    """Where the image is that the machine is to start with. Raises WherryError (IMAGE_MISSING)."""
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
            f"There is no guest image for {host.arch} in {host.image_cache()}.",
            hint="Build it: python3 packaging/dev.py image",
        )
    return found[-1]


def cached(host: Host) -> list[Path]:
    """The images in the cache for this host, oldest first."""
    dated: list[tuple[float, Path]] = []
    for manifest in host.image_cache().glob(f"{host.arch}-*/{image.MANIFEST}"):
        try:
            dated.append((manifest.stat().st_mtime, manifest.parent))
        except OSError:
            continue  # it is being removed
    return [path for _, path in sorted(dated)]


def offer(config: Config, host: Host, directory: MachineDir) -> ImageFacts | None:
    """A newer image than the machine's in the cache; None where there is none, or where an image is named."""
    if named(config) is not None or (kept := pinned(directory)) is None or not kept.directory:
        return None
    found = cached(host)
    if not found:
        return None
    try:
        newest, present = image.read_facts(found[-1]), image.read_facts(Path(kept.directory))
        is_newer = _written_at(newest.directory) > _written_at(present.directory)
    except (OSError, WherryError):
        return None  # one that is being written, or is damaged: not worth offering
    return newest if is_newer and newest.digest != present.digest else None


def _written_at(directory: Path) -> float:
    return (directory / image.MANIFEST).stat().st_mtime


def _write(directory: MachineDir, content: Pin) -> None:
    try:
        write_private(directory.image_pin, msgspec.json.encode(content))
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
