"""Combo boxes, spin boxes, sliders and completions: the wheel changes nothing, and lists show whole entries."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, QStringListModel, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

import app
from app.state.store import AppStore
from app.ui import theme
from app.ui.inputs import ComboBox, Slider, SpinBox, completions

OWN = {"QComboBox", "QSpinBox", "QDoubleSpinBox", "QSlider", "QDial", "QCompleter", "QDateEdit", "QTimeEdit"}


def wheel(widget: QWidget) -> bool:
    """Turn the wheel over a widget. Returns whether the widget used it, so that the page does not scroll."""
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at, widget.mapToGlobal(at), QPoint(0, -120), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    event.ignore()
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def test_only_one_module_makes_them() -> None:
    found = []
    for path in Path(app.__file__).parent.rglob("*.py"):
        if path.name == "inputs.py":
            continue
        found += [
            f"{path.name}:{node.lineno}: {node.func.id}"
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OWN
        ]
    assert not found, "these would change their value when the page is scrolled"


def test_the_wheel_scrolls_the_page_and_changes_no_value(store: AppStore, qtbot: QtBot) -> None:
    page = QWidget()
    column = QVBoxLayout(page)
    combo, number, slider = ComboBox(), SpinBox(), Slider()
    combo.addItems(["one", "two", "three"])
    for widget in (combo, number, slider):
        column.addWidget(widget)
    qtbot.addWidget(page)
    page.show()
    combo.setCurrentIndex(1)
    number.setValue(50)
    slider.setValue(50)
    for widget in (combo, number, slider):
        assert not wheel(widget)
        widget.setFocus()
        assert not wheel(widget), "nor when it has the focus, as after a choice"
    assert (combo.currentIndex(), number.value(), slider.value()) == (1, 50, 50)


@pytest.mark.parametrize("zoom", [100, 200])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_list_shows_every_entry_whole(
    store: AppStore, qtbot: QtBot, qapp: QApplication, zoom: int, count: int
) -> None:
    theme.apply(qapp, theme.LIGHT, zoom)
    try:
        combo = ComboBox()
        combo.addItems([f"entry number {number}" for number in range(count)])
        qtbot.addWidget(combo)
        combo.show()
        combo.showPopup()
        view = combo.view()
        last = view.visualRect(combo.model().index(count - 1, 0))
        assert view.viewport().rect().contains(last)
        assert last.height() >= theme.px(28), "entries have the window's padding"
        combo.hidePopup()
    finally:
        theme.apply(qapp, theme.LIGHT, 100)


def test_completions_match_any_part_and_are_styled(store: AppStore, qtbot: QtBot) -> None:
    field = QLineEdit()
    qtbot.addWidget(field)
    completer = completions(QStringListModel(["docker.io/nginx", "postgres"], field), field)
    field.setCompleter(completer)
    field.show()
    field.setFocus()
    QTest.keyClicks(field, "NGI")
    assert completer.completionCount() == 1
    popup = completer.popup()
    assert popup is not None
    qtbot.waitUntil(popup.isVisible)
    assert popup.visualRect(completer.completionModel().index(0, 0)).height() >= theme.px(28)


def test_an_amount_is_shown_in_its_unit(store: AppStore, qtbot: QtBot) -> None:
    field = SpinBox(shown_in=1024)
    field.setRange(512, 16_384)
    field.setSuffix(" GiB")
    field.setKeyboardTracking(False)
    qtbot.addWidget(field)
    field.show()
    for mib, text in ((4096, "4 GiB"), (1536, "1.5 GiB"), (1280, "1.25 GiB")):
        field.setValue(mib)
        assert field.text() == text
    for typed, mib in (("6", 6144), ("2.5", 2560), ("2,5", 2560)):
        field.selectAll()
        QTest.keyClicks(field, typed)
        QTest.keyClick(field, Qt.Key.Key_Return)
        assert field.value() == mib
