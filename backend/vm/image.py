"""The guest image on this host: its manifest, and verification of its files before use."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from backend.errors import ProblemCode, fail
from backend.files import write_private
from backend.messages import Message, message, sentences
from backend.vm.spec import SSH_PORT, GuestImage

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_REBUILD: Final = message("Build the image again: python3 packaging/dev.py image")


class _File(msgspec.Struct, frozen=True):
    file: str
    size: int
    sha256: str


class _AnyManifest(msgspec.Struct, frozen=True):
    """As much as a manifest of any format says."""

    format: object = None


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    arch: str
    version: str
    kernel: _File
    initramfs: _File
    root: _File
    cmdline: str
    docker_version: str
    cmdline_emulated: str = ""
    authorities: frozenset[str] = frozenset()
    ssh_port: int = SSH_PORT


_Identity = tuple[int, int, int, str]
"""Of a verified file: size, time in nanoseconds, inode, digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """Contents of an image's manifest."""

    directory: Path
    version: str
    engine_version: str
    digest: str
    """Digest of the manifest, which has the digests of all files."""
    authorities: frozenset[str] = frozenset()
    """SHA-256 of the certificates that the engine in it trusts by default; empty when the image does not list them."""


def read_facts(directory: Path) -> ImageFacts:
    """Read only the manifest. Raises WherryError (IMAGE_MISSING, IMAGE_DAMAGED)."""
    manifest = _read_manifest(directory)
    try:
        digest = hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()
    except OSError as error:
        raise _damaged(directory, message("Its manifest can't be read: {error}.", error=error.strerror)) from error
    return ImageFacts(
        directory=directory,
        version=manifest.version,
        engine_version=manifest.docker_version,
        digest=digest,
        authorities=manifest.authorities,
    )


def load(directory: Path, *, arch: str, stamp: Path) -> GuestImage:
    """Read the manifest and verify every file: by digest the first time, later by size and modification time.

    Args:
        directory: the image's directory.
        arch: architecture of this host: "amd64" or "arm64".
        stamp: file that stores what was verified.

    Raises:
        WherryError: IMAGE_MISSING or IMAGE_DAMAGED.
    """
    manifest = _read_manifest(directory)
    if manifest.arch != arch:
        raise fail(
            ProblemCode.IMAGE_DAMAGED,
            message(
                "The guest image in {folder} is for {other}, but this computer needs {own}.",
                folder=directory,
                other=manifest.arch,
                own=arch,
            ),
            hint=_REBUILD,
        )
    verified = _load_stamp(stamp)
    fresh: dict[str, _Identity] = {}
    for entry in (manifest.kernel, manifest.initramfs, manifest.root):
        if Path(entry.file).name != entry.file:
            raise _damaged(
                directory, message("The manifest names the file “{path}” outside its folder.", path=entry.file)
            )
        path = directory / entry.file
        fresh[str(path)] = _verify(path, entry, verified.get(str(path)))
    if fresh != verified:
        with contextlib.suppress(OSError):  # the stamp could not be written: the files are hashed again next time
            write_private(stamp, msgspec.json.encode(fresh))
    return GuestImage(
        directory=directory,
        arch=manifest.arch,
        version=manifest.version,
        kernel=directory / manifest.kernel.file,
        initramfs=directory / manifest.initramfs.file,
        root=directory / manifest.root.file,
        cmdline=manifest.cmdline,
        cmdline_emulated=manifest.cmdline_emulated,
        engine_version=manifest.docker_version,
        ssh_port=manifest.ssh_port,
    )


def _read_manifest(directory: Path) -> _Manifest:
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fail(
            ProblemCode.IMAGE_MISSING,
            message("There is no guest image in {folder}: {error}.", folder=directory, error=error.strerror),
            command=f"cat {path}",
            hint=sentences(_REBUILD, message("Or choose another one: wherry config set image.directory DIR")),
        ) from error
    try:
        version = msgspec.json.decode(content, type=_AnyManifest).format
        if version != FORMAT:
            raise _damaged(
                directory,
                message(
                    "Its manifest has the format “{other}”, but this Wherry reads {own}.",
                    other=str(version),
                    own=FORMAT,
                ),
            )
        return msgspec.json.decode(content, type=_Manifest)
    except msgspec.DecodeError as error:
        raise _damaged(directory, message("Its manifest can't be read: {error}.", error=str(error))) from error


def _verify(path: Path, entry: _File, known: _Identity | None) -> _Identity:
    """Verify a file and return its identity for the stamp: size, mtime in ns, inode, digest."""
    try:
        information = path.stat()
        if information.st_size != entry.size:
            raise _damaged(
                path.parent,
                message(
                    "{path} has {actual} bytes, but the manifest says {size}.",
                    path=path.name,
                    actual=information.st_size,
                    size=entry.size,
                ),
            )
        identity = (information.st_size, information.st_mtime_ns, information.st_ino, entry.sha256)
        if known == identity:
            return identity
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise fail(
            ProblemCode.IMAGE_MISSING,
            message("The guest image's file {path} can't be read: {error}.", path=path, error=error.strerror),
            hint=_REBUILD,
        ) from error
    if digest != entry.sha256:
        raise _damaged(
            path.parent,
            message(
                "{path} has the digest {actual}…, but the manifest says {digest}….",
                path=path.name,
                actual=digest[:16],
                digest=entry.sha256[:16],
            ),
        )
    return identity


def _load_stamp(path: Path) -> dict[str, _Identity]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, _Identity])
    except (OSError, msgspec.DecodeError, RecursionError):
        return {}  # Without a stamp the files are hashed, which is always correct.


def _damaged(directory: Path, what: Message) -> Exception:
    return fail(
        ProblemCode.IMAGE_DAMAGED,
        message("The guest image in {folder} is damaged. {reason}", folder=directory, reason=what),
        hint=_REBUILD,
    )
