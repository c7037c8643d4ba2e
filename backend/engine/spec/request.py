"""Conversion of a spec into the body of `POST /containers/create`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from backend.engine.spec.container_spec import ContainerSpec, MountSpec


def create_body(spec: ContainerSpec) -> dict[str, object]:
    """The request's body; the name is part of the URL."""
    kept = spec.untrusted_config.get("ExposedPorts")
    exposed: dict[str, object] = dict(kept) if isinstance(kept, Mapping) else {}
    exposed |= {f"{port.container_port}/{port.protocol}": {} for port in spec.ports}
    config: dict[str, object] = {
        **spec.untrusted_config,
        "Image": spec.image,
        "Env": [name if value is None else f"{name}={value}" for name, value in spec.environment],
        "Labels": dict(spec.labels),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin_open,
        "ExposedPorts": exposed,
        "HostConfig": _host(spec),
    }
    for key, words in (("Cmd", spec.command), ("Entrypoint", spec.entrypoint)):
        if words is not None:
            config[key] = list(words)
    texts = {"User": spec.user, "WorkingDir": spec.working_directory, "Hostname": spec.hostname}
    config |= {key: text for key, text in texts.items() if text}
    endpoints = {name: dict(kept) for name, kept in spec.untrusted_endpoints.items()}
    if endpoints and spec.network:
        endpoints.setdefault(spec.network, {})
    if endpoints:
        config["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return config


def _host(spec: ContainerSpec) -> dict[str, object]:
    policy, _, tries = spec.restart_policy.partition(":")
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        binding = {"HostIp": port.host_ip, "HostPort": "" if port.host_port is None else str(port.host_port)}
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    host: dict[str, object] = {
        **spec.untrusted_host,
        "PortBindings": bindings,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": int(tries or 0)},
        "Privileged": spec.privileged,
        "AutoRemove": spec.auto_remove,
        "ReadonlyRootfs": spec.read_only_root,
        "ExtraHosts": list(spec.extra_hosts),
    }
    if spec.init:
        host["Init"] = True
    if spec.cpus is not None:
        host["NanoCpus"] = round(spec.cpus * 1e9)
    if spec.memory_bytes is not None:
        host["Memory"] = spec.memory_bytes
    swap = host.get("MemorySwap")
    if isinstance(swap, int) and swap != -1 and (spec.memory_bytes is None or swap < spec.memory_bytes):
        # Swap includes the memory: it was chosen for another limit than the present one.
        del host["MemorySwap"]
    if spec.network:
        host["NetworkMode"] = spec.network
    return host


def _mount(mount: MountSpec) -> dict[str, object]:
    body: dict[str, object] = {**mount.untrusted_options, "Type": mount.kind, "Target": mount.target}
    if mount.source:
        body["Source"] = mount.source
    if mount.read_only:
        body["ReadOnly"] = True
    return body
