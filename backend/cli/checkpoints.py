"""`wherry checkpoint list|create|restore|delete`."""

from __future__ import annotations

import argparse
import time
from typing import Final

from backend.cli.asking import confirmed
from backend.cli.exits import EXIT_OK, EXIT_PROBLEM
from backend.cli.operations import operate
from backend.cli.output import print_json, print_problem
from backend.cli.reclaim import gib
from backend.control.client import MachineClient
from backend.control.messages import (
    CheckpointEntry,
    CreateCheckpoint,
    DeleteCheckpoint,
    ListCheckpoints,
    RestoreCheckpoint,
)
from backend.errors import ProblemCode, fail
from backend.messages import message, message_in
from backend.texts import _, say

_CHANGE_S: Final = 600.0
_GIB: Final = 1024**3
_WHY: Final = {
    "manual": message_in("checkpoint", "by hand"),
    "before-update": message_in("checkpoint", "before an update"),
    "before-resize": message_in("checkpoint", "before the disk grew"),
    "before-reset": message_in("checkpoint", "before a reset"),
    "before-restore": message_in("checkpoint", "before a restore"),
}


def show(options: argparse.Namespace) -> int:
    """List the checkpoints, oldest first, and the space that the disk occupies."""
    with MachineClient.open(options.home) as client:
        listing = client.request(ListCheckpoints(), reply_timeout_s=_CHANGE_S)
    if options.json:
        print_json(listing)
        return EXIT_OK
    if listing.problem is not None:
        print_problem(listing.problem, as_json=False)
    rows = [_row(entry) for entry in listing.checkpoints]
    if not rows:
        print(_("There are no checkpoints. Create one with: wherry checkpoint create [NAME]"))
        return EXIT_OK
    rows.insert(0, ("ID", _("CREATED"), _("REASON"), _("SIZE"), _("NAME")))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4])).rstrip())
    size = gib(listing.disk_bytes)
    print(_("The disk takes {size} on this computer, with all checkpoints.", size=size))
    return EXIT_OK


def create(options: argparse.Namespace) -> int:
    """Take a checkpoint of the running or stopped machine."""
    with MachineClient.open(options.home) as client:
        request = CreateCheckpoint(name=options.name or "", force=options.force)
        created = client.request(request, reply_timeout_s=_CHANGE_S)
    print_json(created) if options.json else print(created.id)
    return EXIT_OK


def restore(options: argparse.Namespace) -> int:
    """Restore a checkpoint after confirmation."""
    with MachineClient.open(options.home) as client:
        entry = _find(client, options.id)
        question = _(
            "This restores all containers, images and volumes as they were at {checkpoint}. "
            "The current state is saved as a checkpoint first.",
            checkpoint=_describe(entry),
        )
        if not confirmed(options, "checkpoint restore", question):
            return EXIT_PROBLEM
        done = operate(client, options, RestoreCheckpoint(id=options.id))
    if options.json:
        print_json(done)
    else:
        print(_("Restored. To undo it: wherry checkpoint restore {id}", id=done.present))
    return EXIT_OK


def delete(options: argparse.Namespace) -> int:
    """Delete checkpoints after confirmation."""
    freed = 0
    with MachineClient.open(options.home) as client:
        chosen = [_find(client, identity) for identity in dict.fromkeys(options.id)]
        descriptions = "\n".join(f"  {_describe(entry)}" for entry in chosen)
        question = _("This deletes what is only in these checkpoints:")
        if not confirmed(options, "checkpoint delete", f"{question}\n{descriptions}"):
            return EXIT_PROBLEM
        for entry in chosen:
            freed += client.request(DeleteCheckpoint(id=entry.id), reply_timeout_s=_CHANGE_S).freed_bytes
    if options.json:
        print_json({"deleted": [entry.id for entry in chosen], "freed_bytes": freed})
    else:
        print(_("Deleted. {size} freed.", size=gib(freed)))
    return EXIT_OK


def _find(client: MachineClient, identity: str) -> CheckpointEntry:
    for entry in client.request(ListCheckpoints(), reply_timeout_s=_CHANGE_S).checkpoints:
        if entry.id == identity:
            return entry
    raise fail(
        ProblemCode.BAD_REQUEST,
        message("There is no checkpoint “{name}”.", name=identity[:40]),
        hint=message("List all checkpoints: wherry checkpoint list"),
    )


def _row(entry: CheckpointEntry) -> tuple[str, str, str, str, str]:
    known = _WHY.get(entry.reason)
    why = _("another program's") if entry.foreign else say(known) if known is not None else entry.reason
    return entry.id, _time(entry), why, gib(round(entry.size_gib * _GIB)), entry.name


def _describe(entry: CheckpointEntry) -> str:
    return f"{_time(entry)} ({entry.id}{', ' + entry.name if entry.name else ''})"


def _time(entry: CheckpointEntry) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.created_at))
