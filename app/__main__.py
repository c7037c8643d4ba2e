"""The window's entry: `wherry-desktop [--home DIR] [--background]`."""

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
    """Run the window until it is quit; gives the process's exit code."""
    parser = argparse.ArgumentParser(prog="wherry-desktop", description="The Wherry window and tray icon.")
    parser.add_argument("--home", type=Path, metavar="DIR", help="use this machine directory")
    parser.add_argument("--background", action="store_true", help="show only the tray icon")
    parser.add_argument("--login", action="store_true", help="started at login: the window shows if that is preferred")
    parser.add_argument("--version", action="version", version=f"wherry {VERSION}")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    desktop.prepare_application()
    # A thread that takes a long answer apart holds the interpreter for so long at a time; by default 5 ms, which the
    # event loop would wait for at every turn.
    sys.setswitchinterval(_SWITCH_S)
    app = QApplication.instance() or QApplication([sys.argv[0]])
    assert isinstance(app, QApplication)
    instance = SingleInstance(options.home)
    if not instance.claim():
        return 0 if instance.ask_other_to_show() else 1
    try:
        return _run(app, instance, options)
    finally:
        instance.release()


def _run(app: QApplication, instance: SingleInstance, options: argparse.Namespace) -> int:
    # After the lock is ours: a second start should not load all of this only to end.
    from app.application import WherryApp
    from app.state.preferences import Preferences
    from backend.api import preferences_file

    def find_agent() -> str:
        from backend.api import ensure_agent

        return ensure_agent(options.home)

    preferences = Preferences(preferences_file(options.home))
    whole = WherryApp(app, find_agent, preferences=preferences, home=options.home)
    instance.asked_to_show.connect(whole.show_window)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: whole.quit())
    # Python handles a signal only between its own instructions: an idle event loop runs none.
    awake = QTimer(interval=_SIGNAL_POLL_MS)
    awake.timeout.connect(lambda: None)
    awake.start()
    whole.start(background=options.background or (options.login and preferences.start_in_background))
    # What there is now stays: without this every full collection looks at all of it again, a tenth of a second long.
    gc.freeze()
    try:
        return app.exec()
    finally:
        whole.close()


if __name__ == "__main__":
    sys.exit(main())
