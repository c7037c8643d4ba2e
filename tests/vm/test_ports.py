"""Published ports, reached by third-party clients: the docker CLI, Compose, Testcontainers, plain sockets.

WHERRY_PORT_ROUNDS: how often a container is run and reached at once (4; the goal is held with 1,000).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.support import servers
from tests.vm.support.machine import ROOT, Machine, wait_until
from tests.vm.support.servers import call, call_udp

pytestmark = pytest.mark.vm

ROUNDS = int(os.environ.get("WHERRY_PORT_ROUNDS", "4"))
LOOPBACK = "127.0.0.1"
BOTH = (LOOPBACK, "::1")
_SERVER_S = 60.0


@pytest.fixture(scope="module")
def image(machine: Machine) -> str:
    return servers.make_image(machine)


@pytest.fixture
def containers(machine: Machine) -> Iterator[list[str]]:
    """Names of containers to remove after the test."""
    names: list[str] = []
    yield names
    machine.docker("rm", "-f", *names, check=False)


def free_ports(count: int = 1) -> int:
    """The first of `count` consecutive free ports, outside the range of ephemeral ports."""
    for first in range(11_000 + os.getpid() % 5_000, 20_000, count):
        try:
            for port in range(first, first + count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((LOOPBACK, port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def await_server(machine: Machine, container: str) -> None:
    """Wait until the program in the container prints that it listens."""
    wait_until(
        f"the server in {container}",
        lambda: "ready" in machine.docker("logs", container).stdout,
        timeout_s=_SERVER_S,
        every_s=0.05,
    )


def is_open(address: str, port: int) -> bool:
    """Whether a connection is accepted there."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def reach(port: int, counts: dict[str, int]) -> None:
    """Connect immediately: the port must accept. Until the container's program listens, there is no reply."""
    deadline = time.monotonic() + _SERVER_S
    while True:
        try:
            if call(LOOPBACK, port) == b"hello":
                return
        except ConnectionResetError:
            pass
        assert time.monotonic() < deadline, "the container's program never listened"
        counts["early"] += 1
        time.sleep(0.02)


def test_every_kind_of_port(machine: Machine, image: str, containers: list[str]) -> None:
    """Single ports and ranges, TCP and UDP, both loopback addresses, fixed and random; closed at the end."""
    first = free_ports(16)
    containers.append("kinds")
    machine.docker(
        "run", "-d", "--name", "kinds", "-p", f"{first}:80", "-p", f"{first + 1}:53/udp", "-p", f"[::1]:{first + 2}:80",
        "-p", f"{LOOPBACK}:{first + 4}-{first + 7}:9000-9003", "-p", "80", image,
        "tcp:0.0.0.0:80", "udp:0.0.0.0:53", "tcp:0.0.0.0:9000-9003",
    )  # fmt: skip
    said = json.loads(machine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", "kinds").stdout)
    random_port = next(
        int(row["HostPort"]) for row in said["80/tcp"] if int(row["HostPort"]) not in range(first, first + 9)
    )
    await_server(machine, "kinds")
    for address in BOTH:
        assert call(address, first) == b"hello"
        assert call(address, random_port) == b"hello"
        assert call_udp(address, first + 1, b"x" * 1400) == b"x" * 1400
    assert call("::1", first + 2) == b"hello"
    assert not is_open(LOOPBACK, first + 2)
    for port in range(first + 4, first + 8):
        assert call(LOOPBACK, port) == b"hello"
        assert not is_open("::1", port)
    assert {(row["HostIp"], row["HostPort"]) for row in said["80/tcp"]} == {
        (LOOPBACK, str(first)), ("::1", str(first + 2)), (LOOPBACK, str(random_port)),
    }  # fmt: skip
    assert f"[::1]:{first + 2}" in machine.docker("port", "kinds", "80").stdout
    machine.docker("stop", "-t", "2", "kinds")
    for address, port in [(LOOPBACK, first), ("::1", first), ("::1", first + 2), (LOOPBACK, first + 4)]:
        assert not is_open(address, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, first + 1))


def test_run_then_connect_at_once(machine: Machine, image: str, containers: list[str]) -> None:
    counts = {"early": 0}
    port = free_ports()
    for number in range(ROUNDS):
        name = f"round-{number % 2}"
        containers.append(name)
        machine.docker(
            "run", "-d", "--rm", "--name", name, "-p", f"{port}:80" if number % 2 else "80", image, "tcp:0.0.0.0:80"
        )
        where = port
        if not number % 2:
            where = int(machine.docker("port", name, "80").stdout.split()[0].rpartition(":")[2])
        reach(where, counts)
        machine.docker("rm", "-f", name)
        assert not is_open(LOOPBACK, where)
    print(f"{ROUNDS} rounds; connections before the container's program listened: {counts['early']}")


