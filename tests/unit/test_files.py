"""Small files of the machine: what is promised to outlive a power cut was handed to the disk, or it is an error."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.agent.core import journal
from backend.agent.core.journal import Journal
from backend.errors import WherryError
from backend.files import write_private
from backend.host import current
from backend.paths import MachineDir
from backend.vm import suspended


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(
        tmp_path / "home",
        max_socket_path_bytes=current().max_socket_path_bytes,
        short_run_base=current().short_run_base(),
    )
    made.create()
    return made


def no_directory_is_written(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A disk that fails as soon as the names in a directory are to be written."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_state_that_may_come_back_after_a_power_cut_was_not_given_up(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.suspended_state.write_bytes(b"memory")
    no_directory_is_written(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        suspended.discard(directory)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_name_that_may_be_lost_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    path = tmp_path / "operation.json"
    ways: list[tuple[type[Exception], Callable[[], None]]] = [
        (OSError, lambda: write_private(path, b"x")),
        (WherryError, lambda: journal.save(path, Journal(name="reset", stage="x", was_running=False))),
        (WherryError, lambda: journal.end(path)),
    ]
    no_directory_is_written(monkeypatch, code)
    for error, way in ways:
        with pytest.raises(error):
            way()


def test_a_file_system_that_cannot_write_names_by_themselves_is_good_enough(
    directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_directory_is_written(monkeypatch, errno.EINVAL)
    write_private(directory.desired, b"x")
    suspended.discard(directory)
    assert directory.desired.read_bytes() == b"x"
    assert [path.name for path in directory.desired.parent.iterdir() if path.name.endswith(".new")] == []
