"""The data disk: created once, never overwritten, enlarged on request, refused while another process has it open."""

from __future__ import annotations

import shlex
import shutil
import struct
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, WherryError, fail
from backend.files import explain_os_error
from backend.json_reader import JsonObject, JsonSource, decode
from backend.messages import message

MINIMUM_FREE_BYTES: Final = 512 * 1024**2
"""With less free space on the host, the engine could not even start its containers."""
_TIMEOUT_S: Final = 60
_HINT: Final = message("Restore a copy, or erase everything: wherry reset")
_BLANK_S: Final = 300.0
_CHECK_S: Final = 1800.0
_GIB: Final = 1024**3
_MAGIC: Final = b"QFI\xfb"
_HEADER: Final = struct.Struct(">4sIQIIQ")
"""Start of a qcow2 file: magic, version, offset and length of the backing file's name, cluster bits, size in bytes."""


def check_room(directory: Path) -> None:
    """Check for free space on the host's disk: when it is full, every write of the guest fails.

    Raises:
        WherryError: HOST_DISK_FULL.
    """
    free = shutil.disk_usage(directory).free
    if free < MINIMUM_FREE_BYTES:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            message(
                "Only {free} MiB are free on the drive of {folder}, but the machine needs at "
                "least {needed} MiB to start.",
                free=free // 1024**2,
                folder=directory,
                needed=MINIMUM_FREE_BYTES // 1024**2,
            ),
            command=f"df -h {directory}",
            hint=message("Free up some space, then start the machine again. Nothing was lost."),
            retryable=True,
        )


def ensure_data_disk(path: Path, *, size_gib: int, image_tool: Path) -> int:
    """Create the data disk, or check and enlarge an existing one. Returns its virtual size in GiB.

    The guest formats a blank disk, and grows the file system of an enlarged one. An existing disk is never replaced,
    whatever its state, and never shrunk: that would cut off data at its end.

    Raises:
        WherryError: HOST_DISK_FULL, DISK_LOCKED, DISK_DAMAGED, TOOL_MISSING or STEP_TIMED_OUT.
    """
    if not path.exists():
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        # No lazy reference counts: rebuilding them would take seconds whenever QEMU was killed.
        run_tool(
            [str(image_tool), "create", "-q", "-f", "qcow2", str(temporary), f"{size_gib}G"],
            path,
        )
        temporary.chmod(0o600)
        temporary.rename(path)
        return size_gib
    if not path.is_file():
        raise fail(
            ProblemCode.DISK_DAMAGED,
            message("{path} isn't a file.", path=path),
            hint=message("Move it away. The next start creates a new one."),
        )
    info = run_tool_json([str(image_tool), "info", "--output=json", "-U", str(path)], path)
    if (form := info.required_text("format")) != "qcow2":
        raise fail(
            ProblemCode.DISK_DAMAGED,
            message(
                "The data disk {path} isn't a disk of Wherry: its format is {form}, not qcow2.", path=path, form=form
            ),
            hint=_HINT,
        )
    present_gib = info.required_integer("virtual-size") // _GIB
    if size_gib <= present_gib:
        return present_gib
    run_tool([str(image_tool), "resize", "-q", "-f", "qcow2", str(path), f"{size_gib}G"], path)
    return size_gib


