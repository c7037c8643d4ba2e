"""The form's contents as typed, and their validation. No I/O."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from backend.api import (
    LEAST_MEMORY_BYTES,
    ContainerSpec,
    MountSpec,
    PortSpec,
    is_container_name,
    is_host_path,
    is_image_reference,
    is_variable_name,
    is_volume_name,
)

_MEMORY: Final = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_FACTOR: Final = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_CPUS: Final = re.compile(r"\d+(?:[.,]\d+)?")


@dataclass(frozen=True, slots=True)
class PortDraft:
    """One row of the ports table, as typed."""

    host_ip: str = ""
    host_port: str = ""
    container_port: str = ""
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class MountDraft:
    """One row of the mounts table, as typed."""

    kind: str = "bind"
    source: str = ""
    target: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class VariableDraft:
    """One row of the environment table, as typed."""

    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All fields of the form, as typed."""

    image: str = ""
    name: str = ""
    ports: tuple[PortDraft, ...] = ()
    mounts: tuple[MountDraft, ...] = ()
    variables: tuple[VariableDraft, ...] = ()
    cpus: str = ""
    memory: str = ""
    restart_policy: str = "no"
    network: str = ""
    command: str = ""
    entrypoint: str = ""
    working_directory: str = ""
    user: str = ""
    tty: bool = False
    stdin_open: bool = False
    privileged: bool = False
    auto_remove: bool = False
    read_only_root: bool = False
    init: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """A validation error of a field."""

    field: str
    """Name of the field in its `Draft` or row."""
    key: str
    """Identifies the message in `fields`."""
    row: int | None = None
    """Row number in `table` ("ports", "mounts" or "variables"); None for a single field."""
    table: str = ""
    value: str = ""
    """Value to insert into the message."""
    is_missing: bool = False
    """Whether the field is empty but required; shown only when the form is submitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Facts about other containers, to check for conflicts."""

    names: frozenset[str] = frozenset()
    """Names of the other containers."""
    used_ports: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Name of the running container by the host port and protocol that it uses."""


def draft_of(spec: ContainerSpec) -> Draft:
    """Fill in the form's fields from a spec."""
    return Draft(
        image=spec.image,
        name=spec.name,
        ports=tuple(
            PortDraft(
                port.host_ip,
                "" if port.host_port is None else str(port.host_port),
                str(port.container_port),
                port.protocol,
            )
            for port in spec.ports
        ),
        mounts=tuple(MountDraft(mount.kind, mount.source, mount.target, mount.read_only) for mount in spec.mounts),
        variables=tuple(VariableDraft(name, value) for name, value in spec.environment if value is not None),
        cpus="" if spec.cpus is None else f"{spec.cpus:.9f}".rstrip("0").rstrip("."),
        memory="" if spec.memory_bytes is None else format_memory(spec.memory_bytes),
        restart_policy=spec.restart_policy,
        network=spec.network,
        command="" if spec.command is None else shlex.join(spec.command),
        entrypoint="" if spec.entrypoint is None else shlex.join(spec.entrypoint),
        working_directory=spec.working_directory,
        user=spec.user,
        tty=spec.tty,
        stdin_open=spec.stdin_open,
        privileged=spec.privileged,
        auto_remove=spec.auto_remove,
        read_only_root=spec.read_only_root,
        init=spec.init,
    )


def format_memory(count: int) -> str:
    """Format bytes as the user would type them: "512m"."""
    units = ((size, unit) for unit, size in reversed(_FACTOR.items()))
    return next((f"{count // size}{unit}" for size, unit in units if count % size == 0), f"{count}b")


def parse_memory(text: str) -> int | None:
    """Parse a size to bytes; None if invalid. A unit is required, because nobody means 512 bytes."""
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        return None
    unit = match.group(2).lower()
    if not unit and not text.strip().lower().endswith("b"):
        return None
    return int(float(match.group(1).replace(",", ".")) * _FACTOR.get(unit, 1))


def read(draft: Draft, base: ContainerSpec, facts: EngineFacts) -> tuple[ContainerSpec, tuple[FieldError, ...]]:
    """Convert the form's fields to a spec, with settings of `base` that the form has no field for.

    Returns the spec and the validation errors; the spec is valid only without errors.
    """
    faults: list[FieldError] = []
    image = draft.image.strip()
    if not image:
        faults.append(FieldError(field="image", key="image-missing", is_missing=True))
    elif not is_image_reference(image):
        faults.append(FieldError(field="image", key="image"))
    name = draft.name.strip()
    if name and not is_container_name(name):
        faults.append(FieldError(field="name", key="name"))
    elif name in facts.names:
        faults.append(FieldError(field="name", key="name-taken", value=name))
    spec = replace(
        base,
        image=image,
        name=name,
        ports=_ports(draft, facts, faults),
        mounts=_mounts(draft, base, faults),
        environment=_environment(draft, base, faults),
        cpus=_cpus(draft.cpus, faults),
        memory_bytes=_memory(draft.memory, faults),
        restart_policy=draft.restart_policy,
        network=draft.network.strip(),
        command=_argv(draft.command, "command", base.command, faults),
        entrypoint=_argv(draft.entrypoint, "entrypoint", base.entrypoint, faults),
        working_directory=draft.working_directory.strip(),
        user=draft.user.strip(),
        tty=draft.tty,
        stdin_open=draft.stdin_open,
        privileged=draft.privileged,
        auto_remove=draft.auto_remove,
        read_only_root=draft.read_only_root,
        init=draft.init,
        untrusted_endpoints=_endpoints(draft, base),
    )
    if draft.working_directory.strip() and not draft.working_directory.strip().startswith("/"):
        faults.append(FieldError(field="working_directory", key="inner-path"))
    if draft.auto_remove and draft.restart_policy != "no":
        faults.append(FieldError(field="auto_remove", key="remove-and-restart"))
    return spec, tuple(faults)


