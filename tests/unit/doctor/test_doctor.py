"""The doctor: every check has a word on everything, whatever is broken, and changes nothing of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.cli.__main__ import main
from backend.doctor import CHECKS, CheckResult, CheckSeverity, check_results_as_text, examine
from backend.host.base import AcceleratorFact
from backend.host.systems.linux import LinuxHost
from backend.messages import verbatim
from backend.paths import MachineDir
from backend.settings.disk import data_disk_path
from tests.agent.machine import make_image
from tests.fakes import qemu


class TestHost(LinuxHost):
    """A computer with a KVM, and caches of its own."""

    __test__ = False

    def __init__(self, cache: Path) -> None:
        super().__init__("amd64")
        self.cache = cache
        self.kvm = True

    def image_cache(self) -> Path:
        return self.cache

    def accelerators(self) -> tuple[AcceleratorFact, ...]:
        return (AcceleratorFact(name="kvm", title="KVM", available=self.kvm, reason=verbatim("the test says so")),)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestHost:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user" / ".config"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    make_image(tmp_path / "cache" / "amd64-1", arch="amd64")
    return TestHost(tmp_path / "cache")


@pytest.fixture
def directory(tmp_path: Path, host: TestHost) -> MachineDir:
    made = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    made.create()
    made.config.write_text(f"[qemu]\nbinary = '{qemu.install(tmp_path / 'bin')}'\n")
    return made


def examined(host: TestHost, directory: MachineDir, *, agent_alive: bool = False) -> dict[str, CheckResult]:
    results = examine(host, directory, agent_alive=agent_alive)
    assert all(result.finding and result.title for result in results)
    return {result.id: result for result in results}


def test_a_computer_that_has_everything_passes(host: TestHost, directory: MachineDir) -> None:
    results = examined(host, directory)
    assert [result for result in results.values() if not result.passed] == []
    assert "7.2.22" in str(results["qemu"].finding)
    assert "kvm" in str(results["accelerator"].finding)
    assert not data_disk_path(directory).exists(), "the doctor makes no disk"
    unchecked = {result.id: str(result.finding) for result in results.values() if not result.checked}
    assert unchecked == {
        "machine": "Not checked: the agent isn't running.",
        "guest": "Not checked: the machine is stopped.",
        "engine": "Not checked: the machine is stopped.",
        "clock": "Not checked: the machine is stopped.",
        "disk-health": "Not checked: there is no data disk yet.",
        "suspended": "Not checked: the machine isn't suspended.",
    }


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_every_check_says_something(check: str, host: TestHost, tmp_path: Path) -> None:
    nowhere = MachineDir.locate(tmp_path / "none", max_socket_path_bytes=103, short_run_base=tmp_path / "run")
    (result,) = examine(host, nowhere, agent_alive=False, only=[check])
    assert str(result.finding)
    assert result.checked != str(result.finding).startswith("Not checked: ")


def test_a_check_that_is_not_possible_is_no_good_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path / "none"), "doctor", "engine"]) == 1
    assert capsys.readouterr().out == (
        "Runtime\n• Engine: Not checked: the machine is stopped.\n\n1 check wasn't possible.\n"
    )


def test_a_computer_that_has_nothing_is_told_all_of_it(
    host: TestHost, directory: MachineDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    host.cache = tmp_path / "empty"
    host.kvm = False
    directory.config.unlink()
    results = examined(host, directory)
    failed = {result.id for result in results.values() if result.severity is CheckSeverity.FAILURE}
    assert failed == {"qemu", "accelerator", "image"}
    assert all(result.hint for result in results.values() if not result.passed)
    assert "isn't installed" in str(results["docker-cli"].finding)


def test_broken_settings_are_named_and_the_rest_is_still_examined(host: TestHost, directory: MachineDir) -> None:
    directory.config.write_text("[machine\n")
    results = examined(host, directory)
    assert not results["settings"].passed
    assert "config.toml" in str(results["settings"].finding)
    assert results["home"].passed
    assert results["room"].passed


def test_a_damaged_disk_is_named_and_kept(host: TestHost, directory: MachineDir) -> None:
    data_disk_path(directory).write_bytes(b"not a disk")
    results = examined(host, directory)
    assert not results["disk"].passed
    assert data_disk_path(directory).read_bytes() == b"not a disk"


def test_an_agent_that_does_not_answer_is_named(host: TestHost, directory: MachineDir) -> None:
    agent = examined(host, directory, agent_alive=True)["agent"]
    assert agent.severity is CheckSeverity.FAILURE
    assert "Lost" in str(agent.finding)


def test_software_emulation_is_a_warning_with_its_reason(host: TestHost, directory: MachineDir) -> None:
    host.kvm = False
    accelerator = examined(host, directory)["accelerator"]
    assert accelerator.severity is CheckSeverity.WARNING
    assert "the test says so" in str(accelerator.finding)
    assert "many times slower" in check_results_as_text([accelerator])


def test_a_new_machine_needs_no_home(host: TestHost, tmp_path: Path) -> None:
    unmade = MachineDir.locate(tmp_path / "new", max_socket_path_bytes=300, short_run_base=tmp_path)
    results = examined(host, unmade)
    assert results["home"].passed
    assert results["room"].passed
    assert results["disk"].passed
    assert not unmade.home.exists(), "looking makes nothing"


def test_a_disk_that_was_moved_is_looked_for_where_it_is(host: TestHost, directory: MachineDir, tmp_path: Path) -> None:
    directory.config.write_text(directory.config.read_text() + f"[machine]\ndisk_directory = '{tmp_path / 'drive'}'\n")
    away = examined(host, directory)["disk"]
    assert away.severity is CheckSeverity.FAILURE, "a start would fail"
    assert "isn't there" in str(away.finding)
    (tmp_path / "drive").mkdir()
    places = set[Path]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.doctor.machine.disks.check_room", places.add)
        examined(host, directory)
    assert places == {directory.machine, tmp_path / "drive"}