def present_size_gib(path: Path) -> int | None:
    """Size of a data disk from its header, without a tool; None when it does not exist or is not our format."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError:
        return None
    if len(header) < _HEADER.size or not header.startswith(_MAGIC):
        return None
    return int(_HEADER.unpack(header)[-1]) // _GIB


def blank(path: Path, *, empty: Path, size_gib: int, image_tool: Path) -> None:
    """Erase the disk and set its size; checkpoints in it are kept. If interrupted, it is partly erased.

    Args:
        path: the disk.
        empty: path of a temporary file.
        size_gib: the new size, which may be smaller than before.
        image_tool: qemu-img.

    Raises:
        WherryError: as `run_tool`; HOST_DISK_FULL, PATH_UNUSABLE.
    """
    size = run_tool_json([str(image_tool), "info", "--output=json", str(path)], path).required_integer("virtual-size")
    try:
        with empty.open("wb") as file:
            file.truncate(size)
        run_tool(
            [str(image_tool), "convert", "-n", "-f", "raw", "-O", "qcow2", str(empty), str(path)],
            path,
            timeout_s=_BLANK_S,
        )
    except OSError as error:
        raise WherryError(explain_os_error(error)) from error
    finally:
        empty.unlink(missing_ok=True)
    run_tool([str(image_tool), "resize", "-q", "-f", "qcow2", "--shrink", str(path), f"{size_gib}G"], path)


def check(path: Path, *, image_tool: Path) -> None:
    """Check the disk's metadata with qemu-img. Leaked clusters are not an error.

    Raises:
        WherryError: DISK_DAMAGED, or as `run_tool`.
    """
    argv = [str(image_tool), "check", "--output=json", str(path)]
    report = run_tool_json(argv, path, timeout_s=_CHECK_S, accepted=(0, 2, 3))
    corruptions, errors = report.integer("corruptions"), report.integer("check-errors")
    if corruptions or errors:
        raise fail(
            ProblemCode.DISK_DAMAGED,
            message(
                "The data disk {path} is damaged: {corruptions} errors, {unreadable} unreadable places.",
                path=path,
                corruptions=corruptions,
                unreadable=errors,
            ),
            command=f"{image_tool} check {path}",
            hint=message("Check what can be done: wherry doctor"),
        )


def check_size(path: Path, size_gib: int) -> None:
    """Check that the disk can have this size without losing data.

    Raises:
        WherryError: BAD_REQUEST.
    """
    present = present_size_gib(path)
    if present is not None and size_gib < present:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "The data disk has {present} GiB and can't be made smaller without losing data.",
                present=present,
            ),
            hint=message(
                "Choose {present} or more; space is used only as needed. To start fresh with a "
                "smaller disk: wherry reset",
                present=present,
            ),
        )


def is_lock_message(tail: str) -> bool:
    """Whether QEMU's message says that another process has the disk open."""
    return 'Failed to get "write" lock' in tail or "Is another process using the image" in tail


def run_tool_json(
    argv: list[str], path: Path, *, timeout_s: float = _TIMEOUT_S, accepted: Collection[int] = (0,)
) -> JsonObject:
    """As `run_tool`, for what prints a JSON object; reading that raises DISK_DAMAGED where it is of another shape."""
    source = JsonSource(
        summary=message("The report of qemu-img on the data disk {path} wasn't understood.", path=path),
        code=ProblemCode.DISK_DAMAGED,
        command=shlex.join(argv),
        hint=_HINT,
    )
    return decode(run_tool(argv, path, timeout_s=timeout_s, accepted=accepted), source).object()


def run_tool(argv: list[str], path: Path, *, timeout_s: float = _TIMEOUT_S, accepted: Collection[int] = (0,)) -> str:
    """Run qemu-img on the disk `path` and return its output.

    Raises:
        WherryError: HOST_DISK_FULL, DISK_LOCKED, TOOL_MISSING, STEP_TIMED_OUT, or DISK_DAMAGED for any other failure.
    """
    command = shlex.join(argv)
    try:
        answer = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise fail(
            ProblemCode.TOOL_MISSING,
            message("{program} doesn't start: {error}.", program=argv[0], error=error.strerror),
            command=command,
            hint=message("Reinstall QEMU's tools, and check them: wherry doctor"),
        ) from error
    except subprocess.TimeoutExpired as error:
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            message("{program} didn't respond within {seconds:g} s.", program=argv[0], seconds=timeout_s),
            command=command,
            hint=message("The disk that contains {path} may be very slow or failing.", path=path),
            retryable=True,
        ) from error
    if answer.returncode in accepted:
        return answer.stdout
    tail = answer.stderr.splitlines()[-8:]
    if "No space left" in answer.stderr:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            message("The disk for {path} is full.", path=path),
            command=command,
            tail=tail,
            hint=message("Free up some space, then start the machine again."),
        )
    if is_lock_message(answer.stderr):
        raise fail(
            ProblemCode.DISK_LOCKED,
            message("Another process uses the data disk {path}.", path=path),
            command=command,
            tail=tail,
            hint=message("Stop that process. To find it: wherry doctor"),
            retryable=True,
        )
    raise fail(
        ProblemCode.DISK_DAMAGED,
        message("qemu-img can't use the data disk {path}.", path=path),
        command=command,
        tail=tail,
        hint=message("Restore a copy of the disk, or erase everything: wherry reset"),
    )
