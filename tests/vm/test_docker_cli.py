"""The unmodified docker CLI on the real machine: everything that people commonly do with it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.vm.support.machine import BUSYBOX, Machine, busybox_tar, wait_until
from tests.vm.support.tools import find_foreign_busybox

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


def test_mounts_reach_containers_and_come_from_them(machine: Machine) -> None:
    """All mounts of a host under systemd are shared; monitoring agents and storage plugins rely on it."""
    machine.docker("run", "-d", "--name", "sees", "-v", "/:/host:ro,rslave", BUSYBOX, "sleep", "100000")
    try:
        machine.wherry("shell", "--", "mount -t tmpfs later /mnt && mkdir /mnt/in && mount -t tmpfs nested /mnt/in")
        seen = machine.docker("exec", "sees", "cat", "/proc/self/mountinfo").stdout
        assert {" /host/mnt ", " /host/mnt/in "} <= {f" {line.split()[4]} " for line in seen.splitlines()}
        machine.docker(
            "run", "--rm", "--privileged", "-v", "/mnt:/mnt:rshared", BUSYBOX,
            "sh", "-c", "mkdir /mnt/out && mount -t tmpfs theirs /mnt/out && touch /mnt/out/kept",
        )  # fmt: skip
        assert machine.wherry("shell", "--", "ls /mnt/out").stdout == "kept\n"
        # The data disk is bound to several places, where each container's mount is once.
        mounts = machine.wherry("shell", "--", "grep -c /overlay2/.*/merged /proc/self/mounts").stdout
        running = machine.docker("ps", "-q").stdout.split()
        assert int(mounts) == len(running)
    finally:
        machine.docker("rm", "-f", "sees")
        machine.wherry("shell", "--", "umount /mnt/out /mnt/in /mnt", check=False)


def test_top_is_that_of_a_host(machine: Machine, container: str) -> None:
    title, *processes = machine.docker("top", container).stdout.splitlines()
    assert title.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert processes[0].split()[0] == "root"
    assert "sleep 100000" in machine.docker("top", container, "-eo", "pid,pcpu,args").stdout


def test_limits_hold_and_services_are_apart(machine: Machine) -> None:
    """dockerd looks for what can be limited in its own cgroup, so it must not be in the root."""
    info = machine.docker("info")
    assert "WARNING" not in info.stdout + info.stderr
    done = machine.docker(
        "run", "--rm", "-m", "64m", "--memory-swap", "96m", BUSYBOX,
        "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.swap.max",
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == ([str(64 << 20), str(32 << 20)], "")
    # 96 MB of which 64 may be in memory: the rest is swapped; without swap for it, the kernel ends the program.
    fill = ("--shm-size", "200m", BUSYBOX, "dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=96")
    machine.docker("run", "--rm", "-m", "64m", "--memory-swap", "160m", *fill)
    assert machine.docker("run", "--rm", "-m", "64m", "--memory-swap", "64m", *fill, check=False).returncode == 137
    assert "zram0" in machine.wherry("shell", "--", "cat /proc/swaps").stdout
    for service in ("containerd", "dockerd", "dns", "sshd"):
        files = f"/proc/$(cat /run/wherry/pid/{service})/cgroup /sys/fs/cgroup/system/{service}/memory.min"
        told = machine.wherry("shell", "--", f"cat {files}").stdout.split()
        assert told[0] == f"0::/system/{service}"
        assert int(told[1]) > 0


def test_crun_can_be_chosen(machine: Machine) -> None:
    machine.docker("run", "-d", "--name", "by-crun", "--runtime", "crun", BUSYBOX, "sleep", "100000")
    try:
        machine.docker("update", "-m", "96m", "--memory-swap", "96m", "by-crun")
        limit = machine.docker("exec", "by-crun", "cat", "/sys/fs/cgroup/memory.max").stdout
        assert limit == f"{96 << 20}\n"
    finally:
        machine.docker("rm", "-f", "by-crun")
    assert machine.docker("info", "-f", "{{.DefaultRuntime}}").stdout == "runc\n"
    # crun reads what it is told from /dev/stdin, which udev makes elsewhere.
    machine.wherry("shell", "--", "echo x | grep -q x /dev/stdin && test -d /dev/fd/")


def test_the_kernel_has_what_containers_ask_for(machine: Machine) -> None:
    modules = "nfsd dm_mod dm_crypt dm_thin_pool nbd vcan can_raw sctp zram openvswitch l2tp_ppp vrf tls"
    machine.wherry("shell", "--", f"modprobe -a {modules} && test -e /dev/mapper/control && test -e /dev/nbd0")


def test_build_from_a_git_repository(machine: Machine, tmp_path: Path) -> None:
    """The engine's BuildKit runs git in its host, with a program for each protocol."""
    work, served = tmp_path / "work", tmp_path / "served"
    served.mkdir()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    (work / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCOPY Dockerfile /from-git\n")
    subprocess.run([*git, "-C", str(work), "add", "."], check=True)
    subprocess.run([*git, "-C", str(work), "commit", "-q", "-m", "one"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(served / "app.git")], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={served}"],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:

        def listens() -> bool:
            with socket.socket() as link:
                return link.connect_ex(("127.0.0.1", port)) == 0

        wait_until("git daemon to listen", listens, timeout_s=20)
        machine.docker("build", "-t", "from-git", f"git://10.0.2.2:{port}/app.git#main")
        assert machine.docker("run", "--rm", "from-git", "cat", "/from-git").stdout.startswith("FROM ")
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(timeout=20)
    programs = "/usr/lib/git-core/git-remote-https /usr/bin/ssh /usr/bin/unpigz /usr/bin/xz /usr/bin/ip"
    machine.wherry("shell", "--", f"for program in {programs}; do test -x $program || exit 1; done")


def test_other_architectures_run_and_build(machine: Machine, tmp_path: Path) -> None:
    architecture, busybox = find_foreign_busybox()
    says = {"arm64": "aarch64", "amd64": "x86_64"}[architecture]
    platform = f"linux/{architecture}"
    machine.docker(
        "import", "--platform", platform, "--change", 'CMD ["/bin/sh"]', "-", "foreign",
        input_=busybox_tar(machine.tools.busybox, program=busybox),
    )  # fmt: skip
    done = machine.docker("run", "--rm", "--platform", platform, "foreign", "sh", "-c", "uname -m; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, f"{says}\n"), done.stderr
    (tmp_path / "Dockerfile").write_text("FROM foreign\nRUN uname -m >/built-on\n")
    machine.docker("build", "--platform", platform, "-t", "foreign-built", str(tmp_path))
    inspected = machine.docker("image", "inspect", "foreign-built", "--format", "{{.Architecture}}").stdout
    assert inspected == f"{architecture}\n"
    built = machine.docker("run", "--rm", "--platform", platform, "foreign-built", "cat", "/built-on").stdout
    assert built == f"{says}\n"
    listed = machine.docker("buildx", "inspect").stdout
    for emulated in (platform, "linux/arm/v7"):
        assert emulated in listed
    # C: a program keeps its file's rights.  F: the container needs no emulator of its own.
    emulator = f"cat /proc/sys/fs/binfmt_misc/qemu-{says}"
    assert "flags: POCF" in machine.wherry("shell", "--", emulator).stdout


def test_the_socket_that_clients_use_is_the_engines_in_a_container(machine: Machine) -> None:
    """Programs that run containers from a container mount the path of DOCKER_HOST, or the usual one."""
    path = machine.socket.removeprefix("unix://")
    mounts = ("-v", f"{path}:/a", "-v", "/var/run/docker.sock:/b:ro")
    machine.docker("run", "--rm", *mounts, BUSYBOX, "sh", "-c", "test -S /a && test -S /b && test /a -ef /b")
    refused = machine.docker("run", "--rm", "-v", f"{Path(path).parent}:/a", BUSYBOX, "true", check=False)
    assert refused.returncode == 125
    assert "mount its socket: /var/run/docker.sock" in refused.stderr
