"""Sample values: a machine in each phase, problems, and containers recorded from a real engine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from app.features.doctor.checks_store import CheckEntry, CheckState
from backend.doctor import CheckResult
from backend.engine.client.answers import container_from_answer
from backend.engine.client.listings import (
    ImageEntry,
    NetworkEntry,
    VolumeEntry,
    images_from,
    networks_from,
    sizes_from,
    uses_from,
    volumes_from,
)
from backend.engine.types import Container
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    MachineResources,
    MachineStatus,
    Phase,
    StepState,
    StepStatus,
)
from tests.fakes.answers import answer

RECORDED = Path(__file__).parents[1] / "recorded"
URL = "unix:///home/ana/.local/share/wherry/run/docker.sock"

_LADDER = (
    ("prepare", "Checking the machine's files", 0.4),
    ("launch", "Starting the virtual machine", 0.2),
    ("kernel", "Booting the Linux kernel", 1.9),
    ("guest", "Starting guest services", 1.1),
    ("ssh", "Connecting to the machine", 0.3),
    ("engine", "Waiting for the Docker engine", 2.8),
)

BOOT_PROBLEM = Problem(
    code=ProblemCode.STEP_TIMED_OUT,
    summary=verbatim("Booting the Linux kernel took longer than 90 s."),
    hint=verbatim(
        "See the guest's console: wherry logs guest. Restarting the computer often helps after a kernel update."
    ),
    command="qemu-system-x86_64 -M microvm,acpi=on -accel kvm -cpu host -m 2048 -smp 4 -kernel vmlinux -nodefaults",
    tail=(
        "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.07H:EBX.hle [bit 4]",
        "KVM internal error. Suberror: 1",
        "emulation failure",
        "EAX=00000000 EBX=00000000 ECX=00000000 EDX=000806ec",
    ),
    retryable=True,
)
ENGINE_PROBLEM = Problem(
    code=ProblemCode.ENGINE_ERROR,
    summary=verbatim(
        "driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: port is "
        "already allocated"
    ),
    hint=verbatim("Another container or program uses that port: stop it, or publish another port."),
    command="docker start de2974551930",
)


def steps(active: int | None = None, *, failed: bool = False) -> tuple[StepStatus, ...]:
    """The startup steps, with the step number `active` in progress or failed; None: all done."""
    made = []
    for number, (name, title, elapsed_s) in enumerate(_LADDER):
        if active is None or number < active:
            state = StepState.DONE
        elif number > active:
            state = StepState.PENDING
        else:
            state = StepState.FAILED if failed else StepState.ACTIVE
        began_at = time.monotonic() - elapsed_s if state is StepState.ACTIVE else None
        shown = {StepState.DONE: elapsed_s, StepState.FAILED: 90.0}.get(state)
        made.append(StepStatus(name=name, title=verbatim(title), state=state, elapsed_s=shown, began_at=began_at))
    return tuple(made)


def status(phase: Phase, **changes: Any) -> MachineStatus:
    """A plausible status of a machine in this phase."""
    values: dict[str, Any] = {
        "seq": 1,
        "phase": phase,
        "desired": Desired.STOPPED if phase in (Phase.STOPPED, Phase.STOPPING) else Desired.RUNNING,
        "image_version": "2026.11.1",
    }
    if phase not in (Phase.STOPPED, Phase.PREPARING):
        values |= {
            "accelerator": AcceleratorStatus(name="kvm", title=verbatim("KVM"), hardware=True),
            "endpoint": EngineEndpoint(url=URL, ready=phase in (Phase.RUNNING, Phase.DEGRADED)),
            "resources": MachineResources(cpus=4, memory_mib=4096, disk_gib=64),
            "steps": steps(),
        }
    if phase is Phase.PREPARING:
        values["steps"] = steps(0)
    if phase is Phase.BOOTING:
        values["steps"] = steps(2)
    if phase is Phase.CONNECTING:
        values["steps"] = steps(5)
    if phase in (Phase.RUNNING, Phase.DEGRADED):
        values |= {"boot_seconds": 6.7, "engine_version": "28.5.1", "pid": 4711, "started_at": 1_795_474_000.0}
    if phase is Phase.DEGRADED:
        values["accelerator"] = AcceleratorStatus(
            name="tcg",
            title=verbatim("software emulation"),
            hardware=False,
            reasons=(
                verbatim("KVM: /dev/kvm belongs to the group kvm, and you are not in it: sudo usermod -aG kvm $USER"),
            ),
        )
        values["problems"] = (
            Problem(
                code=ProblemCode.CONTEXT_FAILED,
                summary=verbatim("The docker context could not be written."),
                hint=verbatim("Check that ~/.docker belongs to you."),
            ),
        )
    if phase is Phase.FAILED:
        values |= {"steps": steps(2, failed=True), "problems": (BOOT_PROBLEM,)}
    values |= changes
    return MachineStatus(**values)


def recorded(name: str) -> Any:
    """A recorded reply of a real dockerd."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def containers() -> tuple[Container, ...]:
    """The recorded list: every state, ports, compose, health."""
    return tuple(container_from_answer(one) for one in answer(recorded("containers")).objects())


def many(count: int = 200) -> tuple[Container, ...]:
    """The recorded list, repeated under other names."""
    entries = recorded("containers")
    made = []
    for number in range(count):
        entry = dict(entries[number % len(entries)])
        entry["Id"] = f"{number:064x}"
        entry["Names"] = [f"{entry['Names'][0]}-{number}"]
        made.append(container_from_answer(answer(entry).object()))
    return tuple(made)


