"""The real machine: adoption, death of every process, and the command line's commands."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from backend.errors import ProblemCode
from backend.host.systems.linux import PROC_NET_VARIABLE
from backend.ssh.keys import HOST_KEY_NAME
from tests.vm.support.machine import BUSYBOX, WHERRY, Machine, busybox_tar, wait_until

pytestmark = pytest.mark.vm

CLASH = ProblemCode.SUBNET_CLASH.value


def running_again(machine: Machine, timeout_s: float = 300) -> dict[str, object]:
    def ask() -> dict[str, object] | None:
        status = machine.status()
        return status if status["phase"] == "running" else None

    found = wait_until("the machine to be running again", ask, timeout_s=timeout_s, every_s=0.5)
    assert isinstance(found, dict)
    return found


def test_status_reports_everything(machine: Machine) -> None:
    status = machine.status()
    assert status["accelerator"]["name"] in ("kvm", "tcg")
    if status["accelerator"]["name"] == "tcg":
        assert status["accelerator"]["reasons"], "the user must hear why it is slow"
    assert all(step["state"] == "done" for step in status["steps"])
    assert status["endpoint"]["ready"] is True
    assert status["problems"] == []
    text = machine.wherry("status").stdout
    assert "machine      running" in text
    assert "docker.sock" in text


def test_files_and_sockets_are_private(machine: Machine) -> None:
    run = Path(machine.socket.removeprefix("unix://")).parent
    for path in (run, *(machine.home / name for name in ("keys", "machine", "logs"))):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    sockets = [path for path in run.iterdir() if stat.S_ISSOCK(path.lstat().st_mode)]
    assert {path.name for path in sockets} >= {"docker.sock", "agent.sock", "monitor.sock", "control.sock"}
    for path in [*sockets, machine.home / "machine/data.qcow2", machine.home / "keys" / HOST_KEY_NAME]:
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_nothing_listens_beyond_the_loopback(machine: Machine) -> None:
    pid = machine.status()["pid"]
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        target = str(link.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    listening = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == "0A" or table.startswith("udp")):
                listening.append(fields[1].split(":")[0])
    assert listening, "QEMU listens for SSH at least"
    assert set(listening) == {"0100007F"}


def test_no_secret_on_a_command_line(machine: Machine) -> None:
    for pid in (machine.status()["pid"], machine.agent_pid()):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"PRIVATE" not in words
        assert b"ssh-ed25519" not in words


def test_the_guests_host_key_is_the_pinned_one(machine: Machine) -> None:
    shown = machine.wherry("shell", "cat /run/ssh/*host*key.pub /etc/ssh/*host*key.pub 2>/dev/null; true").stdout
    known = (machine.home / "keys/known_hosts").read_text().split()
    assert known[0].startswith("[127.0.0.1]:")
    scanned = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", "-p", str(machine.status()["ssh_port"]), "127.0.0.1"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert known[2] in scanned + shown


def test_another_key_is_not_let_in(machine: Machine, tmp_path: Path) -> None:
    key = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    done = subprocess.run(
        ["ssh", "-F", "none", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-p", str(machine.status()["ssh_port"]), "root@127.0.0.1", "true"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_shell_passes_words_and_exit_codes(machine: Machine) -> None:
    done = machine.wherry("shell", "echo a b; exit 9", check=False)
    assert (done.stdout, done.returncode) == ("a b\n", 9)


def test_logs_of_every_kind(machine: Machine) -> None:
    assert "EngineReady" in machine.wherry("logs", "agent").stdout
    assert "wherry: kernel alive" in machine.wherry("logs", "guest").stdout
    assert "API listen on" in machine.wherry("logs", "engine").stdout
    machine.wherry("logs", "qemu")


def test_the_console_is_a_terminal_on_the_guest(machine: Machine) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*WHERRY, "--home", str(machine.home), "console"],
        env=machine.environment, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    os.set_blocking(leader, False)
    seen = bytearray()

    def shown(wanted: bytes) -> bool:
        with contextlib.suppress(BlockingIOError, OSError):
            while chunk := os.read(leader, 4096):
                seen.extend(chunk)
        return wanted in seen

    try:
        wait_until("the console's greeting", lambda: shown(b"Ctrl-]"), timeout_s=30)
        wait_until("the guest's prompt", lambda: shown(b"# "), timeout_s=60)
        os.write(leader, b"echo $((6 * 7)) is it\r")
        wait_until("the command's answer", lambda: shown(b"42 is it"), timeout_s=60)
        # Ctrl-C reaches what runs, and only that: the console is the shell's controlling terminal.
        os.write(leader, b"sleep 1000; echo ended with $?\r")
        wait_until("the command to be taken", lambda: shown(b"ended with $?"), timeout_s=60)
        time.sleep(1)
        os.write(leader, b"\x03")
        os.write(leader, b"echo after $((40 + 1)) \r")
        wait_until("the shell after Ctrl-C", lambda: shown(b"after 41"), timeout_s=60)
        # The shell that ends is followed by another.
        os.write(leader, b"exit\r")
        wait_until("another shell's offer", lambda: shown(b"Press Enter"), timeout_s=60)
        os.write(leader, b"\r")
        os.write(leader, b"echo again $((50 + 1)) \r")
        wait_until("the next shell", lambda: shown(b"again 51"), timeout_s=60)
        os.write(leader, b"\x1d")
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)
        os.close(leader)


def test_doctor_finds_no_problem(machine: Machine) -> None:
    done = machine.wherry("doctor", check=False)
    crosses = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert all("Accelerator" in line for line in crosses), done.stdout


def test_the_agent_dies_and_nothing_is_lost(machine: Machine) -> None:
    identity = machine.docker("run", "-d", BUSYBOX, "sh", "-c", "while true; do date; sleep 1; done").stdout.strip()
    started = machine.docker("inspect", "-f", "{{.State.StartedAt}}", identity).stdout
    qemu = machine.status()["pid"]
    agent = machine.agent_pid()
    assert agent is not None
    os.kill(agent, signal.SIGKILL)
    wait_until("the agent to be gone", lambda: machine.agent_pid() != agent, timeout_s=10)
    running_again(machine)
    assert machine.status()["pid"] == qemu, "the same QEMU goes on"
    assert machine.agent_pid() not in (None, agent)
    assert machine.docker("inspect", "-f", "{{.State.StartedAt}}", identity).stdout == started
    machine.docker("rm", "-f", identity)


def test_the_agent_can_be_replaced(machine: Machine) -> None:
    qemu, agent = machine.status()["pid"], machine.agent_pid()
    machine.wherry("restart", "--agent")
    assert machine.status()["pid"] == qemu
    assert machine.agent_pid() not in (None, agent)
    machine.docker("ps")


def test_sshd_dies_and_the_connection_is_restored(machine: Machine) -> None:
    machine.wherry("shell", "pkill -KILL sshd || kill -9 $(pidof sshd) $(pidof sshd-session)", check=False)
    wait_until(
        "docker to answer again",
        lambda: machine.docker("ps", check=False, timeout_s=60).returncode == 0,
        timeout_s=120,
        every_s=1,
    )
    running_again(machine)


def test_dockerd_dies_and_containers_with_a_policy_come_back(machine: Machine) -> None:
    machine.docker("run", "-d", "--restart", "always", "--name", "phoenix", BUSYBOX, "sleep", "100000")
    machine.wherry("shell", "kill -9 $(pidof dockerd)")
    wait_until(
        "the engine to answer again",
        lambda: "phoenix" in machine.docker("ps", check=False, timeout_s=100).stdout,
        timeout_s=240,
        every_s=1,
    )
    running_again(machine)
    machine.docker("rm", "-f", "phoenix")


def test_the_guests_clock_follows(machine: Machine) -> None:
    machine.wherry("shell", "date -s '2020-01-01 00:00:00'")

    def drift() -> float:
        return abs(float(machine.wherry("shell", "date +%s").stdout) - time.time())

    wait_until("the clock to be set", lambda: drift() < 10, timeout_s=40, every_s=1)


def test_qemu_dies_and_the_machine_comes_back_with_its_data(machine: Machine) -> None:
    machine.docker("volume", "create", "survivor")
    machine.docker("run", "--rm", "-v", "survivor:/v", BUSYBOX, "sh", "-c", "echo safe > /v/f; sync")
    machine.docker("import", "-", "survivor:test", input_=busybox_tar(machine.tools.busybox))

    def unwritten_kib() -> int:
        return int(machine.wherry("shell", "grep Dirty: /proc/meminfo").stdout.split()[1])

    # The engine leaves an image's files to the kernel, which has 30 s for them unless it is told otherwise.
    wait_until("the image's files to be on the disk", lambda: unwritten_kib() < 512, timeout_s=18, every_s=0.5)
    qemu = machine.status()["pid"]
    os.kill(qemu, signal.SIGKILL)
    wait_until("another QEMU", lambda: machine.status()["pid"] not in (None, qemu), timeout_s=60)
    running_again(machine)
    run = ("run", "--rm", "-v", "survivor:/v", "survivor:test", "cat", "/v/f")
    assert machine.docker(*run).stdout == "safe\n"


def test_a_guest_panic_is_named_and_survived(machine: Machine) -> None:
    qemu = machine.status()["pid"]
    machine.wherry("shell", "(sleep 1; echo c > /proc/sysrq-trigger) >/dev/null 2>&1 &", check=False)
    wait_until("the panic", lambda: machine.status()["pid"] != qemu, timeout_s=60)
    running_again(machine)
    assert "kernel crashed" in machine.wherry("logs", "agent").stdout


@pytest.fixture
def vpn(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fake route of this computer to the default bridge's range, visible to the agent."""
    route = "tun0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"  # 172.17.0.0/16
    (tmp_path / "route").write_text(Path("/proc/net/route").read_text() + route)
    monkeypatch.setenv(PROC_NET_VARIABLE, str(tmp_path))
    machine.wherry("restart", "--agent")
    yield
    monkeypatch.delenv(PROC_NET_VARIABLE)
    machine.wherry("restart", "--agent")


