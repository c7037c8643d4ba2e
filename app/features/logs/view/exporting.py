"""The line below a log: how it stands, how many lines there are; and copying and saving, with their progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from app.features.logs.data.buffer import MAX_LINES
from app.features.logs.data.export import Columns, LogExport, columns_of
from app.features.logs.data.feed import FIRST_LINES
from app.features.logs.data.followed import ARRIVING_S, FollowedLog, LogState
from app.features.logs.data.spill import DISK_LIMIT_BYTES
from app.features.logs.view.layouts import utf16_slice
from app.features.logs.view.lines_view import LinesView
from app.texts import _, message, ngettext, problem_text, say
from app.ui import theme
from app.ui.figures import rough_time
from app.ui.safe_text import tooltip
from app.ui.widgets import button, label
from backend.api import Problem

COPY_LINES: Final = 100_000
"""More would be a clipboard that no other program can take."""
_STATES: Final = {
    LogState.OPENING: message("Opening…"),
    LogState.FOLLOWING: message("Following"),
    LogState.IN_TURN: message("Updated every few seconds"),
    LogState.ENDED: message("Ended"),
    LogState.RECONNECTING: message("Reconnecting…"),
}
_AT_ONCE: Final = 2_000


class Exporting(QFrame):
    """A function of the log, but for what it is just doing."""

    older_wanted = Signal()

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
        self.progress.setAccessibleName(_("Save log"))
        self.progress.setFixedWidth(theme.px(140))
        self.cancel = button(_("Cancel"), self._cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.px(12), theme.px(4), theme.px(12), theme.px(4))
        row.setSpacing(theme.px(10))
        row.addWidget(self.state, 1)
        self.older = button(_("Load older lines"), self.older_wanted.emit, "link")
        self._again = QTimer(self, singleShot=True, interval=round(ARRIVING_S * 1000) + 100)
        self._again.timeout.connect(self.refresh)
        for widget in (self.older, self.progress, self.cancel, self.count):
            row.addWidget(widget)
        self.progress.hide()
        self.cancel.hide()
        self._said = ""
        bounds = _(
            "Shows the newest {tail:,} lines at first. Keeps up to {lines:,} lines or {size} GiB.",
            tail=FIRST_LINES,
            lines=MAX_LINES,
            size=DISK_LIMIT_BYTES // 1024**3,
        )
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
            self.older.hide()
            return
        self.older.setVisible(self._log.has_older)
        count = self._lines.shown.count
        if self._log.buffer.first:
            self.count.setText(_("newest {count:,} lines; older lines were dropped", count=count))
        else:
            self.count.setText(ngettext("{count:,} line", "{count:,} lines", count))
        words, tip = self._states(self._log)
        if behind := self._log.behind_s:
            words = _("Catching up, {time} behind", time=rough_time(behind))
            self._again.start()  # no line may come that ends it
        self.state.setText(self._said or words)
        self.state.setToolTip(tooltip(tip))

    @staticmethod
    def _states(log: FollowedLog) -> tuple[str, str]:
        problems = [
            _("{name}: {summary}", name=name, summary=problem_text(each.problem))
            for name, each in zip(log.names, log.states, strict=True)
            if each.problem is not None
        ]
        tip = "\n\n".join(problems[:8])
        if len(log.states) == 1:
            (only,) = log.states
            words = say(_STATES[only.state])
            return (f"{words} – {only.problem.summary}" if only.problem is not None else words), tip
        counted = Counter(each.state for each in log.states)
        words = " · ".join(_counted(state, counted[state]) for state in LogState if counted[state])
        if problems:
            failed = next(at for at, each in enumerate(log.states) if each.problem is not None)
            problem = log.states[failed].problem
            assert problem is not None
            words += " – " + _("{name}: {summary}", name=log.names[failed], summary=problem.summary)
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
        parts = []
        for number in numbers:
            line = layouts.line(number)
            start = low.at if number == low.number else 0
            stop = high.at if number == high.number else None
            # The first line without what is before the selection has no use for its columns.
            parts.append(("" if start else columns_of(line, self._columns)) + utf16_slice(line.text, start, stop))
        QGuiApplication.clipboard().setText("\n".join(parts))

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
        self._begin(job, _("Copying…"))

        def done(_problem: Problem | None) -> None:
            if self._drop_job() is not None and not job.is_cancelled:
                QGuiApplication.clipboard().setText(job.text.removesuffix("\n"))
                count = len(chosen)
                self._say(
                    _("Copied the newest {count:,} lines. Save to a file to get them all.", count=count)
                    if is_bounded
                    else ngettext("Copied {count:,} line", "Copied {count:,} lines", count)
                )

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
        self._begin(job, _("Saving {done:,} of {total:,} lines", done=0, total=len(numbers)))

        def done(problem: Problem | None) -> None:
            if (ended := self._drop_job()) is None:
                return
            if problem is not None:
                self._say(say(problem.summary))
            elif ended.is_cancelled:
                self._say(_("Canceled. Nothing was saved."))
            else:
                self._say(_("Saved {total:,} lines to {path}", total=ended.total, path=str(path)))

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
            self._say(_("Saving {done:,} of {total:,} lines", done=done, total=total))

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


def _counted(state: LogState, count: int) -> str:
    match state:
        case LogState.FOLLOWING:
            return ngettext("{count} following", "{count} following", count)
        case LogState.IN_TURN:
            return ngettext("{count} updated every few seconds", "{count} updated every few seconds", count)
        case LogState.ENDED:
            return ngettext("{count} ended", "{count} ended", count)
        case LogState.OPENING:
            return ngettext("{count} opening", "{count} opening", count)
        case LogState.RECONNECTING:
            return ngettext("{count} reconnecting", "{count} reconnecting", count)
