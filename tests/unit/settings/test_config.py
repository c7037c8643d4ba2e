"""Settings: bad input gets a clear problem, and no file is ever lost to it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.files import write_private
from backend.settings import config


def problem_of(path: Path) -> ProblemCode:
    before = path.read_bytes()
    with pytest.raises(WherryError) as caught:
        config.load(path)
    assert path.read_bytes() == before
    assert caught.value.problem.hint
    return caught.value.problem.code


def test_no_file_means_defaults(tmp_path: Path) -> None:
    assert config.load(tmp_path / "config.toml") == config.Config()


@pytest.mark.parametrize(
    "text",
    [
        "machine = ",
        "[machine]\ncpus = 'two'\n",
        "[machine]\ncpus = -1\n",
        "[machine]\nmemroy_mib = 2048\n",
        "[machine]\naccelerator = 'magic'\n",
        "[engine]\n",
        "version = 'one'\n",
        "x" * 2_000_000,
    ],
)
def test_a_broken_file_is_named_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert problem_of(path) is ProblemCode.CONFIG_BROKEN


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert problem_of(path) is ProblemCode.CONFIG_BROKEN


def test_a_file_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("version = 2\n[holodeck]\nsafety = false\n")
    assert problem_of(path) is ProblemCode.CONFIG_TOO_NEW


def test_set_keeps_comments_and_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("# mine\nversion = 1\n\n[machine]  # small\ncpus = 2 # two\ndisk_gib = 32\n")
    assert config.set_value(path, "machine.cpus", "4").machine.cpus == 4
    config.set_value(path, "docker.context", "off")
    text = path.read_text()
    assert "# mine" in text
    assert "# two" in text
    loaded = config.load(path)
    assert (loaded.machine.cpus, loaded.machine.disk_gib, loaded.docker.context) == (4, 32, False)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("machine.cpus", "many"),
        ("machine.cpus", "-3"),
        ("machine.memory_mib", "64"),
        ("machine.accelerator", "magic"),
        ("docker.context", "perhaps"),
        ("machine.speed", "9"),
        ("machine", "9"),
        ("version", "9"),
    ],
)
def test_a_bad_value_changes_nothing(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[machine]\ncpus = 2\n")
    with pytest.raises(WherryError) as caught:
        config.set_value(path, key, value)
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST
    assert caught.value.problem.hint
    assert path.read_text() == "[machine]\ncpus = 2\n"


def test_set_makes_the_first_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config.set_value(path, "qemu.binary", "/opt/qemu 9/bin/qemu")
    assert config.load(path).qemu.binary == "/opt/qemu 9/bin/qemu"


def test_two_threads_that_change_it_at_once_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    other = threading.Thread(target=config.set_values, args=(path, {"machine.cpus": 3}))

    def meanwhile(path: Path, content: bytes) -> None:
        if not other.ident:
            other.start()
            other.join(timeout=0.1)  # it has to wait for us
        write_private(path, content)

    monkeypatch.setattr("backend.settings.config.write_private", meanwhile)
    config.set_values(path, {"machine.memory_mib": 2048})
    other.join(timeout=30)
    machine = config.load(path).machine
    assert (machine.memory_mib, machine.cpus) == (2048, 3)


def test_every_key_can_be_read() -> None:
    defaults = config.Config()
    names = config.keys()
    values = {key: config.get(defaults, key) for key in names}
    assert values["machine.disk_gib"] == 64
    assert values["docker.context"] is True


def test_daemon_json(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    assert config.daemon_options(path) == {}
    path.write_text('{"insecure-registries": ["10.0.2.2:5000"]}')
    assert config.daemon_options(path) == {"insecure-registries": ["10.0.2.2:5000"]}


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"hosts": ["tcp://0.0.0.0:2375"]}', '{"data-root": "/tmp"}'])
def test_bad_daemon_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(WherryError) as caught:
        config.daemon_options(path)
    assert caught.value.problem.code is ProblemCode.CONFIG_BROKEN
    assert path.read_text() == text
