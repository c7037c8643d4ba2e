"""The docker endpoint on Linux and macOS: an agent's listener whose socket can outlive the agent.

The socket is the agent's own at first. `keep` leaves it to the session: from then on a keeper has it too, and is the
one that removes the file. Whoever ends first, agent or keeper, the other one goes on listening on the same socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from backend.errors import WherryError
from backend.host.base import StreamHandler
from backend.host.systems.keepers import Claim, SessionEndpoint
from backend.host.systems.unix_socket import UnixListener, bind_private, check_private_parent

_CLOSE_S: Final = 5.0

_log = logging.getLogger(__name__)


class KeptListener:
    """See base.KeptListener."""

    def __init__(self, endpoint: SessionEndpoint, handler: StreamHandler, wanted: Callable[[], bool]) -> None:
        self._endpoint = endpoint
        self._path = endpoint.place.docker_socket
        self._handler = handler
        self._wanted = wanted
        self._listeners: list[UnixListener] = []
        self._claim: Claim | None = None
        self._watching: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._inode = 0
        self._closed = False

    async def open(self) -> None:
        """Listen: on the socket of the session if it has one. Raises WherryError (ENDPOINT_TAKEN, PATH_UNUSABLE)."""
        async with self._changing:
            claim = await asyncio.to_thread(self._endpoint.claim)
            if claim is None:
                await self._bind()
                return
            await self._adopt(claim)
        if not await asyncio.to_thread(self._wanted):
            await self.let_go(remove=True)

    @property
    def is_kept(self) -> bool:
        """See base.KeptListener."""
        return self._claim is not None

    async def keep(self) -> None:
        """See base.KeptListener."""
        async with self._changing:
            if not self._closed:
                await self._keep()

    async def let_go(self, *, remove: bool) -> None:
        """See base.KeptListener."""
        async with self._changing:
            if self._claim is not None:  # it stays open meanwhile: the keeper leaves the file to us
                asyncio.get_running_loop().remove_reader(self._claim.keeper)
            try:
                await asyncio.to_thread(self._endpoint.remove if remove else self._endpoint.rest)
            finally:
                self._forget()
                if not self._closed:
                    await self._own()

    async def aclose(self) -> None:
        """See Listener. A keeper hears of our end when this process ends: until then it starts no other agent."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching}, timeout=_CLOSE_S)
        for listener in self._listeners:
            await listener.aclose()
        if self._claim is not None:
            asyncio.get_running_loop().remove_reader(self._claim.keeper)
            self._claim.keeper.detach()

    # -- the ways from one owner to the other; all under the lock ---------------------------------------------------
    async def _bind(self) -> None:
        """A new socket of our own at the path."""
        self._stop_accepting()
        self._listeners.append(await UnixListener.serve(await bind_private(self._path), self._path, self._handler))
        self._inode = self._path.lstat().st_ino

    async def _adopt(self, claim: Claim) -> None:
        """Serve the session's socket, which may be the one that we serve already."""
        try:
            check_private_parent(self._path)
            serving = await UnixListener.serve(claim.listener, self._path, self._handler, owns_file=False)
            inode = self._path.lstat().st_ino
        except BaseException:
            claim.listener.close()
            claim.keeper.close()
            raise
        self._stop_accepting()
        self._listeners.append(serving)
        self._inode = inode
        self._watch(claim)

    def _watch(self, claim: Claim) -> None:
        claim.keeper.setblocking(False)
        self._claim = claim
        asyncio.get_running_loop().add_reader(claim.keeper, self._lost)

    def _lost(self) -> None:
        """The keeper has ended: it was killed, or the setting is off."""
        self._forget()
        if not self._closed:
            self._watching = asyncio.get_running_loop().create_task(self._replace_keeper(), name="keeper")

    def _forget(self) -> None:
        if self._claim is not None:
            asyncio.get_running_loop().remove_reader(self._claim.keeper)
            self._claim.keeper.close()
            self._claim = None

    async def _replace_keeper(self) -> None:
        async with self._changing:
            if self._closed or self._claim is not None:
                return
            try:
                if await asyncio.to_thread(self._wanted):
                    await self._keep()
                else:
                    await self._own()
            except (WherryError, OSError) as error:
                _log.warning("the docker endpoint is this agent's alone: %s", error)
                with contextlib.suppress(WherryError, OSError):
                    await self._own()

    async def _keep(self) -> None:
        if self._claim is not None or (claim := await asyncio.to_thread(self._endpoint.claim)) is None:
            claim = self._claim or await self._hand_over()
        if claim is not self._claim:
            await self._adopt(claim)
        try:
            await asyncio.to_thread(self._endpoint.install, now=False)
        except OSError as error:  # it is kept until the session ends
            _log.warning("the docker endpoint is not there at the next login: %s", error)

    async def _hand_over(self) -> Claim:
        """Have a keeper get the socket that we own. Raises WherryError or OSError; it stays ours then."""
        if self._endpoint.is_listened_for():
            try:
                await asyncio.to_thread(self._endpoint.install, now=True)
                if (claim := await asyncio.to_thread(self._endpoint.claim)) is not None:
                    return claim
            except OSError as error:
                _log.warning("the session's manager does not keep the docker endpoint: %s", error)
        if not self._is_in_place():
            await self._bind()
        listener = self._listeners[-1].socket
        assert listener is not None
        await asyncio.to_thread(self._endpoint.spawn, listener)
        if (claim := await asyncio.to_thread(self._endpoint.claim_soon)) is None:
            raise OSError("no keeper started; see the agent's output")
        return claim

    async def _own(self) -> None:
        """Be the only one on the socket: the one that we serve, or if its file is gone, a new one."""
        if self._is_in_place():
            self._listeners[-1].own_file(owns=True)
        else:
            await self._bind()

    def _is_in_place(self) -> bool:
        try:
            return bool(self._listeners) and self._path.lstat().st_ino == self._inode
        except OSError:
            return False

    def _stop_accepting(self) -> None:
        for listener in self._listeners:
            listener.stop_accepting()
            listener.own_file(owns=False)
