"""The machine's files: image, disks, room for them, and what a crash may have left behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from backend.agent.boot.images import directory_of
from backend.agent.boot.prepare import resources
from backend.agent.core.owner import hold
from backend.doctor.check import Check, CheckOutcome, Fix, failure, note, ok, warning
from backend.doctor.leftovers import leftovers
from backend.doctor.subject import Subject
from backend.errors import ProblemCode, fail
from backend.host.process import total_memory_mib
from backend.json_reader import JsonSource, NotUnderstood, decode
from backend.messages import message
from backend.settings.disk import data_disk_path
from backend.vm import image, suspended
from backend.vm.disk import disks

_GROUP: Final = "Machine"
_CHECK_TIMEOUT_S: Final = 300
_LOW_ROOM_BYTES: Final = 5 * 1024**3
_MOST_MEMORY: Final = 0.75
_LEAKS: Final = 3
"""Exit code of `qemu-img check`: only leaks, which cost room and nothing else."""
_NOT_SUPPORTED: Final = 63


def _image(subject: Subject) -> CheckOutcome:
    where = directory_of(subject.config, subject.host, subject.directory)
    loaded = image.load(where, arch=subject.host.arch, stamp=subject.directory.image_stamp)
    text = f"{where} holds version {loaded.version} with Docker {loaded.engine_version}"
    offered = subject.status.image_offer if subject.status is not None else None
    if offered is not None:
        return note(f"{text}; version {offered} is there too", "Take it: wherry update")
    return ok(text)


def _places(subject: Subject) -> list[Path]:
    """Where the machine's files are, and its disk if that was moved; what is not there yet will be made there."""
    directory = subject.directory
    home = next(place for place in (directory.machine, directory.home, *directory.home.parents) if place.exists())
    elsewhere = data_disk_path(directory).parent
    return [home, elsewhere] if elsewhere != directory.machine and elsewhere.exists() else [home]


def _room(subject: Subject) -> CheckOutcome:
    places = _places(subject)
    for place in places:
        disks.check_room(place)
    free, place = min((shutil.disk_usage(place).free, place) for place in places)
    if free < _LOW_ROOM_BYTES:
        return warning(
            f"only {free // 1024**2} MiB free for the machine's disk, in {place}",
            "Free some space on this computer. What the machine no longer needs: docker system prune, wherry reclaim",
        )
    return ok(f"{free // 1024**3} GiB free for the machine's disk")


def _memory(subject: Subject) -> CheckOutcome:
    given, total = resources(subject.config, disk_gib=0).memory_mib, total_memory_mib()
    if given > total * _MOST_MEMORY:
        return warning(
            f"the machine is given {given} MiB of this computer's {total} MiB",
            "Give it less: wherry config set machine.memory_mib 0",
        )
    return ok(f"{given} MiB of this computer's {total} MiB")


def _disk(subject: Subject) -> CheckOutcome:
    disk = data_disk_path(subject.directory)
    if not disk.exists() and subject.config.machine.disk_directory:
        return failure(
            f"it was moved to {disk.parent}, and is not there",
            "Connect the drive that has it. To give it up and begin anew: wherry reset --no-checkpoint",
        )
    if not disk.exists():
        return ok("will be made by the first start")
    size = disks.ensure_data_disk(disk, size_gib=0, image_tool=subject.image_tool)
    holders = subject.disk_holders
    if holders and not subject.directory.run_record.exists():
        return failure(f"{disk} is held by {', '.join(holders)}", "End that program, then start the machine.")
    return ok(f"{disk}, up to {size} GiB" + (f", used by {', '.join(holders)}" if holders else ""))


def _qemu_img_check(subject: Subject, *options: str) -> tuple[int, str]:
    """Exit code and report, which is JSON. qemu-img's own lock keeps it from a disk that is in use."""
    argv = [str(subject.image_tool), "check", "--output=json", *options, str(data_disk_path(subject.directory))]
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=_CHECK_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise fail(
            ProblemCode.STEP_TIMED_OUT,
            message("{program} didn't finish within {seconds} s.", program=argv[0], seconds=_CHECK_TIMEOUT_S),
            command=" ".join(argv),
        ) from error
    if disks.is_lock_message(done.stderr):
        raise fail(
            ProblemCode.DISK_LOCKED,
            message("Another process uses the data disk."),
            command=" ".join(argv),
            hint=message("Stop the machine, then run the check again."),
        )
    return done.returncode, done.stdout


def _count(report: str, name: str) -> int | str:
    """A number of the report; "an unknown number of" where qemu-img does not say it: the exit code tells enough."""
    source = JsonSource(
        summary=message("The report of qemu-img wasn't understood."),
        code=ProblemCode.DISK_DAMAGED,
        command="qemu-img check",
    )
    try:
        return decode(report, source).object().required_integer(name)
    except NotUnderstood:
        return "an unknown number of"


