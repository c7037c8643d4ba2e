"""Published ports beside a static forward of QEMU's to the same program: `python tests/bench/bench_ports.py`.

The program runs in a container with a published port, as everybody publishes them. A forward made by hand at QEMU's
monitor leads to that same container; another leads to the program in a container with the machine's own network, which
shows what the bridge and the address translation in the guest cost. In turn and in the same run: bytes out of the
machine, bytes into it, and the time from connecting to the first byte back. The published port is measured on 127.0.0.1
(a forward of QEMU's) and on ::1 (a relay before it).

Then: how long it takes to open one more port with 1, 100 and 1,000 present, rounds of `docker run -d -p` and a
connection at once, and one container that publishes a whole range, of which each port must answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from backend import host  # noqa: E402
from backend.addresses import Forward, Protocol  # noqa: E402
from backend.net.ports.forwarder import Forwarder  # noqa: E402
from backend.net.ports.relay import Relay  # noqa: E402
from backend.vm.monitor import Monitor  # noqa: E402
from backend.vm.spec import SSH_PORT, UnixAddress  # noqa: E402
from backend.vm.usernet import HostForward  # noqa: E402
from tests.vm.support import servers  # noqa: E402
from tests.vm.support.machine import Machine, wait_until  # noqa: E402
from tests.vm.support.tools import find_tools  # noqa: E402

LOOPBACK = "127.0.0.1"
_GUEST_PORT = 8099
_TIMEOUT_S = 120.0


def free_port() -> int:
    """One that nobody has now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def out(address: str, port: int, count: int) -> float:
    """MB/s out of the machine."""
    begun = time.perf_counter()
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"SOURCE %d\n" % count)
        got = 0
        while data := connection.recv(262_144):
            got += len(data)
    assert got == count, f"{got} of {count} bytes came"
    return count / 1e6 / (time.perf_counter() - begun)


def into(address: str, port: int, count: int) -> float:
    """MB/s into the machine, until the program has it all."""
    begun = time.perf_counter()
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"SINK\n")
        connection.sendall(bytes(count))
        connection.shutdown(socket.SHUT_WR)
        assert int(connection.recv(100)) == count
    return count / 1e6 / (time.perf_counter() - begun)


def first_byte(address: str, port: int) -> float:
    """Milliseconds from connecting to the first byte back."""
    begun = time.perf_counter()
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        return (time.perf_counter() - begun) * 1000


def relay_process(target: int, ready: multiprocessing.SimpleQueue[int]) -> None:
    """A relay as the agent opens it, in a process of its own as the agent is one."""

    async def serve() -> None:
        relay = await Relay.open(Protocol.TCP, "::1", 0, (LOOPBACK, target))
        ready.put(relay.port)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@contextlib.contextmanager
def relay_to(target: int) -> Iterator[int]:
    """A relay on ::1; gives its port."""
    context = multiprocessing.get_context("spawn")
    ready = context.SimpleQueue()
    process = context.Process(target=relay_process, args=(target, ready))
    process.start()
    try:
        yield ready.get()
    finally:
        process.terminate()
        process.join()


def compare(sides: dict[str, tuple[str, int]], *, rounds: int, mib: int, connects: int) -> None:
    """In turn, in the opposite order every other time; prints medians, and what the published one has of the static."""
    results: dict[str, dict[str, list[float]]] = {name: {"out": [], "into": [], "first": []} for name in sides}
    for number in range(rounds):
        order = list(sides.items())[:: -1 if number % 2 else 1]
        for name, (address, port) in order:
            results[name]["out"].append(out(address, port, mib << 20))
            results[name]["into"].append(into(address, port, mib << 20))
        for _ in range(connects):
            for name, (address, port) in order:
                results[name]["first"].append(first_byte(address, port))
    print(f"{'':24} {'out':>14} {'into':>14} {'first byte':>14}")
    for name, measured in results.items():
        rates = [statistics.median(measured[what]) for what in ("out", "into", "first")]
        print(f"{name:24} {rates[0]:9.1f} MB/s {rates[1]:9.1f} MB/s {rates[2]:11.2f} ms")
    static, published = results["static, same container"], results["published, 127.0.0.1"]
    for what in ("out", "into"):
        ratios = [ours / theirs for ours, theirs in zip(published[what], static[what], strict=True)]
        print(f"published / static, {what}: {statistics.median(ratios):.3f} (median of {rounds} pairs)")


async def time_forwards(monitor: Monitor, qemu: int, counts: list[int], tries: int) -> None:
    """Open and close one more port with so many present, as the reconciler does it; prints medians and the longest."""
    this = host.current()
    forwarder = Forwarder(
        lambda: monitor,
        guest_ssh_port=lambda: SSH_PORT,
        deepen=lambda descriptor, backlog: this.deepen_backlog(qemu, descriptor, backlog),
    )

    def forward(port: int) -> Forward:
        return Forward(
            protocol=Protocol.TCP, host_ip=LOOPBACK, host_port=port, guest_ip=LOOPBACK, guest_port=_GUEST_PORT
        )

    made: list[Forward] = []
    for count in counts:
        while len(made) < count:
            made.append(forward(free_port()))
            await forwarder.open(made[-1])
        await forwarder.deepen()
        times = []
        for _ in range(tries):
            one_more = forward(free_port())
            begun = time.perf_counter()
            await forwarder.open(one_more)
            await forwarder.deepen()
            times.append((time.perf_counter() - begun) * 1000)
            await forwarder.close(one_more)
        print(f"one more port with {count:5} present: {statistics.median(times):6.1f} ms, at most {max(times):.1f}")
    for one in made:
        await forwarder.close(one)


