"""Network hooks of the API front: addresses of new containers, and container starts that wait for their ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

from backend.engine.front.hooks import Headers, Rewrite
from backend.engine.front.mounts import MountSources
from backend.errors import Problem, ProblemCode, WherryError, fail
from backend.messages import message
from backend.net import swarm
from backend.net.aliases import Aliases, needs_alias
from backend.net.ports.publisher import Publisher
from backend.stream import Dial

_log = logging.getLogger(__name__)

_HOLD_S: Final = 60.0
_RELEASE_S: Final = 5.0
_VERSION: Final = r"^(?:/v\d+(?:\.\d+)?)?"
_CREATE: Final = re.compile(_VERSION + r"/containers/create(?:\?|$)")
_ONE: Final = re.compile(_VERSION + r"/containers/([^/?]+)(?:/([a-z]+))?(?:\?|$)")
_LIST: Final = re.compile(_VERSION + r"/containers/json(?:\?|$)")
_SERVICE: Final = re.compile(_VERSION + r"/services/(?:create|[^/?]+(?:/update)?)(?:\?|$)")
_SERVICE_SPEC: Final = re.compile(_VERSION + r"/services/(?:create|[^/?]+/update)(?:\?|$)")
_VOLUME: Final = re.compile(_VERSION + r"/volumes/create(?:\?|$)")
_SWARM_INIT: Final = re.compile(_VERSION + r"/swarm/init(?:\?|$)")
_STARTS: Final = ("start", "restart")
_ENDS: Final = ("stop", "kill")

Rewriter = Callable[[dict[str, object]], bool]
"""Changes the body of a request in place, and returns whether it did. Raises WherryError to reject it."""


class NetworkHooks:
    """Implements `FrontHooks`."""

    def __init__(
        self,
        publisher: Publisher,
        aliases: Aliases,
        dial: Dial,
        rewriters: Sequence[Rewriter] = (),
        *,
        mounts: MountSources | None = None,
    ) -> None:
        """Store the collaborators.

        Args:
            publisher: opens the ports.
            aliases: aliases of addresses that the guest cannot have.
            dial: opens a stream to the engine for a client. Raises WherryError.
            rewriters: further changes for new containers, in order.
            mounts: maps the sources of mounts.
        """
        self._publisher = publisher
        self._aliases = aliases
        self._dial = dial
        of_mounts = (mounts.map_container,) if mounts is not None else ()
        self._rewriters: dict[re.Pattern[str], tuple[Rewriter, ...]] = {
            _CREATE: (self._rewrite_addresses, *of_mounts, *rewriters),
            _SWARM_INIT: (swarm.give_pool,),
        }
        if mounts is not None:
            self._rewriters |= {_SERVICE_SPEC: (mounts.map_service,), _VOLUME: (mounts.map_volume,)}

    def wants_body(self, method: str, target: str) -> bool:
        """See FrontHooks."""
        return method == "POST" and any(one.match(target) for one in self._rewriters)

    async def rewrite_request(self, method: str, target: str, headers: Headers, body: bytes) -> bytes | None:  # noqa: ARG002 -- FrontHooks
        """See FrontHooks."""
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return None  # invalid: the engine reports the error
        rewriters = next((found for one, found in self._rewriters.items() if one.match(target)), ())
        if not isinstance(content, dict):
            return None
        # In order, because each sees the changes of the one before. In a thread, because of file access.
        changed = await asyncio.to_thread(lambda: [rewrite(content) for rewrite in rewriters])
        return json.dumps(content).encode() if any(changed) else None

    async def before_request(self, method: str, target: str) -> Problem | None:
        """See FrontHooks."""
        route = _ONE.match(target) if method == "POST" else None
        if route is None or route[2] not in _STARTS:
            return None
        try:
            async with asyncio.timeout(_HOLD_S):
                problem = await self._publisher.prepare_start(route[1], self._dial)
        except TimeoutError:
            problem = _too_slow(route[1])
        except WherryError as error:
            _log.info("before %s: %s", target, error.problem.summary)
            return None  # the engine will report it
        if problem is not None:
            await self._publisher.leave_refused(route[1], self._dial)
        return _in_docker_wording(problem)

    async def before_response(self, method: str, target: str, status: int) -> Problem | None:
        """See FrontHooks."""
        try:
            if (route := _ONE.match(target)) is not None and method in ("POST", "DELETE"):
                return await self._after_container(method, route[1], route[2] or "", status)
            if _SERVICE.match(target) is not None and method in ("POST", "DELETE") and status < 300:
                async with asyncio.timeout(_RELEASE_S):
                    await self._publisher.read_services()
        except TimeoutError:
            return None
        except WherryError as error:
            _log.info("after %s: %s", target, error.problem.summary)
        return None

    def rewrite_response(self, method: str, target: str, status: int) -> Rewrite | None:
        """See FrontHooks."""
        if method != "GET" or status != 200 or self._aliases.is_empty:
            return None
        route = _ONE.match(target)
        is_inspect = route is not None and route[2] == "json"
        return self._aliases.restore if is_inspect or _LIST.match(target) is not None else None

    async def _after_container(self, method: str, name: str, verb: str, status: int) -> Problem | None:
        if method == "POST" and verb in _STARTS:
            if status >= 400:
                async with asyncio.timeout(_RELEASE_S):
                    await self._publisher.give_up_start(name)
                return None
            try:
                async with asyncio.timeout(_HOLD_S):
                    return _in_docker_wording(await self._publisher.finish_start(name))
            except TimeoutError:
                with contextlib.suppress(TimeoutError, WherryError):
                    async with asyncio.timeout(_RELEASE_S):
                        await self._publisher.end_unpublished(name)
                return _too_slow(name)
        is_removal = method == "DELETE" and not verb
        if status < 300 and (is_removal or (method == "POST" and verb in _ENDS)):
            async with asyncio.timeout(_RELEASE_S):
                await self._publisher.release(name)
        return None

    def _rewrite_addresses(self, container: dict[str, object]) -> bool:
        host_config = container.get("HostConfig")
        ports = host_config.get("PortBindings") if isinstance(host_config, dict) else None
        changed = False
        for key, rows in ports.items() if isinstance(ports, dict) else ():
            if str(key).endswith("/sctp") and rows:
                raise fail(
                    ProblemCode.BAD_REQUEST,
                    message(
                        "Port {port} can't be published: the machine's network supports only TCP and UDP.", port=key
                    ),
                    hint=message("Containers on the same network can use SCTP without publishing."),
                )
            for row in rows if isinstance(rows, list) else ():
                address = needs_alias(str(row.get("HostIp") or "")) if isinstance(row, dict) else None
                if address is not None:
                    row["HostIp"] = self._aliases.alias_of(address)
                    changed = True
        return changed


def _in_docker_wording(problem: Problem | None) -> Problem | None:
    """Add docker's own wording, by which programs recognise a port conflict."""
    if problem is None or problem.code is not ProblemCode.PORT_TAKEN:
        return problem
    return Problem(
        code=problem.code,
        summary=message(
            "driver failed programming external connectivity: port is already allocated: {summary}",
            summary=problem.summary,
        ),
        command=problem.command,
        hint=problem.hint,
        retryable=problem.retryable,
        action=problem.action,
    )


def _too_slow(name: str) -> Problem:
    return Problem(
        code=ProblemCode.NETWORK_FAILED,
        summary=message(
            "The ports of {name} couldn't be published within {seconds:g} s.", name=name[:80], seconds=_HOLD_S
        ),
        hint=message("Check wherry status. A busy computer may only need more time: start the container again."),
        retryable=True,
    )
