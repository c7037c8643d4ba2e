"""Creates the virtual environment in .venv from requirements.lock."""

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
    """Create .venv again if the lock, pyproject.toml or Python has changed; then generate files."""
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
    """A digest that changes when .venv has to be created again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tables = [project["build-system"], project["project"], project["tool"]["setuptools"], sys.version]
    return hashlib.sha256(LOCK.read_bytes() + json.dumps(tables, sort_keys=True).encode()).hexdigest()


def create(directory: Path) -> None:
    """Create an empty virtual environment. On Debian, install the package python3-venv for it if needed."""
    command = [sys.executable, "-m", "venv", "--clear", str(directory)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        debian.install("python3-venv")
        subprocess.run(command, check=True)


def pip(directory: Path, *arguments: str) -> None:
    """Run `pip install` in a virtual environment."""
    python = str(program("python", directory))
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True)


def program(name: str, directory: Path = VENV) -> Path:
    """The path of a program in a virtual environment."""
    return directory / "bin" / name
