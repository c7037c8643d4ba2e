"""The control channel's words: one JSON object a line, both ways, no I/O here.

    client -> agent   hello, then request*
    agent  -> client  hello, status (at once and after every change), reply (one per request), notice,
                      stats (every few seconds, to those who asked for it)

A reader ignores fields that it does not know, so a minor addition breaks nobody; PROTOCOL grows when a word changes its
meaning. JSON only: nothing that is read here can run code.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from backend.errors import Problem, ProblemCode, fail
from backend.model import MachineStatus, Notice
from backend.stats import StatsSample

PROTOCOL: Final = 1
MAX_LINE_BYTES: Final = 1_048_576
"""A longer line is an error: neither side ever has a reason to send one."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="type"):
    """The first line of either side."""

    protocol: int
    version: str
    """Of the program that speaks: "0.1.0"."""
    pid: int


class Request(msgspec.Struct, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """Something asked of the agent. `name` is one of the methods that `server.py` lists."""

    id: int
    name: str
    args: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag="reply", tag_field="type"):
    """The answer to the request of the same id: a result, or a problem."""

    id: int
    result: dict[str, Any] = msgspec.field(default_factory=dict)
    problem: Problem | None = None


class StatusPush(msgspec.Struct, frozen=True, kw_only=True, tag="status", tag_field="type"):
    """The whole state of the machine."""

    status: MachineStatus


class NoticePush(msgspec.Struct, frozen=True, kw_only=True, tag="notice", tag_field="type"):
    """A thing that happened once."""

    notice: Notice


class StatsPush(msgspec.Struct, frozen=True, kw_only=True, tag="stats", tag_field="type"):
    """What the machine and its containers use: a sample, or why there is none."""

    sample: StatsSample | None = None
    problem: Problem | None = None


FromClient = Hello | Request
FromAgent = Hello | Reply | StatusPush | NoticePush | StatsPush

_Message = TypeVar("_Message")

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_agent: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)


def encode(message: FromClient | FromAgent) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(message) + b"\n"


def decode_from_client(untrusted_line: bytes) -> FromClient:
    """Read one line of a client.

    Raises:
        WherryError: BAD_REQUEST, for anything that is not a message of this protocol.
    """
    return _decode(_from_client, untrusted_line)


def decode_from_agent(untrusted_line: bytes) -> FromAgent:
    """Read one line of the agent.

    Raises:
        WherryError: BAD_REQUEST, for anything that is not a message of this protocol.
    """
    return _decode(_from_agent, untrusted_line)


def _decode(decoder: msgspec.json.Decoder[_Message], untrusted_line: bytes) -> _Message:
    if len(untrusted_line) > MAX_LINE_BYTES:
        raise fail(ProblemCode.BAD_REQUEST, f"A message of {len(untrusted_line)} bytes is longer than allowed.")
    try:
        return decoder.decode(untrusted_line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            f"A message on the control channel was not understood: {error}.",
            hint="If the app was updated while the machine ran, restart the agent: wherry restart --agent",
        ) from error


def check_protocol(hello: Hello) -> None:
    """Refuse a peer of another protocol.

    Raises:
        WherryError: AGENT_TOO_OLD.
    """
    if hello.protocol != PROTOCOL:
        raise fail(
            ProblemCode.AGENT_TOO_OLD,
            f"This program speaks version {PROTOCOL} of the control protocol, the other side {hello.protocol}.",
            hint="Restart the agent with: wherry restart --agent (the machine keeps running and is adopted).",
        )
