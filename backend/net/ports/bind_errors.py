"""Why a port of the host cannot be bound, and what to do about it.

QEMU only reports that a forward failed. To find the reason, the same port is bound briefly, and `explain` turns the
system's error into a message for the user.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Final

from backend import host
from backend.addresses import Forward, Holder, Protocol
from backend.errors import Problem, ProblemCode
from backend.host.ports import port_holder
from backend.messages import message

_log = logging.getLogger(__name__)

_HOLDER_S: Final = 10.0
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_TOO_MANY: Final = (errno.EMFILE, errno.ENFILE)


def bind(protocol: Protocol, address: str, port: int) -> socket.socket:
    """Bind a socket with QEMU's options, and listen if it is TCP.

    On POSIX a TCP port that only has connections in TIME_WAIT counts as free, as servers expect; a UDP port is never
    shared. On Windows the socket is exclusive.

    Raises:
        OSError: for `explain`.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM if protocol is Protocol.TCP else socket.SOCK_DGRAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif protocol is Protocol.TCP:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setblocking(False)
        bound.bind((address, port))
        if protocol is Protocol.TCP:
            bound.listen()  # Linux reports only here that another socket listens
    except BaseException:
        bound.close()
        raise
    return bound


def can_be_bound(forward: Forward) -> bool:
    """Whether a forward's address can be bound now. Fast: does not look for the reason."""
    try:
        bind(forward.protocol, forward.host_ip, forward.host_port).close()
    except OSError:
        return False
    return True


async def try_bind(forward: Forward) -> Problem | None:
    """Find out why a forward cannot be opened, by binding its address briefly.

    Returns:
        None when it can be bound now.
    """
    try:
        bind(forward.protocol, forward.host_ip, forward.host_port).close()
    except OSError as error:
        return await explain_with_holder(error, forward)
    return None


async def explain_with_holder(error: OSError, forward: Forward) -> Problem:
    """Like `explain`, after finding the program that holds the port where that may be the reason."""
    holder = None
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        try:
            async with asyncio.timeout(_HOLDER_S):
                holder = await asyncio.to_thread(port_holder, forward.protocol, forward.host_ip, forward.host_port)
        except TimeoutError:
            _log.warning("the program that uses %s was not found within %.0f s", forward.address, _HOLDER_S)
    return explain(error, forward, holder)


def explain(error: OSError, forward: Forward, holder: Holder | None, *, system: str | None = None) -> Problem:
    """Describe an error of binding `forward` for the user.

    Args:
        error: raised by `bind`.
        forward: the port.
        holder: the program that has the port, if known.
        system: as `Host.name`; None: this system's.

    Returns:
        A problem of the kind PORT_TAKEN or PORT_REFUSED.
    """
    where = f"{forward.host_port} on {forward.host_ip}"
    if forward.protocol is Protocol.UDP:
        where = f"{where} (UDP)"
    if error.errno == errno.EADDRINUSE or (error.errno == errno.EACCES and holder is not None):
        return _taken(where, holder)
    if error.errno in _NOT_HERE:
        return _no_such_address(forward)
    if error.errno == errno.EACCES:
        return _refused(where, forward, system or host.current().name)
    if error.errno in _TOO_MANY:
        return Problem(
            code=ProblemCode.PORT_REFUSED,
            summary=message("Port {where} can't be opened: too many ports and connections are open.", where=where),
            hint=message("Publish fewer ports, or raise the limit of open files (ulimit -n) and restart Wherry."),
            retryable=True,
        )
    return Problem(
        code=ProblemCode.PORT_REFUSED,
        summary=message("Port {where} can't be opened: {error}.", where=where, error=error.strerror or error),
        hint=message("Publish another port."),
        retryable=True,
    )


def _taken(where: str, holder: Holder | None) -> Problem:
    if holder is None:
        summary = message("Port {where} is used by another program.", where=where)
        hint = message("Stop the program that uses it, or publish another port.")
    else:
        summary = message("Port {where} is used by {holder}.", where=where, holder=str(holder))
        hint = (
            message("Stop {program}, or publish another port.", program=holder.name)
            if holder.name
            else message("Stop the program that uses it, or publish another port.")
        )
        if " of " in holder.name:  # a proxy of another engine: see `port_holder`
            hint = message("Stop the container that uses it there, or publish another port.")
    return Problem(code=ProblemCode.PORT_TAKEN, summary=summary, hint=hint, retryable=True)


def _no_such_address(forward: Forward) -> Problem:
    if ":" in forward.host_ip and forward.host_ip in ("::", "::1"):
        summary = message(
            "Port {port} can't be opened on {address}: IPv6 is off on this computer.",
            port=forward.host_port,
            address=forward.host_ip,
        )
        hint = message("Publish it on 127.0.0.1, or turn on IPv6.")
    else:
        summary = message(
            "Port {port} can't be opened: this computer doesn't have the address {address}.",
            port=forward.host_port,
            address=forward.host_ip,
        )
        hint = message("Publish it on an address of this computer, or on 127.0.0.1.")
    return Problem(code=ProblemCode.PORT_REFUSED, summary=summary, hint=hint, retryable=True)


def _refused(where: str, forward: Forward, system: str) -> Problem:
    port = forward.host_port
    if system == "windows":
        kind = forward.protocol.value
        family = "ipv6" if ":" in forward.host_ip else "ipv4"
        return Problem(
            code=ProblemCode.PORT_REFUSED,
            summary=message("Port {where} can't be opened: Windows reserves it.", where=where),
            hint=message(
                "Publish a port outside the reserved ranges, which change when the computer "
                "restarts: netsh int {family} show excludedportrange protocol={protocol}",
                family=family,
                protocol=kind,
            ),
            retryable=True,
        )
    if system == "linux":
        return Problem(
            code=ProblemCode.PORT_REFUSED,
            summary=(
                message("Port {where} can't be opened: this system reserves ports below 1024 for root.", where=where)
                if port < 1024
                else message("Port {where} can't be opened: this system doesn't allow it.", where=where)
            ),
            hint=(
                message(
                    "Allow ports from {port}: sudo sysctl net.ipv4.ip_unprivileged_port_start={port} "
                    "(add it to a file in /etc/sysctl.d to keep it). Or publish another port.",
                    port=port,
                )
                if port < 1024
                else message("Publish another port, or check net.ipv4.ip_unprivileged_port_start and SELinux.")
            ),
            retryable=True,
        )
    return Problem(
        code=ProblemCode.PORT_REFUSED,
        summary=message(
            "Port {where} can't be opened: this system reserves ports below 1024 on a single address for root.",
            where=where,
        ),
        hint=message("Publish it on 127.0.0.1 or 0.0.0.0, or publish a port above 1023."),
        retryable=True,
    )
