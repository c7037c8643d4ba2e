"""The API front: docker clients on one side, the guest's dockerd on the other, real HTTP in between.

It knows neither SSH nor pipes: clients and engine are ByteStreams. Why a proxy and not a blind pipe: it holds the
answer to a container's start until its ports are forwarded, rewrites host paths where the guest's differ, tells a
client in its own language that the machine is stopped, and saves the guest a connection for most requests.

    front.py            who is served, and the end of it
    front_exchange.py   one client's requests, one after the other
    front_upstream.py   the idle connections to the engine
    front_stream.py     streams that can be watched; reading heads; the byte pump after an upgrade
    front_activity.py   whether anybody wants anything
    front_hooks.py      what others may do with a request
    http_head.py        heads, by h11
    http_body.py        where a body ends
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from backend.engine.front.activity import Activity
from backend.engine.front.exchange import ClientConnection
from backend.engine.front.hooks import FrontHooks, NoHooks
from backend.engine.front.stream import WatchedStream
from backend.engine.front.upstream import Dial, UpstreamPool
from backend.stream import ByteStream

_log = logging.getLogger(__name__)


class ApiFront:
    """See the module. All methods belong to one event loop."""

    def __init__(
        self,
        dial: Dial,
        *,
        dial_quietly: Dial | None = None,
        hooks: FrontHooks | None = None,
        max_idle_upstreams: int = 4,
    ) -> None:
        """Make a front that serves nobody yet.

        Args:
            dial: opens a stream to the engine. MAY wait (for a machine that is starting), with a deadline of its own.
                When it raises WherryError, the client gets a 503 with the problem's summary and hint.
            dial_quietly: the same for a client that only listens, which must not bring up a machine; `dial` if there
                is none.
            hooks: see FrontHooks; none by default.
            max_idle_upstreams: streams to the engine that are kept open between requests.
        """
        self._pool = UpstreamPool(dial, dial_quietly=dial_quietly, max_idle=max_idle_upstreams)
        self._hooks: FrontHooks = hooks or NoHooks()
        self._connections: set[asyncio.Task[None]] = set()
        self._closed = False
        self.activity = Activity()
        """What clients want, for who puts an idle machine away."""

    async def handle(self, client: ByteStream) -> None:
        """Serve one client on a stream that somebody else accepted; returns when it is over and closed.

        Never raises for what the client or the engine does. Returns early when the front is closed.
        """
        task = self._begin(client)
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()

    async def aclose(self, *, timeout_s: float = 5.0) -> None:
        """End all connections, close the streams to the engine. Idempotent."""
        self._closed = True
        for task in self._connections:
            task.cancel()
        try:
            async with asyncio.timeout(timeout_s):
                if self._connections:
                    await asyncio.wait(self._connections)
                await self._pool.aclose()
        except TimeoutError:
            _log.error("%d client connections did not end within %g s", len(self._connections), timeout_s)

    @property
    def connection_count(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def _begin(self, client: ByteStream) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._serve(client), name="docker client")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        return task

    async def _serve(self, client: ByteStream) -> None:
        watched = WatchedStream(client)
        try:
            if not self._closed:
                await ClientConnection(watched, self._pool, self._hooks, self.activity).serve()
        except Exception:  # noqa: BLE001 -- the task's boundary: one client's failure is not the others'
            _log.exception("a docker client's connection ended by a defect of ours")
        finally:
            with contextlib.suppress(ConnectionError):
                await watched.aclose()
