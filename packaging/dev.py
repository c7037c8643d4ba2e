#!/usr/bin/env python3
"""Everything for a fresh Debian machine, in one command each; needs nothing but Python 3.11 and git.

    python3 packaging/dev.py run      set up, build or find the guest image, start the machine, open the window
    python3 packaging/dev.py test     set up, then pass all tests: style, types, units, and the real machine
    python3 packaging/dev.py image    only build (or find) the guest image, and print where it is
    python3 packaging/dev.py check    only style and types

Whatever is there already is not made again: packages, the virtual environment, and the image, which is kept by the
content of its description. Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

# Debian packages, by what they are for. A package that is installed already costs nothing.
FOR_MACHINE = (
    {"amd64": "qemu-system-x86", "arm64": "qemu-system-arm"}.get(ARCH, "qemu-system"),
    "qemu-utils",
    "openssh-client",
)
FOR_IMAGE = ("mmdebstrap", "erofs-utils", "cpio", "kmod", "zstd", "xz-utils", "ca-certificates")
FOR_WINDOW = (
    "libdbus-1-3", "libegl1", "libfontconfig1", "libgl1", "libglib2.0-0", "libgssapi-krb5-2", "libx11-xcb1",
    "libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1", "libxcb-randr0", "libxcb-render-util0",
    "libxcb-shape0", "libxcb-shm0", "libxcb-sync1", "libxcb-util1", "libxcb-xfixes0", "libxcb-xkb1", "libxkbcommon0",
    "libxkbcommon-x11-0", "fonts-dejavu-core",
)  # fmt: skip
FOR_TESTS = (
    "openssh-server", "openssh-sftp-server", "busybox-static", "xvfb", "xauth", "trayer", "xdotool",
)  # fmt: skip
ASIDE = {
    "the one machine that they share": ("tests/vm",),
    "machines of their own, real and fake": ("tests/vmimage", "tests/faults", "tests/agent"),
}
"""Tests that run beside the others: what they wait for is another machine's start, or a deadline."""
RENAMED = {"libglib2.0-0": "libglib2.0-0t64"}
"""Names that newer Debian releases have changed."""


def main() -> int:
    """Run the command that was asked for; returns its exit code."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    commands = {"run": run, "test": test, "image": image, "check": check}
    if command not in commands or (len(sys.argv) > 2 and command != "test"):
        print(__doc__)
        return 2
    os.chdir(ROOT)
    try:
        return commands[command]()
    except subprocess.CalledProcessError as error:
        print(f"\n{shlex.join(map(str, error.cmd))}\nended with code {error.returncode}; see above.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run() -> int:
    """The main job: a running machine, and the window where there is a screen."""
    install(*FOR_MACHINE, *FOR_IMAGE, *FOR_WINDOW)
    make_venv()
    build_image()  # into the cache, where the first start finds it; a machine that has one is offered a newer one
    wherry = str(VENV / "bin" / "wherry")
    code = subprocess.run([wherry, "start"], check=False).returncode
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return subprocess.run([str(VENV / "bin" / "wherry-desktop")], check=False).returncode
    if code == 0:
        print("\nThere is no screen here, so no window. Try:")
        print(f"  eval $({wherry} env) && docker ps\n  {wherry} status\n  {wherry} stop")
    return code


def test() -> int:
    """Style, types and every test; more arguments go to pytest."""
    install(*FOR_MACHINE, *FOR_IMAGE, *FOR_WINDOW, *FOR_TESTS)
    make_venv()
    code = style_and_types()
    directory = build_image()
    environment = {**os.environ, "WHERRY_TEST_IMAGE": str(directory), "QT_QPA_PLATFORM": "offscreen"}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored, and tests send it
    pytest = [str(VENV / "bin" / "python"), "-m", "pytest", "-m", "not bench"]
    if sys.argv[2:] or (os.cpu_count() or 1) < 2:
        return subprocess.run([*pytest, *sys.argv[2:]], env=environment, check=False).returncode or code
    return side_by_side(pytest, environment) or code


def side_by_side(pytest: list[str], environment: dict[str, str]) -> int:
    """All tests; what those aside print comes when the others are done."""
    others = [f"--ignore={directory}" for directories in ASIDE.values() for directory in directories]
    with contextlib.ExitStack() as stack:
        aside = {
            title: stack.enter_context(run_aside([*pytest, *directories], environment))
            for title, directories in ASIDE.items()
        }
        code = subprocess.run([*pytest, *others], env=environment, check=False).returncode
        for title, finish in aside.items():
            print(f"\nTests of {title}, which ran meanwhile:", flush=True)
            code = finish() or code
    return code


@contextlib.contextmanager
def run_aside(command: list[str], environment: dict[str, str]) -> Iterator[Callable[[], int]]:
    """A program whose output is kept; yields what waits for its end, prints that, and returns the exit code."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=subprocess.STDOUT)

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


def check() -> int:
    """Style and types."""
    make_venv()
    return style_and_types()


def image() -> int:
    """The guest image."""
    install(*FOR_IMAGE)
    print(build_image())
    return 0


def style_and_types() -> int:
    """ruff and mypy over the whole tree; 0 when both are content."""
    binaries = VENV / "bin"
    codes = [
        subprocess.run([str(binaries / "ruff"), "check", "."], check=False).returncode,
        subprocess.run([str(binaries / "ruff"), "format", "--check", "--quiet", "."], check=False).returncode,
        subprocess.run([str(binaries / "mypy")], check=False).returncode,
    ]
    return int(any(codes))


def install(*packages: str) -> None:
    """Install the Debian packages that are missing; on another system say which programs are needed."""
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        print(f"Not a Debian system: make sure that what these packages hold is there: {' '.join(missing)}")
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    print(f"Installing {len(missing)} Debian packages: {' '.join(missing)}", flush=True)
    subprocess.run([*apt, "update", "-qq"], check=True)
    known = [RENAMED[name] if name in RENAMED and not is_known(name) else name for name in missing]
    subprocess.run([*apt, "install", "-y", "-qq", "--no-install-recommends", *known], check=True, stdout=sys.stderr)


def is_installed(package: str) -> bool:
    """Whether dpkg has the package, under its old or its new name."""
    names = [package, *([RENAMED[package]] if package in RENAMED else [])]
    if shutil.which("dpkg-query") is None:
        return False
    return any(
        subprocess.run(
            ["dpkg-query", "-W", "-f=${Status}", name], capture_output=True, text=True, check=False
        ).stdout.endswith("ok installed")
        for name in names
    )


def is_known(package: str) -> bool:
    """Whether apt can install a package of this name."""
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", package], capture_output=True, check=False)
    return shown.returncode == 0 and bool(shown.stdout.strip())


def make_venv() -> None:
    """The virtual environment with our dependencies, made anew when they change."""
    stamp = VENV / "wherry-stamp"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Making the virtual environment in .venv", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        install("python3-venv")  # Debian keeps it apart
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", ".[dev]"], check=True)
    stamp.write_text(wanted)


def build_image() -> Path:
    """The guest image of this tree's description: found in the cache by its content, or built into it."""
    key = capture(sys.executable, "-m", "vmimage", "key", "--arch", ARCH).strip()
    directory = cache() / "images" / f"{ARCH}-{key[:16]}"
    if not (directory / "manifest.json").exists():
        print(f"Building the guest image into {directory} (some minutes, once)", flush=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        build = [sys.executable, "-m", "vmimage", "build", "--arch", ARCH, "--output", str(directory)]
        subprocess.run(build, check=True)
    return directory


def cache() -> Path:
    """Where images are kept: the same place as `backend/host` looks in."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wherry"


def capture(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
