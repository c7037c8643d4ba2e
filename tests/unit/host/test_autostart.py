"""Starting at login: each system's own form, read back by what that system reads it with."""

from __future__ import annotations

import plistlib
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from backend.host.autostart import Autostart, LaunchAgent, RunKey, XdgAutostart

ARGV = ["/opt/my tools/wherry $HOME `x` 100%/wherry-desktop", "--login", "--home", 'C:\\a "b"']


class Registry:
    """As much of winreg as is used."""

    HKEY_CURRENT_USER = "HKCU"
    REG_SZ = 1
    KEY_SET_VALUE = 2

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.has_key = False

    def OpenKey(self, root: str, path: str, reserved: int = 0, access: int = 0) -> Self:
        if not self.has_key:
            raise FileNotFoundError(path)
        return self

    def CreateKey(self, root: str, path: str) -> Self:
        self.has_key = True
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def QueryValueEx(self, key: Any, name: str) -> tuple[str, int]:
        if name not in self.values:
            raise FileNotFoundError(name)
        return self.values[name], self.REG_SZ

    def SetValueEx(self, key: Any, name: str, reserved: int, kind: int, value: str) -> None:
        self.values[name] = value

    def DeleteValue(self, key: Any, name: str) -> None:
        if self.values.pop(name, None) is None:
            raise FileNotFoundError(name)


MADE: list[Callable[[Path], Autostart]] = [
    lambda path: XdgAutostart(path / "autostart" / "wherry.desktop"),
    lambda path: LaunchAgent(path / "LaunchAgents" / "io.wherry.desktop.plist"),
    lambda path: RunKey(Registry()),
]


@pytest.mark.parametrize("make", MADE, ids=["xdg", "launchd", "registry"])
def test_on_and_off(tmp_path: Path, make: Callable[[Path], Autostart]) -> None:
    autostart = make(tmp_path)
    assert not autostart.is_on()
    autostart.turn_off()
    autostart.turn_on(ARGV)
    autostart.turn_on(ARGV)
    assert autostart.is_on()
    assert "wherry" in autostart.place
    autostart.turn_off()
    assert not autostart.is_on()


def test_the_desktop_file_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "wherry.desktop"
    XdgAutostart(path).turn_on(ARGV)
    line = next(line for line in path.read_text().splitlines() if line.startswith("Exec="))
    # First the file's own escapes, then the quotes (which are those of a shell), then the field codes.
    quoted = line.removeprefix("Exec=").replace("\\\\", "\\")
    assert [word.replace("%%", "%") for word in shlex.split(quoted.replace("\\$", "$").replace("\\`", "`"))] == ARGV
    with pytest.raises(OSError, match="cannot be written"):
        XdgAutostart(path).turn_on(["a\nExec=evil"])


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_what_a_desktop_turned_off_is_off(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wherry.desktop"
    XdgAutostart(path).turn_on(ARGV)
    path.write_text(path.read_text().replace("X-GNOME-Autostart-enabled=true\n", "") + line + "\n")
    assert not XdgAutostart(path).is_on()


def test_the_property_list_starts_it_at_login(tmp_path: Path) -> None:
    path = tmp_path / "x.plist"
    LaunchAgent(path).turn_on(ARGV)
    content = plistlib.loads(path.read_bytes())
    assert content["ProgramArguments"] == ARGV
    assert content["RunAtLoad"] is True
    path.write_bytes(b"not a plist")
    assert not LaunchAgent(path).is_on()


def test_the_run_key_holds_one_command_line() -> None:
    registry = Registry()
    RunKey(registry).turn_on(ARGV)
    assert registry.values == {"wherry": subprocess.list2cmdline(ARGV)}


def test_the_place_follows_the_users_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert XdgAutostart().place == str(tmp_path / "autostart" / "wherry.desktop")
