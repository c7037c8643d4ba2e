"""Files that are made from sources of this tree and are not kept in git."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tasks import ROOT, VENV

CATALOGUES = ("app", "backend")
"""Folders whose `.po` files get a `.mo` beside them."""


def make() -> None:
    """Make what is missing or older than its source. Runs at the end of every set-up, with .venv in place."""
    for source in catalogues():
        compiled = source.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            compile_catalogue(source, compiled)


def catalogues() -> list[Path]:
    """The translations."""
    return sorted(path for top in CATALOGUES for path in (ROOT / top).rglob("*.po"))


def compile_catalogue(source: Path, compiled: Path) -> None:
    """Turn a translation into the form that gettext reads."""
    babel("compile", f"--input-file={source}", f"--output-file={compiled}")


def babel(*arguments: str) -> None:
    """Run Babel's command-line program."""
    python = str(VENV / "bin" / "python")
    subprocess.run([python, "-m", "babel.messages.frontend", "--quiet", *arguments], check=True, cwd=ROOT)
