"""Focus frames: for those who use the keyboard, not after a click."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.ui.focus import FocusFrames


def test_a_click_draws_no_frame_and_a_key_does(qapp: QApplication, qtbot: QtBot) -> None:
    frames = FocusFrames(qapp)
    window = QWidget()
    row = QHBoxLayout(window)
    one, two, field = QPushButton("one"), QPushButton("two"), QLineEdit()
    for widget in (one, two, field):
        row.addWidget(widget)
    qtbot.addWidget(window)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWindow() is not None)
    handle = window.windowHandle()
    at = two.mapTo(window, two.rect().center())
    QTest.mouseClick(handle, Qt.MouseButton.LeftButton, pos=at)
    assert QApplication.focusWidget() is two
    assert not two.property("keys")
    QTest.keyClick(handle, Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
    assert QApplication.focusWidget() is one
    assert one.property("keys")
    QTest.mouseClick(handle, Qt.MouseButton.LeftButton, pos=QPoint(at))
    assert not two.property("keys")
    frames.deleteLater()
