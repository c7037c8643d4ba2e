"""The house's rules of who may import whom, read out of the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("app", "backend", "vmimage", "packaging")

ONE_IMPORTER: dict[str, str | tuple[str, ...]] = {
    "paramiko": "backend/ssh/",
    "cryptography": ("backend/ssh/keys.py", "backend/doctor/network/tls.py"),
    "dns": "backend/net/dns/",
    "qemu": "backend/vm/monitor.py",
    "docker": "backend/engine/client",
    "requests": "backend/engine/client",
    "h11": ("backend/engine/front/http", "backend/http_exchange.py"),
    "psutil": "backend/host/",
    "platformdirs": "backend/host/dirs.py",
    "filelock": "backend/agent/",
    "tomlkit": "backend/settings/config.py",
    "PySide6": "app/",
    "qtawesome": "app/",
    "pyte": "app/terminal/",
}
"""Library -> the file, or the start of the path, that may import it."""


def sources(*tops: str) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that the file imports, at its top or inside a function, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: write the whole module's name"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources(*OURS), ids=name)
def test_third_party_libraries_are_imported_in_one_place(path: Path) -> None:
    for module, line in imports(path):
        allowed = ONE_IMPORTER.get(module.split(".", 1)[0])
        assert allowed is None or name(path).startswith(allowed), (
            f"{name(path)}:{line} imports {module}; only {allowed} may. Use what that module offers."
        )


@pytest.mark.parametrize("path", sources("app"), ids=name)
def test_the_window_knows_the_backend_by_its_facade_only(path: Path) -> None:
    for module, line in imports(path):
        if module.split(".", 1)[0] in ("backend", "vmimage", "packaging"):
            assert module.startswith("backend.api"), f"{name(path)}:{line} imports {module}; add it to backend.api"


@pytest.mark.parametrize("path", sources("app/features", "app/ui"), ids=name)
def test_views_know_no_links(path: Path) -> None:
    if path.stem.endswith(("wiring", "restarts", "terminals", "pulling")) or "/logs/data/" in name(path):
        return  # the parts of a feature that join its store with the links
    for module, line in imports(path):
        assert not module.startswith(("app.links.machine_link", "app.links.engine_link", "app.application")), (
            f"{name(path)}:{line} imports {module}; views read the store"
        )


@pytest.mark.parametrize("path", sources("backend"), ids=name)
def test_the_backend_has_no_window(path: Path) -> None:
    for module, line in imports(path):
        assert module.split(".", 1)[0] not in ("app", "PySide6", "qtawesome", "vmimage"), (
            f"{name(path)}:{line} imports {module}"
        )


@pytest.mark.parametrize("path", sources("backend"), ids=name)
def test_only_the_manual_reads_data_of_the_window(path: Path) -> None:
    reads = any(module.startswith("importlib.resources") for module, _line in imports(path))
    assert not reads or name(path) == "backend/support/manual.py", f"{name(path)} reads data of a package"


def test_to_read_the_manual_runs_no_code_of_the_window() -> None:
    body = ast.parse((ROOT / "app" / "__init__.py").read_text(encoding="utf-8")).body
    assert all(isinstance(node, ast.Expr) for node in body), (
        "app/__init__.py is imported by `wherry help`: keep it bare"
    )


@pytest.mark.parametrize("path", sources("vmimage"), ids=name)
def test_the_image_builder_stands_alone(path: Path) -> None:
    for module, line in imports(path):
        assert module.split(".", 1)[0] not in ("app", "backend"), f"{name(path)}:{line} imports {module}"


@pytest.mark.parametrize(
    "module_name",
    ["agent/core/lifecycle", "agent/boot/readiness", *(f"control/{name}" for name in ("protocol", "request", "lines"))],
)
def test_pure_modules_do_nothing(module_name: str) -> None:
    for module, line in imports(ROOT / "backend" / f"{module_name}.py"):
        assert not module.startswith(("asyncio", "os", "socket", "subprocess", "time", "backend.vm", "backend.host")), (
            f"{module_name}.py:{line} imports {module}; it must stay pure"
        )


@pytest.mark.parametrize("path", sources("app", "backend"), ids=name)
def test_only_the_host_package_asks_for_the_system(path: Path) -> None:
    if name(path) == "backend/host/__init__.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            asked = f"{node.value.id}.{node.attr}"
            assert asked not in ("sys.platform", "os.name", "platform.system"), (
                f"{name(path)}:{node.lineno} asks for {asked}; give backend.host a method instead"
            )


@pytest.mark.parametrize("path", sources(*OURS, "tests"), ids=name)
def test_files_are_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 520, f"{name(path)} is too long: find its seam"


@pytest.mark.parametrize("path", sources("app", "backend", "vmimage"), ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{name(path)} has no docstring"
