"""What an agent answers, written as on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backend.control.messages.request import AnswerT, Request, answer_type


def reply(request: Request[AnswerT], result: Mapping[str, Any]) -> tuple[Request[AnswerT], AnswerT]:
    """The request, and what this result is read as by who made it."""
    return request, msgspec.convert(result, type=answer_type(type(request)))


def answer_to(request: Request[AnswerT], result: Mapping[str, Any]) -> AnswerT:
    """What this result is read as by who made the request."""
    return reply(request, result)[1]
