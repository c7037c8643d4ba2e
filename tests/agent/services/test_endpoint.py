"""The docker endpoint belongs to the session: clients are answered after the agent was killed or replaced."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from backend.control import messages
from backend.control.client import end_agent
from backend.model import Phase, StopPolicy
from tests.agent.machine import PATIENCE_S, ROOT, Machine, eventually, kill, until

MOST_RSS = 20 * 2**20


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(machine: Machine, path: str = "/version") -> tuple[int, str]:
    """What a docker client is answered: status and body."""
    return get(machine.paths.docker_socket, path)


def get(address: Path, path: str = "/version") -> tuple[int, str]:
    connection = UnixConnection(address)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def assert_answered(machine: Machine) -> None:
    """Assert that a docker client gets the engine's answer."""
    code, body = ask(machine)
    assert code == 200, body


def new_command(machine: Machine) -> tuple[int, str]:
    """What a docker command is answered that a person types now: a process of its own."""
    code = "import sys; from tests.agent.services import test_endpoint as t; print(*t.get(t.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(machine.paths.docker_socket)],
        env=machine.environment, capture_output=True, text=True, check=True, timeout=2 * PATIENCE_S,
    )  # fmt: skip
    status, _, body = done.stdout.partition(" ")
    return int(status), body


def kill_agent(machine: Machine) -> None:
    with machine.client() as client:
        pid = client.agent_pid
    kill(pid)


def keeper(machine: Machine) -> psutil.Process:
    found: list[psutil.Process] = eventually(machine.keepers, "a keeper runs")
    assert len(found) == 1
    return found[0]


@pytest.fixture
def running(machine: Machine) -> Machine:
    """A machine whose endpoint is kept."""
    machine.started()
    keeper(machine)
    return machine


def test_a_docker_client_is_answered_after_the_agent_was_killed(running: Machine) -> None:
    before = running.launches
    inode = running.paths.docker_socket.stat().st_ino
    for _ in range(2):
        kill_agent(running)
        assert_answered(running)
    assert running.launches == before, "the machine went on"
    assert running.paths.docker_socket.stat().st_ino == inode
    assert stat.S_IMODE(running.paths.docker_socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.paths.keeper_socket.stat().st_mode) == 0o600
    assert len(running.agents()) == 1
    running.wherry("stop", "--quit")
    running.assert_nothing_left()


def test_clients_that_come_at_once_are_served_by_one_agent(running: Machine) -> None:
    kill_agent(running)
    answers: list[int] = []
    clients = [threading.Thread(target=lambda: answers.append(ask(running)[0])) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE_S)
    assert answers == [200] * 8
    eventually(lambda: len(running.agents()) == 1, "one agent is left")
    keeper(running)


def test_a_command_and_a_docker_client_may_start_the_agent_at_the_same_time(running: Machine) -> None:
    for _ in range(3):
        kill_agent(running)
        status = running.popen("status")
        assert_answered(running)
        assert status.wait(PATIENCE_S) == 0
    eventually(lambda: len(running.agents()) == 1, "one agent is left")
    keeper(running)


def test_a_killed_keeper_is_replaced_and_the_socket_stays(running: Machine) -> None:
    inode = running.paths.docker_socket.stat().st_ino
    first = keeper(running).pid
    kill(first)
    eventually(lambda: [found.pid for found in running.keepers()] not in ([], [first]), "there is another keeper")
    assert_answered(running)
    kill_agent(running)
    assert_answered(running)
    assert running.paths.docker_socket.stat().st_ino == inode


def test_agent_and_keeper_killed_leave_what_the_next_start_replaces(running: Machine) -> None:
    with running.client() as client:
        agent = client.agent_pid
    kill(keeper(running).pid)
    kill(agent)
    running.wherry("start")
    assert_answered(running)
    keeper(running)


def test_a_replaced_agent_leaves_no_gap(running: Machine) -> None:
    end_agent(running.home)  # as after an upgrade
    assert_answered(running)
    running.wherry("restart", "--agent")
    assert_answered(running)
    keeper(running)


