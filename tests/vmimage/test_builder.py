"""The builder's pure parts: description, ELF, modules, kernel payload, cpio, pins, manifest and selection of files."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import struct
import subprocess
from pathlib import Path

import pytest

from vmimage import build, cpio, description, elf, kernel, manifest, modules, packages, rootfs, tools
from vmimage.errors import ImageError

TOML = (description.HERE / "image.toml").read_text()


def make_elf(sections: dict[str, bytes], *, note: bytes = b"") -> bytes:
    """A small relocatable ELF file with these sections."""
    names, table = b"\0", [bytes(64)]
    body = bytearray(64)
    for name, given in {**sections, ".shstrtab": b""}.items():
        data = names + b".shstrtab\0" if name == ".shstrtab" else given
        table.append(struct.pack("<IIQQQQIIQQ", len(names), 1, 0, 0, len(body), len(data), 0, 0, 1, 0))
        names += name.encode() + b"\0"
        body += data
    start = len(body)
    body[:64] = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 1, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, len(table), len(table) - 1
    )
    return bytes(body) + b"".join(table) + note


def make_program(*libraries: str) -> bytes:
    """An ELF file that needs these shared libraries."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in libraries)
    at = [names.index(name.encode() + b"\0") for name in libraries]
    dynamic = b"".join(struct.pack("<qQ", 1, offset) for offset in at) + bytes(16)
    program = bytearray(make_elf({".dynamic": dynamic, ".dynstr": names}))
    (table,) = struct.unpack_from("<Q", program, 40)
    struct.pack_into("<I", program, table + 64 + 4, 6)  # the first section is a dynamic one ...
    struct.pack_into("<I", program, table + 64 + 40, 2)  # ... whose texts are in the second
    return bytes(program)


def make_module(name: str, *, depends: str = "", soft: str = "", alias: str = "") -> bytes:
    info = [f"name={name}", f"depends={depends}"]
    info += [f"softdep=pre: {soft}"] if soft else []
    info += [f"alias={alias}"] if alias else []
    return make_elf({".modinfo": "\0".join(info).encode() + b"\0", ".BTF": b"types" * 100, ".text": b"code"})


# --- the description


def test_the_real_description_is_valid() -> None:
    found = description.load()
    assert set(found.architectures) == {"amd64", "arm64"}
    assert "linux-image-arm64" in found.packages_for("arm64")
    assert "linux-image-amd64" not in found.packages_for("arm64")
    assert found.cmdline_for("amd64").startswith("console=ttyS0 ")
    assert "\n" not in found.cmdline_for("amd64")
    for name, emulators in (("amd64", {"aarch64", "arm"}), ("arm64", {"x86_64", "i386", "arm"})):
        files = set(found.architecture(name).files)
        for emulator in emulators:
            assert {f"usr/bin/qemu-{emulator}", f"usr/share/qemu/binfmt.d/qemu-{emulator}.conf"} <= files


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('suite = "forky"', "", "lacks the key 'suite'"),
        ('suite = "forky"', "suite = 13", "'suite' must be a str"),
        ('suite = "forky"', 'suite = "forky"\nsweet = 1', "unknown keys: sweet"),
        ("format = 1", "format = 2", "format 2"),
        ("format = 1", "format = true", "'format' must be a int"),
        ('"busybox-static",', '"busybox-static", "busybox-static",', "repeats busybox-static"),
        ('"busybox-static",', '"",', "only non-empty strings"),
        ('"usr/sbin/dockerd",', '"/usr/sbin/dockerd",', "must be relative"),
        ('"usr/sbin/dockerd",', '"../dockerd",', "must be relative"),
        ("[modules]", "[modules", "not valid TOML"),
        ('root_uuid = "9d3f', 'root_uuid = "zz3f', "not a UUID"),
        ("[packages.pins]", "[packages.pinned]", "lacks the key 'pins'"),
    ],
)
def test_a_bad_description_says_what_is_wrong(old: str, new: str, says: str) -> None:
    assert old in TOML
    with pytest.raises(ImageError, match=says):
        description.parse(TOML.replace(old, new, 1))


def test_the_key_depends_on_the_architecture_and_is_stable() -> None:
    assert description.content_key("amd64") == description.content_key("amd64")
    assert description.content_key("amd64") != description.content_key("arm64")


def test_the_key_depends_on_the_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "overlay").mkdir()
    (tmp_path / "image.toml").write_text("x")
    script = tmp_path / "overlay/script"
    script.write_text("a")
    monkeypatch.setattr(description, "HERE", tmp_path)
    monkeypatch.setattr(description, "OVERLAY", tmp_path / "overlay")
    keys = {description.content_key("amd64")}
    script.write_text("b")
    keys.add(description.content_key("amd64"))
    script.chmod(0o755)
    keys.add(description.content_key("amd64"))
    script.rename(tmp_path / "overlay/other")
    keys.add(description.content_key("amd64"))
    assert len(keys) == 4


