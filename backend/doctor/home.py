"""The machine's home: there, ours alone, readable; settings and keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.host.private import close_to_others, is_open_to_others
from backend.paths import SOCKET_NAMES
from backend.settings import config as settings
from backend.settings.disk import data_disk_path
from backend.ssh.keys import CLIENT_KEY_NAME, HOST_KEY_NAME, ensure_keys, pair_is_whole

_GROUP: Final = "Home and settings"


def _home(subject: Subject) -> CheckOutcome:
    home = subject.directory.home
    if not home.exists():
        return ok(f"{home} will be made by the first start")
    if not home.is_dir():
        return failure(f"{home} is not a directory", "Move it away, or name another with --home.")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return failure(f"{home} cannot be written", f"Make it yours: sudo chown -R $USER {home}")
    return ok(str(home))


def _private_places(subject: Subject) -> list[Path]:
    directory = subject.directory
    places = [directory.home, directory.run, directory.keys, directory.machine, directory.logs, directory.guest_inputs]
    files = (
        data_disk_path(directory),
        directory.config,
        directory.daemon_json,
        directory.agent_log,
        directory.serial_log,
    )
    sockets = (directory.run / name for name in SOCKET_NAMES)
    return [place for place in (*places, *files, *sockets) if place.exists()]


def _permissions(subject: Subject) -> CheckOutcome:
    # A file in a closed directory is closed: of the files only those in an open one matter.
    opened = [place for place in _private_places(subject) if is_open_to_others(place)]
    directories = [place for place in opened if place.is_dir()]
    exposed = [place for place in opened if place in directories or place.parent in directories]
    if not exposed:
        return ok("closed to other users")
    names = ", ".join(str(place) for place in exposed[:4])
    return warning(f"other users can read: {names}", f"chmod 700 {exposed[0]}", fixable=True)


def _close(subject: Subject) -> None:
    for place in _private_places(subject):
        if is_open_to_others(place):
            close_to_others(place)


def _sockets(subject: Subject) -> CheckOutcome:
    run, limit = subject.directory.run, subject.host.max_socket_path_bytes
    longest = max(len(os.fsencode(run / name)) for name in SOCKET_NAMES)
    if longest > limit:
        return failure(
            f"{run} is too long for sockets: {longest} bytes of {limit}", "Name a shorter place with --home."
        )
    if run.parent != subject.directory.home:
        return note(f"they are in {run}, as the home's name is too long for sockets")
    return ok(f"{longest} of {limit} bytes")


def _settings(subject: Subject) -> CheckOutcome:
    settings.load(subject.directory.config)
    settings.daemon_options(subject.directory.daemon_json)
    return ok("config.toml and daemon.json can be read")


def _keys(subject: Subject) -> CheckOutcome:
    keys = subject.directory.keys
    privates = [keys / CLIENT_KEY_NAME, keys / HOST_KEY_NAME]
    present = [path for path in privates if path.exists()]
    if not present:
        return ok("will be made by the first start")
    if any(is_open_to_others(path) for path in present):
        return failure("other users may read the machine's private keys", f"chmod 600 {keys}/*_ed25519", fixable=True)
    if not all(pair_is_whole(path) for path in privates):
        if subject.qemu_runs:
            return warning(
                "a pair is missing or damaged while the machine runs; it can only be reached until it is left",
                "Restart the machine: wherry restart",
            )
        return warning("a pair is missing or damaged", "The next start makes it anew.", fixable=True)
    return ok("both pairs are whole and closed to others")


def _mend_keys(subject: Subject) -> None:
    keys = subject.directory.keys
    for path in (keys / CLIENT_KEY_NAME, keys / HOST_KEY_NAME):
        if path.exists() and is_open_to_others(path):
            close_to_others(path)
    if not subject.qemu_runs:
        ensure_keys(keys)


CHECKS: Final = (
    Check(
        id="home",
        title="Home directory",
        group=_GROUP,
        explanation="Everything of the machine lives there; without it nothing can start.",
        look=_home,
    ),
    Check(
        id="permissions",
        title="Permissions",
        group=_GROUP,
        explanation="Who can open the machine's sockets or disk controls the engine, and what it can reach.",
        look=_permissions,
        applies=lambda subject: subject.directory.home.is_dir(),
        fix=Fix(sentence="Close the machine's directories and files to other users.", apply=_close),
    ),
    Check(
        id="sockets",
        title="Names of the sockets",
        group=_GROUP,
        explanation="The system limits how long a socket's path may be.",
        look=_sockets,
    ),
    Check(
        id="settings",
        title="Settings",
        group=_GROUP,
        explanation="A file that cannot be read stops the start, rather than being ignored in silence.",
        look=_settings,
    ),
    Check(
        id="keys",
        title="SSH keys",
        group=_GROUP,
        explanation="Whoever has the private key is root in the machine.",
        look=_keys,
        fix=Fix(sentence="Close the keys to others, and make a damaged pair anew.", apply=_mend_keys),
    ),
)
