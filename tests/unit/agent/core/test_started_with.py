"""What the machine was started with: kept, changed by several threads at once, and not known rather than wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from backend.agent.core import started_with
from backend.paths import MachineDir
from backend.settings.config import Config


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    made.create()
    made.guest_inputs.mkdir()
    return made


def test_of_a_machine_that_was_never_started_nothing_is_known(directory: MachineDir) -> None:
    assert started_with.settings(directory) is None
    assert started_with.daemon_options(directory) is None
    started_with.change(directory, "machine.disk_gib", 12)
    assert started_with.settings(directory) is None, "one setting does not make it known"


def test_what_was_noted_is_given_back(directory: MachineDir) -> None:
    started_with.save_settings(directory, Config())
    started_with.save_daemon_options(directory, {"labels": ["ö"], "mtu": 1400})
    assert started_with.settings(directory) == Config()
    assert started_with.daemon_options(directory) == {"labels": ["ö"], "mtu": 1400}


def test_changes_by_several_threads_are_all_kept(directory: MachineDir) -> None:
    started_with.save_settings(directory, Config())
    changes: list[tuple[str, int | str]] = [
        *(("machine.disk_gib", 12), ("machine.cpus", 3), ("machine.memory_mib", 3000)),
        *(("image.directory", "/x"), ("checkpoints.keep_days", 3), ("checkpoints.keep_automatic", 4)),
    ]
    for _ in range(10):
        started_with.save_settings(directory, Config())
        with ThreadPoolExecutor(len(changes)) as threads:
            for key, value in changes:
                threads.submit(started_with.change, directory, key, value)
        settings = started_with.settings(directory)
        assert settings is not None
        sections = msgspec.to_builtins(settings)
        assert [sections[key.split(".")[0]][key.split(".")[1]] for key, _ in changes] == [value for _, value in changes]


@pytest.mark.expect_log("started with is not known")
def test_a_damaged_record_is_not_known(directory: MachineDir) -> None:
    directory.used_config.write_bytes(b"{")
    assert started_with.settings(directory) is None
