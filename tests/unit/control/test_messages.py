"""Requests and replies: their form on the wire is fixed, since agent and client may be of different versions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from backend.addresses import Origin, PortState, PortStatus, Protocol
from backend.control import messages
from backend.control.messages.request import Handler, Request, answer_type
from backend.control.protocol import (
    ReplyLine,
    RequestLine,
    decode_from_agent,
    decode_from_client,
    encode,
    read_reply,
    read_request,
    reply_line,
    request_line,
)
from backend.errors import Action, Problem, ProblemCode, WherryError
from backend.messages import verbatim
from backend.model import MachineResources, OperationStatus, Phase, StopPolicy

ON_THE_WIRE: list[tuple[str, dict[str, Any], Request[Any]]] = [
    ("start", {}, messages.Start()),
    ("stop", {}, messages.Stop()),
    ("stop", {"policy": "suspend"}, messages.Stop(policy=StopPolicy.SUSPEND)),
    ("restart", {"kill": True}, messages.Restart(kill=True)),
    ("status", {}, messages.GetPhase()),
    ("shutdown", {}, messages.ShutDownAgent()),
    ("engine.restart", {}, messages.RestartEngine()),
    ("continue", {}, messages.Continue()),
    ("reclaim", {}, messages.Reclaim()),
    ("usage", {}, messages.GetUsage()),
    ("stats.subscribe", {}, messages.SubscribeStats()),
    ("stats.unsubscribe", {}, messages.UnsubscribeStats()),
    ("checkpoints.list", {}, messages.ListCheckpoints()),
    ("checkpoints.create", {"name": "mine"}, messages.CreateCheckpoint(name="mine")),
    ("checkpoints.create", {"name": "", "force": True}, messages.CreateCheckpoint(force=True)),
    ("checkpoints.restore", {"id": "c0"}, messages.RestoreCheckpoint(id="c0")),
    ("checkpoints.delete", {"id": "c0"}, messages.DeleteCheckpoint(id="c0")),
    ("operation.cancel", {}, messages.CancelOperation()),
    ("update.check", {}, messages.CheckUpdate()),
    ("update.apply", {}, messages.ApplyUpdate()),
    ("update.apply", {"directory": "/images/1"}, messages.ApplyUpdate(directory="/images/1")),
    ("disk.grow", {"size_gib": 96}, messages.GrowDisk(size_gib=96)),
    ("disk.move", {"directory": "/mnt"}, messages.MoveDisk(directory="/mnt")),
    ("reset", {}, messages.ResetMachine()),
    ("reset", {"keep": False}, messages.ResetMachine(keep=False)),
    ("config.get", {}, messages.GetSettings()),
    (
        "config.set",
        {"values": {"machine.cpus": 3, "docker.context": False, "image.update": "auto"}},
        messages.SetSettings(values={"machine.cpus": 3, "docker.context": False, "image.update": "auto"}),
    ),
    ("daemon.get", {}, messages.GetDaemonFile()),
    ("daemon.check", {"text": "{}"}, messages.CheckDaemonFile(text="{}")),
    ("daemon.set", {"text": "{}"}, messages.SetDaemonFile(text="{}")),
    ("context.get", {}, messages.GetContext()),
    ("context.install", {}, messages.InstallContext()),
    ("context.select", {}, messages.SelectContext()),
    ("context.remove", {}, messages.RemoveContext()),
    ("autostart.get", {}, messages.GetAutostart()),
    ("autostart.set", {"on": True}, messages.SetAutostart(on=True)),
    ("logs.tail", {"which": "serial"}, messages.ReadLog(which=messages.MachineLog.SERIAL)),
    ("ports.list", {}, messages.ListPorts()),
    ("files.list", {"container": "ab" * 6, "path": "/"}, messages.ListFiles(container="ab" * 6, path="/")),
]
"""Of version 1 of the protocol, as its first clients wrote them."""

PROBLEM = Problem(code=ProblemCode.BUSY, summary=verbatim("x"), tail=("a",), action=Action.RESTART)
ANSWERS: list[tuple[msgspec.Struct, dict[str, Any]]] = [
    (messages.Done(), {}),
    (messages.Accepted(seq=4), {"seq": 4}),
    (messages.Continued(continued=True, seq=4), {"continued": True, "seq": 4}),
    (messages.CurrentPhase(phase=Phase.STOPPED), {"phase": "stopped"}),
    (
        messages.Reclaimed(memory_before=2, memory_after=1),
        {"memory_before": 2, "memory_after": 1, "disk_before": None, "disk_after": None},
    ),
    (
        messages.CheckpointList(
            checkpoints=(
                messages.CheckpointEntry(
                    id="c0", name="", reason="manual", created_at=1.5, size_gib=0.5, automatic=False, foreign=False
                ),
            ),
            policy=messages.CheckpointPolicy(keep_automatic=3, keep_days=14),
            disk_bytes=7,
        ),
        {
            "checkpoints": [
                {
                    "id": "c0",
                    "name": "",
                    "reason": "manual",
                    "created_at": 1.5,
                    "size_gib": 0.5,
                    "disk_gib": None,
                    "image_version": "",
                    "automatic": False,
                    "foreign": False,
                }
            ],
            "policy": {"keep_automatic": 3, "keep_days": 14},
            "disk_bytes": 7,
            "problem": None,
        },
    ),
    (messages.MachineReset(checkpoint=None, existed=True), {"checkpoint": None, "existed": True}),
    (
        messages.DaemonFileSaved(findings=(), valid=False, saved=False, text="["),
        {"findings": [], "valid": False, "saved": False, "text": "["},
    ),
    (
        messages.SettingsReply(
            values={"machine.cpus": 0},
            defaults={"machine.cpus": 0},
            chosen=MachineResources(cpus=2, memory_mib=2048, disk_gib=64),
            host=messages.HostLimits(cpus=2, memory_mib=8192, disk_free_gib=99, minimum_memory_mib=512),
            disk=messages.DataDisk(exists=False),
        ),
        {
            "values": {"machine.cpus": 0},
            "defaults": {"machine.cpus": 0},
            "chosen": {"cpus": 2, "memory_mib": 2048, "disk_gib": 64},
            "host": {"cpus": 2, "memory_mib": 8192, "disk_free_gib": 99, "minimum_memory_mib": 512},
            "disk": {"exists": False, "size_gib": None, "path": "", "used_bytes": None},
            "restart_reasons": [],
        },
    ),
    (
        messages.FileList(
            container="c",
            path="/",
            resolved="/",
            directory=messages.FileRecord(".", 0o40755, 1, 2, 3, 4),
            entries=(messages.FileRecord("b\xff", 0o120777, 1, 2, 3, 4, "/etc"),),
        ),
        {
            "container": "c",
            "path": "/",
            "resolved": "/",
            "truncated": False,
            "directory": [".", 0o40755, 1, 2, 3, 4, ""],
            "entries": [["b\xff", 0o120777, 1, 2, 3, 4, "/etc"]],
        },
    ),
]


def asked(name: str, arguments: Any) -> RequestLine:
    line = json.dumps({"type": "request", "id": 7, "name": name, "args": arguments})
    read = decode_from_client(line.encode())
    assert isinstance(read, RequestLine)
    return read


@pytest.mark.parametrize(("name", "arguments", "meant"), ON_THE_WIRE, ids=lambda value: str(value)[:40])
def test_an_older_client_is_understood(name: str, arguments: dict[str, Any], meant: Request[Any]) -> None:
    read = read_request(messages.REQUESTS[name], asked(name, {**arguments, "urgency": "high"}))
    assert read == meant


@pytest.mark.parametrize(("name", "arguments", "meant"), ON_THE_WIRE, ids=lambda value: str(value)[:40])
def test_an_older_agent_is_told_what_it_knows(name: str, arguments: dict[str, Any], meant: Request[Any]) -> None:
    sent = json.loads(encode(request_line(7, meant)))
    assert (sent["type"], sent["id"], sent["name"]) == ("request", 7, name)
    assert sent["args"].items() >= arguments.items()


def test_every_request_is_in_the_table_above_and_says_what_it_is_answered_with() -> None:
    assert {name for name, _, _ in ON_THE_WIRE} == messages.REQUESTS.keys()
    for kind in messages.REQUESTS.values():
        assert issubclass(answer_type(kind), msgspec.Struct)
    assert answer_type(messages.ListCheckpoints) is messages.CheckpointList


def test_a_request_that_does_not_say_is_a_defect() -> None:
    class Nameless(Request, frozen=True):  # type: ignore[type-arg]
        wire_name = "nameless"

    with pytest.raises(TypeError, match="Nameless"):
        answer_type(Nameless)


@pytest.mark.parametrize(("answer", "plain"), ANSWERS, ids=lambda value: type(value).__name__)
def test_a_reply_has_the_form_that_it_always_had(answer: msgspec.Struct, plain: dict[str, Any]) -> None:
    line = json.loads(encode(reply_line(7, answer)))
    assert line == {"type": "reply", "id": 7, "result": plain, "problem": None}
    assert msgspec.convert(plain, type=type(answer)) == answer


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("stop", {"policy": "gently"}),
        ("checkpoints.create", {"name": 3}),
        ("checkpoints.delete", {}),
        ("disk.grow", {"size_gib": True}),
        ("disk.grow", {"size_gib": "96"}),
        ("reset", {"keep": "no"}),
        ("config.set", {"values": [1]}),
        ("config.set", {"values": {"machine.cpus": [1]}}),
        ("logs.tail", {"which": "../../etc/passwd"}),
        ("daemon.set", []),
    ],
)
def test_arguments_of_another_type_are_refused_in_words(name: str, arguments: Any) -> None:
    with pytest.raises(WherryError) as caught:
        read_request(messages.REQUESTS[name], asked(name, arguments))
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST
    assert name in str(caught.value.problem.summary)


def test_what_the_decoder_repeats_of_a_message_is_short_and_printable() -> None:
    with pytest.raises(WherryError) as caught:
        read_request(messages.ReadLog, asked("logs.tail", {"which": "\x1b[2J" + "x" * 100_000}))
    summary = str(caught.value.problem.summary)
    assert summary.isprintable()
    assert len(summary) < 500


def reply(text: str) -> ReplyLine:
    made = decode_from_agent(f'{{"type":"reply","id":7,{text}}}'.encode())
    assert isinstance(made, ReplyLine)
    return made


def test_a_reply_is_read_as_its_requests() -> None:
    told = '"title":{"text":"{text}","values":{"text":"Reset"}}'
    answer = read_reply(messages.CancelOperation(), reply('"result":{"operation":{"name":"reset",' + told + "}}"))
    assert answer.operation == OperationStatus(name="reset", title=verbatim("Reset"))
    listed = read_reply(
        messages.ListPorts(),
        reply('"result":{"ports":[{"protocol":"tcp","address":"::1","port":80,"state":"open","origin":"container"}]}'),
    )
    row = PortStatus(protocol=Protocol.TCP, address="::1", port=80, state=PortState.OPEN, origin=Origin.CONTAINER)
    assert listed.ports == (row,)


def test_a_refusal_is_raised() -> None:
    with pytest.raises(WherryError) as caught:
        read_reply(messages.ListPorts(), reply_of(PROBLEM))
    assert caught.value.problem == PROBLEM


def reply_of(problem: Problem) -> ReplyLine:
    made = decode_from_agent(encode(ReplyLine(id=7, problem=problem)))
    assert isinstance(made, ReplyLine)
    return made


@pytest.mark.parametrize(
    "result", ["{}", "[]", '{"ports":[{}]}', '{"ports":3}', '{"ports":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_an_answer_of_another_form_is_a_problem_of_versions(result: str) -> None:
    line = reply('"result":{}')
    line = msgspec.structs.replace(line, result=msgspec.Raw(result.encode()))
    with pytest.raises(WherryError) as caught:
        read_reply(messages.ListPorts(), line)
    assert caught.value.problem.code is ProblemCode.AGENT_TOO_OLD
    assert "wherry restart --agent" in (str(caught.value.problem.hint) or "")


def test_a_handler_knows_its_request() -> None:
    async def list_ports(request: messages.ListPorts) -> messages.PortList:
        return messages.PortList(ports=())

    assert messages.ListPorts.handled_by(list_ports) == Handler(messages.ListPorts, list_ports)