def test_a_conflict_names_the_program_and_starts_nothing(machine: Machine, image: str, containers: list[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        containers.append("late")
        done = machine.docker("run", "-d", "--name", "late", "-p", f"{port}:80", image, "tcp:0.0.0.0:80", check=False)
        assert done.returncode == 125
        assert "port is already allocated" in done.stderr
        assert f"Port {port} on 127.0.0.1 is used by " in done.stderr
        assert f"(process {os.getpid()})" in done.stderr
        assert machine.docker("inspect", "-f", "{{.State.Status}} {{.State.StartedAt}}", "late").stdout.startswith(
            "created 0001"
        )
    machine.docker("start", "late")
    await_server(machine, "late")
    assert call(LOOPBACK, port) == b"hello"


# Prints "ok" for each address at which the port answers, by TCP and by UDP; "no" where it does not within 2 s.
ASKER = r"""
use Socket;
$SIG{ALRM} = sub { die };
for my $address (split / /, shift) {
    for ([SOCK_STREAM, $ENV{TCP}], [SOCK_DGRAM, $ENV{UDP}]) {
        my $answer = "";
        eval {
            alarm 2;
            socket my $s, PF_INET, $_->[0], 0;
            connect $s, sockaddr_in($_->[1], inet_aton($address)) or die;
            syswrite $s, "hello";
            sysread $s, $answer, 5;
        };
        alarm 0;
        print $answer eq "hello" ? "ok " : "no ";
    }
}
"""


def test_containers_reach_published_ports_at_any_gateway(machine: Machine, image: str, containers: list[str]) -> None:
    """As on a host with dockerd, where its proxy listens: Testcontainers in a container looks for the host there."""
    tcp = free_ports(2)
    containers.append("published")
    networks = {"apart": (), "closed": ("--internal",)}
    for name, options in networks.items():
        machine.docker("network", "create", *options, name)
    try:
        machine.docker(
            "run", "-d", "--name", "published", "--network", "bridge", "-p", f"{tcp}:80", "-p", f"{tcp + 1}:53/udp",
            image, "tcp:0.0.0.0:80", "udp:0.0.0.0:53",
        )  # fmt: skip
        await_server(machine, "published")
        format_ = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
        gateways = machine.docker("network", "inspect", "-f", format_, "bridge", "apart", "closed").stdout.split()

        def asked(network: str, *gateways: str) -> list[str]:
            return machine.docker(
                "run", "--rm", "--network", network, "-e", f"TCP={tcp}", "-e", f"UDP={tcp + 1}",
                "--entrypoint", "perl", image, "-e", ASKER, " ".join(gateways),
            ).stdout.split()  # fmt: skip

        for network in ("bridge", "apart", "container:published"):
            assert asked(network, *gateways) == ["ok"] * 6, network
        assert asked("closed", gateways[2]) == ["no", "no"]
        machine.docker("stop", "-t", "0", "published")
        assert asked("bridge", gateways[1]) == ["no", "no"], "they went with the container"
    finally:
        machine.docker("rm", "-f", "published")
        machine.docker("network", "rm", *networks)


COMPOSE = """
services:
  web: {image: "%s", command: ["tcp:0.0.0.0:80", "udp:0.0.0.0:53"], ports: ["80", "53/udp"], restart: always}
  second: {image: "%s", command: ["tcp:0.0.0.0:80"], ports: ["80"], depends_on: [web]}
"""


def test_compose_up_then_connect(machine: Machine, image: str, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE % (image, image))
    compose = ("compose", "--project-directory", str(tmp_path), "-p", "ported")
    machine.docker(*compose, "up", "-d")
    try:
        counts = {"early": 0}
        for service in ("web", "second"):
            port = machine.docker(*compose, "port", service, "80").stdout.strip()
            assert port.startswith(f"{LOOPBACK}:")
            reach(int(port.rpartition(":")[2]), counts)
        udp = machine.docker(*compose, "port", "--protocol", "udp", "web", "53").stdout.strip()
        assert call_udp(LOOPBACK, int(udp.rpartition(":")[2])) == b"hello"
        # A restart by the engine's own policy: no client's request is held, the port is there again all the same.
        identity = machine.docker(*compose, "ps", "-q", "web").stdout.strip()
        machine.docker("exec", identity, "kill", "1", check=False)  # it ends with the container
        format_ = '{{.RestartCount}} {{with index .NetworkSettings.Ports "80/tcp"}}{{(index . 0).HostPort}}{{end}}'
        again = wait_until(
            "the restarted container",
            lambda: machine.docker("inspect", "-f", format_, identity).stdout.removeprefix("0 ").split()[1:],
            timeout_s=_SERVER_S,
        )
        wait_until("its port", lambda: is_open(LOOPBACK, int(again[0])), timeout_s=20)
        reach(int(again[0]), counts)
    finally:
        machine.docker(*compose, "down", "-t", "0")


def test_testcontainers_with_its_own_wait_strategies(machine: Machine, image: str) -> None:
    environment = machine.environment | {
        "DOCKER_HOST": machine.socket,
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        # These tests may run in a container themselves, where it would not take "localhost" of itself.
        "TESTCONTAINERS_HOST_OVERRIDE": "localhost",
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "vm" / "support" / "testcontainers_client.py"), image],
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"port": "hello", "log": "hello", "http": "hello\n", "count": 2}


def test_what_a_container_with_the_hosts_network_listens_on(
    machine: Machine, image: str, containers: list[str]
) -> None:
    first = free_ports(2)
    containers.append("host-net")
    machine.docker(
        "run", "-d", "--name", "host-net", "--network", "host", image,
        f"tcp:0.0.0.0:{first}", f"tcp:127.0.0.1:{first + 1}", f"udp:0.0.0.0:{first}",
    )  # fmt: skip
    await_server(machine, "host-net")
    wait_until("its ports", lambda: is_open(LOOPBACK, first) and is_open(LOOPBACK, first + 1), timeout_s=20)
    assert call(LOOPBACK, first) == call(LOOPBACK, first + 1) == b"hello"
    assert call_udp(LOOPBACK, first) == b"hello"
    machine.docker("rm", "-f", "host-net")
    wait_until("its ports' end", lambda: not is_open(LOOPBACK, first), timeout_s=20)
