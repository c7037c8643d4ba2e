"""The guest image: proved before it is run, hashed once, and never trusted to name files elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ProblemCode, WherryError
from backend.vm import image
from tests.agent.machine import make_image


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_image(tmp_path / "image", arch="amd64")


@pytest.fixture
def stamp(tmp_path: Path) -> Path:
    return tmp_path / "stamp.json"


def alter(directory: Path, **changes: Any) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(directory: Path, stamp: Path) -> WherryError:
    with pytest.raises(WherryError) as caught:
        image.load(directory, arch="amd64", stamp=stamp)
    assert caught.value.problem.hint
    return caught.value


def test_a_whole_image_is_read(directory: Path, stamp: Path) -> None:
    loaded = image.load(directory, arch="amd64", stamp=stamp)
    assert (loaded.version, loaded.engine_version, loaded.cmdline) == ("fake-1", "28.0.0", "console=ttyS0")
    assert loaded.kernel == directory / "kernel"
    assert loaded.root.is_file()
    assert loaded.ssh_port == 22  # where images listened that do not tell
    alter(directory, ssh_port=10055)
    assert image.load(directory, arch="amd64", stamp=stamp).ssh_port == 10055


def test_a_verified_file_is_not_hashed_again_until_it_changes(directory: Path, stamp: Path) -> None:
    image.load(directory, arch="amd64", stamp=stamp)
    before = (directory / "root").stat()
    content = (directory / "root").read_bytes()
    with (directory / "root").open("r+b") as file:
        file.write(b"X")
    os.utime(directory / "root", ns=(before.st_atime_ns, before.st_mtime_ns))
    image.load(directory, arch="amd64", stamp=stamp)  # size, time and inode as before: it was not read
    os.utime(directory / "root", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert refusal(directory, stamp).problem.code is ProblemCode.IMAGE_DAMAGED
    (directory / "root").write_bytes(content)
    image.load(directory, arch="amd64", stamp=stamp)


def test_a_file_put_in_the_place_of_another_is_hashed(directory: Path, stamp: Path) -> None:
    image.load(directory, arch="amd64", stamp=stamp)
    before = (directory / "kernel").stat()
    (directory / "new").write_bytes(b"Y" * before.st_size)
    os.utime(directory / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (directory / "new").rename(directory / "kernel")
    assert "digest" in str(refusal(directory, stamp))


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', "\x00"])
def test_a_broken_stamp_costs_a_look_and_nothing_else(directory: Path, stamp: Path, text: str) -> None:
    stamp.write_text(text)
    image.load(directory, arch="amd64", stamp=stamp)
    assert len(json.loads(stamp.read_text())) == 3


@pytest.mark.parametrize("name", ["../kernel", "/etc/passwd", "a/b", "..", ".", ""])
def test_a_manifest_names_no_file_elsewhere(directory: Path, stamp: Path, name: str) -> None:
    alter(directory, kernel={"file": name, "size": 1, "sha256": "0" * 64})
    assert refusal(directory, stamp).problem.code in (ProblemCode.IMAGE_DAMAGED, ProblemCode.IMAGE_MISSING)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"format": 1}', b'{"format": 2}', b'{"format": "1"}', b"{}"]
)
def test_a_manifest_of_another_shape_is_damage(directory: Path, stamp: Path, content: bytes) -> None:
    (directory / "manifest.json").write_bytes(content)
    assert refusal(directory, stamp).problem.code is ProblemCode.IMAGE_DAMAGED
    assert not stamp.exists()


def test_no_image_is_said_as_such(tmp_path: Path, stamp: Path) -> None:
    assert refusal(tmp_path / "nowhere", stamp).problem.code is ProblemCode.IMAGE_MISSING


def test_another_computers_image_is_refused(directory: Path, stamp: Path) -> None:
    alter(directory, arch="arm64")
    assert "this computer needs amd64" in str(refusal(directory, stamp))
