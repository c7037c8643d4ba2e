"""The virtual environment in .venv, from the versions and hashes of requirements.lock."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from tasks import LOCK, ROOT, VENV, debian, generated

STAMP = VENV / "wherry-stamp"


def make() -> None:
    """Make .venv anew when the lock, the project's table or Python has changed; then what is made from sources."""
    wanted = fingerprint()
    if not STAMP.exists() or STAMP.read_text() != wanted:
        print("Making the virtual environment in .venv", flush=True)
        create(VENV)
        # Wheels only: a source archive would fetch whatever builds it, and no hash covers that.
        pip(VENV, "--require-hashes", "--only-binary=:all:", "--requirement", str(LOCK))
        pip(VENV, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        STAMP.write_text(wanted)
    generated.make()


def fingerprint() -> str:
    """Changes when .venv has to be made again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tables = [project["build-system"], project["project"], project["tool"]["setuptools"], sys.version]
    return hashlib.sha256(LOCK.read_bytes() + json.dumps(tables, sort_keys=True).encode()).hexdigest()


def create(directory: Path) -> None:
    """An empty virtual environment; Debian keeps the module for it in a package of its own."""
    command = [sys.executable, "-m", "venv", "--clear", str(directory)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        debian.install("python3-venv")
        subprocess.run(command, check=True)


def pip(directory: Path, *arguments: str) -> None:
    """Run `pip install` of a virtual environment."""
    python = str(program("python", directory))
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)


def program(name: str, directory: Path = VENV) -> Path:
    """A program of the virtual environment."""
    return directory / "bin" / name