def test_the_agent_of_a_stopped_machine_ends_and_a_new_command_wakes_the_machine(
    make_machine: Callable[..., Machine],
) -> None:
    machine = make_machine(deadlines="idle=0.5")
    machine.started()
    machine.wherry("stop")
    eventually(lambda: not machine.agents(), "nobody needs the agent")
    assert machine.wherry("status", code=3)
    assert ask(machine)[0] == 503, "a program that was there before the stop does not undo it"
    assert new_command(machine)[0] == 200
    assert len(machine.launches) == 2


def test_a_stop_holds_where_docker_commands_start_nothing(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.5")
    machine.configure(machine={"accelerator": "tcg", "start_on_demand": False})
    machine.started()
    machine.wherry("stop")
    eventually(lambda: not machine.agents(), "nobody needs the agent")
    code, body = new_command(machine)
    assert code >= 400
    assert "wherry start" in body
    assert len(machine.launches) == 1


def test_a_suspended_machine_goes_on_for_a_new_docker_command(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.5")
    machine.started()
    with machine.client() as client:
        client.request(messages.Stop(policy=StopPolicy.SUSPEND))
        until(client, Phase.SUSPENDED)
    eventually(lambda: not machine.agents(), "nobody needs the agent")
    assert new_command(machine)[0] == 200


def test_quit_ends_the_keeper_without_an_agent_too(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.5")
    machine.started()
    machine.wherry("stop")
    eventually(lambda: not machine.agents(), "nobody needs the agent")
    machine.wherry("stop", "--quit")
    machine.assert_nothing_left()
    with pytest.raises(FileNotFoundError):
        ask(machine)


def test_the_setting_turns_it_off_and_on_at_once(running: Machine) -> None:
    entry = login_entry(running)
    assert entry.exists()
    running.wherry("config", "set", "docker.keep_endpoint", "false")
    eventually(lambda: not running.keepers(), "no keeper is left")
    assert not entry.exists()
    assert_answered(running)  # the agent goes on listening
    running.wherry("config", "set", "docker.keep_endpoint", "true")
    keeper(running)
    assert entry.exists()
    kill_agent(running)
    assert_answered(running)
    kill_agent(running)
    running.wherry("config", "set", "docker.keep_endpoint", "false")
    eventually(lambda: not running.keepers(), "no keeper is left")
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        ask(running)


def test_the_entry_at_login_starts_a_keeper_and_no_machine(running: Machine) -> None:
    running.wherry("stop", "--quit")
    running.assert_nothing_left()
    log_in(running)
    assert not running.agents()
    assert new_command(running)[0] == 200
    log_in(running)
    keeper(running)


def test_the_entry_at_login_of_a_removed_machine_removes_itself(running: Machine) -> None:
    running.wherry("stop", "--quit")
    entry = login_entry(running)
    shutil.rmtree(running.home)
    log_in(running)
    assert not entry.exists()
    assert not running.home.exists()


def test_an_uninstall_leaves_nothing_in_the_session(running: Machine) -> None:
    entry, context = login_entry(running), Path(running.environment["DOCKER_CONFIG"]) / "contexts"
    assert list(context.rglob("meta.json"))
    done = json.loads(running.wherry("--json", "uninstall", "--yes").stdout)
    assert str(entry) in done["removed"]
    assert str(running.home) in done["stays"]
    assert not entry.exists()
    assert not list(context.rglob("meta.json"))
    running.assert_nothing_left()
    again = json.loads(running.wherry("--json", "uninstall", "--yes").stdout)
    assert again["removed"] == []


def test_a_keeper_whose_machine_was_removed_ends(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(deadlines="idle=0.5")
    machine.started()
    machine.wherry("stop")
    eventually(lambda: not machine.agents(), "nobody needs the agent")
    keeper(machine)
    shutil.rmtree(machine.home, ignore_errors=True)  # the keeper may remove its own files at the same time
    eventually(lambda: not machine.keepers(), "the keeper ends")


def test_a_home_with_a_long_path_is_kept_too(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine("a" * 60 + " 100% “long”/" + "b" * 60)
    assert machine.paths.run.parent != machine.home
    machine.started()
    kill_agent(machine)
    assert_answered(machine)


def test_a_client_is_told_when_no_agent_starts(running: Machine) -> None:
    kill_agent(running)
    running.paths.agent_lock.unlink()
    running.paths.agent_lock.mkdir()
    code, body = ask(running)
    assert code == 503
    assert "wherry start" in json.loads(body)["message"]
    running.paths.agent_lock.rmdir()
    # One that was started before may still be about to fail, and a client that comes meanwhile is told so, too.
    eventually(lambda: ask(running)[0] == 200, "the engine's answer")


def test_an_idle_keeper_is_small_and_never_wakes(running: Machine) -> None:
    kill_agent(running)
    process = keeper(running)
    assert_answered(running)
    with running.client():  # the agent that adopts the machine has the socket by now
        pass
    assert process.memory_info().rss < MOST_RSS
    before = process.num_ctx_switches()
    for _ in range(20):
        assert ask(running, "/_ping")[0] == 200
    assert process.num_ctx_switches() == before


def test_a_machine_that_never_ran_has_no_keeper(machine: Machine) -> None:
    with machine.client() as client:
        assert client.status.phase is Phase.STOPPED
        assert not machine.keepers()
        assert not login_entry(machine).exists()


def test_a_manager_that_hands_over_its_sockets(machine: Machine) -> None:
    """As systemd does: it keeps listening, and starts a keeper with both sockets for the first client."""
    machine.started()
    machine.wherry("stop", "--quit")
    machine.assert_nothing_left()
    manager = Manager(machine)
    try:
        answers: list[int] = []
        client = threading.Thread(target=lambda: answers.append(new_command(machine)[0]))
        client.start()
        manager.start_keeper()
        client.join(PATIENCE_S)
        assert answers == [200]
        assert machine.wherry("status").returncode == 0
        kill_agent(machine)
        assert manager.keeper.wait(PATIENCE_S) == 0, "the manager listens again"
        assert machine.paths.docker_socket.exists()
        manager.start_keeper()
        assert_answered(machine)
    finally:
        manager.close()


class Manager:
    """Listens on both sockets of a machine, and hands them to keepers as descriptors 3 and 4."""

    def __init__(self, machine: Machine) -> None:
        from backend.control.session import endpoint_place

        self._command = endpoint_place(machine.paths).keeper_command("systemd")
        self._environment = {**machine.environment, "LISTEN_FDS": "2"}
        self._sockets = []
        for path in (machine.paths.docker_socket, machine.paths.keeper_socket):
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen()
            self._sockets.append(listener)
        self._paths = (machine.paths.docker_socket, machine.paths.keeper_socket)

    def start_keeper(self) -> None:
        """Start one, once a client waits."""
        docker, control = (listener.fileno() for listener in self._sockets)
        code = (
            f"import os,sys; a,b=os.dup({docker}),os.dup({control}); os.dup2(a,3); os.dup2(b,4);"
            "os.set_inheritable(3,True); os.set_inheritable(4,True); os.execv(sys.argv[1],sys.argv[1:])"
        )
        self.keeper = subprocess.Popen(
            [sys.executable, "-c", code, *self._command], env=self._environment, cwd=ROOT, pass_fds=(docker, control)
        )

    def close(self) -> None:
        """End the keeper, and listen no more."""
        self.keeper.send_signal(signal.SIGTERM)
        self.keeper.wait(PATIENCE_S)
        for listener, path in zip(self._sockets, self._paths, strict=True):
            listener.close()
            path.unlink()


def log_in(machine: Machine) -> None:
    """Run the login entry's command."""
    from backend.control.session import endpoint_place

    subprocess.run(
        endpoint_place(machine.paths).starter, env=machine.environment, check=True, timeout=PATIENCE_S, cwd="/"
    )


def login_entry(machine: Machine) -> Path:
    """The file that starts the keeper at login."""
    from backend.control.session import endpoint_place

    name = endpoint_place(machine.paths).name
    return Path(os.environ["XDG_CONFIG_HOME"]) / "autostart" / f"{name}-endpoint.desktop"
