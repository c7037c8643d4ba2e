"""`wherry start`, `stop`, `suspend`, `restart` and `status`."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from backend.agent.core import desired_state
from backend.cli import settings
from backend.cli.asking import confirmed
from backend.cli.exits import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM, EXIT_STOPPED
from backend.cli.output import ProgressPrinter, describe, print_json, print_problem, stopped
from backend.cli.reclaim import describe_usage, restart_engine
from backend.control.client import MachineClient, end_agent
from backend.control.launch import agent_answers, machine_directory
from backend.control.messages import Restart, Start, Stop
from backend.control.session import endpoint_place, endpoint_stays
from backend.engine import context, testcontainers
from backend.errors import Problem, ProblemCode
from backend.host.process import figures_of
from backend.messages import Message, message
from backend.model import Desired, MachineStatus, Notice, Phase, StopPolicy
from backend.texts import _
from backend.vm import suspended

_START_TIMEOUT_S: Final = 1200.0
_STOP_TIMEOUT_S: Final = 900.0
"""More than the agent waits for containers that have long stop timeouts; it says what it waits for."""
_TICK_S: Final = 0.2


def start(options: argparse.Namespace) -> int:
    """Start the machine and wait until the engine answers. --cpus, --memory and --disk are stored as settings first."""
    store_resources(options)
    with MachineClient.open(options.home) as client:
        return _until_started(client, options, request=Start())


def store_resources(options: argparse.Namespace) -> None:
    """Store the resources that the command line names, all or none. Raises WherryError."""
    wanted = {"machine.cpus": options.cpus, "machine.disk_gib": options.disk}
    if options.memory is not None:
        wanted["machine.memory_mib"] = _mib(options.memory)
    given = {key: value for key, value in wanted.items() if value is not None}
    if given:
        settings.store(options.home, given, quiet=options.json)


def _mib(gib: str) -> str:
    """Memory in MiB, from GiB as typed: "8", "0.5" or "8g". What is no number is left for the check of settings."""
    number = gib.strip().lower().removesuffix("ib").removesuffix("b").removesuffix("g").strip()
    try:
        return str(round(float(number) * 1024))
    except (ValueError, OverflowError):
        return gib


def restart(options: argparse.Namespace) -> int:
    """Restart the machine; with --agent or --engine only the agent or dockerd."""
    if options.agent:
        end_agent(options.home)
        _await_agent_end(options)
        with MachineClient.open(options.home) as client:
            return _until_started(client, options) if client.status.phase.is_live else EXIT_OK
    with MachineClient.open(options.home) as client:
        if options.engine:
            restart_engine(client, quiet=options.json)
            return _until_started(client, options)
        return _until_started(client, options, request=Restart(kill=options.kill))


def suspend(options: argparse.Namespace) -> int:
    """Save the state of the machine to disk and end it. A start or a docker command resumes it."""
    if not may_be_alive(options):
        return _report(_status_from_files(options), options)
    with MachineClient.open(options.home) as client:
        if client.status.phase is Phase.STOPPED:
            return _report(client.status, options)
        client.request(Stop(policy=StopPolicy.SUSPEND))
        final = _follow(client, options, _STOP_TIMEOUT_S, _is_down, steps=False)
        if final is None:
            return _report_timeout(
                message("The machine didn't suspend within {seconds:g} s.", seconds=_STOP_TIMEOUT_S),
                message("Force it to stop: wherry stop --kill"),
                options,
            )
        return _report(final, options)


def stop(options: argparse.Namespace) -> int:
    """Stop the machine and wait until it is stopped."""
    if not may_be_alive(options):
        if options.quit:
            rest_endpoint(options)
        return _report(_status_from_files(options), options)
    with MachineClient.open(options.home) as client:
        policy = StopPolicy.KILL if options.kill else StopPolicy.POWER_DOWN
        client.request(Stop(policy=policy))
        final = _follow(client, options, _STOP_TIMEOUT_S, _is_down, steps=False)
        if final is None:
            return _report_timeout(
                message("The machine didn't stop within {seconds:g} s.", seconds=_STOP_TIMEOUT_S),
                message("Force it to stop: wherry stop --kill"),
                options,
            )
        if options.quit:
            end_agent(options.home, for_good=True)
            rest_endpoint(options)
        return _report(final, options)


def rest_endpoint(options: argparse.Namespace) -> None:
    """Have no docker command start an agent until the next login. Raises WherryError."""
    from backend import host

    endpoint = host.current().session_endpoint(endpoint_place(machine_directory(options.home)))
    try:
        if endpoint is not None:
            endpoint.rest()
    except OSError as error:
        raise endpoint_stays(error) from error


def uninstall(options: argparse.Namespace) -> int:
    """Stop the machine, end agent and keeper, and remove the docker context and what runs at login."""
    from backend import host

    machine_host = host.current()
    directory = machine_directory(options.home)
    question = _("This stops the machine and removes what Wherry put into your session. Its folder stays.")
    if not confirmed(options, "uninstall", question):
        return EXIT_PROBLEM
    if may_be_alive(options):
        with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
            code = stop(argparse.Namespace(home=options.home, json=False, kill=False, quit=True))
        if code != EXIT_OK:
            return code
    removed = []
    endpoint = machine_host.session_endpoint(endpoint_place(directory))
    if endpoint is not None:
        try:
            removed += [str(path) for path in endpoint.remove()]
        except OSError as error:
            raise endpoint_stays(error) from error
    if context.current_url() == machine_host.docker_url(directory.docker_socket):
        testcontainers.remove()
        context.remove()
        removed.append(_("docker context {name}", name=context.NAME))
    autostart = machine_host.autostart()
    if directory.home == machine_host.default_home() and autostart.program() is not None:
        autostart.turn_off()
        removed.append(autostart.place)
    stays = [str(path) for path in (directory.home, machine_host.image_cache()) if path.exists()]
    if options.json:
        print_json({"removed": removed, "stays": stays})
        return EXIT_OK
    for name in removed:
        print(_("Removed: {name}", name=name))
    if stays:
        print(_("Your containers, images and volumes are still there. To delete them for good:"))
        print(f"  rm -r {shlex.join(stays)}")
    return EXIT_OK


def status(options: argparse.Namespace) -> int:
    """Print the status. Never starts the machine; starts an agent only to adopt a machine that runs."""
    if not may_be_alive(options):
        current = _status_from_files(options)
        _print_status(current, agent=None) if options.json else print(describe(current))
        return EXIT_STOPPED
    with MachineClient.open(options.home) as client:
        current = client.status
        if options.json:
            _print_status(current, agent=client.agent_pid)
        else:
            print(describe(current, usage=describe_usage(client, current)))
        return status_code(current)


def status_code(status: MachineStatus) -> int:
    """The exit code of `wherry status`: that the machine is stopped, or stopping, comes before its problems."""
    if status.phase in (Phase.STOPPED, Phase.SUSPENDED, Phase.STOPPING):
        return EXIT_STOPPED
    return EXIT_PROBLEM if status.problems else EXIT_OK


def _print_status(status: MachineStatus, *, agent: int | None) -> None:
    """As JSON, with what the machine's processes use: for whoever suspects a leak."""
    pids = {"agent": agent, "qemu": status.pid}
    processes = {name: figures_of(pid) if pid is not None else None for name, pid in pids.items()}
    print_json({**msgspec.to_builtins(status), "processes": processes})


