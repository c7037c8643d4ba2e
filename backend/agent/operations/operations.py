"""Long operations on the machine: at most one at a time, told to everybody, owned by the agent, safe to be killed in.

An operation is an async function that gets a handle. It belongs to the agent: a client that leaves does not end it, and
whoever asked is answered when it has ended, by its result or its problem. While it is under way every other operation
and every start or stop by a user is refused (BUSY), and docker clients are held where it says so.

What it has begun to change it notes in the journal first (`journal.py`). Whatever ends it before it is done (a problem,
a cancel, a defect of ours, the end of the agent), the recovery that belongs to the journal decides: finish, roll back,
or only clean up; in this agent, or in the next one. The journal is removed when the recovery has succeeded. Until then
nothing is started: each start tries the recovery again, and an operation that gives the disk a content of its own may
take its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from backend.agent.core import journal as journals
from backend.agent.core.changes import Value
from backend.agent.core.journal import Journal
from backend.agent.core.tasks import Background, defect
from backend.control import messages
from backend.control.messages.request import Handler, Request
from backend.errors import Cancelled, Problem, ProblemCode, WherryError, fail
from backend.messages import Message, message, sentences, verbatim
from backend.model import Notice, OperationStatus

_log = logging.getLogger(__name__)

_HOLD_S: Final = 300.0
_BEGIN_S: Final = 300.0
"""Much more than it takes to find that a QEMU cannot be adopted."""
_VISIBLE: Final = 0.01
"""A change of the fraction that is worth telling everybody of."""

Result = TypeVar("Result")


class Stage(Protocol):
    """What is needed of the supervisor."""

    @property
    def has_begun(self) -> bool:
        """True once adoption has been attempted."""
        ...

    async def until(self, condition: Callable[[], Value], what: Message, *, timeout_s: float | None) -> Value:
        """See `Changes.until`."""
        ...

    def show_operation(self, operation: OperationStatus | None) -> None:
        """Something long is being done with the machine, or no longer."""
        ...


class Operation:
    """The handle that an operation is given."""

    def __init__(self, name: str, title: Message, journal_file: Path, show: Callable[[OperationStatus], None]) -> None:
        self.status = OperationStatus(name=name, title=title)
        self.journal: Journal | None = None
        """As last noted; None: nothing is to be undone."""
        self.has_noted = False
        """Whether it has, or had, a journal."""
        self.holds_clients = False
        """Docker clients wait until it has ended: what they would write now might be rolled back."""
        self._journal_file = journal_file
        self._show = show
        self._cancel = asyncio.Event()

    def step(self, text: Message, fraction: float | None = None) -> None:
        """Tell what is being done now, and how much of it is done (0 to 1; None: nobody knows)."""
        shown = self.status.fraction
        is_same = text == self.status.step and fraction is not None and shown is not None
        if is_same and abs((fraction or 0) - (shown or 0)) < _VISIBLE:
            return
        self._change(replace(self.status, step=text, fraction=fraction))

    @property
    def cancellable(self) -> bool:
        """Whether `operation.cancel` takes it back now."""
        return self.status.cancellable

    @cancellable.setter
    def cancellable(self, value: bool) -> None:
        self._change(replace(self.status, cancellable=value))

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has asked for its end; to be read by threads."""
        return self._cancel.is_set()

    def check_cancelled(self) -> None:
        """Raise Cancelled if somebody has asked for its end."""
        if self.is_cancelled:
            raise Cancelled(
                Problem(
                    code=ProblemCode.CANCELLED,
                    summary=message("{title}: canceled. Nothing was changed.", title=self.status.title),
                    retryable=True,
                )
            )

    def cancel(self) -> None:
        """Ask for its end. Raises WherryError (WRONG_PHASE) when it can no longer be taken back."""
        if not self.cancellable:
            raise fail(
                ProblemCode.WRONG_PHASE,
                message("{title}: can't be canceled anymore.", title=self.status.title),
                hint=message("It will finish soon. Check: wherry status"),
            )
        self._cancel.set()

    async def unless_cancelled(self, work: Awaitable[Result]) -> Result:
        """Await something that may be dropped in its middle. Raises Cancelled, having cancelled it."""
        self.check_cancelled()
        working = asyncio.ensure_future(work)
        asking = asyncio.ensure_future(self._cancel.wait())
        try:
            await asyncio.wait({working, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self.check_cancelled()
            return await working
        finally:
            asking.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait({working})

    async def note(self, stage: str, *, was_running: bool | None = None, **details: Any) -> None:
        """Write the journal: from here on, a kill of the agent is followed by the operation's recovery.

        Args:
            stage: how far it has come.
            was_running: whether the machine is to run again; kept from the last note if None.
            **details: added to those of the last note.

        Raises:
            WherryError: it cannot be written; what it announces MUST NOT be done.
        """
        before = self.journal
        if was_running is None:
            was_running = before.was_running if before is not None else False
        noted = Journal(
            name=self.status.name,
            stage=stage,
            was_running=was_running,
            details={**(before.details if before is not None else {}), **details},
        )
        await asyncio.to_thread(journals.save, self._journal_file, noted)
        self.journal, self.has_noted = noted, True

    async def end_journal(self) -> None:
        """Whatever happens from here on, nothing is to be undone. Raises WherryError: the journal is still there."""
        if self.journal is not None:
            # Not taken back when the agent ends: the next one would take it for an operation that was interrupted.
            await asyncio.shield(asyncio.to_thread(journals.end, self._journal_file))
            self.journal = None

    def _change(self, status: OperationStatus) -> None:
        if status != self.status:
            self.status = status
            self._show(status)


Work = Callable[[Operation], Awaitable[Result]]
Recovery = Callable[[Operation, Journal, BaseException | None], Awaitable[Message | None]]
"""Puts in order what an operation left half done. Gets the journal, and what was raised (None: its agent was killed).

Returns what the user is told after a kill. Raises WherryError: it is tried again, unless the journal was ended before.
"""


class Operations:
    """One per agent."""

    def __init__(
        self,
        journal_file: Path,
        supervisor: Stage,
        *,
        notify: Callable[[Notice], None],
    ) -> None:
        """Make it.

        Args:
            journal_file: where an operation's journal is, and where one may have been left.
            notify: called with what came of one that was left.
        """
        self._journal_file = journal_file
        self._supervisor = supervisor
        self._notify = notify
        self._recoveries: dict[str, tuple[Message, Recovery]] = {}
        self._left = journals.load(journal_file)
        """What is not in order yet: of an earlier agent, or since a recovery failed."""
        self._unsettled: Problem | None = None
        """Why the recovery of `_left` failed; None: it was not tried yet."""
        self._is_closing = False
        self._current: Operation | None = None
        self._tasks = Background(lambda problem: notify(Notice(level="error", text=problem.summary)))
        self._task: asyncio.Task[Any] | None = None

    def handlers(self) -> tuple[Handler, ...]:
        """For the control channel."""
        return (messages.CancelOperation.handled_by(self._ask_cancel),)

    def keep_apart(self, *handlers: Handler) -> tuple[Handler, ...]:
        """The same requests, refused (BUSY) while an operation is under way."""

        def refusing(handler: Handler) -> Handler:
            async def ask(request: Request[Any]) -> msgspec.Struct:
                self.refuse_meanwhile()
                return await handler.handle(request)

            return Handler(handler.kind, ask)

        return tuple(refusing(handler) for handler in handlers)

    def register(self, name: str, title: Message, recovery: Recovery) -> None:
        """Say who decides about a journal of this name; before `run_recovery`."""
        self._recoveries[name] = (title, recovery)

    @property
    def has_left(self) -> bool:
        """Whether something is to be put in order before anything is started."""
        return self._left is not None

    @property
    def is_under_way(self) -> bool:
        """Whether an operation or a recovery is at work, or about to be."""
        return self._current is not None or (self.has_left and self._unsettled is None)

    @property
    def is_busy(self) -> bool:
        """Whether no other may begin: one is under way, or something is to be put in order first."""
        return self._current is not None or self.has_left

    def refuse_under_way(self) -> None:
        """Raises WherryError (BUSY), naming what is under way."""
        if self.is_under_way:
            raise fail(
                ProblemCode.BUSY,
                message("Not available now: {title}", title=self._title()),
                hint=message("Wait until it is finished (wherry status), or cancel it if possible."),
                retryable=True,
            )

    def refuse_meanwhile(self) -> None:
        """Raises WherryError: BUSY, naming what is under way; or why something could not be put in order yet."""
        self.refuse_under_way()
        if self._unsettled is not None:
            why = self._unsettled
            raise WherryError(
                replace(
                    why,
                    summary=sentences(
                        message("{title}: interrupted and not finished yet.", title=self._title()), why.summary
                    ),
                )
            )

    async def admit(self) -> None:
        """Let docker clients wait while the operation under way wants that. Raises WherryError (BUSY) at the end."""

        def is_held() -> bool:
            return self.has_left or (self._current is not None and self._current.holds_clients)

        with contextlib.suppress(WherryError):  # what is under way is told instead
            await self._supervisor.until(
                lambda: not is_held() or self._unsettled is not None,
                message("The current operation didn't finish."),
                timeout_s=_HOLD_S,
            )
        if is_held():
            self.refuse_meanwhile()

    async def run(self, name: str, title: Message, work: Work[Result], *, replaces: bool = False) -> Result:
        """Do it, and return its result. Goes on when the caller is cancelled.

        Args:
            name: of its journal, too.
            title: in the user's words.
            work: what is done.
            replaces: it gives the disk a content of its own, and so is done although something else could not be put
                in order.

        Raises:
            WherryError: BUSY, or what became of it; when it could not be put in order either, that.
        """
        if replaces:
            self.refuse_under_way()
        else:
            self.refuse_meanwhile()
        operation = self._begin(name, title)
        self._task = task = self._tasks.spawn(self._perform(operation, work), str(title))
        return await asyncio.shield(task)

    async def run_recovery(self) -> None:
        """Put in order what an earlier agent left, if anything; once, when the agent starts."""
        await self._supervisor.until(
            lambda: self._supervisor.has_begun,
            message("The agent doesn't know yet whether the machine is running."),
            timeout_s=_BEGIN_S,
        )
        if self._left is not None:
            _log.warning("an earlier agent was ended during %s (%s)", self._left.name, self._left.stage)
            with contextlib.suppress(WherryError):  # told
                await self._recover_left()

    async def settle(self) -> None:
        """Try again to put in order what could not be, if anything. Raises WherryError: it still cannot be."""
        if self._unsettled is not None and self._current is None:
            await self._recover_left()

    async def aclose(self) -> None:
        """The agent ends: what is under way is left to the next one, by its journal."""
        self._is_closing = True
        await self._tasks.aclose()

    def _title(self) -> Message:
        if self._current is not None:
            return self._current.status.title
        assert self._left is not None
        return self._recoveries.get(self._left.name, (verbatim(self._left.name), None))[0]

    def _begin(self, name: str, title: Message) -> Operation:
        operation = self._current = Operation(name, title, self._journal_file, self._supervisor.show_operation)
        self._supervisor.show_operation(operation.status)
        return operation

    async def _perform(self, operation: Operation, work: Work[Result]) -> Result:
        try:
            result = await work(operation)
        except BaseException as error:
            if self._is_closing:
                raise  # the journal stays
            if operation.journal is not None:
                _log.warning("%s ended early and is taken back: %r", operation.status.name, error)
                await self._put_in_order(operation, operation.journal, error)
            self._end(operation)
            if isinstance(error, asyncio.CancelledError):  # of nobody's that is known: whoever asked is to hear of it
                raise WherryError(defect(str(operation.status.title), error)) from error
            raise
        await self._end_journal(operation)
        self._end(operation)
        return result

    async def _recover_left(self) -> None:
        """Run the recovery of what was left. Raises WherryError, which is told to everybody, too."""
        assert self._left is not None
        left, title, self._unsettled = self._left, self._title(), None
        operation = self._begin(left.name, title)
        operation.journal, operation.has_noted, operation.holds_clients = left, True, True

        async def recover() -> None:
            told = await self._put_in_order(operation, left, None)
            self._end(operation)
            if told is not None:
                self._notify(Notice(level="warning", text=told))

        await asyncio.shield(self._tasks.spawn(recover(), str(title)))

    async def _put_in_order(self, operation: Operation, journal: Journal, why: BaseException | None) -> Message | None:
        """Run the recovery, and end the journal with it.

        Raises:
            WherryError: what the recovery raised. If the journal is still there, that is tried again later.
        """
        title, recovery = self._recoveries.get(journal.name, (verbatim(journal.name), None))
        told: Message | None = message("{title}: interrupted by another version of Wherry.", title=title)
        operation.cancellable, operation.holds_clients = False, True
        try:
            if recovery is not None:
                told = await recovery(operation, journal, why)
        except BaseException as error:
            if self._is_closing:
                raise
            problem = error.problem if isinstance(error, WherryError) else defect(str(title), error)
            _log.error("%s", problem.as_text(), exc_info=None if isinstance(error, WherryError) else error)
            unsettled = operation.journal
            self._end(operation)
            if unsettled is not None:
                self._left, self._unsettled = unsettled, problem
            text = sentences(message("{title}: interrupted.", title=title), problem.summary, problem.hint)
            self._notify(Notice(level="error", text=text))
            raise WherryError(problem) from error
        await self._end_journal(operation)
        return told

    async def _end_journal(self, operation: Operation) -> None:
        try:
            await operation.end_journal()
        except WherryError as error:
            self._notify(Notice(level="error", text=error.problem.summary))

    def _end(self, operation: Operation) -> None:
        """It is no longer under way. What was left before it stands, unless it has taken that one's place."""
        if operation.has_noted:
            self._left = self._unsettled = None
        self._current = None
        self._supervisor.show_operation(None)

    async def _ask_cancel(self, _request: messages.CancelOperation) -> messages.OperationCancelled:
        if self._current is None:
            raise fail(ProblemCode.WRONG_PHASE, message("There is nothing to cancel."))
        self._current.cancel()
        return messages.OperationCancelled(operation=self._current.status)
