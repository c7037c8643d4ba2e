"""Base class of the requests: a struct with its name in the protocol and the type of its answer.

class ListPorts(Request[PortList], frozen=True):
    wire_name = "ports.list"

A client sends `ListPorts()` and receives a `PortList`; the agent registers its handler by
`ListPorts.handled_by(function)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Generic, Self, TypeVar, cast, get_args

import msgspec

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)


class Request(msgspec.Struct, Generic[AnswerT], frozen=True):
    """A request to the agent. The fields of a subclass are its arguments."""

    wire_name: ClassVar[str]
    """Its name in the protocol. Never changed, because other versions use it."""

    @classmethod
    def handled_by(cls, handle: Callable[[Self], Awaitable[AnswerT]]) -> Handler:
        """Pair this type of request with the function that answers it.

        Args:
            handle: takes the request and returns its answer; raises WherryError to refuse it.
        """
        return Handler(cls, handle)


@dataclass(frozen=True, slots=True)
class Handler:
    """A type of request and the function that answers it. Made by `Request.handled_by`, where types are checked."""

    kind: type[Request[Any]]
    handle: Callable[[Any], Awaitable[msgspec.Struct]]


class Done(msgspec.Struct, frozen=True):
    """An answer without content: the request was carried out."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a request that changes the machine: the change has begun, and the status shows it."""

    seq: int = 0
    """Number of the first status that shows it, or of a later one."""


@cache
def _answer_type(kind: type[Request[Any]]) -> type[msgspec.Struct]:
    for base in kind.__orig_bases__:  # type: ignore[attr-defined]  # of every generic class
        for answer in get_args(base):
            if isinstance(answer, type) and issubclass(answer, msgspec.Struct):
                return answer
    raise TypeError(f"{kind.__name__} does not say what it is answered with: class X(Request[Answer])")


def answer_type(kind: type[Request[AnswerT]]) -> type[AnswerT]:
    """The type of the answer to a request of this type."""
    return cast("type[AnswerT]", _answer_type(kind))
