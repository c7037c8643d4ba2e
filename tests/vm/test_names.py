"""Name resolution from inside containers, and access to this computer, on the real machine."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.dns import ZoneServer
from tests.vm.support import dns_load
from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm

RECORDS = [
    ("only-here.test", 300, "A", "192.0.2.9"),
    ("six.test", 300, "AAAA", "2001:db8::6"),
    ("text.test", 300, "TXT", '"some words"'),
    ("big.test", 300, "TXT", " ".join(f'"{"x" * 250}"' for _ in range(8))),
    *(("many.test", 300, "A", f"203.0.113.{number}") for number in range(60)),
    ("*.load.test", 300, "A", "192.0.2.8"),
]
ASK = """
for name in only-here.test nix.test; do nslookup -type=a $name; done
nslookup -type=aaaa six.test
nslookup -type=aaaa only-here.test
nslookup -type=txt text.test
nslookup -type=a many.test
echo said; wget -q -T 10 -O - http://host.docker.internal:PORT/; echo
wget -q -T 10 -O - http://x:PORT/; echo; nslookup -type=a gateway.docker.internal
"""


@contextmanager
def greeter(address: str = "127.0.0.1") -> Iterator[int]:
    """A service on this computer's loopback that greets by HTTP; yields its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(10)
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\nhello from here\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=20)


@contextmanager
def named(machine: Machine, server: ZoneServer) -> Iterator[None]:
    """Make the machine use this DNS server; starts once the guest gets replies from it."""
    machine.wherry("config", "set", "network.dns", f"127.0.0.1#{server.port}")
    try:
        yield
    finally:
        machine.wherry("config", "set", "network.dns", "")


def test_names_of_the_host_and_its_services_from_every_network(machine: Machine) -> None:
    machine.docker("network", "create", "names")
    with ZoneServer(RECORDS) as server, greeter() as port, named(machine, server):
        wait_until("the setting to be taken up", lambda: resolves(machine), timeout_s=60)
        for network in ("bridge", "names", "host"):
            said = machine.docker(
                "run", "--rm", "--network", network, "--add-host", "x:host-gateway", BUSYBOX,
                "sh", "-c", ASK.replace("PORT", str(port)),
            ).stdout  # fmt: skip
            names, _, services = said.partition("said\n")
            assert names.count("192.0.2.9") == 1, said
            assert "nix.test: NXDOMAIN" in names
            assert "2001:db8::6" not in names, "of no use without IPv6"
            assert "six.test: NXDOMAIN" not in names, "but the name is there"
            assert "some words" in names
            assert names.count("203.0.113.") >= 20, "as many as fit into a datagram: old clients never ask over TCP"
            assert services.count("hello from here") == 2, "host.docker.internal and host-gateway"
            assert "Address: 10.0.2.2" in services
    machine.docker("network", "rm", "names")


def resolves(machine: Machine, name: str = "only-here.test") -> bool:
    return "192.0.2.9" in machine.wherry("shell", f"nslookup -type=a {name}", check=False).stdout


BIND = (
    "use Socket; for ([SOCK_DGRAM, 17], [SOCK_STREAM, 6]) { socket(my $s, PF_INET, $$_[0], $$_[1]) or die;"
    " bind($s, sockaddr_in(53, INADDR_ANY)) or die; push @all, $s } print qq(bound\n)"
)


def test_a_program_on_port_53_of_all_addresses_does_not_interfere(machine: Machine) -> None:
    dns_load.import_perl(machine)
    said = machine.docker("run", "--rm", "--network", "host", dns_load.PERL, "/usr/bin/perl", "-e", BIND).stdout
    assert said == "bound\n"


def times_on_its_own(machine: Machine) -> int:
    return int(machine.wherry("shell", "grep -c 'using nameserver 10.0.2.3#53' /data/log/dns.log", check=False).stdout)


def test_names_resolve_without_an_agent_and_as_before_with_the_next(machine: Machine) -> None:
    with ZoneServer(RECORDS) as server, named(machine, server):
        wait_until("the setting to be taken up", lambda: resolves(machine), timeout_s=60)
        machine.docker("run", "-d", "--name", "asking", BUSYBOX, "sh", "-c", "while :; do nslookup -type=a "
                       "host.docker.internal >/dev/null && echo yes || echo no; sleep 0.1; done")  # fmt: skip
        agent, before = machine.agent_pid(), times_on_its_own(machine)
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        # The next agent comes with this command.
        assert times_on_its_own(machine) > before, "QEMU's resolver was asked while there was no agent"
        wait_until("the next agent to be asked", lambda: resolves(machine), timeout_s=60)
        answers = machine.docker("logs", "asking").stdout.split()
        assert answers
        assert "no" not in answers
        machine.docker("rm", "-f", "asking")


def test_a_dead_forwarder_is_started_again_and_leaves_no_second_rule(machine: Machine) -> None:
    said = machine.wherry(
        "shell",
        "kill -9 $(cat /run/wherry/pid/dns); for i in $(seq 100); do sleep 0.2; "
        "[ -e /run/wherry/dns-led ] && kill -0 $(cat /run/wherry/pid/dns) 2>/dev/null && break; done; "
        "iptables -t nat -S | grep -c 'dport 53 .*DNAT'; nslookup -type=a host.docker.internal",
        check=False,
    ).stdout
    assert said.startswith("4\n")
    assert "Address: 10.0.2.2" in said


def test_a_burst_of_queries_loses_none(machine: Machine) -> None:
    with ZoneServer(RECORDS) as server, named(machine, server):
        wait_until("the setting to be taken up", lambda: resolves(machine), timeout_s=60)
        figures = dns_load.run_load(machine, server="10.0.2.3", rate=500, seconds=2, names=200)
    assert figures.sent > 300, figures
    assert (figures.lost, figures.bad) == (0, 0), figures


@pytest.mark.slow
def test_with_ipv6_containers_reach_this_computers_loopback_by_it(fresh: Machine) -> None:
    fresh.wherry("config", "set", "network.ipv6", "on")
    fresh.wherry("start")
    fresh.import_busybox()
    fresh.docker("network", "create", "six")
    with greeter("::1") as port, ZoneServer(RECORDS) as server, named(fresh, server):
        wait_until("the setting to be taken up", lambda: resolves(fresh), timeout_s=60)
        for network in ("bridge", "six"):
            said = fresh.docker(
                "run", "--rm", "--network", network, BUSYBOX, "sh", "-c",
                f"echo GET | nc -w 10 fec0::2 {port}; nslookup -type=aaaa six.test",
            ).stdout  # fmt: skip
            assert "hello from here" in said
            assert "2001:db8::6" in said
