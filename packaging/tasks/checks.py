"""Checks and corrects style and types."""

from __future__ import annotations

import subprocess
import sys

from tasks import environment, lock


def check(arguments: list[str]) -> int:
    """Set up, then check style and types."""
    if arguments:
        print("`check` takes no arguments; it looks at the whole tree.", file=sys.stderr)
        return 2
    environment.make()
    return style_and_types()


def fix(arguments: list[str]) -> int:
    """Correct the style of the given paths, or of all files, with ruff."""
    environment.make()
    ruff = str(environment.program("ruff"))
    paths = arguments or ["."]
    code = subprocess.run([ruff, "check", "--fix", *paths], check=False).returncode
    return subprocess.run([ruff, "format", *paths], check=False).returncode or code


def style_and_types() -> int:
    """Run ruff and mypy on the whole tree, and check that the lock is current. Returns 0 if all are correct."""
    ruff, mypy = str(environment.program("ruff")), str(environment.program("mypy"))
    codes = [
        subprocess.run([ruff, "check", "."], check=False).returncode,
        subprocess.run([ruff, "format", "--check", "--quiet", "."], check=False).returncode,
        subprocess.run([mypy], check=False).returncode,
    ]
    if not lock.is_current():
        print("requirements.lock is older than pyproject.toml. Run: python3 packaging/dev.py lock", file=sys.stderr)
        codes.append(1)
    return int(any(codes))
