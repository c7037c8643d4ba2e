"""The table of `wherry stats`."""

from __future__ import annotations

import pytest

from backend.cli import stats
from backend.cli.__main__ import main
from backend.stats import ContainerUsage, MachineUsage, StatsSample

MIB = 1024**2
MACHINE = MachineUsage(
    cpu_percent=27.4, memory_used_bytes=350 * MIB, memory_total_bytes=4096 * MIB, disk_used_bytes=3 * MIB,
    disk_total_bytes=64 * 1024 * MIB, memory_on_host_bytes=1024 * MIB,
)  # fmt: skip


def usage(identity: str, cpu: float, limit: int | None = None) -> ContainerUsage:
    return ContainerUsage(
        id=identity * 64, cpu_percent=cpu, memory_bytes=16 * MIB, memory_limit_bytes=limit,
        network_received_bytes=1698, network_sent_bytes=126, block_written_bytes=2 * MIB, pids=3,
    )  # fmt: skip


def test_the_busiest_is_first_and_the_limit_is_the_machines_where_there_is_none() -> None:
    sample = StatsSample(at=1.0, machine=MACHINE, containers=(usage("a", 0.5), usage("b", 150.25, 64 * MIB)))
    machine, blank, heading, first, second = stats.describe(sample, {"b" * 64: "web"}).splitlines()
    assert machine == (
        "machine   CPU 27.4 %   memory 350MiB / 4GiB   disk 3MiB / 64GiB   on this computer: memory 1GiB"
    )
    assert blank == ""
    assert heading.split()[:3] == ["CONTAINER", "ID", "NAME"]
    assert first.split() == [
        *("bbbbbbbbbbbb", "web", "150.25%", "16MiB", "/", "64MiB", "25.00%"),
        *("1.658KiB", "/", "126B", "0B", "/", "2MiB", "3"),
    ]
    assert second.split()[:6] == ["aaaaaaaaaaaa", "-", "0.50%", "16MiB", "/", "4GiB"]
    assert first.index("16MiB") == second.index("16MiB") == heading.index("MEM USAGE")


@pytest.mark.parametrize(("value", "words"), [(0, "0B"), (999, "999B"), (1000, "0.9766KiB"), (5 * 1024**4, "5TiB")])
def test_sizes(value: int, words: str) -> None:
    assert stats._size(value) == words


def test_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["stats", "--help"])
    assert "--no-stream" in capsys.readouterr().out
