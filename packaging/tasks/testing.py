"""All tests, or those of one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from tasks import checks, debian, environment, images

WITHOUT_IMAGE = ("tests/unit", "tests/gui", "tests/fuzz")
"""Folders whose tests need no guest image."""
ASIDE = {
    "the one machine that they share": ("tests/vm",),
    "machines of their own, real and fake": ("tests/vmimage", "tests/faults", "tests/agent"),
}
"""Tests that run beside the others: what they wait for is another machine's start, or a deadline."""


def test(arguments: list[str]) -> int:
    """Set up, then style, types and every test; or only the tests that the arguments name, which go to pytest."""
    debian.install(*debian.FOR_MACHINE, *debian.FOR_IMAGE, *debian.FOR_WINDOW, *debian.FOR_TESTS)
    environment.make()
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    if not is_without_image(arguments):
        variables["WHERRY_TEST_IMAGE"] = str(images.build())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored, and tests send it
    pytest = [str(environment.program("python")), "-m", "pytest", "-m", "not bench"]
    if arguments:
        return subprocess.run([*pytest, *arguments], env=variables, check=False).returncode
    code = checks.style_and_types()
    return side_by_side(pytest, variables) or code


def is_without_image(arguments: list[str]) -> bool:
    """Whether all the tests that the arguments name do without a guest image."""
    paths = [argument for argument in arguments if argument.startswith("tests")]
    return bool(paths) and all(path.startswith(WITHOUT_IMAGE) for path in paths)


def side_by_side(pytest: list[str], variables: dict[str, str]) -> int:
    """All tests; what those aside print comes when the others are done."""
    others = [f"--ignore={directory}" for directories in ASIDE.values() for directory in directories]
    with contextlib.ExitStack() as stack:
        aside = {
            title: stack.enter_context(run_aside([*pytest, *directories], variables))
            for title, directories in ASIDE.items()
        }
        code = subprocess.run([*pytest, *others], env=variables, check=False).returncode
        for title, finish in aside.items():
            print(f"\nTests of {title}, which ran meanwhile:", flush=True)
            code = finish() or code
    return code


@contextlib.contextmanager
def run_aside(command: list[str], variables: dict[str, str]) -> Iterator[Callable[[], int]]:
    """A program whose output is kept; yields what waits for its end, prints that, and returns the exit code."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=variables, stdout=said, stderr=subprocess.STDOUT)

        def finish() -> int:
            code = process.wait()
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
            return code

        try:
            yield finish
        finally:
            if process.poll() is None:
                process.terminate()
                finish()
