"""A warning or an error that is logged fails the test during which it is logged, unless the test expects it.

    @pytest.mark.expect_log("the agent refused start")
    def test_a_refusal_is_said() -> None: ...

The mark takes a regular expression, searched in "LOGGER: MESSAGE". Every record that it matches is allowed, and at
least one has to come, so that a mark is not left behind when the warning is gone; `at_least=0` says that whether it
comes is a matter of timing. The mark can be given several times, and to a module by `pytestmark`.

That is about the test's own process. An agent that a test starts writes into a file, and warns as a matter of course: a
fixture that has agents gives their logs to `unexpected_errors`, which knows the same marks and looks at errors only.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from dataclasses import dataclass

import pytest

WATCHED = ("app", "backend", "tests", "asyncio", "root")
"""Top-level loggers. Other libraries log what their peers do wrong; what asyncio logs is a defect of its user."""
_FORMAT = logging.Formatter("%(levelname)s of %(name)s, thread %(threadName)s, %(filename)s:%(lineno)d: %(message)s")


@dataclass
class Expected:
    """One mark of a test."""

    pattern: re.Pattern[str]
    at_least: int
    seen: int = 0


class LogWatch(logging.Handler):
    """Sorts the records of one test after another into expected and unexpected ones."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._expected: list[Expected] = []
        self._unexpected: list[logging.LogRecord] = []

    def begin(self, expected: list[Expected]) -> None:
        """A test begins. What came after the end of the one before is the new one's, which is better than nobody's."""
        self._expected = expected

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record; called by any thread, under the handler's lock."""
        if record.name.split(".", 1)[0] not in WATCHED:
            return
        if not self.is_expected(f"{record.name}: {record.getMessage()}"):
            self._unexpected.append(record)

    def is_expected(self, text: str) -> bool:
        """Whether a mark matches "LOGGER: MESSAGE"; counts it."""
        matching = [expected for expected in self._expected if expected.pattern.search(text)]
        for expected in matching:
            expected.seen += 1
        return bool(matching)

    def take_unexpected(self) -> str:
        """The unexpected records since the last call, for a person; "" if there are none."""
        self.acquire()
        try:
            taken, self._unexpected = self._unexpected, []
        finally:
            self.release()
        return "\n".join(_FORMAT.format(record) for record in taken)

    def missing(self) -> str:
        """The marks for which too few records came, for a person; "" if there are none."""
        return ", ".join(repr(mark.pattern.pattern) for mark in self._expected if mark.seen < mark.at_least)


def marks_of(item: pytest.Item) -> list[Expected]:
    """What a test's marks expect."""

    def read(pattern: str, *, at_least: int = 1) -> Expected:
        return Expected(re.compile(pattern), at_least)

    return [read(*mark.args, **mark.kwargs) for mark in item.iter_markers("expect_log")]


_WATCH = pytest.StashKey[LogWatch]()


def pytest_configure(config: pytest.Config) -> None:
    """Watch from now to the end."""
    config.addinivalue_line("markers", "expect_log(pattern, at_least=1): this warning or error is logged by the test")
    watch = config.stash[_WATCH] = LogWatch()
    logging.getLogger().addHandler(watch)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Watch no longer."""
    logging.getLogger().removeHandler(config.stash[_WATCH])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Take the test's marks before its fixtures run."""
    item.config.stash[_WATCH].begin(marks_of(item))
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that passed, but logged what it did not expect."""
    yield
    _fail_on(item.config.stash[_WATCH].take_unexpected())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """The same for what the end of the fixtures logs; by then everything expected must have come."""
    yield
    watch = item.config.stash[_WATCH]
    _fail_on(watch.take_unexpected())
    missing = watch.missing()
    if missing and item.stash.get(_PASSED, False):
        pytest.fail(f"expected in the log, but not logged: {missing}", pytrace=False)


_PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself passed: one that failed half-way is not blamed for what it did not log."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


def unexpected_errors(item: pytest.Item, log: str) -> str:
    """The errors in an agent's log, with their tracebacks, that no mark of the test expects; "" if there are none.

    Args:
        item: the test, during the end of its fixtures.
        log: the content of the file.
    """
    watch = item.config.stash[_WATCH]
    found = list[str]()
    for entry in re.split(r"^(?=\d{4}-\d\d-\d\d )", log, flags=re.MULTILINE):
        matched = re.match(r"\S+ \S+ (\w+) (.*)", entry)
        # qemu.qmp reports a connection attempt that was cancelled while it failed as a defect of its own.
        is_ours = matched is not None and not matched[2].startswith("qemu.qmp")
        if matched and is_ours and not watch.is_expected(matched[2]) and matched[1] in ("ERROR", "CRITICAL"):
            found.append(entry)
    return "".join(found)


def _fail_on(unexpected: str) -> None:
    if unexpected:
        pytest.fail(f"logged, and not expected (see tests/plugins/logfail.py):\n{unexpected}", pytrace=False)
