"""Access to a socket of another process with pidfd_getfd (Linux 5.6), for which Python has no function.

The kernel lets a process duplicate descriptors of a process that it may debug: one of the same user, and with Yama's
restriction (kernel.yama.ptrace_scope = 1, Ubuntu's default) only a descendant.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
from typing import Final

_log = logging.getLogger(__name__)

_SYS_PIDFD_GETFD: Final = 438
"""The same on every architecture."""


def listen_again(pid: int, descriptor: int, backlog: int) -> bool:
    """Set the backlog of a listening TCP socket in another process; False when that is not possible."""
    what = f"descriptor {descriptor} of process {pid}"
    try:
        process = os.pidfd_open(pid)
        try:
            duplicate = _get_descriptor(process, descriptor)
        finally:
            os.close(process)
    except (OSError, AttributeError) as error:  # AttributeError: this Python was built for an older kernel
        _log.debug("%s: %s", what, error)
        return False
    try:
        shared = socket.socket(fileno=duplicate)
    except OSError:  # no socket
        os.close(duplicate)
        return False
    with shared:
        try:
            if shared.type is socket.SOCK_STREAM and shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                shared.listen(backlog)  # it already listens, so only the backlog changes
                return True
        except OSError as error:
            _log.debug("%s: %s", what, error)
    return False


def _get_descriptor(process: int, descriptor: int) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    duplicate = int(
        call(ctypes.c_long(_SYS_PIDFD_GETFD), ctypes.c_int(process), ctypes.c_int(descriptor), ctypes.c_uint(0))
    )
    if duplicate < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return duplicate
