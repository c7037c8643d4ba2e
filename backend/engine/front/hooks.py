"""What the front lets others do with a request: rewrite its body, hold its response."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backend.errors import Problem

Headers = tuple[tuple[str, str], ...]
"""(name in lower case, value) in the order they came."""


Rewrite = Callable[[bytes], bytes]
"""Makes a response's body of the engine's. Quick, and MUST NOT raise."""


class FrontHooks(Protocol):
    """All methods run on the front's loop, for every request; `target` is the path and query as the client sent it."""

    def wants_body(self, method: str, target: str) -> bool:
        """Return whether `rewrite_request` is to be called. The body is then collected first, up to 4 MiB."""
        ...

    async def rewrite_request(self, method: str, target: str, headers: Headers, body: bytes) -> bytes | None:
        """Return the body to send instead, or None to leave it.

        Raises:
            WherryError: the request cannot be passed on; the client gets a 400 with the problem's text.
        """
        ...

    async def before_request(self, method: str, target: str) -> Problem | None:
        """Return when the request may be sent to the engine; its body may be still to come.

        The client waits meanwhile, so MUST return within a deadline of its own.

        Returns:
            None to send it; a Problem to answer 500 with its text in its stead.
        """
        ...

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:
        """Return what makes the response's body, which is then collected first (64 MiB); None to leave it."""
        ...

    async def before_response(self, method: str, target: str, status: int) -> Problem | None:
        """Return when the engine's response may be passed on; it has been received but for its body.

        The client waits meanwhile, so MUST return within a deadline of its own.

        Returns:
            None to pass the response on; a Problem to answer 500 with its text in its stead.
        """
        ...


class NoHooks:
    """Leaves everything as it is."""

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
