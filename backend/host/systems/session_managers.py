"""Managers of a user's session that listen for us: systemd's user manager, launchd, and the desktop's login entries.

Everything that is written into the session is written here, and removed here. The files are the user's own; none needs
administrator rights.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from pathlib import Path
from typing import Final, Protocol

from backend.host.autostart import XdgAutostart, replace_file
from backend.host.session.place import EndpointPlace

_COMMAND_S: Final = 15.0
_PASSED_ON: Final = ("PATH", "DOCKER_CONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""Environment variables that an agent started by the session needs to find what one started in a terminal finds."""


class SessionManager(Protocol):
    """Listens on the sockets of a machine for as long as the session lasts, or at least starts a keeper at login."""

    listens: bool
    """Whether it listens itself, and starts a keeper for the first client. Else it only starts one at login."""

    def is_installed(self, place: EndpointPlace) -> bool:
        """Whether all its files are there and up to date. Never raises."""
        ...

    def install(self, place: EndpointPlace, *, now: bool) -> None:
        """Write the files, for each login from now on. Blocks for up to 45 s. Raises OSError.

        Args:
            place: the machine's endpoint.
            now: listen at once, too. A socket at the path is replaced.
        """
        ...

    def rest(self, place: EndpointPlace) -> None:
        """Listen no more until the next login. Blocks. Raises OSError."""
        ...

    def remove(self, place: EndpointPlace) -> list[Path]:
        """Listen no more, and remove the files; those that were there are returned. Blocks. Raises OSError."""
        ...


