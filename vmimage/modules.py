"""Kernel modules: selection, dependencies, and the index files for ``modprobe``.

Modules are stored uncompressed, because busybox supports nothing else, and without signature and BTF section: this
kernel does not require signatures, and checking one costs an emulated CPU several milliseconds.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmimage import elf
from vmimage.errors import ImageError

_UNWANTED = frozenset({".BTF", ".BTF.base"})
_SIGNATURE_MARK = b"~Module signature appended~\n"


@dataclass(frozen=True, slots=True)
class Module:
    """A loadable module: `path` below the release's directory, `data` to store, names with underscores."""

    name: str
    path: str
    data: bytes
    depends: tuple[str, ...]
    soft_depends: tuple[str, ...]
    aliases: tuple[str, ...]


def canonical(name: str) -> str:
    """A module's name in the kernel's spelling: ``virtio-rng.ko.xz`` -> ``virtio_rng``."""
    return name.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def parse(path: str, packed: bytes) -> Module:
    """Read a module from the bytes `packed` of the file `path` (``.ko`` or ``.ko.xz``)."""
    data = packed
    if path.endswith(".xz"):
        try:
            data = lzma.decompress(packed)
        except lzma.LZMAError as error:
            raise ImageError(f"The kernel module {path} does not decompress: {error}.") from error
    elif not path.endswith(".ko"):
        raise ImageError(f"The kernel module {path} has a compression that the builder does not know.")
    info = [section for section in elf.sections(data, path) if section.name == ".modinfo"]
    if not info:
        raise ImageError(f"The kernel module {path} has no .modinfo section.")
    fields = [
        field.decode("utf-8", "replace").partition("=")[::2]
        for field in elf.content(data, info[0], path).split(b"\0")
        if field
    ]
    depends = [canonical(name) for key, value in fields if key == "depends" for name in value.split(",") if name]
    soft: list[str] = []
    for key, value in fields:
        if key == "softdep" and value.startswith("pre:"):
            soft += [canonical(name) for name in value.split("post:")[0].removeprefix("pre:").split()]
    aliases = tuple(value for key, value in fields if key == "alias")
    stored = elf.without_sections(_without_signature(data), _UNWANTED, path)
    return Module(canonical(path), path.removesuffix(".xz"), stored, tuple(depends), tuple(soft), aliases)


def _without_signature(data: bytes) -> bytes:
    """Remove the appended signature; its length is stored before the closing mark."""
    if not data.endswith(_SIGNATURE_MARK):
        return data
    trailer = len(data) - len(_SIGNATURE_MARK) - 12
    length = int.from_bytes(data[trailer + 8 : trailer + 12], "big")
    return data[: trailer - length] if 0 < length < trailer else data


def closure(
    wanted: Iterable[str],
    available: Mapping[str, str],
    builtin: Iterable[str],
    release: Path,
) -> dict[str, Module]:
    """The wanted modules and their dependencies, by name, sorted.

    available: name -> path below `release`, the directory of one kernel release. Raises ImageError for a module that is
    neither a file nor built in. A missing soft dependency is ignored, as by modprobe.
    """
    built_in = {canonical(name) for name in builtin}
    modules: dict[str, Module] = {}
    queue = [(canonical(name), "vmimage/image.toml", True) for name in wanted]
    while queue:
        name, asked_by, required = queue.pop()
        if name in modules or name in built_in:
            continue
        path = available.get(name)
        if path is None:
            if required:
                raise ImageError(
                    f"The kernel module {name}, wanted by {asked_by}, is not in this kernel.",
                    advice="Correct [modules] in vmimage/image.toml, or take another kernel package.",
                )
            continue
        module = parse(path, (release / path).read_bytes())
        modules[name] = module
        queue += [(needed, name, True) for needed in module.depends]
        queue += [(needed, name, False) for needed in module.soft_depends]
    return dict(sorted(modules.items()))


def catalogue(release: Path) -> tuple[dict[str, str], list[str]]:
    """(name -> path of each module file below `release`, names of the built-in ones)."""
    files = {
        canonical(path.name): path.relative_to(release).as_posix()
        for path in sorted(release.rglob("*.ko*"))
        if path.is_file()
    }
    listing = release / "modules.builtin"
    if not files or not listing.is_file():
        raise ImageError(f"There are no kernel modules in {release.name}.")
    return files, listing.read_text().split()


def load_order(names: Iterable[str], modules: Mapping[str, Module]) -> list[str]:
    """Dependencies before dependents, each once; built-in names are left out."""
    order: dict[str, None] = {}
    visited: set[str] = set()  # soft dependencies may form a circle

    def visit(name: str) -> None:
        if name in visited or name not in modules:
            return
        visited.add(name)
        for needed in (*modules[name].soft_depends, *modules[name].depends):
            visit(needed)
        order[name] = None

    for name in names:
        visit(canonical(name))
    return list(order)


def indexes(modules: Mapping[str, Module], builtin: Iterable[str]) -> dict[str, str]:
    """The text index files of modprobe (``modules.dep`` and others) by file name."""
    dep, alias, soft = [], [], []
    for name, module in modules.items():
        # modprobe processes this list from its end, so the first dependency to load comes last.
        needed = [modules[other].path for other in load_order(module.depends, modules)]
        dep.append(f"{module.path}: {' '.join(reversed(needed))}".rstrip())
        alias += [f"alias {pattern} {name}" for pattern in module.aliases]
        if module.soft_depends:
            soft.append(f"softdep {name} pre: {' '.join(module.soft_depends)}")
    return {
        "modules.dep": "".join(f"{line}\n" for line in dep),
        "modules.alias": "".join(f"{line}\n" for line in alias),
        "modules.softdep": "".join(f"{line}\n" for line in soft),
        "modules.symbols": "",
        "modules.builtin": "".join(f"{line}\n" for line in builtin),
    }
