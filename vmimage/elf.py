"""A minimal ELF reader: sections by name, and the shared libraries that a program needs.

Supports only little-endian 64-bit files, as used by both architectures. Offsets are validated: a damaged file raises
``ImageError``, never IndexError or struct.error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmimage.errors import ImageError

_DYNAMIC = 6
_NOBITS = 8
_NEEDED = 1


@dataclass(frozen=True, slots=True)
class ElfSection:
    """A section header: position in the file (`offset`, `size` in bytes), ELF type and linked section."""

    name: str
    kind: int
    offset: int
    size: int
    link: int


def is_elf(data: bytes) -> bool:
    """Whether `data` starts like a 64-bit little-endian ELF file."""
    return data[:6] == b"\x7fELF\x02\x01"


def sections(data: bytes, what: str) -> list[ElfSection]:
    """All sections of the ELF file `data`; `what` names the file in errors."""
    if not is_elf(data) or len(data) < 64:
        raise ImageError(f"{what} is not a 64-bit little-endian ELF file.")
    (table,) = struct.unpack_from("<Q", data, 40)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 58)
    if count == 0:
        return []
    if entry_size < 64 or table + entry_size * count > len(data) or names_index >= count:
        raise ImageError(f"{what} is cut off or damaged: its section table lies outside the file.")
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + entry_size * index) for index in range(count)]
    names_offset, names_size = headers[names_index][4], headers[names_index][5]
    names = data[names_offset : names_offset + names_size]
    result = []
    for name_at, kind, _flags, _address, offset, size, link, _info, _align, _entry in headers:
        name = names[name_at:].split(b"\0", 1)[0].decode("ascii", "replace")
        result.append(ElfSection(name, kind, offset, size, link))
    return result


def content(data: bytes, section: ElfSection, what: str) -> bytes:
    """The bytes of `section`."""
    if section.offset + section.size > len(data):
        raise ImageError(f"{what} is cut off or damaged: section {section.name} lies outside the file.")
    return data[section.offset : section.offset + section.size]


def needed_libraries(data: bytes, what: str) -> list[str]:
    """The DT_NEEDED names of a program or library, in order; empty for a static one."""
    table = sections(data, what)
    for section in table:
        if section.kind != _DYNAMIC:
            continue
        if section.link >= len(table):
            raise ImageError(f"{what} is damaged: its dynamic section has no string table.")
        strings = content(data, table[section.link], what)
        entries = content(data, section, what)
        names = []
        for tag, value in struct.iter_unpack("<qQ", entries[: len(entries) // 16 * 16]):
            if tag == _NEEDED:
                names.append(strings[value:].split(b"\0", 1)[0].decode("ascii", "replace"))
        return names
    return []


def without_sections(data: bytes, unwanted: frozenset[str], what: str) -> bytes:
    """Remove the content of the `unwanted` sections from a relocatable file.

    An emptied section keeps its header, with type NULL, because symbols and relocations refer to sections by index.
    """
    table = sections(data, what)
    if not any(section.name in unwanted for section in table):
        return data
    (start,) = struct.unpack_from("<Q", data, 40)
    packed = bytearray(data[:64])
    headers: dict[int, bytes] = {}
    for index, section in sorted(enumerate(table), key=lambda item: item[1].offset):
        header = bytearray(data[start + 64 * index : start + 64 * index + 64])
        if section.name in unwanted:
            header[4:64] = bytes(60)
        elif section.kind not in (0, _NOBITS):
            alignment = max(struct.unpack_from("<Q", header, 48)[0], 1)
            packed += bytes(-len(packed) % alignment)
            struct.pack_into("<Q", header, 24, len(packed))
            packed += content(data, section, what)
        headers[index] = bytes(header)
    packed += bytes(-len(packed) % 8)
    struct.pack_into("<Q", packed, 40, len(packed))
    for index in range(len(table)):
        packed += headers[index]
    return bytes(packed)
