"""The API front: an HTTP proxy between docker clients and dockerd in the guest.

It only uses ByteStreams, not SSH or pipes. It is a proxy and not a plain tunnel because it delays the answer to a
container's start until its ports are forwarded, rewrites host paths that differ in the guest, tells a client in the
API's own format that the machine is stopped, and saves the guest a connection for most requests.

proxy.py       accepting and closing clients exchange.py    the requests of one client upstream.py    idle connections
to the engine stream.py      streams that can be watched, reading heads, the tunnel after an upgrade activity.py
whether clients are active hooks.py       the interface for rewriting and delaying requests http_head.py   heads, with
h11 http_body.py   the end of bodies
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from backend.engine.front.activity import Activity
from backend.engine.front.clients import Clients
from backend.engine.front.exchange import ClientConnection
from backend.engine.front.hooks import FrontHooks, NoHooks
from backend.engine.front.stream import WatchedStream
from backend.engine.front.upstream import UpstreamPool
from backend.model import PutDown
from backend.stream import ByteStream, Dial

_log = logging.getLogger(__name__)


class ApiFront:
    """See the module's docstring. All methods MUST be called on one event loop."""

    def __init__(
        self,
        dial: Dial,
        *,
        dial_quietly: Dial | None = None,
        hooks: FrontHooks | None = None,
        put_down: Callable[[], PutDown | None] = lambda: None,
        max_idle_upstreams: int = 4,
    ) -> None:
        """Nothing is served yet.

        Args:
            dial: opens a stream to the engine. MAY wait (for a machine that is starting), with a deadline of its own.
                When it
                raises WherryError, the client gets a 503 with the problem's summary and hint.
            dial_quietly: the same for a request that must not start the machine (`clients.py`); default: `dial`.
            hooks: see FrontHooks; none by default.
            put_down: how the machine was stopped or suspended last; None: it was not.
            max_idle_upstreams: number of idle streams to the engine kept open.
        """
        self._pool = UpstreamPool(dial, dial_quietly=dial_quietly, max_idle=max_idle_upstreams)
        self._hooks: FrontHooks = hooks or NoHooks()
        self._connections: set[asyncio.Task[None]] = set()
        self._clients = Clients(put_down=put_down)
        self._closed = False
        self.activity = Activity()
        """The clients' activity, to decide whether the machine is idle."""

    async def handle(self, client: ByteStream) -> None:
        """Serve a client on an accepted stream; returns after it was closed.

        Never raises for errors of the client or the engine. Returns early when the front is closed.
        """
        task = self._begin(client)
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()

    async def aclose(self, *, timeout_s: float = 5.0) -> None:
        """Close all clients and the streams to the engine. Idempotent."""
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
        """Number of connected clients."""
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
                await ClientConnection(watched, self._pool, self._hooks, self.activity, self._clients).serve()
        except Exception:  # noqa: BLE001 -- the task's boundary: one client's failure is not the others'
            _log.exception("internal error while serving a docker client")
        finally:
            with contextlib.suppress(ConnectionError):
                await watched.aclose()
