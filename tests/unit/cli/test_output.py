"""What the command line prints: steps once each, problems whole, nothing of a program's output on the wrong stream."""

from __future__ import annotations

import io
import json

import pytest

from backend.cli.output import ProgressPrinter, describe, print_problem
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    MachineResources,
    MachineStatus,
    Notice,
    Phase,
    StepState,
    StepStatus,
)
from backend.texts import problem_text

PROBLEM = Problem(
    code=ProblemCode.IMAGE_DAMAGED,
    summary=verbatim("The image is damaged."),
    hint=verbatim("Build it again."),
    command="cat it",
    tail=("one", "two"),
)


def step(name: str, state: StepState, elapsed_s: float | None = None) -> StepStatus:
    return StepStatus(name=name, title=verbatim(f"Doing {name}"), state=state, elapsed_s=elapsed_s)


def status(*steps: StepStatus, phase: Phase = Phase.BOOTING) -> MachineStatus:
    return MachineStatus(seq=1, phase=phase, desired=Desired.RUNNING, steps=steps)


def test_each_step_is_told_once_it_is_done() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(quiet=False, stream=stream)
    printer.show(status(step("a", StepState.ACTIVE, 0.1), step("b", StepState.PENDING)))
    assert stream.getvalue() == "", "no terminal: no line that changes"
    for _ in range(2):
        printer.show(status(step("a", StepState.DONE, 1.25), step("b", StepState.ACTIVE)))
    printer.show(status(step("a", StepState.DONE, 1.25), step("b", StepState.FAILED, 2)))
    printer.close()
    assert stream.getvalue() == "✓ Doing a  1.2 s\n✗ Doing b  2.0 s\n"


def test_a_step_that_is_tried_again_is_told_again() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(quiet=False, stream=stream)
    for state in (StepState.DONE, StepState.ACTIVE, StepState.DONE):
        printer.show(status(step("kernel", state, 1)))
    assert stream.getvalue().count("Doing kernel") == 2


def test_notices_stand_out_unless_they_only_inform() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(quiet=False, stream=stream)
    printer.note(Notice(level="warning", text=verbatim("careful")))
    printer.note(Notice(level="info", text=verbatim("by the way")))
    assert stream.getvalue() == "! careful\nby the way\n"


def test_quiet_is_quiet() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(quiet=True, stream=stream)
    printer.show(status(step("a", StepState.DONE, 1)))
    printer.note(Notice(level="error", text=verbatim("x")))
    printer.close()
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_step_under_way_is_replaced() -> None:
    stream = Terminal()
    printer = ProgressPrinter(quiet=False, stream=stream)
    printer.show(status(step("a", StepState.ACTIVE, 0.5)))
    printer.close()
    assert "… Doing a" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_a_problem_goes_whole_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_problem(PROBLEM, as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "The image is damaged.",
        "  command: cat it",
        "  | one",
        "  | two",
        "  what to do: Build it again.",
        "  (image-damaged)",
    ]
    print_problem(PROBLEM, as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["problem"] == {
        "code": "image-damaged",
        "summary": "The image is damaged.",
        "hint": "Build it again.",
        "command": "cat it",
        "tail": ["one", "two"],
        "retryable": False,
        "action": None,
    }


def test_a_status_tells_what_runs_and_why_not_better() -> None:
    text = describe(
        MachineStatus(
            seq=1,
            phase=Phase.DEGRADED,
            desired=Desired.RUNNING,
            accelerator=AcceleratorStatus(
                name="tcg", title=verbatim("software emulation"), hardware=False, reasons=(verbatim("KVM: no"),)
            ),
            endpoint=EngineEndpoint(url="unix:///x", ready=False),
            resources=MachineResources(cpus=2, memory_mib=1024, disk_gib=64),
            problems=(PROBLEM,),
            engine_version="28.5.2",
            boot_seconds=7.03,
        )
    )
    for words in (
        "degraded",
        "software emulation",
        "not KVM: no",
        "unix:///x  (not ready)",
        "2 CPUs",
        "28.5.2",
        "7.0 s",
    ):
        assert words in text
    assert problem_text(PROBLEM) in text
