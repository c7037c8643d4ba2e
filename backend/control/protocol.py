"""The control protocol: one JSON object per line, in both directions. Does no I/O.

    client -> agent   hello, then request*
    agent  -> client  hello, status (at first and after every change), reply (one per request), notice,
                      stats (every few seconds, to subscribed clients)

A reader ignores unknown fields, so a new field breaks no other version. PROTOCOL is incremented when the meaning of a
message changes. Arguments and results are decoded in a second step: so a request with invalid arguments can still be
answered, and a result is decoded as the type that its request declares. JSON only: decoding never runs code.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from backend.control.lines import MAX_LINE_BYTES
from backend.control.messages.request import AnswerT, Request, answer_type
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import message
from backend.model import MachineStatus, Notice
from backend.stats import StatsSample

PROTOCOL: Final = 2
_EMPTY: Final = b"{}"
_MAX_ERROR_TEXT: Final = 300
"""Longest text of a decoder's error, which may repeat parts of the message."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="type"):
    """The first message of each side."""

    protocol: int
    version: str
    """Of the sending program: "0.1.0"."""
    pid: int


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, tag="request", tag_field="type"):
    """A `Request` as sent. Made by `request_line`, decoded by `read_request`."""

    id: int
    name: str
    """The request's `wire_name`."""
    args: msgspec.Raw = msgspec.Raw(_EMPTY)


class ReplyLine(msgspec.Struct, frozen=True, kw_only=True, tag="reply", tag_field="type"):
    """The reply to the request with the same id: a result or a problem. Made by `reply_line`, decoded by `read_reply`.

    Id 0 is the reply to a line that is no request: the connection is then closed.
    """

    id: int
    result: msgspec.Raw = msgspec.Raw(_EMPTY)
    problem: Problem | None = None


class StatusPush(msgspec.Struct, frozen=True, kw_only=True, tag="status", tag_field="type"):
    """The whole state of the machine."""

    status: MachineStatus


class NoticePush(msgspec.Struct, frozen=True, kw_only=True, tag="notice", tag_field="type"):
    """A notice: an event that is reported once."""

    notice: Notice


class StatsPush(msgspec.Struct, frozen=True, kw_only=True, tag="stats", tag_field="type"):
    """A sample of the resource use of the machine and its containers, or the problem that prevents one."""

    sample: StatsSample | None = None
    problem: Problem | None = None


FromClient = Hello | RequestLine
FromAgent = Hello | ReplyLine | StatusPush | NoticePush | StatsPush

_Message = TypeVar("_Message")
_RequestT = TypeVar("_RequestT", bound=Request[Any])

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_agent: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_DECODE_ERRORS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def encode(message: FromClient | FromAgent) -> bytes:
    """The message as one line, with its newline."""
    return _encoder.encode(message) + b"\n"


def request_line(number: int, request: Request[Any]) -> RequestLine:
    """Encode a request.

    Args:
        number: id of the request, from 1, unique on its connection. The reply has the same.
    """
    return RequestLine(id=number, name=request.wire_name, args=msgspec.Raw(_encoder.encode(request)))


def reply_line(number: int, answer: msgspec.Struct) -> ReplyLine:
    """Encode the answer to the request with this number."""
    return ReplyLine(id=number, result=msgspec.Raw(_encoder.encode(answer)))


def read_request(kind: type[_RequestT], untrusted: RequestLine) -> _RequestT:
    """Decode the arguments of a request of this type.

    Raises:
        WherryError: BAD_REQUEST, an argument is missing or has the wrong type.
    """
    try:
        decoded: _RequestT = msgspec.json.decode(untrusted.args, type=kind)
    except _DECODE_ERRORS as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message(
                "The agent didn't understand the request “{name}”: {error}.",
                name=kind.wire_name,
                error=_error_text(error),
            ),
        ) from error
    return decoded


def read_reply(request: Request[AnswerT], untrusted: ReplyLine) -> AnswerT:
    """Decode the answer to `request` from its reply.

    Raises:
        WherryError: the problem in the reply; AGENT_TOO_OLD, the result has another form than declared.
    """
    if untrusted.problem is not None:
        raise WherryError(untrusted.problem)
    try:
        return msgspec.json.decode(untrusted.result, type=answer_type(type(request)))
    except _DECODE_ERRORS as error:
        raise fail(
            ProblemCode.AGENT_TOO_OLD,
            message(
                "The agent's answer to “{name}” wasn't understood: {error}.",
                name=request.wire_name,
                error=_error_text(error),
            ),
            hint=message(
                "The app and the agent may have different versions. Restart the agent: wherry restart --agent"
            ),
        ) from error


def decode_from_client(untrusted_line: bytes) -> FromClient:
    """Decode one line sent by a client.

    Raises:
        WherryError: BAD_REQUEST, it is not a message of this protocol.
    """
    return _decode(_from_client, untrusted_line)


def decode_from_agent(untrusted_line: bytes) -> FromAgent:
    """Decode one line sent by the agent.

    Raises:
        WherryError: BAD_REQUEST, it is not a message of this protocol.
    """
    return _decode(_from_agent, untrusted_line)


def _decode(decoder: msgspec.json.Decoder[_Message], untrusted_line: bytes) -> _Message:
    if len(untrusted_line) > MAX_LINE_BYTES:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("A message of {count} bytes is too long.", count=len(untrusted_line)),
        )
    try:
        return decoder.decode(untrusted_line)
    except _DECODE_ERRORS as error:
        raise fail(
            ProblemCode.BAD_REQUEST,
            message("A message on the control channel wasn't understood: {error}.", error=_error_text(error)),
            hint=message(
                "If the app was updated while the machine was running, restart the agent: wherry restart --agent"
            ),
        ) from error


def _error_text(error: Exception) -> str:
    """The text of a decoder's error: shortened, and without control characters, which a terminal would obey."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return text if len(text) <= _MAX_ERROR_TEXT else f"{text[:_MAX_ERROR_TEXT]}…"


def check_protocol(hello: Hello) -> None:
    """Check that the peer uses the same version of the protocol.

    Raises:
        WherryError: AGENT_TOO_OLD, it does not.
    """
    if hello.protocol != PROTOCOL:
        raise fail(
            ProblemCode.AGENT_TOO_OLD,
            message(
                "This program uses version {own} of the control protocol, the other side version {other}.",
                own=PROTOCOL,
                other=hello.protocol,
            ),
            hint=message("Restart the agent; the machine keeps running: wherry restart --agent"),
        )
