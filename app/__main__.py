"""Command-line entry point of the desktop window: `wherry-desktop [--home DIR] [--background]`."""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.single_instance import SingleInstance
from app.ui import desktop
from backend.api import VERSION

_SIGNAL_POLL_MS = 300
_SWITCH_S = 0.0005


def main(argv: Sequence[str] | None = None) -> int:
    """Run the window until the user quits it. Returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="wherry-desktop", description="The Wherry window and tray icon.")
    parser.add_argument("--home", type=Path, metavar="DIR", help="use this machine directory")
    parser.add_argument("--background", action="store_true", help="show only the tray icon")
    parser.add_argument("--login", action="store_true", help="started at login: the window shows if that is preferred")
    parser.add_argument("--version", action="version", version=f"wherry {VERSION}")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    desktop.prepare_application()
    # A thread that parses a long reply holds the interpreter for this long at a time. The default of 5 ms delays every
    # iteration of the event loop.
    sys.setswitchinterval(_SWITCH_S)
    app = QApplication.instance() or QApplication([sys.argv[0]])
    assert isinstance(app, QApplication)
    instance = SingleInstance(options.home)
    if not instance.claim():
        return 0 if instance.show_running_instance() else 1
    try:
        return _run(app, instance, options)
    finally:
        instance.release()


def _run(app: QApplication, instance: SingleInstance, options: argparse.Namespace) -> int:
    # Imported only once we hold the lock: a second instance should not load all of this just to exit.
    from app.application import WherryApp
    from app.state.preferences import Preferences
    from backend.api import preferences_file

    def find_agent() -> str:
        from backend.api import ensure_agent

        return ensure_agent(options.home)

    preferences = Preferences(preferences_file(options.home))
    wherry = WherryApp(app, find_agent, preferences=preferences, home=options.home)
    instance.show_requested.connect(wherry.show_window)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: wherry.quit())
    # Python handles a signal only between bytecode instructions, and an idle event loop runs none.
    awake = QTimer(interval=_SIGNAL_POLL_MS)
    awake.timeout.connect(lambda: None)
    awake.start()
    wherry.start(background=options.background or (options.login and preferences.start_in_background))
    # All objects made so far are permanent. Without this every full collection scans them again, for 0.1 s.
    gc.freeze()
    try:
        return app.exec()
    finally:
        wherry.close()


if __name__ == "__main__":
    sys.exit(main())
