"""The docker context: made beside what the user has, never over it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from backend.engine import context
from backend.errors import ProblemCode, WherryError

URL = "unix:///home/u/.local/share/wherry/run/docker.sock"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "docker"


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    """A default socket on which no engine answers."""
    return tmp_path / "docker.sock"


def config(directory: Path) -> dict[str, Any]:
    loaded = json.loads((directory / "config.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


def write_config(directory: Path, text: str) -> None:
    directory.mkdir()
    (directory / "config.json").write_text(text)


def test_it_is_made_and_selected_where_there_is_nothing(directory: Path, nobody: Path) -> None:
    change = context.install(URL, config_directory=directory, default_socket=nobody)
    assert (change.changed, change.selected) == (True, True)
    assert config(directory) == {"currentContext": "wherry"}
    assert context.current_url(config_directory=directory) == URL
    again = context.install(URL, config_directory=directory, default_socket=nobody)
    assert (again.changed, again.selected) == (False, True)


def test_the_docker_cli_finds_it_where_it_looks(directory: Path, nobody: Path) -> None:
    context.install(URL, config_directory=directory, default_socket=nobody)
    (meta,) = (directory / "contexts" / "meta").glob("*/meta.json")
    # printf wherry | sha256sum
    assert meta.parent.name == "febd2d8c0373809d09bbda5b381eb6d2a1bd385c3d51809123f8066ba43124fd"
    assert json.loads(meta.read_text())["Endpoints"]["docker"]["Host"] == URL


def test_other_settings_are_kept(directory: Path, nobody: Path) -> None:
    write_config(directory, '{"auths": {"r.example": {"auth": "c2VjcmV0"}}, "psFormat": "…"}')
    context.install(URL, config_directory=directory, default_socket=nobody)
    assert config(directory) == {
        "auths": {"r.example": {"auth": "c2VjcmV0"}},
        "psFormat": "…",
        "currentContext": "wherry",
    }
    context.remove(config_directory=directory)
    assert config(directory) == {"auths": {"r.example": {"auth": "c2VjcmV0"}}, "psFormat": "…"}


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\x00", "[" * 100_000])
def test_a_broken_file_is_not_touched(directory: Path, nobody: Path, text: str) -> None:
    write_config(directory, text)
    with pytest.raises(WherryError) as installing:
        context.install(URL, config_directory=directory, default_socket=nobody)
    with pytest.raises(WherryError) as removing:
        context.remove(config_directory=directory)
    for caught in (installing, removing):
        assert caught.value.problem.code is ProblemCode.CONTEXT_FAILED
    assert (directory / "config.json").read_text() == text
    assert not (directory / "contexts").exists()


def test_a_context_that_was_chosen_stays_chosen(directory: Path, nobody: Path) -> None:
    write_config(directory, '{"currentContext": "work"}')
    change = context.install(URL, config_directory=directory, default_socket=nobody)
    assert (change.changed, change.selected) == (True, False)
    assert "docker context use wherry" in str(change.note)
    assert config(directory) == {"currentContext": "work"}
    assert context.remove(config_directory=directory).changed
    assert config(directory) == {"currentContext": "work"}


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_a_choice_in_the_environment_counts(
    directory: Path, nobody: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "tcp://other")
    assert not context.install(URL, config_directory=directory, default_socket=nobody).selected
    assert not (directory / "config.json").exists()


def test_an_engine_on_the_default_socket_stays_the_default(directory: Path, nobody: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(nobody))
        engine.listen()
        assert not context.install(URL, config_directory=directory, default_socket=nobody).selected
    assert context.install(URL, config_directory=directory, default_socket=nobody).selected, "a dead one does not"


def test_a_moved_machine_is_followed(directory: Path, nobody: Path) -> None:
    context.install(URL, config_directory=directory, default_socket=nobody)
    change = context.install(URL + "2", config_directory=directory, default_socket=nobody)
    assert change.changed
    assert context.current_url(config_directory=directory) == URL + "2"


def test_removing_what_is_not_there_changes_nothing(directory: Path) -> None:
    change = context.remove(config_directory=directory)
    assert not change.changed
    assert not directory.exists()


def test_a_linked_file_stays_a_link(directory: Path, nobody: Path, tmp_path: Path) -> None:
    directory.mkdir()
    (tmp_path / "dotfiles.json").write_text('{"psFormat": "x"}')
    (directory / "config.json").symlink_to(tmp_path / "dotfiles.json")
    context.install(URL, config_directory=directory, default_socket=nobody)
    assert (directory / "config.json").is_symlink()
    assert json.loads((tmp_path / "dotfiles.json").read_text()) == {"psFormat": "x", "currentContext": "wherry"}


def test_the_directory_is_dockers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "elsewhere"))
    assert context.current_url() is None
    context.install(URL, default_socket=tmp_path / "none")
    assert (tmp_path / "elsewhere" / "config.json").exists()


def test_what_cannot_be_written_is_said(tmp_path: Path, nobody: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WherryError) as caught:
        context.install(URL, config_directory=tmp_path / "file" / "docker", default_socket=nobody)
    assert caught.value.problem.code is ProblemCode.CONTEXT_FAILED
    assert caught.value.problem.hint
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
