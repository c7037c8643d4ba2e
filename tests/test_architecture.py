"""The house's rules of who may import whom, read out of the code itself."""

from __future__ import annotations

import ast
import functools
import graphlib
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

MOST_FILES = 16
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

LAYERS: tuple[tuple[str, ...], ...] = (
    ("backend", "backend.errors", "backend.files", "backend.stream", "backend.while_wanted"),
    ("backend.addresses", "backend.model", "backend.stats"),
    ("backend.paths",),
    ("backend.settings",),
    ("backend.host",),
    ("backend.engine", "backend.vm", "backend.ssh"),
    ("backend.net",),
    ("backend.control",),
    ("backend.preferences",),
    ("backend.agent.core",),
    ("backend.agent.boot",),
    ("backend.agent.watch",),
    ("backend.agent.machine",),
    ("backend.agent.operations",),
    ("backend.agent.services",),
    ("backend.agent",),
    ("backend.doctor",),
    ("backend.support",),
    ("backend.cli", "backend.api"),
    ("app.texts",),
    ("app.links",),
    ("app.ui",),
    ("app.state", "app.terminal"),
    ("app.features",),
    ("app.frame",),
    ("app",),
)
"""Lowest first. A module may import its own layer and those below, inside functions too. The longest name counts."""


def sources(*tops: str) -> list[Path]:
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax of a file; read once, since most rules look at every file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that the file imports, at its top or inside a function, with the line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: write the whole module's name"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def modules() -> dict[str, Path]:
    """Our modules by their dotted name; a package goes by its `__init__`."""
    return {_dotted(path): path for path in sources("app", "backend")}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def import_graph() -> dict[str, frozenset[str]]:
    """Which of our modules each of them imports."""
    known = modules()

    def target(imported: str) -> str | None:
        return next((name for name in (imported, imported.rpartition(".")[0]) if name in known), None)

    return {
        module: frozenset(found for imported, _ in imports(path) if (found := target(imported)) not in (None, module))
        for module, path in known.items()
    }


def layer(module: str) -> int:
    """The place in LAYERS; the entry with the longest name that holds the module."""
    places = {entry: place for place, entries in enumerate(LAYERS) for entry in entries}
    parts = module.split(".")
    return next(places[start] for end in range(len(parts), 0, -1) if (start := ".".join(parts[:end])) in places)


def circles(graph: Mapping[str, Set[str]]) -> list[list[str]]:
    """Groups of nodes that import each other, over however many steps."""
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        return [error.args[1]]
    return []


def test_a_module_imports_its_own_layer_and_those_below() -> None:
    wrong = [
        f"{module} imports {imported}, which lies above it"
        for module, found in import_graph().items()
        for imported in found
        if layer(imported) > layer(module)
    ]
    assert not wrong, "\n".join(sorted(wrong))


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert not circles(import_graph())


def test_no_packages_import_each_other_in_a_circle() -> None:
    """The `__init__` that offers a package's way in is a node of its own, as are modules at the top."""
    known = modules()

    def package(module: str) -> str:
        is_own_node = known[module].name == "__init__.py" or module.count(".") < 2
        return module if is_own_node else module.rpartition(".")[0] + ".*"

    graph: dict[str, set[str]] = {}
    for module, found in import_graph().items():
        graph.setdefault(package(module), set()).update(package(one) for one in found)
    for node, found_packages in graph.items():
        found_packages.discard(node)
    assert not circles(graph)


def test_circles_and_layers_are_found() -> None:
    """The two guards above can fail."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circles({"a": {"b"}, "b": {"c"}, "c": set()})
    assert layer("backend.agent.core.tasks") < layer("backend.agent.boot.boot") < layer("backend.agent.__main__")


@pytest.mark.parametrize("folder", sorted({path.parent for path in sources(*OURS, "tests")}), ids=str)
def test_a_folder_holds_about_a_dozen_files(folder: Path) -> None:
    count = sum(1 for path in folder.glob("*.py") if path.name != "__init__.py")
    assert count <= MOST_FILES, f"{name(folder)} holds {count} files: find the rooms in it"


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
    [
        "agent/core/lifecycle",
        "agent/boot/readiness",
        *(f"control/{name}" for name in ("protocol", "messages/request", "lines")),
    ],
)
def test_pure_modules_do_nothing(module_name: str) -> None:
    for module, line in imports(ROOT / "backend" / f"{module_name}.py"):
        assert not module.startswith(("asyncio", "os", "socket", "subprocess", "time", "backend.vm", "backend.host")), (
            f"{module_name}.py:{line} imports {module}; it must stay pure"
        )


FOREIGN: dict[str, str] = {
    "backend/agent/core/journal.py": "each operation notes what its own recovery needs",
    "app/features/containers/form/fields.py": "fields of a form by their names",
    "app/state/preferences.py": "a file that another version may have written",
    "app/terminal/style.py": "arguments of the terminal library",
}
"""File -> why it may have a dictionary of anything."""


@pytest.mark.parametrize("path", sources("app", "backend"), ids=name)
def test_a_dictionary_of_anything_has_a_reason(path: Path) -> None:
    untyped = "[str, Any]" in path.read_text(encoding="utf-8")
    assert not untyped or name(path) in FOREIGN, (
        f"{name(path)} has a dictionary of anything; make a struct of what is ours, as backend/control/messages "
        "does, and read what is another program's by backend/json_reader"
    )
    assert untyped or name(path) not in FOREIGN, f"{name(path)} has none any more: take it out of FOREIGN"


@pytest.mark.parametrize("path", sources("app", "backend"), ids=name)
def test_only_the_host_package_asks_for_the_system(path: Path) -> None:
    if name(path) == "backend/host/__init__.py":
        return
    for node in ast.walk(tree(path)):
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
