"""What runs: the agent, the machine, the guest, the engine and its clock."""

from __future__ import annotations

import socket
from typing import Final

from backend import VERSION
from backend.doctor.check import Check, CheckOutcome, failure, note, ok, warning
from backend.doctor.subject import Subject
from backend.errors import ProblemCode
from backend.model import Phase
from backend.net import subnets

_GROUP: Final = "What runs"
_TIMEOUT_S: Final = 10.0
_SLOW_S: Final = 3.0
_CLOCK_S: Final = 2.5
"""The engine tells its time in whole seconds, and half of one is lost on the way."""
_BANNER: Final = b"SSH-2.0-"


def _agent(subject: Subject) -> CheckOutcome:
    status, problem = subject.agent
    if problem is not None:
        return failure(str(problem.summary), str(problem.hint) if problem.hint else None)
    if status is not None:
        return ok(f"answers on {subject.directory.agent_socket}, of the same protocol as Wherry {VERSION}")
    if subject.directory.run_record.exists() and subject.qemu_runs:
        return failure("does not run, though a machine does", "Any command adopts the machine: wherry status")
    return ok("not running, as the machine is stopped")


def _machine(subject: Subject) -> CheckOutcome:
    status = subject.status
    assert status is not None
    if status.problems:
        said = "; ".join(str(problem.summary) for problem in status.problems)
        hints = [problem.action.command if problem.action else str(problem.hint or "") for problem in status.problems]
        words = " ".join(hint for hint in hints if hint)
        found = failure if status.phase in (Phase.FAILED, Phase.DEGRADED) else warning
        return found(f"{status.phase.value}: {said}", words or None)
    if status.operation is not None:
        return note(f"{status.phase.value}; under way: {status.operation.title}")
    return ok(status.phase.value)


def _guest(subject: Subject) -> CheckOutcome:
    status = subject.status
    assert status is not None
    if status.ssh_port is None:
        return failure("there is no way to the guest", "See the guest's console: wherry logs guest")
    try:
        with socket.create_connection(("127.0.0.1", status.ssh_port), _TIMEOUT_S) as connection:
            banner = connection.recv(64)
    except OSError as error:
        return failure(
            f"the guest's SSH server does not answer: {error.strerror or error}", "Restart it: wherry restart --kill"
        )
    if not banner.startswith(_BANNER):
        return failure("the guest is there, its SSH server is not", "See: wherry logs sshd")
    return ok(f"answers on 127.0.0.1:{status.ssh_port}")


def _engine(subject: Subject) -> CheckOutcome:
    answer = subject.engine
    text = f"Docker {answer.version} answered in {answer.seconds:.2f} s"
    if answer.seconds > _SLOW_S:
        return warning(text, "The machine may have too little memory or CPU: wherry stats")
    return ok(text)


def _clock(subject: Subject) -> CheckOutcome:
    ahead = subject.engine.clock_ahead_s
    if ahead is None:
        return note("the engine does not tell its time")
    if abs(ahead) > _CLOCK_S:
        direction = "ahead of" if ahead > 0 else "behind"
        return failure(
            f"the machine's clock is {abs(ahead):.0f} s {direction} this computer's",
            "It is set every few seconds; if it stays wrong: wherry restart",
        )
    return ok("agrees with this computer's, to the second")


def _networks(subject: Subject) -> CheckOutcome:
    status = subject.status
    clash = next(
        (problem for problem in (status.problems if status else ()) if problem.code is ProblemCode.SUBNET_CLASH), None
    )
    if clash is not None:
        return warning(str(clash.summary), str(clash.hint) if clash.hint else None)
    if status is not None and status.networks is not None:
        bridge = f", {', '.join(status.networks.bridge)} for containers" if status.networks.bridge else ""
        return ok(f"{status.networks.user} between this computer and the machine{bridge}; no route needs them")
    chosen = subnets.choose_user_network(subject.host.routes(), wanted=subject.config.network.subnet)
    return ok(f"the next start takes {chosen} between this computer and the machine")


def _has_status(subject: Subject) -> bool:
    return subject.status is not None


def _is_up(subject: Subject) -> bool:
    return subject.status is not None and subject.status.phase in (Phase.RUNNING, Phase.DEGRADED)


CHECKS: Final = (
    Check(
        id="agent",
        title="Agent",
        group=_GROUP,
        explanation="It owns the machine and serves the docker endpoint. Ending it stops no container.",
        look=_agent,
    ),
    Check(
        id="machine",
        title="Machine",
        group=_GROUP,
        explanation="What the machine itself reports.",
        look=_machine,
        applies=_has_status,
    ),
    Check(
        id="guest",
        title="Guest",
        group=_GROUP,
        explanation="All docker commands reach the engine through the guest's SSH server.",
        look=_guest,
        applies=_is_up,
    ),
    Check(
        id="engine",
        title="Engine",
        group=_GROUP,
        explanation="Asked as every docker client asks it.",
        look=_engine,
        applies=_is_up,
    ),
    Check(
        id="networks",
        title="Networks",
        group=_GROUP,
        explanation="Where the machine's networks have the addresses of yours, containers do not reach yours.",
        look=_networks,
    ),
    Check(
        id="clock",
        title="Clock",
        group=_GROUP,
        explanation="With a wrong clock, certificates seem invalid and pulls fail.",
        look=_clock,
        applies=_is_up,
    ),
)
