"""The language of the command line, and what it prints where characters or the output itself are lacking."""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from backend.cli.__main__ import main
from backend.cli.asking import confirmed
from backend.cli.streams import prepare_streams
from backend.texts import choose_language

LOCALES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
PORTUGUESE = {"LANG": "pt_BR.UTF-8"}


@pytest.fixture(autouse=True)
def english_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("WHERRY_HOME", str(tmp_path / "home"))
    yield
    choose_language("en")


def set_locale(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name in LOCALES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (PORTUGUESE, "máquina      parada"),
        ({"LC_MESSAGES": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, "máquina      parada"),
        ({"LC_ALL": "en_US.UTF-8", "LC_MESSAGES": "pt_BR", "LANG": "pt_BR.UTF-8"}, "machine      stopped"),
        ({"LC_ALL": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, "máquina      parada"),
        ({"LC_ALL": "C", "LANG": "pt_BR.UTF-8"}, "machine      stopped"),
        ({"LANG": "POSIX"}, "machine      stopped"),
        ({"LANG": "tlh_QO.UTF-8"}, "machine      stopped"),
        ({}, "machine      stopped"),
    ],
)
def test_the_environment_chooses_the_language(
    environment: Mapping[str, str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_locale(monkeypatch, environment)
    assert main(["status"]) == 3
    assert capsys.readouterr().out == f"{line}\n"


def test_a_problem_and_the_help_are_translated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_locale(monkeypatch, PORTUGUESE)
    assert main(["shell", "true"]) == 3
    assert "A máquina está parada." in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "códigos de saída:" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["status"], ["config", "get"], ["config", "get", "no.setting"], ["disk", "status"]]
)
def test_json_and_exit_codes_are_the_same_in_every_language(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_locale(monkeypatch, {})
    code = main([*arguments, "--json"])
    english = json.loads(capsys.readouterr().out)
    english.pop("free_bytes", None)
    set_locale(monkeypatch, PORTUGUESE)
    assert main([*arguments, "--json"]) == code
    portuguese = json.loads(capsys.readouterr().out)
    portuguese.pop("free_bytes", None)
    assert portuguese == english


@pytest.mark.parametrize("answer", ["sim", "yes"])
def test_a_question_takes_the_answer_of_the_language_and_the_english_one(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_language("pt")
    prompts: list[str] = []
    monkeypatch.setattr("backend.cli.asking.sys.stdin.isatty", lambda: True, raising=False)

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return answer

    monkeypatch.setattr("builtins.input", ask)
    assert confirmed(argparse.Namespace(yes=False), "reset", "?")
    assert prompts == ["Digite sim para continuar: "]


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("iso-8859-1", '+ x ... "é"'),
        ("ascii", '+ x ... "e"'),
        ("utf-8", "✓ ✗ … “é”"),
    ],
)
def test_characters_that_the_encoding_lacks_are_replaced(
    encoding: str, printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    prepare_streams()
    sys.stdout.write("✓ ✗ … “é” 汉 \udcff")
    sys.stdout.flush()
    rest = " 汉 ".encode() if encoding == "utf-8" else b" ? "
    assert raw.getvalue() == printed.encode(encoding) + rest + b"\xff"


def run(arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command line in a shell, which can redirect it."""
    inherited = {name: value for name, value in os.environ.items() if name not in LOCALES}
    return subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m backend.cli {arguments}'],
        capture_output=True,
        env={**inherited, **environment},
        timeout=60,
        check=False,
    )


def test_a_western_european_terminal_gets_its_own_bytes() -> None:
    done = run("doctor home", LC_ALL="de_DE.ISO-8859-1", PYTHONIOENCODING="iso-8859-1")
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    done = run("status", LC_ALL="pt_BR.ISO-8859-1", PYTHONIOENCODING="iso-8859-1")
    assert (done.stdout, done.stderr, done.returncode) == ("máquina      parada\n".encode("iso-8859-1"), b"", 3)
    done = run("help nothing", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert b'There is no help topic "nothing".' in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_a_plain_error() -> None:
    done = run("status >/dev/full", LC_ALL="pt_BR.UTF-8", PYTHONIOENCODING="utf-8")
    assert done.stderr.decode().startswith("Não foi possível escrever a saída: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == 1


@pytest.mark.parametrize("arguments", ["status >&-", "status 2>&-", "help >&-", "status --json <&- >&-", "reset <&-"])
def test_streams_may_be_closed(arguments: str) -> None:
    done = run(arguments)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    assert done.returncode in (0, 1, 3)


@pytest.mark.parametrize("arguments", ["help", "--help", "status"])
def test_a_reader_may_close_the_pipe(arguments: str) -> None:
    assert run(f"{arguments} | true").stderr == b""