class SystemdUser:
    """systemd's user manager: a socket unit, and a service unit that runs the keeper for the first client."""

    listens = True

    def __init__(self, directory: Path | None = None) -> None:
        """`directory`: of the user's units, if not the usual one."""
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._directory = directory or config / "systemd" / "user"

    @staticmethod
    def is_available() -> bool:
        """Whether a user manager runs for this process, with the program that talks to it."""
        runtime = os.environ.get("XDG_RUNTIME_DIR") or ""
        return bool(runtime) and (Path(runtime) / "systemd" / "private").exists() and bool(shutil.which("systemctl"))

    def units(self, place: EndpointPlace) -> dict[Path, str]:
        """The text of the unit files by path. Raises OSError for a path that no unit can hold."""
        for path in (place.home, place.docker_socket, *place.keeper, *place.agent):
            if any(ord(letter) < 32 for letter in str(path)):
                raise OSError(f"{str(path)!r} cannot be written into a unit")
        variables = [f"{name}={os.environ[name]}" for name in _PASSED_ON if os.environ.get(name)]
        lines = {
            ".socket": (
                "[Unit]",
                f"Description=Docker endpoint of Wherry in {_plain(place.home)}",
                f"ConditionPathIsDirectory={_plain(place.home)}",
                "",
                "[Socket]",
                f"ListenStream={_plain(place.docker_socket)}",
                f"ListenStream={_plain(place.keeper_socket)}",
                "SocketMode=0600",
                "DirectoryMode=0700",
                "RemoveOnStop=yes",
                "",
                "[Install]",
                "WantedBy=sockets.target",
            ),
            ".service": (
                "[Unit]",
                f"Description=Keeper of Wherry's docker endpoint in {_plain(place.home)}",
                f"Requires={place.name}.socket",
                f"After={place.name}.socket",
                "StartLimitIntervalSec=0",  # it starts as often as an agent ends; the socket has a limit of its own
                "",
                "[Service]",
                f"ExecStart={' '.join(_word(word) for word in place.keeper_command('systemd'))}",
                *(f"Environment={_word(variable, in_command=False)}" for variable in variables),
                "KillMode=process",  # neither the agent nor the machine ends with the keeper
            ),
        }
        return {self._directory / f"{place.name}{end}": "\n".join(text) + "\n" for end, text in lines.items()}

    def is_installed(self, place: EndpointPlace) -> bool:
        """See SessionManager."""
        try:
            written = all(path.read_text(encoding="utf-8") == text for path, text in self.units(place).items())
        except (OSError, ValueError):
            return False
        return written and self._link(place).is_symlink()

    def install(self, place: EndpointPlace, *, now: bool) -> None:
        """See SessionManager."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for path, text in self.units(place).items():
            replace_file(path, text.encode())
        self._systemctl("daemon-reload")
        self._systemctl("enable", *(("--now",) if now else ()), f"{place.name}.socket")

    def rest(self, place: EndpointPlace) -> None:
        """See SessionManager."""
        if (self._directory / f"{place.name}.socket").exists():
            self._systemctl("stop", f"{place.name}.socket", f"{place.name}.service")

    def remove(self, place: EndpointPlace) -> list[Path]:
        """See SessionManager."""
        files = [self._directory / f"{place.name}{end}" for end in (".socket", ".service")]
        found = [path for path in files if path.exists()]
        if found and self.is_available():
            self._systemctl("disable", "--now", f"{place.name}.socket")
            self._systemctl("stop", f"{place.name}.service")
        self._link(place).unlink(missing_ok=True)
        for path in found:
            path.unlink(missing_ok=True)
        if found and self.is_available():
            self._systemctl("daemon-reload")
        return found

    def _link(self, place: EndpointPlace) -> Path:
        return self._directory / "sockets.target.wants" / f"{place.name}.socket"

    def _systemctl(self, *arguments: str) -> None:
        _run("systemctl", "--user", "--no-ask-password", *arguments)


class Launchd:
    """macOS: a property list with sockets, for which launchd runs the keeper. Not yet tested on a Mac."""

    listens = True

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or Path.home() / "Library" / "LaunchAgents"

    def content(self, place: EndpointPlace) -> bytes:
        """The property list."""
        sockets = {
            name: {"SockPathName": str(path), "SockPathMode": 0o600}
            for name, path in (("Docker", place.docker_socket), ("Control", place.keeper_socket))
        }
        return plistlib.dumps(
            {
                "Label": self._label(place),
                "ProgramArguments": place.keeper_command("launchd"),
                "Sockets": sockets,
                "EnvironmentVariables": {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)},
                "RunAtLoad": False,
                "AbandonProcessGroup": True,  # neither the agent nor the machine ends with the keeper
            }
        )

    def is_installed(self, place: EndpointPlace) -> bool:
        """See SessionManager."""
        try:
            return self._file(place).read_bytes() == self.content(place)
        except OSError:
            return False

    def install(self, place: EndpointPlace, *, now: bool) -> None:
        """See SessionManager."""
        self._directory.mkdir(parents=True, exist_ok=True)
        replace_file(self._file(place), self.content(place))
        if now:
            for path in (place.docker_socket, place.keeper_socket):
                path.unlink(missing_ok=True)  # launchd binds only where there is nothing
            _run("launchctl", "bootstrap", f"gui/{os.getuid()}", str(self._file(place)))

    def rest(self, place: EndpointPlace) -> None:
        """See SessionManager."""
        if self._file(place).exists():
            _run("launchctl", "bootout", f"gui/{os.getuid()}/{self._label(place)}")

    def remove(self, place: EndpointPlace) -> list[Path]:
        """See SessionManager."""
        file = self._file(place)
        if not file.exists():
            return []
        try:
            self.rest(place)
        finally:
            file.unlink(missing_ok=True)
        return [file]

    def _label(self, place: EndpointPlace) -> str:
        return f"io.wherry.endpoint.{place.name}"

    def _file(self, place: EndpointPlace) -> Path:
        return self._directory / f"{self._label(place)}.plist"


class LoginEntry:
    """A desktop without such a manager: an entry that starts a keeper at login."""

    listens = False

    def __init__(self, directory: Path | None = None) -> None:
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self._directory = directory or config / "autostart"

    def is_installed(self, place: EndpointPlace) -> bool:
        """See SessionManager."""
        return self._entry(place).program() == place.starter[0]

    def install(self, place: EndpointPlace, *, now: bool) -> None:
        """See SessionManager."""
        del now
        self._entry(place).turn_on(place.starter)

    def rest(self, place: EndpointPlace) -> None:
        """See SessionManager: the keeper itself is told."""

    def remove(self, place: EndpointPlace) -> list[Path]:
        """See SessionManager."""
        file = self._file(place)
        found = [file] if file.exists() else []
        self._entry(place).turn_off()
        return found

    def _entry(self, place: EndpointPlace) -> XdgAutostart:
        return XdgAutostart(self._file(place))

    def _file(self, place: EndpointPlace) -> Path:
        return self._directory / f"{place.name}-endpoint.desktop"


def _run(*command: str) -> None:
    """Run a command of the session's manager. Raises OSError with what it said."""
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{' '.join(command)} did not end within {_COMMAND_S:g} s") from error
    if answer.returncode != 0:
        raise OSError(f"{' '.join(command)} failed: {answer.stderr.strip()[-400:]}")


def _plain(path: Path) -> str:
    """A path as the value of a unit's setting: a percent sign begins a specifier."""
    return str(path).replace("%", "%%")


def _word(text: str, *, in_command: bool = True) -> str:
    """A word of a unit's command line or environment, in quotes (systemd.syntax(7), systemd.service(5))."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + (text.replace("$", "$$") if in_command else text) + '"'
