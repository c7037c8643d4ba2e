"""Who asks, and what a request means for the machine: whether it may start it, and whether it counts as use.

A person who stops or suspends the machine means it. A program that was connected before, such as an editor that lists
containers every few seconds, must not undo that by asking again; a docker command that is typed afterwards may. The two
are told apart by their process: a command is a new one. The window and our own commands mark their requests.

                       starts the machine                                  counts as use
  our own              never                                               what changes or downloads something
  waits for events     never                                               never
  follows a container  unless its process was connected before the stop    never
  looks                unless so, and a person had asked for the stop      unless its process repeats itself
  downloads            as one that looks                                   yes
  changes something    yes                                                 yes
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol, runtime_checkable
from urllib.parse import parse_qs, urlsplit

from backend.engine.front.hooks import Headers
from backend.engine.front.http_head import RequestHead
from backend.host.process import ProcessIdentity
from backend.model import PutDown

OWN_CLIENT_HEADER: Final = "X-Wherry-Client"
"""Header of every request that Wherry's window and commands send to the engine; its value does not matter."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CREATED_WITHIN_S: Final = 2.0
"""How far the system's start time of a process may be from our clock: it counts from a boot time in whole seconds."""
_MAX_CLIENTS: Final = 256
_MAX_TARGETS: Final = 64
_FOLLOWS: Final = re.compile(r"/(?:containers|services|tasks)/[^/]+/(logs|stats|attach|attach/ws|wait)$")
_DOWNLOADS: Final = ("/archive", "/export", "/get")
"""Ends of their paths."""
_TRUE: Final = ("1", "true", "True", "TRUE", "t", "T")


class Purpose(Enum):
    """What a request is for."""

    EVENTS = "waits for events of the engine"
    FOLLOWS = "follows a container's output, figures or end"
    LOOKS = "asks for something and changes nothing"
    DOWNLOADS = "fetches files, a container's or an image's"
    ACTS = "changes something, or runs something"


def purpose_of(method: str, target: str) -> Purpose:
    """What a request is for, by its method and its target (path and query as sent)."""
    parts = urlsplit(target)
    if parts.path.endswith("/events"):
        return Purpose.EVENTS
    if (found := _FOLLOWS.search(parts.path)) is not None and _lasts(found[1], parts.query):
        return Purpose.FOLLOWS
    if method not in SAFE_METHODS:
        return Purpose.ACTS
    return Purpose.DOWNLOADS if method == "GET" and parts.path.endswith(_DOWNLOADS) else Purpose.LOOKS


def is_own(headers: Headers) -> bool:
    """Whether a request with these headers was sent by Wherry's window or one of its commands."""
    name = OWN_CLIENT_HEADER.lower()
    return any(key == name for key, _ in headers)


def _lasts(what: str, query: str) -> bool:
    """Whether the answer goes on for as long as the container does."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    match what:
        case "logs":
            return asked.get("follow") in _TRUE
        case "stats":
            return asked.get("stream", "1") in _TRUE and asked.get("one-shot") not in _TRUE
    return True


@runtime_checkable
class ProcessAware(Protocol):
    """A stream that knows the process at its other end."""

    def peer_process(self) -> ProcessIdentity | None:
        """The process that connected; None when it is not known, or has ended."""
        ...


@dataclass(slots=True)
class Client:
    """One process that has connected."""

    process: ProcessIdentity
    since: float
    """When it first connected, in seconds since the epoch."""
    targets: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """What it has asked for lately, without changing anything."""

    def repeats(self, target: str) -> bool:
        """Whether it has asked for this before; remembers that it has now."""
        known = target in self.targets
        self.targets[target] = None
        self.targets.move_to_end(target)
        if len(self.targets) > _MAX_TARGETS:
            self.targets.popitem(last=False)
        return known


@dataclass(frozen=True, slots=True)
class Request:
    """What the rules need of one request."""

    purpose: Purpose
    is_own: bool
    """Whether Wherry itself sent it."""
    is_repeated: bool
    """Whether the same process has asked for the same before."""
    client: Client | None
    """None: not known."""

    @property
    def counts_while_pending(self) -> bool:
        """Whether the machine is in use while the request is under way."""
        return self.purpose in (Purpose.DOWNLOADS, Purpose.ACTS) or (self.purpose is Purpose.LOOKS and not self.is_own)

    @property
    def counts_at_its_end(self) -> bool:
        """Whether the machine has been in use until the request's end."""
        return self.counts_while_pending and not self.is_repeated


class Clients:
    """The processes that have connected lately. All methods MUST be called on one loop."""

    def __init__(
        self, *, put_down: Callable[[], PutDown | None] = lambda: None, clock: Callable[[], float] = time.time
    ) -> None:
        """Nobody has connected yet.

        Args:
            put_down: how the machine was stopped or suspended; None: it was not.
            clock: the time in seconds since the epoch.
        """
        self._put_down = put_down
        self._clock = clock
        self._began = clock()
        self._known: OrderedDict[ProcessIdentity, Client] = OrderedDict()

    def of(self, stream: object) -> Client | None:
        """The client at the other end of an accepted stream; None when the system does not say."""
        process = stream.peer_process() if isinstance(stream, ProcessAware) else None
        if process is None:
            return None
        client = self._known.setdefault(process, Client(process, self._clock()))
        self._known.move_to_end(process)
        if len(self._known) > _MAX_CLIENTS:
            self._known.popitem(last=False)
        return client

    @staticmethod
    def request(head: RequestHead, client: Client | None) -> Request:
        """Classify a request."""
        purpose = purpose_of(head.method, head.target)
        is_repeated = purpose is Purpose.LOOKS and client is not None and client.repeats(head.target)
        return Request(purpose, is_own(head.headers), is_repeated, client)

    def may_start(self, request: Request) -> bool:
        """Whether the machine may be started for this request, where the settings allow that at all."""
        if request.is_own or request.purpose is Purpose.EVENTS:
            return False
        put_down = self._put_down()
        if put_down is None or request.purpose is Purpose.ACTS:
            return True
        is_follower = request.purpose is Purpose.FOLLOWS
        if not (is_follower or put_down.by_person):
            return True
        if request.client is None:
            return not is_follower
        return not self._was_connected(request.client, put_down.at)

    def _was_connected(self, client: Client, at: float) -> bool:
        """Whether the client was connected before this time, in seconds since the epoch."""
        # An agent that began later does not know who was connected, and takes everybody for it who could have been.
        return client.since < at or (at < self._began and client.process.created < at - _CREATED_WITHIN_S)
