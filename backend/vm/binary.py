"""Finding a QEMU that is new enough, and querying its version and features."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from backend.errors import ProblemCode, fail
from backend.host.base import Host
from backend.messages import message
from backend.vm.spec import QemuFacts

MINIMUM: Final = (7, 2, 0)
_TIMEOUT_S: Final = 20
_OTHER: Final = message("Reinstall QEMU, or choose another one: wherry config set qemu.binary PROGRAM")
_VERSION: Final = re.compile(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)")


def find(host: Host, arch: str, *, configured: str = "") -> QemuFacts:
    """Find the QEMU to use.

    Args:
        host: lists the places to search.
        arch: architecture of the guest.
        configured: path of a program chosen by the user; "" to search the usual places.

    Raises:
        WherryError: QEMU_MISSING, QEMU_TOO_OLD or QEMU_UNUSABLE.
    """
    if configured:
        program = shutil.which(configured)
        if program is None:
            raise fail(
                ProblemCode.QEMU_MISSING,
                message("The setting qemu.binary is {path}, which isn't a program.", path=configured),
                hint=message('Correct it, or let Wherry find QEMU: wherry config set qemu.binary ""'),
            )
        candidates: tuple[Path, ...] = (Path(program),)
    else:
        candidates = host.qemu_candidates(arch)
    if not candidates:
        raise fail(
            ProblemCode.QEMU_MISSING,
            message("QEMU isn't installed. Wherry needs it to run its machine."),
            hint=host.qemu_hint(arch),
        )
    facts = inspect(candidates[0])
    if facts.version < MINIMUM:
        raise fail(
            ProblemCode.QEMU_TOO_OLD,
            message(
                "{path} is QEMU {version}; Wherry needs {major}.{minor} or newer.",
                path=facts.binary,
                version=facts.version_text,
                major=MINIMUM[0],
                minor=MINIMUM[1],
            ),
            command=f"{facts.binary} -version",
            hint=host.qemu_hint(arch),
        )
    return facts


def inspect(binary: Path) -> QemuFacts:
    """Query a binary's version and features. Cached per file for the life of the process.

    Raises:
        WherryError: QEMU_UNUSABLE.
    """
    try:
        information = binary.stat()
    except OSError as error:
        raise fail(
            ProblemCode.QEMU_UNUSABLE,
            message("{path} can't be read: {error}.", path=binary, error=error.strerror),
            hint=_OTHER,
        ) from error
    return _inspect(binary, information.st_mtime_ns, information.st_size)


@lru_cache(maxsize=8)
def _inspect(binary: Path, _mtime_ns: int, _size: int) -> QemuFacts:
    version_text = _ask(binary, "-version")
    match = _VERSION.search(version_text)
    if match is None:
        raise fail(
            ProblemCode.QEMU_UNUSABLE,
            message("{path} didn't report its QEMU version.", path=binary),
            command=f"{binary} -version",
            tail=version_text.splitlines()[-5:],
            hint=_OTHER,
        )
    major, minor, micro = (int(part) for part in match.groups())
    accelerators = frozenset(_ask(binary, "-accel", "help").split())
    return QemuFacts(
        binary=binary,
        version=(major, minor, micro),
        accelerators=accelerators,
        sandbox="-sandbox" in _ask(binary, "-help"),
    )


def find_image_tool(qemu: QemuFacts) -> Path:
    """Find the qemu-img of this QEMU: in the same directory, else on the PATH.

    Raises:
        WherryError: TOOL_MISSING.
    """
    beside = qemu.binary.with_name("qemu-img" + qemu.binary.suffix)
    program = str(beside) if os.access(beside, os.X_OK) else shutil.which("qemu-img")
    if program is None:
        raise fail(
            ProblemCode.TOOL_MISSING,
            message("qemu-img isn't installed. Wherry needs it to create the machine's disk."),
            hint=message(
                "Install it: sudo apt install qemu-utils (Debian, Ubuntu) or sudo dnf install qemu-img (Fedora)."
            ),
        )
    return Path(program)


def _ask(binary: Path, *arguments: str) -> str:
    command = f"{binary} {' '.join(arguments)}"
    try:
        answer = subprocess.run(
            [str(binary), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise fail(
            ProblemCode.QEMU_UNUSABLE,
            message("{path} doesn't start: {error}.", path=binary, error=error.strerror),
            command=command,
            hint=_OTHER,
        ) from error
    except subprocess.TimeoutExpired as error:
        raise fail(
            ProblemCode.QEMU_UNUSABLE,
            message("{path} didn't respond within {seconds} s.", path=binary, seconds=_TIMEOUT_S),
            command=command,
        ) from error
    if answer.returncode != 0:
        raise fail(
            ProblemCode.QEMU_UNUSABLE,
            message(
                "{path} exited with code {code} when asked for its features.",
                path=binary,
                code=answer.returncode,
            ),
            command=command,
            tail=answer.stderr.splitlines()[-5:],
            hint=_OTHER,
        )
    return answer.stdout
