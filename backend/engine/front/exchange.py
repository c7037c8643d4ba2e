"""A client's connection: requests are forwarded to the engine one after another, and responses streamed back.

During an exchange up to three things run concurrently: the response is streamed to the client (here), the rest of a
large request body is streamed to the engine (a task), and the client's disconnection is watched for (once the engine
takes longer). The latter two end the exchange through `_abort`, which stores the reason and cancels the task.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from backend.engine.front.activity import Activity
from backend.engine.front.clients import SAFE_METHODS, Clients, Request
from backend.engine.front.hooks import FrontHooks, Rewrite
from backend.engine.front.http_body import BadFraming, BodyTracker, dechunk, track
from backend.engine.front.http_head import (
    Framing,
    MalformedHead,
    RequestHead,
    ResponseHead,
    error_response,
    parse_request_head,
    parse_response_head,
)
from backend.engine.front.stream import WatchedStream, read_head, tunnel
from backend.engine.front.upstream import UpstreamPool
from backend.errors import Problem, WherryError
from backend.messages import sentences

SMALL_BODY_BYTES = 64 * 1024
"""A body up to this size is read before contacting the engine: it needs no task, and a slow client occupies no
stream."""
HOOKED_BODY_BYTES = 4 * 1024 * 1024
REWRITTEN_BODY_BYTES = 64 * 1024 * 1024
HEAD_TIMEOUT_S = 60.0
_WATCH_AFTER_S = 0.05
_LINGER_S = 2.0


class _Answer(Exception):  # noqa: N818 -- a response made here, on its way to the client
    """Ends the exchange with a response made here."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class _ClientGone(Exception):  # noqa: N818 -- what happened
    """The client has disconnected: there is no response."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """State of one request and its response."""

    head: RequestHead
    request: Request
    wire: bytes
    """Head and, if it was read in advance, body."""
    body: BodyTracker
    """Tracks the rest of the client's body."""
    upstream: WatchedStream | None = None
    upload: asyncio.Task[None] | None = None
    watch: asyncio.TimerHandle | None = None
    response_begun: bool = False
    half_closed: bool = False
    """Whether the client has closed its sending side, and we closed ours to the engine."""


