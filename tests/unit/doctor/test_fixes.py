"""What the doctor mends, and what it leaves alone."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from threading import Thread

import pytest

from backend.doctor import CheckResult, CheckSeverity, check_results_as_text, examine
from backend.doctor.engine_answer import ask_engine
from backend.engine import context
from backend.errors import ProblemCode, WherryError
from backend.messages import verbatim
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from backend.ssh.keys import ensure_keys
from backend.vm import ladder
from tests.unit.doctor.test_doctor import TestHost, directory, host

__all__ = ["directory", "host"]


def one(host: TestHost, directory: MachineDir, identifier: str, *, fix: bool = False) -> CheckResult:
    (result,) = examine(host, directory, agent_alive=False, only=[identifier], fix=fix)
    return result


def mended(host: TestHost, directory: MachineDir, identifier: str) -> CheckResult:
    """Looking changes nothing, mending mends, mending again does nothing."""
    before = one(host, directory, identifier)
    assert before.fix is not None
    assert f"--fix {identifier}" in check_results_as_text([before])
    assert one(host, directory, identifier) == before
    after = one(host, directory, identifier, fix=True)
    assert after.fixed
    assert after.fix is None
    assert after.passed
    again = one(host, directory, identifier, fix=True)
    assert not again.fixed
    assert again.finding == after.finding
    return after


def test_open_directories_are_closed(host: TestHost, directory: MachineDir) -> None:
    directory.logs.chmod(0o755)
    directory.agent_log.write_text("x")
    directory.agent_log.chmod(0o644)
    mended(host, directory, "permissions")
    assert directory.logs.stat().st_mode & 0o777 == 0o700
    assert directory.agent_log.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_can_read_in_a_closed_directory_is_closed_enough(
    host: TestHost, directory: MachineDir
) -> None:
    directory.config.chmod(0o644)
    assert one(host, directory, "permissions").passed


def test_keys_are_closed_and_a_damaged_pair_is_made_anew(host: TestHost, directory: MachineDir) -> None:
    keys = ensure_keys(directory.keys)
    keys.client.private_path.chmod(0o644)
    mended(host, directory, "keys")
    assert keys.client.private_path.stat().st_mode & 0o777 == 0o600
    before = keys.host.private_path.read_bytes()
    keys.client.private_path.write_bytes(b"damaged")
    mended(host, directory, "keys")
    assert keys.client.private_path.read_bytes().startswith(b"-----BEGIN")
    assert keys.host.private_path.read_bytes() == before


def test_only_verdicts_that_count_no_more_are_forgotten(host: TestHost, directory: MachineDir) -> None:
    fresh = "kvm/host | qemu 7.2.22 | "
    ladder.save_verdicts(
        directory.verdicts, {"kvm/host | qemu 6.0.0 | old": verbatim("died"), fresh: verbatim("died too")}
    )
    mended(host, directory, "verdicts")
    assert ladder.load_verdicts(directory.verdicts) == {fresh: verbatim("died too")}


def test_leftovers_of_a_crash_are_removed_and_nothing_else(host: TestHost, directory: MachineDir) -> None:
    dead = directory.run / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    finished = subprocess.Popen(["true"])
    finished.wait()
    stale = directory.machine / f".run.json.{finished.pid}.new"
    own = directory.machine / f".run.json.{os.getpid()}.new"
    foreign = directory.machine / ".hidden.new"
    link = directory.machine / f".link.{finished.pid}.new"
    for path in (stale, own, foreign, directory.run_record):
        path.write_text("{}")
    link.symlink_to(own)
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(directory.run / "monitor.sock"))
        served.listen()
        assert str(mended(host, directory, "leftovers").finding) == "None."
        assert (directory.run / "monitor.sock").exists()
    assert not any(path.exists() for path in (dead, stale, directory.run_record))
    assert own.exists()
    assert foreign.exists()
    assert link.is_symlink()


def test_files_of_a_machine_that_runs_are_not_judged(host: TestHost, directory: MachineDir) -> None:
    data_disk_path(directory).write_bytes(b"x")
    directory.run_record.write_text("{}")
    with data_disk_path(directory).open("rb"):
        results = examine(host, directory, agent_alive=False, only=["leftovers", "disk-health"], fix=True)
    assert [(str(result.finding), result.checked) for result in results] == [
        ("Not checked: the machine is running.", False)
    ] * 2
    assert directory.run_record.exists()


def test_leaks_are_given_back_and_errors_are_left(host: TestHost, directory: MachineDir) -> None:
    disk = data_disk_path(directory)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "1G"], check=True)
    assert one(host, directory, "disk-health").severity is CheckSeverity.OK
    # A cluster at the end of the file, counted as used, that nothing points to.
    with disk.open("r+b") as file:
        header = file.read(104)
        table = int.from_bytes(header[48:56], "big")
        file.seek(table)
        block = int.from_bytes(file.read(8), "big")
        file.seek(block + 2 * 40)
        file.write((1).to_bytes(2, "big"))
        file.truncate(41 * 65_536)
    assert one(host, directory, "disk-health").severity is CheckSeverity.WARNING
    directory.suspended_record.write_text("{}")
    leaking = disk.stat().st_mtime_ns
    assert not one(host, directory, "disk-health", fix=True).fixed
    assert disk.stat().st_mtime_ns == leaking, "the saved state would not fit a disk that was written to"
    assert one(host, directory, "suspended").severity is CheckSeverity.WARNING
    directory.suspended_record.unlink()
    mended(host, directory, "disk-health")
    with disk.open("r+b") as file:
        file.seek(block + 2 * 2)
        file.write((0).to_bytes(2, "big"))
    damaged = disk.read_bytes()
    broken = one(host, directory, "disk-health", fix=True)
    assert broken.severity is CheckSeverity.FAILURE
    assert not broken.fixed
    assert disk.read_bytes() == damaged


def test_a_context_that_leads_elsewhere_is_pointed_here(host: TestHost, directory: MachineDir, tmp_path: Path) -> None:
    context.install("unix:///elsewhere.sock", config_directory=tmp_path / "docker", default_socket=tmp_path / "none")
    mended(host, directory, "context")
    assert context.current_url() == f"unix://{directory.docker_socket}"


def test_an_entry_at_login_that_names_a_lost_program_is_written_anew(host: TestHost, directory: MachineDir) -> None:
    entry = host.autostart()
    entry.turn_on(['/gone/wherry "de$ktop" 100%', "--login"])
    assert entry.program() == '/gone/wherry "de$ktop" 100%'
    mended(host, directory, "autostart")
    program = entry.program()
    assert program is not None
    assert Path(program).is_file()


def test_an_agent_that_takes_the_machine_meanwhile_keeps_its_files(host: TestHost, directory: MachineDir) -> None:
    from backend.agent.core.owner import hold

    directory.run_record.write_text("{}")
    with hold(directory):
        result = one(host, directory, "leftovers", fix=True)
    assert not result.fixed
    assert "Nothing was changed" in str(result.finding)
    assert directory.run_record.exists()


def test_an_unknown_check_is_refused(host: TestHost, directory: MachineDir) -> None:
    with pytest.raises(WherryError, match="no check “nonsense”"):
        examine(host, directory, agent_alive=False, only=["nonsense"])


@pytest.mark.expect_log("the check accelerator failed")
def test_a_defect_in_one_check_hides_no_other(
    host: TestHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "accelerators", lambda: 1 / 0)
    results = {result.id: result for result in examine(host, directory, agent_alive=False)}
    assert "Internal error" in str(results["accelerator"].finding)
    assert results["image"].passed


def test_a_port_in_use_is_told_with_its_holder_unless_that_is_the_machine(
    host: TestHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr("backend.doctor.clients._PORTS", (port,))
        assert f"{port} by " in str(one(host, directory, "ports").finding)
        assert f"(process {os.getpid()})" in str(one(host, directory, "ports").finding)
        monkeypatch.setattr("backend.doctor.subject.Subject.own_pids", frozenset({os.getpid()}))
        assert str(one(host, directory, "ports").finding) == "Commonly used ports are free."


def test_a_program_that_does_not_answer_is_named(
    host: TestHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang() -> None:
        raise subprocess.TimeoutExpired(["kvm-probe", "--all"], 20)

    monkeypatch.setattr(host, "accelerators", hang)
    assert str(one(host, directory, "accelerator").finding) == "kvm-probe didn't respond within 20 s."


@pytest.mark.expect_log("the fix of permissions failed")
def test_a_defect_in_a_fix_hides_no_other_check(
    host: TestHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.logs.chmod(0o755)
    monkeypatch.setattr("backend.doctor.home.close_to_others", lambda _place: 1 / 0)
    results = {result.id: result for result in examine(host, directory, agent_alive=False, fix=True)}
    assert not results["permissions"].fixed
    assert "couldn't be fixed" in str(results["permissions"].finding)
    assert results["image"].passed


def served(place: Path, answer: bytes) -> Thread:
    """An engine that says this to the first who asks. The thread ends when it has said it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            assert connection.recv(4096).startswith(b"GET /version HTTP/1.1\r\nHost: docker\r\n")
            connection.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("fields", "ahead"),
    [(b"Date: Thu, 01 Jan 1970 00:01:40 GMT\r\n", 100.0), (b"Date: x\r\n", None), (b"", None)],
)
def test_the_engines_clock_is_read_from_its_answer(
    fields: bytes, ahead: float | None, host: TestHost, tmp_path: Path
) -> None:
    thread = served(
        tmp_path / "s", b'HTTP/1.1 200 OK\r\nContent-Length: 26\r\n%s\r\n{"Version": "28.5\\u001b" }' % fields
    )
    answer = ask_engine(host, tmp_path / "s")
    thread.join(10)
    assert answer.version == "28.5"
    if ahead is None:
        assert answer.clock_ahead_s is None
    else:
        assert answer.clock_ahead_s == pytest.approx(ahead - time.time(), abs=30)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "closed without an answer"),
        (b"\x00\xff", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "before the whole answer"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "expected an object"),
        (b'HTTP/1.0 503 X\r\n\r\n{"message":"it is busy"}', "it is busy"),
    ],
)
def test_an_engine_that_says_nonsense_does_not_answer(reply: bytes, why: str, host: TestHost, tmp_path: Path) -> None:
    thread = served(tmp_path / "s", reply)
    with pytest.raises(WherryError, match=why) as raised:
        ask_engine(host, tmp_path / "s")
    thread.join(10)
    assert raised.value.problem.code is ProblemCode.ENGINE_DOWN
