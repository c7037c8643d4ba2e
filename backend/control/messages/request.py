"""What a request is: a struct that knows its name on the wire and the type of its reply.

class ListPorts(Request[PortList], frozen=True):
    wire_name = "ports.list"

A client sends `ListPorts()` and is given a `PortList`; an agent answers it with `ListPorts.handled_by(function)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, get_args

import msgspec

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)


class Request(msgspec.Struct, Generic[AnswerT], frozen=True):
    """Something asked of the agent; the fields of a subclass are its arguments."""

    wire_name: ClassVar[str]
    """As in the line that is sent. Never changed: other versions know it."""

    @classmethod
    def handled_by(cls, handle: Callable[[Self], Awaitable[AnswerT]]) -> Handler:
        """Pair the request with the function that answers it.

        Args:
            handle: raises WherryError to refuse.
        """
        return Handler(cls, handle)


@dataclass(frozen=True, slots=True)
class Handler:
    """A type of request and what answers it. Made by `Request.handled_by`, which sees that both fit."""

    kind: type[Request[Any]]
    handle: Callable[[Any], Awaitable[msgspec.Struct]]


class Done(msgspec.Struct, frozen=True):
    """The reply of a request that has nothing else to tell."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The reply of a request that changes the machine: it has begun, and the status shows it."""

    seq: int = 0
    """Of the first snapshot that shows it, or a later one."""


@cache
def _answer_type(kind: type[Request[Any]]) -> type[msgspec.Struct]:
    for base in kind.__orig_bases__:  # type: ignore[attr-defined]  # of every generic class
        for answer in get_args(base):
            if isinstance(answer, type) and issubclass(answer, msgspec.Struct):
                return answer
    raise TypeError(f"{kind.__name__} does not say what it is answered with: class X(Request[Answer])")


def answer_type(kind: type[Request[AnswerT]]) -> type[AnswerT]:
    """What a request of this type is answered with."""
    return cast("type[AnswerT]", _answer_type(kind))