HOSTILE = {
    "right-to-left": "\u202egnp.exe",
    "real right-to-left": "שלום-container",
    "control characters": "a\x00b\x07c\x1b[31md\re",
    "html": "<b>bold</b><img src=x onerror=alert(1)>",
    "mnemonic": "A&B",
    "long": "x" * 5000,
    "lines": "one\ntwo\u2028three",
    "surrogate": "lone\ud800",
}
"""Names that no engine should return, by what is wrong with them."""


def hostile() -> tuple[Container, ...]:
    """Containers of which every text is hostile."""
    made = []
    for number, words in enumerate(HOSTILE.values()):
        entry = dict(recorded("containers")[0])
        entry |= {
            "Id": f"{number + 4096:064x}",
            "Names": [f"/{words}"],
            "Image": words,
            "Status": words,
            "Command": words,
            "State": "running",
            "Labels": {"com.docker.compose.project": words, words: words},
        }
        made.append(container_from_answer(answer(entry).object()))
    return tuple(made)


def images() -> tuple[ImageEntry, ...]:
    """The recorded list of a real engine."""
    listed = recorded("listings")
    return images_from(answer(listed["images"]), uses_from(answer(listed["containers"])))


def volumes() -> tuple[VolumeEntry, ...]:
    """The recorded list of a real engine."""
    listed = recorded("listings")
    return volumes_from(answer(listed["volumes"]), uses_from(answer(listed["containers"])))


def networks() -> tuple[NetworkEntry, ...]:
    """The recorded list of a real engine."""
    listed = recorded("listings")
    return networks_from(answer(listed["networks"]), uses_from(answer(listed["containers"])))


def volume_sizes() -> dict[str, int]:
    """Recorded volume sizes in bytes, by name."""
    return sizes_from(answer(recorded("listings")["df"]))


def hostile_images() -> tuple[ImageEntry, ...]:
    """Images of which every text is hostile."""
    users = [{"Id": "0" * 64, "Names": [f"/{words}"], "ImageID": "x"} for words in HOSTILE.values()]
    listed = [{"Id": "x", "RepoTags": [f"{words}:{words}"]} for words in HOSTILE.values()]
    return images_from(answer(listed), uses_from(answer(users)))


def check_entries() -> tuple[CheckEntry, ...]:
    """Possible results of the diagnostics, as the window stores them."""
    return (
        CheckEntry(
            id="home",
            title=verbatim("Home directory"),
            state=CheckState.GOOD,
            finding=verbatim("/home/ana/.local/share/wherry"),
        ),
        CheckEntry(
            id="accelerator",
            title=verbatim("Accelerator"),
            state=CheckState.WARNING,
            finding=verbatim("only software emulation, many times slower: KVM: you may not open /dev/kvm"),
            explanation=verbatim("With hardware virtualisation the machine starts in seconds and runs at full speed."),
            hint=verbatim("Join its group: sudo usermod -aG kvm $USER, then log in again."),
        ),
        CheckEntry(
            id="other",
            title=verbatim("Other engines"),
            state=CheckState.NOTE,
            finding=verbatim("Docker Desktop is installed, and owns /var/run/docker.sock"),
        ),
        CheckEntry(
            id="keys", title=verbatim("Keys"), state=CheckState.GOOD, finding=verbatim("whole and private"), fixed=True
        ),
        CheckEntry(
            id="image",
            title=verbatim("Guest image"),
            state=CheckState.GOOD,
            finding=verbatim("version 3 with Docker 28.5.1"),
        ),
        CheckEntry(
            id="lock",
            title=verbatim("Stale lock"),
            state=CheckState.BROKEN,
            finding=verbatim("run/machine.lock was left by the process 4711, which does not run any more"),
            explanation=verbatim("A machine whose lock was left behind does not start."),
            fix=verbatim("Remove the file run/machine.lock."),
        ),
        CheckEntry(
            id="context",
            title=verbatim("docker context"),
            state=CheckState.WARNING,
            finding=verbatim("it leads to unix:///old, this machine is at unix:///new"),
            fix=verbatim("Point the context wherry to this machine."),
        ),
        CheckEntry(
            id="room",
            title=verbatim("Disk space"),
            state=CheckState.BROKEN,
            finding=verbatim("<b>2</b> GiB are free " + "very " * 60),
        ),
    )


def check_results() -> tuple[CheckResult, ...]:
    """Possible results of the diagnostics."""
    return (
        CheckResult(
            id="home", title=verbatim("Home directory"), passed=True, finding=verbatim("/home/ana/.local/share/wherry")
        ),
        CheckResult(
            id="accelerator",
            title=verbatim("Accelerator"),
            passed=False,
            finding=verbatim("only software emulation, many times slower: KVM: you may not open /dev/kvm"),
            hint=verbatim("Join its group: sudo usermod -aG kvm $USER, then log in again."),
        ),
        CheckResult(
            id="image",
            title=verbatim("Guest image"),
            passed=True,
            finding=verbatim("it holds version 3 with Docker 28.5.1"),
        ),
        CheckResult(
            id="room",
            title=verbatim("Disk space"),
            passed=False,
            finding=verbatim("<b>2</b> GiB are free " + "very " * 60),
        ),
    )