async def at_the_monitor(machine: Machine, published: int, qemu: int, options: argparse.Namespace) -> None:
    """Everything that needs the monitor to ourselves: the agent is away."""
    monitor = Monitor()
    address = UnixAddress(path=Path(machine.socket.removeprefix("unix://")).with_name("monitor.sock"))
    await monitor.connect(address, timeout_s=30)
    try:
        static = HostForward(Protocol.TCP, LOOPBACK, free_port(), "", _GUEST_PORT)
        await monitor.add_forward(static)
        same = HostForward(Protocol.TCP, LOOPBACK, free_port(), LOOPBACK, published)
        await monitor.add_forward(same)
        with relay_to(published) as relayed:
            sides = {
                "static, no bridge": (LOOPBACK, static.host_port),
                "static, same container": (LOOPBACK, same.host_port),
                "published, 127.0.0.1": (LOOPBACK, published),
                "published, ::1": ("::1", relayed),
            }
            await asyncio.to_thread(compare, sides, rounds=options.rounds, mib=options.mib, connects=options.connects)
        await time_forwards(monitor, qemu, options.present, options.tries)
        await monitor.remove_forward(static)
        await monitor.remove_forward(same)
    finally:
        await monitor.aclose()


def run_then_connect(machine: Machine, rounds: int) -> None:
    """`docker run -d -p`, then a connection at once: the port must take it."""
    refused, early = 0, 0
    port = free_port()
    times = []
    for number in range(rounds):
        begun = time.perf_counter()
        machine.docker("run", "-d", "--rm", "--name", "round", "-p", f"{port}:80", servers.IMAGE, "tcp:0.0.0.0:80")
        times.append(time.perf_counter() - begun)
        while True:
            try:
                if servers.call(LOOPBACK, port) == b"hello":
                    break
            except ConnectionRefusedError:
                refused += 1
            except ConnectionResetError:
                early += 1
            time.sleep(0.02)
        machine.docker("rm", "-f", "round")
        if (number + 1) % 100 == 0:
            print(f"  {number + 1} rounds, {refused} refused", flush=True)
    print(
        f"run, then connect at once: {rounds} rounds, {refused} refused, {early} before the program listened; "
        f"docker run {statistics.median(times):.2f} s"
    )


def publish_range(machine: Machine, count: int) -> None:
    """One container with so many published ports. Most of the time is the engine's, for its iptables."""
    first = next(port for port in range(30_000, 60_000, count) if all(is_free(port + each) for each in range(count)))
    begun = time.perf_counter()
    machine.docker(
        "run", "-d", "--rm", "--name", "range", "-p", f"{first}-{first + count - 1}:9000-{8999 + count}",
        servers.IMAGE, f"tcp:0.0.0.0:9000-{8999 + count}", timeout_s=3600,
    )  # fmt: skip
    ran = time.perf_counter() - begun
    wait_until("the range", lambda: "ready" in machine.docker("logs", "range").stdout, timeout_s=60)
    answers = sum(servers.call(LOOPBACK, first + each) == b"hello" for each in range(count))
    begun = time.perf_counter()
    machine.docker("rm", "-f", "range", timeout_s=3600)
    gone = sum(is_free(first + each) for each in range(count))
    print(
        f"{count} ports of one container: docker run {ran:.1f} s, {answers} answer; "
        f"docker rm {time.perf_counter() - begun:.1f} s, {gone} are free again"
    )


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def qemu_pid(machine: Machine) -> int:
    """The process that has the machine's monitor."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"qemu-system" in words[0] and any(str(machine.home).encode() in word for word in words):
                    return int(entry.name)
    raise AssertionError("there is no QEMU of this machine")


def main() -> None:
    """Run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=os.environ.get("WHERRY_TEST_IMAGE"), help="guest image directory")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of transfers")
    parser.add_argument("--mib", type=int, default=48, help="size of one transfer")
    parser.add_argument("--connects", type=int, default=20, help="connections in each round")
    parser.add_argument("--present", type=int, nargs="*", default=[1, 100, 1000], help="ports present")
    parser.add_argument("--tries", type=int, default=20, help="ports opened with so many present")
    parser.add_argument("--runs", type=int, default=20, help="rounds of run-then-connect")
    parser.add_argument("--range", type=int, default=100, help="ports that one container publishes")
    options = parser.parse_args()
    host.current().raise_file_limit()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        base = Path(name)
        (base / "docker").mkdir()
        machine = Machine(home=base / "home", image=options.image, tools=find_tools(), docker_config=base / "docker")
        stack.callback(lambda: machine.wherry("stop", "--kill", "--quit", check=False))
        machine.wherry("start", timeout_s=900)
        servers.make_image(machine)
        published = free_port()
        machine.docker("run", "-d", "--name", "bridged", "-p", f"{published}:80", servers.IMAGE, "tcp:0.0.0.0:80")
        machine.docker("run", "-d", "--name", "plain", "--network", "host", servers.IMAGE, f"tcp:0.0.0.0:{_GUEST_PORT}")
        for container in ("bridged", "plain"):
            wait_until(container, lambda: "ready" in machine.docker("logs", container).stdout, timeout_s=60)  # noqa: B023 -- called at once
        print(f"load: {os.getloadavg()[0]:.1f}, {machine.status()['accelerator']['title']}")
        agent, qemu = machine.agent_pid(), qemu_pid(machine)
        assert agent is not None
        os.kill(agent, signal.SIGKILL)  # what it forwarded stays
        asyncio.run(at_the_monitor(machine, published, qemu, options))
        machine.wherry("start")  # an agent takes the machine over again
        run_then_connect(machine, options.runs)
        publish_range(machine, options.range)
        print(f"load: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
