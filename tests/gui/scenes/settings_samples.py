"""Replies of the agent about settings."""

from __future__ import annotations

from typing import Any

from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from backend.control import messages
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.settings import config
from tests.gui.scenes.replies import reply

CONFIG_PROBLEM = Problem(
    code=ProblemCode.CONFIG_BROKEN,
    summary=verbatim("The settings in /home/ana/.local/share/wherry/config.toml cannot be used: Expected `int` >= 0."),
    hint=verbatim("Correct the file, or move it away to start from the defaults. It was not changed."),
)


DISK_PATH = "/home/ana/.local/share/wherry/machine/data.qcow2"
LIFECYCLE: dict[str, object] = {
    "machine.start_on_demand": True,
    "docker.keep_endpoint": True,
    "machine.idle_minutes": 30,
    "machine.idle_action": "suspend",
    "checkpoints.keep_automatic": 5,
    "checkpoints.keep_days": 14,
    "image.update": "ask",
}
"""Values of the lifecycle settings."""


def config_answer(*, disk_gib: int | None = 64, reasons: tuple[str, ...] = (), **values: object) -> dict[str, Any]:
    """The reply to config.get and config.set; `values` by key, with `_` in place of dots."""
    names = config.keys()
    defaults = {**LIFECYCLE, **{key: config.get(config.Config(), key) for key in names}}
    given = {key.replace("_", ".", 1): value for key, value in values.items()}
    merged = {**defaults, **given}
    return {
        "values": merged,
        "defaults": defaults,
        "chosen": {
            "cpus": merged["machine.cpus"] or 4,
            "memory_mib": merged["machine.memory_mib"] or 4096,
            "disk_gib": max(int(str(merged["machine.disk_gib"])), disk_gib or 0),
        },
        "host": {"cpus": 8, "memory_mib": 15_906, "disk_free_gib": 212, "minimum_memory_mib": 512},
        "disk": {
            "exists": disk_gib is not None,
            "size_gib": disk_gib,
            "path": "/home/ana/.local/share/wherry/machine/data.qcow2",
        },
        "restart_reasons": list(reasons),
    }


DAEMON_TEXT = """\
{
  "debug": true,
  "registry-mirrors": ["https://mirror.example"],
  "log-opts": {
    "max-size": "20m"
  }
}
"""


def daemon_answer(text: str = DAEMON_TEXT, **changes: Any) -> dict[str, Any]:
    """The reply to daemon.get and daemon.set."""
    return {"text": text, "findings": [], "valid": True, **changes}


def context_answer(**changes: Any) -> dict[str, Any]:
    """The reply to requests about the Docker context."""
    answer = {
        "name": "wherry",
        "exists": True,
        "url": "unix:///x",
        "wanted_url": "unix:///x",
        "selected": True,
        "current": "wherry",
        "overridden_by": "",
        "note": None,
    }
    return answer | changes


def settings_loaded(
    store: AppStore, *, disk_gib: int | None = 64, reasons: tuple[str, ...] = (), **values: object
) -> None:
    """Put the replies to all initial settings requests into the store."""
    store.part(SettingsStore).take(
        *reply(messages.GetSettings(), config_answer(disk_gib=disk_gib, reasons=reasons, **values))
    )
    store.part(SettingsStore).take(*reply(messages.GetDaemonFile(), daemon_answer()))
    store.part(SettingsStore).take(*reply(messages.GetContext(), context_answer()))
    store.part(SettingsStore).take(*reply(messages.GetAutostart(), {"on": True, "place": "x"}))
