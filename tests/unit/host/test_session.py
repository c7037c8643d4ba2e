"""What is written into the user's session, with paths that need care."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.host.session.place import EndpointPlace
from backend.host.systems.session_managers import Launchd, LoginEntry, SystemdUser

PATHS = ("plain", "a b", "100%h", 'quo"te', "$HOME", "back\\slash", "naïve “x”", "semi;colon", "-dash")


def place(home: Path, *, is_default: bool = False) -> EndpointPlace:
    return EndpointPlace(
        home=home,
        is_default=is_default,
        docker_socket=home / "run" / "docker.sock",
        keeper_socket=home / "run" / "keeper.sock",
        keeper_lock=home / "keeper.lock",
        agent_output=home / "agent.out",
        agent=(sys.executable, "-m", "backend.agent", "--home", str(home)),
        keeper=(sys.executable, "-I", "-S", str(home / "keeper.py")),
        starter=(sys.executable, "-m", "backend.control.session", "--home", str(home)),
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_units_are_valid_for_odd_paths(tmp_path: Path) -> None:
    manager = SystemdUser(tmp_path / "units")
    manager_units = [manager.units(place(tmp_path / name)) for name in PATHS]
    files = [path for units in manager_units for path in units]
    (tmp_path / "units").mkdir()
    for units in manager_units:
        for path, text in units.items():
            path.write_text(text, encoding="utf-8")
    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--user", *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert verdict.stderr == ""
    assert len(files) == 2 * len(PATHS), "each machine has units of its own"


def test_a_path_with_a_line_break_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written"):
        SystemdUser(tmp_path).units(place(tmp_path / "a\nExecStart=b"))


def test_names_are_by_machine(tmp_path: Path) -> None:
    assert place(tmp_path, is_default=True).name == "wherry"
    assert place(tmp_path / "a").name != place(tmp_path / "b").name


def test_a_unit_of_another_version_is_not_up_to_date(tmp_path: Path) -> None:
    manager, here = SystemdUser(tmp_path), place(tmp_path)
    for path, text in manager.units(here).items():
        path.write_text(text, encoding="utf-8")
    assert not manager.is_installed(here), "it is not enabled"
    wants = tmp_path / "sockets.target.wants"
    wants.mkdir()
    (wants / f"{here.name}.socket").symlink_to(tmp_path / f"{here.name}.socket")
    assert manager.is_installed(here)
    (tmp_path / f"{here.name}.service").write_text("[Service]\n", encoding="utf-8")
    assert not manager.is_installed(here)


def test_launchd_gets_both_sockets(tmp_path: Path) -> None:
    content = plistlib.loads(Launchd(tmp_path).content(place(tmp_path / "a b")))
    assert content["Sockets"]["Docker"] == {
        "SockPathName": str(tmp_path / "a b/run/docker.sock"),
        "SockPathMode": 0o600,
    }
    assert set(content["Sockets"]) == {"Docker", "Control"}
    assert content["AbandonProcessGroup"]
    assert "--kind" in content["ProgramArguments"]


def test_the_login_entry_is_removed_as_it_was_made(tmp_path: Path) -> None:
    manager, here = LoginEntry(tmp_path), place(tmp_path / "100% “x”")
    assert not manager.is_installed(here)
    manager.install(here, now=True)
    assert manager.is_installed(here)
    assert [path.parent for path in manager.remove(here)] == [tmp_path]
    assert manager.remove(here) == []
    assert list(tmp_path.iterdir()) == []
