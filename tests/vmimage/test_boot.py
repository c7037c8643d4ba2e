"""The built image on real QEMU: what the host relies on when services die, power fails or disks are foreign."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vmimage.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.slow]

Boot = Callable[..., Machine]
READY = 180


def test_control_port_and_services(boot: Boot, disk: Path) -> None:
    vm = boot(
        disk,
        files={
            "hostname": b"harbour\n",
            "daemon.json": b'{"labels": ["from=host"]}',
            "environment": b"# a comment\nHTTP_PROXY=http://10.0.2.2:3128\nnot a variable\n",
        },
    )
    vm.expect("stage dockerd .*", READY)
    vm.expect("stage sshd .*", READY)
    assert "wherry: kernel alive" in vm.console()

    # What the host gave has reached the engine, and the defaults that it did not mention are kept.
    assert vm.ssh("hostname").strip() == "harbour"
    # The engine takes the end of its input as a client that went away, and answers no question then.
    info = vm.ssh("{ printf 'GET /info HTTP/1.0\\r\\n\\r\\n'; sleep 5; } | nc.openbsd -U /run/docker.sock")
    for part in (
        '"from=host"',
        '"Driver":"overlay2"',
        '"HttpProxy":"http://10.0.2.2:3128"',
        '"DockerRootDir":"/var/lib/docker"',
        '"CgroupVersion":"2"',
    ):
        assert part in info

    # Lines both ways, also after the host went away and came back.
    vm.send("ping 42")
    vm.expect(r"pong 42 [0-9]+\.[0-9]+ [0-9]+\.[0-9]+", 20)
    vm.send("time 2000000000.25")
    vm.expect("ok", 20)
    assert 2000000000 <= int(vm.ssh("date +%s")) < 2000000120
    vm.send("nonsense")
    vm.expect("error unknown command nonsense", 20)
    vm.reconnect()
    seen = len(vm.lines)
    vm.send("hello")
    for name in ("init", "data", "network", "containerd", "dockerd-started", "dockerd", "sshd"):
        vm.expect(f"stage {name} [0-9.]+", 20, since=seen)
    seen = len(vm.lines)
    vm.send("trim")
    vm.expect("ok .*", 60, since=seen)
    for command in ("trim 7a", "reclaim 7b"):
        vm.send(command)
        vm.expect(f"done {command.split()[1]} /data: .*", 60, since=seen)
    vm.send("restart nobody 7c")
    vm.expect("failed 7c there is no service nobody", 20, since=seen)

    # Whatever dies comes back by itself.
    for name, program in (("sshd", "/usr/sbin/sshd"), ("containerd", "containerd"), ("dockerd", "dockerd")):
        seen = len(vm.lines)
        vm.ssh(f"kill -9 $(cat /run/wherry/pid/{name})")
        vm.expect(f"service {name} exited 137", 30, since=seen)
        vm.expect(f"service {name} started", 30, since=seen)
        vm.expect(f"stage {name} .*", READY, since=seen)
        assert program in vm.ssh(f"tr '\\0' ' ' </proc/$(cat /run/wherry/pid/{name})/cmdline")
    seen = len(vm.lines)
    vm.send("restart dockerd")
    vm.expect("ok", 20, since=seen)
    vm.expect("stage dockerd .*", READY, since=seen)

    # The control port's own process too.
    seen = len(vm.lines)
    vm.ssh("kill -9 $(ps | grep wherry/contro[l] | sort -n | head -n 1 | awk '{print $1}')")
    # A line that arrives while nobody reads the port is lost, so a host asks until it gets an answer.
    for number in range(43, 53):
        vm.send(f"ping {number}")
        try:
            vm.expect(f"pong {number} .*", 5, since=seen)
            break
        except AssertionError:
            if number == 52:
                raise

    # An orphan's end is collected by init.
    vm.ssh("(sh -c 'sleep 1 & exec sleep 0') ; sleep 3")
    assert " Z " not in vm.ssh("cat /proc/[0-9]*/stat 2>/dev/null | cut -d' ' -f 1-4; true")

    # Only a Unix socket: no TCP listener but ssh's, and the forwarder's for names.
    listeners = vm.ssh("netstat -ltn").splitlines()[2:]
    assert {line.split()[3] for line in listeners} == {"10.0.2.15:10055", "10.0.2.15:10053"}

    vm.poweroff(90)
    assert vm.process.returncode == 0
    vm.expect("stage off .*", 1)
    assert [line for _, line in vm.lines][-1].startswith("stage off")
    vm.expect("service dockerd exited 0", 1, since=seen)


def test_power_failure_keeps_the_data_and_a_larger_disk_is_grown(boot: Boot, disk: Path) -> None:
    vm = boot(disk)
    vm.expect("stage sshd .*", READY)
    vm.expect("stage dockerd .*", READY)
    vm.ssh("echo kept >/root/file && sync; i=0; while [ $i -lt 200 ]; do echo $i >/root/unsynced-$i; i=$((i+1)); done")
    vm.kill()

    vm = boot(disk)
    vm.expect("stage dockerd .*", READY)
    vm.expect("stage sshd .*", READY)
    assert vm.ssh("cat /root/file") == "kept\n"
    assert not [line for _, line in vm.lines if line.startswith("problem")]
    small = int(vm.ssh("df -Pk /data | tail -n 1 | awk '{print $2}'"))
    vm.poweroff()

    # After an orderly end the journal is empty: nothing is checked or replayed.
    subprocess.run(["qemu-img", "resize", "-q", str(disk), "16G"], check=True)
    vm = boot(disk)
    vm.expect("stage dockerd .*", READY)
    vm.expect("stage sshd .*", READY)
    assert "recovery" not in vm.ssh("dmesg | grep EXT4")
    assert int(vm.ssh("df -Pk /data | tail -n 1 | awk '{print $2}'")) > small * 1.8
    assert not [line for _, line in vm.lines if line.startswith("problem")]


def test_a_foreign_disk_is_left_alone(boot: Boot, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.img"
    with foreign.open("wb") as stream:
        stream.truncate(1 << 30)
        stream.seek(1 << 20)
        stream.write(b"somebody's precious bytes")
    disk = tmp_path / "foreign.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(foreign), str(disk)], check=True)
    vm = boot(disk)
    vm.expect("problem data-disk the data disk is not blank.*", READY)
    vm.expect("stage sshd .*", READY)
    # A host that connects later is told as well, and the engine is not started without its disk.
    seen = len(vm.lines)
    vm.send("hello")
    vm.expect("problem data-disk .*", 20, since=seen)
    assert not [line for _, line in vm.lines if "dockerd" in line]
    vm.poweroff()
    back = tmp_path / "back.img"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(disk), str(back)], check=True)
    assert back.read_bytes() == foreign.read_bytes()


def test_no_data_disk_of_ours(boot: Boot, tmp_path: Path) -> None:
    """An ext4 file system of somebody else is not blank either."""
    disk = tmp_path / "theirs.img"
    with disk.open("wb") as stream:
        stream.truncate(256 << 20)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", "theirs", str(disk)], check=True)
    qcow = tmp_path / "theirs.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(disk), str(qcow)], check=True)
    vm = boot(qcow)
    vm.expect("problem data-disk .*", READY)
    vm.expect("stage sshd .*", READY)
    assert vm.ssh("dumpe2fs -h /dev/vdb 2>/dev/null | grep 'volume name'").split()[-1] == "theirs"
