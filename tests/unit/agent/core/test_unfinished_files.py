"""What a killed agent leaves behind is cleared away, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backend.agent.core import unfinished_files
from backend.paths import MachineDir


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(tmp_path / "h", max_socket_path_bytes=200, short_run_base=tmp_path)
    made.create()
    return made


def a_process_that_has_ended() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_files_of_processes_that_are_gone_are_removed(directory: MachineDir) -> None:
    dead_pid = a_process_that_has_ended()
    left = [
        directory.home / f".config.toml.{dead_pid}.new",
        directory.machine / f".run.json.{dead_pid}.new",
        directory.keys / f".known_hosts.{os.getpid()}.new",
    ]
    for path in left:
        path.write_text("half")
    unfinished_files.clear(directory, own_pid=os.getpid())
    assert not [path for path in left if path.exists()]


def test_a_file_that_is_being_written_stays(directory: MachineDir) -> None:
    being_written = directory.home / f".preferences.json.{os.getppid()}.new"
    being_written.write_text("half")
    unfinished_files.clear(directory, own_pid=os.getpid())
    assert being_written.exists()


def test_whole_files_and_files_of_others_stay(directory: MachineDir) -> None:
    dead_pid = a_process_that_has_ended()
    others = [directory.config, directory.home / ".hidden.new", directory.machine / f"disk.{dead_pid}.new"]
    for path in others:
        path.write_text("whole")
    unfinished_files.clear(directory, own_pid=os.getpid())
    assert all(path.exists() for path in others)


def test_a_socket_that_never_got_its_name_is_removed(directory: MachineDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory.run)  # the full name may be too long for a socket
    for name in (".0af93c", "docker.sock"):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(name)
    no_socket = directory.run / ".abcdef"
    no_socket.write_text("somebody's")
    unfinished_files.clear(directory, own_pid=os.getpid())
    assert sorted(path.name for path in directory.run.iterdir()) == [".abcdef", "docker.sock"]
