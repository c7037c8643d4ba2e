"""The machine's directory: every name once, sockets short enough, all of it private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from backend.paths import SOCKET_NAMES, MachineDir

LIMIT = 103


def locate(home: Path) -> MachineDir:
    return MachineDir.locate(home, max_socket_path_bytes=LIMIT, short_run_base=Path("/tmp/wherry-7"))


def sockets(directory: MachineDir) -> list[Path]:
    return [
        directory.docker_socket,
        directory.agent_socket,
        directory.monitor_socket,
        directory.control_socket,
        directory.console_socket,
    ]


def test_a_short_home_holds_its_sockets() -> None:
    directory = locate(Path("/home/u/.local/share/wherry"))
    assert directory.run == directory.home / "run"
    assert sorted(path.name for path in sockets(directory)) == sorted(SOCKET_NAMES)
    assert {path.parent for path in sockets(directory)} == {directory.run}


@pytest.mark.parametrize("length", range(60, 130))
def test_no_socket_is_longer_than_it_may_be(length: int) -> None:
    home = Path("/" + "x" * (length - 1))
    directory = locate(home)
    assert max(len(str(path).encode()) for path in sockets(directory)) <= LIMIT
    assert (directory.run == home / "run") == (len(str(home / "run" / "control.sock")) <= LIMIT)


def test_letters_count_as_the_bytes_that_they_are() -> None:
    home = Path("/" + "ü" * 60)
    assert len(str(home / "run" / "control.sock")) < LIMIT
    assert locate(home).run.parent == Path("/tmp/wherry-7")


def test_two_long_homes_share_nothing() -> None:
    first, second = (locate(Path("/" + letter * 120)) for letter in "ab")
    assert first.run != second.run
    assert locate(Path("/" + "a" * 120)).run == first.run


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert locate(Path("here")).home == tmp_path / "here"
    assert locate(Path("~/there")).home == tmp_path / "me" / "there"


def test_everything_that_is_made_is_private(tmp_path: Path) -> None:
    base = tmp_path / "short"
    directory = MachineDir.locate(tmp_path / ("x" * 120), max_socket_path_bytes=LIMIT, short_run_base=base)
    directory.create()
    directory.create()
    for place in (directory.home, base, directory.run, directory.keys, directory.machine, directory.logs):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700, place


def test_the_users_own_choice_of_rights_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    locate(home).create()
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_no_two_names_are_the_same() -> None:
    directory = locate(Path("/h"))
    names = [name for name in dir(MachineDir) if isinstance(getattr(MachineDir, name), property)]
    values = [getattr(directory, name) for name in names]
    assert len(set(values)) == len(values)
