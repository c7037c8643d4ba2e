"""`wherry update`, `disk` and `reset`: long operations of the agent, with their progress."""

from __future__ import annotations

import argparse
import shutil
from typing import Final

from backend import host
from backend.cli.asking import confirmed
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.output import ProgressPrinter, print_json, print_rows
from backend.cli.reclaim import gib
from backend.control.client import MachineClient
from backend.control.launch import machine_directory
from backend.control.messages import (
    ApplyUpdate,
    CheckUpdate,
    GrowDisk,
    ImageVersion,
    MoveDisk,
    ResetMachine,
    UpdateCheck,
)
from backend.control.messages.request import AnswerT, Request
from backend.model import MachineStatus, Notice
from backend.settings import config
from backend.settings.disk import data_disk_path
from backend.texts import _
from backend.vm.disk import disks

_SILENCE_S: Final = 2700.0
"""Longest step without a report of progress: a start on a slow computer, a check of a large disk."""


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
        print(
            _(
                "Guest image updated from {before} to {version}. Your containers, images and volumes are kept.",
                before=done.before,
                version=done.version,
            )
        )
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
    rows = [(_("place"), str(path) if path.exists() else _("{path}  (not created yet)", path=str(path)))]
    grows = size is not None and wanted > size
    text = _("{size} GiB, {wanted} GiB after the next start", size=size or wanted, wanted=wanted)
    rows.append((_("size"), text if grows else _("{size} GiB", size=size or wanted)))
    if taken is not None:
        rows.append((_("takes"), _("{size} on this computer", size=gib(taken))))
    if free is not None:
        rows.append((_("free"), _("{size} on that drive", size=gib(free))))
    print_rows(rows)
    return EXIT_OK


def disk_grow(options: argparse.Namespace) -> int:
    """Enlarge the data disk."""
    with MachineClient.open(options.home) as client:
        done = operate(client, options, GrowDisk(size_gib=options.size_gib))
    if options.json:
        print_json(done)
    else:
        size = done.size_gib
        print(
            _("The data disk has {size} GiB now.", size=size)
            if done.now
            else _("The data disk has {size} GiB from the next start on.", size=size)
        )
    return EXIT_OK


def disk_move(options: argparse.Namespace) -> int:
    """Move the data disk to another directory."""
    with MachineClient.open(options.home) as client:
        done = operate(client, options, MoveDisk(directory=str(options.directory.expanduser().absolute())))
    print_json(done) if options.json else print(_("The data disk is {path} now.", path=str(done.path)))
    return EXIT_OK


def reset(options: argparse.Namespace) -> int:
    """Empty the data disk after confirmation."""
    directory = machine_directory(options.home)
    keep = not options.no_checkpoint
    path = str(data_disk_path(directory))
    question = (
        _(
            "This empties {path} with every container, image and volume. A checkpoint of it is kept. Settings stay.",
            path=path,
        )
        if keep
        else _(
            "This deletes {path} with every container, image and volume. Nothing of it is kept. Settings stay.",
            path=path,
        )
    )
    if not confirmed(options, "reset", question):
        return EXIT_PROBLEM
    with MachineClient.open(options.home) as client:
        done = operate(client, options, ResetMachine(keep=keep))
    deleted = str(data_disk_path(directory)) if done.existed and done.checkpoint is None else None
    if options.json:
        print_json({"deleted": deleted, "checkpoint": done.checkpoint})
    elif not done.existed:
        print(_("There was no disk to reset."))
    elif done.checkpoint is None:
        print(_("The machine is as new."))
    else:
        print(_("The machine is as new. To undo it: wherry checkpoint restore {id}", id=done.checkpoint))
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
    rows = [
        (label, _image(image)) for label, image in ((_("image"), current), (_("newer"), offer)) if image is not None
    ]
    print_rows(rows)
    if offer is None:
        print(_("There is no newer one."))
    elif check.automatic:
        print(_("It is installed at the next start."))
    else:
        print(_("Install it with: wherry update"))
    return EXIT_OK


def _image(image: ImageVersion) -> str:
    return _(
        "{version} with Docker {engine}, in {directory}",
        version=image.version,
        engine=image.engine_version,
        directory=str(image.directory),
    )
