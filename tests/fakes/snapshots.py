"""Internal snapshots of the fake QEMU's disk: real ones, by qemu-img, which gets the disk's lock meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMANDS = ("query-named-block-nodes", "blockdev-snapshot-internal-sync", "blockdev-snapshot-delete-internal-sync")


def execute(disk: Path, lock: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run one of COMMANDS; refusals use QEMU's own messages.

    Args:
        disk: the data disk.
        lock: the descriptor that holds its lock.
        name: name of the command.
        arguments: arguments of the command.
    """
    information = json.loads(_run("info", "--output=json", "-U", str(disk)))
    present = information.get("snapshots", [])
    if name == "query-named-block-nodes":
        return {"return": [{"node-name": "data-file", "image": {}}, {"node-name": "data", "image": information}]}
    if arguments.get("device") != "data":
        return _error(f"Cannot find device='{arguments.get('device')}' nor node-name='{arguments.get('device')}'")
    tag = str(arguments["name"])
    matches = [one for one in present if one["name"] == tag and arguments.get("id") in (None, one["id"])]
    if name == "blockdev-snapshot-internal-sync":
        if matches:
            return _error(f"Snapshot with name '{tag}' already exists on device 'data'")
        with _unlocked(lock):
            _run("snapshot", "-c", tag, str(disk))
        return {"return": {}}
    if not matches:
        return _error(f"Snapshot with id '{arguments.get('id')}' and name '{tag}' does not exist on device 'data'")
    with _unlocked(lock):
        _run("snapshot", "-d", tag, str(disk))
    return {"return": matches[0]}


@contextlib.contextmanager
def _unlocked(lock: int) -> Iterator[None]:
    def change(kind: int) -> None:
        for byte in (101, 201):  # locked as in tests/fakes/qemu.py
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))

    change(fcntl.F_UNLCK)
    try:
        yield
    finally:
        change(fcntl.F_RDLCK)


def _run(*words: str) -> str:
    return subprocess.run(["qemu-img", *words], capture_output=True, text=True, check=True, timeout=30).stdout


def _error(text: str) -> dict[str, Any]:
    return {"error": {"class": "GenericError", "desc": text}}
