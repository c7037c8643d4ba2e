"""Hooks of the API front: rewriting requests and responses, and delaying them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backend.errors import Problem

Headers = tuple[tuple[str, str], ...]
"""Pairs of lower-case name and value, in the order received."""


Rewrite = Callable[[bytes], bytes]
"""Converts the body of a response. MUST be fast and MUST NOT raise."""


class FrontHooks(Protocol):
    """Called on the front's loop for every request; `target` is the path and query as sent by the client."""

    def wants_body(self, method: str, target: str) -> bool:
        """Whether to call `rewrite_request`. The body is read first, up to 4 MiB."""
        ...

    async def rewrite_request(self, method: str, target: str, headers: Headers, body: bytes) -> bytes | None:
        """Return the body to send instead, or None to leave it unchanged.

        Raises:
            WherryError: the request is rejected; the client gets a 400 with the problem's text.
        """
        ...

    async def before_request(self, method: str, target: str) -> Problem | None:
        """Wait until the request may be sent to the engine; its body may not have arrived yet.

        The client waits meanwhile, so this MUST return within a deadline of its own.

        Returns:
            None to send the request; a Problem to answer 500 with its text instead.
        """
        ...

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:
        """Return a function that converts the response's body, which is read first (up to 64 MiB); None: unchanged."""
        ...

    async def before_response(self, method: str, target: str, status: int) -> Problem | None:
        """Wait until the response may be forwarded; its head has been received.

        The client waits meanwhile, so this MUST return within a deadline of its own.

        Returns:
            None to forward the response; a Problem to answer 500 with its text instead.
        """
        ...


class NoHooks:
    """Changes nothing."""

    def wants_body(self, method: str, target: str) -> bool:  # noqa: ARG002
        """See FrontHooks."""
        return False

    async def rewrite_request(self, method: str, target: str, headers: Headers, body: bytes) -> bytes | None:  # noqa: ARG002
        """See FrontHooks."""
        return None

    async def before_response(self, method: str, target: str, status: int) -> Problem | None:  # noqa: ARG002
        """See FrontHooks."""
        return None

    async def before_request(self, method: str, target: str) -> Problem | None:  # noqa: ARG002
        """See FrontHooks."""
        return None

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:  # noqa: ARG002
        """See FrontHooks."""
        return None
