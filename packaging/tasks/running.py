"""Runs Wherry from this tree, and takes screenshots of its window."""

from __future__ import annotations

import os
import subprocess
import sys

from tasks import debian, environment, images


def run(arguments: list[str]) -> int:
    """Set up, start the machine, and open the window if there is a display. Returns an exit code."""
    if arguments:
        print("`run` takes no arguments.", file=sys.stderr)
        return 2
    debian.install(*debian.FOR_MACHINE, *debian.FOR_IMAGE, *debian.FOR_WINDOW)
    environment.make()
    images.build()  # into the cache, from which the first start takes it; an existing machine offers an update to it
    wherry = str(environment.program("wherry"))
    code = subprocess.run([wherry, "start"], check=False).returncode
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return subprocess.run([str(environment.program("wherry-desktop"))], check=False).returncode
    if code == 0:
        print("\nThere is no screen here, so no window. Try:")
        print(f"  eval $({wherry} env) && docker ps\n  {wherry} status\n  {wherry} stop")
    return code


def screenshots(arguments: list[str]) -> int:
    """Take screenshots into build/screenshots. The arguments are those of tests/gui/screenshots.py."""
    debian.install(*debian.FOR_WINDOW)
    environment.make()
    python = str(environment.program("python"))
    command = [python, "-m", "tests.gui.screenshots", "build/screenshots", *arguments]
    return subprocess.run(command, check=False).returncode
