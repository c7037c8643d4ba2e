"""The data disk: made once by the real qemu-img, never made anew, whatever is wrong with it."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.vm.disk import disks


@pytest.fixture
def tool() -> Path:
    program = shutil.which("qemu-img")
    assert program, "qemu-img is not installed; run: python3 packaging/dev.py test"
    return Path(program)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def refusal(path: Path, tool: Path) -> ProblemCode:
    with pytest.raises(WherryError) as caught:
        disks.ensure_data_disk(path, size_gib=4, image_tool=tool)
    assert caught.value.problem.hint
    return caught.value.problem.code


def test_a_disk_is_made_once_and_is_private(tmp_path: Path, tool: Path) -> None:
    path = tmp_path / "a 'disk', one.qcow2"
    assert disks.ensure_data_disk(path, size_gib=5, image_tool=tool) == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert disks.ensure_data_disk(path, size_gib=4, image_tool=tool) == 5, "it is never made smaller"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_grows_and_keeps_what_is_on_it(tmp_path: Path, tool: Path) -> None:
    path = tmp_path / "data.qcow2"
    disks.ensure_data_disk(path, size_gib=4, image_tool=tool)
    write = ("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1G 64k", str(path))
    subprocess.run(write, check=True, stdout=subprocess.DEVNULL)
    assert disks.present_size_gib(path) == 4
    assert disks.ensure_data_disk(path, size_gib=7, image_tool=tool) == 7
    assert disks.present_size_gib(path) == 7
    read = subprocess.run(
        ("qemu-io", "-f", "qcow2", "-c", "read -P 0x5a 1G 64k", str(path)), check=True, capture_output=True, text=True
    )
    assert "verification failed" not in read.stdout


def test_a_smaller_size_is_refused_before_it_is_saved(tmp_path: Path, tool: Path) -> None:
    path = tmp_path / "data.qcow2"
    disks.check_size(path, 1)
    disks.ensure_data_disk(path, size_gib=6, image_tool=tool)
    disks.check_size(path, 6)
    disks.check_size(path, 600)
    with pytest.raises(WherryError) as caught:
        disks.check_size(path, 5)
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST
    assert "reset" in str(caught.value.problem.hint)


@pytest.mark.parametrize("content", [b"", b"QFI", b"not a disk at all, but long enough for a header"])
def test_the_size_of_what_is_no_disk_is_not_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.qcow2"
    assert disks.present_size_gib(path) is None
    path.write_bytes(content)
    assert disks.present_size_gib(path) is None


def test_a_disk_that_was_half_made_is_made_anew(tmp_path: Path, tool: Path) -> None:
    (tmp_path / ".data.qcow2.new").write_bytes(b"half")
    assert disks.ensure_data_disk(tmp_path / "data.qcow2", size_gib=4, image_tool=tool) == 4
    assert not (tmp_path / ".data.qcow2.new").exists()


@pytest.mark.parametrize("content", [b"", b"not a disk", b"QFI\xfb" + b"\xff" * 1000])
def test_what_is_no_disk_of_ours_is_left_as_it_is(tmp_path: Path, tool: Path, content: bytes) -> None:
    path = tmp_path / "data.qcow2"
    path.write_bytes(content)
    assert refusal(path, tool) is ProblemCode.DISK_DAMAGED
    assert path.read_bytes() == content


def test_a_disk_in_use_can_be_looked_at(tmp_path: Path, tool: Path) -> None:
    path = tmp_path / "data.qcow2"
    disks.ensure_data_disk(path, size_gib=4, image_tool=tool)
    with subprocess.Popen(["qemu-io", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"length\n")
        holder.stdin.flush()
        holder.stdout.readline()
        assert disks.ensure_data_disk(path, size_gib=4, image_tool=tool) == 4
        holder.communicate(b"quit\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("qemu-img: No space left on device", ProblemCode.HOST_DISK_FULL),
        ('qemu-img: Failed to get "write" lock', ProblemCode.DISK_LOCKED),
        ("qemu-img: something else", ProblemCode.DISK_DAMAGED),
    ],
)
def test_what_the_tool_says_is_understood(tmp_path: Path, words: str, code: ProblemCode) -> None:
    tool = script(tmp_path / "qemu-img", f"echo '{words}' >&2; exit 1")
    assert refusal(tmp_path / "data.qcow2", tool) is code
    assert not (tmp_path / "data.qcow2").exists()


@pytest.mark.parametrize("answer", ["", "[]", "null", '{"format": "raw", "virtual-size": 1}', '{"format": "qcow2"}'])
def test_an_answer_of_another_shape_is_damage(tmp_path: Path, answer: str) -> None:
    (tmp_path / "data.qcow2").write_bytes(b"x")
    tool = script(tmp_path / "qemu-img", f"echo '{answer}'")
    assert refusal(tmp_path / "data.qcow2", tool) is ProblemCode.DISK_DAMAGED


def test_a_tool_that_does_not_run_is_said(tmp_path: Path) -> None:
    assert refusal(tmp_path / "data.qcow2", tmp_path / "no-such-tool") is ProblemCode.TOOL_MISSING


def test_room_is_asked_of_the_file_system(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    if free > disks.MINIMUM_FREE_BYTES:
        disks.check_room(tmp_path)
    with pytest.raises(WherryError) as caught:
        disks.check_room(Path("/proc"))  # a file system without any room
    assert caught.value.problem.code is ProblemCode.HOST_DISK_FULL
    assert "0 MiB" in str(caught.value.problem.summary)
