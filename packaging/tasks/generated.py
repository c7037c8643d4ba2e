"""Generates files that are not kept in git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tasks import ROOT, VENV

CATALOGUES = ("app", "backend")
"""Folders with `.po` files, beside which `.mo` files are generated."""


def make() -> None:
    """Generate files that are missing or older than their source. Runs at the end of every set-up; needs .venv."""
    for source in catalogues():
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            compile_catalogue(source, compiled)


def catalogues() -> list[Path]:
    """The paths of all translation catalogues (.po)."""
    return sorted(path for top in CATALOGUES for path in (ROOT / top).rglob("*.po"))


def compile_catalogue(source: Path, compiled: Path) -> None:
    """Compile a .po file to the .mo file that gettext reads."""
    babel("compile", f"--input-file={source}", f"--output-file={compiled}")


def babel(*arguments: str) -> None:
    """Run Babel's `pybabel` with these arguments."""
    python = str(VENV / "bin" / "python")
    subprocess.run([python, "-m", "babel.messages.frontend", "--quiet", *arguments], check=True, cwd=ROOT)
