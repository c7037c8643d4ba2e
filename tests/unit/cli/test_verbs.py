"""Verbs that need no machine: exit codes, settings, the environment, and that looking starts nothing."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import backend.cli.__main__ as command_line
from backend.cli.__main__ import main, make_parser
from backend.cli.machine import status_code, store_resources
from backend.cli.parser import ELSEWHERE
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Desired, MachineStatus, Phase
from backend.paths import MachineDir
from backend.settings import config
from backend.settings.disk import data_disk_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("WHERRY_HOME", str(tmp_path / "it's home"))
    return tmp_path / "it's home"


def paths(home: Path) -> MachineDir:
    return MachineDir(home=home, run=home / "run")


def test_looking_at_a_machine_that_was_never_made_makes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 3
    assert "stopped" in capsys.readouterr().out
    assert main(["status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["phase"] == "stopped"
    assert main(["stop"]) == 0
    assert main(["shell", "true"]) == 3
    assert main(["logs", "engine"]) == 3
    assert main(["stats"]) == 3
    assert main(["logs", "agent"]) == 1
    assert not home.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["logs", "everything"],
        ["logs", "-n", "0"],
        ["logs", "-n", "many"],
        ["config"],
        ["restart", "--kill", "--agent"],
    ],
)
def test_a_line_that_is_not_understood_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "_positive" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "meant"),
    [("ssh", "shell"), ("delete", "reset"), ("ls", "status"), ("strat", "start"), ("bug-report", "support-bundle")],
)
def test_an_unknown_command_names_the_one_that_is_meant(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([word])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert f"There is no command “{word}”." in error
    assert f"wherry {meant}" in error


def test_words_of_other_programs_are_no_commands_of_ours() -> None:
    names = set(make_parser().commands)
    assert set(ELSEWHERE) <= names
    assert not {word for words in ELSEWHERE.values() for word in words} & names


def test_a_start_that_names_resources_stores_all_of_them_or_none(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # without QEMU nothing starts
    assert main(["start", "--cpus", "2", "--memory", "many"]) == 1
    assert "many" in capsys.readouterr().err
    assert config.load(home / "config.toml").machine.cpus == 0
    make = make_parser().parse_args(["start", "--cpus", "2", "--memory", "1.5", "--disk", "80", "--home", str(home)])
    store_resources(make)
    machine = config.load(home / "config.toml").machine
    assert (machine.cpus, machine.memory_mib, machine.disk_gib) == (2, 1536, 80)


def test_a_log_is_cleaned_of_what_drives_a_terminal(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths(home).logs.mkdir(parents=True)
    paths(home).serial_log.write_bytes(b"first\r\nsecond \x1b[2J\x07 \xff\r\n\tthird\r\n")
    assert main(["logs", "guest", "-n", "2"]) == 0
    assert capsys.readouterr().out == "second �[2J� �\n\tthird\n"


def test_a_log_that_is_begun_anew_is_followed_and_nothing_of_it_is_said_twice(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths(home).logs.mkdir(parents=True)
    log, previous = paths(home).serial_log, paths(home).previous_serial_log
    log.write_bytes(b"a first run with many words\n")

    def begin_anew() -> None:
        log.replace(previous)
        with previous.open("ab") as file:
            file.write(b"the last word\n")
        log.write_bytes(b"again\n")

    def cut() -> None:
        log.write_bytes(b"cut\n")

    def leave() -> None:
        raise KeyboardInterrupt

    meanwhile = iter((begin_anew, lambda: None, cut, lambda: None, leave))
    monkeypatch.setattr("backend.cli.guest.time.sleep", lambda _seconds: next(meanwhile)())
    assert main(["logs", "guest", "-f"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a first run with many words", "the last word", "again", "cut"]


def test_settings_are_read_and_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "set", "machine.cpus", "3"]) == 0
    capsys.readouterr()
    assert main(["config", "get", "machine.cpus"]) == 0
    assert capsys.readouterr().out == "3\n"
    assert main(["config", "get", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["machine.cpus"] == 3
    assert main(["config", "set", "machine.cpus", "many"]) == 1
    assert "whole number" in capsys.readouterr().err
    assert main(["config", "get", "machine.colour", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problem"]["code"] == "bad-request"


def test_reset_without_a_terminal_asks_for_a_word(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths(home).machine.mkdir(parents=True)
    data_disk_path(paths(home)).write_text("precious")
    assert main(["reset"]) == 1
    assert "--yes" in capsys.readouterr().err
    assert data_disk_path(paths(home)).read_text() == "precious"


def test_a_question_that_is_not_answered_is_answered_no(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_of_file(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("backend.cli.asking.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", end_of_file)
    assert main(["reset"]) == 1
    assert "Nothing was changed." in capsys.readouterr().out
    assert not home.exists()


def test_the_context_is_made_and_removed(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["context", "add", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    assert main(["context", "remove", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"]
    (tmp_path / "docker" / "config.json").write_text("{")
    assert main(["context", "add"]) == 1
    assert "(context-failed)" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/fish"])
def test_the_environment_survives_a_shell(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    """The home has a quote in its name: the shell must still read one value."""
    import subprocess

    monkeypatch.setenv("SHELL", shell)
    assert main(["env"]) == 0
    text = capsys.readouterr().out
    if shell.endswith("fish"):
        assert text.startswith("set -gx DOCKER_HOST '")
        assert "it\\'s home" in text
        return
    script = text + 'printf %s "$DOCKER_HOST"'
    output = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == f"unix://{home / 'run' / 'docker.sock'}" or "/tmp/wherry-" in output


def named_functions() -> Iterator[tuple[str, str]]:
    """Module and function of every command: they are imported by name, when the command runs."""
    for node in ast.walk(ast.parse(Path(command_line.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
            if node.func.id == "verb" and len(given) == 3:
                yield "checkpoints", str(given[2])
            elif node.func.id == "verb" or (node.func.id == "_lazy" and None not in given):
                yield str(given[-2]), str(given[-1])


def test_every_command_names_a_function_that_there_is() -> None:
    found = set(named_functions())
    assert len(found) > 20
    for module, function in found:
        assert callable(getattr(importlib.import_module(f"backend.cli.{module}"), function, None)), (module, function)


PROBLEM = Problem(code=ProblemCode.ENGINE_DOWN, summary=verbatim("It is away."))


@pytest.mark.parametrize("problems", [(), (PROBLEM,)])
@pytest.mark.parametrize("phase", list(Phase))
def test_the_exit_code_of_status_says_whether_the_machine_is_there(phase: Phase, problems: tuple[Problem, ...]) -> None:
    status = MachineStatus(seq=1, phase=phase, desired=Desired.RUNNING, problems=problems)
    down = phase in (Phase.STOPPED, Phase.SUSPENDED, Phase.STOPPING)
    assert status_code(status) == (3 if down else 1 if problems else 0)
