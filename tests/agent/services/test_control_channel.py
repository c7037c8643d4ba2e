"""The agent's control channel with clients of another version, and with clients that misbehave or are slow."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import psutil
import pytest

from backend.control import messages
from backend.control.client import MachineClient, OtherVersion, end_agent
from backend.control.lines import MAX_LINE_BYTES
from backend.control.protocol import PROTOCOL, Hello, encode, request_line
from backend.errors import ProblemCode, WherryError
from backend.model import Phase
from tests.agent.machine import PATIENCE_S, Machine, eventually, refused, until

HELLO = encode(Hello(protocol=PROTOCOL, version="test", pid=os.getpid()))


def dial(machine: Machine) -> socket.socket:
    """A raw connection to the running agent."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE_S)
    connection.connect(str(machine.paths.agent_socket))
    return connection


def answers(connection: socket.socket) -> list[dict[str, object]]:
    """All lines that the agent sends until it closes the connection."""
    return [json.loads(line) for line in connection.makefile("rb").read().splitlines()]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\xff\xfe\n",
        b"GET / HTTP/1.1\n",
        b'{"type":"reply","id":1}\n',
        b"[" * 200_000 + b"\n",
        b'{"type":"request","id":"one","name":"stop"}\n',
        b"x" * (MAX_LINE_BYTES + 2),
    ],
    ids=["empty", "no text", "http", "of the agent", "deep", "wrong type", "endless"],
)
@pytest.mark.parametrize("greeted", [False, True], ids=["at once", "greeted"])
def test_an_invalid_line_ends_only_its_connection(machine: Machine, line: bytes, greeted: bool) -> None:
    with machine.client() as client, dial(machine) as rude:
        rude.sendall((HELLO if greeted else b"") + line)
        (refusal,) = (message for message in answers(rude) if message["type"] == "reply")
        assert refusal["problem"]["code"] == "bad-request"  # type: ignore[index]
        assert client.request(messages.GetPhase()) == messages.CurrentPhase(phase=Phase.STOPPED)


def test_unknown_fields_are_passed_over_and_unknown_requests_are_answered(machine: Machine) -> None:
    with machine.client() as client, dial(machine) as newer:
        hello = {"type": "hello", "protocol": PROTOCOL, "version": "9", "pid": 1, "colour": "blue"}
        unknown = b'{"type":"request","id":7,"name":"fly","args":{"high":true}}\n'
        odd = b'{"type":"request","id":8,"name":"stop","args":{"policy":"gently"}}\n'
        newer.sendall(json.dumps(hello).encode() + b"\n" + unknown + odd)
        lines = newer.makefile("rb")
        kinds = [json.loads(lines.readline()) for _ in range(4)]
        assert {kind["type"] for kind in kinds} == {"hello", "status", "reply"}
        refusals = {kind["id"]: kind["problem"]["code"] for kind in kinds if kind["type"] == "reply"}
        assert refusals == {7: "bad-request", 8: "bad-request"}
        assert client.request(messages.GetPhase()).phase is Phase.STOPPED
        lines.close()


def test_a_client_that_reads_nothing_holds_up_nobody(machine: Machine) -> None:
    with machine.client() as client, dial(machine) as lazy:
        flood = HELLO + b"".join(encode(request_line(number, messages.GetPhase())) for number in range(40_000))
        lazy.setblocking(False)
        sent = 0
        try:
            while sent < len(flood):
                sent += lazy.send(flood[sent : sent + 65_536])
        except BlockingIOError:
            pass  # the agent has stopped reading, or is slower than we
        client.request(messages.Start())
        until(client, Phase.RUNNING)


def test_clients_that_come_and_go_leave_no_descriptor(machine: Machine) -> None:
    with machine.client() as client:
        agent = psutil.Process(client.agent_pid)
        before = agent.num_fds()
        for _ in range(50):
            with dial(machine) as visitor:
                visitor.sendall(HELLO)
        eventually(lambda: agent.num_fds() <= before, "the descriptors are closed")


class OtherAgent:
    """A stand-in for another program on the agent's socket: sends `first` to each client, then nothing."""

    def __init__(self, address: Path, first: bytes) -> None:
        self._first = first
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            try:
                client.sendall(self._first)
            except OSError:
                continue  # it only checked for a listener

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)
        for client in self._clients:
            client.close()


def test_an_agent_of_another_version_is_named_and_can_be_replaced(machine: Machine) -> None:
    hello = encode(Hello(protocol=PROTOCOL + 1, version="9.0", pid=1))
    other = OtherAgent(machine.paths.agent_socket, hello)
    try:
        with pytest.raises(OtherVersion) as caught:
            MachineClient.open(machine.home)
        assert caught.value.problem.code is ProblemCode.AGENT_TOO_OLD
        assert "restart --agent" in (str(caught.value.problem.hint) or "")
        done = machine.wherry("start", "--json", code=1)
        assert json.loads(done.stdout)["problem"]["code"] == "agent-too-old"
        with pytest.raises(OtherVersion):
            end_agent(machine.home)  # process 1 is nobody's agent
    finally:
        other.close()


def test_the_agent_names_its_own_version_to_a_client_of_another(machine: Machine) -> None:
    with machine.client(), dial(machine) as other:
        other.sendall(encode(Hello(protocol=PROTOCOL + 1, version="9.0", pid=1)))
        hello, reply = answers(other)
        assert hello["protocol"] == PROTOCOL
        assert reply["problem"]["code"] == "agent-too-old"  # type: ignore[index]


@pytest.mark.parametrize("first", [b"220 mail.example ESMTP\r\n", b'{"type":"reply","id":0}\n'], ids=["mail", "reply"])
def test_another_program_on_the_agents_socket_is_reported(machine: Machine, first: bytes) -> None:
    other = OtherAgent(machine.paths.agent_socket, first)
    try:
        with pytest.raises(WherryError) as caught:
            MachineClient.open(machine.home)
        assert caught.value.problem.code in (ProblemCode.BAD_REQUEST, ProblemCode.AGENT_UNREACHABLE)
        done = machine.wherry("status", code=1)
        assert "Traceback" not in done.stderr
    finally:
        other.close()


def test_an_agent_that_hangs_is_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine.client() as client:
        pid = client.agent_pid
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("backend.control.client._REPLY_TIMEOUT_S", 0.5)
    try:
        assert refused(machine.client) is ProblemCode.AGENT_UNREACHABLE
    finally:
        os.kill(pid, signal.SIGCONT)
