"""The figures of the machine: runs the guest's `stats` program while somebody wants them, and makes samples of it.

There is one program and one SSH channel however many containers and clients there are. It is ended with the last
subscriber, and begun again with growing pauses when it ends by itself. An image that is older than the program does not
have it: that is said once, and tried again only when another machine runs.
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
from backend.stats import StatsSample
from backend.stream import CommandOutput
from backend.while_wanted import WhileWanted

_log = logging.getLogger(__name__)

COMMAND: Final = "exec /usr/lib/wherry/stats 2 2>/dev/null"
SILENCE_S: Final = 60.0
"""The guest's program makes pauses of 10 s at most, and an emulated machine under load needs its time."""
BACK_OFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_TOLD_AFTER: Final = 3
"""Failures in a row until the window is told: what comes back at once is nobody's problem."""
_EXIT_CODE_S: Final = 5.0
_NOT_THERE: Final = (126, 127)

TOO_OLD: Final = Problem(
    code=ProblemCode.GUEST_FAULT,
    summary="The running machine cannot give figures: its image is older than this version of Wherry.",
    hint="Restart the machine: it then starts from the newest image that is installed.",
)


class HostFigures(NamedTuple):
    """What the host sees of the machine, in bytes; None: not known."""

    disk: int | None
    memory: int | None
    memory_given: int | None = None
    """What the machine may take."""
    memory_returned: int | None = None
    """The most that it had taken since its start, less what it holds now."""
    disk_returned: int | None = None


class StatsFeed:
    """One per agent. `run` it; the rest only tells it what is wanted."""

    def __init__(
        self,
        follow: Callable[[str], AbstractAsyncContextManager[CommandOutput]],
        host_figures: Callable[[], HostFigures],
        publish: Callable[[StatsPush], None],
    ) -> None:
        """Make a feed that is not wanted yet.

        Args:
            follow: begins a command in the guest; raises WherryError.
            host_figures: asked once a sample; MUST be quick.
            publish: called with each new sample, and with a problem in place of it.
        """
        self._follow = follow
        self._host_figures = host_figures
        self._publish = publish
        self._work = WhileWanted(self._keep_following, name="the figures", stopped=self._stopped)
        self.newest: StatsPush | None = None
        """For a subscriber who comes later."""

    def set_wanted(self, wanted: bool) -> None:
        """Whether anybody subscribed."""
        self._work.set_wanted(wanted)

    def set_up(self, up: bool) -> None:
        """Whether there is a machine that can be asked."""
        self._work.set_up(up)

    async def run(self) -> None:
        """Until cancelled."""
        await self._work.run()

    def _stopped(self) -> None:
        self.newest = None

    async def _keep_following(self) -> None:
        """Until cancelled, which happens when nobody wants it any more, or the machine ends."""
        failures = 0
        while True:
            try:
                async for sample in self._samples():
                    failures = 0
                    self._tell(StatsPush(sample=sample))
                problem = _ended("it ended")
            except WherryError as error:
                problem = error.problem
            except TimeoutError:
                problem = _ended(f"it said nothing for {SILENCE_S:g} s")
            except ConnectionError as error:
                problem = _ended(str(error) or "the connection ended")
            failures += 1
            if problem is TOO_OLD or failures == _TOLD_AFTER:
                _log.warning("no figures: %s", problem.summary)
                self._tell(StatsPush(problem=problem))
            if problem is TOO_OLD:
                await asyncio.Event().wait()  # for the cancellation, with the end of this machine
            _log.info("the figures are begun again: %s", problem.summary)
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1])

    def _tell(self, push: StatsPush) -> None:
        self.newest = push
        self._publish(push)

    async def _samples(self) -> AsyncIterator[StatsSample]:
        """Run the program once, to its end.

        Raises:
            WherryError: it cannot be begun, or is not there.
            TimeoutError: it says nothing.
            ConnectionError: the way to the guest was lost.
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
                    if before is not None:  # rates lie between two
                        yield self._sample(now, before)
                    before = now
            async with asyncio.timeout(_EXIT_CODE_S):
                if await program.exit_code() in _NOT_THERE:
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
    """Bytes to samples. Odd lines are left out; the first of each run is logged."""

    def __init__(self) -> None:
        self._parser = StatsParser()
        self._rest = b""
        self._skips = False
        self._odd = 0

    def feed(self, untrusted_data: bytes) -> list[RawSample]:
        found = []
        *lines, self._rest = (self._rest + untrusted_data).split(b"\n")
        for line in lines:
            if self._skips:
                self._skips = False
                continue
            try:
                sample = self._parser.feed(line.decode("utf-8", errors="replace"))
            except BadLine as error:
                self._note(error)
                continue
            if sample is not None:
                found.append(sample)
        if len(self._rest) > MAX_LINE_BYTES:
            self._note(BadLine(f"a line of more than {MAX_LINE_BYTES} bytes"))
            self._rest = b""
            self._skips = True
        return found

    def _note(self, error: BadLine) -> None:
        self._odd += 1
        if self._odd == 1:
            _log.warning("the guest's figures have a line that is not understood: %r", str(error))


def _ended(why: str) -> Problem:
    return Problem(
        code=ProblemCode.GUEST_FAULT,
        summary=f"The machine's figures do not come: {why}.",
        command=f"wherry shell {COMMAND}",
        hint="They are asked for again by themselves.",
        retryable=True,
    )
