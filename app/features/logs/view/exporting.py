"""The line below a log: how it stands, how many lines there are; and copying and saving, with their progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from app import texts
from app.features.logs.data.buffer import MAX_LINES
from app.features.logs.data.export import Columns, LogExport, columns_of
from app.features.logs.data.feed import TAIL_LINES
from app.features.logs.data.followed import FollowedLog, LogState
from app.features.logs.data.spill import DISK_LIMIT_BYTES
from app.features.logs.view.layouts import utf16_slice
from app.features.logs.view.lines_view import LinesView
from app.texts import text
from app.ui import theme
from app.ui.safe_text import tooltip
from app.ui.widgets import button, label
from backend.api import Problem

COPY_LINES: Final = 100_000
"""More would be a clipboard that no other program can take."""
_AT_ONCE: Final = 2_000


class Exporting(QFrame):
    """A function of the log, but for what it is just doing."""

    def __init__(self, lines: LinesView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("logfoot")
        self._lines = lines
        self._log: FollowedLog | None = None
        self.job: LogExport | None = None
        self.state = label("", "muted")
        self.state.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.count = label("", "muted")
        self.progress = QProgressBar(textVisible=False)
        self.progress.setAccessibleName(text("logs.save.title"))
        self.progress.setFixedWidth(theme.px(140))
        self.cancel = button(text("common.cancel"), self._cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        row.setSpacing(theme.px(10))
        row.addWidget(self.state, 1)
        for widget in (self.progress, self.cancel, self.count):
            row.addWidget(widget)
        self.progress.hide()
        self.cancel.hide()
        self._said = ""
        bounds = text("logs.bounds", tail=f"{TAIL_LINES:,}", lines=f"{MAX_LINES:,}", size=DISK_LIMIT_BYTES // 1024**3)
        self.count.setToolTip(tooltip(bounds))

    def set_log(self, log: FollowedLog | None) -> None:
        """Of another log now. A job for the one before ends with it."""
        self._log = log
        self._said = ""
        self._drop_job()

    def refresh(self) -> None:
        """Show how the log stands."""
        if self._log is None:
            self.state.setText("")
            self.count.setText("")
            return
        count = self._lines.shown.count
        if self._log.buffer.first:
            self.count.setText(text("logs.lines.dropped", count=f"{count:,}"))
        else:
            self.count.setText(texts.plural("logs.lines", count).replace(str(count), f"{count:,}"))
        words, tip = self._states(self._log)
        self.state.setText(self._said or words)
        self.state.setToolTip(tooltip(tip))

    @staticmethod
    def _states(log: FollowedLog) -> tuple[str, str]:
        problems = [
            text("logs.failed", name=name, summary=each.problem.as_text())
            for name, each in zip(log.names, log.states, strict=True)
            if each.problem is not None
        ]
        tip = "\n\n".join(problems[:8])
        if len(log.states) == 1:
            (only,) = log.states
            words = text(f"logs.state.{only.state.value}")
            return (f"{words} – {only.problem.summary}" if only.problem is not None else words), tip
        counted = Counter(each.state for each in log.states)
        words = " · ".join(
            texts.plural(f"logs.states.{state.value}", counted[state]) for state in LogState if counted[state]
        )
        if problems:
            failed = next(at for at, each in enumerate(log.states) if each.problem is not None)
            problem = log.states[failed].problem
            assert problem is not None
            words += " – " + text("logs.failed", name=log.names[failed], summary=problem.summary)
        return words, tip

    # -- copying -------------------------------------------------------------------------------------------------
    def copy(self) -> None:
        """The selection to the clipboard; with times and names, as they are shown, if it has several lines."""
        ends = self._lines.selection.ends
        if ends is None or self._log is None:
            return
        low, high = ends
        layouts = self._lines.layouts
        if low.number == high.number:
            QGuiApplication.clipboard().setText(utf16_slice(layouts.line(low.number).text, low.at, high.at))
            return
        numbers = self._lines.shown.numbers(low.number, high.number)
        if len(numbers) > _AT_ONCE:
            self._copy_many(numbers)
            return
        made = []
        for number in numbers:
            line = layouts.line(number)
            start = low.at if number == low.number else 0
            stop = high.at if number == high.number else None
            # The first line without what is before the selection has no use for its columns.
            made.append(("" if start else columns_of(line, self._columns)) + utf16_slice(line.text, start, stop))
        QGuiApplication.clipboard().setText("\n".join(made))

    def copy_all(self) -> None:
        """What is shown to the clipboard: all lines, or those that match; the newest of them, if they are many."""
        shown = self._lines.shown
        if shown.count:
            self._copy_many(shown.numbers(shown.number(0), shown.number(shown.count - 1)))

    def _copy_many(self, numbers: Sequence[int]) -> None:
        if self._log is None:
            return
        is_bounded = len(numbers) > COPY_LINES
        chosen = numbers[-COPY_LINES:]
        job = self._log.export(chosen, self._columns, None)
        self._begin(job, text("logs.copying"))

        def done(_problem: Problem | None) -> None:
            if self._drop_job() is not None and not job.is_cancelled:
                QGuiApplication.clipboard().setText(job.text.removesuffix("\n"))
                key = "logs.copied.bounded" if is_bounded else "logs.copied"
                self._say(text(key, count=f"{len(chosen):,}"))

        job.finished.connect(done)
        job.start()

    # -- saving --------------------------------------------------------------------------------------------------
    def save(self, path: Path) -> None:
        """All lines that are shown into a file, with times and names as they are shown."""
        shown = self._lines.shown
        if self._log is None or not shown.count:
            return
        numbers = shown.numbers(shown.number(0), shown.number(shown.count - 1))
        job = self._log.export(numbers, self._columns, path)
        self._begin(job, text("logs.saving", done="0", total=f"{len(numbers):,}"))

        def done(problem: Problem | None) -> None:
            if (ended := self._drop_job()) is None:
                return
            if problem is not None:
                self._say(problem.summary)
            elif ended.is_cancelled:
                self._say(text("logs.save.cancelled"))
            else:
                self._say(text("logs.saved", total=f"{ended.total:,}", path=path))

        job.finished.connect(done)
        job.start()

    @property
    def _columns(self) -> Columns:
        names = self._log.names if self._log is not None and self._lines.shows_names else ()
        return Columns(names, has_time=self._lines.shows_time)

    def _begin(self, job: LogExport, words: str) -> None:
        self._drop_job()
        self.job = job
        self.progress.setRange(0, max(1, job.total))
        self.progress.setValue(0)
        self.progress.show()
        self.cancel.show()
        self._say(words)
        job.progressed.connect(self._on_progress)

    def _on_progress(self, done: int, total: int) -> None:
        self.progress.setValue(done)
        if self.job is not None and self.job.path is not None:
            self._say(text("logs.saving", done=f"{done:,}", total=f"{total:,}"))

    def _cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()

    def _drop_job(self) -> LogExport | None:
        job, self.job = self.job, None
        if job is not None:
            job.progressed.disconnect()
            job.finished.disconnect()
        self.progress.hide()
        self.cancel.hide()
        return job

    def _say(self, words: str) -> None:
        self._said = words
        self.refresh()
