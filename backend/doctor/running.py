"""What runs: the agent, the machine, the guest, the engine and its clock."""

from __future__ import annotations

import socket
from typing import Final

from backend import VERSION
from backend.doctor.check import Check, CheckOutcome, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import ProblemCode
from backend.messages import Message, message, sentences, verbatim
from backend.model import Phase
from backend.net import subnets

_GROUP: Final = message("Runtime")
_TIMEOUT_S: Final = 10.0
_SLOW_S: Final = 3.0
_CLOCK_S: Final = 2.5
"""The engine tells its time in whole seconds, and half of one is lost on the way."""
_BANNER: Final = b"SSH-2.0-"


def _agent(subject: Subject) -> CheckOutcome:
    status, problem = subject.agent
    if problem is not None:
        return failure(problem.summary, problem.hint)
    if status is not None:
        return ok(
            message(
                "Responds on {agent_socket}, compatible with Wherry {version}.",
                agent_socket=subject.directory.agent_socket,
                version=VERSION,
            )
        )
    if subject.directory.run_record.exists() and subject.qemu_runs:
        return failure(
            message("The agent isn't running, but the machine is."), message("Start the agent: wherry status")
        )
    return ok(message("Not running, because the machine is stopped."))


def _machine(subject: Subject) -> CheckOutcome:
    status = subject.status
    assert status is not None
    if status.problems:
        said = sentences(*(problem.summary for problem in status.problems))
        hints = [
            verbatim(problem.action.command) if problem.action else problem.hint
            for problem in status.problems
            if problem.action or problem.hint
        ]
        found = failure if status.phase in (Phase.FAILED, Phase.DEGRADED) else warning
        text = message("{state}: {problems}", state=status.phase.value, problems=said)
        return found(text, sentences(*hints) if hints else None)
    if status.operation is not None:
        return note(message("{value}, in progress: {title}", value=status.phase.value, title=status.operation.title))
    return ok(verbatim(status.phase.value))


def _guest(subject: Subject) -> CheckOutcome:
    status = subject.status
    assert status is not None
    if status.ssh_port is None:
        return failure(message("The guest isn't reachable."), message("Check the guest's console: wherry logs guest"))
    try:
        with socket.create_connection(("127.0.0.1", status.ssh_port), _TIMEOUT_S) as connection:
            banner = connection.recv(64)
    except OSError as error:
        return failure(
            message("The guest's SSH server doesn't respond: {error}.", error=error.strerror or error),
            message("Restart the machine: wherry restart --kill"),
        )
    if not banner.startswith(_BANNER):
        return failure(
            message("The guest responds, but its SSH server doesn't."), message("Check its log: wherry logs sshd")
        )
    return ok(message("Responds on 127.0.0.1:{ssh_port}.", ssh_port=status.ssh_port))


def _engine(subject: Subject) -> CheckOutcome:
    answer = subject.engine
    text = message(
        "Docker {version} responded in {seconds} s.", version=answer.version, seconds=f"{answer.seconds:.2f}"
    )
    if answer.seconds > _SLOW_S:
        return warning(text, message("The machine may need more memory or CPUs: wherry stats"))
    return ok(text)


def _clock(subject: Subject) -> CheckOutcome:
    ahead = subject.engine.clock_ahead_s
    if ahead is None:
        return note(message("The engine doesn't report its time."))
    if abs(ahead) > _CLOCK_S:
        seconds = f"{abs(ahead):.0f}"
        text = (
            message("The machine's clock is {seconds} s ahead of this computer's.", seconds=seconds)
            if ahead > 0
            else message("The machine's clock is {seconds} s behind this computer's.", seconds=seconds)
        )
        return failure(text, message("It is synchronized every few seconds. If it stays wrong: wherry restart"))
    return ok(message("In sync with this computer."))


def _networks(subject: Subject) -> CheckOutcome:
    status = subject.status
    clash = next(
        (problem for problem in (status.problems if status else ()) if problem.code is ProblemCode.SUBNET_CLASH), None
    )
    if clash is not None:
        return warning(clash.summary, clash.hint)
    if status is not None and status.networks is not None:
        bridge = status.networks.bridge
        return ok(
            sentences(
                message("{user} between this computer and the machine.", user=status.networks.user),
                message("{networks} for containers.", networks=tuple(bridge)) if bridge else None,
                message("No conflicts with this computer's routes."),
            )
        )
    chosen = subnets.choose_user_network(subject.host.routes(), wanted=subject.config.network.subnet)
    return ok(message("The next start uses {chosen} between this computer and the machine.", chosen=str(chosen)))


def _no_status(subject: Subject) -> Message | None:
    return None if subject.status is not None else message("the agent isn't running")


def _not_up(subject: Subject) -> Message | None:
    status = subject.status
    if status is not None and status.phase in (Phase.RUNNING, Phase.DEGRADED):
        return None
    if status is None and subject.agent[1] is None and not subject.qemu_runs:
        return message("the machine is stopped")
    return message("the machine isn't running")


CHECKS: Final = (
    Check(
        id="agent",
        title=message("Agent"),
        group=_GROUP,
        explanation=message("It runs the machine and serves the Docker endpoint. Containers keep running without it."),
        look=_agent,
    ),
    Check(
        id="machine",
        title=message("Machine"),
        group=_GROUP,
        explanation=message("The state that the machine reports."),
        look=_machine,
        lacks=_no_status,
    ),
    Check(
        id="guest",
        title=message("Guest"),
        group=_GROUP,
        explanation=message("All docker commands reach the engine through the guest's SSH server."),
        look=_guest,
        lacks=_not_up,
    ),
    Check(
        id="engine",
        title=message("Engine"),
        group=_GROUP,
        explanation=message("Queried in the same way as by docker clients."),
        look=_engine,
        lacks=_not_up,
    ),
    Check(
        id="networks",
        title=message("Networks"),
        group=_GROUP,
        explanation=message("If the machine's networks overlap with yours, containers can't reach your network."),
        look=_networks,
    ),
    Check(
        id="clock",
        title=message("Clock"),
        group=_GROUP,
        explanation=message("With a wrong clock, certificates look invalid and pulls fail."),
        look=_clock,
        lacks=_not_up,
    ),
)
