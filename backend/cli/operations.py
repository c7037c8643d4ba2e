"""`wherry update`, `disk` and `reset`: long operations of the agent, with their progress."""

from __future__ import annotations

import argparse
import shutil
from typing import Final

from backend import host
from backend.cli.asking import confirmed
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.output import ProgressPrinter, print_json
from backend.control.client import MachineClient
from backend.control.launch import machine_directory
from backend.control.messages import ApplyUpdate, CheckUpdate, GrowDisk, MoveDisk, ResetMachine, UpdateCheck
from backend.control.messages.request import AnswerT, Request
from backend.model import MachineStatus, Notice
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.vm.disk import disks

_SILENCE_S: Final = 2700.0
"""Longest step without a report of progress: a start on a slow computer, a check of a large disk."""
_GIB: Final = 1024**3


def update(options: argparse.Namespace) -> int:
    """Update to the newest image in the cache or to --image; with --check only report whether there is one."""
    with MachineClient.open(options.home) as client:
        if options.check:
            return _report_check(client.request(CheckUpdate()), options)
        directory = None if options.image is None else str(options.image.expanduser().absolute())
        if directory is None:
            check = client.request(CheckUpdate())
            if check.offer is None:
                return _report_check(check, options)
        done = operate(client, options, ApplyUpdate(directory=directory))
    if options.json:
        print_json(done)
    else:
        print(f"The guest image is {done.version} now; it was {done.before}. Everything that was there is there.")
    return EXIT_OK


def disk_status(options: argparse.Namespace) -> int:
    """Print the data disk's path, size and occupied space. Needs no agent."""
    directory = machine_directory(options.home)
    path = data_disk_path(directory)
    wanted = config.load(directory.config).machine.disk_gib
    size = disks.present_size_gib(path)
    taken = host.current().allocated_bytes(path) if path.exists() else None
    free = shutil.disk_usage(path.parent).free if path.parent.exists() else None
    facts = {
        "path": str(path),
        "exists": path.exists(),
        "size_gib": size,
        "wanted_gib": wanted,
        "allocated_bytes": taken,
        "free_bytes": free,
    }
    if options.json:
        print_json(facts)
        return EXIT_OK
    print(f"place  {path}" + ("" if path.exists() else "  (not made yet)"))
    grows = f", {wanted} GiB after the next start" if size is not None and wanted > size else ""
    print(f"size   {size or wanted} GiB{grows}")
    if taken is not None:
        print(f"takes  {_size(taken)} on this computer")
    if free is not None:
        print(f"free   {_size(free)} where it is")
    return EXIT_OK


def disk_grow(options: argparse.Namespace) -> int:
    """Enlarge the data disk."""
    with MachineClient.open(options.home) as client:
        done = operate(client, options, GrowDisk(size_gib=options.size_gib))
    if options.json:
        print_json(done)
    else:
        when = "now" if done.now else "from the next start on"
        print(f"The data disk has {done.size_gib} GiB {when}.")
    return EXIT_OK


def disk_move(options: argparse.Namespace) -> int:
    """Move the data disk to another directory."""
    with MachineClient.open(options.home) as client:
        done = operate(client, options, MoveDisk(directory=str(options.directory.expanduser().absolute())))
    print_json(done) if options.json else print(f"The data disk is {done.path} now.")
    return EXIT_OK


def reset(options: argparse.Namespace) -> int:
    """Empty the data disk after confirmation."""
    directory = machine_directory(options.home)
    keep = not options.no_checkpoint
    what = "empties" if keep else "deletes"
    kept = "A checkpoint of it is kept." if keep else "Nothing of it is kept."
    question = f"This {what} {data_disk_path(directory)} with every container, image and volume. {kept} Settings stay."
    if not confirmed(options, "reset", question):
        return EXIT_PROBLEM
    with MachineClient.open(options.home) as client:
        done = operate(client, options, ResetMachine(keep=keep))
    deleted = str(data_disk_path(directory)) if done.existed and done.checkpoint is None else None
    if options.json:
        print_json({"deleted": deleted, "checkpoint": done.checkpoint})
    elif not done.existed:
        print("There was no disk to reset.")
    elif done.checkpoint is None:
        print("The machine is as new.")
    else:
        print(f"The machine is as new. Back to what was: wherry checkpoint restore {done.checkpoint}")
    return EXIT_OK


def operate(client: MachineClient, options: argparse.Namespace, request: Request[AnswerT]) -> AnswerT:
    """Request a long operation, show its progress and return its answer. Raises WherryError: it failed."""
    printer = ProgressPrinter(quiet=options.json, steps=False)

    def show(update: MachineStatus | Notice) -> None:
        if isinstance(update, Notice):
            printer.note(update)
        elif update.operation is not None:
            printer.show(update)

    try:
        return client.operate(request, show=show, timeout_s=_SILENCE_S)
    finally:
        printer.close()


def _report_check(check: UpdateCheck, options: argparse.Namespace) -> int:
    if options.json:
        print_json(check)
        return EXIT_OK
    current, offer = check.current, check.offer
    print(f"image   {current.version} with Docker {current.engine_version}, in {current.directory}")
    if offer is None:
        print("There is no newer one.")
    else:
        print(f"newer   {offer.version} with Docker {offer.engine_version}, in {offer.directory}")
        when = "It is taken at the next start." if check.automatic else "Take it with: wherry update"
        print(when)
    return EXIT_OK


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count // 1024**2} MiB"
