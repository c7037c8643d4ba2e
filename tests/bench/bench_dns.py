"""Names under load beside QEMU's own resolver, in one machine and one run: `sudo python tests/bench/bench_dns.py`.

The same DNS server on the loopback answers for both: it is this computer's in a mount namespace of the bench's own,
which is why it needs root and a free port 127.0.0.1:53. A container sends queries at a steady rate, each from a socket
of its own, and gives one up after 5 s. QEMU's own resolver is reached past the guest's forwarder, as the forwarder
reaches it. "files" is the most that QEMU had open meanwhile; between the runs its sockets have the time to expire.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fakes.dns import ZoneServer  # noqa: E402
from tests.vm.support import dns_load  # noqa: E402
from tests.vm.support.machine import Machine  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402

_MS_BIND = 4096
_EXPIRE_S = 12
_FORWARDER_UID = "101"
_OWN_NAMESPACE = "WHERRY_BENCH_DNS"
_WAYS = (
    ("QEMU's own resolver", ("--network", "host", "--user", _FORWARDER_UID), "10.0.2.3"),
    ("Wherry, default bridge", (), "10.0.2.3"),
    ("Wherry, user network", ("--network", "bench"), "127.0.0.11"),
)


def serve() -> None:
    """The DNS server, as a process of its own, until it is ended."""
    with ZoneServer([("*.load.test", 300, "A", "192.0.2.8")], port=53):
        print("ready", flush=True)
        while True:
            time.sleep(60)


class Sockets:
    """The most files that a process had open while it was watched."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.most = max(self.most, self._process.num_fds())

    def __enter__(self) -> Sockets:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def measure(machine: Machine, rates: list[int], seconds: float) -> None:
    """Every way at every rate, with names that are new each time and with 200 that repeat."""
    qemu = int(machine.status()["pid"])
    row = "{:<24} {:>9} {:>6} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8} {:>6}"
    print(row.format("", "names", "asked/s", "sent", "lost", "bad", "p50 ms", "p99 ms", "most ms", "files"))
    for rate in rates:
        for names in (0, 200):
            for title, options, server in _WAYS:
                time.sleep(_EXPIRE_S)
                with Sockets(qemu) as sockets:
                    found = dns_load.run_load(machine, *options, server=server, rate=rate, seconds=seconds, names=names)
                print(
                    row.format(
                        title, names or "new", f"{found.rate:.0f}", found.sent, found.lost, found.bad, found.p50,
                        found.p99, found.most, sockets.most,
                    ),
                    flush=True,
                )  # fmt: skip


def main() -> int:
    """Entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, help="a guest image; else WHERRY_TEST_IMAGE")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rates", default="100,500")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    if _OWN_NAMESPACE not in os.environ:
        unshare = shutil.which("unshare")
        if unshare is None or os.geteuid() != 0:
            parser.error("it needs root, and unshare of util-linux")
        os.environ[_OWN_NAMESPACE] = "1"
        os.execv(unshare, [unshare, "-m", "--propagation", "private", sys.executable, *sys.argv])
    image = options.image or Path(os.environ["WHERRY_TEST_IMAGE"])
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as temporary:
        base = Path(temporary)
        resolv = base / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.1\n")
        target = os.path.realpath("/etc/resolv.conf").encode()
        if ctypes.CDLL(None, use_errno=True).mount(str(resolv).encode(), target, None, _MS_BIND, None) != 0:
            parser.error(f"resolv.conf cannot be covered: {os.strerror(ctypes.get_errno())}")
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        machine = Machine(home=base / "home", image=image, tools=find_tools(), docker_config=base / "docker")
        machine.docker_config.mkdir()
        try:
            assert server.stdout is not None
            if server.stdout.readline() != b"ready\n":
                parser.error("127.0.0.1:53 is taken")
            machine.wherry("start")
            dns_load.import_perl(machine)
            machine.docker("network", "create", "bench")
            measure(machine, [int(rate) for rate in options.rates.split(",")], options.seconds)
        finally:
            machine.wherry("stop", "--kill", "--quit", check=False)
            server.kill()
            server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
