"""Copying the data disk: only what is in it, ended by whoever watches, and refused where it cannot go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from backend.errors import ProblemCode, WherryError
from backend.vm.disk import disk_copy

MIB = 1024**2


def ignore(_fraction: float) -> None:
    pass


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "data.qcow2"
    with path.open("wb") as file:
        file.write(b"begin" * 1000)
        file.seek(50 * MIB)
        file.write(b"middle")
        file.seek(70 * MIB)
        file.write(bytes(3 * MIB))  # zeros that are really written
        file.truncate(90 * MIB + 123)
    return path


def test_the_copy_is_equal_and_has_no_more_than_what_is_in_it(disk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    progress: list[float] = []
    digest = disk_copy.copy(disk, copy, progress.append)
    assert copy.read_bytes() == disk.read_bytes()
    assert copy.stat().st_blocks * 512 < 8 * MIB
    assert copy.stat().st_mode & 0o077 == 0
    assert disk_copy.digest_of(copy, ignore) == digest
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


@pytest.mark.parametrize("at", [0, 50 * MIB + 3, 71 * MIB, 90 * MIB + 122])
def test_one_changed_byte_is_seen_wherever_it_is(disk: Path, tmp_path: Path, at: int) -> None:
    copy = tmp_path / "copy"
    digest = disk_copy.copy(disk, copy, ignore)
    with copy.open("r+b") as file:
        file.seek(at)
        file.write(b"X")
    assert disk_copy.digest_of(copy, ignore) != digest


def test_a_shorter_copy_of_the_same_data_is_seen(disk: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    digest = disk_copy.copy(disk, copy, ignore)
    os.truncate(copy, 89 * MIB)
    assert disk_copy.digest_of(copy, ignore) != digest


def test_who_watches_can_end_it(disk: Path, tmp_path: Path) -> None:
    def enough(fraction: float) -> None:
        if fraction > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        disk_copy.copy(disk, tmp_path / "copy", enough)


def test_it_overwrites_nothing(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(FileExistsError):
        disk_copy.copy(disk, tmp_path / "copy", ignore)
    assert (tmp_path / "copy").read_text() == "precious"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_place_that_cannot_take_it_is_refused(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"

    def refusal() -> ProblemCode:
        with pytest.raises(WherryError) as caught:
            disk_copy.check_target(disk, place, place / "data.qcow2")
        return caught.value.problem.code

    assert refusal() is ProblemCode.BAD_REQUEST, "it is not there"
    place.write_text("a file")
    assert refusal() is ProblemCode.BAD_REQUEST
    place.unlink()
    place.mkdir()
    disk_copy.check_target(disk, place, place / "data.qcow2")
    (place / "data.qcow2").write_text("of another machine")
    assert refusal() is ProblemCode.BAD_REQUEST
    (place / "data.qcow2").unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 10**12, 100 * MIB))
    assert refusal() is ProblemCode.HOST_DISK_FULL
    monkeypatch.undo()
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert refusal() is ProblemCode.BAD_REQUEST, "it is somebody else's"
