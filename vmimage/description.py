"""Reading and validating ``image.toml``, and the key of everything that determines an image's content."""

from __future__ import annotations

import hashlib
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmimage.errors import ImageError

HERE = Path(__file__).resolve().parent
OVERLAY = HERE / "overlay"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Architecture:
    """What differs between guest architectures.

    packages: additional Debian packages. files: additional globs of files. kernel: glob of the kernel file in the
    package tree. libraries: name of the multiarch directory. loader: (link, target) of the ELF interpreter, or empty.
    cmdline: additional kernel parameters.
    """

    name: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    kernel: str
    libraries: str
    loader: tuple[str, ...]
    cmdline: str


@dataclass(frozen=True, slots=True)
class Description:
    """The content of ``image.toml``.

    Paths and globs are relative to the guest's root, without a leading slash. cmdline_emulated: kernel parameters that
    the host adds for an emulated CPU.
    """

    suite: str
    architectures: Mapping[str, Architecture]
    packages: tuple[str, ...]
    pins: Mapping[str, str]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    directories: tuple[str, ...]
    symlinks: Mapping[str, str]
    busybox_applets: tuple[str, ...]
    modules: tuple[str, ...]
    initramfs_modules: tuple[str, ...]
    cmdline: str
    cmdline_emulated: str
    root_uuid: uuid.UUID

    def architecture(self, name: str) -> Architecture:
        """The architecture `name`; raises ImageError listing the known ones."""
        if name not in self.architectures:
            raise ImageError(
                f"There is no image for the architecture {name!r}.",
                advice=f"Use one of: {', '.join(sorted(self.architectures))}.",
            )
        return self.architectures[name]

    def packages_for(self, name: str) -> tuple[str, ...]:
        """All packages to install on architecture `name`."""
        return (*self.packages, *self.architecture(name).packages)

    def cmdline_for(self, name: str) -> str:
        """The base kernel command line; the host may append to it."""
        return f"{self.architecture(name).cmdline} {self.cmdline}".strip()


class _Table:
    """A TOML table, read key by key: wrong types, missing keys and unknown keys raise ImageError."""

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise ImageError(f"{where} must be a table.", advice="Correct vmimage/image.toml.")
        self._where = where
        self._values: dict[str, Any] = dict(values)

    def _take(self, key: str, kind: type) -> Any:
        if key not in self._values:
            raise ImageError(f"{self._where} lacks the key {key!r}.", advice="Correct vmimage/image.toml.")
        value = self._values.pop(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ImageError(
                f"{self._where}: {key!r} must be a {kind.__name__}, not {value!r}.",
                advice="Correct vmimage/image.toml.",
            )
        return value

    def text(self, key: str) -> str:
        return str(self._take(key, str))

    def number(self, key: str) -> int:
        return int(self._take(key, int))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._take(key, list)
        if not all(isinstance(value, str) and value for value in values):
            raise ImageError(
                f"{self._where}: {key!r} must hold only non-empty strings.", advice="Correct vmimage/image.toml."
            )
        if len(set(values)) != len(values):
            repeated = sorted({value for value in values if values.count(value) > 1})
            raise ImageError(
                f"{self._where}: {key!r} repeats {', '.join(repeated)}.", advice="Correct vmimage/image.toml."
            )
        return tuple(values)

    def mapping(self, key: str) -> dict[str, str]:
        values = self._take(key, dict)
        if not all(isinstance(value, str) and value for value in values.values()):
            raise ImageError(
                f"{self._where}: {key!r} must map names to non-empty strings.", advice="Correct vmimage/image.toml."
            )
        return dict(values)

    def table(self, key: str) -> _Table:
        return _Table(f"{self._where}.{key}" if self._where != "image.toml" else key, self._take(key, dict))

    def tables(self, key: str) -> dict[str, _Table]:
        return {name: _Table(f"{key}.{name}", values) for name, values in self._take(key, dict).items()}

    def done(self) -> None:
        if self._values:
            raise ImageError(
                f"{self._where} has unknown keys: {', '.join(sorted(self._values))}.",
                advice="Correct vmimage/image.toml.",
            )


def parse(text: str) -> Description:
    """Parse the TOML `text`; ImageError says which key is wrong and why."""
    try:
        top = _Table("image.toml", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ImageError(f"image.toml is not valid TOML: {error}.", advice="Correct vmimage/image.toml.") from error
    if (number := top.number("format")) != _FORMAT:
        raise ImageError(f"image.toml has format {number}; this builder reads format {_FORMAT}.")
    suite, packages, files = top.text("suite"), top.table("packages"), top.table("files")
    tree, modules, boot = top.table("tree"), top.table("modules"), top.table("boot")
    architectures = {name: _architecture(name, table) for name, table in top.tables("architectures").items()}
    try:
        root_uuid = uuid.UUID(boot.text("root_uuid"))
    except ValueError as error:
        raise ImageError("boot: 'root_uuid' is not a UUID.", advice="Correct vmimage/image.toml.") from error
    description = Description(
        suite=suite,
        architectures=architectures,
        packages=packages.texts("include"),
        pins=packages.mapping("pins"),
        include=files.texts("include"),
        exclude=files.texts("exclude"),
        directories=tree.texts("directories"),
        symlinks=tree.mapping("symlinks"),
        busybox_applets=tree.texts("busybox_applets"),
        modules=modules.texts("include"),
        initramfs_modules=modules.texts("initramfs"),
        cmdline=boot.text("cmdline"),
        cmdline_emulated=boot.text("cmdline_emulated"),
        root_uuid=root_uuid,
    )
    for table in (top, packages, files, tree, modules, boot):
        table.done()
    for path in (*description.include, *description.exclude, *description.directories, *description.symlinks):
        if path.startswith("/") or ".." in path.split("/"):
            raise ImageError(
                f"The path {path!r} must be relative to the guest's root.", advice="Correct vmimage/image.toml."
            )
    return description


def _architecture(name: str, table: _Table) -> Architecture:
    result = Architecture(
        name=name,
        packages=table.texts("packages"),
        files=table.texts("files"),
        kernel=table.text("kernel"),
        libraries=table.text("libraries"),
        loader=table.texts("loader"),
        cmdline=table.text("cmdline"),
    )
    table.done()
    return result


def load() -> Description:
    """The description of this builder."""
    return parse((HERE / "image.toml").read_text(encoding="utf-8"))


def content_key(arch: str) -> str:
    """32 hex digits over everything here that determines the content of an image for `arch`.

    Covers the description, the overlay (names, modes, content) and the builder's sources; not the packages, whose
    versions depend on the mirror.
    """
    digest = hashlib.sha256(f"wherry image {_FORMAT} {arch}\n".encode())
    sources = [HERE / "image.toml", *HERE.glob("*.py"), *HERE.glob("*.sh"), *OVERLAY.rglob("*")]
    for path in sorted(sources):
        name = path.relative_to(HERE).as_posix()
        if path.is_symlink():
            kind, data = "link", str(path.readlink()).encode()
        elif path.is_file():
            kind, data = "program" if path.stat().st_mode & 0o100 else "file", path.read_bytes()
        else:
            continue
        digest.update(f"{kind} {name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()[:32]
