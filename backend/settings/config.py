"""The user's settings: config.toml, validated as a whole, and written without losing comments.

`version = 1`, and these sections:

- `[machine]`: cpus, memory_mib (0: chosen from the host), swap_mib, disk_gib, disk_directory, accelerator,
  start_on_demand, idle_minutes, idle_action
- `[image]`: directory ("": the last one used, or the newest in the image cache), update
- `[qemu]`: binary ("": searched for)
- `[docker]`: context (create a docker context named "wherry"), keep_endpoint
- `[checkpoints]`: keep_automatic, keep_days (0: for ever)
- `[network]`: publish, dns, subnet, ipv6, proxy, http_proxy, https_proxy, no_proxy, proxy_in_containers,
  certificates, certificates_in_containers
"""

from __future__ import annotations

import errno
import json
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from backend.errors import ProblemCode, fail
from backend.files import write_private
from backend.messages import Message, message
from backend.paths import path_problem
from backend.settings import daemon_json
from backend.settings import dns_servers as servers
from backend.settings.proxy_syntax import check_setting
from backend.settings.subnet_syntax import parse_subnet

VERSION: Final = 1
_MAX_BYTES: Final = 1_048_576

Accelerator = Literal["auto", "kvm", "hvf", "whpx", "tcg"]
ImageUpdate = Literal["ask", "auto"]
IdleAction = Literal["suspend", "stop"]
Publish = Literal["loopback", "all"]
Ipv6 = Literal["auto", "on", "off"]
ProxySource = Literal["system", "manual", "none"]
CertificateSetting = Literal["system", "none"]
LIFECYCLE_KEYS: Final = frozenset(
    {
        "machine.start_on_demand",
        "machine.idle_minutes",
        "machine.idle_action",
        "image.update",
        "checkpoints.keep_automatic",
        "checkpoints.keep_days",
        "docker.keep_endpoint",
        "network.dns",
    }
)
"""Settings that take effect at once, without restarting the machine."""


DISK_DIRECTORY: Final = "machine.disk_directory"
PATHS: Final = (DISK_DIRECTORY, "image.directory", "qemu.binary")
"""The settings that are paths."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. An unknown key is an error, because it is probably misspelt."""


class MachineSection(_Section, frozen=True, kw_only=True):
    """The machine's resources, which take effect at its next start; and when it starts and stops automatically."""

    cpus: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    """0: half of the host's, but at least 2 if it has them, and at most 8."""
    memory_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 0
    """0: a quarter of the host's, between 1024 and 4096."""
    swap_mib: Annotated[int, msgspec.Meta(ge=0, le=1_048_576)] = 1024
    """Swap: how much of what is not in use is kept compressed in memory, once memory runs short; 0: none."""
    disk_gib: Annotated[int, msgspec.Meta(ge=4, le=16_384)] = 64
    """Maximum size of the data disk; space is used only as needed. An existing disk can grow, but not shrink."""
    disk_directory: str = ""
    """Directory of the data disk; "": the machine's home. Changed by moving the disk, not by hand."""
    accelerator: Accelerator = "auto"
    start_on_demand: bool = True
    """Whether a docker command starts a stopped or suspended machine."""
    idle_minutes: Annotated[int, msgspec.Meta(ge=0, le=10_080)] = 0
    """The machine is stopped or suspended after this time without running containers and docker commands; 0: never."""
    idle_action: IdleAction = "suspend"


class ImageSection(_Section, frozen=True, kw_only=True):
    """The guest image to boot."""

    directory: str = ""
    update: ImageUpdate = "ask"
    """What to do with a newer image in the cache: offer it, or use it at the next start by the user."""


class QemuSection(_Section, frozen=True, kw_only=True):
    """The QEMU to run."""

    binary: str = ""


class DockerSection(_Section, frozen=True, kw_only=True):
    """How docker clients find the engine."""

    context: bool = True
    keep_endpoint: bool = True
    """Whether the session keeps the endpoint: docker commands are answered after login and after a crash, too."""


class CheckpointsSection(_Section, frozen=True, kw_only=True):
    """How long automatic checkpoints are kept; manual ones are always kept."""

    keep_automatic: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    """Number of checkpoints kept, newest first; the last one is kept until the next day in any case."""
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 14
    """Maximum age in days; 0: for ever."""


