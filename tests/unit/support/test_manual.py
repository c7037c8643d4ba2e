"""The manual says what the product does: its topics, links, commands and settings are those that there are."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from backend import doctor
from backend.cli import exits
from backend.cli.__main__ import _LOGS, main, make_parser
from backend.cli.manual import plain_text
from backend.settings import config
from backend.support import manual

HELP = Path(manual.__file__).parent.parent.parent / "app" / "help"
PAGES = sorted(path.stem for path in HELP.glob("*.md"))
TEXTS = {name: (HELP / f"{name}.md").read_text(encoding="utf-8") for name in PAGES}
KEYS = config.keys()
COMMON_OPTIONS = {"--home", "--json", "--help"}
LINK = re.compile(r"\]\(([^)]+)\)")
WORD = re.compile(r"[a-z][a-z-]*")


def code(text: str) -> Iterator[str]:
    """Every line of code, and what stands in backquotes within a paragraph."""
    parts = re.split(r"^```$", text, flags=re.MULTILINE)
    assert len(parts) % 2 == 1, "a block of code is not closed"
    for number, part in enumerate(parts):
        if number % 2:
            yield from (line.split("#")[0].strip() for line in part.splitlines() if line.strip())
        else:
            yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", part))


def commands() -> Mapping[str, argparse.ArgumentParser]:
    """Every command of `wherry` by its words: "start", "disk grow"."""
    parsers: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser, words: str) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, sub in action.choices.items():
                    parsers[f"{words} {name}".strip()] = sub
                    walk(sub, f"{words} {name}".strip())

    walk(make_parser(), "")
    return parsers


COMMANDS = commands()


def named_commands(text: str) -> Iterator[tuple[str, str]]:
    """Every use of `wherry` in a text: the words of the command, and the whole line."""
    for line in code(text):
        for use in re.findall(r"\bwherry ([^();]+)", line):
            rest = re.sub(r"^(--home \S+ |--json )+", "", use).split()
            if rest and rest[0] == "COMMAND":
                continue
            deep = len(rest) > 1 and f"{rest[0]} {rest[1]}" in COMMANDS
            if rest and (WORD.fullmatch(rest[0]) and not line.startswith("docker context")):
                yield (" ".join(rest[:2]) if deep else rest[0]), use


# --- topics and links ------------------------------------------------------------------------------------------------


def test_the_index_lists_every_topic_once() -> None:
    names = [topic.name for topic in manual.help_topics()]
    assert sorted([*names, "index"]) == PAGES
    assert all(topic.section and topic.summary for topic in manual.help_topics())


@pytest.mark.parametrize("topic", manual.help_topics(), ids=lambda topic: topic.name)
def test_a_topic_begins_with_the_title_that_the_index_gives(topic: manual.HelpTopic) -> None:
    assert manual.help_text(topic).startswith(f"# {topic.title}\n")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target in LINK.findall(TEXTS[name]):
        assert target.startswith("https://") or (HELP / target).is_file(), f"{name}.md links to {target}"


@pytest.mark.parametrize("name", [name for name in PAGES if name != "index"])
def test_lines_fit_a_terminal(name: str) -> None:
    for number, line in enumerate(TEXTS[name].splitlines(), 1):
        assert len(line) <= 80, f"{name}.md:{number} has {len(line)} characters"


def test_what_is_bold_is_a_text_of_the_window() -> None:
    with (HELP.parent.parent / "backend/texts/locale/pt_BR/LC_MESSAGES/wherry.po").open("rb") as file:
        written = {str(entry.id) for entry in read_po(file)}
    texts = written | {text.replace("&", "") for text in written}  # a menu's letter is marked by one
    for name, text in TEXTS.items():
        for label in re.findall(r"\*\*([^*]+)\*\*", "".join(text.split("```")[::2])):
            assert " ".join(label.split()) in texts, f"{name}.md names {label!r}; the window has no such text"


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_command_in_the_manual_exists_with_its_options(name: str) -> None:
    for words, use in named_commands(TEXTS[name]):
        assert words in COMMANDS, f"{name}.md names `wherry {use}`; there is no such command"
        known = COMMON_OPTIONS | set(COMMANDS[words]._option_string_actions)
        for option in re.findall(r"(?<!\S)\[?(--?[a-z][a-z-]*)", use.replace("|", " ")):
            assert option in known, f"{name}.md names `wherry {use}`; {words} has no {option}"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_in_the_manual(words: str) -> None:
    named = {found for text in TEXTS.values() for found, _use in named_commands(text)}
    assert words in named or any(found.startswith(f"{words} ") for found in named), f"no topic names `wherry {words}`"


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_is_in_the_manual(words: str) -> None:
    everything = "\n".join(TEXTS.values())
    for action in COMMANDS[words]._actions:
        options = set(action.option_strings) - COMMON_OPTIONS - {"-h", "--yes"}
        assert not options or any(re.search(rf"[\s`\[|]{option}\b", everything) for option in options), (
            f"no topic names {' or '.join(options)} of `wherry {words}`"
        )


def test_the_logs_and_exit_codes_are_those_of_the_command_line() -> None:
    text = TEXTS["command-line"]
    assert re.findall(r"^- `([a-z]+)`: ", text, flags=re.MULTILINE) == list(_LOGS)
    codes = {value for name, value in vars(exits).items() if name.startswith("EXIT_")}
    assert {int(found) for found in re.findall(r"^\| +(\d+) \|", text, flags=re.MULTILINE)} == codes


def test_the_checks_that_are_named_exist() -> None:
    known = {check.id for check in doctor.CHECKS}
    for text in TEXTS.values():
        for words, use in named_commands(text):
            named = set(use.replace("--json ", "").split()[1:]) - {"--fix", "[--fix]", "[CHECK]"}
            assert words != "doctor" or "network" in named or named <= known, use


# --- settings --------------------------------------------------------------------------------------------------------


def _shown(value: int | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_is_described_with_its_default(key: str) -> None:
    match = re.search(rf"`{key}`(?: \(([^)]*)\))?", TEXTS["settings"])
    assert match, f"settings.md does not name {key}"
    assert (match[1] or "") == _shown(config.get(config.Config(), key))


@pytest.mark.parametrize("name", PAGES)
def test_a_setting_in_the_manual_exists(name: str) -> None:
    sections = {key.split(".")[0] for key in KEYS}
    for line in code(TEXTS[name]):
        for key in re.findall(rf"(?<![\w./])(?:{'|'.join(sections)})\.[a-z_0-9]+", line):
            assert key in KEYS or key.endswith(".internal"), f"{name}.md names {key}"


def test_settings_that_need_no_restart_are_marked() -> None:
    entries = re.findall(r"^- ((?:`[a-z_0-9.]+`(?:, |,\n  )?)+)(.*?)(?=^- |^$|\Z)", TEXTS["settings"], re.M | re.S)
    marked = {key for names, text in entries if "*At once.*" in text for key in re.findall(r"`([^`]+)`", names)}
    assert marked == config.LIFECYCLE_KEYS


# --- wherry help -----------------------------------------------------------------------------------------------------


def test_help_lists_all_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {topic.name} " in printed for topic in manual.help_topics())


@pytest.mark.parametrize("topic", manual.help_topics(), ids=lambda topic: topic.name)
def test_help_prints_a_topic_as_plain_text(topic: manual.HelpTopic, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", topic.name]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{topic.title}\n{'=' * len(topic.title)}\n")
    outside_code = re.sub(r"`[^`]*`|^    .*$", "", printed, flags=re.MULTILINE)
    assert not re.search(r"\]\(|\*\*|```|^#", outside_code, flags=re.MULTILINE)


def test_links_are_printed_as_commands() -> None:
    printed = plain_text("# A\n\nSee [Logs](logs.md) and **B**, `**c**`.\n\n```\nwherry x *  # y\n```\n")
    assert printed == (
        "A\n=\n\nSee Logs and B, `**c**`.\n\n    wherry x *  # y\n\nMore about this:\n    wherry help logs\n"
    )


def test_help_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "help"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == [
        topic.name for topic in manual.help_topics()
    ]
    assert main(["--json", "help", "logs"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == TEXTS["logs"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("setings", "settings"),
        ("proxies", "proxies-and-certificates"),
        ("DNS", "names-and-networks"),
        ("strat", "start"),
    ],
)
def test_an_unknown_topic_names_the_nearest(asked: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", asked]) == exits.EXIT_USAGE
    failed = capsys.readouterr()
    assert not failed.out
    assert f"There is no help topic “{asked}”." in failed.err
    assert meant in failed.err


def test_a_terminal_gets_a_pager(tmp_path: Path) -> None:
    main_end, other_end = pty.openpty()
    seen = tmp_path / "seen"
    environment = {**os.environ, "PAGER": f"tee {seen}", "TERM": "xterm"}
    command = [sys.executable, "-m", "backend.cli", "help", "limits"]
    with subprocess.Popen(command, stdin=other_end, stdout=other_end, stderr=other_end, env=environment) as process:
        os.close(other_end)
        with contextlib.suppress(OSError):  # the other end was closed: the program has ended
            while os.read(main_end, 65536):
                pass
        assert process.wait(timeout=30) == 0
    os.close(main_end)
    assert seen.read_text(encoding="utf-8") == plain_text(TEXTS["limits"])


def test_help_of_a_command_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "start"]) == 0
    assert capsys.readouterr().out.startswith("usage: wherry start")
