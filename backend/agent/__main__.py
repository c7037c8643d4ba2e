"""The agent: one process per machine that owns it. Started by `launch.ensure_agent`, not by hand.

It ends by itself when the machine is stopped and nobody is connected; killing it at any moment loses nothing, because
QEMU goes on and the next agent adopts it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from backend import VERSION, host
from backend.agent.agent import Agent
from backend.agent.boot.readiness import Deadlines
from backend.agent.core import unfinished_files
from backend.control.launch import EXIT_ALREADY_OWNED
from backend.errors import WherryError
from backend.paths import MachineDir

EXIT_FAILED: Final = 1
DEADLINES_VARIABLE: Final = "WHERRY_DEADLINES"
"""Other deadlines than the ladder's, as `Deadlines.parse` reads them; clients hand it on to the agent they start."""
_LOG_BYTES: Final = 1_048_576

_log = logging.getLogger("backend.agent")


def main(arguments: list[str] | None = None) -> int:
    """Entry of the process; returns its exit code."""
    parser = argparse.ArgumentParser(prog="wherry agent", description="Owns one machine. Started by wherry itself.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--deadlines", type=Deadlines.parse, default=os.environ.get(DEADLINES_VARIABLE, ""))
    options = parser.parse_args(arguments)
    machine_host = host.current()
    directory = MachineDir.locate(
        options.home,
        max_socket_path_bytes=machine_host.max_socket_path_bytes,
        short_run_base=machine_host.short_run_base(),
    )
    try:
        directory.create()
    except OSError as error:
        sys.stderr.write(f"{directory.home} cannot be used: {error.strerror}\n")
        return EXIT_FAILED
    lock = FileLock(directory.agent_lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        return EXIT_ALREADY_OWNED
    try:
        _set_up_log(directory.agent_log)
        _log.info("agent %s starts for %s", VERSION, directory.home)
        unfinished_files.clear(directory, own_pid=os.getpid())
        machine_host.raise_file_limit()
        with asyncio.Runner(loop_factory=machine_host.new_event_loop) as runner:
            runner.run(Agent(machine_host, directory, deadlines=options.deadlines).run())
        _log.info("agent ends")
    except WherryError as error:
        sys.stderr.write(error.problem.as_text() + "\n")
        _log.error("%s", error.problem.as_text())
        return EXIT_FAILED
    finally:
        lock.release()
    return 0


def _set_up_log(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("paramiko").setLevel(logging.WARNING)
    logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)  # its failures are reported by who calls it


if __name__ == "__main__":
    sys.exit(main())
