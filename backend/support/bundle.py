"""Writes the support bundle: a zip archive of limited size that only the user can read.

It is written under a temporary name and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.control.launch import agent_answers, machine_directory
from backend.errors import Cancelled, Problem, ProblemCode, WherryError, fail
from backend.host import current as current_host
from backend.messages import Message, message
from backend.support.gather import PIECE_BYTES, Gatherer

MAX_BYTES: Final = 24 * 1024**2
"""Limit for all pieces together, before compression."""
_HEAD: Final = """\
Wherry support bundle

Made by Wherry on this computer when you asked for it. It was sent nowhere: who gets it is up to you.
Removed were: private keys, passwords, tokens, log-ins of registries, users and passwords in addresses, your login name,
and the name of your home directory (~). Logs may still hold names of your containers, images and files: have a look.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleEntry:
    """One file in the bundle."""

    name: str
    what: Message
    size: int
    """In bytes, before compression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportBundle:
    """The written archive and its contents."""

    path: Path
    size: int
    """Of the archive, in bytes."""
    entries: tuple[BundleEntry, ...]
    missing: tuple[str, ...]
    """Pieces that could not be collected, each with the reason."""


def default_name() -> str:
    """A file name for a new bundle, with the current time."""
    return time.strftime("wherry-support-%Y%m%d-%H%M%S.zip")


def make_support_bundle(
    home: Path | None,
    target: Path,
    *,
    progress: Callable[[str, float], object] = lambda _what, _fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> SupportBundle:
    """Collect all pieces and write the archive. Blocks for seconds, up to a minute. Needs no agent.

    Args:
        home: the machine's home directory; None: the default one.
        target: path of the archive. An existing file is replaced atomically.
        progress: called with the name of the piece that is collected, and the completed fraction, 0 to 1.
        cancelled: called before each piece; True cancels, and no file is left.

    Raises:
        WherryError: PATH_UNUSABLE or HOST_DISK_FULL, the archive cannot be written; Cancelled.
    """
    host, directory = current_host(), machine_directory(home)
    gatherer = Gatherer(host, directory, agent_alive=agent_answers(host, directory))
    target = target.expanduser().absolute()
    partial = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            entries, missing = _fill(archive, gatherer, progress, cancelled)
        size = partial.stat().st_size
        partial.replace(target)
    except OSError as error:
        raise fail(
            ProblemCode.HOST_DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ProblemCode.PATH_UNUSABLE,
            message("Couldn't save the support bundle: {error}.", error=error.strerror or error),
            command=str(error.filename or target),
            hint=message("Save it to another place: wherry support-bundle FILE"),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    progress("", 1.0)
    return SupportBundle(path=target, size=size, entries=tuple(entries), missing=tuple(missing))


def _fill(
    archive: zipfile.ZipFile,
    gatherer: Gatherer,
    progress: Callable[[str, float], object],
    cancelled: Callable[[], bool],
) -> tuple[list[BundleEntry], list[str]]:
    pieces = list(gatherer.pieces())
    entries: list[BundleEntry] = []
    missing: list[str] = []
    remaining = MAX_BYTES
    for number, piece in enumerate(pieces):
        if cancelled():
            raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary=message("The support bundle was canceled.")))
        progress(piece.name, number / len(pieces))
        try:
            content = gatherer.clean(piece).encode("utf-8", "replace")[-PIECE_BYTES:]
        except WherryError as error:
            missing.append(gatherer.redactor.text(f"{piece.name}: {error.problem.summary}"))
            continue
        except OSError as error:
            missing.append(f"{piece.name}: {error.strerror or type(error).__name__}")
            continue
        except Exception as error:  # noqa: BLE001 -- a defect in one piece must not cost the others
            missing.append(f"{piece.name}: a defect of Wherry's ({type(error).__name__})")
            continue
        if len(content) > remaining:
            missing.append(f"{piece.name}: the bundle would have become too large")
            continue
        remaining -= len(content)
        _write(archive, piece.name, content)
        entries.append(BundleEntry(name=piece.name, what=piece.what, size=len(content)))
    lines = [_HEAD, "In it:", *(f"  {entry.name}: {entry.what}" for entry in entries)]
    if missing:
        lines += ["", "Could not be had:", *(f"  {line}" for line in missing)]
    _write(archive, "README.txt", "\n".join(lines).encode() + b"\n")
    return entries, missing


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(f"wherry-support/{name}", date_time=time.localtime()[:6])
    entry.external_attr = 0o600 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