def _ports(draft: Draft, facts: EngineFacts, faults: list[FieldError]) -> tuple[PortSpec, ...]:
    specs: list[PortSpec] = []
    taken: list[tuple[str, int, str]] = []
    for number, row in enumerate(draft.ports):

        def wrong(field: str, key: str, value: str = "", *, missing: bool = False, number: int = number) -> None:
            faults.append(FieldError(table="ports", row=number, field=field, key=key, value=value, is_missing=missing))

        container_port, host_port = _port(row.container_port), _port(row.host_port)
        if not row.container_port.strip():
            wrong("container_port", "port-missing", missing=True)
        elif container_port is None:
            wrong("container_port", "port")
        host_ip = row.host_ip.strip()
        if host_ip and not _is_address(host_ip):
            wrong("host_ip", "address")
        if row.host_port.strip() and host_port is None:
            wrong("host_port", "port")
        elif host_port is not None:
            if any(_collide(host_ip, host_port, row.protocol, other) for other in taken):
                wrong("host_port", "port-twice", str(host_port))
            elif user := facts.used_ports.get((host_port, row.protocol)):
                wrong("host_port", "port-used", user)
            taken.append((host_ip, host_port, row.protocol))
        if container_port is not None:
            specs.append(
                PortSpec(container_port=container_port, protocol=row.protocol, host_port=host_port, host_ip=host_ip)
            )
    return tuple(specs)


def _port(text: str) -> int | None:
    plain = text.strip()
    return int(plain) if plain.isascii() and plain.isdigit() and 0 < int(plain) < 65536 else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _collide(host_ip: str, port: int, protocol: str, other: tuple[str, int, str]) -> bool:
    every = ("", "0.0.0.0", "::")
    same_place = host_ip == other[0] or host_ip in every or other[0] in every
    return same_place and (port, protocol) == other[1:]


def _mounts(draft: Draft, base: ContainerSpec, faults: list[FieldError]) -> tuple[MountSpec, ...]:
    before = {(mount.kind, mount.source, mount.target): mount for mount in base.mounts}
    targets = Counter(row.target.strip() for row in draft.mounts)
    specs: list[MountSpec] = []
    for number, row in enumerate(draft.mounts):

        def wrong(field: str, key: str, *, missing: bool = False, number: int = number) -> None:
            faults.append(FieldError(table="mounts", row=number, field=field, key=key, is_missing=missing))

        source, target = row.source.strip(), row.target.strip()
        if row.kind == "bind" and not source:
            wrong("source", "source-missing", missing=True)
        elif row.kind == "bind" and not is_host_path(source):
            wrong("source", "host-path")
        elif row.kind == "volume" and source and not is_volume_name(source):
            wrong("source", "volume-name")
        if not target:
            wrong("target", "target-missing", missing=True)
        elif not target.startswith("/") or target == "/":
            wrong("target", "inner-path")
        elif targets[target] > 1:
            wrong("target", "target-twice")
        same = before.get((row.kind, source, target))
        specs.append(
            replace(same, read_only=row.read_only)
            if same is not None
            else MountSpec(
                kind=row.kind, source="" if row.kind == "tmpfs" else source, target=target, read_only=row.read_only
            )
        )
    return tuple(specs)


def _environment(draft: Draft, base: ContainerSpec, faults: list[FieldError]) -> tuple[tuple[str, str | None], ...]:
    names = Counter(row.name.strip() for row in draft.variables)
    for number, row in enumerate(draft.variables):
        name = row.name.strip()
        if not name:
            faults.append(
                FieldError(table="variables", row=number, field="name", key="variable-missing", is_missing=True)
            )
        elif not is_variable_name(name):
            faults.append(FieldError(table="variables", row=number, field="name", key="variable"))
        elif names[name] > 1:
            faults.append(FieldError(table="variables", row=number, field="name", key="variable-twice", value=name))
    unset = tuple((name, None) for name, value in base.environment if value is None and name not in names)
    return (*((row.name.strip(), row.value) for row in draft.variables), *unset)


def _cpus(text: str, faults: list[FieldError]) -> float | None:
    if not text.strip():
        return None
    if _CPUS.fullmatch(text.strip()) is None or (count := float(text.strip().replace(",", "."))) < 0.01:
        faults.append(FieldError(field="cpus", key="cpus"))
        return None
    return count


def _memory(text: str, faults: list[FieldError]) -> int | None:
    if not text.strip():
        return None
    count = parse_memory(text)
    if count is None:
        faults.append(FieldError(field="memory", key="memory"))
    elif count < LEAST_MEMORY_BYTES:
        faults.append(FieldError(field="memory", key="memory-least"))
    return count


def _argv(text: str, field: str, before: tuple[str, ...] | None, faults: list[FieldError]) -> tuple[str, ...] | None:
    if before is not None and text == shlex.join(before):
        return before
    try:
        return tuple(shlex.split(text)) or None
    except ValueError:
        faults.append(FieldError(field=field, key="quotes"))
        return None


def _endpoints(draft: Draft, base: ContainerSpec) -> Mapping[str, Mapping[str, object]]:
    """Settings of the container's network endpoints; without the main network's if another one was chosen."""
    network = draft.network.strip()
    if network == base.network:
        return base.untrusted_endpoints
    if network in ("host", "none") or network.startswith("container:"):
        return {}
    return {name: endpoint for name, endpoint in base.untrusted_endpoints.items() if name != base.network}
