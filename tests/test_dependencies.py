"""What the code imports, what pyproject.toml declares and what requirements.lock pins are the same libraries."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tasks import LOCK, lock

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"app", "backend", "vmimage", "tests", "tasks"}
DISTRIBUTIONS = packages_distributions()
READ_AS_DATA = {"qtawesome"}
"""Declared, but not imported: app/ui/glyphs.py says why."""


def normal(requirement: str) -> str:
    """A requirement's name, as the package index compares names."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


RUNTIME = {normal(requirement) for requirement in PROJECT["dependencies"]}
DEVELOPMENT = {normal(requirement) for requirement in PROJECT["optional-dependencies"]["dev"]}
MAY_IMPORT = {
    "app": RUNTIME,
    "backend": RUNTIME,
    "vmimage": set[str](),  # these two run before anything is installed
    "packaging": set[str](),
    "tests": RUNTIME | DEVELOPMENT,
}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every top-level package that a file imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".", 1)[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".", 1)[0], node.lineno


def is_foreign(top: str) -> bool:
    """Whether a package is neither this tree's nor the standard library's."""
    return top not in OURS and top not in sys.stdlib_module_names and top != "_typeshed"  # mypy's own, never run


def distributions(top: str) -> set[str]:
    """The installed distributions that hold a package."""
    return {normal(name) for name in DISTRIBUTIONS.get(top, [])}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_every_import_is_declared(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        for top, line in imports(path):
            assert not is_foreign(top) or distributions(top) & MAY_IMPORT[folder], (
                f"{path.relative_to(ROOT)}:{line} imports {top}, which pyproject.toml does not declare for {folder}/"
            )


def test_every_declared_library_is_imported() -> None:
    files = [path for folder in ("app", "backend") for path in (ROOT / folder).rglob("*.py")]
    used = {name for path in files for top, _ in imports(path) for name in distributions(top)}
    assert RUNTIME - used == READ_AS_DATA


def test_the_lock_was_made_for_what_is_declared_now() -> None:
    assert lock.is_current(), "run: python3 packaging/dev.py lock"
    blocks = re.split(r"\n(?=\S)", LOCK.read_text(encoding="utf-8"))
    hashed = {normal(block) for block in blocks if "==" in block and "--hash=sha256:" in block}
    assert hashed >= RUNTIME | DEVELOPMENT


def test_the_lock_names_no_host() -> None:
    """Whoever installs chooses the package index."""
    assert "://" not in LOCK.read_text(encoding="utf-8")


def test_the_version_is_written_once() -> None:
    """`backend.VERSION` is it; the package's own is read from there."""
    assert "version" not in PROJECT
    assert "version" in PROJECT["dynamic"]
