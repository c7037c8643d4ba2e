"""The settings and daemon.json that the running machine was started with, saved to disk.

The user may change the settings while the machine runs; these files have those in use. Each start writes them, and a
setting that is applied to the running machine is changed here, too. Functions may be called on any thread.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from backend.files import write_private
from backend.paths import MachineDir
from backend.settings.config import Config

_log = logging.getLogger(__name__)
_lock: Final = threading.Lock()

_Kind = TypeVar("_Kind")


def save_settings(directory: MachineDir, settings: Config) -> None:
    """Save the settings of a start. Raises OSError."""
    with _lock:
        write_private(directory.used_config, msgspec.json.encode(settings))


def save_daemon_options(directory: MachineDir, options: dict[str, object]) -> None:
    """Save the user's daemon.json of a start. Raises OSError."""
    with _lock:
        write_private(directory.used_daemon_json, (json.dumps(options, indent=2, ensure_ascii=False) + "\n").encode())


def settings(directory: MachineDir) -> Config | None:
    """The settings in use; None if not known: the machine was never started, or by an older version."""
    with _lock:
        return _read(directory.used_config, Config)


def daemon_options(directory: MachineDir) -> dict[str, object] | None:
    """The user's daemon.json in use; None if not known."""
    with _lock:
        return _read(directory.used_daemon_json, dict[str, object])


def change(directory: MachineDir, key: str, value: int | str | bool) -> None:
    """Save a setting that was applied to the running machine, so that no restart is suggested for it.

    Args:
        directory: of the machine.
        key: of the setting, such as "machine.disk_gib".
        value: the new value.

    Raises:
        OSError: it cannot be written; an unnecessary restart is suggested.
    """
    section, _, name = key.partition(".")
    with _lock:
        saved = _read(directory.used_config, Config)
        if saved is None:
            return
        changed = msgspec.structs.replace(getattr(saved, section), **{name: value})
        write_private(directory.used_config, msgspec.json.encode(msgspec.structs.replace(saved, **{section: changed})))


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s cannot be read, so what the machine was started with is not known: %s", path, error)
        return None
