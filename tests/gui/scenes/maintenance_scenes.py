"""Scenes of maintenance (checkpoints, updates, disk, diagnostics), and the values that they show."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from app.features.doctor.bundle_store import BundleInfo, BundleStore
from app.features.doctor.checks import confirm_fix
from app.features.doctor.checks_store import ChecksStore
from app.features.machine.page import MachineView
from app.features.maintenance.checkpoint_dialogs import CreateDialog, confirm_deletion, confirm_restore
from app.features.maintenance.update import confirm_update
from app.features.settings.data_disk import confirm_move, confirm_reset
from app.features.settings.page import SettingsPage
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.frame.quit_dialog import QuitDialog
from app.links.link_state import LinkState
from app.state.maintenance_store import MaintenanceStore
from app.state.store import AppStore
from backend.control import messages
from backend.errors import Action, Problem, ProblemCode
from backend.messages import verbatim
from backend.model import OperationStatus, Phase
from tests.gui.scenes import samples, settings_samples, stats_samples
from tests.gui.scenes.replies import reply

Scene = Callable[[AppStore, MainWindow], None]
DAY = 86_400.0

HUNG = Problem(
    code=ProblemCode.GUEST_HUNG,
    summary=verbatim("The machine has not answered for 30 s, although it is running."),
    hint=verbatim("Force a restart: the disk stays consistent, running containers are cut off."),
    action=Action.FORCE_RESTART,
)
ENGINE_DOWN = Problem(
    code=ProblemCode.ENGINE_DOWN,
    summary=verbatim("The Docker engine was restarted twice and does not answer."),
    hint=verbatim("Restart the machine."),
    action=Action.RESTART,
)
DISK_FULL = Problem(
    code=ProblemCode.DATA_DISK_FULL,
    summary=verbatim("The machine's disk is 93% full: 59 of 64 GiB are used."),
    hint=verbatim(
        "Remove images and volumes that nobody uses (docker system prune), or make the disk larger in the settings."
    ),
    action=Action.RECLAIM,
)
MEMORY_LOW = Problem(
    code=ProblemCode.MEMORY_LOW,
    summary=verbatim(
        "The kernel killed the process java of the container api: the machine's 4 GiB of memory were used up."
    ),
    hint=verbatim("Give the machine more memory in the settings."),
    action=Action.DOCTOR,
)
MOVING = OperationStatus(
    name="disk.move",
    title=verbatim("Moving the disk"),
    step=verbatim("Copying the disk to /mnt/big/wherry"),
    fraction=0.42,
    cancellable=True,
)
UPDATING = OperationStatus(
    name="update.apply", title=verbatim("Updating the guest image"), step=verbatim("Starting the new image")
)
UPDATE: dict[str, Any] = {
    "current": {"version": "2026.11.1", "engine_version": "28.5.1", "directory": "/x"},
    "offer": {"version": "2026.12.0", "engine_version": "29.0.2", "directory": "/y"},
    "automatic": False,
}


def checkpoint(number: int, **changes: Any) -> dict[str, Any]:
    """One entry of the list of checkpoints."""
    entry = {
        "id": f"c{number}",
        "name": f"before the experiment {number}",
        "reason": "manual",
        "created_at": time.time() - (number + 0.1) * DAY,
        "size_gib": 0.3 + number % 7,
        "disk_gib": 64,
        "image_version": "2026.11.1",
        "automatic": False,
        "foreign": False,
    }
    return entry | changes


def checkpoints_answer(count: int = 5) -> dict[str, Any]:
    """A list of checkpoints: manual, automatic, and created outside Wherry."""
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"name": "", "reason": "before-update", "automatic": True},
        {"name": "", "reason": "before-restore", "automatic": True},
        {"name": "a name as long as one may be, which no column has room for at all"},
        {"name": "snap-by-virt-manager", "reason": "", "foreign": True, "disk_gib": None, "image_version": ""},
        {"name": "", "reason": "before-resize", "automatic": True},
    )
    made = [checkpoint(number, **kinds[number % len(kinds)]) for number in range(count)]
    return {"checkpoints": made, "policy": {"keep_automatic": 5, "keep_days": 14}}


def show_machine(store: AppStore, phase: Phase, **changes: Any) -> None:
    """Show a machine in a phase, with an operation or problems in `changes`."""
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(phase, **changes))
    if phase in (Phase.RUNNING, Phase.DEGRADED):
        store.set_engine_link(LinkState.UP)
        store.set_containers(samples.containers())
    else:
        store.set_engine_link(LinkState.OFF)


def _page(name: str, phase: Phase = Phase.RUNNING, **changes: Any) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, phase, **changes)
        settings_samples.settings_loaded(store)
        window.show_page(name)

    return show


def machine_page(window: MainWindow) -> MachineView:
    """The Machine page."""
    return cast(MachineView, window.page("machine"))


def _checkpoints(count: int, *, selected: int = 0, phase: Phase = Phase.RUNNING, **changes: Any) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, phase, **changes)
        settings_samples.settings_loaded(store)
        store.part(MaintenanceStore).take(*reply(messages.ListCheckpoints(), checkpoints_answer(count)))
        window.show_machine("checkpoints")
        view = machine_page(window).checkpoints
        for row in range(selected):
            flags = view.table.selectionModel().SelectionFlag
            view.table.selectionModel().select(view.proxy.index(row, 0), flags.Select | flags.Rows)

    return show


def _checkpoints_refused(store: AppStore, window: MainWindow) -> None:
    show_machine(store, Phase.RUNNING)
    window.show_machine("checkpoints")
    problem = Problem(
        code=ProblemCode.CHECKPOINT_FAILED,
        summary=verbatim("The list of checkpoints could not be read from the data disk."),
        command="qemu-img snapshot -l data.qcow2",
        tail=("qemu-img: Could not open 'data.qcow2': Could not read snapshots: Input/output error",),
        action=Action.DOCTOR,
    )
    store.part(MaintenanceStore).take(messages.ListCheckpoints(), problem)


def _checkpoint_dialog(open_it: Callable[[AppStore, MachineView], object]) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        _checkpoints(5, selected=2)(store, window)
        open_it(store, machine_page(window))

    return show


def _restoring(store: AppStore, page: MachineView) -> None:
    entries = store.part(MaintenanceStore).checkpoints
    assert entries is not None
    confirm_restore(page.checkpoints, store, entries[0])


def _overview(phase: Phase = Phase.RUNNING, **changes: Any) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, phase, **changes)
        settings_samples.settings_loaded(store)
        store.part(MaintenanceStore).take(*reply(messages.CheckUpdate(), UPDATE))
        if phase is Phase.RUNNING:
            for sample in stats_samples.history():
                store.part(StatsStore).add(sample)
        window.show_machine("overview")

    return show


def _update_question(store: AppStore, window: MainWindow) -> None:
    _overview(image_offer="2026.12.0")(store, window)
    confirm_update(machine_page(window).overview.update_banner, store)


def _reclaimed(store: AppStore, window: MainWindow) -> None:
    _overview()(store, window)
    gib = 1024**3
    answer = {"memory_before": 3 * gib, "memory_after": gib, "disk_before": 21 * gib, "disk_after": 12 * gib}
    store.part(MaintenanceStore).take(*reply(messages.Reclaim(), answer))


def _settings(section: str, then: Callable[[AppStore, SettingsPage], object] | None = None) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, Phase.RUNNING)
        settings_samples.settings_loaded(store)
        for sample in stats_samples.history():
            store.part(StatsStore).add(sample)
        window.show_page("settings")
        page = cast(SettingsPage, window.page("settings"))
        page.tabs.setCurrentWidget(getattr(page, section))
        if section == "resources":
            page.resources.ensureWidgetVisible(page.resources.data_disk, 0, 300)
        if then is not None:
            then(store, page)

    return show


def _quitting(phase: Phase = Phase.RUNNING, **changes: Any) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, phase, **changes)
        QuitDialog(window, store, lambda _choice: None).open()

    return show


def checks_scene(then: Callable[[AppStore, MachineView], object]) -> Scene:
    """The diagnostics with results."""

    def show(store: AppStore, window: MainWindow) -> None:
        show_machine(store, Phase.RUNNING)
        window.show_machine("checks")
        store.part(ChecksStore).finish(samples.check_entries(), "x")
        then(store, machine_page(window))

    return show


def _bundled(store: AppStore, page: MachineView) -> None:
    names = ("checks.txt", "status.json", "config.toml", "logs/agent.log", "logs/qemu.log", "logs/console.log")
    store.part(ChecksStore).finish((samples.check_entries()[0],), "x")
    missing = ("engine.json: The Docker engine does not answer.",)
    store.part(BundleStore).finish(
        BundleInfo(path="/home/ana/a folder/support.zip", size=81_920, contents=names, missing=missing)
    )
    page.checks.ensureWidgetVisible(page.checks.bundle)


def _bundling(store: AppStore, page: MachineView) -> None:
    store.part(ChecksStore).finish((), "")
    store.part(BundleStore).progress("logs/agent.log", 0.4)
    page.checks.ensureWidgetVisible(page.checks.bundle)


def _bundle_refused(store: AppStore, page: MachineView) -> None:
    store.part(ChecksStore).finish((), "")
    store.part(BundleStore).fail(Problem(code=ProblemCode.PATH_UNUSABLE, summary=verbatim("/root cannot be written.")))
    page.checks.ensureWidgetVisible(page.checks.bundle)


SCENES: dict[str, Scene] = {
    "checks-bundling": checks_scene(_bundling),
    "checks-bundled": checks_scene(_bundled),
    "checks-bundle-refused": checks_scene(_bundle_refused),
    "checks-never": lambda _store, window: window.show_machine("checks"),
    "checks-found": checks_scene(lambda _store, _page: None),
    "checks-fixing": checks_scene(lambda store, _page: store.part(ChecksStore).begin(frozenset({"lock"}))),
    "checks-fix": checks_scene(
        lambda store, page: confirm_fix(page.checks.card, store, store.part(ChecksStore).fixable)
    ),
    "suspended-containers": _page("containers", Phase.SUSPENDED),
    "suspended-images": _page("images", Phase.SUSPENDED),
    "suspended-logs": _page("logs", Phase.SUSPENDED),
    "suspended-machine": _page("machine", Phase.SUSPENDED),
    "alert-hung": _page("containers", Phase.DEGRADED, problems=(HUNG,)),
    "alert-several": _page("images", Phase.DEGRADED, problems=(DISK_FULL, ENGINE_DOWN, MEMORY_LOW)),
    "alert-warning": _page("containers", problems=(DISK_FULL,)),
    "operation-containers": _page("containers", operation=MOVING),
    "operation-machine": _overview(operation=MOVING),
    "operation-updating": _overview(Phase.BOOTING, operation=UPDATING),
    "problems-machine": _overview(Phase.DEGRADED, problems=(HUNG, DISK_FULL, MEMORY_LOW, ENGINE_DOWN)),
    "update-offered": _overview(image_offer="2026.12.0"),
    "update-question": _update_question,
    "reclaimed": _reclaimed,
    "checkpoints-empty": _checkpoints(0),
    "checkpoints-unknown": lambda _store, window: window.show_machine("checkpoints"),
    "checkpoints-normal": _checkpoints(6, selected=1),
    "checkpoints-hundred": _checkpoints(100, selected=3),
    "checkpoints-suspended": _checkpoints(6, selected=1, phase=Phase.SUSPENDED),
    "checkpoints-busy": _checkpoints(6, selected=1, operation=UPDATING),
    "checkpoints-problem": _checkpoints_refused,
    "checkpoints-create": _checkpoint_dialog(lambda _store, page: CreateDialog(page, lambda _name: None).open()),
    "checkpoints-restore": _checkpoint_dialog(_restoring),
    "checkpoints-delete": _checkpoint_dialog(
        lambda store, page: confirm_deletion(page.checkpoints, store, page.checkpoints.selected)
    ),
    "settings-lifecycle": _settings("lifecycle"),
    "settings-disk": _settings("resources"),
    "settings-disk-move": _settings(
        "resources", lambda store, page: confirm_move(page.resources.data_disk, store, "/mnt/a large disk/wherry")
    ),
    "settings-disk-reset": _settings("resources", lambda store, page: confirm_reset(page.resources.data_disk, store)),
    "quit": _quitting(),
    "quit-busy": _quitting(operation=MOVING),
    "quit-starting": _quitting(Phase.BOOTING),
}
