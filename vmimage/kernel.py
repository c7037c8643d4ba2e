"""Extraction of the kernel for direct boot from Debian's kernel file.

x86: QEMU starts an uncompressed ELF ``vmlinux`` through its PVH note, without boot loader and decompression. Debian's
bzImage has the position of the compressed payload in its setup header (boot protocol 2.08 and later). arm64: QEMU needs
the plain ``Image``, which Debian ships unchanged or gzipped.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib

from vmimage import elf, tools
from vmimage.errors import ImageError

_BZIMAGE_MAGIC = b"HdrS"
_PAYLOAD_SINCE = 0x0208
_ARM64_MAGIC = b"ARM\x64"
_PVH_NOTE = struct.pack("<III4s", 4, 8, 18, b"Xen\0")  # XEN_ELFNOTE_PHYS32_ENTRY with an 8-byte address


def extract(packed: bytes, arch: str) -> bytes:
    """Return the file for QEMU's ``-kernel``. Raises ImageError when `packed` is not such a kernel."""
    return _from_bzimage(packed) if arch == "amd64" else _arm64_image(packed)


def _from_bzimage(packed: bytes) -> bytes:
    if len(packed) < 0x250 or packed[0x202:0x206] != _BZIMAGE_MAGIC:
        raise ImageError("The kernel is not a bzImage: the setup header's mark is missing.")
    (version,) = struct.unpack_from("<H", packed, 0x206)
    if version < _PAYLOAD_SINCE:
        raise ImageError(f"The kernel has boot protocol {version:#06x}, too old to say where its payload lies.")
    setup_sectors = packed[0x1F1] or 4
    offset, length = struct.unpack_from("<II", packed, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    if length == 0 or start + length > len(packed):
        raise ImageError("The kernel file is cut off: its payload lies outside the file.")
    image = _decompress(packed[start : start + length])
    if not elf.is_elf(image):
        raise ImageError("The kernel's payload is not an ELF file after decompression.")
    if _PVH_NOTE not in image:
        raise ImageError(
            "The kernel has no PVH entry point, so QEMU cannot boot it directly.",
            advice="Take a kernel package that is built with CONFIG_PVH=y.",
        )
    return image


def _decompress(payload: bytes) -> bytes:
    """Decompress the payload: a compressed stream followed by 4 bytes with the decompressed size."""
    stream, size = payload[:-4], int.from_bytes(payload[-4:], "little")
    try:
        if stream[:4] == b"\x28\xb5\x2f\xfd":
            image = tools.run(
                ["zstd", "-d", "-c", "-q"],
                what="The kernel's zstd payload does not decompress.",
                stdin=stream,
                advice="The package may be damaged: build again.",
            )
        elif stream[:2] == b"\x1f\x8b":
            image = gzip.decompress(payload)  # its own trailer is that size
        elif stream[:6] == b"\xfd7zXZ\0":
            image = lzma.decompress(stream)
        elif stream[:3] == b"BZh":
            image = bz2.decompress(stream)
        elif stream[:3] == b"\x5d\0\0":
            image = lzma.decompress(stream, format=lzma.FORMAT_ALONE)
        else:
            raise ImageError(f"The kernel's payload has an unknown compression (it starts {stream[:6].hex()}).")
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise ImageError(f"The kernel's payload does not decompress: {error}.") from error
    if len(image) != size:
        raise ImageError(f"The kernel's payload has {len(image)} bytes after decompression, not {size}.")
    return image


def _arm64_image(packed: bytes) -> bytes:
    image = packed
    if packed[:2] == b"\x1f\x8b":
        try:
            image = gzip.decompress(packed)
        except (OSError, EOFError, zlib.error) as error:
            raise ImageError(f"The kernel does not decompress: {error}.") from error
    if len(image) < 64 or image[56:60] != _ARM64_MAGIC:
        raise ImageError("The kernel is not an arm64 Image: its mark is missing.")
    return image
