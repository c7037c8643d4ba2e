"""The docker endpoint of a machine in the user's session: where it is, and starting its keeper at login."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Final

from backend import host
from backend.control.launch import agent_program, machine_directory
from backend.errors import ProblemCode, WherryError, fail
from backend.host.session import keeper
from backend.host.session.place import EndpointPlace
from backend.messages import message
from backend.paths import MachineDir
from backend.settings import config
from backend.settings.disk import data_disk_path

KEEP_ENDPOINT: Final = "docker.keep_endpoint"
EXIT_FAILED: Final = 1


def endpoint_place(directory: MachineDir) -> EndpointPlace:
    """Where the endpoint of this machine is, and the programs that serve it."""
    home = ("--home", str(directory.home))
    return EndpointPlace(
        home=directory.home,
        is_default=directory.home == host.current().default_home(),
        docker_socket=directory.docker_socket,
        keeper_socket=directory.keeper_socket,
        keeper_lock=directory.keeper_lock,
        agent_output=directory.agent_output,
        agent=(*agent_program(), *home),
        keeper=_keeper_program(),
        starter=(*_starter_program(), *home),
    )


def is_wanted(directory: MachineDir) -> bool:
    """Whether the session keeps the endpoint: the setting is on, and the machine was started before.

    A machine that has never run has nothing to offer to a docker client. Never raises: settings that cannot be read
    are told of by whoever starts the machine.
    """
    try:
        return config.load(directory.config).docker.keep_endpoint and data_disk_path(directory).exists()
    except WherryError:
        return False


def endpoint_stays(error: OSError) -> WherryError:
    """The problem that the session did not let go of the endpoint."""
    return fail(
        ProblemCode.PATH_UNUSABLE,
        message("The docker endpoint is still in your session: {error}.", error=error),
        hint=message("Try again with: wherry config set {key} false", key=KEEP_ENDPOINT),
    )


def main(arguments: list[str] | None = None) -> int:
    """Start the keeper at login; returns the exit code. Ends quietly where nothing is to be kept any more."""
    parser = argparse.ArgumentParser(prog="wherry endpoint", description="Started at login by Wherry's entry.")
    parser.add_argument("--home", type=Path, required=True)
    directory = machine_directory(parser.parse_args(arguments).home)
    endpoint = host.current().session_endpoint(endpoint_place(directory))
    if endpoint is None:
        return 0
    try:
        if not directory.home.is_dir() or not is_wanted(directory):
            endpoint.remove()
            return 0
        directory.create()
        logging.basicConfig(level=logging.WARNING)
        endpoint.start()
    except WherryError as error:
        sys.stderr.write(error.problem.as_text() + "\n")
        return EXIT_FAILED
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    return 0


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _keeper_program() -> tuple[str, ...]:
    """By its path, and without Python's packages: it stays in memory."""
    return (sys.executable, "keeper") if _is_frozen() else (sys.executable, "-I", "-S", str(Path(keeper.__file__)))


def _starter_program() -> tuple[str, ...]:
    return (sys.executable, "endpoint") if _is_frozen() else (sys.executable, "-m", "backend.control.session")


if __name__ == "__main__":
    sys.exit(main())
