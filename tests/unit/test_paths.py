"""The machine's directory: every name once, sockets short enough, all of it private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from backend.control.launch import ensure_agent
from backend.doctor import CheckSeverity, examine_home
from backend.errors import WherryError
from backend.paths import SOCKET_NAMES, MachineDir, path_problem
from backend.settings.config import PATHS, load, set_values

LIMIT = 103
ODD_NAMES = [
    "a b",
    "Zoë",
    "汉",
    "it's",
    'say "x"',
    "a\\b",
    "a,b",
    "a:b",
    "$HOME",
    "`x`",
    "a;b",
    "-n",
    "~",
    "a=b",
    "a&b",
]


def locate(home: Path) -> MachineDir:
    return MachineDir.locate(home, max_socket_path_bytes=LIMIT, short_run_base=Path("/tmp/wherry-7"))


def sockets(directory: MachineDir) -> list[Path]:
    return [
        directory.docker_socket,
        directory.agent_socket,
        directory.monitor_socket,
        directory.control_socket,
        directory.console_socket,
        directory.keeper_socket,
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


@pytest.mark.parametrize("name", ["50% off", "a%41", "C#", "why?", "two\nlines", "bytes\udcff"])
def test_a_home_that_breaks_a_docker_clients_url_has_its_sockets_elsewhere(name: str) -> None:
    assert locate(Path("/home/u") / name).run.parent == Path("/tmp/wherry-7")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_other_home_holds_them(name: str) -> None:
    assert locate(Path("/home/u") / name).run == Path("/home/u") / name / "run"


@pytest.mark.parametrize("name", [*ODD_NAMES, "50% off", "C#", "why?", "x" * 255])
def test_a_path_may_have_every_character_that_can_be_typed(name: str) -> None:
    assert path_problem(Path("/home/u") / name) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/home/two\nlines", "control character"),
        ("/home/a\tb", "control character"),
        ("/home/\x7f", "control character"),
        ("/home/\udcff", "UTF-8"),
        ("/" + "y" * 256, "too long"),
        ("/z" * 2000, "too long"),
    ],
)
def test_a_path_that_will_not_do_is_said_in_words_that_can_be_printed(path: str, why: str) -> None:
    problem = path_problem(Path(path))
    assert problem is not None
    assert why in str(problem.summary)
    assert str(problem.summary).isprintable()
    assert len(str(problem.summary)) < 200


def test_start_doctor_and_settings_ask_the_same(tmp_path: Path) -> None:
    bad = tmp_path / "two\nlines"
    with pytest.raises(WherryError, match="control character"):
        ensure_agent(bad)
    assert not bad.exists()
    (result,) = [found for found in examine_home(bad, only=["home"]) if found.id == "home"]
    assert result.severity is CheckSeverity.FAILURE
    assert "control character" in str(result.finding)
    for key in PATHS:
        with pytest.raises(WherryError, match="control character"):
            set_values(tmp_path / "config.toml", {key: str(bad)}, moved=True)
        section, _, name = key.partition(".")
        edited = tmp_path / f"{name}.toml"
        edited.write_text(f'version = 1\n[{section}]\n{name} = "/two\\nlines"\n')
        with pytest.raises(WherryError, match="control character"):
            load(edited)


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