# --- packages


def test_versions_and_pins() -> None:
    versions = packages.versions_of(["tini_0.19.0-6+b2_amd64.deb", "openssh-server_1%3a10.6p1-1_amd64.deb"])
    assert versions == {"openssh-server": "1:10.6p1-1", "tini": "0.19.0-6+b2"}
    packages.check_pins({"openssh-server": "10."}, versions)
    with pytest.raises(ImageError, match="not among the packages"):
        packages.check_pins({"runc": "1."}, versions)
    with pytest.raises(ImageError, match=r"now has tini 0\.19.*described for 1\."):
        packages.check_pins({"tini": "1."}, versions)
    with pytest.raises(ImageError, match="not that of a Debian package"):
        packages.versions_of(["lock"])


def test_a_stale_index_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(arguments: list[str], **_: object) -> bytes:
        assert not any("Check-Valid-Until" in argument for argument in arguments)
        raise ImageError("failed", ran="mmdebstrap", output="E: Release file for x is expired (invalid since 9d)")

    monkeypatch.setattr(tools, "run", refuse)
    with pytest.raises(ImageError) as caught:
        packages.fetch(description.load(), "amd64", tmp_path / "t", allow_stale=False)
    assert "past its validity date" in caught.value.what
    assert "--allow-stale-index" in caught.value.advice
    assert "mmdebstrap" in str(caught.value)
    assert "invalid since" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "environment", "configured", "allowed"),
    [
        (True, {}, "", True),
        (False, {"WHERRY_ALLOW_STALE_INDEX": "1"}, "", True),
        (False, {"WHERRY_ALLOW_STALE_INDEX": "0"}, "", False),
        (False, {}, "false", True),
        (False, {}, "true", False),
        (False, {}, "", False),
    ],
)
def test_who_allows_a_stale_index(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,
    environment: dict[str, str],
    configured: str,
    allowed: bool,
) -> None:
    program = tmp_path / "apt-config"
    program.write_text(f"#!/bin/sh\necho '{configured}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert packages.stale_index_allowed(asked, environment) is allowed


def test_a_failing_tool_shows_command_and_output() -> None:
    with pytest.raises(ImageError) as caught:
        tools.run(["sh", "-c", "echo reason >&2; exit 3"], what="It failed.", advice="Try again.")
    assert str(caught.value).splitlines()[0] == "It failed."
    assert "| reason" in str(caught.value)
    assert "do: Try again." in str(caught.value)
    with pytest.raises(ImageError, match="not installed"):
        tools.find("no-such-program-here")


# --- modules


def lay_out(root: Path, files: dict[str, bytes], builtin: str = "kernel/net/unix.ko\n") -> Path:
    for name, data in files.items():
        path = root / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(data) if name.endswith(".xz") else data)
    (root / "modules.builtin").write_text(builtin)
    return root


def test_closure_order_and_indexes(tmp_path: Path) -> None:
    release = lay_out(
        tmp_path,
        {
            "a-one.ko.xz": make_module("a_one", depends="b,c", alias="virtio:d1"),
            "b.ko.xz": make_module("b", depends="c,unix"),
            "c.ko": make_module("c", soft="absent d"),
            "d.ko": make_module("d"),
            "unused.ko": make_module("unused"),
        },
    )
    available, builtin = modules.catalogue(release)
    found = modules.closure(["a-one", "unix"], available, builtin, release)
    assert list(found) == ["a_one", "b", "c", "d"]
    assert modules.load_order(["a-one"], found) == ["d", "c", "b", "a_one"]
    index = modules.indexes(found, builtin)
    assert "kernel/a-one.ko: kernel/b.ko kernel/c.ko kernel/d.ko\n" in index["modules.dep"]
    assert index["modules.alias"] == "alias virtio:d1 a_one\n"
    with pytest.raises(ImageError, match=r"module nothing, wanted by vmimage/image\.toml"):
        modules.closure(["nothing"], available, builtin, release)
    with pytest.raises(ImageError, match="wanted by a_one"):
        modules.closure(["a-one"], {"a_one": available["a_one"]}, [], release)


def test_a_cycle_of_dependencies_ends(tmp_path: Path) -> None:
    release = lay_out(tmp_path, {"x.ko": make_module("x", soft="y"), "y.ko": make_module("y", soft="x")})
    available, builtin = modules.catalogue(release)
    found = modules.closure(["x"], available, builtin, release)
    assert sorted(modules.load_order(["x"], found)) == ["x", "y"]