def bridge_of(machine: Machine) -> str:
    return machine.docker(
        "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"
    ).stdout.strip()


@pytest.mark.usefixtures("vpn")
def test_poweroff_in_the_guest_is_a_stop_and_a_start_avoids_a_vpns_range(machine: Machine) -> None:
    assert bridge_of(machine) == "172.17.0.0/16"
    machine.docker("network", "create", "--subnet", "172.18.0.0/24", "fixed")
    machine.docker("run", "-d", "--restart", "always", "--name", "bridged", BUSYBOX, "sleep", "100000")
    machine.docker(
        "create", "--network", "fixed", "--ip", "172.18.0.77", "--name", "static", BUSYBOX, "sleep", "100000"
    )

    def told() -> str:
        return "".join(problem["summary"] for problem in machine.status()["problems"] if problem["code"] == CLASH)

    # What a stop must wait for: programs that do not listen, and one that takes longer than an engine gives by itself.
    ends = {"deaf1": "137", "deaf2": "137", "slow": "7"}
    for name in ("deaf1", "deaf2"):
        machine.docker("run", "-d", "--name", name, BUSYBOX, "sleep", "100000")
    script = 'trap "sleep 27; exit 7" TERM; while :; do sleep 1; done'
    machine.docker("run", "-d", "--stop-timeout", "60", "--name", "slow", BUSYBOX, "sh", "-c", script)
    clash = wait_until("the clash to be told", told, timeout_s=60, every_s=0.5)
    assert "172.17.0.0/16 (tun0) overlaps the default bridge" in clash
    machine.wherry("shell", "(sleep 1; poweroff) >/dev/null 2>&1 &", check=False)
    wait_until("the machine to be stopped", lambda: machine.status()["phase"] == "stopped", timeout_s=120, every_s=0.5)
    machine.wherry("config", "set", "machine.start_on_demand", "false")
    try:
        assert machine.docker("ps", check=False).returncode == 1
    finally:
        machine.wherry("config", "set", "machine.start_on_demand", "true")
    with ThreadPoolExecutor() as pool:  # two at once
        codes = [done.returncode for done in pool.map(lambda _: machine.wherry("start", check=False), range(2))]
    assert codes == [0, 0]
    assert BUSYBOX in machine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    bridge = ip_network(bridge_of(machine))
    assert not bridge.overlaps(ip_network("172.17.0.0/16"))
    assert not bridge.overlaps(ip_network("172.18.0.0/24"))
    machine.docker("start", "static")
    addresses = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{.State.Running}}"
    found = machine.docker("inspect", "--format", addresses, "bridged", "static").stdout.split()
    assert ip_address(found[0]) in bridge
    assert found[1:] == ["true", "172.18.0.77", "true"]
    codes_of = machine.docker("inspect", "--format", "{{.State.ExitCode}}", *ends).stdout.split()
    assert codes_of == list(ends.values()), "the engine has recorded how each ended"
    gone = wait_until("the networks to be known", lambda: machine.status()["networks"], timeout_s=60, every_s=0.5)
    assert gone == {"user": "10.0.2.0/24", "bridge": [str(bridge)]}
    assert told() == ""
    machine.docker("rm", "-f", "bridged", "static", *ends)
    machine.docker("network", "rm", "fixed")


def test_ctrl_c_during_a_start_leaves_nothing(fresh: Machine) -> None:
    process = subprocess.Popen(
        [*WHERRY, "--home", str(fresh.home), "start"],
        env=fresh.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until("QEMU to run", (fresh.home / "machine/run.json").exists, timeout_s=60)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert fresh.status()["phase"] == "stopped"
    assert not (fresh.home / "machine/run.json").exists()
    assert not (fresh.home / "machine/qemu.pid").exists()
