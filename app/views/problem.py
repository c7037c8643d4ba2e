"""A Problem, whole: what it is, what was run, what that said, what to do, and a button to take it all elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from app import texts
from app.texts import text
from app.widgets import MONOSPACE, CopyButton, button, label
from backend.api import Problem

_TAIL_LINES_SHOWN = 8


class ProblemView(QFrame):
    """One problem. Hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("problem")
        self._problem: Problem | None = None
        self._title = label("", "danger", wrap=True)
        self._summary = label("", wrap=True, selectable=True)
        self._ran_heading = label(text("problem.ran"), "muted")
        self._ran = label("", "code", wrap=True, selectable=True)
        self._said_heading = label(text("problem.said"), "muted")
        self._said = QPlainTextEdit(readOnly=True)
        self._said.setProperty("role", "code")
        self._said.setAccessibleName(text("problem.said"))
        self._said.setTabChangesFocus(True)
        self._said.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._said.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for widget in (self._ran, self._said):
            font = widget.font()
            font.setFamilies(MONOSPACE)
            widget.setFont(font)
        self._hint_heading = label(text("problem.hint"), "muted")
        self._hint = label("", wrap=True, selectable=True)
        self._buttons = QHBoxLayout()
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(6)
        for item in (
            *(self._title, self._summary, self._hint_heading, self._hint),
            *(self._ran_heading, self._ran, self._said_heading, self._said),
        ):
            column.addWidget(item)
        column.addSpacing(4)
        column.addLayout(self._buttons)
        self.hide()

    @property
    def problem(self) -> Problem | None:
        """What is shown."""
        return self._problem

    def show_problem(self, problem: Problem | None, actions: Sequence[tuple[str, Callable[[], object]]] = ()) -> None:
        """Show `problem` with buttons for `actions`, the first of them the one to take; or None: hide."""
        if problem == self._problem:
            return
        self._problem = problem
        self.setVisible(problem is not None)
        if problem is None:
            return
        title = texts.problem_title(problem.code)
        self.setAccessibleName(text("problem.box", title=title))
        self._title.setText(title)
        self._summary.setText(problem.summary)
        self._fill(self._ran_heading, self._ran, problem.command)
        self._fill(self._hint_heading, self._hint, problem.hint)
        self._said_heading.setVisible(bool(problem.tail))
        self._said.setVisible(bool(problem.tail))
        self._said.setPlainText("\n".join(problem.tail))
        lines = min(max(len(problem.tail), 1), _TAIL_LINES_SHOWN)
        self._said.setFixedHeight(self._said.fontMetrics().lineSpacing() * lines + 40)
        self._said.verticalScrollBar().setValue(self._said.verticalScrollBar().maximum())
        self._fill_buttons(problem, actions)

    @staticmethod
    def _fill(heading: QWidget, body: QLabel, words: str | None) -> None:
        heading.setVisible(bool(words))
        body.setVisible(bool(words))
        body.setText(words or "")

    def _fill_buttons(self, problem: Problem, actions: Sequence[tuple[str, Callable[[], object]]]) -> None:
        while (item := self._buttons.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for number, (words, clicked) in enumerate(actions):
            self._buttons.addWidget(button(words, clicked, "primary" if number == 0 else None))
        self._buttons.addWidget(CopyButton(problem.as_text, text("problem.copy")))
        self._buttons.addStretch(1)
        self._buttons.setAlignment(Qt.AlignmentFlag.AlignLeft)
