"""Each problem that can occur, as reported to the user: as text and as JSON, with its code, a hint and exit code 1."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from backend.agent.boot.link import ENGINE_LOG
from backend.control.launch import ensure_agent
from backend.errors import ProblemCode, WherryError
from backend.host import current
from backend.model import MachineStatus, Phase
from backend.settings.disk import data_disk_path
from tests.agent.machine import PATIENCE_S, Machine, eventually, kill, make_image, problem_of, until
from tests.fakes import qemu

Spoil = Callable[[Machine], None]


def no_qemu(machine: Machine) -> None:
    machine.configure(qemu={"binary": str(machine.home / "no-such-qemu")})


def old_qemu(machine: Machine) -> None:
    machine.configure(qemu={"binary": str(qemu.install(machine.home / "old", version="6.2.0"))})


def strange_qemu(machine: Machine) -> None:
    machine.configure(qemu={"binary": "/bin/true"})


def no_image(machine: Machine) -> None:
    machine.configure(image={"directory": str(machine.home / "no-such-image")})


def no_image_at_all(machine: Machine) -> None:
    machine.configure(image={"directory": ""})


def truncated_image(machine: Machine) -> None:
    with (machine.image / "root").open("r+b") as file:
        file.truncate(10)


def altered_image(machine: Machine) -> None:
    with (machine.image / "kernel").open("r+b") as file:
        file.write(b"X")


def image_without_a_file(machine: Machine) -> None:
    (machine.image / "initramfs").unlink()


def broken_manifest(machine: Machine) -> None:
    (machine.image / "manifest.json").write_text("{", encoding="utf-8")


def foreign_image(machine: Machine) -> None:
    other = {"amd64": "arm64"}.get(current().arch, "amd64")
    machine.configure(image={"directory": str(make_image(machine.home / "foreign", arch=other))})


def broken_config(machine: Machine) -> None:
    machine.paths.config.write_text("[machine\n", encoding="utf-8")


def newer_config(machine: Machine) -> None:
    machine.paths.config.write_text("version = 99\n", encoding="utf-8")


def misspelt_config(machine: Machine) -> None:
    machine.paths.config.write_text("[machine]\ncpu = 2\n", encoding="utf-8")


def broken_daemon_json(machine: Machine) -> None:
    machine.paths.daemon_json.write_text("{'debug': true}", encoding="utf-8")


def forbidden_daemon_json(machine: Machine) -> None:
    machine.paths.daemon_json.write_text('{"hosts": []}', encoding="utf-8")


def damaged_disk(machine: Machine) -> None:
    data_disk_path(machine.paths).write_bytes(b"this was a disk" * 1000)


def damaged_disk_header(machine: Machine) -> None:
    data_disk_path(machine.paths).write_bytes(b"QFI\xfb" + b"\xff" * 5000)


def disk_is_a_directory(machine: Machine) -> None:
    data_disk_path(machine.paths).mkdir()


def endpoint_is_a_file(machine: Machine) -> None:
    machine.paths.docker_socket.write_text("in the way")


def dying_qemu(machine: Machine) -> None:
    machine.cue(exit_early={"stderr": "qemu: could not do it", "code": 1})


def panicking_guest(machine: Machine) -> None:
    machine.cue(guest_panic="guest")


def lazy_services(machine: Machine) -> None:
    machine.cue(services_hang=True)


def unreadable_keys(machine: Machine) -> None:
    machine.paths.keys.rmdir()
    machine.paths.keys.write_text("a file where the directory should be")


CASES: list[tuple[Spoil, ProblemCode, str]] = [
    (no_qemu, ProblemCode.QEMU_MISSING, "no-such-qemu"),
    (old_qemu, ProblemCode.QEMU_TOO_OLD, "6.2.0"),
    (strange_qemu, ProblemCode.QEMU_UNUSABLE, "/bin/true"),
    (no_image, ProblemCode.IMAGE_MISSING, "no-such-image"),
    (no_image_at_all, ProblemCode.IMAGE_MISSING, "no guest image"),
    (truncated_image, ProblemCode.IMAGE_DAMAGED, "root has 10 bytes"),
    (altered_image, ProblemCode.IMAGE_DAMAGED, "kernel has the digest"),
    (image_without_a_file, ProblemCode.IMAGE_MISSING, "initramfs"),
    (broken_manifest, ProblemCode.IMAGE_DAMAGED, "manifest"),
    (foreign_image, ProblemCode.IMAGE_DAMAGED, "this computer needs"),
    (broken_config, ProblemCode.CONFIG_BROKEN, "config.toml"),
    (newer_config, ProblemCode.CONFIG_TOO_NEW, "version 99"),
    (misspelt_config, ProblemCode.CONFIG_BROKEN, "`cpu`"),
    (broken_daemon_json, ProblemCode.CONFIG_BROKEN, "daemon.json"),
    (forbidden_daemon_json, ProblemCode.CONFIG_BROKEN, "“hosts”"),
    (damaged_disk, ProblemCode.DISK_DAMAGED, "not qcow2"),
    (damaged_disk_header, ProblemCode.DISK_DAMAGED, "data.qcow2"),
    (disk_is_a_directory, ProblemCode.DISK_DAMAGED, "isn't a file"),
    (endpoint_is_a_file, ProblemCode.ENDPOINT_TAKEN, "docker.sock"),
    (dying_qemu, ProblemCode.MACHINE_DIED, "QEMU stopped"),
    (panicking_guest, ProblemCode.KERNEL_PANIC, "crashed"),
    (lazy_services, ProblemCode.STEP_TIMED_OUT, "Starting guest services"),
    (unreadable_keys, ProblemCode.PATH_UNUSABLE, "can't be used"),
]


@pytest.mark.parametrize(("spoil", "code", "words"), CASES, ids=[spoil.__name__ for spoil, _, _ in CASES])
def test_a_start_that_must_fail_reports_why(
    make_machine: Callable[..., Machine], spoil: Spoil, code: ProblemCode, words: str
) -> None:
    machine = make_machine(deadlines="guest=0.5" if spoil is lazy_services else "")
    spoil(machine)
    text, problem = starts_badly(machine)
    assert problem["code"] == code.value
    assert words in text
    assert words in " ".join([problem["summary"], *problem.get("tail", ())])
    assert problem["hint"]
    assert problem["hint"] in text
    assert f"({code.value})" in text
    assert "Traceback" not in text + machine.log()
    if spoil is not unreadable_keys:  # without a home there is no agent either
        machine.ended()
    eventually(lambda: not machine.processes(), "no process is left")


def starts_badly(machine: Machine) -> tuple[str, dict[str, Any]]:
    """Run a failing start twice, with text and with JSON output; returns the text and the first problem."""
    text = machine.wherry("start", code=1).stderr
    status = json.loads(machine.wherry("start", "--json", code=1).stdout)
    if "problem" in status:
        return text, status["problem"]
    assert status["phase"] == "failed"
    shown = json.loads(machine.wherry("status", "--json", code=1).stdout)
    assert shown["problems"] == status["problems"]
    return text, status["problems"][0]


def test_nobody_sees_a_machine_that_runs_without_its_process(machine: Machine) -> None:
    pid = machine.started().pid
    assert pid is not None
    up = (Phase.CONNECTING, Phase.RUNNING, Phase.DEGRADED)
    seen: list[MachineStatus] = []
    with machine.client() as client:
        kill(pid)
        for update in client.updates(timeout_s=PATIENCE_S):
            if isinstance(update, MachineStatus):
                seen.append(update)
                if update.phase is Phase.RUNNING and update.pid not in (pid, None):
                    break
    assert seen[-1].phase is Phase.RUNNING
    assert [status for status in seen if status.phase in up and status.pid is None] == []


def test_a_problem_disappears_once_it_is_fixed(machine: Machine) -> None:
    broken_config(machine)
    machine.wherry("start", code=1)
    machine.configure()
    assert machine.started().problems == ()


def test_a_guest_that_panics_shows_its_last_words(machine: Machine) -> None:
    panicking_guest(machine)
    _, problem = starts_badly(machine)
    assert any("Kernel panic - not syncing" in line for line in problem["tail"])


def test_qemus_output_is_shown(machine: Machine) -> None:
    dying_qemu(machine)
    text, problem = starts_badly(machine)
    assert "qemu: could not do it" in problem["tail"]
    assert "command: " + str(machine.qemu) in text


def test_a_disk_that_another_process_has_is_named(machine: Machine) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(data_disk_path(machine.paths)), "1G"], check=True)
    holder = subprocess.Popen(
        ["qemu-io", str(data_disk_path(machine.paths))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        holder.stdin.write("length\n")
        holder.stdin.flush()
        holder.stdout.readline()  # it has answered, so it has the disk
        _, problem = starts_badly(machine)
        assert problem["code"] == "disk-locked"
        assert problem["retryable"]
        checks = json.loads(machine.wherry("doctor", "--json", code=1).stdout)
        disk = next(check for check in checks if check["id"] == "disk")
        assert f"qemu-io ({holder.pid})" in disk["finding"]
    finally:
        holder.communicate("quit\n")
    assert machine.started().phase is Phase.RUNNING


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 8 MiB; only root may make one."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root; tests/unit/vm/disk/test_disks.py covers the check itself")
    place = tmp_path / "full"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_named(make_machine: Callable[..., Machine], full_disk: Path) -> None:
    machine = make_machine(str(full_disk / "home"))
    _, problem = starts_badly(machine)
    assert problem["code"] == "host-disk-full"
    assert problem["retryable"]
    assert "MiB are free" in problem["summary"]


def test_an_endpoint_that_another_program_serves_is_left_to_it(machine: Machine) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(machine.paths.docker_socket))
        other.listen()
        _, problem = starts_badly(machine)
        assert problem["code"] == "endpoint-taken"
    assert machine.paths.docker_socket.is_socket()
    assert machine.started().phase is Phase.RUNNING


def test_a_slow_engine_is_reported_and_waited_for(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="engine=0.3")
    machine.hold("engine")
    done = machine.wherry("start", code=1)
    assert "(engine-down)" in done.stderr
    assert "what to do: " in done.stderr
    with machine.client() as client:
        assert problem_of(client.status) is ProblemCode.ENGINE_DOWN
        assert client.status.phase is Phase.DEGRADED
        machine.release("engine")
        assert until(client, Phase.RUNNING).problems == ()


def test_an_engine_that_accepts_connections_without_replying_is_reported(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="engine=0.3")
    machine.cue(engine_hang=True)
    problem = json.loads(machine.wherry("start", "--json", code=1).stdout)["problems"][0]
    assert problem["code"] == "engine-down"
    assert problem["tail"] == [f"ran tail -n 12 {ENGINE_LOG}"], "the engine's own words"


def test_a_disk_that_the_guest_refuses_is_reported_at_once(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    machine.cue(engine_hang=True, babble=["problem data-disk it holds an unknown file system"])
    problem = json.loads(machine.wherry("start", "--json", code=1).stdout)["problems"][0]
    assert problem["code"] == "disk-damaged"
    assert problem["tail"] == ["it holds an unknown file system"]
    with machine.client() as client:
        assert client.status.phase is Phase.DEGRADED


def test_a_full_disk_of_the_guest_is_reported_while_it_runs(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    machine.cue(babble=["problem data-full 91% of 64 GiB"])
    status = machine.started()
    assert [problem.code for problem in status.problems] == [ProblemCode.DATA_DISK_FULL]
    machine.cue()


def test_a_guest_that_refuses_ssh_is_reported(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="ssh=0.3")
    machine.cue(ssh_refused=True)
    problem = json.loads(machine.wherry("start", "--json", code=1).stdout)["problems"][0]
    assert problem["code"] == "ssh-failed"
    assert problem["tail"]
    machine.wherry("stop")
    machine.ended()
    machine.assert_nothing_left()


def test_a_silent_monitor_is_reported_and_qemu_is_ended(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="launch=1")
    machine.cue(no_monitor=True)
    _, problem = starts_badly(machine)
    assert problem["code"] == "step-timed-out"
    assert "monitor" in problem["summary"]
    machine.ended()
    machine.assert_nothing_left()


def test_a_machine_that_dies_early_is_reported(machine: Machine) -> None:
    machine.cue(hold={"ssh": str(machine.gate("never"))}, die_after=0.2)
    _, problem = starts_badly(machine)
    assert problem["code"] == "machine-died"
    assert "code 1" in problem["summary"]


@pytest.mark.slow
def test_a_lock_held_by_no_agent_is_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.control.launch._TIMEOUT_S", 8.0)  # for a few agents that find it taken
    with FileLock(machine.paths.agent_lock), pytest.raises(WherryError) as caught:
        ensure_agent(machine.home)
    problem = caught.value.problem
    assert problem.code is ProblemCode.AGENT_UNREACHABLE
    assert str(machine.paths.agent_lock) in str(problem.summary)
    assert problem.hint


def test_a_home_that_cannot_be_created_is_reported(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    done = subprocess.run(
        [*machine.command, "start", "--json", "--home", str(tmp_path / "file" / "home")],
        env=machine.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout)["problem"]["code"] == "path-unusable"
