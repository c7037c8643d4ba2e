"""The READMEs name what there is: their links lead somewhere, and the folders and files in them exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SKIPPED = (".venv", "build", ".git", "node_modules", "artifacts")
DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not any(part in SKIPPED for part in path.relative_to(ROOT).parts)
)
ROOMS = ("app", "backend", "vmimage", "packaging", "tests")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), f"{name(document)}: {target}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_is_in_it(room: str) -> None:
    text = (ROOT / room / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+(?:/[a-z_]*)*(?:\.[a-z]+)?)`", "\n".join(re.findall(r"^\| (`[^|]+)", text, re.M)))
    for entry in named:
        assert (ROOT / room / entry).exists(), f"{room}/README.md names {entry}"
    files = (path.relative_to(ROOT / room) for path in (ROOT / room).rglob("*.py"))
    folders = {path.parts[0] for path in files if len(path.parts) > 1}
    left_out = folders - {entry.split("/")[0] for entry in named}
    assert not left_out or room == "packaging", f"{room}/README.md does not name {', '.join(sorted(left_out))}"


def test_the_glossary_has_ten_words() -> None:
    glossary = (ROOT / "backend" / "README.md").read_text(encoding="utf-8").split("## Glossary")[1]
    assert len(re.findall(r"^\| (?!Word|---)", glossary, re.M)) == 10


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
