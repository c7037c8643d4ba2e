"""The unmodified docker CLI on the real machine: everything that people commonly do with it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.vm.support.machine import BUSYBOX, Machine, wait_until

pytestmark = pytest.mark.vm

_NONE: Final[dict[str, object]] = {}
DOCKERS: Final[dict[str, object]] = {
    "AutoRemove": False, "Binds": None, "BlkioDeviceReadBps": [], "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteBps": [], "BlkioDeviceWriteIOps": [], "BlkioWeight": 0, "BlkioWeightDevice": [], "CapAdd": None,
    "CapDrop": None, "Cgroup": "", "CgroupParent": "", "CgroupnsMode": "private", "ConsoleSize": [0, 0],
    "ContainerIDFile": "", "CpuCount": 0, "CpuPercent": 0, "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0, "CpuShares": 0, "CpusetCpus": "", "CpusetMems": "", "DeviceCgroupRules": None,
    "DeviceRequests": None, "Devices": [], "Dns": [], "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None,
    "GroupAdd": None, "IOMaximumBandwidth": 0, "IOMaximumIOps": 0, "IpcMode": "private", "Isolation": "",
    "Links": None, "LogConfig": {"Config": _NONE, "Type": "json-file"}, "Memory": 0, "MemoryReservation": 0,
    "MemorySwap": 0, "MemorySwappiness": None, "NanoCpus": 0, "NetworkMode": "bridge", "OomKillDisable": False,
    "OomScoreAdj": 0, "PidMode": "", "PidsLimit": None, "PortBindings": _NONE, "Privileged": False,
    "PublishAllPorts": False, "ReadonlyRootfs": False, "RestartPolicy": {"MaximumRetryCount": 0, "Name": "no"},
    "Runtime": "runc", "SecurityOpt": None, "ShmSize": 67108864, "UTSMode": "", "Ulimits": [], "UsernsMode": "",
    "VolumeDriver": "", "VolumesFrom": None,
    "MaskedPaths": [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ],
    "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
}  # fmt: skip
"""`HostConfig` of `docker create IMAGE` on dockerd 28.5 without a daemon.json, on a host with cgroup v2."""


@pytest.fixture
def container(machine: Machine) -> Iterator[str]:
    """A container that sleeps."""
    identity = machine.docker("run", "-d", "--init", BUSYBOX, "sleep", "100000").stdout.strip()
    yield identity
    machine.docker("rm", "-f", identity)


def test_the_context_leads_to_our_engine(machine: Machine) -> None:
    assert machine.docker("context", "show").stdout.strip() == "wherry"
    assert machine.docker("version", "--format", "{{.Server.Version}}").stdout.startswith("28.")
    assert machine.status()["phase"] == "running"


def test_run_gives_output_and_exit_code(machine: Machine) -> None:
    done = machine.docker("run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_run_with_stdin_keeps_all_output_after_its_end(machine: Machine) -> None:
    text = "".join(f"line {number}\n" for number in range(20_000))
    done = machine.docker("run", "--rm", "-i", BUSYBOX, "sh", "-c", "wc -l; echo done", input_=text)
    assert done.stdout.split() == ["20000", "done"]


def test_init_reaps_zombies(machine: Machine, container: str) -> None:
    machine.docker("exec", container, "sh", "-c", "(sleep 0.1 &) ; sleep 0.5")
    listed = machine.docker("exec", container, "ps").stdout
    assert "docker-init" in listed
    assert "[sleep]" not in listed


def test_interactive_terminal_with_its_size(machine: Machine, container: str) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    process = subprocess.Popen(
        [str(machine.tools.docker), "exec", "-it", container, "sh"],
        env=machine.environment, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    seen = b""

    def read_until(wanted: bytes) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while wanted not in seen:
            assert time.monotonic() < deadline, seen
            with contextlib.suppress(BlockingIOError):
                seen += os.read(leader, 4096)

    read_until(b"# ")
    os.write(leader, b"stty size; tty\n")
    read_until(b"/dev/pts/0")
    assert b"33 101" in seen
    os.write(leader, b"exit 5\n")
    with contextlib.suppress(OSError):  # a pty ends with EIO
        while chunk := os.read(leader, 4096):
            seen += chunk
    os.close(leader)
    assert process.wait(timeout=30) == 5


def test_logs_follow(machine: Machine) -> None:
    script = "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done"
    identity = machine.docker("run", "-d", BUSYBOX, "sh", "-c", script).stdout.strip()
    with machine.docker_stream("logs", "-f", identity) as stream:
        assert stream.stdout is not None
        assert [stream.stdout.readline() for _ in range(5)] == [f"tick {number}\n" for number in range(1, 6)]
        machine.docker("rm", "-f", identity)
        assert stream.wait(timeout=60) == 0  # the stream ends with the container


def test_events_come_as_they_happen(machine: Machine) -> None:
    with machine.docker_stream("events", "--filter", "type=container", "--format", "{{.Action}}") as stream:
        assert stream.stdout is not None
        machine.docker("run", "--rm", BUSYBOX, "true")
        seen = [stream.stdout.readline().strip()]
        while seen[-1] != "destroy":
            seen.append(stream.stdout.readline().strip())
    assert seen[0] == "create"
    assert {"attach", "start", "die", "destroy"} <= set(seen)


def test_copy_both_ways(machine: Machine, container: str, tmp_path: Path) -> None:
    payload = os.urandom(3_000_000)
    (tmp_path / "data.bin").write_bytes(payload)
    machine.docker("cp", str(tmp_path / "data.bin"), f"{container}:/tmp/in.bin")
    machine.docker("exec", container, "cp", "/tmp/in.bin", "/tmp/out.bin")
    machine.docker("cp", f"{container}:/tmp/out.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == payload


def test_build_with_buildkit(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("built here\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {BUSYBOX} AS first\nCOPY hello.txt /hello.txt\nRUN cat /hello.txt > /copy.txt\n"
        f'FROM {BUSYBOX}\nCOPY --from=first /copy.txt /copy.txt\nCMD ["cat", "/copy.txt"]\n'
    )
    done = machine.docker("build", "-t", "built:test", str(tmp_path))
    assert "DONE" in done.stderr, "BuildKit's own progress is expected"
    assert machine.docker("run", "--rm", "built:test").stdout == "built here\n"


def test_buildx_is_found(machine: Machine) -> None:
    assert "wherry" in machine.docker("buildx", "ls").stdout


def test_commit_save_load(machine: Machine, container: str, tmp_path: Path) -> None:
    machine.docker("exec", container, "sh", "-c", "echo kept > /kept.txt")
    machine.docker("commit", container, "kept:test")
    machine.docker("save", "-o", str(tmp_path / "kept.tar"), "kept:test")
    machine.docker("rmi", "-f", "kept:test")
    machine.docker("load", "-i", str(tmp_path / "kept.tar"))
    assert machine.docker("run", "--rm", "kept:test", "cat", "/kept.txt").stdout == "kept\n"


def test_push_and_pull_with_a_real_registry(machine: Machine, registry: str) -> None:
    name = f"{registry}/team/busybox:1"
    machine.docker("tag", BUSYBOX, name)
    machine.docker("push", name)
    machine.docker("rmi", name)
    pulled = machine.docker("pull", name).stdout
    assert "Digest: sha256:" in pulled
    assert machine.docker("run", "--rm", name, "echo", "pulled").stdout == "pulled\n"


def test_compose_up_and_down(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        f"""
name: trial
services:
  server:
    image: {BUSYBOX}
    command: sh -c 'mkdir -p /www && echo served > /www/index.html && httpd -f -p 80 -h /www'
    volumes: ["data:/data"]
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://localhost/"], interval: 1s, retries: 30}}
  client:
    image: {BUSYBOX}
    command: wget -qO- http://server/
    depends_on: {{server: {{condition: service_healthy}}}}
