"""Published ports for containers: at the gateway of their network, where programs in containers look for the host.

dockerd publishes on the guest's 127.0.0.1 (see `engine_options`), so its own rules do not match what a container sends
to 172.17.0.1. A chain of ours repeats them for every other address of the guest, for what comes from a container. The
rules are read from dockerd's, so they lead nowhere but to published ports of containers.

dockerd keeps networks apart, published ports included. Where it has no proxy process to go between, one rule lets
through what was addressed to a published port. It stands after the rules that close internal networks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from backend.engine.types import clean_text
from backend.errors import WherryError
from backend.ssh.session import Result

_log = logging.getLogger(__name__)

_EXECUTE_S: Final = 20.0

# Changes nothing where all is as it should be. iptables-restore makes each table's changes at once.
SCRIPT: Final = rb"""
text=$(iptables-save | awk '
/^\*/ { table = substr($0, 2) }
table == "nat" && /^:WHERRY / { is_made = 1 }
table == "nat" && /^-A DOCKER -d 127\.0\.0\.1\/32 .*-j DNAT / {
    sub(/^-A DOCKER -d 127\.0\.0\.1\/32/, "-A WHERRY")
    wanted = wanted $0 "\n"
    next
}
table == "nat" && /^-A WHERRY / { present = present $0 "\n" }
table == "nat" && /^-A PREROUTING .*-j WHERRY$/ { incoming = 1 }
table == "nat" && /^-A OUTPUT .*-j WHERRY$/ { outgoing = 1 }
table == "filter" && /^-A DOCKER-ISOLATION-STAGE-1 / {
    place++
    if (/--ctstate DNAT -j ACCEPT$/) {
        ours = place
        rule = $0
    } else if (/-j DROP$/)
        last_drop = place
    else if (!first_jump)
        first_jump = place
}
END {
    if (!is_made || wanted != present || !incoming || !outgoing) {
        print "*nat\n:WHERRY - [0:0]"
        if (!incoming) print "-A PREROUTING ! -i eth0 -m addrtype --dst-type LOCAL -j WHERRY"
        if (!outgoing) print "-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j WHERRY"
        print wanted "COMMIT"
    }
    if (!place) exit # dockerd has not begun
    misplaced = ours && (ours < last_drop || (first_jump && first_jump < ours))
    if (ours && !misplaced) exit
    print "*filter"
    if (misplaced) {
        sub(/^-A/, "-D", rule)
        print rule
        if (ours < last_drop) last_drop--
    }
    print "-I DOCKER-ISOLATION-STAGE-1 " last_drop + 1 " ! -i eth0 -m conntrack --ctstate DNAT -j ACCEPT"
    print "COMMIT"
}')
[ -z "$text" ] || printf '%s\n' "$text" | iptables-restore -n -w 5
"""

Execute = Callable[[str, bytes, float], Awaitable[Result | None]]
"""Runs a command in the guest with a standard input and a deadline in seconds; None: no guest can be reached. Raises
WherryError."""


class Gateways:
    """Keeps the rules in the guest equal to dockerd's."""

    def __init__(self, execute: Execute) -> None:
        """Nothing is known of the guest yet."""
        self._execute = execute
        self._done: frozenset[str] | None = None
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """The engine has stopped, and its rules with it."""
        self._done = None

    async def update(self, places: Callable[[], frozenset[str]], *, unhurried: bool = False) -> None:
        """Return when the rules are there for these containers. A failure is logged, and the next call tries again.

        Args:
            places: gives what the rules depend on: a text for each container with published ports that is another
                whenever it gets other addresses or ports.
            unhurried: whether to look for what an earlier agent left, too, where there is nothing to add.
        """
        if places() == self._done:
            return
        async with self._lock:
            wanted = places()
            if wanted == self._done or not (wanted or unhurried or self._done):
                return
            try:
                result = await self._execute("sh -s", SCRIPT, _EXECUTE_S)
            except WherryError as error:
                _log.warning("ports are not published for containers: %s", error.problem.summary)
                return
            if result is None:
                return
            if result.exit_code != 0:
                said = clean_text(result.untrusted_stderr.decode(errors="replace"), 500)
                _log.warning("ports are not published for containers: %s", said or f"exit code {result.exit_code}")
                return
            self._done = wanted
