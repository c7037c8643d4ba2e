"""From where it is tried: this computer, or the machine. Both resolve names and open TCP connections.

The machine's connections are SSH channels to its own sockets, so they go through its resolver, its routes and QEMU's
user network, as the engine's do.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shlex
import socket
import threading
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Final, Protocol, TypeVar

from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.errors import WherryError
from backend.messages import Message, message, verbatim
from backend.ssh.session import SshSession
from backend.stream import ByteStream

T = TypeVar("T")

NAME_S: Final = 10.0
CONNECT_S: Final = 10.0
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")
_ANSWER: Final = re.compile(r"^Address(?: \d+)?:\s*(\S+)", re.MULTILINE)
_WORDS: Final[dict[int, Message]] = {
    errno.ECONNREFUSED: message("nothing listens there (connection refused)"),
    errno.ETIMEDOUT: message("no response (a firewall may block it, or the computer is off)"),
    errno.EHOSTUNREACH: message("no route to this address"),
    errno.ENETUNREACH: message("the network is unreachable"),
    errno.EACCES: message("this system doesn't allow the connection"),
    errno.EPERM: message("a firewall on this computer blocks the connection"),
}


class Side(Protocol):
    """One place to try from."""

    id: str
    """"host" or "machine", the end of a hop's id."""

    async def resolve(self, name: str) -> list[str]:
        """Addresses of a name, at least one. Raises Unreached."""
        ...

    async def connect(self, host: str, port: int) -> ByteStream:
        """A TCP connection. Raises Unreached."""
        ...


class HostSide:
    """This computer."""

    id = "host"

    def __init__(self, own_names: Collection[str] = ()) -> None:
        """Make it; `own_names` are what the machine calls this computer."""
        self._own_names = frozenset(own_names)

    async def resolve(self, name: str) -> list[str]:
        """See Side."""
        if name in self._own_names:
            return ["127.0.0.1"]
        if _is_address(name):
            return [name]
        try:
            async with asyncio.timeout(NAME_S):
                found = await _on_thread(lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except TimeoutError as error:
            raise Unreached(
                message(
                    "This computer's DNS didn't respond for {name} within {name_s} s.", name=name, name_s=f"{NAME_S:g}"
                )
            ) from error
        except (OSError, ValueError) as error:
            unknown = isinstance(error, socket.gaierror) and error.errno in (
                socket.EAI_NONAME,
                getattr(socket, "EAI_NODATA", socket.EAI_NONAME),
            )
            if unknown:
                raise Unreached(message("{name} has no address.", name=name)) from error
            raise Unreached(message("{name} wasn't found: {error}.", name=name, error=error)) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(self, host: str, port: int) -> ByteStream:
        """See Side."""
        last: Unreached | None = None
        for address in (await self.resolve(host))[:4]:
            try:
                return await self._connect(address, port)
            except Unreached as error:
                last = last or error
        assert last is not None
        raise last

    async def _connect(self, address: str, port: int) -> ByteStream:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise Unreached(_failed(address, port, _WORDS[errno.ETIMEDOUT])) from error
            if isinstance(error, OSError):
                why = _WORDS.get(error.errno or 0) or verbatim((error.strerror or str(error)).lower())
                raise Unreached(_failed(address, port, why)) from error
            raise
        return _SocketStream(connection)


class MachineSide:
    """The guest."""

    id = "machine"

    def __init__(self, session: SshSession) -> None:
        self._session = session

    async def resolve(self, name: str) -> list[str]:
        """See Side: by /etc/hosts and DNS, as the engine does."""
        if _is_address(name):
            return [name]
        if not _HOST_NAME.fullmatch(name):
            raise Unreached(message("“{name}” isn't a valid host name.", name=clean_text(name, 80)))
        quoted = shlex.quote(name)
        command = (
            f"awk -v n={quoted} "
            "'{for (i = 2; i <= NF; i++) if ($i == n) print \"Name:\\nAddress: \" $1}' /etc/hosts; "
            f"timeout {NAME_S - 2:g} nslookup {quoted} 2>&1"
        )
        try:
            result = await self._session.run(command, timeout_s=NAME_S)
        except WherryError as error:
            raise Unreached(
                message(
                    "The machine's DNS didn't respond for {name} within {name_s} s.", name=name, name_s=f"{NAME_S:g}"
                )
            ) from error
        text = result.untrusted_stdout.decode("utf-8", errors="replace")
        # The first address is the server's own; those of the name come after "Name:".
        found = [word for word in _ANSWER.findall(text.partition("Name:")[2]) if _is_address(word)]
        if not found:
            unknown = "NXDOMAIN" in text or "No answer" in text
            if unknown:
                raise Unreached(message("{name} has no address in the machine's DNS.", name=name))
            raise Unreached(message("The machine's DNS didn't find {name}.", name=name))
        return list(dict.fromkeys(found))

    async def connect(self, host: str, port: int) -> ByteStream:
        """See Side."""
        try:
            return await self._session.open_tcp(host, port, timeout_s=CONNECT_S)
        except WherryError as error:
            said = re.sub(r"\(reason \d+\)", "", clean_text(" ".join(error.problem.tail), 120))
            why = said.strip(" '.").lower()
            words = verbatim(why) if why else _WORDS[errno.ETIMEDOUT]
            for code, known in _WORDS.items():
                if why and os.strerror(code).lower() in why:
                    words = known
            raise Unreached(_failed(host, port, words)) from error

    async def read(self, command: str) -> str | None:
        """What a command prints in the guest; None where it cannot be had."""
        try:
            result = await self._session.run(command, timeout_s=CONNECT_S, output_limit=4_194_304)
        except WherryError:
            return None
        return result.untrusted_stdout.decode("utf-8", errors="replace") if result.exit_code == 0 else None


class _SocketStream:
    """A ByteStream over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int = 262_144) -> bytes:
        try:
            return await self._loop.sock_recv(self._socket, max_bytes)
        except OSError as error:
            raise ConnectionResetError(error.strerror or str(error)) from error

    async def write(self, data: bytes) -> None:
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise ConnectionResetError(error.strerror or str(error)) from error

    async def write_eof(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self._socket.close()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _failed(host: str, port: int, why: Message) -> Message:
    place = f"[{host}]" if ":" in host else host
    return message("{address}: {reason}.", address=f"{place}:{port}", reason=why)


async def _on_thread(work: Callable[[], T]) -> T:
    """Run something that cannot be interrupted on a thread that nobody waits for when it is given up."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # a result is there when no error is

    def run() -> None:
        try:
            result, error = work(), None
        except (OSError, ValueError) as caught:
            result, error = None, caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: it was given up
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="name lookup", daemon=True).start()
    return await done
