"""The guest's root file system: files selected from packages, the overlay, and replacements for maintainer scripts.

The tree is staged on disk with normalised modes (755 for directories and programs, 644 for others), independent of the
builder's umask and user; ``mkfs.erofs`` makes root the owner of all files and sets one fixed time. The root file system
is not compressed: the download is compressed as a whole, and the guest must not spend time on it at start.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import stat
import uuid
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from vmimage import elf, tools
from vmimage.description import OVERLAY, Architecture, Description
from vmimage.errors import ImageError
from vmimage.modules import Module

_CERTIFICATES = "usr/share/ca-certificates"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def select(tree: Path, include: Iterable[str], exclude: Iterable[str]) -> list[str]:
    """Sorted paths of files and links below `tree` that match `include` and not `exclude`.

    A pattern is a glob on the whole path; ``*`` also matches slashes. Raises ImageError for an include pattern without
    a match: the package has changed, and the image would silently lack a file.
    """
    everything = []
    for directory, subdirectories, files in os.walk(tree):
        here = Path(directory).relative_to(tree).as_posix()
        links = [name for name in subdirectories if (Path(directory) / name).is_symlink()]
        everything += [name if here == "." else f"{here}/{name}" for name in (*files, *links)]
    excluded = tuple(exclude)
    chosen: set[str] = set()
    for pattern in include:
        matched = [path for path in everything if fnmatchcase(path, pattern)]
        if not matched:
            raise ImageError(
                f"No package has a file that matches {pattern!r}.", advice="Correct [files] in vmimage/image.toml."
            )
        chosen.update(matched)
    return sorted(path for path in chosen if not any(fnmatchcase(path, pattern) for pattern in excluded))


def with_libraries(tree: Path, chosen: Iterable[str], libraries: str) -> list[str]:
    """Add targets of links, and recursively the shared libraries that programs need, to `chosen`."""
    paths: set[str] = set()
    queue = list(chosen)
    while queue:
        path = queue.pop()
        if path in paths:
            continue
        paths.add(path)
        source = tree / path
        if source.is_symlink():
            target = os.path.normpath(Path(path).parent / source.readlink())
            if (tree / target).exists():
                queue.append(target)
            continue
        with source.open("rb") as stream:
            if not elf.is_elf(stream.read(6)):
                continue
        for name in elf.needed_libraries(source.read_bytes(), path):
            places = (f"usr/lib/{libraries}/{name}", f"usr/lib/{name}")  # as the loader looks
            library = next((place for place in places if os.path.lexists(tree / place)), None)
            if library is None:
                if name.startswith("ld-linux"):
                    continue  # included by its loader link
                raise ImageError(
                    f"{path} needs the library {name}, which no package in the image has.",
                    advice="Add its package to vmimage/image.toml, or leave the program out.",
                )
            queue.append(library)
    return sorted(paths)


def stage(
    description: Description,
    architecture: Architecture,
    *,
    packages: Path,
    modules: Mapping[str, Module],
    indexes: Mapping[str, str],
    release: str,
    stage_dir: Path,
) -> int:
    """Build the root's tree in the new directory `stage_dir`.

    packages: the unpacked packages; modules and indexes: content of ``usr/lib/modules/RELEASE``. Returns the newest
    modification time of the packages' files (seconds), which is used as the image's date.
    """
    stage_dir.mkdir()
    for path in description.directories:
        (stage_dir / path).mkdir(parents=True, exist_ok=True)
    include = (*description.include, *architecture.files)
    chosen = with_libraries(packages, select(packages, include, description.exclude), architecture.libraries)
    newest = 0
    for path in chosen:
        source, target = packages / path, stage_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_file():
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)
        newest = max(newest, int(source.lstat().st_mtime))
    links = dict(description.symlinks)
    if architecture.loader:
        links[architecture.loader[0]] = architecture.loader[1]
    _check_applets(packages / "usr/bin/busybox", description.busybox_applets)
    for applet in description.busybox_applets:
        links.setdefault(f"usr/bin/{applet}", "busybox")
    for path, destination in links.items():
        link = stage_dir / path
        link.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(link):
            link.symlink_to(destination)
    _add_modules(stage_dir / "usr/lib/modules" / release, modules, indexes)
    _add_certificates(packages, stage_dir)
    _add_overlay(stage_dir)
    _normalise(stage_dir)
    return newest


def _check_applets(busybox: Path, applets: Iterable[str]) -> None:
    """Raise ImageError for an applet that busybox lacks: the program contains its names between zero bytes."""
    program = busybox.read_bytes()
    missing = [applet for applet in applets if b"\0" + applet.encode() + b"\0" not in program]
    if missing:
        raise ImageError(
            f"This busybox has no applet {', '.join(missing)}.", advice="Correct busybox_applets in vmimage/image.toml."
        )


def _add_modules(target: Path, modules: Mapping[str, Module], indexes: Mapping[str, str]) -> None:
    for module in modules.values():
        path = target / module.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module.data)
    for name, text in indexes.items():
        (target / name).write_text(text, encoding="utf-8")


def _add_certificates(packages: Path, stage_dir: Path) -> None:
    """Create the certificate bundle, otherwise created by the package's maintainer script."""
    certificates = sorted((packages / _CERTIFICATES).rglob("*.crt"))
    if not certificates:
        raise ImageError("The ca-certificates package has no certificates.")
    bundle = stage_dir / _BUNDLE
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(path.read_bytes().rstrip(b"\n") + b"\n" for path in certificates))


def authorities(stage_dir: Path) -> list[str]:
    """SHA-256 of each certificate in the bundle, so that the host can skip them."""
    texts = _PEM.findall((stage_dir / _BUNDLE).read_text(encoding="latin-1"))
    return sorted(hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest() for text in texts)


def ssh_port(stage_dir: Path) -> int:
    """The port of sshd, from its configuration."""
    settings = (stage_dir / "etc/ssh/sshd_config").read_text(encoding="utf-8")
    match = re.search(r"^Port (\d+)$", settings, re.MULTILINE)
    if match is None:
        raise ImageError("sshd_config names no port.")
    return int(match[1])


def _add_overlay(stage_dir: Path) -> None:
    for source in sorted(OVERLAY.rglob("*")):
        target = stage_dir / source.relative_to(OVERLAY)
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.symlink_to(source.readlink())
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)


def _normalise(stage_dir: Path) -> None:
    stage_dir.chmod(0o755)
    for path in stage_dir.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def make_erofs(stage_dir: Path, image: Path, identifier: uuid.UUID, timestamp: int) -> None:
    """Pack `stage_dir` as the erofs file `image`, with root as owner and `timestamp` as time of everything."""
    tools.run(
        [
            "mkfs.erofs",
            "--quiet",
            "-x-1",
            f"-T{timestamp}",
            f"-U{identifier}",
            "--all-root",
            str(image),
            str(stage_dir),
        ],
        what="The root file system could not be packed.",
        advice="Check the free disk space and the version of erofs-utils (1.5 or later).",
    )