def test_a_module_loses_signature_and_types() -> None:
    plain = make_module("m")
    signature = b"S" * 300
    signed = plain + signature + bytes(8) + len(signature).to_bytes(4, "big") + b"~Module signature appended~\n"
    found = modules.parse("kernel/m.ko", signed)
    assert b"types" not in found.data
    assert not found.data.endswith(b"appended~\n")
    kept = {
        section.name: elf.content(found.data, section, "m") for section in elf.sections(found.data, "m") if section.kind
    }
    assert kept[".text"] == b"code"
    assert kept[".modinfo"].startswith(b"name=m")


@pytest.mark.parametrize(
    ("path", "data", "says"),
    [
        ("m.ko.xz", b"not xz", "does not decompress"),
        ("m.ko", b"not elf", "not a 64-bit"),
        ("m.ko", make_elf({".text": b"x"}), "no .modinfo"),
        ("m.ko", make_module("m")[:200], "outside the file"),
        ("m.ko.zst", b"", "compression that the builder does not know"),
    ],
)
def test_a_bad_module(path: str, data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        modules.parse(path, data)


# --- the kernel


def bzimage(payload: bytes, *, version: int = 0x20F, length: int | None = None) -> bytes:
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, version)
    struct.pack_into("<II", head, 0x248, 16, len(payload) if length is None else length)
    return bytes(head) + bytes(16) + payload


PVH = make_elf({".text": b"kernel"}, note=struct.pack("<III4s", 4, 8, 18, b"Xen\0") + bytes(8))


