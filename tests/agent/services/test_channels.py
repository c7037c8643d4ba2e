"""Access to the agent: only its own user, whatever the umask, and even if file modes are opened later."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.control.client import MachineClient, end_agent
from backend.control.launch import machine_directory

START = """
import os, sys
from pathlib import Path
from backend.control.launch import ensure_agent
os.umask(0)
ensure_agent(Path(sys.argv[1]))
"""
CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(sys.argv[1])
connection.sendall(b'{"type":"hello","protocol":2,"version":"0","pid":1}\\n')
sys.exit(7 if connection.recv(100) else 8)
"""
NOBODY = 65534


def as_nobody(program: str, argument: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python program as another local user."""
    setpriv = shutil.which("setpriv")
    assert setpriv
    command = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "/usr/bin/python3", "-c", program]
    return subprocess.run([*command, str(argument)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_an_agent_started_without_a_umask_keeps_its_files_private(home: Path) -> None:
    subprocess.run([sys.executable, "-c", START, str(home)], check=True, timeout=60)
    try:
        with MachineClient.open(home):
            found = [path for path in (home, *home.rglob("*")) if not path.is_symlink()]
            opened = [str(path) for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]
            assert opened == []
            assert {"agent.sock", "agent.log", "agent.out", "agent.lock"} <= {path.name for path in found}
    finally:
        end_agent(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")
def test_another_user_is_turned_away_even_where_the_modes_were_opened(home: Path) -> None:
    subprocess.run([sys.executable, "-c", START, str(home)], check=True, timeout=60)
    directory = machine_directory(home)
    opened = [home, directory.run, *(path for path in home.parents if str(path).startswith("/tmp/"))]
    before = {path: stat.S_IMODE(path.stat().st_mode) for path in opened}
    try:
        assert "PermissionError" in as_nobody(CONNECT, directory.agent_socket).stderr
        for path in opened:
            path.chmod(0o755)
        assert "PermissionError" in as_nobody(CONNECT, directory.agent_socket).stderr, "the socket itself is closed"
        directory.agent_socket.chmod(0o777)
        refused = as_nobody(CONNECT, directory.agent_socket)
        assert refused.returncode == 8 or "Error" in refused.stderr, "it was answered"
        with MachineClient.open(home) as ours:
            assert ours.status.phase.value == "stopped"
        assert "turned away" in directory.agent_log.read_text()
    finally:
        for path, mode in before.items():
            path.chmod(mode)
        end_agent(home)
