"""What the checks look at. Each fact is found out when it is first asked for, and kept for the other checks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import Problem, WherryError
from backend.host.base import Host
from backend.host.process import ProcessIdentity, holders_of
from backend.model import MachineStatus
from backend.paths import MachineDir
from backend.settings import config as settings
from backend.settings.config import Config
from backend.settings.disk import data_disk_path
from backend.vm import binary, run
from backend.vm.spec import QemuFacts

if TYPE_CHECKING:
    from backend.doctor.engine_answer import EngineAnswer


class Subject:
    """One machine on one host."""

    def __init__(self, host: Host, directory: MachineDir, *, agent_alive: bool) -> None:
        self.host = host
        self.directory = directory
        self.agent_alive = agent_alive
        self._agent_pid: int | None = None

    def forget(self) -> None:
        """Something was changed: find everything out anew."""
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                self.__dict__.pop(name, None)

    @cached_property
    def config(self) -> Config:
        """Raises WherryError."""
        return settings.load(self.directory.config)

    @cached_property
    def qemu(self) -> QemuFacts:
        """Raises WherryError."""
        return binary.find(self.host, self.host.arch, configured=self.config.qemu.binary)

    @cached_property
    def image_tool(self) -> Path:
        """qemu-img. Raises WherryError."""
        return binary.find_image_tool(self.qemu)

    @cached_property
    def agent(self) -> tuple[MachineStatus | None, Problem | None]:
        """What the agent says of its machine, or why it says nothing; both None when there is no agent."""
        from backend.control.client import MachineClient

        if not self.agent_alive:
            return None, None
        try:
            with MachineClient(str(self.directory.agent_socket)) as client:
                self._agent_pid = client.agent_pid
                return client.status, None
        except WherryError as error:
            return None, error.problem

    @property
    def status(self) -> MachineStatus | None:
        """The machine's state, where an agent tells it."""
        return self.agent[0]

    @property
    def agent_pid(self) -> int | None:
        """The agent's process, where there is one that answers."""
        return self._agent_pid if self.agent[0] is not None else None

    @property
    def own_pids(self) -> frozenset[int]:
        """The machine's QEMU and its agent, as far as they are known: what they listen on is the machine's."""
        pids = (self.status.pid if self.status is not None else None, self._agent_pid)
        return frozenset(pid for pid in pids if pid is not None)

    @cached_property
    def qemu_runs(self) -> bool:
        """Whether this machine's QEMU runs, or something else that has its disk open."""
        record = run.load(self.directory.run_record)
        if record is not None and ProcessIdentity.find(record.uuid) is not None:
            return True
        return bool(self.disk_holders)

    @cached_property
    def disk_holders(self) -> list[str]:
        """Who has the data disk open, as "name (pid)"."""
        return holders_of(str(data_disk_path(self.directory))) if data_disk_path(self.directory).exists() else []

    @cached_property
    def engine(self) -> EngineAnswer:
        """What the engine says of itself through our endpoint. Raises WherryError."""
        from backend.doctor.engine_answer import ask_engine

        return ask_engine(self.host, self.directory.docker_socket)