class ClientConnection:
    """Serves one client. `serve` MUST be called once."""

    def __init__(
        self, client: WatchedStream, pool: UpstreamPool, hooks: FrontHooks, activity: Activity, clients: Clients
    ) -> None:
        self._client = client
        self._pool = pool
        self._hooks = hooks
        self._activity = activity
        self._clients = clients
        self._who = clients.of(client.stream)
        self._task: asyncio.Task[None] | None = None
        self._exchange: _Exchange | None = None
        self._reason: Exception | None = None

    async def serve(self) -> None:
        """Serve the client until it disconnects or its connection cannot be reused. The caller closes it."""
        self._task = asyncio.current_task()
        with contextlib.suppress(ConnectionError, _ClientGone):
            while await self._serve_one():
                pass

    async def _serve_one(self) -> bool:
        """Serve one request. Returns whether the connection can be reused."""
        exchange: _Exchange | None = None
        try:
            untrusted_head = await read_head(self._client, timeout_s=HEAD_TIMEOUT_S)
            if untrusted_head is None:
                return False
            head = parse_request_head(untrusted_head)
            request = self._clients.request(head, self._who)
            exchange = _Exchange(head=head, request=request, wire=head.wire, body=track(head.framing, head.length))
            ended = self._activity.begin(request)
            try:
                await self._collect_body(exchange)
                return await self._forward(exchange)
            finally:
                ended()
        except (MalformedHead, BadFraming) as error:
            status = error.status if isinstance(error, MalformedHead) else 400
            answer = _Answer(status, f"The request cannot be understood: {error}.")
        except _Answer as raised:
            answer = raised
        if exchange is not None and exchange.response_begun:
            return False  # too late for an error response: the client notices the truncation
        return await self._send_answer(exchange, answer)

    # --- the request -----------------------------------------------------------------------------------------------

    async def _collect_body(self, exchange: _Exchange) -> None:
        """Read the body now if it is small, or if a hook needs it."""
        head = exchange.head
        hooked = self._hooks.wants_body(head.method, head.target)
        small = head.framing is Framing.LENGTH and head.length <= SMALL_BODY_BYTES and not head.expects_continue
        if not hooked and (exchange.body.complete or not small):
            return
        if hooked and head.expects_continue:
            await self._to_client(b"HTTP/1.1 100 Continue\r\n\r\n")
        limit = HOOKED_BODY_BYTES if hooked else SMALL_BODY_BYTES
        raw = bytearray()
        while not exchange.body.complete:
            raw += await self._read_body_part(exchange.body)
            if len(raw) > limit:
                raise _Answer(413, f"The request's body is larger than {limit // 1024} KiB.")
        body = bytes(raw)
        if not hooked:
            exchange.wire = head.wire + body
            return
        plain = dechunk(body) if head.framing is Framing.CHUNKED else body
        try:
            rewritten = await self._hooks.rewrite_request(head.method, head.target, head.headers, plain)
        except WherryError as error:
            raise _Answer(400, _text_of(error.problem)) from error
        body = plain if rewritten is None else rewritten
        exchange.wire = head.wire_with_length(len(body)) + body

    async def _read_body_part(self, tracker: BodyTracker) -> bytes:
        try:
            data = await self._client.read()
        except ConnectionError as error:
            raise _ClientGone from error
        if not data:
            raise _ClientGone
        used = tracker.feed(data)
        if used == len(data):
            return data
        self._client.give_back(data[used:])
        return data[:used]

    async def _upload(self, exchange: _Exchange, upstream: WatchedStream) -> None:
        """Forward the rest of the request's body."""
        while not exchange.body.complete:
            part = await self._read_body_part(exchange.body)
            try:
                await upstream.write(part)
            except ConnectionError:
                return  # the engine stopped reading; its response, if any, says why

    # --- request and response ------------------------------------------------------------------------------------

    async def _forward(self, exchange: _Exchange) -> bool:
        """Send the request and forward the response. Returns whether the client's connection can be reused."""
        self._exchange = exchange
        self._watch_later(exchange)
        try:
            response = await self._request(exchange)
            return await self._respond(exchange, response)
        except asyncio.CancelledError:
            if self._reason is None or self._task is None:
                raise
            self._task.uncancel()
            raise self._reason from None
        finally:
            self._exchange = None
            if exchange.watch is not None:
                exchange.watch.cancel()
            try:
                if exchange.upload is not None and not exchange.upload.done():
                    exchange.upload.cancel()
                    await asyncio.wait((exchange.upload,))
            finally:
                # Also when that wait is cancelled: the listener closes its clients, and then the front closes them
                # again.
                if exchange.upstream is not None:
                    await exchange.upstream.aclose()

    async def _request(self, exchange: _Exchange) -> ResponseHead:
        """Send the request and return the head of its final response, which is read from `exchange.upstream`."""
        # Before the hooks, which ask the engine, too: only here is it known whether the machine may be started.
        upstream = exchange.upstream = await self._take_upstream(exchange, fresh=False)
        problem = await self._hooks.before_request(exchange.head.method, exchange.head.target)
        if problem is not None:
            raise _Answer(500, _text_of(problem))
        while True:
            try:
                await upstream.write(exchange.wire)
                if not exchange.body.complete:
                    exchange.upload = asyncio.ensure_future(self._upload(exchange, upstream))
                    exchange.upload.add_done_callback(self._upload_done)
                response = await self._read_response_head(exchange, upstream)
                if response is not None:
                    return response
            except ConnectionError:
                pass
            # The engine may just have closed a pooled stream. The request is repeated only if that cannot execute it
            # twice, and only once, on a new stream.
            if not upstream.reused or exchange.upload is not None or exchange.head.method not in SAFE_METHODS:
                raise _Answer(502, "The engine closed the connection before it answered.")
            exchange.upstream = None
            await upstream.aclose()
            upstream = exchange.upstream = await self._take_upstream(exchange, fresh=True)

    async def _take_upstream(self, exchange: _Exchange, *, fresh: bool) -> WatchedStream:
        try:
            return await self._pool.take(fresh=fresh, quietly=not self._clients.may_start(exchange.request))
        except WherryError as error:
            raise _Answer(503, _text_of(error.problem)) from error
        except (ConnectionError, TimeoutError) as error:
            raise _Answer(503, f"The engine cannot be reached: {error or type(error).__name__}.") from error

    async def _read_response_head(self, exchange: _Exchange, upstream: WatchedStream) -> ResponseHead | None:
        """The head of the final response; None when the stream ended before it. Interim responses are forwarded."""
        while True:
            try:
                untrusted_head = await read_head(upstream, timeout_s=None)
                if untrusted_head is None:
                    return None
                response = parse_response_head(untrusted_head, exchange.head.method)
            except MalformedHead as error:
                raise _Answer(502, f"The engine's response cannot be understood: {error}.") from error
            if response.status >= 200 or response.status == 101:
                return response
            await self._to_client(response.wire)

    async def _respond(self, exchange: _Exchange, response: ResponseHead) -> bool:
        head, upstream = exchange.head, exchange.upstream
        assert upstream is not None
        problem = await self._hooks.before_response(head.method, head.target, response.status)
        if problem is not None:
            raise _Answer(500, _text_of(problem))
        if response.is_hijack:
            return await self._tunnel(exchange, response, upstream)
        rewrite = self._hooks.rewrite_response(head.method, head.target, response.status)
        if rewrite is not None and response.framing is not Framing.NONE:
            return await self._respond_rewritten(exchange, response, rewrite)
        exchange.response_begun = True
        keep_alive = head.keep_alive and response.framing is not Framing.UNTIL_CLOSE
        body = track(response.framing, response.length)
        # Send head and first bytes together if they arrived together.
        data = (response.wire if keep_alive else response.wire_closing) + self._body_part(body, upstream.take_back())
        while True:
            await self._to_client(data)
            if body.complete:
                break
            data = await upstream.read()
            if not data:
                if response.framing is Framing.UNTIL_CLOSE:
                    break
                return False  # truncated: the client notices it by the framing
            data = self._body_part(body, data)
        return await self._conclude(exchange, response, keep_alive=keep_alive)

    async def _respond_rewritten(self, exchange: _Exchange, response: ResponseHead, rewrite: Rewrite) -> bool:
        """Forward a response with a rewritten body."""
        upstream = exchange.upstream
        assert upstream is not None
        body = track(response.framing, response.length)
        raw = bytearray(self._body_part(body, upstream.take_back()))
        while not body.complete:
            data = await upstream.read()
            if not data:
                if response.framing is Framing.UNTIL_CLOSE:
                    break
                raise _Answer(502, "The engine closed the connection before its answer was complete.")
            raw += self._body_part(body, data)
            if len(raw) > REWRITTEN_BODY_BYTES:
                raise _Answer(502, f"The engine's answer is larger than {REWRITTEN_BODY_BYTES // 1024} KiB.")
        content = rewrite(dechunk(bytes(raw)) if response.framing is Framing.CHUNKED else bytes(raw))
        keep_alive = exchange.head.keep_alive
        exchange.response_begun = True
        await self._to_client(response.with_length(len(content), closing=not keep_alive) + content)
        return await self._conclude(exchange, response, keep_alive=keep_alive)

    async def _conclude(self, exchange: _Exchange, response: ResponseHead, *, keep_alive: bool) -> bool:
        """After a complete response: return the upstream stream to the pool if it can be reused."""
        upstream = exchange.upstream
        assert upstream is not None
        sent_whole = exchange.body.complete and (exchange.upload is None or exchange.upload.done())
        if sent_whole and response.keep_alive and not exchange.half_closed:
            exchange.upstream = None
            self._pool.give(upstream)
        if not exchange.body.complete:
            await self._linger()
            return False
        return keep_alive

    def _body_part(self, body: BodyTracker, data: bytes) -> bytes:
        used = body.feed(data)
        if used == len(data):
            return data
        upstream = self._exchange.upstream if self._exchange is not None else None
        if upstream is not None:
            upstream.give_back(data[used:])  # data after the response: the pool will not accept the stream
        return data[:used]

    async def _tunnel(self, exchange: _Exchange, response: ResponseHead, upstream: WatchedStream) -> bool:
        if not exchange.body.complete:
            raise _Answer(502, "The engine took over the connection before it had the whole request.")
        if exchange.watch is not None:
            exchange.watch.cancel()
        exchange.response_begun = True
        await self._to_client(response.wire)
        await tunnel(self._client, upstream)
        return False

    # --- the client ------------------------------------------------------------------------------------------------

    async def _to_client(self, data: bytes) -> None:
        try:
            await self._client.write(data)
        except ConnectionError as error:
            raise _ClientGone from error

    async def _send_answer(self, exchange: _Exchange | None, answer: _Answer) -> bool:
        keep_alive = exchange is not None and exchange.body.complete and exchange.head.keep_alive
        head_only = exchange is not None and exchange.head.method == "HEAD"
        await self._to_client(error_response(answer.status, answer.message, head_only=head_only, keep_alive=keep_alive))
        if not keep_alive:
            await self._linger()
        return keep_alive

    async def _linger(self) -> None:
        """Let a client that is still sending read our response: closing now could discard it."""
        await self._client.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while await self._client.read():
                    pass

    def _watch_later(self, exchange: _Exchange) -> None:
        exchange.watch = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch, exchange)

    def _watch(self, exchange: _Exchange) -> None:
        if exchange.upload is not None and not exchange.upload.done():
            self._watch_later(exchange)  # the upload reads, and notices the end itself
        else:
            self._client.watch(lambda: self._client_ended(exchange))

    def _client_ended(self, exchange: _Exchange) -> None:
        if self._exchange is not exchange:
            return  # between requests: the next read_head notices it
        if self._client.peer_is_gone():
            self._abort(_ClientGone())
        elif exchange.upstream is not None:
            # It may only have closed its sending side. Do the same to the engine, which decides: dockerd ends streams
            # (logs, events, wait) and completes short requests, as on its own socket.
            exchange.half_closed = True
            exchange.upload = asyncio.ensure_future(exchange.upstream.write_eof())

    def _upload_done(self, upload: asyncio.Task[None]) -> None:
        if not upload.cancelled():
            error = upload.exception()
            if isinstance(error, Exception):
                self._abort(error)

    def _abort(self, reason: Exception) -> None:
        if self._exchange is not None and self._task is not None and self._reason is None:
            self._reason = reason
            self._task.cancel()


def _text_of(problem: Problem) -> str:
    return str(sentences(problem.summary, problem.hint))
