"""Building an image directory, and packing it for download."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from vmimage import description as descriptions
from vmimage import initramfs, kernel, manifest, modules, packages, rootfs
from vmimage.errors import ImageError

KERNEL, INITRAMFS, ROOT = "vmlinux", "initramfs", "root.erofs"


def build(arch: str, output: Path, *, allow_stale: bool) -> Path:
    """Build the image of `arch` into the directory `output`, which is created atomically; returns it.

    An existing image at `output` is replaced; anything else there raises ImageError.
    """
    description = descriptions.load()
    architecture = description.architecture(arch)
    if output.exists() and not ((output / manifest.NAME).is_file() or not any(output.iterdir())):
        raise ImageError(f"{output} exists and is not an image.", advice="Name another directory, or remove it.")
    output.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, so that the last step is a rename within one file system.
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        tree = work / "packages"
        versions = packages.fetch(description, arch, tree, allow_stale=packages.stale_index_allowed(allow_stale))
        ready = work / "ready"
        ready.mkdir(mode=0o755)
        kernel_file = _only(tree, architecture.kernel)
        release_dir = (
            kernel_file.parent if kernel_file.parent.parent.name == "modules" else _only(tree, "usr/lib/modules/*")
        )
        release = release_dir.name
        (ready / KERNEL).write_bytes(kernel.extract(kernel_file.read_bytes(), arch))
        available, builtin = modules.catalogue(release_dir)
        chosen = modules.closure(
            (*description.modules, *description.initramfs_modules), available, builtin, release_dir
        )
        stage = work / "root"
        timestamp = rootfs.stage(
            description,
            architecture,
            packages=tree,
            modules=chosen,
            indexes=modules.indexes(chosen, builtin),
            release=release,
            stage_dir=stage,
        )
        rootfs.make_erofs(stage, ready / ROOT, description.root_uuid, timestamp)
        (ready / INITRAMFS).write_bytes(initramfs.build(tree, chosen, description.initramfs_modules, timestamp))
        manifest.write(
            ready,
            arch=arch,
            version=descriptions.content_key(arch),
            cmdline=description.cmdline_for(arch),
            cmdline_emulated=description.cmdline_emulated,
            packages=versions,
            timestamp=timestamp,
            docker_version=versions.get("docker.io", "").split("+")[0],
            ssh_port=rootfs.ssh_port(stage),
            authorities=rootfs.authorities(stage),
            artefacts={
                "kernel": manifest.artefact(ready / KERNEL, release=release),
                "initramfs": manifest.artefact(ready / INITRAMFS),
                "root": manifest.artefact(ready / ROOT, type="erofs"),
            },
        )
        _replace(ready, output, work / "old")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return output


def _only(tree: Path, pattern: str) -> Path:
    matches = sorted(tree.glob(pattern))
    if len(matches) != 1:
        raise ImageError(
            f"{len(matches)} files of the packages match {pattern!r}; exactly one should.",
            advice="Correct the kernel's pattern in vmimage/image.toml.",
        )
    return matches[0]


def _replace(ready: Path, output: Path, aside: Path) -> None:
    if output.exists():
        output.rename(aside)
    ready.rename(output)


def pack(image: Path, archive: Path) -> int:
    """Write the archive that users download, after verifying the image. Returns its size in bytes.

    The same image gives the same bytes. The file is created atomically.
    """
    content = manifest.verify(image)
    names = [manifest.NAME, *(content[key]["file"] for key in manifest.ARTEFACTS)]
    archive.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{archive.name}.", dir=archive.parent)
    temporary = Path(name)
    try:
        # Unpacking needs memory of the dictionary's size, so it is moderate.
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 64 << 20}]
        with (
            os.fdopen(handle, "wb") as raw,
            lzma.open(raw, "wb", check=lzma.CHECK_CRC64, filters=filters) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for member_name in names:
                member = tarfile.TarInfo(member_name)
                member.size = (image / member_name).stat().st_size
                member.mode, member.mtime = 0o644, int(content.get("timestamp", 0))
                with (image / member_name).open("rb") as stream:
                    tar.addfile(member, stream)
        temporary.chmod(0o644)
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)
    return archive.stat().st_size
