"""All details of a container, parsed from `GET /containers/{id}/json`. Pure.

All text is sanitised except `untrusted_raw`, the unchanged answer, for a view that shows all of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from backend.engine.types import ContainerState, Health, PortBinding, clean_text, is_anonymous_volume, kept_labels
from backend.json_reader import JsonObject

_VALUE_CHARS: Final = 4096
"""Limit for a variable, argument or path: command lines are often longer than names."""
_HEALTH_LOG: Final = 20
_NANO: Final = 1_000_000_000
_PORT_DIGITS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthProbe:
    """One run of the container's health check."""

    started_at: str
    ended_at: str
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRun:
    """State of the container's process."""

    state: ContainerState
    pid: int | None = None
    """Process id in the machine; None when it does not run."""
    exit_code: int | None = None
    """Exit code of the last run; None while it runs or before the first."""
    error: str = ""
    """The engine's message when the start failed."""
    oom_killed: bool = False
    started_at: str = ""
    """RFC 3339, UTC; empty before the first start."""
    finished_at: str = ""
    restart_count: int = 0
    """Restarts by the engine's restart policy since the last manual start."""
    health: Health = Health.NONE
    failing_streak: int = 0
    health_log: tuple[HealthProbe, ...] = ()

    @property
    def started_epoch(self) -> float | None:
        """Time of the last start in seconds since the epoch; None before the first."""
        return epoch_of(self.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A bind mount, volume or tmpfs of the container."""

    kind: str
    """"bind", "volume", "tmpfs"..."""
    source: str
    """Path on the host, or the volume's name; empty for tmpfs."""
    destination: str
    writable: bool
    driver: str = ""
    propagation: str = ""
    anonymous: bool = False
    """Whether it is a volume without a name from the user: `docker rm --volumes` deletes it."""
    path_in_machine: str = ""
    """Path of the volume's data in the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachment:
    """A network that the container is connected to."""

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
    """Resource limits of the container; None: unlimited."""

    cpus: float | None = None
    """Number of processors: 1.5 is one and a half."""
    memory_bytes: int | None = None
    memory_and_swap_bytes: int | None = None
    """-1: unlimited swap."""
    cpu_shares: int | None = None
    cpuset: str = ""
    pids: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDriver:
    """Location of the container's file system in the machine."""

    name: str = ""
    data: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def upper_directory(self) -> str:
        """The directory of the container's own changes; empty when the driver does not report it."""
        return self.data.get("UpperDir", "")

    @property
    def lower_directories(self) -> tuple[str, ...]:
        """The image's layers, top first."""
        return tuple(part for part in self.data.get("LowerDir", "").split(":") if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetails:
    """Details of a container. `untrusted_raw` is the engine's unmodified answer as plain JSON."""

    id: str
    name: str
    image: str
    """The image's name as written by the user."""
    image_id: str
    """"sha256:…"."""
    created_at: str
    """RFC 3339, UTC."""
    run: ContainerRun
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Pairs of name and value, in the engine's order."""
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
    """None unless it was requested."""
    untrusted_raw: Mapping[str, object] | None = field(default=None, hash=False, compare=False, repr=False)

    @property
    def anonymous_volumes(self) -> tuple[MountPoint, ...]:
        """Volumes that only this container refers to."""
        return tuple(mount for mount in self.mounts if mount.anonymous)


def details_from_answer(answer: JsonObject) -> ContainerDetails:
    """Parse the answer. Raises NotUnderstood."""
    config, host, graph = answer.object("Config"), answer.object("HostConfig"), answer.object("GraphDriver")
    return ContainerDetails(
        id=_word(answer, "Id"),
        name=_word(answer, "Name").removeprefix("/"),
        image=_word(config, "Image"),
        image_id=_word(answer, "Image"),
        created_at=_word(answer, "Created"),
        run=_run(answer),
        entrypoint=_arguments(config, "Entrypoint"),
        command=_arguments(config, "Cmd"),
        environment=_environment(config.texts("Env")),
        working_directory=_value(config, "WorkingDir"),
        user=_word(config, "User"),
        hostname=_word(config, "Hostname"),
        tty=config.flag("Tty"),
        stdin_open=config.flag("OpenStdin"),
        privileged=host.flag("Privileged"),
        read_only_root=host.flag("ReadonlyRootfs"),
        auto_remove=host.flag("AutoRemove"),
        ports=_ports(answer),
        mounts=tuple(_mount(entry) for entry in answer.objects("Mounts")),
        networks=_networks(answer.object("NetworkSettings").objects_by_name("Networks")),
        network_mode=_word(host, "NetworkMode"),
        restart_policy=_restart_policy(host.object("RestartPolicy")),
        limits=_limits(host),
        labels=kept_labels(config.texts_by_name("Labels")),
        graph_driver=GraphDriver(
            name=_word(graph, "Name"),
            # Not shortened: these paths are used, and LowerDir lists every layer.
            data={clean_text(key): clean_text(value, 1_000_000) for key, value in graph.texts_by_name("Data").items()},
        ),
        size_written_bytes=answer.integer("SizeRw") if "SizeRw" in answer else None,
        untrusted_raw=answer.untrusted,
    )


def epoch_of(rfc3339: str) -> float | None:
    """Parse a time into seconds since the epoch; None when invalid, and for the engine's year 1, which means never."""
    head, dot, tail = rfc3339.partition(".")
    try:
        # The engine writes nine decimals, the standard library reads six.
        text = f"{head}.{tail.rstrip('Z')[:6]}+00:00" if dot and tail.endswith("Z") else rfc3339.replace("Z", "+00:00")
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.year > 1 and moment.tzinfo is not None else None


def _run(answer: JsonObject) -> ContainerRun:
    state = answer.object("State")
    health = state.object("Health")
    word, health_word = state.text("Status"), health.text("Status")
    known = ContainerState(word) if word in set(ContainerState) else ContainerState.UNKNOWN
    started, finished = _moment(state, "StartedAt"), _moment(state, "FinishedAt")
    return ContainerRun(
        state=known,
        pid=state.integer("Pid") or None,
        exit_code=state.integer("ExitCode") if started and not known.is_up and "ExitCode" in state else None,
        error=_value(state, "Error"),
        oom_killed=state.flag("OOMKilled"),
        started_at=started,
        finished_at=finished,
        restart_count=answer.integer("RestartCount"),
        health=Health(health_word) if health_word in set(Health) else Health.NONE,
        failing_streak=health.integer("FailingStreak"),
        health_log=tuple(
            HealthProbe(
                started_at=_moment(entry, "Start"),
                ended_at=_moment(entry, "End"),
                exit_code=entry.integer("ExitCode"),
                output=_value(entry, "Output"),
            )
            for entry in health.objects("Log")[-_HEALTH_LOG:]
        ),
    )


def _ports(answer: JsonObject) -> tuple[PortBinding, ...]:
    # A stopped container has no ports in its network settings: use the request in HostConfig.
    live = answer.object("NetworkSettings").object("Ports")
    requested = answer.object("HostConfig").object("PortBindings")
    exposed = answer.object("Config").object("ExposedPorts")
    ports: list[PortBinding] = []
    for key in sorted({*exposed, *requested, *live}):
        number, _, protocol = key.partition("/")
        if not number.isascii() or not number.isdigit() or len(number) > _PORT_DIGITS:
            continue
        rows = live.objects(key) or requested.objects(key)
        bindings = [(row.text("HostIp"), row.text("HostPort")) for row in rows]
        ports.extend(
            PortBinding(
                container_port=int(number),
                protocol=clean_text(protocol) or "tcp",
                host_ip=(clean_text(address) or "0.0.0.0") if port else None,
                # A requested port may be a range.
                host_port=int(port) if port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS else None,
            )
            for address, port in bindings or [("", "")]
        )
    return tuple(dict.fromkeys(sorted(ports, key=lambda port: (port.container_port, port.protocol))))


def _mount(answer: JsonObject) -> MountPoint:
    kind, name, path = _word(answer, "Type"), _word(answer, "Name"), _value(answer, "Source")
    return MountPoint(
        kind=kind,
        source=name if kind == "volume" else path,
        destination=_value(answer, "Destination"),
        writable=answer.flag("RW", default=True),
        driver=_word(answer, "Driver"),
        propagation=_word(answer, "Propagation"),
        anonymous=kind == "volume" and is_anonymous_volume(name),
        path_in_machine=path if kind == "volume" else "",
    )


def _networks(networks: Mapping[str, JsonObject]) -> tuple[NetworkAttachment, ...]:
    return tuple(
        NetworkAttachment(
            name=clean_text(name),
            network_id=_word(entry, "NetworkID"),
            ip_address=_word(entry, "IPAddress"),
            ip_prefix_length=entry.integer("IPPrefixLen"),
            gateway=_word(entry, "Gateway"),
            ipv6_address=_word(entry, "GlobalIPv6Address"),
            mac_address=_word(entry, "MacAddress"),
            aliases=tuple(clean_text(alias, _VALUE_CHARS) for alias in entry.texts("Aliases")),
        )
        for name, entry in sorted(networks.items())
    )


def _restart_policy(policy: JsonObject) -> str:
    name, tries = _word(policy, "Name") or "no", policy.integer("MaximumRetryCount")
    return f"{name}:{tries}" if name == "on-failure" and tries else name


def _limits(host: JsonObject) -> ContainerLimits:
    nano, quota = host.integer("NanoCpus"), host.integer("CpuQuota")
    cpus = nano / _NANO if nano else quota / (host.integer("CpuPeriod") or 100_000) if quota > 0 else None
    pids = host.integer("PidsLimit")
    return ContainerLimits(
        cpus=cpus,
        memory_bytes=host.integer("Memory") or None,
        memory_and_swap_bytes=host.integer("MemorySwap") or None,
        cpu_shares=host.integer("CpuShares") or None,
        cpuset=_word(host, "CpusetCpus"),
        pids=pids if pids > 0 else None,
    )


def _word(answer: JsonObject, name: str) -> str:
    return clean_text(answer.text(name))


def _value(answer: JsonObject, name: str) -> str:
    return clean_text(answer.text(name), _VALUE_CHARS)


def _arguments(answer: JsonObject, name: str) -> tuple[str, ...]:
    """Parse a list of words, or a single text, which very old engines wrote into images."""
    member = answer.member(name)
    words = (member.text(),) if isinstance(member.untrusted, str) else answer.texts(name)
    return tuple(clean_text(word, _VALUE_CHARS) for word in words)


def _environment(entries: Iterable[str]) -> tuple[tuple[str, str], ...]:
    pairs = (entry.partition("=") for entry in entries)
    return tuple((clean_text(name), clean_text(value, _VALUE_CHARS)) for name, _, value in pairs)


def _moment(answer: JsonObject, name: str) -> str:
    text = _word(answer, name)
    return "" if text.startswith("0001-01-01") else text
