"""Conversion of a spec into a `docker run` command for a shell. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Final

from backend.engine.engine_json import engine_source
from backend.engine.spec.container_spec import COMPOSE_LABELS, ContainerSpec, MountSpec, PortSpec
from backend.json_reader import Json, JsonObject, NotUnderstood

_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", "'": "\\'"}
_SOURCE: Final = engine_source("docker inspect")
_UNITS: Final = ((1024**3, "g"), (1024**2, "m"), (1024, "k"))


def run_command(spec: ContainerSpec) -> str:
    """The command on one line; options that `docker run` lacks are named in a comment line above it."""
    words, inexpressible = run_words(spec)
    line = " ".join(quote(word) for word in words)
    return f"# docker run has no option for: {', '.join(inexpressible)}\n{line}" if inexpressible else line


def run_words(spec: ContainerSpec) -> tuple[list[str], list[str]]:
    """The command as separate words, and the names of options of the engine that it cannot express."""
    words = ["docker", "run", "-d"]
    flags = (
        *(("-i", spec.stdin_open), ("-t", spec.tty), ("--rm", spec.auto_remove), ("--init", spec.init)),
        *(("--privileged", spec.privileged), ("--read-only", spec.read_only_root)),
    )
    words += [flag for flag, on in flags if on]
    if spec.name:
        words += ["--name", spec.name]
    inexpressible: list[str] = []
    try:
        words += _networks(spec)
    except NotUnderstood:
        inexpressible.append("NetworkingConfig")
    for port in spec.ports:
        words += ["-p", _port(port)]
    for mount in spec.mounts:
        if not (mount.from_image and mount.is_anonymous):
            try:
                words += _mount(mount)
            except NotUnderstood:
                inexpressible.append(f"Mounts {mount.target}")
    for name, value in spec.environment:
        words += ["-e", name if value is None else f"{name}={value}"]
    if spec.cpus is not None:
        words += ["--cpus", f"{spec.cpus:.9f}".rstrip("0").rstrip(".")]
    if spec.memory_bytes is not None:
        words += ["-m", _size(spec.memory_bytes)]
    if spec.restart_policy != "no":
        words += ["--restart", spec.restart_policy]
    for option, text in (("-u", spec.user), ("-w", spec.working_directory), ("-h", spec.hostname)):
        if text:
            words += [option, text]
    for entry in spec.extra_hosts:
        words += ["--add-host", entry]
    for key, value in spec.labels:
        # Compose's internal labels would make the copy a part of the project.
        if not key.startswith(COMPOSE_LABELS):
            words += ["--label", f"{key}={value}"]
    for rest, table in ((spec.untrusted_host, _HOST), (spec.untrusted_config, _CONFIG)):
        for key in sorted(rest):
            try:
                option_words = table[key](Json(rest[key], _SOURCE)) if key in table else None
            except NotUnderstood:
                option_words = None
            if option_words is None:
                inexpressible.append(key)
            else:
                words += option_words
    arguments = list(spec.command or ())
    if spec.entrypoint is not None:
        words += ["--entrypoint", spec.entrypoint[0] if spec.entrypoint else ""]
        arguments = [*spec.entrypoint[1:], *arguments]
    return [*words, spec.image, *arguments], inexpressible


def quote(word: str) -> str:
    """Quote a word for a POSIX shell. Control characters use bash's $'...', so that a terminal ignores them."""
    if all(letter.isprintable() for letter in word):
        return shlex.quote(word)
    return "$'" + "".join(_escaped(letter) for letter in word) + "'"


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _networks(spec: ContainerSpec) -> list[str]:
    names = [spec.network] if spec.network else []
    names += [name for name in spec.untrusted_endpoints if name != spec.network]
    if not spec.network and spec.untrusted_endpoints:
        # Any --network replaces the engine's own bridge.
        names = ["bridge", *(name for name in names if name != "bridge")]
    words: list[str] = []
    for name in names:
        endpoint = JsonObject(dict(spec.untrusted_endpoints.get(name) or {}), _SOURCE)
        parts = [f"alias={alias}" for alias in endpoint.texts("Aliases")]
        fixed = endpoint.object("IPAMConfig")
        addresses = (("ip", fixed.text("IPv4Address")), ("ip6", fixed.text("IPv6Address")))
        parts += [f"{key}={address}" for key, address in addresses if address]
        words += ["--network", ",".join((f"name={name}", *parts)) if parts else name]
    return words


