"""Messages as lines: one JSON object a line, both ways. No I/O here.

    client -> agent   hello, then request*
    agent  -> client  hello, status (at once and after every change), reply (one per request), notice,
                      stats (every few seconds, to those who subscribed)

A reader ignores fields that it does not know, so a minor addition breaks nobody; PROTOCOL grows when a message changes
its meaning. Arguments and results are decoded apart from the line that brings them: a request that is not understood
can still be answered, and a reply is read as its own request's. JSON only: nothing that is read here can run code.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from backend.control.lines import MAX_LINE_BYTES
from backend.control.messages.request import AnswerT, Request, answer_type
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.model import MachineStatus, Notice
from backend.stats import StatsSample

PROTOCOL: Final = 1
_EMPTY: Final = b"{}"
_WORDS: Final = 300
"""Of what the decoder says about a message: it repeats parts of it."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="type"):
    """The first line of either side."""

    protocol: int
    version: str
    """Of the program that speaks: "0.1.0"."""
    pid: int


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """A request under way. `request_line` makes it of a `Request`, `read_request` makes it one again."""

    id: int
    name: str
    """The request's `wire_name`."""
    args: msgspec.Raw = msgspec.Raw(_EMPTY)


class ReplyLine(msgspec.Struct, frozen=True, kw_only=True, tag="reply", tag_field="type"):
    """The reply to the request of the same id: a result, or a problem. See `reply_line` and `read_reply`."""

    id: int
    result: msgspec.Raw = msgspec.Raw(_EMPTY)
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


FromClient = Hello | RequestLine
FromAgent = Hello | ReplyLine | StatusPush | NoticePush | StatsPush

_Message = TypeVar("_Message")
_RequestT = TypeVar("_RequestT", bound=Request[Any])

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_agent: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_NOT_UNDERSTOOD: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def encode(message: FromClient | FromAgent) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(message) + b"\n"


def request_line(number: int, request: Request[Any]) -> RequestLine:
    """Put a request on its way.

    Args:
        number: of the request, for the reply to name; from 1 on, unique on its connection.
    """
    return RequestLine(id=number, name=request.wire_name, args=msgspec.Raw(_encoder.encode(request)))


def reply_line(number: int, answer: msgspec.Struct) -> ReplyLine:
    """Put an answer on its way, to the request of that number."""
    return ReplyLine(id=number, result=msgspec.Raw(_encoder.encode(answer)))


def read_request(kind: type[_RequestT], untrusted: RequestLine) -> _RequestT:
    """The arguments of a request of this kind.

    Raises:
        WherryError: BAD_REQUEST, one is missing or of another type.
    """
    try:
        read: _RequestT = msgspec.json.decode(untrusted.args, type=kind)
    except _NOT_UNDERSTOOD as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            f"The agent does not understand what is asked with {kind.wire_name!r}: {_words(error)}.",
        ) from error
    return read


def read_reply(request: Request[AnswerT], untrusted: ReplyLine) -> AnswerT:
    """The answer to `request` in the reply of its number.

    Raises:
        WherryError: the agent refused, and why; AGENT_TOO_OLD, its answer is of another form.
    """
    if untrusted.problem is not None:
        raise WherryError(untrusted.problem)
    try:
        return msgspec.json.decode(untrusted.result, type=answer_type(type(request)))
    except _NOT_UNDERSTOOD as error:
        raise fail(
            ProblemCode.AGENT_TOO_OLD,
            f"The agent's answer to {request.wire_name!r} was not understood: {_words(error)}.",
            hint="The app and the agent may be of different versions. Restart the agent: wherry restart --agent",
        ) from error


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
    except _NOT_UNDERSTOOD as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            f"A message on the control channel was not understood: {_words(error)}.",
            hint="If the app was updated while the machine ran, restart the agent: wherry restart --agent",
        ) from error


def _words(error: Exception) -> str:
    """What the decoder says, short and without what could drive a terminal."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}…"


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
