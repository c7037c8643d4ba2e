"""The machine's home: there, ours alone, readable; settings and keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.host.private import close_to_others, is_open_to_others
from backend.messages import message, verbatim
from backend.paths import SOCKET_NAMES, path_problem
from backend.settings import config as settings
from backend.settings.disk import data_disk_path
from backend.ssh.keys import CLIENT_KEY_NAME, HOST_KEY_NAME, ensure_keys, pair_is_whole

NO_HOME: Final = message("the machine's folder doesn't exist yet")
"""Why a check of what is in it is not possible."""
_GROUP: Final = message("Folder and settings")


def _home(subject: Subject) -> CheckOutcome:
    home = subject.directory.home
    if (problem := path_problem(home)) is not None:
        return failure(problem.summary, message("Choose another folder with --home."))
    if not home.exists():
        return ok(message("{home} is created at the first start.", home=home))
    if not home.is_dir():
        return failure(
            message("{home} isn't a folder.", home=home), message("Move it, or choose another folder with --home.")
        )
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return failure(
            message("{home} isn't writable.", home=home),
            message("Take ownership: sudo chown -R $USER {home}", home=home),
        )
    return ok(verbatim(str(home)))


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
        return ok(message("Only you have access."))
    names = ", ".join(str(place) for place in exposed[:4])
    return warning(
        message("Other users can read: {names}.", names=names),
        message("Close it to other users: chmod 700 {exposed}", exposed=exposed[0]),
        fixable=True,
    )


def _close(subject: Subject) -> None:
    for place in _private_places(subject):
        if is_open_to_others(place):
            close_to_others(place)


def _sockets(subject: Subject) -> CheckOutcome:
    run, limit = subject.directory.run, subject.host.max_socket_path_bytes
    longest = max(len(os.fsencode(run / name)) for name in SOCKET_NAMES)
    if longest > limit:
        return failure(
            message(
                "{run} is too long for sockets: {longest} of {limit} bytes.", run=run, longest=longest, limit=limit
            ),
            message("Choose a shorter path with --home."),
        )
    if run.parent != subject.directory.home:
        return note(
            message("Sockets are in {run}, because docker can't use the path of the machine's folder.", run=run)
        )
    return ok(message("{longest} of {limit} bytes used.", longest=longest, limit=limit))


def _settings(subject: Subject) -> CheckOutcome:
    settings.load(subject.directory.config)
    settings.daemon_options(subject.directory.daemon_json)
    return ok(message("config.toml and daemon.json are valid."))


def _keys(subject: Subject) -> CheckOutcome:
    keys = subject.directory.keys
    privates = [keys / CLIENT_KEY_NAME, keys / HOST_KEY_NAME]
    present = [path for path in privates if path.exists()]
    if not present:
        return ok(message("Created at the first start."))
    if any(is_open_to_others(path) for path in present):
        return failure(
            message("Other users can read the machine's private keys."),
            message("Close them to other users: chmod 600 {keys}/*_ed25519", keys=keys),
            fixable=True,
        )
    if not all(pair_is_whole(path) for path in privates):
        if subject.qemu_runs:
            return warning(
                message(
                    "A key pair is missing or damaged while the machine is running. Existing connections still work."
                ),
                message("Restart the machine: wherry restart"),
            )
        return warning(
            message("A key pair is missing or damaged."), message("It is replaced at the next start."), fixable=True
        )
    return ok(message("Both key pairs are valid and private."))


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
        title=message("Machine folder"),
        group=_GROUP,
        explanation=message("It contains all of the machine's files."),
        look=_home,
    ),
    Check(
        id="permissions",
        title=message("Permissions"),
        group=_GROUP,
        explanation=message("Anyone with access to the machine's sockets or disk controls the engine."),
        look=_permissions,
        lacks=lambda subject: None if subject.directory.home.is_dir() else NO_HOME,
        fix=Fix(sentence=message("Close the machine's folders and files to other users."), apply=_close),
    ),
    Check(
        id="sockets",
        title=message("Socket paths"),
        group=_GROUP,
        explanation=message("The system limits the length of a socket's path."),
        look=_sockets,
    ),
    Check(
        id="settings",
        title=message("Settings"),
        group=_GROUP,
        explanation=message("The machine doesn't start if a settings file is invalid."),
        look=_settings,
    ),
    Check(
        id="keys",
        title=message("SSH keys"),
        group=_GROUP,
        explanation=message("Anyone with the private key is root in the machine."),
        look=_keys,
        fix=Fix(sentence=message("Close the keys to other users, and replace a damaged pair."), apply=_mend_keys),
    ),
)
