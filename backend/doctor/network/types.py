"""What the network's doctor finds, as data: hops in the order of a pull, and the sentence that sums them up."""

from __future__ import annotations

from dataclasses import dataclass

from backend.messages import Message
from backend.model import HopState


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHop:
    """One thing on the way to an image that works or does not. All text is clean and for the user."""

    id: str
    """Stable: "reference", "proxy", "dns-host", "dns-machine", "connect-host", ... "engine"."""
    title: Message
    state: HopState
    detail: Message
    """What was seen."""
    fix: Message | None = None
    """What the user can do; None where nothing is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDiagnosis:
    """The whole way."""

    image: str
    """As docker understands what was asked for: "docker.io/library/hello-world:latest"."""
    hops: tuple[NetworkHop, ...]
    verdict: Message
    """One or two sentences: the first hop at which a pull ends, and the fix; or that all works."""

    @property
    def failed(self) -> NetworkHop | None:
        """The first hop at which a pull ends; None: it gets to its end."""
        return next((hop for hop in self.hops if hop.state is HopState.FAILED), None)


class Unreached(Exception):  # noqa: N818 -- a finding
    """Something on the way did not work; carries what the hop says of it."""

    def __init__(self, detail: Message, fix: Message | None = None, *, wants_login: bool = False) -> None:
        super().__init__(str(detail))
        self.detail = detail
        self.fix = fix
        self.wants_login = wants_login
        """Whether it may be another answer with the user's credentials."""
