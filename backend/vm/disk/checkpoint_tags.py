"""Checkpoint metadata, stored in the tags of the disk's snapshots.

wherry1.ID.TIME.REASON.SIZE.IMAGE.NAME

ID is eight hexadecimal digits, TIME milliseconds since the epoch, SIZE the disk's in GiB, IMAGE the guest image's
version ("" if unknown), NAME the user's in URL-safe base64 ("" if none). QEMU silently truncates a tag at 255 bytes, so
names are limited. There is no second list that could differ, and a copied or moved disk keeps its checkpoints. A tag in
another format belongs to a snapshot of another program.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final

from backend.errors import ProblemCode, fail
from backend.messages import message

MANUAL: Final = "manual"
BEFORE_UPDATE: Final = "before-update"
BEFORE_RESIZE: Final = "before-resize"
BEFORE_RESET: Final = "before-reset"
BEFORE_RESTORE: Final = "before-restore"
MAX_NAME_BYTES: Final = 110
MAX_TAG_BYTES: Final = 255
_TAG: Final = re.compile(
    r"wherry1\.([0-9a-f]{8})\.([0-9]{1,15})\.([a-z][a-z-]{0,20})\.([0-9]{1,5})\.([\w+-]{0,24})\.([\w-]*)", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A snapshot of the data disk."""

    id: str
    """Eight hexadecimal digits; "foreign-N" for another program's snapshot, where N is its number in the disk."""
    name: str
    """The user's name for it, "" if none; for a foreign snapshot its sanitised tag."""
    reason: str
    """MANUAL, BEFORE_UPDATE...; "" for a foreign snapshot."""
    created_at: float
    """Seconds since the epoch."""
    size_gib: int | None
    """Size of the disk at that time; None when unknown."""
    image_version: str
    tag: str
    """The tag in the disk. Untrusted when `foreign`."""
    number: str
    """The snapshot's number in the disk, as assigned by QEMU."""
    foreign: bool = False

    @property
    def automatic(self) -> bool:
        """Whether Wherry created it automatically, and may prune it."""
        return not self.foreign and self.reason != MANUAL


def check_name(name: str) -> str:
    """Validate and normalise a name. Raises WherryError (BAD_REQUEST) when it is too long or not printable."""
    cleaned = " ".join(name.split())
    if not all(character.isprintable() for character in cleaned):
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("A checkpoint name can't contain control characters."),
            hint=message("Use letters, digits, symbols and spaces."),
        )
    if len(cleaned.encode()) > MAX_NAME_BYTES:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "This checkpoint name is too long: {count} bytes; the maximum is {most}.",
                count=len(cleaned.encode()),
                most=MAX_NAME_BYTES,
            ),
            hint=message("Choose a shorter name."),
        )
    return cleaned


def new_tag(*, reason: str, name: str, size_gib: int, image_version: str) -> str:
    """The tag of a checkpoint created now. `name` MUST be validated."""
    version = re.sub(r"[^\w+-]", "-", image_version, flags=re.ASCII)[:24]
    encoded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    tag = f"wherry1.{secrets.token_hex(4)}.{time.time_ns() // 1_000_000}.{reason}.{size_gib}.{version}.{encoded}"
    assert len(tag) <= MAX_TAG_BYTES
    assert _TAG.fullmatch(tag)
    return tag


def read(untrusted_tag: str, *, number: str, seconds: float) -> Checkpoint:
    """Convert a snapshot into a checkpoint.

    Args:
        untrusted_tag: may come from another program.
        number: the snapshot's number in the disk.
        seconds: QEMU's creation time, seconds since the epoch; used for foreign snapshots.
    """
    name = None
    if match := _TAG.fullmatch(untrusted_tag):
        identity, milliseconds, reason, size, version, encoded = match.groups()
        name = _decode(encoded)
    if match is None or name is None:
        shown = "".join(
            character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in untrusted_tag
        )
        return Checkpoint(
            id=f"foreign-{number}",
            name=shown,
            reason="",
            created_at=seconds,
            size_gib=None,
            image_version="",
            tag=untrusted_tag,
            number=number,
            foreign=True,
        )
    return Checkpoint(
        id=identity,
        name=name,
        reason=reason,
        created_at=int(milliseconds) / 1000,
        size_gib=int(size),
        image_version=version,
        tag=untrusted_tag,
        number=number,
    )


def _decode(encoded: str) -> str | None:
    """Decode the name; None when `new_tag` did not encode it."""
    try:
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if all(character.isprintable() for character in name) else None