def _health(subject: Subject) -> CheckOutcome:
    code, report = _qemu_img_check(subject)
    if code == 0:
        return ok("no errors, no leaks")
    if code == _LEAKS:
        text = f"{_count(report, 'leaks')} clusters are held for nothing"
        if subject.directory.suspended_record.exists():
            # A disk that was written to since does not fit the saved state, which would be lost.
            return note(f"{text}, which costs room only", "Start the machine and stop it, then run this again.")
        return warning(text, "It costs room only.", fixable=True)
    if code == _NOT_SUPPORTED:
        return note("this kind of disk cannot be checked")
    return failure(
        f"{_count(report, 'corruptions')} errors in the disk's own tables",
        "Do not start the machine before you have copied the disk. Go back to a checkpoint (wherry checkpoint list), "
        f"or try on the copy: qemu-img check -r all {data_disk_path(subject.directory).name}",
    )


def _give_back_leaks(subject: Subject) -> None:
    with hold(subject.directory):
        if not subject.directory.suspended_record.exists():
            _qemu_img_check(subject, "-r", "leaks")


def _suspended(subject: Subject) -> CheckOutcome:
    found = suspended.load(subject.directory)
    boots = "The next start discards it and boots; the data disk is left as it is."
    if found is None:
        return warning("it is not whole", boots)
    why = suspended.incompatibility(
        found, subject.qemu, data_disk_path(subject.directory), cpu=subject.host.cpu_identity()
    )
    if why is not None:
        return warning(f"it cannot be gone on from: {why}", boots)
    return ok("it fits; the next start goes on from there")


def _leftovers(subject: Subject) -> CheckOutcome:
    found = leftovers(subject.host, subject.directory)
    if not found:
        return ok("none")
    names = ", ".join(path.name for path in found[:6]) + (" …" if len(found) > 6 else "")
    return note(f"left by a crash, harmless: {names}", fixable=True)


def _remove_leftovers(subject: Subject) -> None:
    # Under the agent's lock nobody can begin to use them between the proof and the removal.
    with hold(subject.directory):
        for path in leftovers(subject.host, subject.directory):
            path.unlink(missing_ok=True)


def _autostart(subject: Subject) -> CheckOutcome:
    entry = subject.host.autostart()
    if not entry.is_on():
        return ok("off")
    program = entry.program()
    if program is None:
        return warning(f"{entry.place} names no program", "Make it anew: wherry autostart on", fixable=True)
    if shutil.which(program) is None:
        return warning(f"{entry.place} names {program}, which is not there", fixable=True)
    return ok(f"on: {program}")


def _mend_autostart(subject: Subject) -> None:
    from backend.control.launch import desktop_program

    subject.host.autostart().turn_on(desktop_program(subject.directory))


def _is_idle(subject: Subject) -> bool:
    """Whether nothing of the machine runs: only then its files can be judged."""
    return not subject.agent_alive and not subject.qemu_runs


CHECKS: Final = (
    Check(
        id="image",
        title="Guest image",
        group=_GROUP,
        explanation="The machine boots it; its files are compared with their digests before they are run.",
        look=_image,
    ),
    Check(
        id="room",
        title="Disk space",
        group=_GROUP,
        explanation="When this computer's disk is full, every write of a container fails.",
        look=_room,
    ),
    Check(
        id="memory",
        title="Memory",
        group=_GROUP,
        explanation="A machine that is given most of the memory makes everything else slow, or is ended by the system.",
        look=_memory,
    ),
    Check(
        id="disk",
        title="Data disk",
        group=_GROUP,
        explanation="All containers, images and volumes are on it. Only one process may have it open.",
        look=_disk,
    ),
    Check(
        id="disk-health",
        title="Data disk's tables",
        group=_GROUP,
        explanation="Errors there may lose data; leaked clusters only take room.",
        look=_health,
        applies=lambda subject: data_disk_path(subject.directory).is_file() and _is_idle(subject),
        fix=Fix(sentence="Give the leaked clusters back (qemu-img check -r leaks).", apply=_give_back_leaks),
    ),
    Check(
        id="suspended",
        title="Saved state",
        group=_GROUP,
        explanation="A suspended machine goes on where it was, unless QEMU, the processor or the disk has changed.",
        look=_suspended,
        applies=lambda subject: subject.directory.suspended_record.exists() and _is_idle(subject),
    ),
    Check(
        id="leftovers",
        title="Files left behind",
        group=_GROUP,
        explanation="A crash leaves sockets and records behind. Wherry passes over them; without them all is clearer.",
        look=_leftovers,
        applies=lambda subject: subject.directory.home.is_dir() and _is_idle(subject),
        fix=Fix(sentence="Remove those that are proved to be of no use.", apply=_remove_leftovers),
    ),
    Check(
        id="autostart",
        title="Start at login",
        group=_GROUP,
        explanation="After Wherry was moved or updated, the entry may name a program that is gone.",
        look=_autostart,
        fix=Fix(sentence="Write the entry anew, for this Wherry.", apply=_mend_autostart),
    ),
)
