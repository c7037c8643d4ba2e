"""Settings of the machine, the docker context, starting at login, and the machine's logs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from backend.control.messages.request import Request
from backend.model import MachineResources
from backend.settings.daemon_json import Finding

SettingValue = int | str | bool


class HostLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What this computer has."""

    cpus: int
    memory_mib: int
    disk_free_gib: int
    """Where the machine's home is."""
    minimum_memory_mib: int
    """The least that a machine can be given."""


class DataDisk(msgspec.Struct, frozen=True, kw_only=True):
    """The file that holds the machine's data."""

    exists: bool
    size_gib: int | None = None
    """What it may grow to; None: there is none yet."""
    path: str = ""
    used_bytes: int | None = None
    """What it takes on the host now; None: not known."""


class SettingsReply(msgspec.Struct, frozen=True, kw_only=True):
    """config.toml, and what its values mean here."""

    values: Mapping[str, SettingValue]
    """By key: "machine.cpus"..."""
    defaults: Mapping[str, SettingValue] = {}
    chosen: MachineResources
    """What the next start gives to the machine: a value of 0 is chosen from the host's."""
    host: HostLimits
    disk: DataDisk
    restart_reasons: tuple[str, ...] = ()
    """Keys (and "daemon" for daemon.json) whose change waits for a restart of the machine."""


class GetSettings(Request[SettingsReply], frozen=True):
    """All settings."""

    wire_name = "config.get"


class SetSettings(Request[SettingsReply], frozen=True):
    """Change settings: all that are named, or none. The reply has the new ones."""

    wire_name = "config.set"

    values: Mapping[str, SettingValue]
    """By key."""


class DaemonFile(msgspec.Struct, frozen=True, kw_only=True):
    """daemon.json as it is saved."""

    text: str
    path: str = ""
    findings: tuple[Finding, ...] = ()
    valid: bool = True


class GetDaemonFile(Request[DaemonFile], frozen=True):
    """Read daemon.json."""

    wire_name = "daemon.get"


class DaemonVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a text for daemon.json."""

    findings: tuple[Finding, ...] = ()
    valid: bool
    """Whether it can be saved."""
    asked_dockerd: bool = False
    """Whether the machine's own dockerd was asked: it runs."""


class CheckDaemonFile(Request[DaemonVerdict], frozen=True):
    """Check a text for daemon.json, and save nothing."""

    wire_name = "daemon.check"

    text: str


class DaemonFileSaved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """daemon.json was saved; or was not, for the errors among the findings."""

    findings: tuple[Finding, ...]
    valid: bool
    asked_dockerd: bool = False
    restart_reasons: tuple[str, ...] | None = None
    """As in `SettingsReply`; None: nothing was saved."""
    saved: bool = True
    text: str
    """The one that was to be saved."""


class SetDaemonFile(Request[DaemonFileSaved], frozen=True):
    """Save daemon.json, if nothing in it is an error."""

    wire_name = "daemon.set"

    text: str


class ContextState(msgspec.Struct, frozen=True, kw_only=True):
    """The docker context."""

    name: str
    exists: bool
    url: str = ""
    """Where it leads; "" if there is none."""
    wanted_url: str = ""
    """Where it should lead."""
    selected: bool
    """Whether docker uses it."""
    current: str
    """The one that docker uses."""
    overridden_by: str = ""
    """A variable that goes before it; "" for none."""
    note: str = ""
    """What the last change did."""


class GetContext(Request[ContextState], frozen=True):
    """The docker context as it is."""

    wire_name = "context.get"


class InstallContext(Request[ContextState], frozen=True):
    """Make the docker context."""

    wire_name = "context.install"


class SelectContext(Request[ContextState], frozen=True):
    """Have docker use it."""

    wire_name = "context.select"


class RemoveContext(Request[ContextState], frozen=True):
    """Remove it."""

    wire_name = "context.remove"


class AutostartState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the window starts when the user logs in."""

    on: bool
    place: str = ""
    """Where the system keeps that: a file, a registry key."""


class GetAutostart(Request[AutostartState], frozen=True):
    """Whether the window starts at login."""

    wire_name = "autostart.get"


class SetAutostart(Request[AutostartState], frozen=True):
    """Have it start at login, or no longer."""

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
    """Untrusted where it is the guest's."""
    path: str = ""


class ReadLog(Request[LogTail], frozen=True):
    """The end of a log."""

    wire_name = "logs.tail"

    which: MachineLog
