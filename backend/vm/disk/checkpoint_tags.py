"""What is known of a checkpoint, in the tag of its snapshot: the truth lives in the disk alone.

    wherry1.ID.TIME.REASON.SIZE.IMAGE.NAME

ID is eight hexadecimal digits, TIME milliseconds since the epoch, SIZE the disk's in GiB, IMAGE the guest image's
version ("" if unknown), NAME the user's in URL-safe base64 ("" if none). QEMU cuts a tag silently at 255 bytes, so
names are bounded. A disk that is copied or moved takes its checkpoints with it, and there is no second list that could
differ. A tag that is not of this form belongs to a snapshot of another program.
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
    """One snapshot of the data disk."""

    id: str
    """Eight hexadecimal digits; "foreign-N" for another program's, N being its number in the disk."""
    name: str
    """As the user gave it, "" if none; of a foreign one its tag, cleaned."""
    reason: str
    """MANUAL, BEFORE_UPDATE...; "" for a foreign one."""
    created_at: float
    """Seconds since the epoch."""
    size_gib: int | None
    """Size of the disk then; None where nobody noted it."""
    image_version: str
    tag: str
    """As in the disk. Untrusted where `foreign`."""
    number: str
    """The snapshot's number in the disk, as QEMU gives it."""
    foreign: bool = False

    @property
    def automatic(self) -> bool:
        """Whether Wherry took it of its own accord, and may prune it."""
        return not self.foreign and self.reason != MANUAL


def check_name(name: str) -> str:
    """The name as it is kept. Raises WherryError (BAD_REQUEST) for one that cannot be shown or is too long."""
    cleaned = " ".join(name.split())
    if not all(character.isprintable() for character in cleaned):
        raise fail(
            ProblemCode.BAD_REQUEST,
            "A checkpoint's name cannot have control characters in it.",
            hint="Use letters, digits, signs and spaces.",
        )
    if len(cleaned.encode()) > MAX_NAME_BYTES:
        raise fail(
            ProblemCode.BAD_REQUEST,
            f"This name is too long for a checkpoint: {len(cleaned.encode())} bytes; at most {MAX_NAME_BYTES} fit.",
            hint="Choose a shorter one.",
        )
    return cleaned


def new_tag(*, reason: str, name: str, size_gib: int, image_version: str) -> str:
    """The tag of a checkpoint taken now; `name` has been checked."""
    version = re.sub(r"[^\w+-]", "-", image_version, flags=re.ASCII)[:24]
    encoded = base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    tag = f"wherry1.{secrets.token_hex(4)}.{time.time_ns() // 1_000_000}.{reason}.{size_gib}.{version}.{encoded}"
    assert len(tag) <= MAX_TAG_BYTES
    assert _TAG.fullmatch(tag)
    return tag


def read(untrusted_tag: str, *, number: str, seconds: float) -> Checkpoint:
    """The checkpoint that a snapshot is.

    Args:
        untrusted_tag: anybody can have written it.
        number: the snapshot's number in the disk.
        seconds: when it was taken by QEMU's note, since the epoch; used for foreign ones.
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
    """The name; None if this is not what `new_tag` writes."""
    try:
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if all(character.isprintable() for character in name) else None
