"""A machine with the real QEMU, guest image, dockerd and docker command."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import psutil

from backend import host
from backend.model import Phase
from tests.faults.plan import CRASHES, FROM_STOPPED, LEADS_TO_STOPPED, Fault, Kind, Stage
from tests.faults.target import ROOT, Target, Violation
from tests.faults.workload import WRITERS, Workload
from tests.vm.support.machine import BUSYBOX, Machine, busybox_tar, give_verdicts
from tests.vm.support.tools import find_tools

_DOCKERD: Final = "$(pidof dockerd)"
_IN_GUEST: Final = {
    Kind.SSH_CUT: "kill -9 $(pidof sshd-session)",
    Kind.SSHD_KILL: "kill -9 $(pidof sshd) $(pidof sshd-session)",
    Kind.SSHD_STOP: 'p="$(pidof sshd) $(pidof sshd-session)"; kill -STOP $p; sleep {hold}; kill -CONT $p',
    Kind.DOCKERD_KILL: f"kill -9 {_DOCKERD}",
    Kind.DOCKERD_STOP: f"p={_DOCKERD}; kill -STOP $p; sleep {{hold}}; kill -CONT $p",
    Kind.DOCKERD_FREEZE: f"kill -STOP {_DOCKERD}",
    Kind.CONTAINERD_KILL: "kill -9 $(pidof containerd)",
}


class RealTarget(Target):
    """The workload is `Workload`: containers that write numbered lines, and docker commands."""

    recovery_s = 300.0
    command_s = 600.0
    settled_s = 3.0
    degraded_s = 120.0

    def __init__(self, base: Path) -> None:
        super().__init__(base / "home")
        self.environment["QT_QPA_PLATFORM"] = "offscreen"
        self.tools = find_tools()
        self.machine = Machine(
            home=self.home, image=find_image(), tools=self.tools, docker_config=Path(os.environ["DOCKER_CONFIG"])
        )
        self.workload = Workload(self.machine, self.paths.docker_socket)
        self._images: dict[str, Path] = {}
        self._other = Path()
        """The image to which the next update goes."""
        self._window: subprocess.Popen[bytes] | None = None
        self._client: subprocess.Popen[bytes] | None = None

    @property
    def kinds(self) -> frozenset[Kind]:  # type: ignore[override]  # a permanent freeze needs the watchdog
        """See Target."""
        told = subprocess.run(
            [sys.executable, "-m", "backend.cli", "restart", "--help"],
            env=self.environment, capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip
        every = set(Kind)
        return frozenset(every if "--engine" in told else every - {Kind.QEMU_FREEZE, Kind.DOCKERD_FREEZE})

    def set_up(self) -> None:
        """See Target."""
        self.paths.create()
        give_verdicts(self.home)
        self._images = {name: self._copy_image(name) for name in ("first", "second")}
        self.wherry("config", "set", "image.directory", str(self._images["first"]))
        self.wherry("config", "set", "machine.disk_gib", "8")
        self.wherry(
            "config", "set", "machine.start_on_demand", "false"
        )  # otherwise our clients would start a machine that a fault has stopped
        self.bring_to(Phase.RUNNING)
        self.machine.import_busybox()
        self.workload.begin()
        self.lengths.setdefault(Stage.STOP, 3.0)
        self.lengths[Stage.RESTART] = self.lengths[Stage.START] + self.lengths[Stage.STOP]
        self.lengths[Stage.RUNNING] = 2.0
        self.lengths[Stage.CHECKPOINT] = 1.5
        self.lengths[Stage.UPDATE] = self.lengths[Stage.RESTART] + 5.0
        self.lengths[Stage.RESTORE] = self.lengths[Stage.RESTART] + 2.0

    # -- faults ---------------------------------------------------------------------------------------------------
    def arm(self, fault: Fault, delay_s: float) -> bool:
        """See Target."""
        script = _IN_GUEST[fault.kind].format(hold=fault.hold_s)
        whole = f"setsid sh -c {shlex.quote(f'sleep {delay_s:.2f}; {script}')} >/dev/null 2>&1 </dev/null &"
        code, said = self.wherry("shell", whole, timeout_s=60)
        if code != 0:
            raise Violation(f"wherry shell ended with {code}: {said}")
        return True

    def inject_other(self, fault: Fault) -> bool:
        """See Target."""
        match fault.kind:
            case Kind.WINDOW_KILL:
                assert self._window is not None
                self._window.kill()
                self._window.wait(10)
                self._window = None
                return True
            case Kind.CLIENT_KILL | Kind.CLIENT_STOP:
                return self._hit_client(fault)
        return False

    def stage_command(self, fault: Fault) -> tuple[str, ...] | None:
        """See Target. An update switches between the two images."""
        if fault.stage is Stage.UPDATE:
            return ("update", "--image", str(self._other))
        return super().stage_command(fault)

    def _copy_image(self, name: str) -> Path:
        """A copy of the image under test, made of links, with another version."""
        place = self.home.parent / name
        place.mkdir()
        manifest = json.loads((self.machine.image / "manifest.json").read_text(encoding="utf-8"))
        for part in ("kernel", "initramfs", "root"):
            source = self.machine.image / manifest[part]["file"]
            (place / source.name).symlink_to(source)
        manifest["version"] += f"-{name}"
        (place / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return place

    def _hit_client(self, fault: Fault) -> bool:
        """Inject a fault into a docker client: an attached one, or one that was started for this."""
        process: subprocess.Popen[bytes] | subprocess.Popen[str]
        if fault.choice % 2 and self._client is not None:
            process = self._client
        else:
            process = self.workload.attached(fault.choice).process
        if process.poll() is not None:
            return False
        if fault.kind is Kind.CLIENT_KILL:
            process.kill()
            process.wait(10)
        else:
            process.send_signal(signal.SIGSTOP)
            self.stopped_for_now.append(psutil.Process(process.pid))
        return True

    def _start_client(self, choice: int) -> subprocess.Popen[bytes]:
        """Start a docker command that takes long."""
        clients = (
            ("exec", WRITERS[0], "sh", "-c", "while :; do date; sleep 0.1; done"),
            ("exec", "-i", WRITERS[1], "sh", "-c", "yes"),
            ("run", "--rm", BUSYBOX, "sh", "-c", "sleep 4; date"),
            ("logs", "-f", WRITERS[0]),
            ("import", "-", "upload:latest"),
            ("stats",),
        )
        arguments = clients[choice // 2 % len(clients)]
        client = subprocess.Popen(
            [str(self.tools.docker), *arguments],
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if arguments[0] == "import":
            assert client.stdin is not None
            with contextlib.suppress(OSError):
                client.stdin.write(
                    busybox_tar(self.tools.busybox)[:600_000]
                )  # incomplete, so that the import does not end
                client.stdin.flush()
        return client

    def _end_client(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(ProcessLookupError):
            client.send_signal(signal.SIGCONT)
            client.kill()
        client.communicate(timeout=10)

    # -- around a fault -------------------------------------------------------------------------------------------
    def pause(self) -> None:
        """See Target."""
        self.workload.pause()
        self.workload.settle()
        self.workload.mark()

    def note_before(self, fault: Fault) -> None:
        """See Target."""
        if fault.stage is Stage.RESTORE:
            self.workload.set_marker()
        elif fault.stage in LEADS_TO_STOPPED | {Stage.RESTART, Stage.UPDATE}:
            self.workload.pause()
        elif fault.stage not in FROM_STOPPED:
            self.workload.attach()
        if fault.stage is Stage.UPDATE:
            self.workload.settle()
            present = self.status().image_version or ""
            self._other = self._images["second" if present.endswith("-first") else "first"]
        if fault.kind is Kind.WINDOW_KILL:
            self._window = subprocess.Popen(
                [sys.executable, "-m", "app", "--home", str(self.home)],
                env=self.environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(3)
        if fault.kind in (Kind.CLIENT_KILL, Kind.CLIENT_STOP):
            self._client = self._start_client(fault.choice)

    def note_end(self, fault: Fault, came: float) -> None:
        """See Target."""
        if fault.kind in CRASHES:
            self.workload.ledger.crash(came)
        if fault.stage is Stage.RESTORE:
            self.workload.recall_if_gone_back()

    def check_running(self, fault: Fault) -> None:
        """See Target."""
        self._end_client()
        self._remove_strangers()
        self.workload.check(timeout_s=self.recovery_s / 2)

    def _remove_strangers(self) -> None:
        """Remove containers and images of `_start_client`, which the ledger does not have."""
        done = self.machine.docker("ps", "-a", "--format", "{{.Names}}", check=False, timeout_s=self.recovery_s)
        if done.returncode != 0:
            raise Violation(f"docker ps ended with {done.returncode}: {done.stderr}")
        listed = done.stdout.split()
        ours = (*WRITERS, "guest-")
        if strangers := [name for name in listed if not name.startswith(ours)]:
            self.machine.docker("rm", "-f", *strangers, check=False)
        self.machine.docker("rmi", "-f", "upload:latest", check=False)

    def close(self) -> None:
        """See Target."""
        self.release()
        self._end_client()
        if self._window is not None:
            self._window.kill()
            self._window.wait(10)
        self.workload.close()
        self.end_processes()


def find_image() -> Path:
    """The guest image under test: $WHERRY_TEST_IMAGE, or else the newest in the cache."""
    if named := os.environ.get("WHERRY_TEST_IMAGE"):
        return Path(named)
    found = sorted(host.current().image_cache().glob("*/manifest.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SystemExit("there is no guest image; run: python3 packaging/dev.py image")
    return found[-1].parent
