"""Starting programs that keep running after we exit, on systems with POSIX sessions."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.host.base import DetachedProcess

_detached: list[subprocess.Popen[bytes]] = []
"""Child processes until they are reaped: Python warns when a `Popen` is dropped while its process runs."""


def spawn(
    argv: Sequence[str],
    *,
    output: Path,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
    directory: Path | None = None,
) -> DetachedProcess:
    """See Host.spawn_detached. It gets a new session, so that closing a terminal does not end it, and umask 077.

    Args:
        argv: the command.
        output: file to which its output is appended.
        environment: replaces the whole environment.
        descriptors: those of ours that it inherits, with the same numbers.
        directory: its working directory; None: ours.
    """
    _detached[:] = [child for child in _detached if child.poll() is None]
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            close_fds=True,
            pass_fds=descriptors,
            umask=0o077,
            cwd=directory,
            env=None if environment is None else dict(environment),
        )
    finally:
        os.close(descriptor)
    _detached.append(process)
    return DetachedProcess(pid=process.pid, poll=process.poll, kill=process.kill)
