"""Internal snapshots of the data disk: with qemu-img while the machine is stopped, with the monitor while it runs.

Taking one is cheap: reference counts are increased, and clusters are copied when they change later. A kill at any
moment leaves the disk intact, because QEMU writes new tables before it refers to them: at worst a few clusters leak.
Reference counts are never lazy, so nothing has to be rebuilt. (QEMU 6.2 to 7.2: the `device` of the monitor's commands
may be a node's name if it is the root that a device uses; "data" is.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.json_reader import JsonObject
from backend.messages import Message, message, sentences
from backend.vm.disk import checkpoint_tags
from backend.vm.disk.checkpoint_tags import Checkpoint
from backend.vm.disk.disks import run_tool, run_tool_json
from backend.vm.monitor import Monitor
from backend.vm.spec import DATA_NODE

_NOT_CREATED: Final = message("Couldn't create the checkpoint.")
_NOT_RESTORED: Final = message("Couldn't restore the checkpoint.")
_NOT_DELETED: Final = message("Couldn't delete the checkpoint.")
_TIMEOUT_S: Final = 300.0
"""Deleting frees every cluster that only the snapshot uses, which takes time on a slow disk."""


class OfflineDisk:
    """The data disk while no QEMU uses it. All methods block: call them in a thread."""

    def __init__(self, path: Path, *, image_tool: Path) -> None:
        self._path = path
        self._tool = image_tool

    def list(self) -> list[Checkpoint]:
        """Checkpoints, oldest first. Raises WherryError: DISK_LOCKED, DISK_DAMAGED, TOOL_MISSING or STEP_TIMED_OUT."""
        # -U: read only; a QEMU that has just been started may have it open already.
        return _read(run_tool_json([str(self._tool), "info", "--output=json", "-U", str(self._path)], self._path))

    def take(self, tag: str) -> None:
        """Take a snapshot. On WherryError there is none."""
        self._snapshot("-c", tag, _NOT_CREATED)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore the disk's contents and size. Raises WherryError."""
        self._snapshot("-a", checkpoint.tag, _NOT_RESTORED)

    def delete(self, checkpoint: Checkpoint) -> None:
        """Delete it and release the space that only it used. Raises WherryError."""
        # qemu-img deletes the first snapshot with this tag; only tags of other programs can occur twice.
        first = next((other for other in self.list() if other.tag == checkpoint.tag), None)
        if first is None:
            return
        if first.number != checkpoint.number:
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                message(
                    "Two snapshots from another program have this name, and qemu-img can delete only the first of them."
                ),
                hint=message(
                    "Delete {name} first, or start the machine: while it is running, either can be deleted.",
                    name=first.id,
                ),
            )
        self._snapshot("-d", checkpoint.tag, _NOT_DELETED)

    def _snapshot(self, option: str, tag: str, failed: Message) -> None:
        try:
            run_tool(
                [str(self._tool), "snapshot", "-q", option, tag, str(self._path)], self._path, timeout_s=_TIMEOUT_S
            )
        except WherryError as error:
            if error.problem.code is not ProblemCode.DISK_DAMAGED:
                raise
            raise _failed(failed, error.problem) from error


class RunningDisk:
    """The data disk of a running QEMU."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    async def list(self) -> list[Checkpoint]:
        """The checkpoints, oldest first. Raises WherryError."""
        nodes = await self._monitor.execute("query-named-block-nodes", {"flat": True})
        node = next((node for node in nodes.objects() if node.text("node-name") == DATA_NODE), None)
        if node is None or "image" not in node:
            raise fail(
                ProblemCode.CHECKPOINT_FAILED,
                message("QEMU doesn't list the data disk's checkpoints."),
                command="query-named-block-nodes",
            )
        return _read(node.object("image"))

    async def take(self, tag: str) -> None:
        """Take a snapshot. Raises WherryError; after a timeout QEMU may still complete it."""
        await self._execute("blockdev-snapshot-internal-sync", {"name": tag}, _NOT_CREATED)

    async def delete(self, checkpoint: Checkpoint) -> None:
        """Delete it and release the space that only it used. Raises WherryError."""
        which: dict[str, object] = {"id": checkpoint.number, "name": checkpoint.tag}
        await self._execute("blockdev-snapshot-delete-internal-sync", which, _NOT_DELETED)

    async def _execute(self, command: str, arguments: dict[str, object], failed: Message) -> None:
        try:
            await self._monitor.execute(command, {"device": DATA_NODE, **arguments}, timeout_s=_TIMEOUT_S)
        except WherryError as error:
            if "No space left" in str(error.problem.summary):
                raise fail(
                    ProblemCode.HOST_DISK_FULL,
                    sentences(failed, message("This computer's disk is full.")),
                    command=command,
                    hint=message("Free up some space, then try again. The machine's disk is unchanged."),
                    retryable=True,
                ) from error
            if error.problem.code is not ProblemCode.INTERNAL:
                raise
            raise _failed(failed, error.problem) from error


def _failed(failed: Message, why: Problem) -> WherryError:
    return fail(
        ProblemCode.CHECKPOINT_FAILED,
        failed,
        command=why.command,
        tail=why.tail or (str(why.summary),),
        hint=message("The machine's disk is unchanged. Check it with: wherry doctor"),
        retryable=True,
    )


def _read(image: JsonObject) -> list[Checkpoint]:
    checkpoints = [
        checkpoint_tags.read(
            snapshot.required_text("name"),
            number=snapshot.required_text("id"),
            seconds=snapshot.required_integer("date-sec") + snapshot.required_integer("date-nsec") / 1e9,
        )
        for snapshot in image.objects("snapshots")
    ]
    return sorted(
        checkpoints, key=lambda checkpoint: checkpoint.created_at
    )  # stable sort: QEMU's order for equal times
