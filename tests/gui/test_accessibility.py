"""Accessibility: each control of each scene has a name and a role for screen readers, and Tab reaches it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QScrollArea,
    QScrollBar,
    QTabBar,
    QTabWidget,
    QToolButton,
    QWidget,
)

from app.frame.main_window import MainWindow
from app.state.store import AppStore
from tests.gui.screenshots import SCENES

ROLE = QAccessible.Role
KINDS: dict[type[QWidget], set[QAccessible.Role]] = {
    QComboBox: {ROLE.ComboBox},
    QAbstractSpinBox: {ROLE.SpinBox},
    QAbstractSlider: {ROLE.Slider},
    QTabBar: {ROLE.PageTabList},
    QAbstractItemView: {ROLE.Table, ROLE.List, ROLE.Tree},
    QLineEdit: {ROLE.EditableText},
    QPlainTextEdit: {ROLE.EditableText},
    QProgressBar: {ROLE.ProgressBar},
    QAbstractButton: {ROLE.Button, ROLE.CheckBox, ROLE.RadioButton, ROLE.ButtonMenu, ROLE.ButtonDropDown},
}
"""Widget classes that are controls, and their allowed roles for screen readers."""
PRESSES = 80


def shown(window: MainWindow) -> QWidget:
    """The active window: the palette or a dialog while one is open, else the main window."""
    dialog = next((found for found in window.findChildren(QDialog) if found.isVisible()), None)
    return QApplication.activePopupWidget() or dialog or window


def focused(root: QWidget) -> QWidget | None:
    """A dialog is asked itself: offscreen it does not become the active window."""
    return root.focusWidget() if isinstance(root, QDialog) else QApplication.focusWidget()


def is_ours(widget: QWidget) -> bool:
    """Not a part that Qt made inside of a control, such as a field's clear button."""
    parent = widget.parentWidget()
    inside = isinstance(parent, (QLineEdit, QAbstractItemView, QAbstractSpinBox, QComboBox, QTabBar))
    return not inside and not isinstance(widget, QScrollBar) and not widget.objectName().startswith("qt_")


def controls(window: MainWindow) -> Iterator[tuple[QWidget, set[QAccessible.Role]]]:
    """Every control that can be seen, and everything else that takes the keyboard."""
    for widget in shown(window).findChildren(QWidget):
        if not widget.isVisible() or not is_ours(widget):
            continue
        roles = next((roles for kind, roles in KINDS.items() if isinstance(widget, kind)), None)
        if roles is not None:
            yield widget, roles
        elif isinstance(widget, QScrollArea) and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget, {ROLE.Client}  # scrolled by the keyboard; Qt has no better word for it
        elif widget.focusPolicy() & Qt.FocusPolicy.TabFocus and not isinstance(widget, QLabel | QTabWidget):
            yield widget, set()  # of a tab widget its bar is the control


def described(widget: QWidget) -> str:
    return f"{type(widget).__name__} {widget.objectName()} {widget.accessibleName()!r}"


@pytest.mark.parametrize("scene", SCENES)
def test_every_control_has_a_name_and_a_role_and_tab_reaches_it(
    store: AppStore, window: MainWindow, scene: str
) -> None:
    SCENES[scene](store, window)
    assert unnamed(window) == []
    wanted = {
        widget
        for widget, _roles in controls(window)
        if widget.isEnabled()
        and not isinstance(widget, QProgressBar)
        and widget.objectName() != "palettelist"  # moved in by the arrow keys, from the field above it
        # Of All, Running and Stopped, Tab reaches the chosen one, arrow keys the others: as with any such group.
        and not (isinstance(widget, QToolButton) and widget.property("shown") and not widget.isChecked())
    }
    reached, circle = tabbed(shown(window), wanted)
    assert {described(widget) for widget in wanted - reached} == set()
    assert all(widget.isVisible() for widget in circle)
    if QApplication.activePopupWidget() is None:
        assert 2 <= len(circle) < PRESSES, "nobody is caught: in the end Tab leads back to where it began"


def unnamed(window: MainWindow) -> list[str]:
    wrong = []
    for widget, roles in controls(window):
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface is not None, described(widget)
        if not interface.text(QAccessible.Text.Name).strip():
            wrong.append(f"{described(widget)} has no name")
        role = interface.role()
        if role not in roles if roles else role in (ROLE.NoRole, ROLE.Client):
            wrong.append(f"{described(widget)} is a {role.name}")
    return wrong


def tabbed(root: QWidget, wanted: set[QWidget]) -> tuple[set[QWidget], list[QWidget]]:
    """All that Tab reaches, and what it reaches in turn before it is where it began."""
    reached: set[QWidget] = set()
    circle: list[QWidget] = []
    is_closed = False
    for _ in range(PRESSES):
        asked = focused(root) or root
        # A terminal and an editor need Tab for themselves, and say how they are left.
        held = Qt.KeyboardModifier.ControlModifier if asked.property("keepsTab") else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(asked, Qt.Key.Key_Tab, held)
        focus = focused(root)
        # Where Tab goes from link to link within a text, the focus stays for as long.
        stays = focus is not None and focus is asked
        is_closed = is_closed or focus is None or (bool(circle) and focus is circle[0] and not stays)
        if focus is not None:
            reached.add(focus)
            if not is_closed:
                circle.append(focus)
        if is_closed and wanted <= reached:
            break
    return reached, circle
