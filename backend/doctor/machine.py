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
from backend.doctor.home import NO_HOME
from backend.doctor.leftovers import leftovers
from backend.doctor.subject import Subject
from backend.errors import ProblemCode, fail
from backend.host.process import total_memory_mib
from backend.json_reader import JsonSource, NotUnderstood, decode
from backend.messages import Message, count_message, message, sentences
from backend.settings.disk import data_disk_path
from backend.vm import image, suspended
from backend.vm.disk import disks

_GROUP: Final = message("Machine")
_CHECK_TIMEOUT_S: Final = 300
_LOW_ROOM_BYTES: Final = 5 * 1024**3
_MOST_MEMORY: Final = 0.75
_LEAKS: Final = 3
"""Exit code of `qemu-img check`: only leaks, which cost room and nothing else."""
_NOT_SUPPORTED: Final = 63


def _image(subject: Subject) -> CheckOutcome:
    where = directory_of(subject.config, subject.host, subject.directory)
    loaded = image.load(where, arch=subject.host.arch, stamp=subject.directory.image_stamp)
    text = message(
        "{where} contains version {version} with Docker {engine_version}.",
        where=where,
        version=loaded.version,
        engine_version=loaded.engine_version,
    )
    offered = subject.status.image_offer if subject.status is not None else None
    if offered is not None:
        return note(
            message("{text} Version {offered} is available.", text=text, offered=offered),
            message("Update: wherry update"),
        )
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
            message("Only {free} MiB free for the machine's disk in {place}.", free=free // 1024**2, place=place),
            message(
                "Free up disk space on this computer. To clean up the machine: docker system prune, wherry reclaim"
            ),
        )
    return ok(message("{free} GiB free for the machine's disk.", free=free // 1024**3))


def _memory(subject: Subject) -> CheckOutcome:
    given, total = resources(subject.config, disk_gib=0).memory_mib, total_memory_mib()
    if given > total * _MOST_MEMORY:
        return warning(
            message("The machine uses {given} MiB of this computer's {total} MiB.", given=given, total=total),
            message("Use the default amount: wherry config set machine.memory_mib 0"),
        )
    return ok(message("{given} MiB of this computer's {total} MiB.", given=given, total=total))


def _disk(subject: Subject) -> CheckOutcome:
    disk = data_disk_path(subject.directory)
    if not disk.exists() and subject.config.machine.disk_directory:
        return failure(
            message("The disk was moved to {parent} and isn't there.", parent=disk.parent),
            message(
                "Connect the drive that contains it. To start over with an empty disk: wherry reset --no-checkpoint"
            ),
        )
    if not disk.exists():
        return ok(message("Created at the first start."))
    size = disks.ensure_data_disk(disk, size_gib=0, image_tool=subject.image_tool)
    holders = subject.disk_holders
    if holders and not subject.directory.run_record.exists():
        return failure(
            message("{disk} is in use by {holders}.", disk=disk, holders=", ".join(holders)),
            message("Quit that program, then start the machine."),
        )
    text = message("{disk}, up to {size} GiB.", disk=disk, size=size)
    return ok(sentences(text, message("In use by {programs}.", programs=tuple(holders)) if holders else None))


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


def _count(report: str, name: str) -> int | None:
    """A number of the report; None where qemu-img does not say it: the exit code tells enough."""
    source = JsonSource(
        summary=message("The report of qemu-img wasn't understood."),
        code=ProblemCode.DISK_DAMAGED,
        command="qemu-img check",
    )
    try:
        return decode(report, source).object().required_integer(name)
    except NotUnderstood:
        return None


def _health(subject: Subject) -> CheckOutcome:
    code, report = _qemu_img_check(subject)
    if code == 0:
        return ok(message("No errors and no leaks."))
    if code == _LEAKS:
        text = _leaks_in_words(_count(report, "leaks"))
        if subject.directory.suspended_record.exists():
            # A disk that was written to since does not fit the saved state, which would be lost.
            return note(text, message("Start and stop the machine, then run this check again."))
        return warning(text, message("Leaked clusters only waste disk space."), fixable=True)
    if code == _NOT_SUPPORTED:
        return note(message("This disk format can't be checked."))
    return failure(
        _errors_in_words(_count(report, "corruptions")),
        message(
            "Copy the disk before you start the machine. Restore a checkpoint (wherry checkpoint list), or "
            "try a repair "
            "on the copy: qemu-img check -r all {name}",
            name=data_disk_path(subject.directory).name,
        ),
    )


def _leaks_in_words(count: int | None) -> Message:
    if count is None:
        return message("The disk has leaked clusters.")
    return count_message("The disk has {count} leaked cluster.", "The disk has {count} leaked clusters.", count)


def _errors_in_words(count: int | None) -> Message:
    if count is None:
        return message("The disk's metadata has errors.")
    return count_message("The disk's metadata has {count} error.", "The disk's metadata has {count} errors.", count)


def _give_back_leaks(subject: Subject) -> None:
    with hold(subject.directory):
        if not subject.directory.suspended_record.exists():
            _qemu_img_check(subject, "-r", "leaks")


def _suspended(subject: Subject) -> CheckOutcome:
    found = suspended.load(subject.directory)
    boots = message("The next start discards it and boots normally. The data disk is not affected.")
    if found is None:
        return warning(message("The saved state is incomplete."), boots)
    why = suspended.incompatibility(
        found, subject.qemu, data_disk_path(subject.directory), cpu=subject.host.cpu_identity()
    )
    if why is not None:
        return warning(message("It can't be resumed: {why}", why=why), boots)
    return ok(message("Valid. The next start resumes from it."))


def _leftovers(subject: Subject) -> CheckOutcome:
    found = leftovers(subject.host, subject.directory)
    if not found:
        return ok(message("None."))
    names = ", ".join(path.name for path in found[:6]) + (" …" if len(found) > 6 else "")
    return note(message("Left over from a crash, harmless: {names}.", names=names), fixable=True)


def _remove_leftovers(subject: Subject) -> None:
    # Under the agent's lock nobody can begin to use them between the proof and the removal.
    with hold(subject.directory):
        for path in leftovers(subject.host, subject.directory):
            path.unlink(missing_ok=True)


def _autostart(subject: Subject) -> CheckOutcome:
    entry = subject.host.autostart()
    if not entry.is_on():
        return ok(message("Off."))
    program = entry.program()
    if program is None:
        return warning(
            message("{place} has no program.", place=entry.place),
            message("Turn it on again: wherry autostart on"),
            fixable=True,
        )
    if shutil.which(program) is None:
        return warning(
            message("{place} starts {program}, which doesn't exist.", place=entry.place, program=program), fixable=True
        )
    return ok(message("On: {program}", program=program))


def _mend_autostart(subject: Subject) -> None:
    from backend.control.launch import desktop_program

    subject.host.autostart().turn_on(desktop_program(subject.directory))


def _in_use(subject: Subject) -> Message | None:
    """What runs of the machine: its files can be judged only while nothing does."""
    if subject.qemu_runs:
        return message("the machine is running")
    return message("the agent is running; wherry stop --quit ends it") if subject.agent_alive else None


def _no_disk(subject: Subject) -> Message | None:
    if not data_disk_path(subject.directory).is_file():
        return message("there is no data disk yet")
    return _in_use(subject)


def _not_suspended(subject: Subject) -> Message | None:
    if not subject.directory.suspended_record.exists():
        return message("the machine isn't suspended")
    return _in_use(subject)


def _no_leftovers(subject: Subject) -> Message | None:
    return _in_use(subject) if subject.directory.home.is_dir() else NO_HOME


CHECKS: Final = (
    Check(
        id="image",
        title=message("Guest image"),
        group=_GROUP,
        explanation=message("The machine boots from it. Its files are verified before use."),
        look=_image,
    ),
    Check(
        id="room",
        title=message("Disk space"),
        group=_GROUP,
        explanation=message("When this computer's disk is full, containers can't write data."),
        look=_room,
    ),
    Check(
        id="memory",
        title=message("Memory"),
        group=_GROUP,
        explanation=message(
            "If the machine uses most of the memory, this computer becomes slow or the system ends the machine."
        ),
        look=_memory,
    ),
    Check(
        id="disk",
        title=message("Data disk"),
        group=_GROUP,
        explanation=message("It contains all containers, images and volumes. Only one process can use it at a time."),
        look=_disk,
    ),
    Check(
        id="disk-health",
        title=message("Data disk integrity"),
        group=_GROUP,
        explanation=message("Errors can cause data loss. Leaked clusters only waste disk space."),
        look=_health,
        lacks=_no_disk,
        fix=Fix(sentence=message("Reclaim leaked clusters (qemu-img check -r leaks)."), apply=_give_back_leaks),
    ),
    Check(
        id="suspended",
        title=message("Saved state"),
        group=_GROUP,
        explanation=message("A suspended machine can't be resumed after a change of QEMU, the processor or the disk."),
        look=_suspended,
        lacks=_not_suspended,
    ),
    Check(
        id="leftovers",
        title=message("Leftover files"),
        group=_GROUP,
        explanation=message("A crash can leave sockets and records behind. Wherry ignores them."),
        look=_leftovers,
        lacks=_no_leftovers,
        fix=Fix(sentence=message("Remove files that are no longer in use."), apply=_remove_leftovers),
    ),
    Check(
        id="autostart",
        title=message("Start at login"),
        group=_GROUP,
        explanation=message("After Wherry is moved or updated, the login entry may point to a missing program."),
        look=_autostart,
        fix=Fix(sentence=message("Recreate the login entry for this installation."), apply=_mend_autostart),
    ),
)
