"""The agent as a whole, as far as it goes without a machine: a defect in one of its parts ends none of the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.agent.agent import Agent
from backend.agent.boot.readiness import Deadlines
from backend.host.systems.linux import LinuxHost
from backend.model import Notice
from backend.paths import MachineDir


@pytest.mark.expect_log("the engine answers, but fail failed")
def test_what_fails_once_the_engine_answers_is_told_and_keeps_nothing_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    directory.create()
    agent = Agent(LinuxHost("amd64"), directory, deadlines=Deadlines())
    notices = list[Notice]()
    announced = list[bool]()

    async def fail() -> None:
        raise KeyError("HostPort")

    async def announce() -> None:
        announced.append(True)

    agent._announcements.listen(notice=notices.append)
    monkeypatch.setattr(agent._ports, "restore", fail)
    monkeypatch.setattr(agent._endpoint, "_install_context", announce)
    asyncio.run(agent._endpoint.engine_answers())
    assert [notice.level for notice in notices] == ["error"]
    assert "KeyError" in str(notices[0].text)
    assert announced == [True]