class NetworkSection(_Section, frozen=True, kw_only=True):
    """Networking of containers. Takes effect at the machine's next start, except `dns`."""

    publish: Publish = "loopback"
    """Where ports without an address in `-p` are published: on 127.0.0.1 and ::1, or on all of the host's addresses."""
    dns: str = ""
    """DNS servers instead of the host's, separated by commas: "192.0.2.1, 192.0.2.2#5353"; "": the host's resolver."""
    subnet: str = ""
    """Network between host and machine, a /24: "10.0.2.0/24"; "": one that no route of the host uses."""
    ipv6: Ipv6 = "auto"
    """Whether containers have outgoing IPv6; "auto": if the host has it."""
    proxy: ProxySource = "system"
    http_proxy: str = ""
    """This and the next two apply with `proxy = "manual"`; syntax as in the environment variables of these names."""
    https_proxy: str = ""
    no_proxy: str = ""
    proxy_in_containers: bool = False
    """Whether containers and builds get the proxies as environment variables, unless they set their own."""
    certificates: CertificateSetting = "system"
    """Whether the engine trusts the host's certificate authorities."""
    certificates_in_containers: bool = False
    """Whether containers and builds trust them too."""


class Config(_Section, frozen=True, kw_only=True):
    """All settings, with their defaults."""

    version: int = VERSION
    machine: MachineSection = MachineSection()
    image: ImageSection = ImageSection()
    qemu: QemuSection = QemuSection()
    docker: DockerSection = DockerSection()
    checkpoints: CheckpointsSection = CheckpointsSection()
    network: NetworkSection = NetworkSection()


MINIMUM_MEMORY_MIB: Final = 512


def load(path: Path) -> Config:
    """Read the settings; the defaults when there is no file.

    Raises:
        WherryError: CONFIG_BROKEN or CONFIG_TOO_NEW; the file is not changed.
    """
    return _check(_parse(path, _read(path)), path)


def keys() -> tuple[str, ...]:
    """All keys for `get` and `set_value`: "machine.cpus" and so on."""
    defaults = msgspec.to_builtins(Config())
    return tuple(f"{section}.{key}" for section, table in defaults.items() if section != "version" for key in table)


def get(config: Config, key: str) -> int | str | bool:
    """The value of a setting. Raises WherryError (BAD_REQUEST) for an unknown key."""
    section, name = _split(key)
    value = getattr(getattr(config, section), name)
    assert isinstance(value, int | str | bool)
    return value


def set_value(path: Path, key: str, text: str) -> Config:
    """Parse a value as typed by the user and store it; see `set_typed`."""
    return set_typed(path, {key: text})


def set_typed(path: Path, texts: Mapping[str, str]) -> Config:
    """Parse values as typed by the user, by key, and store them, all or none; see `set_values`.

    Integers and true/false are parsed for settings of these types.
    """
    for key in texts:
        _split(key)
    before = load(path)
    return set_values(path, {key: _typed(get(before, key), text, key) for key, text in texts.items()})


def set_values(path: Path, values: Mapping[str, int | str | bool], *, moved: bool = False) -> Config:
    """Change settings in the file, all or none, preserving everything else in it, comments included.

    Args:
        path: the config file; created when missing.
        values: by key, as in `keys`.
        moved: the data disk has been moved, so that `machine.disk_directory` may be changed.

    Raises:
        WherryError: BAD_REQUEST for an unknown key or an invalid value, CONFIG_BROKEN or CONFIG_TOO_NEW for a file that
            cannot be read, PATH_UNUSABLE for one that cannot be written. The file is unchanged then.
    """
    for key in values:
        _split(key)
    with _write_lock:
        return _change(path, values, moved=moved)


_write_lock: Final = threading.Lock()
"""Serialises changes of two threads of the agent (a client's request, an operation)."""


def _change(path: Path, values: Mapping[str, int | str | bool], *, moved: bool) -> Config:
    import tomlkit  # imported here because it takes half a megabyte

    before = load(path)
    if not moved and values.get(DISK_DIRECTORY, before.machine.disk_directory) != before.machine.disk_directory:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "{key} follows the data disk when it is moved.",
                key=DISK_DIRECTORY,
            ),
            hint=message("Move it with: wherry disk move DIR"),
        )
    document = tomlkit.parse(_read(path) or f"version = {VERSION}\n")
    for key, value in values.items():
        section, name = _split(key)
        document.setdefault(section, tomlkit.table())[name] = value
    content = tomlkit.dumps(document)
    try:
        config = msgspec.convert(tomllib.loads(content), type=Config)
    except msgspec.ValidationError as error:
        wrong = next((key for key in values if key in str(error)), next(iter(values)))
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "“{value}” isn't valid for {key}: {error}.",
                value=values[wrong],
                key=wrong,
                error=_plain(error),
            ),
            hint=message("It is unchanged: “{value}”.", value=get(before, wrong)),
        ) from error
    _check_ranges(config, ", ".join(values))
    try:
        write_private(path, content.encode())
    except OSError as error:
        raise _unwritable(path, error) from error
    return config


