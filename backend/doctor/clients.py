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

_GROUP: Final = "docker and other engines"
_TIMEOUT_S: Final = 20
_PORTS: Final = (80, 443, 3000, 3306, 5000, 5432, 6379, 8000, 8080, 27017)
_PROBE_S: Final = 0.3
_CLI_HINTS: Final = {
    "linux": "Install it: sudo apt install docker-cli (Debian), sudo dnf install docker-cli (Fedora)",
    "darwin": "Install it: brew install docker",
    "windows": "Install it: winget install Docker.DockerCLI",
}


def _cli(subject: Subject) -> CheckOutcome:
    hint = _CLI_HINTS[subject.host.name]
    found = shutil.which("docker")
    if found is None:
        return note("the docker command is not installed; the window works without it", hint)
    done = subprocess.run(
        [found, "--version"], capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        return warning(f"{found} does not run: {done.stderr.strip()[:200]}", hint)
    return ok(f"{found}: {done.stdout.strip()[:120]}")


def _context(subject: Subject) -> CheckOutcome:
    ours = subject.host.docker_url(subject.directory.docker_socket)
    named = context.current_url()
    if named is None:
        if not subject.config.docker.context:
            return ok("none is wanted by the settings")
        return note("there is none named wherry; the next start makes it", fixable=subject.directory.home.is_dir())
    if named != ours:
        return failure(
            f"it leads to {named}, this machine is at {ours}", "Point it here: wherry context add", fixable=True
        )
    chosen = context.current_name()
    if chosen != context.NAME:
        return note(f"it leads to {named}; docker uses the context {chosen!r}", "Use it: docker context use wherry")
    return ok(f"it leads to {named}, and docker uses it")


def _install_context(subject: Subject) -> None:
    context.install(subject.host.docker_url(subject.directory.docker_socket))


def _variable(subject: Subject) -> CheckOutcome:
    name = context.overriding_variable()
    if name is None:
        return ok("neither DOCKER_HOST nor DOCKER_CONTEXT is set here")
    value = context.variable_value(name)
    ours = subject.host.docker_url(subject.directory.docker_socket)
    if value in (ours, context.NAME):
        return ok(f"{name} leads to this machine")
    return note(
        f"{name} is set here and goes before the context, so docker does not use this machine",
        f"Unset it in this terminal: unset {name}",
    )


def _default_socket(_subject: Subject) -> CheckOutcome:
    lines = []
    for path in engines.default_sockets():
        owner = engines.probe_socket(path)
        if owner is None:
            continue
        target = path.resolve()
        by = engines.product_at(target) or unix_listener(str(target)) or "a program of another user"
        lines.append(f"{path}{f' -> {target}' if target != path else ''}: {by}")
    if not lines:
        return ok("nobody answers on the default socket")
    return note("; ".join(lines), "Programs that know no context use that engine. For ours: eval $(wherry env)")


def _others(_subject: Subject) -> CheckOutcome:
    found = engines.detect()
    if not found:
        return ok("none was found")
    words = "; ".join(f"{name}: {', '.join(signs)}" for name, signs in found)
    return note(words, "They can stay: each has a context of its own (docker context ls).")


def _ports(subject: Subject) -> CheckOutcome:
    taken = []
    for port in _PORTS:
        with socket.socket() as probe:
            probe.settimeout(_PROBE_S)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                continue
        holder = port_holder(Protocol.TCP, "127.0.0.1", port)
        if holder is None:
            taken.append(str(port))
        elif holder.pid not in subject.own_pids:  # else a container of this machine has it
            taken.append(f"{port} by {holder}")
    if not taken:
        return ok("those that containers often want are free")
    return note(
        f"in use on this computer: {', '.join(taken)}",
        "A container that publishes one of them does not get it; give it another one.",
    )


CHECKS: Final = (
    Check(
        id="docker-cli",
        title="docker command",
        group=_GROUP,
        explanation="The ordinary docker command works with Wherry's engine.",
        look=_cli,
    ),
    Check(
        id="context",
        title="docker context",
        group=_GROUP,
        explanation="By its context docker, Compose and editors find the engine without a setting.",
        look=_context,
        fix=Fix(
            sentence="Point the context to this machine; another engine in use stays in use.", apply=_install_context
        ),
    ),
    Check(
        id="docker-host",
        title="DOCKER_HOST",
        group=_GROUP,
        explanation="These variables go before every context.",
        look=_variable,
    ),
    Check(
        id="default-socket",
        title="Default socket",
        group=_GROUP,
        explanation="Who owns it answers the programs that know no context.",
        look=_default_socket,
    ),
    Check(
        id="other-engines",
        title="Other engines",
        group=_GROUP,
        explanation="Engines get on with each other, but each takes memory, and docker talks to one at a time.",
        look=_others,
    ),
    Check(
        id="ports",
        title="Ports",
        group=_GROUP,
        explanation="A port belongs to one program at a time.",
        look=_ports,
    ),
)
