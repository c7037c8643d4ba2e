"""What the guest reports, as the user is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.agent.core.guest import explain, explain_oom, is_warning
from backend.errors import Action, ProblemCode
from backend.vm.guest import GuestProblem, OutOfMemory

ID = "ab" * 32
_MEMCG = (
    f"[ 99.1] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,"
    f"oom_memcg=/docker/{ID},task_memcg=/docker/{ID},task=tail,pid=1234,uid=0"
)
LIMIT = "A process was killed because its memory limit was reached: tail (1234) in the container abababababab."
_GLOBAL = (
    "[ 99.1] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/,task=a, b,pid=77,uid=0"
)


@pytest.mark.parametrize(
    ("count", "line", "level", "text"),
    [
        (
            1,
            _MEMCG,
            "warning",
            LIMIT,
        ),
        (
            3,
            _GLOBAL,
            "error",
            "The machine ran out of memory, and a process was killed: a, b (77) and 2 more.",
        ),
        (
            1,
            _GLOBAL.replace("task_memcg=/,task=a, b", "task_memcg=/system/dockerd,task=dockerd"),
            "error",
            "The machine ran out of memory, and a process was killed: dockerd (77).",
        ),
        (1, "", "error", "The machine ran out of memory, and a process was killed."),
    ],
)
def test_whom_the_kernel_ended(count: int, line: str, level: str, text: str) -> None:
    notice = explain_oom(OutOfMemory(count, line))
    assert (notice.level, str(notice.text)) == (level, text)


@given(st.text(max_size=300))
def test_no_line_of_the_kernel_does_harm(line: str) -> None:
    assert str(explain_oom(OutOfMemory(1, line)).text).isprintable()


@pytest.mark.parametrize(
    ("code", "ours", "warning", "action"),
    [
        ("data-full", ProblemCode.DATA_DISK_FULL, True, None),
        ("data-full-now", ProblemCode.DATA_DISK_FULL, False, None),
        ("memory-low", ProblemCode.MEMORY_LOW, True, Action.RECLAIM),
        ("engine-crash", ProblemCode.ENGINE_DOWN, False, Action.RESTART),
        ("swap", ProblemCode.GUEST_FAULT, True, Action.RESTART),
        ("odd", ProblemCode.GUEST_FAULT, False, None),
    ],
)
def test_a_problem_of_the_guest(code: str, ours: ProblemCode, warning: bool, action: Action | None) -> None:
    reported = GuestProblem(code, "its\x1b words")
    problem = explain(reported)
    assert (problem.code, problem.action, is_warning(reported)) == (ours, action, warning)
    assert problem.tail == ("its words",)
