"""What the guest and its containers can reach on the host, tested from inside the real machine."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import psutil
import pytest

from backend.control.launch import machine_directory
from backend.settings.disk import data_disk_path
from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm

CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])"


def our_processes(machine: Machine) -> list[psutil.Process]:
    agent, qemu = machine.agent_pid(), machine.status()["pid"]
    assert agent is not None
    return [psutil.Process(agent), psutil.Process(qemu)]


def listening(machine: Machine, kind: str) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in our_processes(machine)
        for connection in process.net_connections(kind=kind)
        if connection.status == (psutil.CONN_LISTEN if kind == "tcp" else psutil.CONN_NONE) and not connection.raddr
    }


def test_from_a_container_only_the_guests_own_ssh_server_and_names_are_there(machine: Machine) -> None:
    ssh = machine.status()["ssh_port"]
    names = int((machine.home / "machine" / "resolver-port").read_text())
    assert listening(machine, "tcp") == {("127.0.0.1", ssh), ("127.0.0.1", names)}, "nothing else of ours listens"
    assert ("127.0.0.1", names) in listening(machine, "udp4")
    for network in ("bridge", "host"):
        said = machine.docker(
            "run", "--rm", "--network", network, BUSYBOX,
            "sh", "-c", f"(sleep 3; echo) | nc -w 5 10.0.2.2 {ssh} | head -c 60; ls /dev /var/run /run 2>&1; true",
        ).stdout  # fmt: skip
        assert "SSH-2.0-OpenSSH" in said
        assert "QMP" not in said
        assert "vport" not in said
        assert "docker.sock" not in said


def octal(data: bytes) -> str:
    """Escape bytes for printf."""
    return "".join(f"\\{byte:03o}" for byte in data)


WHAT_ARE_YOU = b"\0\x1e" + b"\0\1\1\0\0\1\0\0\0\0\0\0" + b"\7version\4bind\0" + b"\0\x10\0\3"
"""A query for version.bind in class CHAOS, with which name servers report their version."""
PROBES = (b"GET / HTTP/1.0\r\n\r\n", b'{"execute":"qmp_capabilities"}\n', b'{"type":"hello"}\n', b"status\n")


def test_the_resolvers_port_knows_nothing_but_names(machine: Machine) -> None:
    port = int((machine.home / "machine" / "resolver-port").read_text())
    commands = [f"printf '{octal(probe)}' | nc -w 1 10.0.2.2 {port} | hexdump -C" for probe in PROBES]
    said = machine.docker("run", "--rm", BUSYBOX, "sh", "-c", "; ".join(commands)).stdout
    assert said == "", "what is no query ends the connection without a word"
    tell = f"nc -w 2 10.0.2.2 {port} | hexdump -v -e '1/1 \"%02x \"'"
    asked = machine.docker(
        "run", "--rm", BUSYBOX, "sh", "-c", f"printf '{octal(WHAT_ARE_YOU)}' | {tell}"
    ).stdout.split()
    assert len(asked) == 32
    assert int(asked[5], 16) & 0xF == 5, "refused"


def test_commands_and_environments_hold_no_key(machine: Machine) -> None:
    keys = machine_directory(machine.home).keys
    bodies = [
        line
        for path in keys.iterdir()
        if not path.name.endswith(".pub") and path.name != "known_hosts"
        for line in path.read_text().splitlines()
        if not line.startswith("-----") and len(line) > 30
    ]
    assert bodies
    for process in our_processes(machine):
        seen = " ".join(process.cmdline()) + str(process.environ())
        assert not any(body in seen for body in bodies)


GARBAGE = """
for try in $(seq 60); do
    for open in /proc/[0-9]*/fd/*; do
        case $(readlink $open) in
            /dev/vport*) process=${open#/proc/}; kill -9 ${process%%/*} ;;
        esac
    done
    { head -c 2000000 /dev/urandom; head -c 2000000 /dev/zero; yes stage x 1 | head -c 1000000; } 2>/dev/null |
        timeout 100 dd of=$(echo /dev/vport*) bs=4096 2>/dev/null && echo sent && break
    sleep 0.2
done
head -c 50000 /dev/urandom >/dev/console
"""
"""Takes the control port from the guest's own program, as root there can, and sends the agent five million bytes."""


def test_garbage_from_the_guest_harms_nothing(machine: Machine) -> None:
    agent = machine.agent_pid()
    assert agent is not None
    before = psutil.Process(agent).memory_info().rss
    assert "sent" in machine.wherry("shell", GARBAGE, check=False).stdout
    wait_until("the machine to be settled", lambda: machine.status()["phase"] == "running", timeout_s=120)
    assert machine.agent_pid() == agent, "the agent lives"
    assert psutil.Process(agent).memory_info().rss - before < 64 * 1024**2
    assert machine.docker("ps").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_another_user_reaches_no_socket_and_no_key(machine: Machine) -> None:
    setpriv = shutil.which("setpriv")
    assert setpriv
    directory = machine_directory(machine.home)

    def as_nobody(*argv: str) -> str:
        command = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    sockets = [path for path in directory.run.iterdir() if stat.S_ISSOCK(path.lstat().st_mode)]
    assert len(sockets) >= 4
    around = {directory.run, *directory.run.parents, *directory.keys.parents, directory.keys}
    opened = {path: stat.S_IMODE(path.stat().st_mode) for path in around if path.stat().st_mode & 0o005 != 0o005}
    try:
        for path in opened:
            path.chmod(0o755)  # what keeps them out then is the socket's, or the key's, own mode
        for path in sockets:
            assert "PermissionError" in as_nobody("/usr/bin/python3", "-c", CONNECT, str(path)), path
        for path in (*directory.keys.glob("*_ed25519"), data_disk_path(directory)):
            assert "Permission denied" in as_nobody("/bin/cat", str(path)), path
    finally:
        for path, mode in opened.items():
            path.chmod(mode)


def test_a_support_bundle_of_a_machine_that_runs(machine: Machine, tmp_path: Path) -> None:
    made = machine.json("support-bundle", str(tmp_path / "b.zip"), check=True)
    names = {entry["name"] for entry in made["entries"]}
    assert {"logs/guest-dockerd.log", "machine/qemu-command.txt", "machine/data-disk.json", "status.json"} <= names
