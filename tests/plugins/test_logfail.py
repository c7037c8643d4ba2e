"""The plugin that fails tests by their log, on a run of pytest of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent.parent

TESTS = '''
import logging
import threading
import pytest
from tests.plugins import logfail

log = logging.getLogger("backend.some.module")

@pytest.fixture
def loud():
    yield
    log.warning("at the end")

def test_silent():
    log.info("nothing to see")
    logging.getLogger("another_library").error("a peer misbehaves")

def test_warns():
    log.warning("disk is %s", "full")

def test_warns_in_a_thread():
    thread = threading.Thread(target=lambda: logging.error("root, too"))
    thread.start()
    thread.join()

@pytest.mark.expect_log("module: disk is (full|empty)")
def test_expects_it():
    log.warning("disk is full")
    log.warning("disk is empty")

@pytest.mark.expect_log("disk is full")
def test_expects_another():
    log.warning("disk is full")
    log.exception("something else")

@pytest.mark.expect_log("disk is full")
def test_does_not_log_it():
    pass

@pytest.mark.expect_log("disk is full", at_least=0)
def test_need_not_log_it():
    pass

@pytest.mark.expect_log("disk is full")
def test_fails_for_a_reason_of_its_own():
    assert False

def test_warns_at_the_end(loud):
    pass

@pytest.mark.expect_log("at the end")
def test_expects_it_at_the_end(loud):
    pass

LOG = """
2026-11-28 10:00:00,000 WARNING backend.agent: a warning
2026-11-28 10:00:01,000 ERROR backend.agent: a defect
Traceback (most recent call last):
KeyError: 'x'
2026-11-28 10:00:02,000 INFO backend.agent: goes on
"""

@pytest.fixture
def agent(request):
    yield
    assert logfail.unexpected_errors(request.node, LOG) == ""

def test_has_an_agent_with_a_defect(agent):
    pass

@pytest.mark.expect_log("agent: a defect")
@pytest.mark.expect_log("agent: a warning")
def test_expects_the_agents_defect(agent):
    pass
'''


def test_tests_fail_by_what_they_log(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "tests.plugins.logfail", "-p", "no:cacheprovider", "-rfE", "-v")
    lines = result.stdout.str().splitlines()
    outcomes = {
        line.split("::")[1].split()[0]: line.split()[1] for line in lines if "::" in line and line.endswith("%]")
    }
    assert {name for name, outcome in outcomes.items() if outcome == "FAILED"} == {
        "test_warns", "test_warns_in_a_thread", "test_expects_another", "test_fails_for_a_reason_of_its_own",
    }  # fmt: skip
    result.stdout.fnmatch_lines_random(
        [
            "WARNING of backend.some.module, thread MainThread, *: disk is full",
            "ERROR of root, thread Thread-1*: root, too",
            "ERROR of backend.some.module, *: something else",
            "expected in the log, but not logged: 'disk is full'",
            "WARNING of backend.some.module, *: at the end",
            "ERROR *::test_does_not_log_it - *",
            "ERROR *::test_warns_at_the_end - *",
            "ERROR *::test_has_an_agent_with_a_defect - *",
            "*ERROR backend.agent: a defect*",
        ]
    )
    result.assert_outcomes(passed=8, failed=4, errors=3)
