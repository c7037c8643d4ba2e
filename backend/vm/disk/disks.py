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

MINIMUM_FREE_BYTES: Final = 512 * 1024**2
"""With less free space on the host, the engine could not even start its containers."""
_TIMEOUT_S: Final = 60
_HINT: Final = "Put back a copy of it, or give up its contents with: wherry reset"
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
            f"Only {free // 1024**2} MiB are free on the disk that holds {directory}; the machine needs at least "
            f"{MINIMUM_FREE_BYTES // 1024**2} MiB to start.",
            command=f"df -h {directory}",
            hint="Free some space, then start the machine again. Nothing of it was lost.",
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
            ProblemCode.DISK_DAMAGED, f"{path} is not a file.", hint="Move it away; the next start makes a new one."
        )
    info = run_tool_json([str(image_tool), "info", "--output=json", "-U", str(path)], path)
    if (form := info.required_text("format")) != "qcow2":
        raise fail(
            ProblemCode.DISK_DAMAGED,
            f"The data disk {path} is not what Wherry made: its format is {form}, not qcow2.",
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
            f"The data disk {path} is damaged: {corruptions} faults, {errors} places that cannot be read.",
            command=f"{image_tool} check {path}",
            hint="See what can be done: wherry doctor",
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
            f"The data disk has {present} GiB and cannot be made smaller: what is at its end would be lost.",
            hint=f"Choose {present} or more. It takes only the room that is used. To begin anew with a smaller one, "
            "giving up all containers, images and volumes: wherry reset",
        )


def is_lock_message(tail: str) -> bool:
    """Whether QEMU's message says that another process has the disk open."""
    return 'Failed to get "write" lock' in tail or "Is another process using the image" in tail


def run_tool_json(
    argv: list[str], path: Path, *, timeout_s: float = _TIMEOUT_S, accepted: Collection[int] = (0,)
) -> JsonObject:
    """As `run_tool`, for what prints a JSON object; reading that raises DISK_DAMAGED where it is of another shape."""
    source = JsonSource(
        summary=f"What qemu-img says of the data disk {path} was not understood.",
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
            f"{argv[0]} does not start: {error.strerror}.",
            command=command,
            hint="Install QEMU's tools anew; `wherry doctor` says whether they are complete.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            f"{argv[0]} did not answer within {timeout_s:g} s.",
            command=command,
            hint=f"The disk that holds {path} may be very slow or failing.",
            retryable=True,
        ) from error
    if answer.returncode in accepted:
        return answer.stdout
    tail = answer.stderr.splitlines()[-8:]
    if "No space left" in answer.stderr:
        raise fail(
            ProblemCode.HOST_DISK_FULL,
            f"The disk that should hold {path} is full.",
            command=command,
            tail=tail,
            hint="Free some space, then start the machine again.",
        )
    if is_lock_message(answer.stderr):
        raise fail(
            ProblemCode.DISK_LOCKED,
            f"Another process uses the data disk {path}.",
            command=command,
            tail=tail,
            hint="Stop that process; `wherry doctor` names it where the system tells.",
            retryable=True,
        )
    raise fail(
        ProblemCode.DISK_DAMAGED,
        f"qemu-img could not work with the data disk {path}.",
        command=command,
        tail=tail,
        hint="Put back a copy of the disk, or give up its contents with: wherry reset",
    )
