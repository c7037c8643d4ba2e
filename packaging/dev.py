#!/usr/bin/env python3
"""Development tasks, one command each. Works on a fresh Debian system with Python 3.11 and git.

    python3 packaging/dev.py run            set up, build or find the guest image, start the machine, open the window
    python3 packaging/dev.py test           set up, then style, types and all tests: units, and the real machine
    python3 packaging/dev.py test PATH ...  only the tests of a folder or a file; options of pytest may follow
    python3 packaging/dev.py check          style and types
    python3 packaging/dev.py fix            correct the style of all files, as far as ruff can
    python3 packaging/dev.py image          build or find the guest image, and print its directory
    python3 packaging/dev.py screenshots    screenshots of every view in every state, in build/screenshots
    python3 packaging/dev.py texts          update the translation catalogues with the texts of the sources
    python3 packaging/dev.py lock           update requirements.lock; with --upgrade, to the newest versions

Packages, the virtual environment and the guest image are not installed or built again if they are up to date. The image
is cached by a digest of its description. Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from tasks import ROOT, catalogues, checks, images, lock, running, testing

COMMANDS = {
    "run": running.run,
    "test": testing.test,
    "check": checks.check,
    "fix": checks.fix,
    "image": images.image,
    "screenshots": running.screenshots,
    "lock": lock.lock,
    "texts": catalogues.texts,
}


def main() -> int:
    """Run the command in sys.argv and return its exit code."""
    command, arguments = sys.argv[1:2], sys.argv[2:]
    if not command or command[0] not in COMMANDS:
        print(__doc__)
        return 2
    os.chdir(ROOT)
    try:
        return COMMANDS[command[0]](arguments)
    except subprocess.CalledProcessError as error:
        print(f"\n{shlex.join(map(str, error.cmd))}\nended with code {error.returncode}; see above.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
