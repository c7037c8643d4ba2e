"""Checkpoints in real small disks: what a tag keeps, what qemu-img does, what each holds, which are pruned."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.agent.operations.checkpoints import surplus
from backend.errors import ProblemCode, WherryError
from backend.vm.disk import checkpoint_tags, disks, snapshot_space
from backend.vm.disk.checkpoint_tags import BEFORE_UPDATE, MANUAL, MAX_NAME_BYTES, MAX_TAG_BYTES, Checkpoint
from backend.vm.snapshots import OfflineDisk

ODD_NAMES = (
    "",
    "one",
    "-x",
    "--force",
    'Zoë\'s 2nd, "best"; $HOME',
    "日本語のなまえ",
    "1",
    "a" * MAX_NAME_BYTES,
    "../..",
    "%s",
)


@pytest.fixture
def tool() -> Path:
    program = shutil.which("qemu-img")
    assert program, "qemu-img is not installed; run: python3 packaging/dev.py test"
    return Path(program)


@pytest.fixture
def path(tmp_path: Path, tool: Path) -> Path:
    made = tmp_path / "a 'disk', one.qcow2"
    disks.ensure_data_disk(made, size_gib=4, image_tool=tool)
    return made


@pytest.fixture
def disk(path: Path, tool: Path) -> OfflineDisk:
    return OfflineDisk(path, image_tool=tool)


def tag(name: str = "", reason: str = MANUAL) -> str:
    return checkpoint_tags.new_tag(reason=reason, name=name, size_gib=4, image_version="amd64-1")


def io(path: Path, *commands: str) -> str:
    """Run qemu-io as QEMU would open the disk."""
    words = [word for command in commands for word in ("-c", command)]
    options = (
        f"driver=qcow2,discard=unmap,file.driver=file,file.discard=unmap,file.filename={str(path).replace(',', ',,')}"
    )
    done = subprocess.run(
        ["qemu-io", *words, "--image-opts", options], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def check(path: Path) -> None:
    subprocess.run(["qemu-img", "check", "-q", str(path)], check=True, timeout=60)


# -- tags -------------------------------------------------------------------------------------------------------
@given(st.text(max_size=60), st.text(max_size=60))
def test_a_tag_gives_back_what_was_put_in(name: str, version: str) -> None:
    try:
        cleaned = checkpoint_tags.check_name(name)
    except WherryError as error:
        assert error.problem.code is ProblemCode.BAD_REQUEST
        return
    made = checkpoint_tags.new_tag(reason=MANUAL, name=cleaned, size_gib=64, image_version=version)
    assert len(made) <= MAX_TAG_BYTES
    assert made.isascii()
    checkpoint = checkpoint_tags.read(made, number="1", seconds=0)
    assert (checkpoint.name, checkpoint.reason, checkpoint.size_gib, checkpoint.foreign) == (cleaned, MANUAL, 64, False)
    assert abs(checkpoint.created_at - time.time()) < 60


@given(st.text(max_size=300) | st.from_regex(r"wherry1\.[0-9a-f]{8}\.[0-9]{1,16}\.[a-z-]+\.[0-9]+\..*\..*"))
def test_whatever_another_program_wrote_is_listed(untrusted_tag: str) -> None:
    checkpoint = checkpoint_tags.read(untrusted_tag, number="7", seconds=12.5)
    assert checkpoint.tag == untrusted_tag
    assert checkpoint.name.isprintable()
    if checkpoint.foreign:
        assert (checkpoint.id, checkpoint.automatic, checkpoint.created_at) == ("foreign-7", False, 12.5)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "\x00", "a" * (MAX_NAME_BYTES + 1), "日" * 40, "\udcff"])
def test_a_name_that_cannot_be_kept_is_refused(name: str) -> None:
    with pytest.raises(WherryError) as caught:
        checkpoint_tags.check_name(name)
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST
    assert caught.value.problem.hint


# -- the disk ---------------------------------------------------------------------------------------------------
def test_every_name_goes_through_qemu_and_back(disk: OfflineDisk) -> None:
    made = [tag(name) for name in ODD_NAMES]
    for words in made:
        disk.take(words)
    assert [(one.name, one.tag) for one in disk.list()] == list(zip(ODD_NAMES, made, strict=True))
    for one in disk.list():
        disk.delete(one)
    assert disk.list() == []


def test_a_disk_goes_back_and_forth(path: Path, disk: OfflineDisk, tool: Path) -> None:
    io(path, "write -P 0x11 1G 1M")
    disk.take(tag("first"))
    io(path, "write -P 0x22 1G 1M", "write -P 0x33 2G 1M")
    disks.ensure_data_disk(path, size_gib=6, image_tool=tool)
    disk.take(tag("second"))
    first, second = disk.list()
    disk.restore(first)
    assert "verification failed" not in io(path, "read -P 0x11 1G 1M", "read -P 0 2G 1M")
    assert disks.present_size_gib(path) == 4, "its size goes back, too"
    disk.restore(second)
    assert "verification failed" not in io(path, "read -P 0x22 1G 1M", "read -P 0x33 2G 1M")
    assert disks.present_size_gib(path) == 6
    check(path)


def test_what_each_holds_is_what_deleting_it_gives_back(path: Path, disk: OfflineDisk) -> None:
    io(path, "write -P 0x11 0 8M", "write -P 0x12 1G 8M")
    disk.take(tag("first"))
    io(path, "write -P 0x22 0 4M")
    disk.take(tag("second"))
    io(path, "write -P 0x23 0 6M", "discard 1G 4M")
    held = snapshot_space.held_alone(path)
    assert {number: size // 1024**2 for number, size in held.items()} == {"1": 4, "2": 4}, (
        "what both hold is of neither"
    )
    for one in disk.list():
        before, promised = taken(path), snapshot_space.held_alone(path)[one.number]
        disk.delete(one)
        freed = before - taken(path)
        assert abs(freed - promised) <= 3 * 65_536, f"{one.name}: {freed} freed, {promised} promised"
    check(path)
    assert snapshot_space.held_alone(path) == {}


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"QFI\xfb" + b"\xff" * 2000, b"no disk" * 1000])
def test_of_another_file_nothing_is_held(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert snapshot_space.held_alone(path) == {}


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=40))
def test_a_damaged_table_does_no_harm(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes) -> None:
    base = tmp_path_factory.getbasetemp() / "with-snapshot.qcow2"
    if not base.exists():
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), "1G"], check=True)
        io(base, "write -P 0x11 0 1M")
        subprocess.run(["qemu-img", "snapshot", "-c", "x", str(base)], check=True)
        io(base, "write -P 0x12 0 1M")
    content = bytearray(base.read_bytes())
    place = at if at < 200 else at * 97 % len(content)
    content[place : place + len(junk)] = junk
    spoilt = base.with_name("spoilt.qcow2")
    spoilt.write_bytes(content)
    held = snapshot_space.held_alone(spoilt)
    assert all(size >= 0 for size in held.values())


def test_a_full_disk_or_a_lock_is_not_called_damage(path: Path, tmp_path: Path) -> None:
    for words, code in (
        ("No space left on device", ProblemCode.HOST_DISK_FULL),
        ('Failed to get "write" lock', ProblemCode.DISK_LOCKED),
        ("something else", ProblemCode.CHECKPOINT_FAILED),
    ):
        script = tmp_path / "qemu-img"
        script.write_text(f"#!/bin/sh\necho '{words}' >&2; exit 1\n")
        script.chmod(0o755)
        with pytest.raises(WherryError) as caught:
            OfflineDisk(path, image_tool=script).take(tag())
        assert caught.value.problem.code is code
        assert caught.value.problem.hint


def test_two_of_one_foreign_name_are_told_apart(path: Path, disk: OfflineDisk, tool: Path) -> None:
    subprocess.run([str(tool), "snapshot", "-c", "-mine\x1b", str(path)], check=True)
    subprocess.run([str(tool), "snapshot", "-c", "-mine\x1b", str(path)], check=True)
    first, second = disk.list()
    assert first.foreign
    assert "\x1b" not in first.name
    with pytest.raises(WherryError, match="delete only the first"):
        disk.delete(second)
    disk.delete(first)
    disk.delete(second)
    assert disk.list() == []


# -- the policy -------------------------------------------------------------------------------------------------
def entry(identity: str, *, age_days: float, reason: str = BEFORE_UPDATE, foreign: bool = False) -> Checkpoint:
    return Checkpoint(
        id=identity, name="", reason=reason, created_at=1e9 - age_days * 86_400, size_gib=4, image_version="", tag="",
        number="1", foreign=foreign,
    )  # fmt: skip


def test_only_automatic_ones_are_pruned_the_oldest_first() -> None:
    checkpoints = [
        entry("hand", age_days=900, reason=MANUAL),
        entry("strange", age_days=900, reason="", foreign=True),
        *(entry(f"auto{days}", age_days=days) for days in (20, 4, 3, 2, 1)),
    ]

    def doomed(keep: int, days: int) -> list[str]:
        return [one.id for one in surplus(checkpoints, keep=keep, days=days, now=1e9)]

    assert doomed(5, 0) == []
    assert doomed(5, 14) == ["auto20"]
    assert doomed(3, 14) == ["auto20", "auto4"]
    assert doomed(3, 0) == ["auto20", "auto4"]
    assert doomed(0, 0) == ["auto20", "auto4", "auto3", "auto2", "auto1"]
