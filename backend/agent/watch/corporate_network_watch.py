"""Notices when this computer's proxies or certificate authorities change while the machine runs.

dockerd reads both only when it starts, and restarting it stops containers, so the user is notified and decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from backend.agent.boot import corporate_network
from backend.agent.core import started_with
from backend.errors import WherryError
from backend.host.base import Host
from backend.messages import message, sentences
from backend.model import Notice
from backend.paths import MachineDir
from backend.vm import run

PROXIES: Final = "network.proxy"
CERTIFICATES: Final = "network.certificates"
"""Named as the settings that ask for them."""
_EVERY_S: Final = 60.0
_CERTIFICATES_EVERY: Final = 10
"""Proxies are checked this many times for each check of the certificates, which is slower and rarely differs."""
_NOTICES: Final = {
    frozenset({PROXIES}): message("The proxy settings of this computer have changed."),
    frozenset({CERTIFICATES}): message("The certificate authorities of this computer have changed."),
    frozenset({PROXIES, CERTIFICATES}): message(
        "The proxy settings and certificate authorities of this computer have changed."
    ),
}

_log = logging.getLogger(__name__)


class CorporateNetworkWatch:
    """One per agent. Compares this computer's settings with those the machine was started with."""

    def __init__(
        self,
        host: Host,
        directory: MachineDir,
        *,
        is_live: Callable[[], bool],
        notify: Callable[[Notice], None],
        every_s: float = _EVERY_S,
    ) -> None:
        self._host = host
        self._dir = directory
        self._is_live = is_live
        self._notify = notify
        self._every_s = every_s
        self._changed: frozenset[str] = frozenset()
        self._used: corporate_network.CorporateNetworkRecord | None = None

    @property
    def changed(self) -> frozenset[str]:
        """Which of PROXIES and CERTIFICATES have changed: a restart of the machine applies the change."""
        return self._changed if self._is_live() else frozenset()

    async def run(self) -> None:
        """Check regularly until cancelled."""
        checks = 0
        while True:
            await asyncio.sleep(self._every_s)
            if not self._is_live():
                self._changed = frozenset()
                continue
            checks += 1
            try:
                await self._check(with_certificates=checks % _CERTIFICATES_EVERY == 1)
            except (WherryError, OSError, ValueError) as error:
                _log.warning("proxies and certificates could not be looked at: %s", error)

    async def _check(self, *, with_certificates: bool) -> None:
        used = await asyncio.to_thread(corporate_network.load_record, self._dir.used_corporate_network)
        if used is None:
            return  # started by a version that did not save it
        if used != self._used:
            self._used, self._changed = used, frozenset()
            with_certificates = True
        now = await asyncio.to_thread(self._current_record, with_certificates)
        changed = {PROXIES} if now.proxies_digest != used.proxies_digest else set()
        if with_certificates:
            changed |= {CERTIFICATES} if now.certificates_digest != used.certificates_digest else set()
        else:
            changed |= self._changed & {CERTIFICATES}
        before, self._changed = self._changed, frozenset(changed)
        if self._changed - before:
            restart = message("Restart the machine to apply: wherry restart")
            self._notify(Notice(level="info", text=sentences(_NOTICES[self._changed], restart)))

    def _current_record(self, with_certificates: bool) -> corporate_network.CorporateNetworkRecord:
        """What the running machine, with its settings, would be given if it were started now."""
        used = started_with.settings(self._dir)
        if used is None:
            raise ValueError("the settings that the machine was started with are not known")
        section = used.network
        if not with_certificates:
            section = msgspec.structs.replace(section, certificates="none")
        record = run.load(self._dir.run_record)
        options = json.loads(self._dir.engine_options.read_bytes())
        if record is None:
            raise ValueError("the machine has no record")
        network = record.user_network
        return corporate_network.examine(section, self._host, options=options, network=network, known=()).record
