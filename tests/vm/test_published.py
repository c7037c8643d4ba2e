"""Published ports on the real machine: at the requested address, from the first connection on, permanently."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.vm.support.machine import BUSYBOX, Machine, wait_until

SERVE = "mkdir -p /www && echo {word} >/www/index.html && exec httpd -f -p 80 -h /www"


def serve(machine: Machine, name: str, *options: str, word: str = "hello") -> None:
    machine.docker(
        "run", "-d", "--stop-timeout", "1", "--name", name, *options, BUSYBOX, "sh", "-c", SERVE.format(word=word)
    )


@pytest.fixture
def containers(machine: Machine) -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    if names:
        machine.docker("rm", "-f", *names, check=False)


def answer(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=20) as response:
        return str(response.read().decode().strip())


def becomes(address: str, port: int, word: str) -> None:
    """Wait for the reply `word`: the server in the container needs a moment to start, unlike the port."""

    def says() -> bool:
        with contextlib.suppress(OSError):
            return answer(address, port) == word
        return False

    wait_until(f"{address} port {port} to say {word}", says, timeout_s=40)


def is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("0.0.0.0", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def given(machine: Machine, name: str) -> dict[str, list[dict[str, str]]]:
    ports: dict[str, list[dict[str, str]]] = json.loads(
        machine.docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", name).stdout
    )
    return ports


def rows(machine: Machine, name: str) -> list[dict[str, Any]]:
    return [row for row in machine.json("ports")["ports"] if row["container"] == name]


def outer_address() -> str | None:
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return str(one.address)
    return None


def test_a_port_answers_at_the_address_that_was_asked_for_and_at_no_other(
    machine: Machine, containers: list[str]
) -> None:
    anywhere, here, six, all_, one = free_ports(5)
    outer = outer_address()
    options = [
        "-p",
        f"{anywhere}:80",
        "-p",
        f"127.0.0.1:{here}:80",
        "-p",
        f"[::1]:{six}:80",
        "-p",
        f"0.0.0.0:{all_}:80",
    ]
    options += ["-p", f"{outer}:{one}:80"] if outer else []
    containers.append("web")
    serve(machine, "web", *options)
    becomes("127.0.0.1", anywhere, "hello")
    for address, port in (("::1", anywhere), ("127.0.0.1", here), ("::1", six), ("127.0.0.1", all_)):
        assert answer(address, port) == "hello", (address, port)
    refused = [("::1", here), ("127.0.0.1", six), ("::1", all_)]
    if outer is not None:
        assert answer(outer, all_) == answer(outer, one) == "hello"
        refused += [(outer, anywhere), (outer, here), ("127.0.0.1", one)]
    for address, port in refused:
        assert is_free(address, port), (address, port)

    expected = {("127.0.0.1", anywhere), ("127.0.0.1", here), ("::1", six), ("0.0.0.0", all_)}
    expected |= {(outer, one)} if outer else set()
    assert {(row["HostIp"], int(row["HostPort"])) for row in given(machine, "web")["80/tcp"]} == expected
    asked = json.loads(machine.docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web").stdout)["80/tcp"]
    assert {row["HostIp"] for row in asked} == {"", "127.0.0.1", "::1", "0.0.0.0"} | ({outer} if outer else set())
    listed = machine.docker("ps", "--filter", "name=^web$", "--format", "{{.Ports}}").stdout
    assert f"127.0.0.1:{anywhere}->80/tcp" in listed
    assert f"[::1]:{six}->80/tcp" in listed
    assert "127.66." not in listed
    shown = {(row["address"], row["port"]) for row in rows(machine, "web")}
    assert shown == expected | {("::1", anywhere)}

    machine.docker("rm", "-f", "web")
    for address, port in expected:
        assert is_free(str(address), port), "the port went with the container"
    assert is_free("::1", anywhere)


def test_a_port_that_another_program_has_starts_nothing_and_names_it(
    machine: Machine, containers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.append("late")
    command = ("sh", "-c", SERVE.format(word="late"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = machine.docker("run", "-d", "--name", "late", "-p", f"{port}:80", BUSYBOX, *command, check=False)
        assert ran.returncode == 125
        assert "port is already allocated" in ran.stderr
        assert f"(process {os.getpid()})" in ran.stderr
        state = json.loads(machine.docker("inspect", "-f", "{{json .State}}", "late").stdout)
        assert state["Status"] == "created", "it has never run"
        assert state["StartedAt"].startswith("0001-")
        assert is_free("::1", port)
        assert rows(machine, "late") == []
        again = machine.docker("start", "late", check=False)
        assert f"(process {os.getpid()})" in again.stderr
        # The client waits for the removal, which is the engine's part, however it asks and in whatever version.
        for number, (options, version) in enumerate((((), "1.50"), (("-d",), "1.50"), ((), "1.25"))):
            monkeypatch.setenv("DOCKER_API_VERSION", version)
            asked = ("run", "--rm", *options, "--name", f"gone{number}", "-p", f"{port}:80", BUSYBOX, "true")
            ran = machine.docker(*asked, check=False)
            assert ran.returncode == 125, (options, version)
            assert "port is already allocated" in ran.stderr
        monkeypatch.delenv("DOCKER_API_VERSION")
        assert machine.docker("ps", "-aq", "--filter", "name=gone").stdout == ""
    machine.docker("start", "late")
    becomes("127.0.0.1", port, "late")


def test_a_port_that_the_engine_chose_and_the_host_has_not_becomes_another(
    machine: Machine, containers: list[str]
) -> None:
    containers += ["first", "second"]
    serve(machine, "first", "-p", "80")
    number = int(given(machine, "first")["80/tcp"][0]["HostPort"])
    with contextlib.ExitStack() as taken:
        for port in range(number + 1, number + 4):
            with contextlib.suppress(OSError):  # another program holds it, which is fine too
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        serve(machine, "second", "-p", "80", word="second")
        (row,) = given(machine, "second")["80/tcp"]
        assert int(row["HostPort"]) not in range(number, number + 4)
        becomes("127.0.0.1", int(row["HostPort"]), "second")


def test_ports_stay_over_the_agents_death_a_suspend_and_a_restart(machine: Machine, containers: list[str]) -> None:
    first, second, third = free_ports(3)
    containers += ["keeper", "sixth"]
    serve(machine, "keeper", "--restart", "always", "-p", f"{first}:80", "-p", f"{second}:80", word="kept")
    serve(machine, "sixth", "--restart", "always", "-p", f"[::1]:{third}:80", word="six")
    becomes("127.0.0.1", first, "kept")
    becomes("::1", third, "six")

    pid = machine.agent_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert answer("127.0.0.1", first) == "kept", "QEMU forwards by itself"
    machine.wherry("start")  # a new agent
    for address, port, word in (("127.0.0.1", second, "kept"), ("::1", second, "kept"), ("::1", third, "six")):
        assert answer(address, port) == word
    assert {row["state"] for row in machine.json("ports")["ports"]} == {"open"}

    machine.wherry("suspend")
    assert is_free("127.0.0.1", first)
    assert is_free("::1", third)
    machine.docker("ps")  # brings it back
    for address, port, word in (("127.0.0.1", first, "kept"), ("::1", second, "kept"), ("::1", third, "six")):
        assert answer(address, port) == word

    machine.wherry("restart")
    becomes("127.0.0.1", first, "kept")
    becomes("::1", third, "six")
    assert {row["state"] for row in machine.json("ports")["ports"]} == {"open"}


def test_what_listens_in_the_hosts_network_is_reached_too(machine: Machine, containers: list[str]) -> None:
    (port,) = free_ports(1)
    containers.append("plain")
    command = f"mkdir -p /www && echo plain >/www/index.html && exec httpd -f -p {port} -h /www"
    machine.docker("run", "-d", "--name", "plain", "--network", "host", BUSYBOX, "sh", "-c", command)
    becomes("127.0.0.1", port, "plain")
    becomes("::1", port, "plain")
    assert {row["origin"] for row in rows(machine, "plain")} == {"host-network"}
    machine.docker("rm", "-f", "plain")
    wait_until("the port to be free again", lambda: is_free("127.0.0.1", port), timeout_s=30)
