"""Keeping the machine: suspending, operations, checkpoints, updates, its disk, giving back."""

from __future__ import annotations

from typing import Final

TEXTS: Final[dict[str, str]] = {
    "alert.details": "Details",
    "alert.more.one": "{count} more",
    "alert.more.other": "{count} more",
    "operation.cancel.tip": "Take it back: everything is as it was before",
    "operation.update.apply": "Updating the guest image",
    "operation.checkpoints.create": "Making a checkpoint",
    "operation.checkpoints.restore": "Going back to a checkpoint",
    "operation.checkpoints.delete": "Deleting a checkpoint",
    "operation.disk.grow": "Growing the disk",
    "operation.disk.move": "Moving the disk",
    "operation.reset": "Starting over with an empty disk",
    "operation.reclaim": "Giving memory and disk back",
    "operation.engine.restart": "Restarting the Docker engine",
    "upkeep.done.create": "The checkpoint was made.",
    "upkeep.done.restore": (
        "The machine is as it was at the checkpoint. What was there before is kept as a checkpoint of its own."
    ),
    "upkeep.done.update": "The guest image was updated. All containers, images and volumes are there.",
    "upkeep.done.grow": "The disk was made larger.",
    "upkeep.done.grow-later": "The disk becomes larger at the next start.",
    "upkeep.done.move": "The disk was moved.",
    "upkeep.done.reset": "The machine has an empty disk now.",
    "upkeep.done.engine": "The Docker engine was restarted.",
    "upkeep.cancelled": "Cancelled. Everything is as it was before.",
    "upkeep.restarts.one": (
        "The machine restarts: {count} running container is stopped in order, and starts again by its restart policy."
    ),
    "upkeep.restarts.other": (
        "The machine restarts: {count} running containers are stopped in order, and start again by their "
        "restart policies."
    ),
    "upkeep.restarts.none": "The machine restarts. No container is running.",
    "upkeep.reclaim": "Give back now",
    "upkeep.reclaim.tip": (
        "Returns what the machine does not need to this computer: free memory, and room of what was deleted"
    ),
    "upkeep.reclaiming": "Giving back…",
    "upkeep.reclaimed": "Given back. {figures}",
    "upkeep.reclaimed.memory": "Memory: {before} → {after}",
    "upkeep.reclaimed.disk": "Disk: {before} → {after}",
    "upkeep.reclaimed.memory.nothing": "Memory: nothing to give back",
    "upkeep.reclaimed.disk.nothing": "Disk: nothing to give back",
    "upkeep.brought": "Last time: {before} → {after}",
    "upkeep.reclaimed.unknown": "Given back. This computer does not tell how much.",
    "usage.memory.returned": "Given back to this computer since the start: {size}",
    "usage.disk.returned": "Given back to this computer since the start: {size}",
    "checkpoints.title": "Checkpoints",
    "checkpoints.text": (
        "A checkpoint keeps the machine's disk as it is at a moment: containers, images and volumes. It "
        "takes only the room of what changes afterwards."
    ),
    "checkpoints.column.name": "Name",
    "checkpoints.column.reason": "Why",
    "checkpoints.column.created": "Made",
    "checkpoints.column.size": "Size",
    "checkpoints.reason.manual": "By hand",
    "checkpoints.reason.before-update": "Before an update",
    "checkpoints.reason.before-resize": "Before a change of size",
    "checkpoints.reason.before-reset": "Before a reset",
    "checkpoints.reason.before-restore": "Before going back",
    "checkpoints.reason.foreign": "Not made by Wherry",
    "checkpoints.automatic": "Automatic: {reason}",
    "checkpoints.count.one": "{count} checkpoint",
    "checkpoints.count.other": "{count} checkpoints",
    "checkpoints.create": "Create…",
    "checkpoints.create.tip": "Keep the disk as it is now",
    "checkpoints.create.title": "Create a checkpoint",
    "checkpoints.create.question": "Keep the machine's disk as it is now?",
    "checkpoints.create.name": "Name, if it is to have one",
    "checkpoints.create.help": "Containers go on running. What they have in memory is not part of it.",
    "checkpoints.create.confirm": "Create",
    "checkpoints.restore": "Restore…",
    "checkpoints.restore.tip": "Go back to the chosen checkpoint",
    "checkpoints.restore.title": "Restore a checkpoint",
    "checkpoints.restore.question": "Go back to “{name}”?",
    "checkpoints.restore.lost": (
        "Gone from the machine: everything that was made or changed since {moment}, in containers, images and volumes."
    ),
    "checkpoints.restore.kept": "Kept: the present, as a checkpoint of its own to come back to.",
    "checkpoints.restore.confirm": "Restore",
    "checkpoints.delete": "Delete…",
    "checkpoints.delete.tip": "Delete the chosen checkpoints (Del)",
    "checkpoints.delete.title": "Delete checkpoints",
    "checkpoints.delete.question.one": "Delete the checkpoint “{name}”?",
    "checkpoints.delete.question.other": "Delete {count} checkpoints?",
    "checkpoints.delete.lost": "Lost for good: the way back to that state.",
    "checkpoints.delete.kept": "Kept: the machine's disk as it is now, and all other checkpoints.",
    "checkpoints.delete.size": "Given back to this computer: {size}, and more where several held the same.",
    "checkpoints.size.tip": "Deleting it alone gives back {size}",
    "checkpoints.disk.tip": "The disk had up to {size}",
    "checkpoints.suspended": "Not while the machine is suspended: resume it, or stop it.",
    "checkpoints.restore.foreign": "Wherry did not make this one, and does not know what is in it",
    "checkpoints.delete.confirm": "Delete",
    "checkpoints.policy.one": (
        "Of the automatic ones the newest {count} is kept, for {days}. Those made by hand stay until you delete them."
    ),
    "checkpoints.policy.other": (
        "Of the automatic ones the newest {count} are kept, for {days}. Those made by hand stay until you delete them."
    ),
    "checkpoints.policy.no-days.one": (
        "Of the automatic ones the newest {count} is kept. Those made by hand stay until you delete them."
    ),
    "checkpoints.policy.no-days.other": (
        "Of the automatic ones the newest {count} are kept. Those made by hand stay until you delete them."
    ),
    "checkpoints.policy.change": "Change…",
    "checkpoints.days.one": "{count} day",
    "checkpoints.days.other": "{count} days",
    "checkpoints.empty.title": "No checkpoints yet",
    "checkpoints.empty.text": (
        "One is made by itself before an update, a change of the disk's size or a reset. Make one by hand "
        "before you try something."
    ),
    "checkpoints.waiting.title": "Checkpoints",
    "checkpoints.waiting.text": "They are shown as soon as the machine's agent answers.",
    "update.there": "A newer guest image is there",
    "update.from-to": "From {old} to {new}.",
    "update.from-to.engine": "From {old} to {new}, with Docker {new_engine} in place of {old_engine}.",
    "update.safe": (
        "A checkpoint is taken first, and it rolls back by itself if the engine or a container is not there afterwards."
    ),
    "update.apply": "Update now",
    "update.title": "Update the guest image",
    "update.question": "Update now?",
    "update.check": "Check for updates",
    "update.check.tip": "Look for a newer guest image on this computer",
    "update.checking": "Checking…",
    "update.none": "This is the newest.",
    "update.found": "{version} is there.",
    "disk.title": "Data disk",
    "disk.text": "Containers, images and volumes are in this file.",
    "disk.size": "It takes {size} now, {most}.",
    "disk.size.most": "up to {most}",
    "disk.move": "Move to another folder…",
    "disk.move.tip": "For example to a disk with more room",
    "disk.move.choose": "Folder for the data disk",
    "disk.move.title": "Move the data disk",
    "disk.move.question": "Move the disk to {folder}?",
    "disk.move.size": "{size} are copied.",
    "disk.move.happens": (
        "The copy is compared with the original before that is deleted. It can be cancelled until then."
    ),
    "disk.move.kept": "Kept: everything, checkpoints included.",
    "disk.move.confirm": "Move",
    "disk.reset": "Reset…",
    "disk.reset.tip": "Begin anew with an empty disk",
    "disk.reset.title": "Reset the machine",
    "disk.reset.question": "Begin anew with an empty disk?",
    "disk.reset.lost": "Gone from the machine: all containers, images, volumes and networks.",
    "disk.reset.kept": "Kept: the settings, and the checkpoints that there are.",
    "disk.reset.keep": "Keep what is there now as a checkpoint",
    "disk.reset.confirm": "Reset",
    "checks.fix": "Fix",
    "checks.fix.name": "Fix: {title}",
    "checks.fix-all": "Fix all ({count})",
    "checks.fixing": "Fixing…",
    "checks.fix.title": "Fix",
    "checks.fix.question.one": "Fix “{title}”?",
    "checks.fix.question.other": "Fix {count} things?",
    "checks.state.good": "Passed",
    "checks.state.warning": "Worth a look",
    "checks.state.note": "Worth knowing",
    "checks.fixed": "Fixed",
    "checks.state.broken": "Needs attention",
    "bundle.title": "Support bundle",
    "bundle.text": (
        "One file with logs, settings and facts about this computer, to be sent with a report of a defect. "
        "Passwords, tokens and values of environment variables are taken out."
    ),
    "bundle.make": "Save a support bundle…",
    "bundle.running": "Collecting logs and facts",
    "bundle.choose": "Save the support bundle",
    "bundle.filter": "Archive (*.zip)",
    "bundle.open": "Open the folder",
    "bundle.contents": "{size}. In it: {names}",
    "bundle.gathering": "Gathering: {what}",
    "bundle.missing": "Could not be had: {names}",
}