def set_daemon_text(path: Path, text: str) -> None:
    """Replace the user's daemon.json, which MUST be validated. Raises WherryError (PATH_UNUSABLE)."""
    try:
        if text.strip():
            write_private(path, text.encode())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def daemon_text(path: Path) -> str:
    """The text of the user's daemon.json; "" when there is none. Raises WherryError (CONFIG_BROKEN)."""
    return _read(path)


def daemon_options(path: Path) -> dict[str, object]:
    """The parsed daemon.json of the user; empty when there is none.

    Raises:
        WherryError: CONFIG_BROKEN.
    """
    text = _read(path)
    for finding in daemon_json.check(text):
        if finding.severity is daemon_json.Severity.ERROR:
            raise _broken(
                path,
                message("Line {line}: {problem}", line=finding.line, problem=finding.message),
            )
    options: dict[str, object] = json.loads(text) if text.strip() else {}
    return options


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _broken(path, message("{error}.", error=error)) from error
    if len(content) > _MAX_BYTES:
        raise _broken(path, message("It is longer than {count} bytes.", count=_MAX_BYTES))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(path, message("It isn't UTF-8 text.")) from error


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, message("{error}.", error=error)) from error
    except RecursionError as error:
        raise _broken(path, message("It is nested too deeply.")) from error


def _check(values: dict[str, object], path: Path) -> Config:
    version = values.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise fail(
            ProblemCode.CONFIG_TOO_NEW,
            message(
                "The settings in {path} come from a newer Wherry (version {other}; this one supports {own}).",
                path=path,
                other=version,
                own=VERSION,
            ),
            hint=message("Update Wherry, or move the file away to use the defaults."),
        )
    try:
        config = msgspec.convert(values, type=Config)
    except msgspec.ValidationError as error:
        raise _broken(path, message("{error}.", error=_plain(error))) from error
    _check_ranges(config, str(path))
    return config


def _check_ranges(config: Config, where: str) -> None:
    memory = config.machine.memory_mib
    if 0 < memory < MINIMUM_MEMORY_MIB:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "machine.memory_mib = {memory} in {where} is less than the engine needs.", memory=memory, where=where
            ),
            hint=message(
                "Use {least} or more, or 0 to let Wherry choose.",
                least=MINIMUM_MEMORY_MIB,
            ),
        )
    for key in PATHS:
        problem = path_problem(Path(str(get(config, key))))
        if problem is not None:
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("{key} in {where} can't be used: {reason}", key=key, where=where, reason=problem.summary),
                hint=problem.hint,
            )
    for key in ("http_proxy", "https_proxy"):
        check_setting(f"network.{key}", getattr(config.network, key))
    if config.network.subnet.strip():
        parse_subnet(config.network.subnet)
    servers.parse(config.network.dns)


def _split(key: str) -> tuple[str, str]:
    if key not in keys():
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("There is no setting “{key}”.", key=key),
            hint=message("Available settings: {names}.", names=tuple(keys())),
        )
    section, _, name = key.partition(".")
    return section, name


def _typed(present: int | str | bool, text: str, key: str) -> int | str | bool:
    if isinstance(present, bool):
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("“{text}” isn't valid for {key}.", text=text, key=key),
            hint=message("Use true or false."),
        )
    if isinstance(present, int):
        try:
            return int(text)
        except ValueError as error:
            raise fail(
                ProblemCode.BAD_REQUEST,
                message("“{text}” isn't valid for {key}.", text=text, key=key),
                hint=message("Use a whole number."),
            ) from error
    return text


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's message with the path in the user's form: "at `$.machine.cpus`" becomes "at `machine.cpus`"."""
    return str(error).replace("$.", "").removesuffix(".")


def _unwritable(path: Path, error: OSError) -> Exception:
    return fail(
        ProblemCode.HOST_DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ProblemCode.PATH_UNUSABLE,
        message("Couldn't save the settings: {error}.", error=error.strerror or error),
        command=str(path),
        hint=message(
            "Check that the machine's folder belongs to you and that its disk has free space. Nothing was changed."
        ),
    )


def _broken(path: Path, what: Message) -> Exception:
    return fail(
        ProblemCode.CONFIG_BROKEN,
        message("The settings in {path} can't be used. {what}", path=path, what=what),
        hint=message("Correct the file, or move it away to use the defaults."),
    )