volumes: {{data: {{}}}}
"""
    )
    compose = ("compose", "-f", str(tmp_path / "compose.yaml"))
    machine.docker(*compose, "up", "-d", "--wait", "server")
    assert machine.docker(*compose, "run", "--rm", "client").stdout.strip().endswith("served")
    machine.docker(*compose, "down", "-v")
    assert "trial" not in machine.docker("volume", "ls").stdout
    assert machine.docker("ps", "-aq", "--filter", "label=com.docker.compose.project=trial").stdout == ""


def test_volumes_outlive_containers(machine: Machine) -> None:
    machine.docker("volume", "create", "kept")
    machine.docker("run", "--rm", "-v", "kept:/v", BUSYBOX, "sh", "-c", "echo still here > /v/f")
    assert machine.docker("run", "--rm", "-v", "kept:/v", BUSYBOX, "cat", "/v/f").stdout == "still here\n"
    machine.docker("volume", "rm", "kept")


def test_a_client_that_leaves_is_not_kept_by_the_engine(machine: Machine, container: str) -> None:
    def sockets() -> int:
        return int(machine.wherry("shell", "ls -l /proc/$(pidof dockerd)/fd | grep -c socket:").stdout)

    def listen_and_leave(times: int) -> None:
        for _ in range(times):
            with machine.docker_stream("events") as stream:
                machine.docker("inspect", container)
                assert stream.poll() is None

    listen_and_leave(3)  # fills the front's pool of idle connections
    before = sockets()
    listen_and_leave(6)
    wait_until(f"dockerd to be back at {before} connections", lambda: sockets() <= before + 2, timeout_s=60, every_s=1)


# What is set otherwise than by Docker: the list in the manual's page "Engine defaults".
def test_a_containers_defaults(machine: Machine) -> None:
    machine.docker("create", "--name", "defaults", BUSYBOX)
    try:
        found = json.loads(machine.docker("inspect", "-f", "{{json .HostConfig}}", "defaults").stdout)
    finally:
        machine.docker("rm", "-f", "defaults")
    different = {name: found.get(name) for name in {*found, *DOCKERS} if found.get(name) != DOCKERS.get(name)}
    assert different == {"LogConfig": {"Type": "json-file", "Config": {"max-file": "5", "max-size": "20m"}}}


def test_the_default_networks_options(machine: Machine) -> None:
    options = json.loads(machine.docker("network", "inspect", "-f", "{{json .Options}}", "bridge").stdout)
    assert options == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",  # Docker's: 0.0.0.0
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
    }


def test_what_the_engine_says_of_itself(machine: Machine) -> None:
    info = json.loads(machine.docker("info", "-f", "{{json .}}").stdout)
    assert info["LoggingDriver"] == "json-file"
    assert info["CgroupDriver"] == "cgroupfs"
    assert info["CgroupVersion"] == "2"
    assert info["Driver"] == "overlay2"
    assert info["LiveRestoreEnabled"] is False
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert set(info["SecurityOptions"]) == {"name=seccomp,profile=builtin", "name=cgroupns"}
    assert not info["RegistryConfig"]["Mirrors"]