def _port(port: PortSpec) -> str:
    suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
    inside = f"{port.container_port}{suffix}"
    outside = "" if port.host_port is None else str(port.host_port)
    if port.host_ip:
        address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
        return f"{address}:{outside}:{inside}"
    return f"{outside}:{inside}" if outside else inside


def _mount(mount: MountSpec) -> list[str]:
    simple = mount.kind in ("bind", "volume") and not mount.untrusted_options
    if simple and mount.is_anonymous and not mount.read_only and ":" not in mount.target:
        return ["-v", mount.target]
    source = "" if mount.is_anonymous else mount.source
    if simple and source and ":" not in source and ":" not in mount.target:
        return ["-v", f"{source}:{mount.target}{':ro' if mount.read_only else ''}"]
    fields = [f"type={mount.kind}"]
    if source:
        fields.append(f"source={source}")
    fields.append(f"target={mount.target}")
    if mount.read_only:
        fields.append("readonly")
    options = JsonObject(dict(mount.untrusted_options), _SOURCE)
    bind, volume, tmpfs = (options.object(f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    fields += [f"bind-propagation={bind.text('Propagation')}"] if bind.text("Propagation") else []
    fields += ["volume-nocopy"] if volume.flag("NoCopy") else []
    fields += [f"volume-subpath={volume.text('Subpath')}"] if volume.text("Subpath") else []
    fields += [f"volume-label={key}={value}" for key, value in volume.texts_by_name("Labels").items()]
    driver = volume.object("DriverConfig")
    fields += [f"volume-driver={driver.text('Name')}"] if driver.text("Name") else []
    fields += [f"volume-opt={key}={value}" for key, value in driver.texts_by_name("Options").items()]
    fields += [f"tmpfs-size={tmpfs.integer('SizeBytes')}"] if tmpfs.integer("SizeBytes") else []
    fields += [f"tmpfs-mode={tmpfs.integer('Mode'):o}"] if tmpfs.integer("Mode") else []
    return ["--mount", ",".join(_csv(part) for part in fields)]


def _csv(part: str) -> str:
    if any(letter in part for letter in ',"\n\r'):
        return '"' + part.replace('"', '""') + '"'
    return part


def _size(count: int) -> str:
    return next((f"{count // size}{unit}" for size, unit in _UNITS if count % size == 0), str(count))


def _duration(nanoseconds: int) -> str:
    for size, unit in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")):
        if nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"


_Options = Callable[[Json], list[str] | None]


def _plain(value: Json) -> str:
    """A text or a number, unchanged."""
    return value.text() if isinstance(value.untrusted, str) else str(value.integer())


def _one(option: str, form: Callable[[Json], str] = _plain) -> _Options:
    return lambda value: [option, form(value)]


def _each(option: str, form: Callable[[Json], str] = _plain) -> _Options:
    return lambda values: [word for value in values.values() for word in (option, form(value))]


def _pairs(option: str) -> _Options:
    return lambda table: _pairs_of(option, table.object())


def _pairs_of(option: str, table: JsonObject) -> list[str]:
    return [word for key in table for word in (option, f"{key}={table.text(key)}")]


def _tmpfs(table: Json) -> list[str]:
    places = table.object()
    entries = (f"{path}:{places.text(path)}" if places.text(path) else path for path in places)
    return [word for entry in entries for word in ("--tmpfs", entry)]


def _log(value: Json) -> list[str]:
    log = value.object()
    return ["--log-driver", log.text("Type"), *_pairs_of("--log-opt", log.object("Config"))]


def _device(value: Json) -> str:
    device = value.object()
    parts = (device.text(name) for name in ("PathOnHost", "PathInContainer", "CgroupPermissions"))
    return ":".join(part for part in parts if part)


def _ulimit(value: Json) -> str:
    limit = value.object()
    return f"{limit.text('Name')}={limit.integer('Soft')}:{limit.integer('Hard')}"


def _health(value: Json) -> list[str] | None:
    check = value.object()
    test = check.texts("Test")
    if test == ("NONE",):
        return ["--no-healthcheck"]
    words: list[str] = []
    if test:
        if len(test) != 2 or test[0] != "CMD-SHELL":
            return None  # the option only accepts a shell command
        words += ["--health-cmd", test[1]]
    for key, option in (
        ("Interval", "--health-interval"),
        ("Timeout", "--health-timeout"),
        ("StartPeriod", "--health-start-period"),
        ("StartInterval", "--health-start-interval"),
    ):
        if check.integer(key):
            words += [option, _duration(check.integer(key))]
    return words + (["--health-retries", str(check.integer("Retries"))] if check.integer("Retries") else [])


_HOST: Final[dict[str, _Options]] = {
    "Annotations": _pairs("--annotation"),
    "BlkioWeight": _one("--blkio-weight"),
    "CapAdd": _each("--cap-add"),
    "CapDrop": _each("--cap-drop"),
    "CgroupParent": _one("--cgroup-parent"),
    "CgroupnsMode": _one("--cgroupns"),
    "CpuPeriod": _one("--cpu-period"),
    "CpuQuota": _one("--cpu-quota"),
    "CpuRealtimePeriod": _one("--cpu-rt-period"),
    "CpuRealtimeRuntime": _one("--cpu-rt-runtime"),
    "CpuShares": _one("--cpu-shares"),
    "CpusetCpus": _one("--cpuset-cpus"),
    "CpusetMems": _one("--cpuset-mems"),
    "DeviceCgroupRules": _each("--device-cgroup-rule"),
    "Devices": _each("--device", _device),
    "Dns": _each("--dns"),
    "DnsOptions": _each("--dns-option"),
    "DnsSearch": _each("--dns-search"),
    "GroupAdd": _each("--group-add"),
    "IpcMode": _one("--ipc"),
    "Isolation": _one("--isolation"),
    "Links": _each("--link", lambda link: _link(link.text())),
    "LogConfig": _log,
    "MaskedPaths": lambda _value: ["--security-opt", "systempaths=unconfined"],
    "MemoryReservation": _one("--memory-reservation"),
    "MemorySwap": _one("--memory-swap"),
    "MemorySwappiness": _one("--memory-swappiness"),
    "OomKillDisable": lambda _value: ["--oom-kill-disable"],
    "OomScoreAdj": _one("--oom-score-adj"),
    "PidMode": _one("--pid"),
    "PidsLimit": _one("--pids-limit"),
    "ReadonlyPaths": lambda _value: [],  # expressed by MaskedPaths
    "PublishAllPorts": lambda _value: ["-P"],
    "Runtime": _one("--runtime"),
    "SecurityOpt": _each("--security-opt"),
    "ShmSize": _one("--shm-size", lambda value: _size(value.integer())),
    "StorageOpt": _pairs("--storage-opt"),
    "Sysctls": _pairs("--sysctl"),
    "Tmpfs": _tmpfs,
    "UTSMode": _one("--uts"),
    "Ulimits": _each("--ulimit", _ulimit),
    "UsernsMode": _one("--userns"),
    "VolumeDriver": _one("--volume-driver"),
    "VolumesFrom": _each("--volumes-from"),
}
_CONFIG: Final[dict[str, _Options]] = {
    "Domainname": _one("--domainname"),
    "ExposedPorts": lambda table: [word for port in sorted(table.object()) for word in ("--expose", port)],
    "Healthcheck": _health,
    "MacAddress": _one("--mac-address"),
    "StopSignal": _one("--stop-signal"),
    "StopTimeout": _one("--stop-timeout"),
}


def _link(link: str) -> str:
    """Convert the engine's form "/db:/web/alias"."""
    source, _, alias = link.partition(":")
    return f"{source.removeprefix('/')}:{alias.rpartition('/')[2]}"
