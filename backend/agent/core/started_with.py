"""What the machine was started with: its settings and the user's daemon.json, as they were then.

The settings may change while the machine runs; these are what it has. One start writes them, and whoever gives the
running machine another setting notes that here. All access is under one lock, from any thread.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from backend.files import write_private
from backend.paths import MachineDir
from backend.settings.config import Config

_log = logging.getLogger(__name__)
_lock: Final = threading.Lock()

_Kind = TypeVar("_Kind")


def note_settings(directory: MachineDir, settings: Config) -> None:
    """The machine is being started with these. Raises OSError."""
    with _lock:
        write_private(directory.used_config, msgspec.json.encode(settings))


def note_daemon_options(directory: MachineDir, options: dict[str, Any]) -> None:
    """The machine is being started with this daemon.json of the user's. Raises OSError."""
    with _lock:
        write_private(directory.used_daemon_json, (json.dumps(options, indent=2, ensure_ascii=False) + "\n").encode())


def settings(directory: MachineDir) -> Config | None:
    """The settings; None where they are not known: it was never started, or by a version that did not note them."""
    with _lock:
        return _read(directory.used_config, Config)


def daemon_options(directory: MachineDir) -> dict[str, Any] | None:
    """The user's daemon.json; None where it is not known."""
    with _lock:
        return _read(directory.used_daemon_json, dict[str, Any])


def change(directory: MachineDir, key: str, value: int | str | bool) -> None:
    """The running machine was given this setting, so no restart is needed for it.

    Args:
        directory: the machine's.
        key: of the setting: "machine.disk_gib".
        value: of the setting.

    Raises:
        OSError: it could not be written. A restart is advised then that is not needed.
    """
    section, _, name = key.partition(".")
    with _lock:
        found = _read(directory.used_config, Config)
        if found is None:
            return
        changed = msgspec.structs.replace(getattr(found, section), **{name: value})
        write_private(directory.used_config, msgspec.json.encode(msgspec.structs.replace(found, **{section: changed})))


def _read(path: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s cannot be read, so what the machine was started with is not known: %s", path, error)
        return None
