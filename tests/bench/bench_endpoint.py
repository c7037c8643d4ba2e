"""The docker endpoint beside `ssh -L` into the same running machine: `python tests/bench/bench_endpoint.py`.

For each, in turn and in the same run: the time of GET /_ping, on a new connection each and on one kept open, and the
throughput of `docker save` of an image of 200 MiB that does not compress. ssh is asked with its own choice of cipher
and with the one that Wherry uses.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.vm.support.machine import BUSYBOX, Machine, wait_until  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402

_PING = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"


@contextlib.contextmanager
def ssh_forward(machine: Machine, path: Path, *options: str) -> Iterator[Path]:
    """`ssh -L` from a socket of ours to the guest's."""
    process = subprocess.Popen(
        [
            "ssh", "-F", "none", "-N", "-i", str(machine.home / "keys/client_ed25519"), "-o", "IdentitiesOnly=yes",
            "-o", f'UserKnownHostsFile="{machine.home}/keys/known_hosts"', "-o", "LogLevel=ERROR", *options,
            "-L", f"{path}:/run/docker.sock", "-p", str(machine.status()["ssh_port"]), "root@127.0.0.1",
        ]
    )  # fmt: skip
    try:
        wait_until("ssh -L to listen", path.exists, timeout_s=60)
        yield path
    finally:
        process.terminate()
        process.wait(timeout=20)


def ping(path: Path, connection: socket.socket | None = None) -> float:
    """Milliseconds of one GET /_ping; on a connection of its own unless one is given."""
    begun = time.perf_counter()
    used = connection or connect(path)
    used.sendall(_PING)
    answer = b""
    while not answer.endswith(b"\r\n\r\nOK"):
        chunk = used.recv(4096)
        assert chunk, answer
        answer += chunk
    if connection is None:
        used.close()
    return (time.perf_counter() - begun) * 1000


def connect(path: Path) -> socket.socket:
    """A connection to a Unix socket."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(60)
    made.connect(str(path))
    return made


def save(machine: Machine, path: Path, image: str) -> float:
    """MB/s of `docker save` through a socket, by the docker CLI."""
    begun = time.monotonic()
    saving = subprocess.Popen(
        [str(machine.tools.docker), "-H", f"unix://{path}", "save", image],
        env=machine.environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert saving.stdout is not None
    total = 0
    while chunk := saving.stdout.read(1_048_576):
        total += len(chunk)
    assert saving.wait(timeout=60) == 0
    return total / 1e6 / (time.monotonic() - begun)


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("WHERRY_TEST_IMAGE"), help="guest image directory")
    parser.add_argument("--pings", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of docker save")
    parser.add_argument("--mib", type=int, default=200, help="size of the image that is saved")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        base = Path(name)
        (base / "docker").mkdir()
        machine = Machine(home=base / "home", image=options.image, tools=find_tools(), docker_config=base / "docker")
        machine.wherry("config", "set", "machine.accelerator", "tcg")
        stack.callback(lambda: machine.wherry("stop", "--kill", check=False))
        machine.wherry("start", timeout_s=900)
        machine.import_busybox()
        machine.docker("run", "--name", "bulk", BUSYBOX, "dd", "if=/dev/urandom", "of=/bulk", "bs=1M",
                       f"count={options.mib}", timeout_s=900)  # fmt: skip
        machine.docker("commit", "bulk", "bulk:bench")
        sides = {
            "wherry": Path(machine.socket.removeprefix("unix://")),
            "ssh -L": stack.enter_context(ssh_forward(machine, base / "default.sock")),
            "ssh -L aes128-gcm": stack.enter_context(
                ssh_forward(machine, base / "gcm.sock", "-o", "Ciphers=aes128-gcm@openssh.com")
            ),
        }
        print(f"{'':20} {'new connection':>16} {'kept open':>12} {'docker save':>14}")
        results: dict[str, tuple[list[float], list[float], list[float]]] = {side: ([], [], []) for side in sides}
        kept = {side: connect(path) for side, path in sides.items()}
        for _ in range(options.pings):
            for side, path in sides.items():
                results[side][0].append(ping(path))
                results[side][1].append(ping(path, kept[side]))
        for connection in kept.values():
            connection.close()
        for _ in range(options.rounds):
            for side, path in sides.items():
                results[side][2].append(save(machine, path, "bulk:bench"))
        for side, (fresh, held, bulk) in results.items():
            print(
                f"{side:20} {statistics.median(fresh):13.2f} ms {statistics.median(held):9.2f} ms "
                f"{statistics.median(bulk):9.1f} MB/s"
            )


if __name__ == "__main__":
    main()
