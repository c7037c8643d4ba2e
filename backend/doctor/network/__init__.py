"""Why an image cannot be pulled: every hop of a pull, tried from this computer and from the machine.

    types.py        what is found, as data
    reference.py    the image's name as docker reads it
    proxy.py        which proxy a connection goes by
    sides.py        names and connections: of this computer, and of the machine through SSH
    http.py tls.py web.py    one request, hop by hop; why a certificate is not believed
    credentials.py registry.py    what the registry is asked
    way.py          the hops in their order

It runs in the client's process and needs no agent; a machine that is stopped is passed over. It changes nothing and
runs no program of the user's. "This computer reaches it, the machine does not" is what only this can tell.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from backend.control.launch import machine_directory
from backend.doctor.network.types import NetworkDiagnosis, NetworkHop
from backend.doctor.network.way import Way
from backend.errors import Cancelled, Problem, ProblemCode
from backend.host import current as current_host
from backend.messages import Message, message, verbatim
from backend.model import HopState

__all__ = [
    "DEFAULT_IMAGE",
    "HopState",
    "NetworkDiagnosis",
    "NetworkHop",
    "diagnose_network",
    "diagnosis_as_text",
    "hop_as_text",
]

DEFAULT_IMAGE: Final = "hello-world"
"""Small, and on Docker Hub."""
_LOOK_S: Final = 0.1
_MARKS: Final = {
    HopState.OK: message("ok"),
    HopState.FAILED: message("FAILED"),
    HopState.WARNING: message("warning"),
    HopState.SKIPPED: verbatim("-"),
}


def diagnose_network(
    home: Path | None,
    image: str = "",
    *,
    on_hop: Callable[[NetworkHop], object] = lambda _hop: None,
    cancelled: threading.Event | None = None,
) -> NetworkDiagnosis:
    """Try every hop of a pull. Blocks for seconds, at the worst two minutes; each hop has a deadline. Changes nothing.

    Args:
        home: as `wherry --home`; None: $WHERRY_HOME, else the platform's place.
        image: as after `docker pull`; "": a small one of Docker Hub.
        on_hop: told of each hop as soon as it is known, on this thread.
        cancelled: once set, it ends soon.

    Raises:
        Cancelled: `cancelled` was set.
    """
    way = Way(current_host(), machine_directory(home), image.strip() or DEFAULT_IMAGE, on_hop)
    return asyncio.run(_unless(way.walk(), cancelled))


async def _unless(work: Coroutine[Any, Any, NetworkDiagnosis], cancelled: threading.Event | None) -> NetworkDiagnosis:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if cancelled is not None and cancelled.is_set():
                raise Cancelled(Problem(code=ProblemCode.CANCELLED, summary=message("The network check was canceled.")))
            await asyncio.wait({task}, timeout=_LOOK_S)
        return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=5)


def diagnosis_as_text(diagnosis: NetworkDiagnosis, say: Callable[[Message], str] = str) -> str:
    """The whole diagnosis as plain lines, to be copied. `say` turns a message into words; English by default."""
    lines = [diagnosis.image, *(hop_as_text(hop, say) for hop in diagnosis.hops), "", say(diagnosis.verdict)]
    return "\n".join(lines)


def hop_as_text(hop: NetworkHop, say: Callable[[Message], str] = str) -> str:
    """One hop, as the command line prints it. `say` turns a message into words; English by default."""
    line = f"{say(_MARKS[hop.state]):8} {say(hop.title)}: {say(hop.detail)}"
    return line + (f"\n           {say(hop.fix)}" if hop.fix is not None else "")
