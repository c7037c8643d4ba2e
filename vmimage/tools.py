"""Running external programs; failures raise ``ImageError``."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from vmimage.errors import ImageError

# Debian packages of the programs, for the advice when one is missing.
_PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.erofs": "erofs-utils",
    "zstd": "zstd",
    "apt-config": "apt",
}


def find(program: str) -> str:
    """Path of `program`; ImageError names the package to install when it is missing."""
    # mkfs tools are in sbin, which is often missing from an unprivileged user's PATH.
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
    """Run a program and return its stdout. On a non-zero exit status raises ImageError(`what`) with its last output."""
    command = [find(arguments[0]), *arguments[1:]]
    # Without `stdin` it gets an empty one, never the builder's terminal.
    done = subprocess.run(command, input=stdin or b"", capture_output=True, check=False)
    if done.returncode != 0:
        output = done.stderr.decode(errors="replace")
        if not output.strip():
            output = done.stdout.decode(errors="replace")
        raise ImageError(what, ran=shlex.join(command), output=output, advice=advice)
    return done.stdout
