"""Replies of the agent, decoded from their form on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backend.control.messages.request import AnswerT, Request, answer_type


def reply(request: Request[AnswerT], result: Mapping[str, Any]) -> tuple[Request[AnswerT], AnswerT]:
    """The request, and its reply decoded from `result`."""
    return request, msgspec.convert(result, type=answer_type(type(request)))


def answer_to(request: Request[AnswerT], result: Mapping[str, Any]) -> AnswerT:
    """The reply to a request, decoded from `result`."""
    return reply(request, result)[1]
