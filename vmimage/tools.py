"""Runs the external programs that the builder needs, and turns their failures into ``ImageError``."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from vmimage.errors import ImageError

# Which Debian package brings a program, for the advice when it is missing.
_PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.erofs": "erofs-utils",
    "zstd": "zstd",
    "apt-config": "apt",
}


def find(program: str) -> str:
    """Path of `program`; ImageError with the package to install if it is not there."""
    # mkfs tools live in sbin, which an unprivileged user's PATH often lacks.
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        package = _PACKAGE_OF.get(program, program)
        raise ImageError(
            f"The program {program} is needed to build the image, but it is not installed.",
            advice=f"Install the Debian package {package} (for example: apt-get install {package}).",
        )
    return path


def run(
    arguments: Sequence[str],
    *,
    what: str,
    advice: str = "",
    stdin: bytes | None = None,
) -> bytes:
    """Run a program to its end; its stdout.  Non-zero exit: ImageError(`what`) with the end of its output."""
    command = [find(arguments[0]), *arguments[1:]]
    # Without input of its own it reads an empty one, never the terminal of whoever builds.
    done = subprocess.run(command, input=stdin or b"", capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        if not said.strip():
            said = done.stdout.decode(errors="replace")
        raise ImageError(what, ran=shlex.join(command), output=said, advice=advice)
    return done.stdout
