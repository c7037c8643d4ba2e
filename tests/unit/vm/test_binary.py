"""Finding QEMU: small scripts in its place say what other computers have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.host.systems.linux import LinuxHost
from backend.vm import binary
from tests.fakes import qemu

HOST = LinuxHost("amd64")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def refusal(configured: str) -> ProblemCode:
    with pytest.raises(WherryError) as caught:
        binary.find(HOST, "amd64", configured=configured)
    assert caught.value.problem.hint
    return caught.value.problem.code


def test_what_qemu_says_of_itself_is_read(tmp_path: Path) -> None:
    facts = binary.find(HOST, "amd64", configured=str(qemu.install(tmp_path, version="11.0.3")))
    assert (facts.version, facts.version_text) == ((11, 0, 3), "11.0.3")
    assert {"tcg", "kvm"} <= facts.accelerators
    assert facts.sandbox


@pytest.mark.parametrize(("version", "new_enough"), [("7.1.99", False), ("7.2.0", True), ("10.0.0", True)])
def test_versions_are_compared_as_numbers(tmp_path: Path, version: str, new_enough: bool) -> None:
    program = str(qemu.install(tmp_path, version=version))
    if new_enough:
        assert binary.find(HOST, "amd64", configured=program).version_text == version
    else:
        assert refusal(program) is ProblemCode.QEMU_TOO_OLD


@pytest.mark.parametrize(
    "text", ["echo hello", "exit 3", "echo QEMU emulator version seven", "printf '\\377\\376'", "kill -9 $$"]
)
def test_a_program_that_is_no_qemu_is_unusable(tmp_path: Path, text: str) -> None:
    assert refusal(str(script(tmp_path / "qemu", text))) is ProblemCode.QEMU_UNUSABLE


def test_a_file_that_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "qemu").write_text("data")
    assert refusal(str(tmp_path / "qemu")) is ProblemCode.QEMU_MISSING
    (tmp_path / "qemu").chmod(0o755)
    assert refusal(str(tmp_path / "qemu")) is ProblemCode.QEMU_UNUSABLE


def test_a_qemu_that_was_updated_is_asked_again(tmp_path: Path) -> None:
    program = qemu.install(tmp_path, version="8.0.0")
    assert binary.inspect(program).version == (8, 0, 0)
    qemu.install(tmp_path, version="10.1.22")
    assert binary.inspect(program).version == (10, 1, 22)


def test_without_a_setting_the_path_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal("") is ProblemCode.QEMU_MISSING
    script(tmp_path / "qemu-system-x86_64", "echo QEMU emulator version 9.0.0")
    assert binary.find(HOST, "amd64").version == (9, 0, 0)


def test_the_image_tool_is_taken_from_beside_qemu_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    facts = binary.inspect(qemu.install(tmp_path / "a"))
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", "/bin", str(tmp_path / "b")]))
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "b"))
    with pytest.raises(WherryError) as caught:
        binary.find_image_tool(facts)
    assert caught.value.problem.code is ProblemCode.TOOL_MISSING
    script(tmp_path / "b" / "qemu-img", "true")
    assert binary.find_image_tool(facts) == tmp_path / "b" / "qemu-img"
    script(tmp_path / "a" / "qemu-img", "true")
    assert binary.find_image_tool(facts) == tmp_path / "a" / "qemu-img"
