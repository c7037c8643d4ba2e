"""A spec out of a container that exists: what its user set, without what its image and the engine set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backend.engine.spec.container_spec import ContainerSpec, MountSpec, PortSpec

_OWN_HOST: Final = frozenset(
    (
        *("PortBindings", "Binds", "Mounts", "NanoCpus", "Memory", "MemorySwap", "RestartPolicy", "NetworkMode"),
        *("Privileged", "AutoRemove", "ReadonlyRootfs", "Init", "ExtraHosts"),
    )
)
"""Keys of HostConfig that a spec has fields for."""
_HOST_DEFAULTS: Final[dict[str, tuple[Any, ...]]] = {
    "CgroupnsMode": ("private",),
    "IpcMode": ("private", "shareable"),
    "LogConfig": ({"Type": "json-file", "Config": {}}, {"Type": "json-file", "Config": None}),
    "MemorySwappiness": (-1,),
    "OomKillDisable": (False,),
    "PidsLimit": (-1,),
    "Runtime": ("runc",),
    "ShmSize": (64 * 1024 * 1024,),
    "VolumeDriver": ("local",),
}
"""What the engine itself writes there; empty values are always its own."""
_PATH_LISTS: Final = ("MaskedPaths", "ReadonlyPaths")
_NEVER_HOST: Final = frozenset({"ConsoleSize", "ContainerIDFile"})
_CONFIG_REST: Final = (
    "Domainname",
    "Healthcheck",
    "MacAddress",
    "Shell",
    "StopSignal",
    "StopTimeout",
    "NetworkDisabled",
)
_ENDPOINT_REST: Final = ("IPAMConfig", "Links", "DriverOpts", "GwPriority")
_OWN_BRIDGE: Final = ("", "default", "bridge")


def spec_from_inspect(
    untrusted: dict[str, Any], untrusted_image: dict[str, Any] | None, *, swap_default: int = 2
) -> ContainerSpec:
    """The spec of one container.

    Args:
        untrusted: the answer of `GET /containers/{id}/json`.
        untrusted_image: the answer of `GET /images/{id}/json` for its image; None when the image is gone: then all
            that the container has counts as set by its user.
        swap_default: the engine gives a container with a memory limit so many times that limit with swap.
    """
    config, host = _table(untrusted.get("Config")), _table(untrusted.get("HostConfig"))
    image = _table(_table(untrusted_image).get("Config"))
    entrypoint = _argv(config.get("Entrypoint"))
    own_entrypoint = entrypoint is not None and entrypoint != _argv(image.get("Entrypoint"))
    command = _argv(config.get("Cmd"))
    # An entrypoint of one's own takes the image's command away: then the command has to be said though it is the same.
    own_command = command is not None and (own_entrypoint or command != _argv(image.get("Cmd")))
    memory = host.get("Memory") or None
    swap = host.get("MemorySwap") or 0
    rest = {key: value for key, value in host.items() if key not in _OWN_HOST and _is_own(key, value)}
    if swap and swap != (memory or 0) * swap_default:
        rest["MemorySwap"] = swap
    hostname = str(config.get("Hostname") or "")
    return ContainerSpec(
        image=str(config.get("Image") or untrusted.get("Image") or ""),
        name=str(untrusted.get("Name") or "").removeprefix("/"),
        command=command if own_command else None,
        entrypoint=entrypoint if own_entrypoint else None,
        environment=_environment(config, image),
        ports=_ports(host),
        mounts=_mounts(untrusted, host, image),
        cpus=host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None,
        memory_bytes=memory,
        restart_policy=_restart_policy(host),
        network="" if host.get("NetworkMode", "") in _OWN_BRIDGE else str(host["NetworkMode"]),
        labels=tuple(
            (str(key), str(value))
            for key, value in _table(config.get("Labels")).items()
            if _table(image.get("Labels")).get(key) != value
        ),
        user=_unlike(config, image, "User"),
        working_directory=_unlike(config, image, "WorkingDir"),
        hostname="" if _is_given_hostname(hostname, untrusted, host) else hostname,
        tty=bool(config.get("Tty")),
        stdin_open=bool(config.get("OpenStdin")),
        privileged=bool(host.get("Privileged")),
        auto_remove=bool(host.get("AutoRemove")),
        read_only_root=bool(host.get("ReadonlyRootfs")),
        init=bool(host.get("Init")),
        extra_hosts=tuple(str(entry) for entry in host.get("ExtraHosts") or ()),
        untrusted_config=_config_rest(config, image, host),
        untrusted_host=rest,
        untrusted_endpoints=_endpoints(untrusted, host),
    )


def _is_own(key: str, value: object) -> bool:
    """Whether a user set it."""
    if key in _PATH_LISTS:
        # Long lists are the engine's own, None is what it makes of `privileged`; only an empty list was asked for.
        return value == []
    empty = value is None or value in ("", 0, False, [], {})
    return not empty and key not in _NEVER_HOST and value not in _HOST_DEFAULTS.get(key, ())


def _environment(config: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    given = set(image.get("Env") or ())
    found: list[tuple[str, str | None]] = []
    for entry in config.get("Env") or ():
        if entry not in given:
            name, equals, value = str(entry).partition("=")
            found.append((name, value if equals else None))
    return tuple(found)


def _ports(host: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    found = []
    for key, bindings in sorted(_table(host.get("PortBindings")).items()):
        number, _, protocol = str(key).partition("/")
        for binding in bindings or [{}]:
            host_port = str(binding.get("HostPort") or "")
            found.append(
                PortSpec(
                    container_port=int(number),
                    protocol=protocol or "tcp",
                    host_port=(int(host_port) or None) if host_port.isascii() and host_port.isdigit() else None,
                    host_ip=str(binding.get("HostIp") or ""),
                )
            )
    return tuple(found)


def _mounts(untrusted: dict[str, Any], host: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[MountSpec, ...]:
    declared = set(_table(image.get("Volumes")))
    asked = {str(mount.get("Target")): mount for mount in host.get("Mounts") or ()}
    found = {}
    for mount in untrusted.get("Mounts") or ():
        target = str(mount.get("Destination", ""))
        wish = asked.get(target, {})
        kind = str(mount.get("Type", "bind"))
        options = {key: value for key, value in wish.items() if key.endswith("Options") and value}
        if kind == "bind" and not wish and mount.get("Propagation") not in (None, "", "rprivate"):
            options["BindOptions"] = {"Propagation": mount["Propagation"]}
        if kind == "volume" and not wish and "nocopy" in str(mount.get("Mode", "")).split(","):
            options["VolumeOptions"] = {"NoCopy": True}
        found[target] = MountSpec(
            kind=kind,
            # The wish has the path as its user wrote it, the mount as the machine knows it.
            source=str((mount.get("Name") if kind == "volume" else wish.get("Source") or mount.get("Source")) or ""),
            target=target,
            read_only=not mount.get("RW", True),
            from_image=target in declared and target not in asked and not _is_bound(host, target),
            untrusted_options=options,
        )
    # A tmpfs stands in the mounts only while the container runs.
    for target, wish in asked.items():
        if target not in found:
            found[target] = MountSpec(
                kind=str(wish.get("Type", "bind")),
                source=str(wish.get("Source") or ""),
                target=target,
                read_only=bool(wish.get("ReadOnly")),
                untrusted_options={key: value for key, value in wish.items() if key.endswith("Options") and value},
            )
    return tuple(found[target] for target in sorted(found) if target not in _table(host.get("Tmpfs")))


def _is_bound(host: Mapping[str, Any], target: str) -> bool:
    return any(target in str(bind).split(":") for bind in host.get("Binds") or ())


def _restart_policy(host: Mapping[str, Any]) -> str:
    policy = _table(host.get("RestartPolicy"))
    name, tries = str(policy.get("Name") or "no"), policy.get("MaximumRetryCount") or 0
    return f"{name}:{tries}" if name == "on-failure" and tries else name


def _is_given_hostname(hostname: str, untrusted: dict[str, Any], host: Mapping[str, Any]) -> bool:
    """Whether the engine chose it: the short id, or the machine's own name on the machine's own network."""
    shares = str(host.get("NetworkMode", "")) == "host" or str(host.get("NetworkMode", "")).startswith("container:")
    return not hostname or shares or str(untrusted.get("Id", "")).startswith(hostname)


def _config_rest(config: Mapping[str, Any], image: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: config[key] for key in _CONFIG_REST if config.get(key) and config[key] != image.get(key)}
    published = _table(host.get("PortBindings"))
    declared = _table(image.get("ExposedPorts"))
    exposed: dict[str, Any] = {
        key: {} for key in _table(config.get("ExposedPorts")) if key not in published and key not in declared
    }
    if exposed:
        rest["ExposedPorts"] = exposed
    return rest


def _endpoints(untrusted: dict[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    networks = _table(_table(untrusted.get("NetworkSettings")).get("Networks"))
    mode = str(host.get("NetworkMode", ""))
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    short = str(untrusted.get("Id", ""))[:12]
    found = {}
    for name, entry in networks.items():
        if not isinstance(entry, dict):
            continue
        kept = {key: entry[key] for key in _ENDPOINT_REST if entry.get(key)}
        # The engine adds the short id itself, in every version that lists it here.
        aliases = [alias for alias in entry.get("Aliases") or () if alias != short]
        if aliases:
            kept["Aliases"] = aliases
        if kept or name not in (*_OWN_BRIDGE, mode):
            found[str(name)] = kept
    return found


def _unlike(config: Mapping[str, Any], image: Mapping[str, Any], key: str) -> str:
    value = str(config.get(key) or "")
    return "" if value == str(image.get(key) or "") else value


def _argv(untrusted: object) -> tuple[str, ...] | None:
    if isinstance(untrusted, str):
        return (untrusted,)
    return tuple(str(word) for word in untrusted) if isinstance(untrusted, list) else None


def _table(untrusted: object) -> dict[str, Any]:
    return untrusted if isinstance(untrusted, dict) else {}
