"""Runs all tests in parallel, or the given ones."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

from tasks import ROOT, checks, debian, environment, images

WITHOUT_IMAGE = ("tests/unit", "tests/gui", "tests/fuzz", "tests/plugins")
"""Folders with tests that need no guest image."""
WORKERS = (os.cpu_count() or 1) + 1
"""One more than there are CPUs, because tests of the machine mostly wait."""
DEADLINE_S = 75 * 60
STACKS_S = 10
COVERAGE = ROOT / "build" / "coverage.json"


def test(arguments: list[str]) -> int:
    """Set up, check style and types and run all tests; with arguments (passed to pytest) only run the given tests."""
    debian.install(*debian.FOR_MACHINE, *debian.FOR_IMAGE, *debian.FOR_WINDOW, *debian.FOR_TESTS)
    environment.make()
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    if not is_without_image(arguments):
        variables["WHERRY_TEST_IMAGE"] = str(images.build())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores SIGINT, but tests send it
    pytest = [str(environment.program("python")), "-m", "pytest", "-m", "not bench"]
    if arguments:
        return subprocess.run([*pytest, *arguments], env=variables, check=False).returncode
    code = checks.style_and_types()
    side_by_side = [f"--numprocesses={WORKERS}", "--durations=20", "--durations-min=1"]
    measured = ["--cov=app", "--cov=backend", "--cov=vmimage", f"--cov-report=json:{COVERAGE}"]
    COVERAGE.unlink(missing_ok=True)
    code = run([*pytest, "--quiet", *side_by_side, *measured], variables) or code
    print_coverage()
    return code


def print_coverage() -> None:
    """Print covered lines by package. Only the tests' own processes are measured, no agents."""
    if not COVERAGE.exists():
        return
    all_lines, covered = Counter[str](), Counter[str]()
    for name, file in json.loads(COVERAGE.read_text(encoding="utf-8"))["files"].items():
        package = "/".join(PurePosixPath(name).parent.parts[:2])
        all_lines[package] += file["summary"]["num_statements"]
        covered[package] += file["summary"]["covered_lines"]
    print("\nCovered lines, in the tests' own processes (agents and commands that they start are not counted):")
    for package in sorted(all_lines):
        share = 100 * covered[package] // max(1, all_lines[package])
        print(f"{share:5} %  of {all_lines[package]:6}  {package}")


def is_without_image(arguments: list[str]) -> bool:
    """Whether none of the tests in the arguments needs a guest image."""
    paths = [argument for argument in arguments if argument.startswith("tests")]
    return bool(paths) and all(path.startswith(WITHOUT_IMAGE) for path in paths)


def run(command: list[str], variables: dict[str, str]) -> int:
    """Run pytest and return its exit code. At the deadline, print the stacks of its processes and kill them."""
    process = subprocess.Popen(command, env=variables, start_new_session=True)
    try:
        return process.wait(DEADLINE_S)
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        return process.wait(STACKS_S)
    except subprocess.TimeoutExpired:
        print(
            f"\nThe tests did not end within {DEADLINE_S // 60} minutes. What they do now:", file=sys.stderr, flush=True
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        for pid in workers or [process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)  # makes Python print the stacks of all threads
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STACKS_S)
        return 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
