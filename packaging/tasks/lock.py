"""requirements.lock: every package that set-up installs, with its version and the hashes of its files.

One file for Python 3.11 and newer on all systems; what only one of them needs has a marker. The first line holds a
digest of what pyproject.toml asks for, so that a lock that is out of date is noticed without a network.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import tomllib
from pathlib import Path

from tasks import LOCK, ROOT, environment

UV = "uv==0.13.9"
HEADER = "# Written by `python3 packaging/dev.py lock`. Made for pyproject.toml with requirements "


def lock(arguments: list[str]) -> int:
    """Resolve what pyproject.toml asks for and write it; versions stay as they are unless `--upgrade` is given."""
    with tempfile.TemporaryDirectory(prefix="wherry-lock-") as directory:
        environment.create(Path(directory))
        environment.pip(Path(directory), UV)
        uv = str(environment.program("uv", Path(directory)))
        command = [uv, "pip", "compile", "pyproject.toml", "--extra=dev", "--universal", "--python-version=3.11"]
        quiet = ["--generate-hashes", "--no-header", "--no-cache", "--quiet"]
        subprocess.run([*command, *quiet, f"--output-file={LOCK}", *arguments], check=True)
    LOCK.write_text(f"{HEADER}{digest()}\n{LOCK.read_text(encoding='utf-8')}", encoding="utf-8")
    return 0


def is_current() -> bool:
    """Whether the lock was made for what pyproject.toml asks for now."""
    return LOCK.read_text(encoding="utf-8").startswith(f"{HEADER}{digest()}\n")


def digest() -> str:
    """Of everything in pyproject.toml that decides which packages are installed."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = read["project"]
    asked = [project["requires-python"], project["dependencies"], project["optional-dependencies"]]
    return hashlib.sha256(json.dumps([*asked, read["build-system"]["requires"]]).encode()).hexdigest()[:16]
