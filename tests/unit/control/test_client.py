"""The blocking client against a peer that says exactly what a test wants, on a real socket."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend.control import messages
from backend.control.client import AgentLeft, MachineClient, OtherVersion
from backend.control.protocol import PROTOCOL, Hello, NoticePush, ReplyLine, StatusPush, encode, reply_line
from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Notice, OperationStatus, Phase

STOPPED = MachineStatus(seq=1, phase=Phase.STOPPED, desired=Desired.STOPPED)
BUSY = Problem(code=ProblemCode.BUSY, summary=verbatim("Moving the disk."))
Asked = dict[str, Any]


class Peer:
    """Greets one client, then answers each of its lines with what `answers` makes of it; None: it leaves."""

    def __init__(self, address: Path) -> None:
        self.address = address
        self.hello = Hello(protocol=PROTOCOL, version="peer", pid=4711)
        self.answers: Callable[[Asked], list[bytes] | None] = lambda _asked: []
        self.asked: list[Asked] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, client.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                if asked["type"] == "hello":
                    client.sendall(encode(self.hello) + encode(StatusPush(status=STOPPED)))
                    continue
                self.asked.append(asked)
                answer = self.answers(asked)
                if answer is None:
                    return
                client.sendall(b"".join(answer))

    def close(self) -> None:
        self._listener.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path / "agent.sock")
    yield made
    made.close()


def status(seq: int, phase: Phase) -> bytes:
    return encode(StatusPush(status=dataclasses.replace(STOPPED, seq=seq, phase=phase)))


def test_the_answer_is_the_requests_own_and_pushes_are_kept(peer: Peer) -> None:
    peer.answers = lambda asked: [
        status(2, Phase.BOOTING),
        encode(NoticePush(notice=Notice(level="info", text=verbatim("hello")))),
        encode(ReplyLine(id=asked["id"] + 1, problem=BUSY)),
        encode(reply_line(asked["id"], messages.CheckpointCreated(id="c0"))),
    ]
    with MachineClient(str(peer.address)) as client:
        made = client.request(messages.CreateCheckpoint(name="mine"))
        assert made.id == "c0"
        assert client.status.phase is Phase.BOOTING
        updates = client.updates(timeout_s=0.05)
        assert [str(update.text) for update in updates if isinstance(update, Notice)] == ["hello"]
    assert [(asked["name"], asked["args"]) for asked in peer.asked] == [
        ("checkpoints.create", {"name": "mine", "force": False})
    ]


def test_what_a_request_has_changed_shows_in_the_status_when_it_is_answered(peer: Peer) -> None:
    peer.answers = lambda asked: [
        encode(reply_line(asked["id"], messages.Accepted(seq=3))),
        status(2, Phase.PREPARING),
        status(3, Phase.RUNNING),
        status(4, Phase.DEGRADED),
    ]
    with MachineClient(str(peer.address)) as client:
        client.request(messages.Start())
        assert client.status.phase is Phase.RUNNING


@pytest.mark.parametrize("number", [0, 1], ids=["the connection", "the request"])
def test_a_refusal_is_raised(peer: Peer, number: int) -> None:
    peer.answers = lambda _asked: [encode(ReplyLine(id=number, problem=BUSY))]
    with MachineClient(str(peer.address)) as client, pytest.raises(WherryError) as caught:
        client.request(messages.Stop())
    assert caught.value.problem == BUSY


def test_an_answer_of_another_form_names_the_version(peer: Peer) -> None:
    peer.answers = lambda asked: [encode(ReplyLine(id=asked["id"], result=msgspec.Raw(b'{"ports":3}')))]
    with MachineClient(str(peer.address)) as client:
        with pytest.raises(WherryError) as caught:
            client.request(messages.ListPorts())
        assert caught.value.problem.code is ProblemCode.AGENT_TOO_OLD
        peer.answers = lambda asked: [encode(reply_line(asked["id"], messages.PortList(ports=())))]
        assert client.request(messages.ListPorts()).ports == (), "the connection goes on"


def test_an_operation_shows_what_happens_meanwhile(peer: Peer) -> None:
    moving = dataclasses.replace(STOPPED, seq=2, operation=OperationStatus(name="disk.move", title=verbatim("Moving")))
    peer.answers = lambda asked: [
        encode(StatusPush(status=moving)),
        encode(NoticePush(notice=Notice(level="info", text=verbatim("half way")))),
        encode(reply_line(asked["id"], messages.DiskMoved(path="/mnt/data"))),
    ]
    shown: list[MachineStatus | Notice] = []
    with MachineClient(str(peer.address)) as client:
        done = client.operate(messages.MoveDisk(directory="/mnt"), show=shown.append, timeout_s=20)
    assert done.path == "/mnt/data"
    assert shown == [moving, Notice(level="info", text=verbatim("half way"))]


def test_an_agent_that_leaves_is_told_of(peer: Peer) -> None:
    peer.answers = lambda _asked: None
    with MachineClient(str(peer.address)) as client, pytest.raises(AgentLeft):
        client.request(messages.GetPhase())


def test_another_protocol_is_refused_with_the_agents_process(peer: Peer) -> None:
    peer.hello = Hello(protocol=PROTOCOL + 1, version="peer", pid=4711)
    with pytest.raises(OtherVersion) as caught:
        MachineClient(str(peer.address))
    assert caught.value.agent_pid == 4711
