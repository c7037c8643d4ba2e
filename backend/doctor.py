"""Checks of everything that a start depends on, as data: each finds one thing out and says what to do about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend import config as settings
from backend.agent.launch import agent_answers, machine_directory
from backend.agent.prepare import image_directory
from backend.errors import WherryError
from backend.host import current as current_host
from backend.host.base import Host
from backend.host.process import holders_of
from backend.paths import MachineDir
from backend.vm import binary, disks, image, ladder


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    id: str
    title: str
    passed: bool
    finding: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class _Subject:
    host: Host
    directory: MachineDir
    agent_alive: bool


_Finding = tuple[bool, str, str | None]


def examine(host: Host, directory: MachineDir, *, agent_alive: bool) -> list[CheckResult]:
    """Run all checks, in order. A check that fails stops none of the others; nothing is changed."""
    subject = _Subject(host, directory, agent_alive)
    results: list[CheckResult] = []
    for identifier, title, check in _CHECKS:
        try:
            passed, finding, hint = check(subject)
        except WherryError as error:
            passed, finding, hint = False, error.problem.summary, error.problem.hint
        results.append(CheckResult(id=identifier, title=title, passed=passed, finding=finding, hint=hint))
    return results


def _home(subject: _Subject) -> _Finding:
    home = subject.directory.home
    if not home.exists():
        return True, f"{home} will be made by the first start", None
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return False, f"{home} cannot be written", f"Make it yours: sudo chown -R $USER {home}"
    return True, str(home), None


def _settings(subject: _Subject) -> _Finding:
    settings.load(subject.directory.config)
    settings.daemon_options(subject.directory.daemon_json)
    return True, "config.toml and daemon.json can be read", None


def _qemu(subject: _Subject) -> _Finding:
    config = settings.load(subject.directory.config)
    facts = binary.find(subject.host, subject.host.arch, configured=config.qemu.binary)
    tool = binary.find_image_tool(facts)
    return True, f"{facts.binary} is version {facts.version_text}, with {tool.name}", None


def _accelerator(subject: _Subject) -> _Finding:
    config = settings.load(subject.directory.config)
    facts = binary.find(subject.host, subject.host.arch, configured=config.qemu.binary)
    plan = ladder.plan(
        arch=subject.host.arch,
        qemu=facts,
        facts=subject.host.accelerators(),
        verdicts=ladder.load_verdicts(subject.directory.verdicts),
        wanted=config.machine.accelerator,
    )
    if not plan.candidates:
        return False, "none can be used", "Let Wherry choose: wherry config set machine.accelerator auto"
    first = plan.candidates[0]
    if first.accelerator == "tcg":
        return False, "only software emulation, many times slower: " + "; ".join(plan.rejected), None
    return True, f"{first.accelerator} will be tried first", None


def _image(subject: _Subject) -> _Finding:
    config = settings.load(subject.directory.config)
    where = image_directory(config, subject.host)
    subject.directory.create()
    loaded = image.load(where, arch=subject.host.arch, stamp=subject.directory.image_stamp)
    return True, f"{where} holds version {loaded.version} with Docker {loaded.engine_version}", None


def _room(subject: _Subject) -> _Finding:
    place = subject.directory.machine if subject.directory.machine.exists() else subject.directory.home
    while not place.exists():
        place = place.parent
    disks.check_room(place)
    return True, f"{shutil.disk_usage(place).free // 1024**3} GiB free for the machine's disk", None


def _disk(subject: _Subject) -> _Finding:
    disk = subject.directory.data_disk
    if not disk.exists():
        return True, "will be made by the first start", None
    config = settings.load(subject.directory.config)
    facts = binary.find(subject.host, subject.host.arch, configured=config.qemu.binary)
    size = disks.ensure_data_disk(disk, size_gib=0, image_tool=binary.find_image_tool(facts))
    holders = holders_of(str(disk))
    strangers = [holder for holder in holders if not subject.directory.run_record.exists()]
    if strangers:
        return False, f"{disk} is held by {', '.join(strangers)}", "End that program, then start the machine."
    return True, f"{disk}, up to {size} GiB" + (f", used by {', '.join(holders)}" if holders else ""), None


def _agent(subject: _Subject) -> _Finding:
    if subject.agent_alive:
        return True, f"answers on {subject.directory.agent_socket}", None
    if subject.directory.run_record.exists():
        return False, "does not run, though a machine does", "Any command adopts the machine: wherry status"
    return True, "not running, as the machine is stopped", None


def _context(subject: _Subject) -> _Finding:
    from backend.engine import context

    ours = subject.host.docker_url(subject.directory.docker_socket)
    named = context.current_url()
    if named is None:
        return True, "there is none named wherry; the next start makes it, if the settings want it", None
    if named != ours:
        return False, f"it leads to {named}, this machine is at {ours}", "Point it here: wherry context add"
    return True, f"it leads to {named}", None


_CHECKS: Final[tuple[tuple[str, str, Callable[[_Subject], _Finding]], ...]] = (
    ("home", "Home directory", _home),
    ("settings", "Settings", _settings),
    ("qemu", "QEMU", _qemu),
    ("accelerator", "Accelerator", _accelerator),
    ("image", "Guest image", _image),
    ("room", "Disk space", _room),
    ("disk", "Data disk", _disk),
    ("agent", "Agent", _agent),
    ("context", "docker context", _context),
)


def examine_home(home: Path | None) -> list[CheckResult]:
    """All checks of one machine, whether or not its agent runs. Blocks for seconds; nothing is changed.

    Args:
        home: as `wherry --home`; None: $WHERRY_HOME, else the platform's place.
    """
    machine_host = current_host()
    directory = machine_directory(home)
    return examine(machine_host, directory, agent_alive=agent_answers(machine_host, directory))


def check_results_as_text(results: Sequence[CheckResult]) -> str:
    """All of it in plain lines, to be read or sent to somebody."""
    lines = []
    for result in results:
        lines.append(f"{'✓' if result.passed else '✗'} {result.title}: {result.finding}")
        if not result.passed and result.hint:
            lines.append(f"    what to do: {result.hint}")
    return "\n".join(lines)
