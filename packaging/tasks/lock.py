"""Writes requirements.lock: every package that set-up installs, with its version and the hashes of its files.

One file for Python 3.11 and newer on all systems; a package for only some of them has a marker. The first line has a
digest of the requirements in pyproject.toml, so that an outdated lock is detected without a network.
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
    """Resolve the requirements in pyproject.toml and write the lock. Versions change only with `--upgrade`."""
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
    """Whether the lock was made for the current requirements in pyproject.toml."""
    return LOCK.read_text(encoding="utf-8").startswith(f"{HEADER}{digest()}\n")


def digest() -> str:
    """A digest of everything in pyproject.toml that determines which packages are installed."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = pyproject["project"]
    requirements = [project["requires-python"], project["dependencies"], project["optional-dependencies"]]
    return hashlib.sha256(json.dumps([*requirements, pyproject["build-system"]["requires"]]).encode()).hexdigest()[:16]
