"""A real machine for tests, controlled by the real command line and used by the real docker CLI."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vm.support.tools import Tools

WHERRY = [sys.executable, "-m", "backend.cli"]
BUSYBOX = "busybox:test"
ROOT = Path(__file__).parents[3]
ARTIFACTS = ROOT / "artifacts"
VERDICTS = "machine/accelerators.json"
KEPT_VERDICTS = ARTIFACTS / "accelerators.json"


def wait_until(what: str, condition: Callable[[], Any], *, timeout_s: float, every_s: float = 0.1) -> Any:
    """Return the first true value of `condition`; fail with `what` at the timeout."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every_s)
    raise AssertionError(f"waited {timeout_s:g} s for: {what}")


def keep_verdicts(home: Path) -> None:
    """Keep which accelerators this machine found not to work, for `give_verdicts`."""
    found = home / VERDICTS
    if found.exists():
        KEPT_VERDICTS.parent.mkdir(exist_ok=True)
        part = KEPT_VERDICTS.with_suffix(f".{os.getpid()}")
        shutil.copy(found, part)
        part.replace(KEPT_VERDICTS)


def give_verdicts(home: Path) -> None:
    """Spare a new machine the accelerators that do not work: KVM that opens but runs nothing is tried for ten seconds.

    What was found holds for one processor, kernel and QEMU; on another computer it has no effect.
    """
    if KEPT_VERDICTS.exists():
        (home / VERDICTS).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(KEPT_VERDICTS, home / VERDICTS)


@dataclass
class Machine:
    """One home directory, with the tools that work on it."""

    home: Path
    image: Path
    tools: Tools
    docker_config: Path
    _keep: list[Any] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for every program: the image under test, and a separate docker configuration."""
        others = ("WHERRY_HOME", "DOCKER_HOST", "DOCKER_CONTEXT")  # set by the user who runs the tests
        return {
            **{name: value for name, value in os.environ.items() if name not in others},
            "WHERRY_IMAGE": str(self.image),
            "DOCKER_CONFIG": str(self.docker_config),
            "PYTHONPATH": str(ROOT),
            "DOCKER_CLI_HINTS": "false",
            "BUILDKIT_PROGRESS": "plain",
        }

    @property
    def socket(self) -> str:
        """The value for DOCKER_HOST."""
        return str(self.json("env")["DOCKER_HOST"])

    def wherry(self, *arguments: str, check: bool = True, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
        """Run a `wherry` command."""
        done = subprocess.run(
            [*WHERRY, "--home", str(self.home), *arguments],
            env=self.environment, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(
                f"wherry {arguments} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
            )
        return done

    def json(self, *arguments: str, check: bool = False) -> dict[str, Any]:
        """Run a `wherry` command with --json and decode its output."""
        loaded = json.loads(self.wherry(*arguments, "--json", check=check).stdout)
        assert isinstance(loaded, dict)
        return loaded

    def status(self) -> dict[str, Any]:
        """The output of `wherry status --json`."""
        return self.json("status")

    def docker(
        self, *arguments: str, check: bool = True, input_: str | bytes | None = None, timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker CLI, which finds the engine by the context that Wherry created."""
        data = input_.encode() if isinstance(input_, str) else input_ or b""
        done = subprocess.run(
            [str(self.tools.docker), *arguments],
            env=self.environment, capture_output=True, timeout=timeout_s, input=data, check=False,
        )  # fmt: skip
        text = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and text.returncode != 0:
            raise AssertionError(f"docker {arguments} -> {text.returncode}\n{text.stdout}\n{text.stderr}")
        return text

    @contextlib.contextmanager
    def docker_stream(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A running docker command; ended with the block."""
        process = subprocess.Popen(
            [str(self.tools.docker), *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
            bufsize=1,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=30)

    def import_busybox(self) -> None:
        """Create the image `busybox:test` from Debian's static busybox."""
        self.docker("import", "--change", 'CMD ["/bin/sh"]', "-", BUSYBOX, input_=busybox_tar(self.tools.busybox))

    def agent_pid(self) -> int | None:
        """Process id of this home's agent, found by its command line."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[1:3] == [b"-m", b"backend.agent"] and str(self.home).encode() in words:
                        return int(entry.name)
        return None

    def logs(self) -> str:
        """The last lines of all logs, for failure messages."""
        parts = []
        for path in sorted((self.home / "logs").glob("*")):
            text = path.read_text(errors="replace")
            parts.append(f"--- {path.name}\n{text[-3000:]}")
        return "\n".join(parts)


def busybox_tar(busybox: Path, *, program: Path | None = None) -> bytes:
    """A root file system with only busybox and links for its commands, as a tar archive.

    program: the busybox to put into it, if it is for another architecture than `busybox`, which lists the commands.
    """
    names = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in ("bin", "etc", "tmp", "root", "var", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        content = (program or busybox).read_bytes()
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
        for name in names:
            if name != "busybox":
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        passwd = b"root:x:0:0:root:/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(passwd)
        archive.addfile(entry, io.BytesIO(passwd))
    return buffer.getvalue()
