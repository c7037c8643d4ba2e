"""Archives out of containers: what hostile ones may not do here, and how good ones come through."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.engine.container import archive
from backend.engine.container.transfer import Transfer
from backend.errors import Cancelled


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o644
    for key, value in fields.items():
        setattr(entry, key, value)
    return entry, data


def unpack(target: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Transfer:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for entry, data in members:
            made.addfile(entry, io.BytesIO(data) if entry.isfile() else None)
    transfer = Transfer()
    buffer.seek(0)
    with tarfile.open(fileobj=buffer, mode="r|") as opened:
        archive._unpack(opened, target, transfer)
    return transfer


def tree(directory: Path) -> dict[str, bytes | str]:
    return {
        path.relative_to(directory).as_posix(): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


DIRECTORY = member("srv", type=tarfile.DIRTYPE, mode=0o755)


def test_a_tree_comes_whole(tmp_path: Path) -> None:
    transfer = unpack(
        tmp_path / "srv",
        DIRECTORY,
        member("srv/run", b"#!/bin/sh\n", mode=0o4755),
        member("srv/sub", type=tarfile.DIRTYPE, mode=0o500),
        member("srv/sub/zoë", b"boats"),
        member("srv/link", type=tarfile.SYMTYPE, linkname="sub/zoë"),
        member("srv/hard", type=tarfile.LNKTYPE, linkname="srv/run"),
    )
    assert tree(tmp_path / "srv") == {
        "run": b"#!/bin/sh\n",
        "sub/zoë": b"boats",
        "link": "sub/zoë",
        "hard": b"#!/bin/sh\n",
    }
    assert stat.S_IMODE((tmp_path / "srv" / "run").stat().st_mode) == 0o755  # no set-user-id on this computer
    assert transfer.skipped_count == 0
    assert transfer.done_bytes == 25


@pytest.mark.parametrize(
    "bad",
    [
        member("srv/../../escaped", b"x"),
        member("../escaped", b"x"),
        member("srv/a/../../../escaped", b"x"),
        member("srv/null", type=tarfile.CHRTYPE),
        member("srv/pipe", type=tarfile.FIFOTYPE),
        member("srv/absolute", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("srv/up", type=tarfile.SYMTYPE, linkname="../../outside"),
        member("srv/sub/up", type=tarfile.SYMTYPE, linkname="../../outside"),
        member("srv", type=tarfile.SYMTYPE, linkname="/etc"),
    ],
    ids=lambda entry: entry[0].name,
)
def test_what_would_lead_out_is_left_out(tmp_path: Path, bad: tuple[tarfile.TarInfo, bytes]) -> None:
    inner = tmp_path / "deep" / "place"
    inner.mkdir(parents=True)
    transfer = unpack(inner / "srv", DIRECTORY, bad, member("srv/good", b"x"))
    assert tree(tmp_path) == {"deep/place/srv/good": b"x"}
    assert transfer.skipped_count == 1


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inner = tmp_path / "in"
    inner.mkdir()
    unpack(
        inner / "srv",
        DIRECTORY,
        member("srv/trap", type=tarfile.SYMTYPE, linkname="../../outside"),
        member("srv/trap/file", b"x"),
        member("srv/a", type=tarfile.SYMTYPE, linkname="b"),
        member("srv/a", b"through"),
        member("srv/hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    )
    assert tree(outside) == {}
    assert tree(inner)["srv/trap/file"] == b"x"


def test_a_link_below_a_link_cannot_reach_further(tmp_path: Path) -> None:
    inner = tmp_path / "in"
    inner.mkdir()
    transfer = unpack(
        inner / "srv",
        DIRECTORY,
        member("srv/x/y/top", type=tarfile.SYMTYPE, linkname="../.."),
        member("srv/x/y/top/out", type=tarfile.SYMTYPE, linkname="../../../etc"),
    )
    made = [path for path in inner.rglob("*") if path.is_symlink()]
    assert all(Path(os.path.realpath(path)).is_relative_to(inner) for path in made)
    assert transfer.skipped_count >= 1


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("plain.txt", "plain.txt"),
        ("con", "_con"),
        ("LPT1.txt", "_LPT1.txt"),
        ("a:b*c?.txt", "a_b_c_.txt"),
        ("trailing. . ", "trailing"),
        ("\u202egnp.exe", "gnp.exe"),
        ("new\nline", "new line"),
        ("..", ""),
        ("\udcff", "\N{REPLACEMENT CHARACTER}"),
        ("back\\slash", "back_slash"),
    ],
)
def test_names_for_this_computer(name: str, safe: str) -> None:
    assert archive.safe_part(name) == safe


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_a_safe_name_is_one_part_of_a_path(name: str) -> None:
    safe = archive.safe_part(name)
    assert "/" not in safe
    assert safe not in (".", "..")
    assert len(safe.encode()) <= 200
    assert not any(ord(letter) < 32 for letter in safe)


def test_names_that_become_the_same_do_not_overwrite_each_other(tmp_path: Path) -> None:
    unpack(tmp_path / "srv", DIRECTORY, member("srv/a:b", b"1"), member("srv/a?b", b"2"))
    assert tree(tmp_path / "srv") == {"a_b": b"1", "a_b (2)": b"2"}
    assert archive.free_name(tmp_path, "srv").name == "srv (2)"


def test_a_cancel_stops_in_the_middle(tmp_path: Path) -> None:
    transfer = Transfer()
    closed = []
    transfer.on_cancel(lambda: closed.append(True))
    transfer.cancel()
    with pytest.raises(Cancelled):
        transfer.add(1)
    assert closed == [True]
    with pytest.raises(Cancelled):
        list(archive._pack((tmp_path,), (0, 0), transfer))


def test_what_is_sent_is_a_tar_of_what_is_here(tmp_path: Path) -> None:
    source = tmp_path / "from here"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "zoë").write_bytes(b"x" * 700)
    (source / "empty").write_bytes(b"")
    (source / "link").symlink_to("sub/zoë")
    os.mkfifo(source / "pipe")
    transfer = Transfer()
    data = b"".join(archive._pack((source,), (5, 6), transfer))
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        members = {entry.name: entry for entry in made}
        content = made.extractfile("from here/sub/zoë")
        assert content is not None
        assert content.read() == b"x" * 700
    assert set(members) == {"from here", "from here/sub", "from here/sub/zoë", "from here/empty", "from here/link"}
    assert {(entry.uid, entry.gid) for entry in members.values()} == {(5, 6)}
    assert members["from here/link"].linkname == "sub/zoë"
    assert transfer.done_bytes == 700
    assert transfer.skipped == ["from here/pipe"]
