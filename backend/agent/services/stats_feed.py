"""Statistics of the machine and its containers: runs the guest's `stats` program while a client is subscribed.

One program and one SSH channel serve all containers and clients. The program is ended with the last subscription, and
restarted with increasing delays when it ends by itself. An older guest image does not have it: that is reported once,
and tried again only after the next start of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, NamedTuple

from backend.agent.services.stats_lines import (
    MAX_LINE_BYTES,
    BadLine,
    RawSample,
    StatsParser,
    container_usages,
    machine_usage,
)
from backend.control.protocol import StatsPush
from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import message
from backend.model import MachineStatus, Phase
from backend.stats import StatsSample
from backend.stream import CommandOutput
from backend.while_wanted import WhileWanted

_log = logging.getLogger(__name__)

COMMAND: Final = "exec /usr/lib/wherry/stats 2 2>/dev/null"
SILENCE_S: Final = 60.0
"""The program prints at least every 10 s; an emulated guest under load is slower."""
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_REPORTED_AFTER: Final = 3
"""Consecutive failures until clients are notified, because most are over after a restart of the program."""
_EXIT_CODE_S: Final = 5.0
_NO_SUCH_PROGRAM: Final = (126, 127)

TOO_OLD: Final = Problem(
    code=ProblemCode.GUEST_FAULT,
    summary=message("Stats aren't available: the running machine's image is older than this version of Wherry."),
    hint=message("Restart the machine to use the newest image."),
)


class HostFigures(NamedTuple):
    """Memory and disk use of the machine as measured on the host, in bytes; None: not known."""

    disk: int | None
    memory: int | None
    memory_given: int | None = None
    """The most that the machine may use."""
    memory_returned: int | None = None
    """Peak since its start, minus the current use."""
    disk_returned: int | None = None


class StatsFeed:
    """Publishes samples while `run` runs, a client is subscribed and the machine is up."""

    def __init__(
        self,
        follow: Callable[[str], AbstractAsyncContextManager[CommandOutput]],
        host_figures: Callable[[], HostFigures],
        publish: Callable[[StatsPush], None],
    ) -> None:
        """
        Args:
            follow: starts a command in the guest; raises WherryError.
            host_figures: called once per sample; MUST be quick.
            publish: called with each sample, or with the problem that prevents samples.
        """
        self._follow = follow
        self._host_figures = host_figures
        self._publish = publish
        self._work = WhileWanted(self._keep_following, name="the figures", stopped=self._stopped)
        self.newest: StatsPush | None = None
        """The last push, for a new subscriber; None while stopped."""

    def set_wanted(self, wanted: bool) -> None:
        """Set whether a client is subscribed."""
        self._work.set_wanted(wanted)

    def on_status(self, status: MachineStatus) -> None:
        """Handle a new status: figures are read while the guest can be reached."""
        self.set_up(status.phase in (Phase.RUNNING, Phase.DEGRADED) and status.ssh_port is not None)

    def set_up(self, up: bool) -> None:
        """Set whether the machine is up."""
        self._work.set_up(up)

    async def run(self) -> None:
        """Run until cancelled."""
        await self._work.run()

    def _stopped(self) -> None:
        self.newest = None

    async def _keep_following(self) -> None:
        """Run the program again and again. Cancelled when the last subscription or the machine ends."""
        failures = 0
        while True:
            try:
                async for sample in self._samples():
                    failures = 0
                    self._push(StatsPush(sample=sample))
                problem = _ended("it ended")
            except WherryError as error:
                problem = error.problem
            except TimeoutError:
                problem = _ended(f"it said nothing for {SILENCE_S:g} s")
            except ConnectionError as error:
                problem = _ended(str(error) or "the connection ended")
            failures += 1
            if problem is TOO_OLD or failures == _REPORTED_AFTER:
                _log.warning("no figures: %s", problem.summary)
                self._push(StatsPush(problem=problem))
            if problem is TOO_OLD:
                await asyncio.Event().wait()  # until cancelled at the end of this machine
            _log.info("the figures are begun again: %s", problem.summary)
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    def _push(self, push: StatsPush) -> None:
        self.newest = push
        self._publish(push)

    async def _samples(self) -> AsyncIterator[StatsSample]:
        """Run the program once and yield its samples until it ends.

        Raises:
            WherryError: it cannot be started, or does not exist (TOO_OLD).
            TimeoutError: it has printed nothing for SILENCE_S.
            ConnectionError: the connection to the guest was lost.
        """
        reader = _Reader()
        before: RawSample | None = None
        async with self._follow(COMMAND) as program:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    data = await program.read()
                if not data:
                    break
                for now in reader.feed(data):
                    if before is not None:  # rates need two
                        yield self._sample(now, before)
                    before = now
            async with asyncio.timeout(_EXIT_CODE_S):
                if await program.exit_code() in _NO_SUCH_PROGRAM:
                    raise WherryError(TOO_OLD)

    def _sample(self, now: RawSample, before: RawSample) -> StatsSample:
        host = self._host_figures()
        return StatsSample(
            at=time.time(),
            machine=replace(
                machine_usage(now, before, disk_on_host=host.disk, memory_on_host=host.memory),
                memory_given_bytes=host.memory_given,
                memory_returned_bytes=host.memory_returned,
                disk_returned_bytes=host.disk_returned,
            ),
            containers=container_usages(now, before),
        )


class _Reader:
    """Parses the program's output. Invalid lines are skipped; the first one is logged."""

    def __init__(self) -> None:
        self._parser = StatsParser()
        self._rest = b""
        self._skipping = False
        self._invalid = 0

    def feed(self, untrusted_data: bytes) -> list[RawSample]:
        samples = []
        *lines, self._rest = (self._rest + untrusted_data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
                continue
            try:
                sample = self._parser.feed(line.decode("utf-8", errors="replace"))
            except BadLine as error:
                self._on_invalid(error)
                continue
            if sample is not None:
                samples.append(sample)
        if len(self._rest) > MAX_LINE_BYTES:
            self._on_invalid(BadLine(f"a line of more than {MAX_LINE_BYTES} bytes"))
            self._rest = b""
            self._skipping = True
        return samples

    def _on_invalid(self, error: BadLine) -> None:
        self._invalid += 1
        if self._invalid == 1:
            _log.warning("the guest's figures have a line that is not understood: %r", str(error))


def _ended(why: str) -> Problem:
    return Problem(
        code=ProblemCode.GUEST_FAULT,
        summary=message("Couldn't load the machine's stats."),
        tail=(why,),
        command=f"wherry shell {COMMAND}",
        hint=message("Wherry tries again automatically."),
        retryable=True,
    )
