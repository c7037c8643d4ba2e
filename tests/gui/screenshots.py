"""Renders every view in every state, light and dark, for review: `python -m tests.gui.screenshots DIR`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from PySide6.QtCore import QPoint
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from app import texts
from app.features.doctor.checks_store import ChecksStore
from app.features.listings.page import ListingView
from app.features.listings.store import ListingStore
from app.features.logs.data.buffer import LogBuffer
from app.features.logs.data.followed import FollowedLog, LogState
from app.features.logs.data.spill import Spill
from app.features.logs.store import LogStore
from app.features.logs.view.page import LogsPage
from app.features.settings.page import SettingsPage
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.frame.palette import Palette
from app.frame.tray import Tray
from app.links.link_state import LinkState
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.ui import theme
from backend.control import messages
from backend.engine.types import ContainerAction
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Notice, Phase
from tests.gui.scenes import (
    detail_scenes,
    log_samples,
    maintenance_scenes,
    network_scenes,
    samples,
    settings_samples,
    stats_samples,
)
from tests.gui.scenes.container_scenes import CONTAINER_SCENES
from tests.gui.scenes.help_scenes import HELP_SCENES
from tests.gui.scenes.replies import reply

_AGENT_PROBLEM = Problem(
    code=ProblemCode.AGENT_UNREACHABLE,
    summary=verbatim("The agent did not answer within 20 s."),
    hint=verbatim("See the agent's log: wherry logs agent"),
    retryable=True,
)


def running(store: AppStore) -> None:
    """Show a running machine with the recorded containers."""
    machine(store, Phase.RUNNING)
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())


def machine(store: AppStore, phase: Phase) -> None:
    """Show a machine in a phase."""
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(phase))


def _empty(store: AppStore, _window: MainWindow) -> None:
    machine(store, Phase.RUNNING)
    store.set_engine_link(LinkState.UP)
    store.set_containers(())


def _normal(store: AppStore, window: MainWindow) -> None:
    running(store)
    window.containers.select(samples.containers()[2].id)


def _many(store: AppStore, window: MainWindow) -> None:
    running(store)
    store.set_containers(samples.many())
    window.containers.table.selectAll()
    window.containers.table.clearSelection()
    window.containers.select(f"{3:064x}")
    store.set_pending(f"{0:064x}", ContainerAction.STOP)


def _logs(names: tuple[str, ...] = ("web",), **switches: object) -> Callable[[AppStore, MainWindow], None]:
    """The Logs page. `search`: search text; `regex`, `only`, `wrap`: switches; `top`: scrolled up."""

    def show(store: AppStore, window: MainWindow) -> None:
        running(store)
        chosen = [entry for entry in samples.containers() if entry.name in names] or list(samples.containers()[:1])
        log = FollowedLog(
            tuple(entry.id for entry in chosen), tuple(entry.name for entry in chosen), LogBuffer(Spill())
        )
        for number in range(len(chosen)):
            log.set_state(number, LogState.ENDED if number == 2 else LogState.FOLLOWING)
        if switches.get("lines", True):
            for number, line in enumerate([*log_samples.SAMPLE, *log_samples.requests(60)]):
                log_samples.write(log, [line], number % len(chosen))
        if switches.get("lost"):
            for number in range(len(chosen)):
                log.set_state(number, LogState.RECONNECTING, samples.ENGINE_PROBLEM)
            store.set_engine_link(LinkState.RECONNECTING, samples.ENGINE_PROBLEM)
        store.part(LogStore).put("page", log)
        window.show_page("logs")
        pane = cast(LogsPage, window.page("logs")).pane
        pane.wrap.setChecked(bool(switches.get("wrap", True)))
        pane.searching.regex.setChecked(bool(switches.get("regex")))
        pane.searching.only.setChecked(bool(switches.get("only")))
        pane.searching.field.setText(str(switches.get("search", "")))
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            QApplication.processEvents()
        if switches.get("top"):
            pane.lines.verticalScrollBar().setValue(0)
        if switches.get("search") and not switches.get("regex"):
            pane.searching.wanted.emit(False)

    return show


def _logs_page(set_up: Callable[[AppStore, MainWindow], None]) -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        set_up(store, window)
        store.part(LogStore).put("page", None)
        window.show_page("logs")
        page = cast(LogsPage, window.page("logs"))
        page.choose(())

    return show


def _many_logs(store: AppStore, window: MainWindow) -> None:
    running(store)
    store.set_containers(samples.many())
    window.show_page("logs")


def _reconnecting(store: AppStore, _window: MainWindow) -> None:
    running(store)
    store.set_engine_link(LinkState.RECONNECTING, samples.ENGINE_PROBLEM)


def _request_problem(store: AppStore, _window: MainWindow) -> None:
    running(store)
    store.set_problem(samples.ENGINE_PROBLEM)
    store.notice(
        Notice(level="info", text=verbatim("This desktop doesn't show tray icons, so closing the window quits Wherry."))
    )


def _machine_page(phase: Phase) -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        machine(store, phase)
        window.show_page("machine")

    return show


def _hostile(store: AppStore, _window: MainWindow) -> None:
    running(store)
    store.set_containers(samples.hostile())


def _no_match(store: AppStore, window: MainWindow) -> None:
    running(store)
    window.containers.filter.setText("nothing like this")


def _lost(store: AppStore, _window: MainWindow) -> None:
    store.set_agent_link(LinkState.RECONNECTING, _AGENT_PROBLEM)


def palette_of(window: MainWindow) -> Palette:
    """The palette that is open over a window."""
    (palette,) = (found for found in window.findChildren(Palette) if found.isVisible())
    return palette


def _palette(typed: str, containers: int = 0) -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        running(store)
        if containers:
            store.set_containers(samples.many(containers))
        store.preferences.note_recent("page:machine")
        window.open_palette()
        palette_of(window).field.setText(typed)

    return show


def settings_page(window: MainWindow, section: str) -> SettingsPage:
    """Open the settings at a section."""
    window.show_page("settings")
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(getattr(page, section))
    return page


def _settings(section: str, phase: Phase = Phase.RUNNING, **values: object) -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        machine(store, phase)
        settings_samples.settings_loaded(store, **values)  # type: ignore[arg-type]  # settings by name
        settings_page(window, section)

    return show


def _settings_unknown(store: AppStore, window: MainWindow) -> None:
    _lost(store, window)
    settings_page(window, "resources")


def _settings_danger(store: AppStore, window: MainWindow) -> None:
    running(store)
    settings_samples.settings_loaded(store, reasons=("machine.memory_mib", "daemon"), machine_memory_mib=14_336)
    page = settings_page(window, "resources")
    page.resources.rows.cpus.field.setValue(8)


def _settings_problem(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.STOPPED)
    settings_samples.settings_loaded(store)
    store.part(SettingsStore).take(messages.GetSettings(), settings_samples.CONFIG_PROBLEM)
    settings_page(window, "resources")


def _daemon_findings(store: AppStore, window: MainWindow) -> None:
    running(store)
    settings_samples.settings_loaded(store)
    page = settings_page(window, "engine")
    page.engine.editor.setPlainText(
        '{\n  "debug": "yes",\n  "registry-miror": [],\n  "hosts": ["tcp://0.0.0.0:2375"]\n}\n'
    )
    page.engine.check()


_CONSOLE = {
    "which": "serial",
    "path": "x",
    "text": "[    0.000000] Linux version 6.12\r\n\x1b[32m  OK\x1b[0m  <b>\r\n" * 9,
}


def _first_run(phase: Phase, *, console: bool = False) -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        machine(store, Phase.STOPPED)
        settings_samples.settings_loaded(store, disk_gib=None)
        store.part(SettingsStore).take(*reply(messages.GetAutostart(), {"on": False, "place": "x"}))
        machine(store, phase)
        if console:
            assert window.first_run is not None
            window.first_run.console.toggle.click()
            store.part(SettingsStore).take(*reply(messages.ReadLog(which=messages.MachineLog.SERIAL), _CONSOLE))

    return show


def _machine_busy(store: AppStore, window: MainWindow) -> None:
    running(store)
    for sample in stats_samples.history(gap=True):
        store.part(StatsStore).add(sample)
    window.show_page("machine")


def _machine_checked(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.FAILED)
    window.show_page("machine")
    store.part(ChecksStore).finish(samples.check_entries(), "Home directory: /home/ana/.local/share/wherry")
    window.show_machine("checks")


def _listing(kind: str, *, empty: bool = False, words: str = "") -> Callable[[AppStore, MainWindow], None]:
    def show(store: AppStore, window: MainWindow) -> None:
        running(store)
        fill_listings(store, empty=empty)
        window.show_page(kind)
        page = window.page(kind)
        assert isinstance(page, ListingView)
        page.filter.setText(words)

    return show


def _listing_hostile(store: AppStore, window: MainWindow) -> None:
    running(store)
    store.part(ListingStore).set_entries("images", samples.hostile_images())
    window.show_page("images")


def _listing_stopped(store: AppStore, window: MainWindow) -> None:
    machine(store, Phase.STOPPED)
    window.show_page("images")


def _listing_problem(store: AppStore, window: MainWindow) -> None:
    _listing("volumes")(store, window)
    store.part(ListingStore).set_problem("volumes", samples.ENGINE_PROBLEM)


def fill_listings(store: AppStore, *, empty: bool = False) -> None:
    """Fill the lists with those of a real engine."""
    store.part(ListingStore).set_entries("images", () if empty else samples.images())
    store.part(ListingStore).set_entries("volumes", () if empty else samples.volumes())
    store.part(ListingStore).set_entries("networks", () if empty else samples.networks())
    store.part(ListingStore).set_volume_sizes(samples.volume_sizes())


SCENES: dict[str, Callable[[AppStore, MainWindow], None]] = {
    "containers-unknown": lambda _store, _window: None,
    "containers-no-agent": _lost,
    "containers-stopped": lambda store, _window: machine(store, Phase.STOPPED),
    "containers-starting": lambda store, _window: machine(store, Phase.BOOTING),
    "containers-failed": lambda store, _window: machine(store, Phase.FAILED),
    "containers-empty": _empty,
    "containers-normal": _normal,
    "containers-many": _many,
    "containers-hostile": _hostile,
    "containers-no-match": _no_match,
    "containers-reconnecting": _reconnecting,
    "containers-problem": _request_problem,
    **CONTAINER_SCENES,
    **HELP_SCENES,
    "palette": _palette(""),
    "palette-found": _palette("web"),
    "palette-nothing": _palette("qqqq"),
    "palette-many": _palette("stop we", 200),
    "first-run": _first_run(Phase.STOPPED),
    "first-run-starting": _first_run(Phase.BOOTING),
    "first-run-console": _first_run(Phase.BOOTING, console=True),
    "first-run-failed": _first_run(Phase.FAILED),
    "settings-general": _settings("general"),
    "settings-resources": _settings("resources", Phase.STOPPED),
    "settings-resources-danger": _settings_danger,
    "settings-resources-problem": _settings_problem,
    "settings-unknown": _settings_unknown,
    "settings-engine": _settings("engine", Phase.BOOTING),
    "settings-engine-findings": _daemon_findings,
    "settings-docker": _settings("docker", Phase.FAILED),
    "images-normal": _listing("images"),
    "images-empty": _listing("images", empty=True),
    "images-no-match": _listing("images", words="nothing like this"),
    "images-hostile": _listing_hostile,
    "images-stopped": _listing_stopped,
    "volumes-normal": _listing("volumes"),
    "volumes-empty": _listing("volumes", empty=True),
    "volumes-problem": _listing_problem,
    "networks-normal": _listing("networks"),
    "logs-one": _logs(top=True),
    "logs-several": _logs(("web", "chatty", "sleeper", "db", "app")),
    "logs-search": _logs(("web", "chatty"), search="boats"),
    "logs-only": _logs(("web", "chatty"), search=r"boats/\d*7\b", regex=True, only=True),
    "logs-regex-error": _logs(search="boats/(", regex=True),
    "logs-unwrapped": _logs(("web", "chatty"), wrap=False, top=True),
    "logs-nothing-written": _logs(lines=False),
    "logs-lost": _logs(("web", "chatty"), lost=True),
    "logs-many": _many_logs,
    "logs-none-chosen": _logs_page(lambda store, _window: running(store)),
    "logs-no-containers": _logs_page(_empty),
    "logs-stopped": _logs_page(lambda store, _window: machine(store, Phase.STOPPED)),
    "machine-stopped": _machine_page(Phase.STOPPED),
    "machine-starting": _machine_page(Phase.BOOTING),
    "machine-running": _machine_page(Phase.RUNNING),
    "machine-busy": _machine_busy,
    "machine-checked": _machine_checked,
    "machine-degraded": _machine_page(Phase.DEGRADED),
    "machine-failed": _machine_page(Phase.FAILED),
    **detail_scenes.SCENES,
    **maintenance_scenes.SCENES,
    **network_scenes.SCENES,
}
"""Functions that set up the store and the window, by scene name."""


def save(widget: QWidget, path: Path) -> None:
    """Render a widget with the dialogs open over it."""
    # Nested layouts need several turns of the event loop to settle.
    for _ in range(4):
        QApplication.processEvents()
    picture = widget.grab()
    painter = QPainter(picture)
    for dialog in widget.findChildren(QDialog):
        if dialog.isVisible():
            place = dialog.mapToGlobal(QPoint()) - widget.mapToGlobal(QPoint())
            painter.drawPixmap(place, dialog.grab())
    painter.end()
    assert picture.save(str(path))


def main() -> None:
    """Render all scenes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--size", default="1120x720")
    parser.add_argument("--zoom", type=int, default=100, help="per cent")
    parser.add_argument("--language", default="en")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    width, height = map(int, options.size.split("x"))
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication([])
    texts.choose_language(options.language)
    for chosen in (theme.LIGHT, theme.DARK):
        theme.apply(app, chosen, options.zoom)
        for name, play in SCENES.items():
            if options.only in name:
                store = AppStore()
                window = MainWindow(store)
                window.resize(width, height)
                window.show()
                play(store, window)
                save(window, options.directory / f"{name}-{chosen.name}.png")
                window.close_for_good()
                window.deleteLater()
        if options.only in "tray":
            store = AppStore()
            tray = Tray(store)
            running(store)
            tray.menu.show()
            save(tray.menu, options.directory / f"tray-{chosen.name}.png")
            tray.menu.close()


if __name__ == "__main__":
    main()
