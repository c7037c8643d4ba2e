"""The About window: the versions in use, which can be copied."""

from __future__ import annotations

import platform

from PySide6.QtCore import QSize, QSysInfo, Qt, qVersion
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.state.store import AppStore
from app.texts import _
from app.ui import icons, theme
from app.ui.widgets import CopyButton, button, label
from backend.api import VERSION


class AboutDialog(QDialog):
    """Not modal. Created each time it opens, so that the versions are current."""

    def __init__(self, store: AppStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("About Wherry"))
        self.versions = label("\n".join(_versions(store)), selectable=True)
        picture = QLabel()
        picture.setPixmap(icons.boat().pixmap(QSize(theme.px(64), theme.px(64))))
        texts_column = QVBoxLayout()
        texts_column.setSpacing(theme.px(10))
        texts_column.addWidget(label(_("Wherry"), "title"))
        texts_column.addWidget(label(_("A Docker engine for this computer, in a small virtual machine."), wrap=True))
        texts_column.addWidget(self.versions)
        texts_column.addWidget(label(_("Apache License 2.0. No account, no telemetry."), "muted", wrap=True))
        upper = QHBoxLayout()
        upper.setSpacing(theme.px(18))
        upper.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
        upper.addLayout(texts_column, 1)
        lower = QHBoxLayout()
        self.copy = CopyButton(lambda: "\n".join(_versions(store)), _("Copy version information"))
        close = button(_("Close"), self.reject)
        close.setDefault(True)
        lower.addWidget(self.copy)
        lower.addStretch(1)
        lower.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(24), theme.px(22), theme.px(24), theme.px(16))
        column.setSpacing(theme.px(18))
        column.addLayout(upper)
        column.addLayout(lower)
        self.setMinimumWidth(theme.px(440))
        close.setFocus()


def _versions(store: AppStore) -> list[str]:
    """Lines of text with the versions; those of the machine only where known."""
    machine = store.machine
    lines = [_("Wherry {version}", version=VERSION)]
    if machine is not None and machine.engine_version:
        lines.append(_("Docker engine {version}", version=machine.engine_version))
    if machine is not None and machine.image_version:
        lines.append(_("Machine image {version}", version=machine.image_version))
    lines.append(f"Qt {qVersion()}, Python {platform.python_version()}")
    lines.append(f"{QSysInfo.prettyProductName()}, {QSysInfo.currentCpuArchitecture()}")
    return lines
