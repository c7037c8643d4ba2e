"""Every command with every option, whatever the output is: another encoding, closed, full, or without a reader.

The machine's home is a file, so that no command can begin anything; each says so, in text or as JSON. Those that need
no home, or only look at one, are run on a proper home, too.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli.__main__ import main, make_parser
from backend.cli.exits import EXIT_OUTPUT_CLOSED, EXIT_PROBLEM
from backend.texts import choose_language

LOSES = {"full": EXIT_PROBLEM, "no reader": EXIT_OUTPUT_CLOSED}
"""Outputs that lose what is written, and the exit code of a command that writes to them."""
MARKS = "✓✗…“”‘’—–·•→×≥≤"
POSITIONAL = {
    "CHECK": ["home"],
    "command": ["true"],
    "directory": ["elsewhere"],
    "file": ["bundle.zip"],
    "id": ["1"],
    "key": ["machine.cpus"],
    "name": ["spring"],
    "size_gib": ["100"],
    "topic": ["ports"],
    "value": ["2"],
    "wanted": ["status"],
    "which": ["agent"],
}
"""An argument for each positional parameter of a command, by its metavar or name."""
OPTION_VALUES = {"--lines": "3", "--image": "image", "--cpus": "2", "--memory": "1.5", "--disk": "80"}
ON_A_PROPER_HOME = {"status", "help", "env", "ports", "stats", "logs", "shell", "console", "suspend", "stop", "config"}


def command_lines() -> list[list[str]]:
    """Every command, bare and with each of its options; only one that waits for Ctrl-C is left out."""
    found: list[list[str]] = [["--help"], ["--version"], ["nothing"], []]

    def walk(parser: argparse.ArgumentParser, words: list[str]) -> None:
        positional: list[str] = []
        options: list[list[str]] = []
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, sub in action.choices.items():
                    walk(sub, [*words, name])
                return
            if not action.option_strings:
                positional += POSITIONAL[str(action.metavar if action.metavar in POSITIONAL else action.dest)]
            elif (name := action.option_strings[-1]) not in ("--help", "--home", "--follow"):
                options.append([name] if action.nargs == 0 else [name, OPTION_VALUES[name]])
        found.append([*words, "--help"])
        found.extend([*words, *option, *positional] for option in ([], *options))

    walk(make_parser(), [])
    return found


COMMANDS = command_lines()
BARE = [words for words in COMMANDS if not any(word.startswith("-") for word in words)]


def on_a_proper_home(words: list[str]) -> bool:
    return words[:1] == [] or words[0] in ON_A_PROPER_HOME or words[0].startswith("--")


class Stage:
    """Runs commands in this process with a standard output of the test's."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._base = base
        self._monkeypatch = monkeypatch
        (base / "file").write_text("no folder")

    def run(self, words: list[str], output: str, *, proper_home: bool) -> tuple[int, bytes]:
        """Its exit code, and what it has printed, on both streams."""
        home = self._base / ("home" if proper_home else "file")
        self._monkeypatch.setenv("WHERRY_HOME", str(home))
        encoding = output if output in ("ascii", "iso-8859-1") else "utf-8"
        printed, said = self._base / "out", self._base / "err"
        err = said.open("w", encoding=encoding)
        out: io.TextIOWrapper | None
        match output:
            case "closed":
                out = None
            case "full":
                out = Path("/dev/full").open("w", encoding=encoding)  # noqa: SIM115 -- closed below
            case "no reader":
                reader, writer = os.pipe()
                os.close(reader)
                out = os.fdopen(writer, "w", encoding=encoding)
            case _:
                out = printed.open("w", encoding=encoding)
        self._monkeypatch.setattr(sys, "stdout", out)
        self._monkeypatch.setattr(sys, "stderr", err)
        self._monkeypatch.setattr(sys, "stdin", Path(os.devnull).open(encoding="ascii"))  # noqa: SIM115
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            for stream in (sys.stdin, sys.stdout, sys.stderr):
                stream.close()
            self._monkeypatch.undo()
        text = printed.read_bytes() if out is not None and output not in LOSES else b""
        return code, text + said.read_bytes()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as environment:
        for name in ("HOME", "DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            environment.setenv(name, str(tmp_path / name))
        for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
            environment.delenv(name, raising=False)
        environment.chdir(tmp_path)
        with pytest.MonkeyPatch.context() as monkeypatch:
            yield Stage(tmp_path, monkeypatch)
    choose_language("en")


@pytest.mark.parametrize("output", ["ascii", "iso-8859-1", "closed", "full", "no reader"])
def test_every_command_ends_with_its_own_code_wherever_its_output_leads(stage: Stage, output: str) -> None:
    if output == "full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    wrong: list[object] = []
    usual = usual_outcomes(stage)
    for words in COMMANDS:
        for proper_home in (False, True) if on_a_proper_home(words) else (False,):
            for more in ([], ["--json"]):
                if more and words not in BARE:
                    continue
                code, text = usual[(*words, *more), proper_home]
                there, seen = stage.run([*words, *more], output, proper_home=proper_home)
                expected = {code, LOSES[output]} if output in LOSES else {code}
                if there not in expected or code not in (0, 1, 2, 3) or b"Traceback" in text + seen:
                    wrong.append((words, more, code, there, seen[-300:]))
                if output in ("ascii", "iso-8859-1"):
                    plain = seen.decode(output)
                    if any(mark in plain for mark in MARKS if mark not in "·×") or plain.count("?") > text.count(b"?"):
                        wrong.append((words, more, plain))
    assert not wrong


_usual: dict[tuple[tuple[str, ...], bool], tuple[int, bytes]] = {}


def usual_outcomes(stage: Stage) -> dict[tuple[tuple[str, ...], bool], tuple[int, bytes]]:
    """The exit code and the output of each command where the output takes everything; tried once."""
    if not _usual:
        for words in COMMANDS:
            for more in ([], ["--json"]):
                for proper_home in (False, True):
                    if on_a_proper_home(words) or not proper_home:
                        outcome = stage.run([*words, *more], "utf-8", proper_home=proper_home)
                        _usual[(*words, *more), proper_home] = outcome
    return _usual


def test_all_commands_are_tried() -> None:
    assert len(COMMANDS) > 80
    assert {"doctor", "checkpoint", "disk", "context", "support-bundle"} <= {words[0] for words in COMMANDS if words}


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a German locale whose encoding is ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE")], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("localedef has no German locale to make")
    return folder


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    wherry = f'wherry() {{ "{sys.executable}" -m backend.cli "$@"; }}\n'
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", wherry + script],
        capture_output=True,
        env={**inherited, **environment},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("locale", ["de_DE", "C", "POSIX"])
def test_a_real_locale(german: Path, tmp_path: Path, locale: str) -> None:
    # Without these two Python takes C for UTF-8.
    plain = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell("wherry doctor home", LC_ALL=locale, LOCPATH=str(german), WHERRY_HOME=str(tmp_path / "Zoë"), **plain)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\n+ " in done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_problem(tmp_path: Path, unbuffered: str) -> None:
    log = tmp_path / "home/logs/agent.log"
    log.parent.mkdir(parents=True)
    log.write_text("a line of the log\n" * 20_000)
    done = shell(
        "wherry logs agent -n 20000 | head -n 1", WHERRY_HOME=str(tmp_path / "home"), PYTHONUNBUFFERED=unbuffered
    )
    assert (done.stdout, done.stderr) == (b"a line of the log\n", b"")
    assert done.returncode == EXIT_OUTPUT_CLOSED


@pytest.mark.parametrize(
    ("script", "code"), [("wherry help nothing 2>/dev/full", 2), ("wherry shell true 2>/dev/full", 3)]
)
def test_messages_that_are_lost_change_no_exit_code(script: str, code: int, tmp_path: Path) -> None:
    assert shell(script, WHERRY_HOME=str(tmp_path)).returncode == code


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    script = (
        "import os; from backend.cli.streams import prepare_streams; prepare_streams();"
        "file = open(os.environ['FILE'], 'w'); os._exit(file.fileno() < 3)"
    )
    done = shell(f'"{sys.executable}" -c "{script}" <&- >&- 2>&-', FILE=str(tmp_path / "file"))
    assert done.returncode == 0


def test_a_pipe_that_does_not_block_gets_everything() -> None:
    script = (
        "import os; from backend.cli.streams import prepare_streams; os.set_blocking(1, False);"
        "prepare_streams(); print('x' * 1_000_000)"
    )
    done = shell(f'"{sys.executable}" -c "{script}" | (sleep 0.3; wc -c)')
    assert (done.stdout.strip(), done.stderr) == (b"1000001", b"")
