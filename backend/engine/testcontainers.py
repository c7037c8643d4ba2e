"""`~/.testcontainers.properties`, through which Testcontainers for Java and Node find the engine.

They do not read docker's context, as the one for Python does. Only a line of ours is ever changed or removed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backend.engine.context import ContextChange
from backend.errors import ProblemCode, fail
from backend.files import write_private
from backend.messages import message

_MARK: Final = "# by wherry; remove with: wherry context remove"
_KEYS: Final = ("docker.host", "tc.host")


def properties_file() -> Path:
    """The user's file. MAY not exist."""
    return Path.home() / ".testcontainers.properties"


def point_to(url: str, path: Path | None = None) -> ContextChange:
    """Have the file name the engine at `url`, unless the user has named one.

    Raises:
        WherryError: CONTEXT_FAILED; nothing was changed then.
    """
    path = path or properties_file()
    lines = _read(path)
    rest = _without_ours(lines)
    if other := next((line for line in rest if line.partition("=")[0].strip() in _KEYS), None):
        note = message("{path} names an engine already, which stays in use: {line}", path=path, line=other.strip())
        return ContextChange(changed=False, selected=False, note=note)
    wanted = [*rest, _MARK, f"docker.host={url}"]
    if wanted != lines:
        _write(path, wanted)
    return ContextChange(
        changed=wanted != lines, selected=True, note=message("Testcontainers uses Wherry, by {path}.", path=path)
    )


def remove(path: Path | None = None) -> bool:
    """Remove our line, and the file if nothing else is in it. Returns whether there was one. Raises as `point_to`."""
    path = path or properties_file()
    lines = _read(path)
    rest = _without_ours(lines)
    if rest == lines:
        return False
    _write(path, rest)
    return True


def _without_ours(lines: list[str]) -> list[str]:
    """The lines but our mark and the one after it."""
    ours = {number for number, line in enumerate(lines) if line == _MARK}
    return [line for number, line in enumerate(lines) if number not in ours and number - 1 not in ours]


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise fail(
            ProblemCode.CONTEXT_FAILED, message("{path} can't be read: {error}.", path=path, error=str(error))
        ) from error


def _write(path: Path, lines: list[str]) -> None:
    target = path.resolve()  # some people keep their configuration files elsewhere
    try:
        if lines:
            write_private(target, "\n".join(lines).encode() + b"\n")
        else:
            target.unlink(missing_ok=True)
    except OSError as error:
        raise fail(
            ProblemCode.CONTEXT_FAILED,
            message("{path} couldn't be changed: {error}.", path=path, error=error.strerror or str(error)),
        ) from error
