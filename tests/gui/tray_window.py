"""The whole window with its tray icon, for a real display: `python -m tests.gui.tray_window AGENT_SOCKET`.

Prints a line of JSON when the tray's menu is open: where its entries are on the screen.
"""

from __future__ import annotations

import json
import signal
import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.application import WherryApp
from app.ui import desktop


def main() -> int:
    """Run until SIGTERM."""
    desktop.prepare_application()
    app = QApplication(sys.argv[:1])
    whole = WherryApp(app, lambda: sys.argv[1])
    menu = whole.tray.menu

    def tell() -> None:
        places = {}
        for action in menu.actions():
            place = menu.mapToGlobal(menu.actionGeometry(action).center())
            places[action.text()] = (place.x(), place.y())
        print(json.dumps(places), flush=True)

    # After it is on the screen: before that it has no position.
    menu.aboutToShow.connect(lambda: QTimer.singleShot(300, tell))
    signal.signal(signal.SIGTERM, lambda *_: whole.quit())
    awake = QTimer(interval=100)
    awake.timeout.connect(lambda: None)
    awake.start()
    whole.start(background=True)
    print(json.dumps({"platform": app.platformName(), "tray": desktop.tray_is_shown()}), flush=True)
    code = app.exec()
    whole.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
