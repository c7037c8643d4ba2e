"""A socket of another process, borrowed for one call: pidfd_getfd (Linux 5.6).

The kernel lets a process have a descriptor of one that it may debug: of the same user, and where Yama restricts that
(kernel.yama.ptrace_scope = 1, as Ubuntu has it), a descendant. Python has no function for it.
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
    """Set the backlog of a TCP socket that listens in another process; False if that cannot be done."""
    what = f"descriptor {descriptor} of process {pid}"
    try:
        process = os.pidfd_open(pid)
        try:
            borrowed = _get_descriptor(process, descriptor)
        finally:
            os.close(process)
    except (OSError, AttributeError) as error:  # a Python that was built for an older kernel has no pidfd_open
        _log.debug("%s: %s", what, error)
        return False
    try:
        shared = socket.socket(fileno=borrowed)
    except OSError:  # no socket
        os.close(borrowed)
        return False
    with shared:
        try:
            if shared.type is socket.SOCK_STREAM and shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                shared.listen(backlog)  # on one that listens already, only the backlog changes
                return True
        except OSError as error:
            _log.debug("%s: %s", what, error)
    return False


def _get_descriptor(process: int, descriptor: int) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    taken = int(
        call(ctypes.c_long(_SYS_PIDFD_GETFD), ctypes.c_int(process), ctypes.c_int(descriptor), ctypes.c_uint(0))
    )
    if taken < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return taken
