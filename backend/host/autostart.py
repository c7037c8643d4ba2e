"""Starting a program at login: a file on Linux and macOS, a registry value on Windows."""

from __future__ import annotations

import contextlib
import importlib
import os
import plistlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

_NAME: Final = "wherry"
_LABEL: Final = "io.wherry.desktop"
_RUN_KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"


class Autostart(Protocol):
    """The login entry of our program on one system."""

    @property
    def place(self) -> str:
        """Where the entry is stored, as shown to the user."""
        ...

    def is_on(self) -> bool:
        """Whether our program starts at login, as far as can be read. Never raises."""
        ...

    def program(self) -> str | None:
        """Path of the program that the entry starts; None when the entry cannot be read. Never raises."""
        ...

    def turn_on(self, argv: Sequence[str]) -> None:
        """Create or replace the entry. Raises OSError."""
        ...

    def turn_off(self) -> None:
        """Remove the entry; does nothing when there is none. Raises OSError."""
        ...


class XdgAutostart:
    """Linux and other freedesktop.org systems: a .desktop file in the autostart directory (Autostart 0.5)."""

    def __init__(self, path: Path | None = None) -> None:
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._path = path or config / "autostart" / f"{_NAME}.desktop"

    @property
    def place(self) -> str:
        """Path of the file."""
        return str(self._path)

    def is_on(self) -> bool:
        """See Autostart. False too when the desktop's settings have disabled the entry by a line in the file."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        values = {key.strip(): value.strip().lower() for key, _, value in (line.partition("=") for line in lines)}
        return values.get("Hidden") != "true" and values.get("X-GNOME-Autostart-enabled") != "false"

    def program(self) -> str | None:
        """See Autostart."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        command = next((line.partition("=")[2] for line in lines if line.startswith("Exec=")), "")
        return _unquoted(command)

    def turn_on(self, argv: Sequence[str]) -> None:
        """See Autostart."""
        lines = (
            "[Desktop Entry]",
            "Type=Application",
            "Name=Wherry",
            "Comment=A Docker engine for this computer",
            f"Icon={_NAME}",
            f"Exec={' '.join(_quoted(argument) for argument in argv)}",
            "Terminal=false",
            "X-GNOME-Autostart-enabled=true",
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, "\n".join(lines).encode() + b"\n")

    def turn_off(self) -> None:
        """See Autostart."""
        self._path.unlink(missing_ok=True)


class LaunchAgent:
    """macOS: a property list that launchd reads at the next login."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Path.home() / "Library" / "LaunchAgents" / f"{_LABEL}.plist"

    @property
    def place(self) -> str:
        """Path of the file."""
        return str(self._path)

    def is_on(self) -> bool:
        """See Autostart."""
        try:
            content = plistlib.loads(self._path.read_bytes())
        except (OSError, ValueError, plistlib.InvalidFileException):
            return False
        return isinstance(content, dict) and bool(content.get("RunAtLoad")) and not content.get("Disabled")

    def program(self) -> str | None:
        """See Autostart."""
        try:
            words = plistlib.loads(self._path.read_bytes())["ProgramArguments"]
            return str(words[0])
        except (OSError, ValueError, plistlib.InvalidFileException, KeyError, IndexError, TypeError):
            return None

    def turn_on(self, argv: Sequence[str]) -> None:
        """See Autostart."""
        content = {
            "Label": _LABEL,
            "ProgramArguments": list(argv),
            "RunAtLoad": True,
            "ProcessType": "Interactive",
            "LimitLoadToSessionType": "Aqua",
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, plistlib.dumps(content))

    def turn_off(self) -> None:
        """See Autostart."""
        self._path.unlink(missing_ok=True)


class RunKey:
    """Windows: a value of the user's Run key in the registry."""

    def __init__(self, registry: Any = None) -> None:
        """`registry` replaces the module `winreg` in tests."""
        self._given = registry

    @property
    def place(self) -> str:
        """Path of the registry value."""
        return rf"HKEY_CURRENT_USER\{_RUN_KEY}\{_NAME}"

    def is_on(self) -> bool:
        """See Autostart."""
        registry = self._registry
        try:
            with registry.OpenKey(registry.HKEY_CURRENT_USER, _RUN_KEY) as key:
                return bool(registry.QueryValueEx(key, _NAME)[0])
        except OSError:
            return False

    def program(self) -> str | None:
        """See Autostart. The first word of the command line, in quotes or up to a blank."""
        registry = self._registry
        try:
            with registry.OpenKey(registry.HKEY_CURRENT_USER, _RUN_KEY) as key:
                command = str(registry.QueryValueEx(key, _NAME)[0]).strip()
        except OSError:
            return None
        word = command[1:].partition('"')[0] if command.startswith('"') else command.partition(" ")[0]
        return word or None

    def turn_on(self, argv: Sequence[str]) -> None:
        """See Autostart."""
        registry = self._registry
        with registry.CreateKey(registry.HKEY_CURRENT_USER, _RUN_KEY) as key:
            registry.SetValueEx(key, _NAME, 0, registry.REG_SZ, subprocess.list2cmdline(argv))

    def turn_off(self) -> None:
        """See Autostart."""
        registry = self._registry
        with (
            contextlib.suppress(FileNotFoundError),
            registry.OpenKey(registry.HKEY_CURRENT_USER, _RUN_KEY, 0, registry.KEY_SET_VALUE) as key,
        ):
            registry.DeleteValue(key, _NAME)

    @property
    def _registry(self) -> Any:
        return self._given if self._given is not None else importlib.import_module("winreg")


def _quoted(argument: str) -> str:
    """Quote an argument for an Exec line: escape what is special inside quotes, then every backslash for the file.

    Raises OSError for a line break, which such a file cannot hold.
    """
    if "\n" in argument or "\r" in argument:
        raise OSError(f"{argument!r} cannot be written into a .desktop file")
    for letter in ("\\", '"', "`", "$"):
        argument = argument.replace(letter, f"\\{letter}")
    return '"' + argument.replace("\\", "\\\\").replace("%", "%%") + '"'


def _unquoted(command: str) -> str | None:
    """The first argument of an Exec line, quoted as by `_quoted` or bare."""
    if not command.startswith('"'):
        return command.partition(" ")[0] or None
    # Doubling backslashes for the file is the last step of quoting: undo it first.
    text = command.replace("\\\\", "\\")
    word = ""
    letters = iter(text[1:])
    for letter in letters:
        if letter == '"':
            return word.replace("%%", "%") or None
        word += next(letters, "") if letter == "\\" else letter
    return None


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically. Its mode is not restricted: the session reads it, and it holds no secret."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