def may_be_alive(options: argparse.Namespace) -> bool:
    """Whether an agent runs, or an agent is needed: to adopt the machine, start it again or recover an operation."""
    from backend import host

    directory = machine_directory(options.home)
    if directory.operation_journal.exists():
        return True
    if directory.run_record.exists() or agent_answers(host.current(), directory):
        return True
    saved = desired_state.load(directory.desired)
    return saved is not None and saved.desired is Desired.RUNNING


@contextlib.contextmanager
def running(options: argparse.Namespace) -> Iterator[MachineClient]:
    """Connect to the agent of a running machine. Never starts the machine. Raises WherryError (MACHINE_STOPPED)."""
    if not may_be_alive(options):
        raise stopped()
    with MachineClient.open(options.home) as client:
        if client.status.phase not in (Phase.RUNNING, Phase.DEGRADED):
            raise stopped()
        yield client


def _status_from_files(options: argparse.Namespace) -> MachineStatus:
    """The status of a machine without an agent, read from its files."""
    saved = suspended.load(machine_directory(options.home)) is not None
    return MachineStatus(seq=0, phase=Phase.SUSPENDED if saved else Phase.STOPPED, desired=Desired.STOPPED)


def _is_down(status: MachineStatus) -> bool:
    return not status.phase.is_live


def _await_agent_end(options: argparse.Namespace) -> None:
    from backend import host

    directory = machine_directory(options.home)
    deadline = time.monotonic() + 15
    while agent_answers(host.current(), directory) and time.monotonic() < deadline:
        time.sleep(0.05)


def _until_started(
    client: MachineClient, options: argparse.Namespace, *, request: Start | Restart | None = None
) -> int:
    """Send the request and wait until the machine is up or has failed. Ctrl-C undoes the request."""

    def settled(status: MachineStatus) -> bool:
        if status.operation is not None:
            return False  # an automatic update precedes the start
        if status.desired is Desired.STOPPED:
            return not status.phase.is_live  # somebody else stopped it meanwhile
        return status.phase in (Phase.RUNNING, Phase.FAILED, Phase.DEGRADED)

    try:
        if request is not None:
            client.request(request)
        final = _follow(client, options, _START_TIMEOUT_S, settled)
    except KeyboardInterrupt:
        words = _("Interrupted: the start is being undone. Press Ctrl-C again not to wait for it.")
        sys.stderr.write(f"\n{words}\n")
        client.request(Stop())
        _follow(client, options, _STOP_TIMEOUT_S, _is_down, steps=False)
        return EXIT_INTERRUPTED
    if final is None:
        return _report_timeout(
            message("The machine didn't start within {seconds:g} s.", seconds=_START_TIMEOUT_S),
            message("Check: wherry status, wherry logs guest"),
            options,
        )
    return _report(final, options)


def _follow(
    client: MachineClient,
    options: argparse.Namespace,
    timeout_s: float,
    settled: Callable[[MachineStatus], bool],
    *,
    steps: bool = True,
) -> MachineStatus | None:
    """Show the progress until `settled` is true of the status, and return that status; None after `timeout_s`."""
    printer = ProgressPrinter(quiet=options.json, steps=steps)
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            for update in client.updates(timeout_s=_TICK_S):
                if isinstance(update, Notice):
                    printer.note(update)
                    continue
                printer.show(update)
                if settled(update):
                    return update
    finally:
        printer.close()
    return None


def _report(status: MachineStatus, options: argparse.Namespace) -> int:
    if options.json:
        print_json(status)
    elif status.phase in (Phase.FAILED, Phase.DEGRADED):
        for problem in status.problems:
            print_problem(problem, as_json=False)
    else:
        print(describe(status))
    return EXIT_PROBLEM if status.phase in (Phase.FAILED, Phase.DEGRADED) else EXIT_OK


def _report_timeout(summary: Message, hint: Message, options: argparse.Namespace) -> int:
    problem = Problem(
        code=ProblemCode.STEP_TIMED_OUT,
        summary=summary,
        hint=hint,
    )
    print_problem(problem, as_json=options.json)
    return EXIT_PROBLEM
