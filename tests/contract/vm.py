"""A machine directory for tests of the driver, with the fake QEMU or the real one."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from backend import host
from backend.agent.boot.prepare import prepare
from backend.files import write_private
from backend.messages import verbatim
from backend.model import AcceleratorStatus
from backend.paths import MachineDir
from backend.vm import command
from backend.vm.qemu import QemuDriver
from backend.vm.run import RunRecord
from backend.vm.spec import Candidate
from tests.agent.machine import make_image
from tests.fakes import qemu

LAUNCH_S = 60.0


class Bench:
    """A home directory and its settings. Nothing runs yet."""

    def __init__(self, base: Path, kind: str) -> None:
        """
        Args:
            base: directory in which the home is created.
            kind: "fake" or "qemu".
        """
        self.host = host.current()
        self.kind = kind
        self.paths = MachineDir.locate(base / "home", max_socket_path_bytes=103, short_run_base=base / "run")
        self.paths.create()
        if kind == "fake":
            image, program = make_image(base / "image"), str(qemu.install(base / "bin"))
        else:
            named = os.environ.get("WHERRY_TEST_IMAGE")
            if not named:
                pytest.fail("WHERRY_TEST_IMAGE does not name a guest image; run: python3 packaging/dev.py test")
            image, program = Path(named), ""
        text = f"[image]\ndirectory = '{image}'\n[qemu]\nbinary = '{program}'\n[machine]\naccelerator = 'tcg'\n"
        write_private(self.paths.config, text.encode())

    def driver(self) -> QemuDriver:
        """A new driver, as of a new agent."""
        return QemuDriver(self.host, self.paths)

    async def line(self, **changes: object) -> tuple[RunRecord, list[str]]:
        """A run record and its command line. `changes`: fields of the LaunchSpec."""
        prepared = await prepare(self.host, self.paths)
        candidate: Candidate = prepared.plan.candidates[0]
        spec = prepared.spec(self.host, self.paths, candidate)
        spec = replace(spec, uuid=str(uuid.uuid4()), memory_mib=512, cpus=1, **changes)  # type: ignore[arg-type]
        argv = command.build(spec)
        record = RunRecord(
            uuid=spec.uuid,
            accelerator=AcceleratorStatus(
                name=candidate.accelerator, title=verbatim("software emulation"), hardware=False
            ),
            resources=prepared.resources,
            image_version=prepared.image.version,
            engine_version=prepared.image.engine_version,
            requested_at=1.0,
            argv=argv,
        )
        return record, argv

    async def launched(self) -> tuple[QemuDriver, RunRecord]:
        """Launch QEMU; returns its driver and run record."""
        driver = self.driver()
        record, argv = await self.line()
        await driver.launch(record, argv, timeout_s=LAUNCH_S)
        return driver, record
