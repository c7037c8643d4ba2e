"""Sending a large build context: `python tests/bench/bench_build_context.py [--native SOCKET]`.

Two contexts of 41 MB, of 4,000 files and of 4, are built with BuildKit, in turn and in the same run: through Wherry,
through `ssh -L` into the same machine, and by a dockerd on this computer, if its socket is given (a dockerd of the same
version; the image `busybox:test` is imported into it). Every file is touched before, so that all are sent each time.

Beside the time: processor seconds of Wherry's agent and of QEMU, and in the guest those of dockerd and of the SSH
server, so that it shows where the time goes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.bench_endpoint import ssh_forward  # noqa: E402
from tests.vm.support.machine import BUSYBOX, Machine, busybox_tar  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402

_BYTES = 41_000_000
_GUEST_TIMES = 'for p in /proc/[0-9]*; do cat "$p/stat" 2>/dev/null; done'
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Taken:
    """What the builds of one context through one side took, in seconds."""

    whole: list[float] = field(default_factory=list)
    agent: list[float] = field(default_factory=list)
    qemu: list[float] = field(default_factory=list)
    dockerd: list[float] = field(default_factory=list)
    sshd: list[float] = field(default_factory=list)


def write_context(directory: Path, files: int) -> None:
    """A context of `files` files whose bytes do not compress."""
    dice = random.Random(files)
    for number in range(files):
        path = directory / str(number // 100) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(_BYTES // files))
    (directory / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY . /context\n")


def processor_seconds(pid: int | None) -> float:
    """Of a process of this computer; 0.0 without one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def guest_seconds(machine: Machine) -> dict[str, float]:
    """Processor seconds of the guest's processes, by name, in the guest's time."""
    found: dict[str, float] = {}
    for line in machine.wherry("shell", _GUEST_TIMES).stdout.splitlines():
        name, _, rest = line.partition("(")[2].rpartition(")")
        fields = rest.split()
        if len(fields) > 12:
            found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / 100
    return found


def build(machine: Machine, url: str, context: Path, into: Taken) -> None:
    """Build once and add what it took."""
    for path in context.rglob("*"):
        path.touch()
    pids = (machine.agent_pid(), int(str(machine.status()["pid"])))
    agent, qemu, before = processor_seconds(pids[0]), processor_seconds(pids[1]), guest_seconds(machine)
    begun = time.monotonic()
    subprocess.run(
        [str(machine.tools.docker), "-H", url, "build", "--quiet", "--tag", "context:bench", str(context)],
        env={**machine.environment, "DOCKER_BUILDKIT": "1"}, check=True, capture_output=True, timeout=1800,
    )  # fmt: skip
    into.whole.append(time.monotonic() - begun)
    guest = guest_seconds(machine)
    into.agent.append(processor_seconds(pids[0]) - agent)
    into.qemu.append(processor_seconds(pids[1]) - qemu)
    into.dockerd.append(guest.get("dockerd", 0.0) - before.get("dockerd", 0.0))
    into.sshd.append(guest.get("sshd-session", 0.0) - before.get("sshd-session", 0.0))


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("WHERRY_TEST_IMAGE"), help="guest image directory")
    parser.add_argument("--native", type=Path, help="socket of a dockerd on this computer")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        base = Path(name)
        tools = find_tools()
        (base / "docker").mkdir()
        (base / "docker/cli-plugins").symlink_to(tools.plugins)
        machine = Machine(home=base / "home", image=options.image, tools=tools, docker_config=base / "docker")
        machine.wherry("config", "set", "machine.accelerator", "tcg")
        stack.callback(lambda: machine.wherry("stop", "--kill", "--quit", check=False))
        machine.wherry("start", timeout_s=900)
        machine.import_busybox()
        sides = {"wherry": machine.socket}
        sides["ssh -L"] = f"unix://{stack.enter_context(ssh_forward(machine, base / 'ssh.sock'))}"
        if options.native is not None:
            sides["native"] = f"unix://{options.native}"
            subprocess.run(
                [str(tools.docker), "-H", sides["native"], "import", "-", BUSYBOX],
                input=busybox_tar(tools.busybox), check=True, capture_output=True, timeout=60,
            )  # fmt: skip
        for files in (4000, 4):
            context = base / f"context-{files}"
            write_context(context, files)
            taken = {side: Taken() for side in sides}
            for _ in range(options.rounds):
                for side, url in sides.items():
                    build(machine, url, context, taken[side])
            print(f"{files} files, {_BYTES / 1e6:.0f} MB; seconds, medians of {options.rounds}")
            print(f"{'':10} {'whole':>8} {'agent':>8} {'QEMU':>8} {'dockerd':>8} {'sshd':>8}")
            for side, one in taken.items():
                columns = (one.whole, one.agent, one.qemu, one.dockerd, one.sshd)
                print(f"{side:10} {' '.join(f'{statistics.median(column):8.1f}' for column in columns)}")


if __name__ == "__main__":
    main()
