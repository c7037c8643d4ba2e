"""How docker finds the engine, and which other engines are on this computer."""

from __future__ import annotations

import shutil
import socket
import subprocess
from typing import Final

from backend.addresses import Protocol
from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.engine import context
from backend.host import engines
from backend.host.ports import port_holder
from backend.host.process import unix_listener
from backend.messages import Message, message, verbatim

_GROUP: Final = message("Docker command and other engines")
_TIMEOUT_S: Final = 20
_PORTS: Final = (80, 443, 3000, 3306, 5000, 5432, 6379, 8000, 8080, 27017)
_PROBE_S: Final = 0.3
_CLI_HINTS: Final[dict[str, Message]] = {
    "linux": message("Install it: sudo apt install docker-cli (Debian), sudo dnf install docker-cli (Fedora)"),
    "darwin": message("Install it: brew install docker"),
    "windows": message("Install it: winget install Docker.DockerCLI"),
}


def _cli(subject: Subject) -> CheckOutcome:
    hint = _CLI_HINTS[subject.host.name]
    found = shutil.which("docker")
    if found is None:
        return note(message("The docker command isn't installed. The window works without it."), hint)
    done = subprocess.run(
        [found, "--version"], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        return warning(message("{found} doesn't run: {stderr}", found=found, stderr=done.stderr.strip()[:200]), hint)
    return ok(verbatim(f"{found}: {done.stdout.strip()[:120]}"))


def _context(subject: Subject) -> CheckOutcome:
    ours = subject.host.docker_url(subject.directory.docker_socket)
    named = context.current_url()
    if named is None:
        if not subject.config.docker.context:
            return ok(message("Turned off in the settings."))
        return note(
            message("No “wherry” context yet. It is created at the next start."),
            fixable=subject.directory.home.is_dir(),
        )
    if named != ours:
        return failure(
            message("It points to {named}, but this machine is at {ours}.", named=named, ours=ours),
            message("Point it to this machine: wherry context add"),
            fixable=True,
        )
    chosen = context.current_name()
    if chosen != context.NAME:
        return note(
            message("It points to {named}, but docker uses the context “{chosen}”.", named=named, chosen=chosen),
            message("Use it: docker context use wherry"),
        )
    return ok(message("It points to {named} and is in use.", named=named))


def _install_context(subject: Subject) -> None:
    context.install(subject.host.docker_url(subject.directory.docker_socket))


def _variable(subject: Subject) -> CheckOutcome:
    name = context.overriding_variable()
    if name is None:
        return ok(message("Neither DOCKER_HOST nor DOCKER_CONTEXT is set."))
    value = context.variable_value(name)
    ours = subject.host.docker_url(subject.directory.docker_socket)
    if value in (ours, context.NAME):
        return ok(message("{name} points to this machine.", name=name))
    return note(
        message("{name} is set and overrides the context, so docker doesn't use this machine.", name=name),
        message("Unset it in this terminal: unset {name}", name=name),
    )


def _default_socket(_subject: Subject) -> CheckOutcome:
    found = []
    for path in engines.default_sockets():
        owner = engines.probe_socket(path)
        if owner is None:
            continue
        target = path.resolve()
        by = engines.product_at(target) or unix_listener(str(target)) or message("a program of another user")
        place = f"{path} -> {target}" if target != path else str(path)
        found.append(message("{path}: {program}", path=place, program=by))
    if not found:
        return ok(message("No engine responds on the default socket."))
    return note(
        message("In use: {programs}.", programs=tuple(found)),
        message("Programs that don't use contexts use that engine. To use this machine: eval $(wherry env)"),
    )


def _others(_subject: Subject) -> CheckOutcome:
    found = engines.detect()
    if not found:
        return ok(message("None found."))
    words = "; ".join(f"{name}: {', '.join(signs)}" for name, signs in found)
    return note(verbatim(words), message("They can stay installed: each has its own context (docker context ls)."))


def _ports(subject: Subject) -> CheckOutcome:
    taken: list[str | Message] = []
    for port in _PORTS:
        with socket.socket() as probe:
            probe.settimeout(_PROBE_S)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                continue
        holder = port_holder(Protocol.TCP, "127.0.0.1", port)
        if holder is None:
            taken.append(str(port))
        elif holder.pid not in subject.own_pids:  # else a container of this machine has it
            taken.append(message("{port} by {program}", port=port, program=str(holder)))
    if not taken:
        return ok(message("Commonly used ports are free."))
    return note(
        message("In use on this computer: {taken}.", taken=tuple(taken)),
        message("Containers can't publish these ports. Use different ones."),
    )


CHECKS: Final = (
    Check(
        id="docker-cli",
        title=message("docker command"),
        group=_GROUP,
        explanation=message("The standard docker command works with Wherry's engine."),
        look=_cli,
    ),
    Check(
        id="context",
        title=message("docker context"),
        group=_GROUP,
        explanation=message("The context lets docker, Compose and editors find the engine without configuration."),
        look=_context,
        fix=Fix(
            sentence=message("Point the context to this machine. The selected context doesn't change."),
            apply=_install_context,
        ),
    ),
    Check(
        id="docker-host",
        title=message("DOCKER_HOST"),
        group=_GROUP,
        explanation=message("These variables override every context."),
        look=_variable,
    ),
    Check(
        id="default-socket",
        title=message("Default socket"),
        group=_GROUP,
        explanation=message("Programs that don't use contexts connect to this socket."),
        look=_default_socket,
    ),
    Check(
        id="other-engines",
        title=message("Other engines"),
        group=_GROUP,
        explanation=message("Engines can run side by side, but each uses memory, and docker uses one at a time."),
        look=_others,
    ),
    Check(
        id="ports",
        title=message("Ports"),
        group=_GROUP,
        explanation=message("Only one program can use a port at a time."),
        look=_ports,
    ),
)
