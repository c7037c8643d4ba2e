"""The guest's figures: its lines, and the rates between two samples."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.agent.services.stats_lines import (
    MAX_CONTAINERS,
    BadLine,
    RawContainer,
    RawSample,
    StatsParser,
    container_usages,
    machine_usage,
)

BUSY = "188d0afe0a8c04576c82cc99ceaee5ea02c2a9124b25a23ae9b03ac9bca1c7f9"
HOSTNET = "3171951cae21f7cc766d0ca21836eae92594726ed2c542cb702d0cc7cc5e90bc"
RECORDED = f"""\
sample 61.00
cpu  1582 0 3354 5611 112 0 258 0 0 0
MemTotal:        4009956 kB
MemFree:         3600012 kB
Buffers:            6000 kB
Cached:            50000 kB
disk 4096 16467851 16467125
process {BUSY} 339
docker/{BUSY}/cpu.stat:usage_usec 8659942
docker/{BUSY}/memory.current:335872
docker/{BUSY}/memory.max:67108864
docker/{BUSY}/cpu.max:50000 100000
docker/{BUSY}/pids.current:1
docker/{HOSTNET}/cpu.stat:usage_usec 1483424
docker/{HOSTNET}/memory.current:503808
docker/{HOSTNET}/memory.max:max
docker/{HOSTNET}/cpu.max:max 100000
docker/{HOSTNET}/pids.current:1
docker/{BUSY}/memory.stat:inactive_file 4096
docker/{HOSTNET}/memory.stat:inactive_file 0
docker/{BUSY}/io.stat:254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0
docker/{BUSY}/io.stat:254:16 rbytes=1000 wbytes=0 rios=1 wios=0 dbytes=0 dios=0
/proc/339/net/dev:  eth0:    1698      17    0    0    0     0          0         0      126       3    0    0    0
"""
"""As a real guest printed it, but for io.stat, which had nothing to say, and a last line without its end."""


def parsed(lines: str) -> RawSample:
    parser = StatsParser()
    for line in lines.splitlines():
        assert parser.feed(line) is None
    sample = parser.feed("end")
    assert sample is not None
    return sample


def recorded(**changes: str) -> str:
    text = RECORDED.replace("0    0    0\n", "0    0    0     0       0          0\n")
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def test_a_recorded_sample_is_read_whole() -> None:
    sample = parsed(recorded())
    assert (sample.uptime_s, sample.cpu_total, sample.cpu_idle) == (61.0, 10917, 5723)
    assert (sample.memory_total, sample.memory_unused) == (4009956 * 1024, 3656012 * 1024)
    assert (sample.disk_total, sample.disk_used) == (4096 * 16467851, 4096 * 726)
    assert sample.containers[BUSY] == RawContainer(
        cpu_usec=8659942, memory=335872, inactive_file=4096, memory_max=67108864, cpu_limit_percent=50.0, pids=1,
        read=5096, written=8192, received=1698, sent=126,
    )  # fmt: skip
    other = sample.containers[HOSTNET]
    assert (other.memory_max, other.cpu_limit_percent, other.received) == (None, None, 0)


def test_usage_between_two_samples() -> None:
    before = parsed(recorded())
    now = parsed(recorded())
    now.uptime_s += 2
    now.cpu_total += 400
    now.cpu_idle += 100
    now.containers[BUSY].cpu_usec = 8659942 + 2_000_000
    machine = machine_usage(now, before, disk_on_host=7, memory_on_host=None)
    assert machine.cpu_percent == pytest.approx(75.0)
    assert machine.memory_used_bytes == (4009956 - 3656012) * 1024
    assert (machine.disk_on_host_bytes, machine.memory_on_host_bytes) == (7, None)
    busy, other = container_usages(now, before)
    assert busy.id == BUSY
    assert busy.cpu_percent == pytest.approx(100.0)
    assert (busy.memory_bytes, busy.memory_limit_bytes, busy.cpu_limit_percent) == (331776, 67108864, 50.0)
    assert (busy.network_received_bytes, busy.network_sent_bytes) == (1698, 126)
    assert (busy.block_read_bytes, busy.block_written_bytes, busy.pids) == (5096, 8192, 1)
    assert (other.cpu_percent, other.memory_limit_bytes) == (0.0, None)


def test_a_container_that_is_new_or_began_anew_counts_from_nothing() -> None:
    before, now = RawSample(10.0), RawSample(12.0)
    before.containers["a" * 64] = RawContainer(cpu_usec=90_000_000, memory=1)
    now.containers["a" * 64] = RawContainer(cpu_usec=500_000, memory=1)
    now.containers["b" * 64] = RawContainer(cpu_usec=1_000_000, memory=1)
    assert [usage.cpu_percent for usage in container_usages(now, before)] == [25.0, 50.0]


def test_a_container_that_ended_while_it_was_read_is_left_out() -> None:
    now = RawSample(12.0)
    now.containers["a" * 64] = RawContainer(cpu_usec=5)
    now.containers["b" * 64] = RawContainer(memory=5)
    now.containers["c" * 64] = RawContainer(received=5)
    assert container_usages(now, RawSample(10.0)) == ()


def test_a_limit_of_all_memory_is_none() -> None:
    now = RawSample(12.0, memory_total=4096)
    now.containers["a" * 64] = RawContainer(cpu_usec=5, memory=5, memory_max=4096)
    (usage,) = container_usages(now, RawSample(10.0))
    assert usage.memory_limit_bytes is None


@pytest.mark.parametrize("elapsed_s", [0.0, -5.0])
def test_a_clock_that_stands_or_goes_back_makes_no_rate(elapsed_s: float) -> None:
    now = RawSample(10.0 + elapsed_s)
    now.containers["a" * 64] = RawContainer(cpu_usec=5, memory=5)
    (usage,) = container_usages(now, RawSample(10.0))
    assert usage.cpu_percent == 0.0
    assert machine_usage(now, RawSample(10.0)).cpu_percent == 0.0


@pytest.mark.parametrize(
    "line",
    [
        "cpu  one two",
        "cpu ",
        "cpu 1 2 3",
        "MemTotal: 12 MB",
        "MemTotal: -12 kB",
        "disk 1 2",
        "disk 1 2 3 4",
        f"process {BUSY[:-1]} 12",
        f"process {BUSY} twelve",
        f"process {BUSY} 99999999999999999999999",
        f"docker/{BUSY[:-1]}g/cpu.stat:usage_usec 1",
        f"docker/{BUSY}/cpu.stat:user_usec 1",
        f"docker/{BUSY}/cpu.max:1",
        f"docker/{BUSY}/memory.current:1e9",
        f"docker/{BUSY}/memory.swap:1",
        f"docker/{BUSY}/io.stat:254:0 rbytes=x",
        f"docker/../{BUSY}/memory.current:1",
        "/proc/12/net/dev:  eth0: 1 2 3",
        "/proc/339/net/dev:  eth0: 1 2 3",
        "/proc/339/net/dev:  eth0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "\x1b[31mhello",
        "٣٤ ٥",
        "memory.current:٣",
    ],
)
def test_an_odd_line_is_refused_alone(line: str) -> None:
    parser = StatsParser()
    parser.feed("sample 1.00")
    parser.feed(f"process {BUSY} 339")
    with pytest.raises(BadLine):
        parser.feed(line)
    parser.feed(f"docker/{HOSTNET}/memory.current:5")
    sample = parser.feed("end")
    assert sample is not None
    assert sample.containers[HOSTNET].memory == 5


def test_a_sample_whose_begin_is_refused_is_none() -> None:
    parser = StatsParser()
    with pytest.raises(BadLine):
        parser.feed("sample soon")
    assert parser.feed("cpu 1 2 3 4 5 6 7 8") is None
    assert parser.feed("end") is None


def test_a_sample_that_is_cut_off_is_dropped_by_the_next() -> None:
    parser = StatsParser()
    for line in ("sample 1.00", f"docker/{BUSY}/memory.current:5", "sample 2.00"):
        assert parser.feed(line) is None
    sample = parser.feed("end")
    assert sample is not None
    assert (sample.uptime_s, sample.containers) == (2.0, {})


def test_a_sample_has_bounds() -> None:
    parser = StatsParser()
    parser.feed("sample 1.00")
    for number in range(MAX_CONTAINERS):
        parser.feed(f"docker/{number:064x}/memory.current:5")
    with pytest.raises(BadLine):
        parser.feed(f"docker/{MAX_CONTAINERS:064x}/memory.current:5")


PIECES = st.sampled_from(
    ["sample 1.00", "sample 3.50", "end", "cpu 1 2 3 4 5 6 7 8", "disk 4096 10 3", "MemTotal: 5 kB",
     f"process {BUSY} 7", f"docker/{BUSY}/cpu.stat:usage_usec 18446744073709551616", f"docker/{BUSY}/memory.current:10",
     f"docker/{BUSY}/cpu.max:1 0", f"docker/{BUSY}/io.stat:", "/proc/7/net/dev: e: " + "9 " * 16]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=80) | PIECES.flatmap(lambda line: st.just(line[:-1])), max_size=60))
def test_whatever_comes_is_a_sample_or_a_refusal_and_figures_stay_figures(lines: list[str]) -> None:
    parser = StatsParser()
    samples = []
    for line in lines:
        try:
            sample = parser.feed(line)
        except BadLine:
            continue
        if sample is not None:
            samples.append(sample)
    for before, now in itertools.pairwise(samples):
        machine = machine_usage(now, before)
        assert 0 <= machine.cpu_percent <= 100
        for usage in container_usages(now, before):
            assert usage.cpu_percent >= 0
            assert math.isfinite(usage.cpu_percent)
            assert min(usage.memory_bytes, usage.network_received_bytes, usage.block_read_bytes) >= 0