def test_the_payload_is_found_and_decompressed() -> None:
    size = len(PVH).to_bytes(4, "little")
    assert kernel.extract(bzimage(gzip.compress(PVH)), "amd64") == PVH
    assert kernel.extract(bzimage(lzma.compress(PVH) + size), "amd64") == PVH
    packed = subprocess.run(["zstd", "-q", "-c"], input=PVH, capture_output=True, check=True).stdout
    assert kernel.extract(bzimage(packed + size), "amd64") == PVH


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a bzImage"),
        (bytes(4096), "not a bzImage"),
        (bzimage(b"x", version=0x204), "too old"),
        (bzimage(b"x", length=1 << 30), "cut off"),
        (bzimage(b"??????" + bytes(8)), "unknown compression"),
        (bzimage(gzip.compress(PVH)[:40]), "does not decompress"),
        (bzimage(b"\x28\xb5\x2f\xfd garbage" + bytes(4)), "does not decompress"),
        (bzimage(lzma.compress(PVH) + bytes(4)), "after decompression, not 0"),
        (bzimage(gzip.compress(b"text")), "not an ELF file"),
        (bzimage(gzip.compress(make_elf({".text": b"x"}))), "no PVH entry"),
    ],
)
def test_a_bad_kernel(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        kernel.extract(data, "amd64")


def test_an_arm64_image_is_taken_as_it_is_or_unzipped() -> None:
    image = bytes(56) + b"ARM\x64" + bytes(100)
    assert kernel.extract(image, "arm64") == image
    assert kernel.extract(gzip.compress(image), "arm64") == image
    with pytest.raises(ImageError, match="not an arm64 Image"):
        kernel.extract(bytes(100), "arm64")


# --- cpio


def test_the_archive_is_what_other_tools_read(tmp_path: Path) -> None:
    entries = [cpio.directory("bin"), cpio.file("bin/tool", b"#!/bin/sh\n", 0o755), cpio.symlink("sh", "bin/tool")]
    data = cpio.archive(entries, 1_700_000_000)
    assert data == cpio.archive(entries, 1_700_000_000)
    assert len(data) % 512 == 0
    subprocess.run(["cpio", "-i", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "sh").readlink() == Path("bin/tool")
    assert (tmp_path / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert int((tmp_path / "bin/tool").stat().st_mtime) in range(1_700_000_000, 2_000_000_000_000)


@pytest.mark.parametrize("path", ["/etc", "a/../b", ""])
def test_a_bad_path_in_an_archive(path: str) -> None:
    with pytest.raises(ValueError, match="bad or repeated"):
        cpio.archive([cpio.file(path, b"")], 0)
    with pytest.raises(ValueError, match="bad or repeated"):
        cpio.archive([cpio.file("a", b""), cpio.file("a", b"")], 0)


# --- the root


def test_selection_of_files(tmp_path: Path) -> None:
    for name in ("usr/bin/tool", "usr/share/doc/tool/README", "usr/lib/x/one.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "usr/bin/alias").symlink_to("tool")
    assert rootfs.select(tmp_path, ["usr/*"], ["usr/share/doc/*"]) == [
        "usr/bin/alias",
        "usr/bin/tool",
        "usr/lib/x/one.so",
    ]
    assert rootfs.with_libraries(tmp_path, ["usr/bin/alias"], "x") == ["usr/bin/alias", "usr/bin/tool"]
    # A few packages put their library where the loader looks last.
    program = make_program("liba.so.1", "libb.so.1")
    (tmp_path / "usr/bin/tool").write_bytes(program)
    (tmp_path / "usr/lib/x/liba.so.1").write_text("x")
    with pytest.raises(ImageError, match=r"needs the library libb\.so\.1"):
        rootfs.with_libraries(tmp_path, ["usr/bin/tool"], "x")
    (tmp_path / "usr/lib/libb.so.1").write_text("x")
    found = rootfs.with_libraries(tmp_path, ["usr/bin/tool"], "x")
    assert found == ["usr/bin/tool", "usr/lib/libb.so.1", "usr/lib/x/liba.so.1"]
    with pytest.raises(ImageError, match="matches 'usr/bin/gone'"):
        rootfs.select(tmp_path, ["usr/bin/gone"], [])


# --- the manifest


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    for name in ("vmlinux", "initramfs", "root.erofs"):
        (tmp_path / name).write_bytes(name.encode() * 50)
    manifest.write(
        tmp_path,
        arch="amd64",
        version="1",
        cmdline="quiet",
        cmdline_emulated="",
        packages={"b": "2"},
        timestamp=1,
        docker_version="28",
        ssh_port=10055,
        artefacts={
            "kernel": manifest.artefact(tmp_path / "vmlinux", release="7"),
            "initramfs": manifest.artefact(tmp_path / "initramfs"),
            "root": manifest.artefact(tmp_path / "root.erofs", type="erofs"),
        },
    )
    return tmp_path


def test_a_whole_image_is_verified_and_packs_the_same_twice(whole: Path, tmp_path: Path) -> None:
    assert manifest.verify(whole)["kernel"]["release"] == "7"
    one, two = tmp_path / "out/one.tar.xz", tmp_path / "out/two.tar.xz"
    assert build.pack(whole, one) == one.stat().st_size
    build.pack(whole, two)
    assert one.read_bytes() == two.read_bytes()
    listing = subprocess.run(["tar", "-tJf", str(one)], capture_output=True, text=True, check=True).stdout
    assert listing.split() == ["manifest.json", "vmlinux", "initramfs", "root.erofs"]
    assert sorted(path.name for path in one.parent.iterdir()) == ["one.tar.xz", "two.tar.xz"]


def test_a_damaged_image_is_named(whole: Path) -> None:
    root = whole / "root.erofs"
    good = root.read_bytes()
    root.write_bytes(good[:-1])
    with pytest.raises(ImageError, match="root has 499 bytes instead of 500"):
        manifest.verify(whole)
    root.write_bytes(b"X" + good[1:])
    with pytest.raises(ImageError, match="does not have the content"):
        manifest.verify(whole)
    root.unlink()
    with pytest.raises(ImageError, match="lacks its root"):
        manifest.verify(whole)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "not of format 1"),
        ({"arch": None}, "lacks 'arch'"),
        ({"kernel": {"file": "vmlinux"}}, "does not describe the kernel"),
        ({"root": {"file": "../root", "size": 1, "sha256": ""}}, "no file name"),
    ],
)
def test_a_bad_manifest(whole: Path, change: dict[str, object], says: str) -> None:
    path = whole / manifest.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ImageError, match=says):
        manifest.verify(whole)


def test_no_manifest(whole: Path) -> None:
    path = whole / manifest.NAME
    path.write_text("{")
    with pytest.raises(ImageError, match="cannot be read"):
        manifest.read(whole)
    path.unlink()
    with pytest.raises(ImageError, match="holds no image"):
        manifest.read(whole)


# --- the build as a whole


def test_a_failed_build_leaves_nothing_and_keeps_the_old_image(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> dict[str, str]:
        raise ImageError("no network")

    monkeypatch.setattr(packages, "fetch", fail)
    parent = tmp_path / "images"
    whole.joinpath("keep").write_text("")
    with pytest.raises(ImageError, match="no network"):
        build.build("amd64", parent / "new", allow_stale=True)
    assert list(parent.iterdir()) == []
    before = sorted(path.name for path in whole.iterdir() if path.is_file())
    with pytest.raises(ImageError, match="no network"):
        build.build("amd64", whole, allow_stale=True)
    assert sorted(path.name for path in whole.iterdir() if path.is_file()) == before


def test_a_directory_that_is_no_image_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ImageError, match="exists and is not an image"):
        build.build("amd64", tmp_path, allow_stale=True)
    with pytest.raises(ImageError, match="no image for the architecture 'riscv64'"):
        build.build("riscv64", tmp_path / "x", allow_stale=True)
