"""Reading a spec from an existing container: what its user has set, without defaults of image and engine. Pure."""

from __future__ import annotations

from typing import Final

from backend.engine.spec.container_spec import ContainerSpec, MountSpec, PortSpec
from backend.json_reader import JsonObject, NotUnderstood

_OWN_HOST: Final = frozenset(
    (
        *("PortBindings", "Binds", "Mounts", "NanoCpus", "Memory", "MemorySwap", "RestartPolicy", "NetworkMode"),
        *("Privileged", "AutoRemove", "ReadonlyRootfs", "Init", "ExtraHosts"),
    )
)
"""Keys of HostConfig that correspond to fields of a spec."""
_HOST_DEFAULTS: Final[dict[str, tuple[object, ...]]] = {
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
"""Values that the engine sets itself; empty values never come from the user."""
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
_PORT_DIGITS: Final = 5
_OWN_BRIDGE: Final = ("", "default", "bridge")


def spec_from_inspect(container: JsonObject, image: JsonObject | None, *, swap_default: int = 2) -> ContainerSpec:
    """Read the spec of a container.

    Args:
        container: the answer of `GET /containers/{id}/json`.
        image: the answer of `GET /images/{id}/json` for its image; None when the image no longer exists: then every
            value
            counts as set by the user.
        swap_default: the engine's default ratio of memory with swap to the memory limit.

    Raises:
        NotUnderstood: an answer has an unexpected form.
    """
    config, host = container.object("Config"), container.object("HostConfig")
    image_config = image.object("Config") if image is not None else JsonObject({}, container.source)
    entrypoint = _argv(config, "Entrypoint")
    own_entrypoint = entrypoint is not None and entrypoint != _argv(image_config, "Entrypoint")
    command = _argv(config, "Cmd")
    # A user-defined entrypoint disables the image's command, so the command has to be set even when it is the same.
    own_command = command is not None and (own_entrypoint or command != _argv(image_config, "Cmd"))
    memory, swap, nano_cpus = host.integer("Memory"), host.integer("MemorySwap"), host.integer("NanoCpus")
    rest = {key: value for key, value in host.untrusted.items() if key not in _OWN_HOST and _is_own(key, value)}
    if swap and swap != memory * swap_default:
        rest["MemorySwap"] = swap
    hostname, mode = config.text("Hostname"), host.text("NetworkMode")
    image_labels = image_config.texts_by_name("Labels")
    return ContainerSpec(
        image=config.text("Image") or container.text("Image"),
        name=container.text("Name").removeprefix("/"),
        command=command if own_command else None,
        entrypoint=entrypoint if own_entrypoint else None,
        environment=_environment(config, image_config),
        ports=_ports(host.object("PortBindings")),
        mounts=_mounts(container, host, image_config),
        cpus=nano_cpus / 1e9 if nano_cpus else None,
        memory_bytes=memory or None,
        restart_policy=_restart_policy(host.object("RestartPolicy")),
        network="" if mode in _OWN_BRIDGE else mode,
        labels=tuple(
            (key, value) for key, value in config.texts_by_name("Labels").items() if image_labels.get(key) != value
        ),
        user=_unlike(config, image_config, "User"),
        working_directory=_unlike(config, image_config, "WorkingDir"),
        hostname="" if _is_given_hostname(hostname, container.text("Id"), mode) else hostname,
        tty=config.flag("Tty"),
        stdin_open=config.flag("OpenStdin"),
        privileged=host.flag("Privileged"),
        auto_remove=host.flag("AutoRemove"),
        read_only_root=host.flag("ReadonlyRootfs"),
        init=host.flag("Init"),
        extra_hosts=host.texts("ExtraHosts"),
        untrusted_config=_config_rest(config, image_config, host),
        untrusted_host=rest,
        untrusted_endpoints=_endpoints(container, mode),
    )


def _is_own(key: str, value: object) -> bool:
    """Whether the user set it."""
    if key in _PATH_LISTS:
        # Long lists are the engine's, None results from `privileged`; only an empty list is set by the user.
        return value == []
    empty = value is None or value in ("", 0, False, [], {})
    return not empty and key not in _NEVER_HOST and value not in _HOST_DEFAULTS.get(key, ())


def _environment(config: JsonObject, image: JsonObject) -> tuple[tuple[str, str | None], ...]:
    of_image = set(image.texts("Env"))
    variables: list[tuple[str, str | None]] = []
    for entry in config.texts("Env"):
        if entry not in of_image:
            name, equals, value = entry.partition("=")
            variables.append((name, value if equals else None))
    return tuple(variables)


def _ports(bindings: JsonObject) -> tuple[PortSpec, ...]:
    ports = []
    for key in sorted(bindings):
        number, _, protocol = key.partition("/")
        if not number.isascii() or not number.isdigit() or len(number) > _PORT_DIGITS:
            raise NotUnderstood(bindings.source, "HostConfig.PortBindings: expected names that are ports.")
        rows = [(row.text("HostIp"), row.text("HostPort")) for row in bindings.objects(key)]
        for host_ip, host_port in rows or [("", "")]:
            is_single = host_port.isascii() and host_port.isdigit() and len(host_port) <= _PORT_DIGITS
            ports.append(
                PortSpec(
                    container_port=int(number),
                    protocol=protocol or "tcp",
                    host_port=(int(host_port) or None) if is_single else None,
                    host_ip=host_ip,
                )
            )
    return tuple(ports)


def _mounts(container: JsonObject, host: JsonObject, image: JsonObject) -> tuple[MountSpec, ...]:
    declared = set(image.object("Volumes"))
    requests = {mount.text("Target"): mount for mount in host.objects("Mounts")}
    mounts = {}
    for mount in container.objects("Mounts"):
        target, kind = mount.text("Destination"), mount.text("Type", "bind")
        request = requests.get(target)
        options = _options(request) if request is not None else {}
        if kind == "bind" and request is None and mount.text("Propagation") not in ("", "rprivate"):
            options["BindOptions"] = {"Propagation": mount.text("Propagation")}
        if kind == "volume" and request is None and "nocopy" in mount.text("Mode").split(","):
            options["VolumeOptions"] = {"NoCopy": True}
        # The request has the path as its user wrote it, the mount as seen by the machine.
        path = (request.text("Source") if request is not None else "") or mount.text("Source")
        mounts[target] = MountSpec(
            kind=kind,
            source=mount.text("Name") if kind == "volume" else path,
            target=target,
            read_only=not mount.flag("RW", default=True),
            from_image=target in declared and target not in requests and not _is_bound(host, target),
            untrusted_options=options,
        )
    # A tmpfs is listed among the mounts only while the container runs.
    for target, request in requests.items():
        if target not in mounts:
            mounts[target] = MountSpec(
                kind=request.text("Type", "bind"),
                source=request.text("Source"),
                target=target,
                read_only=request.flag("ReadOnly"),
                untrusted_options=_options(request),
            )
    temporary = set(host.object("Tmpfs"))
    return tuple(mounts[target] for target in sorted(mounts) if target not in temporary)


def _options(request: JsonObject) -> dict[str, object]:
    return {key: value for key, value in request.untrusted.items() if key.endswith("Options") and value}


def _is_bound(host: JsonObject, target: str) -> bool:
    return any(target in bind.split(":") for bind in host.texts("Binds"))


def _restart_policy(policy: JsonObject) -> str:
    name, tries = policy.text("Name") or "no", policy.integer("MaximumRetryCount")
    return f"{name}:{tries}" if name == "on-failure" and tries else name


def _is_given_hostname(hostname: str, identity: str, mode: str) -> bool:
    """Whether the engine chose it: the short id, or the machine's host name on the host network."""
    return not hostname or mode == "host" or mode.startswith("container:") or identity.startswith(hostname)


def _config_rest(config: JsonObject, image: JsonObject, host: JsonObject) -> dict[str, object]:
    mine, of_image = config.untrusted, image.untrusted
    rest: dict[str, object] = {
        key: mine[key] for key in _CONFIG_REST if mine.get(key) and mine[key] != of_image.get(key)
    }
    known = {*host.object("PortBindings"), *image.object("ExposedPorts")}
    exposed: dict[str, object] = {key: {} for key in config.object("ExposedPorts") if key not in known}
    if exposed:
        rest["ExposedPorts"] = exposed
    return rest


def _endpoints(container: JsonObject, mode: str) -> dict[str, dict[str, object]]:
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    short = container.text("Id")[:12]
    endpoints: dict[str, dict[str, object]] = {}
    for name, entry in container.object("NetworkSettings").objects_by_name("Networks").items():
        settings: dict[str, object] = {key: entry.untrusted[key] for key in _ENDPOINT_REST if entry.untrusted.get(key)}
        # The engine adds the short id as an alias itself, in every version that lists it here.
        aliases = [alias for alias in entry.texts("Aliases") if alias != short]
        if aliases:
            settings["Aliases"] = aliases
        if settings or name not in (*_OWN_BRIDGE, mode):
            endpoints[name] = settings
    return endpoints


def _unlike(config: JsonObject, image: JsonObject, key: str) -> str:
    value = config.text(key)
    return "" if value == image.text(key) else value


def _argv(config: JsonObject, name: str) -> tuple[str, ...] | None:
    """Parse a list of words, or a single text as very old engines wrote it."""
    member = config.member(name)
    if member.is_null:
        return None
    return (member.text(),) if isinstance(member.untrusted, str) else member.texts()
