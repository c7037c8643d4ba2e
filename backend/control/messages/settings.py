"""Requests about settings, the docker context, starting at login, and the machine's logs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from backend.control.messages.request import Request
from backend.messages import Message
from backend.model import MachineResources
from backend.settings.daemon_json import Finding

SettingValue = int | str | bool


class HostLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Resources of this computer, the limits of what the machine can get."""

    cpus: int
    memory_mib: int
    disk_free_gib: int
    """On the file system of the machine's home directory."""
    minimum_memory_mib: int
    """The least memory for a machine."""


class DataDisk(msgspec.Struct, frozen=True, kw_only=True):
    """The file that holds the machine's data."""

    exists: bool
    size_gib: int | None = None
    """Its size for the guest; None: there is no disk yet."""
    path: str = ""
    used_bytes: int | None = None
    """Space that it occupies on the host now; None: not known."""


class SettingsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in config.toml, and their effect on this computer."""

    values: Mapping[str, SettingValue]
    """By key: "machine.cpus"..."""
    defaults: Mapping[str, SettingValue] = {}
    chosen: MachineResources
    """Resources of the machine from the next start. A setting of 0 is replaced by a share of the host's."""
    host: HostLimits
    disk: DataDisk
    restart_reasons: tuple[str, ...] = ()
    """Keys (and "daemon" for daemon.json) whose change takes effect at the next start of the machine."""


class GetSettings(Request[SettingsReply], frozen=True):
    """Get all settings."""

    wire_name = "config.get"


class SetSettings(Request[SettingsReply], frozen=True):
    """Change settings: either all that are given, or none. The answer has the new ones."""

    wire_name = "config.set"

    values: Mapping[str, SettingValue]
    """By key."""


class DaemonFile(msgspec.Struct, frozen=True, kw_only=True):
    """The saved daemon.json, the options of dockerd."""

    text: str
    path: str = ""
    findings: tuple[Finding, ...] = ()
    valid: bool = True


class GetDaemonFile(Request[DaemonFile], frozen=True):
    """Read daemon.json."""

    wire_name = "daemon.get"


class DaemonVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Result of checking a text for daemon.json."""

    findings: tuple[Finding, ...] = ()
    valid: bool
    """Whether it can be saved."""
    asked_dockerd: bool = False
    """Whether the machine's dockerd has checked it, too, because the machine runs."""


class CheckDaemonFile(Request[DaemonVerdict], frozen=True):
    """Check a text for daemon.json without saving it."""

    wire_name = "daemon.check"

    text: str


class DaemonFileSaved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of saving daemon.json. It is not saved if `findings` has errors."""

    findings: tuple[Finding, ...]
    valid: bool
    asked_dockerd: bool = False
    restart_reasons: tuple[str, ...] | None = None
    """As in `SettingsReply`; None: nothing was saved."""
    saved: bool = True
    text: str
    """The text of the request."""


class SetDaemonFile(Request[DaemonFileSaved], frozen=True):
    """Save daemon.json, unless it has errors."""

    wire_name = "daemon.set"

    text: str


class ContextState(msgspec.Struct, frozen=True, kw_only=True):
    """The docker context."""

    name: str
    exists: bool
    url: str = ""
    """Its endpoint; "" if there is no context."""
    wanted_url: str = ""
    """The endpoint that it should have."""
    selected: bool
    """Whether docker uses it."""
    current: str
    """Name of the context that docker uses."""
    overridden_by: str = ""
    """Environment variable that takes precedence over it; "" for none."""
    note: Message | None = None
    """Result of the last change, for the user."""


class GetContext(Request[ContextState], frozen=True):
    """Get the docker context."""

    wire_name = "context.get"


class InstallContext(Request[ContextState], frozen=True):
    """Create the docker context."""

    wire_name = "context.install"


class SelectContext(Request[ContextState], frozen=True):
    """Select the docker context, so that docker uses it."""

    wire_name = "context.select"


class RemoveContext(Request[ContextState], frozen=True):
    """Remove the docker context."""

    wire_name = "context.remove"


class AutostartState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the window starts when the user logs in."""

    on: bool
    place: str = ""
    """Where the system stores that: a file or a registry key."""


class GetAutostart(Request[AutostartState], frozen=True):
    """Get whether the window starts at login."""

    wire_name = "autostart.get"


class SetAutostart(Request[AutostartState], frozen=True):
    """Set whether the window starts at login."""

    wire_name = "autostart.set"

    on: bool


class MachineLog(StrEnum):
    """A log of the machine."""

    SERIAL = "serial"  # the guest's console
    QEMU = "qemu"
    AGENT = "agent"


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a log, at most 64 KiB of it."""

    which: MachineLog
    text: str
    """Untrusted if it is the guest's."""
    path: str = ""


class ReadLog(Request[LogTail], frozen=True):
    """Read the end of a log."""

    wire_name = "logs.tail"

    which: MachineLog
