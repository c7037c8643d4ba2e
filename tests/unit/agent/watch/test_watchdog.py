"""The parts of the watchdog: one that dies of a defect is told, and the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.agent.boot.readiness import Deadlines
from backend.agent.core.guest import Guest
from backend.agent.watch.watchdog import Watchdog, WatchedMachine
from backend.model import Notice, Phase
from backend.vm.monitor import MonitorEvent
from backend.vm.qemu import QemuDriver


class Monitor:
    """QEMU's, whose events break off in a way that nobody expected."""

    async def events(self) -> AsyncIterator[MonitorEvent]:
        yield MonitorEvent("STOP", {})
        raise KeyError("event")


class Control:
    """A guest that hears nothing and answers nothing."""

    async def ask(self, _command: str, *, timeout_s: float) -> str:
        await asyncio.sleep(timeout_s)
        raise AssertionError("the test is over by then")

    async def send(self, _line: str) -> None:
        """Nobody reads it."""


@pytest.mark.expect_log("task QEMU's events failed")
def test_a_part_that_dies_of_a_defect_is_told_and_the_watch_goes_on() -> None:
    notices = list[Notice]()
    looks = list[Any]()
    looked = asyncio.Event()

    def phase() -> Phase:
        looks.append(None)
        if notices:
            looked.set()
        return Phase.BOOTING

    async def run() -> None:
        around = WatchedMachine(
            driver=cast(QemuDriver, SimpleNamespace(monitor=Monitor(), pid=None)),
            phase=phase,
            link=lambda: None,
            hardware=lambda: True,
            changed=lambda: None,
            notify=notices.append,
            data_disk=lambda: Path("/none"),
            record_usage=lambda: None,
        )
        watchdog = Watchdog(around, Deadlines.parse("watch=0.01"))
        watching = asyncio.create_task(watchdog.watch(cast(Guest, SimpleNamespace(control=Control()))))
        async with asyncio.timeout(20):
            await looked.wait()
        assert not watching.done()
        watching.cancel()
        await asyncio.wait({watching})
        assert watching.cancelled()

    asyncio.run(run())
    assert len(notices) == 1
    assert notices[0].level == "error"
    assert "QEMU's events" in str(notices[0].text)
    assert "KeyError" in str(notices[0].text)
