"""Everything that the engine knows of one container, out of `GET /containers/{id}/json`. Pure.

All text is clean but in `untrusted_raw`, which is the answer as it came, for a view that shows all of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backend.engine.types import ContainerState, Health, PortBinding, clean_text, is_anonymous_volume, kept_labels

_VALUE_CHARS: Final = 4096
"""Longest variable, argument or path that is kept whole: a command line is often longer than a name."""
_HEALTH_LOG: Final = 20
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthProbe:
    """One run of the container's health check."""

    started_at: str
    ended_at: str
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRun:
    """How the container's process is, or ended."""

    state: ContainerState
    pid: int | None = None
    """In the machine; None when it does not run."""
    exit_code: int | None = None
    """Of the last run; None while it runs or before the first."""
    error: str = ""
    """What the engine said when the start failed."""
    oom_killed: bool = False
    started_at: str = ""
    """RFC 3339, UTC; empty before the first start."""
    finished_at: str = ""
    restart_count: int = 0
    """Restarts by the engine itself, by the restart policy, since the last start by hand."""
    health: Health = Health.NONE
    failing_streak: int = 0
    health_log: tuple[HealthProbe, ...] = ()

    @property
    def started_epoch(self) -> float | None:
        """Seconds since the epoch of the last start; None before the first."""
        return epoch_of(self.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """Something of outside that is seen inside."""

    kind: str
    """"bind", "volume", "tmpfs"..."""
    source: str
    """A path of the host, or the volume's name; empty for tmpfs."""
    destination: str
    writable: bool
    driver: str = ""
    propagation: str = ""
    anonymous: bool = False
    """A volume without a name that a user gave: `docker rm --volumes` deletes it."""
    path_in_machine: str = ""
    """Where the volume's data is in the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachment:
    """A network that the container is part of."""

    name: str
    network_id: str = ""
    ip_address: str = ""
    ip_prefix_length: int = 0
    gateway: str = ""
    ipv6_address: str = ""
    mac_address: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLimits:
    """What the container may use; None: as much as the machine has."""

    cpus: float | None = None
    """1.5 is one processor and a half."""
    memory_bytes: int | None = None
    memory_and_swap_bytes: int | None = None
    """-1: any amount of swap."""
    cpu_shares: int | None = None
    cpuset: str = ""
    pids: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDriver:
    """Where the container's own files are, in the machine."""

    name: str = ""
    data: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def upper_directory(self) -> str:
        """What the container wrote itself; empty when the driver says nothing of it."""
        return self.data.get("UpperDir", "")

    @property
    def lower_directories(self) -> tuple[str, ...]:
        """The image's layers, the topmost first."""
        return tuple(part for part in self.data.get("LowerDir", "").split(":") if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails:
    """One container. `untrusted_raw` is the engine's answer, a plain JSON value that nobody cleaned."""

    id: str
    name: str
    image: str
    """As the user wrote it."""
    image_id: str
    """"sha256:…"."""
    created_at: str
    """RFC 3339, UTC."""
    run: ContainerRun
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Name and value, in the engine's order."""
    working_directory: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    stdin_open: bool = False
    privileged: bool = False
    read_only_root: bool = False
    auto_remove: bool = False
    ports: tuple[PortBinding, ...] = ()
    mounts: tuple[MountPoint, ...] = ()
    networks: tuple[NetworkAttachment, ...] = ()
    network_mode: str = ""
    restart_policy: str = ""
    """"no", "always", "unless-stopped", "on-failure" or "on-failure:5"."""
    limits: ContainerLimits = field(default_factory=ContainerLimits)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    graph_driver: GraphDriver = field(default_factory=GraphDriver)
    size_written_bytes: int | None = None
    """None unless it was asked for."""
    untrusted_raw: Any = field(default=None, hash=False, compare=False, repr=False)

    @property
    def anonymous_volumes(self) -> tuple[MountPoint, ...]:
        """The volumes that nothing but this container names."""
        return tuple(mount for mount in self.mounts if mount.anonymous)


def details_from_answer(untrusted: dict[str, Any]) -> ContainerDetails:
    """The whole of one answer. What is missing or odd in it is left at its default."""
    config = _table(untrusted, "Config")
    host = _table(untrusted, "HostConfig")
    graph = _table(untrusted, "GraphDriver")
    return ContainerDetails(
        id=_word(untrusted, "Id"),
        name=_word(untrusted, "Name").removeprefix("/"),
        image=_word(config, "Image"),
        image_id=_word(untrusted, "Image"),
        created_at=_word(untrusted, "Created"),
        run=_run(untrusted),
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        environment=_environment(config.get("Env")),
        working_directory=_value(config.get("WorkingDir")),
        user=_word(config, "User"),
        hostname=_word(config, "Hostname"),
        tty=bool(config.get("Tty")),
        stdin_open=bool(config.get("OpenStdin")),
        privileged=bool(host.get("Privileged")),
        read_only_root=bool(host.get("ReadonlyRootfs")),
        auto_remove=bool(host.get("AutoRemove")),
        ports=_ports(untrusted),
        mounts=tuple(_mount(entry) for entry in untrusted.get("Mounts") or () if isinstance(entry, dict)),
        networks=_networks(untrusted),
        network_mode=_word(host, "NetworkMode"),
        restart_policy=_restart_policy(host),
        limits=_limits(host),
        labels=kept_labels({str(key): str(value) for key, value in _table(config, "Labels").items()}),
        graph_driver=GraphDriver(
            name=_word(graph, "Name"),
            # Not shortened: these are paths that are used, and LowerDir names every layer.
            data={
                clean_text(str(key)): clean_text(str(value), 1_000_000) for key, value in _table(graph, "Data").items()
            },
        ),
        size_written_bytes=_number(untrusted.get("SizeRw")),
        untrusted_raw=untrusted,
    )


def epoch_of(rfc3339: str) -> float | None:
    """Seconds since the epoch; None for what is not a time, and for the engine's year 1, which means never."""
    head, dot, tail = rfc3339.partition(".")
    try:
        # The engine writes nine decimals, the standard library reads six.
        text = f"{head}.{tail.rstrip('Z')[:6]}+00:00" if dot and tail.endswith("Z") else rfc3339.replace("Z", "+00:00")
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.year > 1 and moment.tzinfo is not None else None


def _run(untrusted: dict[str, Any]) -> ContainerRun:
    state = _table(untrusted, "State")
    health = _table(state, "Health")
    word = str(state.get("Status", ""))
    known = ContainerState(word) if word in set(ContainerState) else ContainerState.UNKNOWN
    health_word = str(health.get("Status", ""))
    started, finished = _moment(state.get("StartedAt")), _moment(state.get("FinishedAt"))
    return ContainerRun(
        state=known,
        pid=_number(state.get("Pid")) or None,
        exit_code=_number(state.get("ExitCode")) if started and not known.is_up else None,
        error=_value(state.get("Error")),
        oom_killed=bool(state.get("OOMKilled")),
        started_at=started,
        finished_at=finished,
        restart_count=_number(untrusted.get("RestartCount")) or 0,
        health=Health(health_word) if health_word in set(Health) else Health.NONE,
        failing_streak=_number(health.get("FailingStreak")) or 0,
        health_log=tuple(
            HealthProbe(
                started_at=_moment(entry.get("Start")),
                ended_at=_moment(entry.get("End")),
                exit_code=_number(entry.get("ExitCode")) or 0,
                output=_value(entry.get("Output")),
            )
            for entry in (health.get("Log") or [])[-_HEALTH_LOG:]
            if isinstance(entry, dict)
        ),
    )


def _ports(untrusted: dict[str, Any]) -> tuple[PortBinding, ...]:
    # A container that does not run has no ports in its network settings: there the wish in HostConfig counts.
    live = _table(_table(untrusted, "NetworkSettings"), "Ports")
    wanted = _table(_table(untrusted, "HostConfig"), "PortBindings")
    exposed = _table(_table(untrusted, "Config"), "ExposedPorts")
    found: list[PortBinding] = []
    for key in sorted({**exposed, **wanted, **live}):
        number, _, protocol = str(key).partition("/")
        if not number.isascii() or not number.isdigit():
            continue
        bindings = live.get(key) or wanted.get(key) or [{}]
        found.extend(
            PortBinding(
                container_port=int(number),
                protocol=clean_text(protocol) or "tcp",
                host_ip=(_word(entry, "HostIp") or "0.0.0.0") if entry.get("HostPort") else None,
                host_port=_number(entry.get("HostPort")),
            )
            for entry in bindings
            if isinstance(entry, dict)
        )
    return tuple(dict.fromkeys(sorted(found, key=lambda port: (port.container_port, port.protocol))))


def _mount(untrusted: dict[str, Any]) -> MountPoint:
    kind = _word(untrusted, "Type")
    name = _word(untrusted, "Name")
    path = _value(untrusted.get("Source"))
    return MountPoint(
        kind=kind,
        source=name if kind == "volume" else path,
        destination=_value(untrusted.get("Destination")),
        writable=bool(untrusted.get("RW", True)),
        driver=_word(untrusted, "Driver"),
        propagation=_word(untrusted, "Propagation"),
        anonymous=kind == "volume" and is_anonymous_volume(name),
        path_in_machine=path if kind == "volume" else "",
    )


def _networks(untrusted: dict[str, Any]) -> tuple[NetworkAttachment, ...]:
    found = _table(_table(untrusted, "NetworkSettings"), "Networks")
    return tuple(
        NetworkAttachment(
            name=clean_text(str(name)),
            network_id=_word(entry, "NetworkID"),
            ip_address=_word(entry, "IPAddress"),
            ip_prefix_length=_number(entry.get("IPPrefixLen")) or 0,
            gateway=_word(entry, "Gateway"),
            ipv6_address=_word(entry, "GlobalIPv6Address"),
            mac_address=_word(entry, "MacAddress"),
            aliases=_words(entry.get("Aliases")),
        )
        for name, entry in sorted(found.items())
        if isinstance(entry, dict)
    )


def _restart_policy(host: dict[str, Any]) -> str:
    policy = _table(host, "RestartPolicy")
    name = _word(policy, "Name") or "no"
    tries = _number(policy.get("MaximumRetryCount"))
    return f"{name}:{tries}" if name == "on-failure" and tries else name


def _limits(host: dict[str, Any]) -> ContainerLimits:
    nano = _number(host.get("NanoCpus"))
    quota, period = _number(host.get("CpuQuota")), _number(host.get("CpuPeriod"))
    cpus = nano / _NANO if nano else quota / (period or 100_000) if quota and quota > 0 else None
    pids = _number(host.get("PidsLimit"))
    return ContainerLimits(
        cpus=cpus,
        memory_bytes=_number(host.get("Memory")) or None,
        memory_and_swap_bytes=_number(host.get("MemorySwap")) or None,
        cpu_shares=_number(host.get("CpuShares")) or None,
        cpuset=_word(host, "CpusetCpus"),
        pids=pids if pids and pids > 0 else None,
    )


def _table(untrusted: dict[str, Any], key: str) -> dict[str, Any]:
    value = untrusted.get(key)
    return value if isinstance(value, dict) else {}


def _word(untrusted: dict[str, Any], key: str) -> str:
    value = untrusted.get(key)
    return clean_text(value) if isinstance(value, str) else ""


def _value(untrusted: object) -> str:
    return clean_text(untrusted, _VALUE_CHARS) if isinstance(untrusted, str) else ""


def _words(untrusted: object) -> tuple[str, ...]:
    if isinstance(untrusted, str):
        return (_value(untrusted),)
    return tuple(_value(word) for word in untrusted) if isinstance(untrusted, list) else ()


def _environment(untrusted: object) -> tuple[tuple[str, str], ...]:
    entries = untrusted if isinstance(untrusted, list) else []
    pairs = (str(entry).partition("=") for entry in entries)
    return tuple((clean_text(name), _value(value)) for name, _, value in pairs)


def _number(untrusted: object) -> int | None:
    """A whole number, also one written as text, as ports are."""
    if isinstance(untrusted, bool) or not isinstance(untrusted, int | str):
        return None
    try:
        return int(untrusted)
    except ValueError:
        return None


def _moment(untrusted: object) -> str:
    text = clean_text(untrusted) if isinstance(untrusted, str) else ""
    return "" if text.startswith("0001-01-01") else text
