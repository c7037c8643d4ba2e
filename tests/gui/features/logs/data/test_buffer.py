"""Lines on disk by their numbers, and several containers' lines in one order."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.logs.data import buffer as buffer_module
from app.features.logs.data.buffer import SOURCE_BITS, LogBuffer
from app.features.logs.data.levels import Level, level_of
from app.features.logs.data.lines import local_time, log_line, merge_key, plain_texts, seconds
from app.features.logs.data.merge import HOLD_LINES, HOLD_S, QUIET_S, REORDER_S, Merger
from app.features.logs.data.spill import Spill
from backend.engine.client.log_records import log_record


def fill(buffer: LogBuffer, lines: list[bytes], source: int = 0) -> None:
    records = [log_record(line) for line in lines]
    at = buffer.keep(b"".join(records))
    entries = []
    for record in records:
        entries.append(at << SOURCE_BITS | source)
        at += len(record)
    buffer.add(entries)


@given(
    st.lists(st.tuples(st.integers(0, 4095), st.lists(st.binary(max_size=50), max_size=30)), max_size=12),
    st.integers(0, 400),
    st.integers(0, 400),
)
def test_every_line_is_found_by_its_number(blocks: list[tuple[int, list[bytes]]], start: int, stop: int) -> None:
    buffer = LogBuffer(Spill(segment=500))
    expected = []
    for source, lines in blocks:
        fill(buffer, lines, source)
        expected += [(source, line) for line in lines]
    assert (buffer.first, buffer.end) == (0, len(expected))
    found = [(record.source, record.untrusted_line) for record in buffer.records(start, stop)]
    assert found == expected[start:stop]
    assert buffer.untrusted_lines(start, stop) == [line for _, line in expected[start:stop]]
    for number in range(0, len(expected), 7):
        assert buffer.record(number).untrusted_line == expected[number][1]
    buffer.close()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_the_oldest_are_dropped_and_the_rest_keep_their_numbers(sizes: list[int], random: object) -> None:
    spill = Spill(limit=3_000, segment=1_000)
    buffer = LogBuffer(spill)
    total = 0
    for size in sizes:
        fill(buffer, [b"line %d" % number for number in range(total, total + size)])
        total += size
    assert buffer.end == total
    assert spill._end - spill.first <= 3_000 + 1_000 + 40 * 17
    for number in range(buffer.first, total):
        assert buffer.record(number).untrusted_line == b"line %d" % number
    if buffer.first:
        assert buffer.record(buffer.first - 1).untrusted_line == b""
        assert len(list(buffer.records(0, total))) == total
    buffer.close()


def test_the_number_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = LogBuffer(Spill(), max_lines=100_000)
    for start in range(0, 400_000, 10_000):
        fill(buffer, [b"%d" % number for number in range(start, start + 10_000)])
    assert 100_000 <= buffer.end - buffer.first <= 100_000 + 2 * buffer_module._CHUNK
    assert buffer.record(buffer.first).untrusted_line == b"%d" % buffer.first
    buffer.close()


def test_files_have_no_names_and_are_private(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "logs")
    spill.append(b"secret")
    assert list((tmp_path / "logs").iterdir()) == []
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert os.fstat(spill._files[0][1].fileno()).st_mode & 0o777 == 0o600
    assert spill.read(0, 6) == b"secret"
    spill.close()
    assert spill.read(0, 6) == b""


def test_a_directory_that_cannot_be_used_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spill = Spill(tmp_path / "file" / "logs")
    assert spill.append(b"x") == 0
    assert spill.read(0, 1) == b"x"
    spill.close()


def test_a_closed_buffer_is_empty() -> None:
    buffer = LogBuffer(Spill())
    fill(buffer, [b"one"])
    buffer.close()
    fill(buffer, [b"two"])
    assert buffer.record(0).untrusted_line == b""


# -- merging ------------------------------------------------------------------------------------------------------


def merged(pushes: list[tuple[int, list[int], float]]) -> list[int]:
    """Everything that comes out, in the end. Times as numbers; entries count up, source in the low bits."""
    merger = Merger()
    out: list[int] = []
    now, entry = 0.0, 0
    for source, times, pause in pushes:
        now += pause
        entries = []
        for _ in times:
            entries.append(entry << SOURCE_BITS | source)
            entry += 1
        merger.push(source, [b"%09d" % time for time in times], entries, now)
        out += merger.take(now)
    for _ in range(3):
        now += HOLD_S
        out += merger.take(now)
    assert len(merger) == 0
    return out


_PUSH = st.tuples(
    st.integers(0, 3),
    st.lists(st.integers(0, 50), max_size=8),
    st.sampled_from([0.0, 0.05, REORDER_S, QUIET_S, HOLD_S]),
)


@given(st.lists(_PUSH, max_size=25))
def test_nothing_is_lost_doubled_or_put_out_of_a_containers_own_order(
    pushes: list[tuple[int, list[int], float]],
) -> None:
    out = merged(pushes)
    assert len(out) == len(set(out)) == sum(len(times) for _, times, _ in pushes)
    for source in range(4):
        own = [entry for entry in out if entry & 0xFFF == source]
        assert own == sorted(own)


@given(st.lists(st.lists(st.integers(0, 1000), max_size=30), min_size=1, max_size=5))
def test_what_comes_together_is_in_the_order_of_time(logs: list[list[int]]) -> None:
    times: dict[int, int] = {}
    pushes = []
    entry = 0
    for source, log in enumerate(logs):
        ordered = sorted(log)
        for time in ordered:
            times[entry << SOURCE_BITS | source] = time
            entry += 1
        pushes.append((source, ordered, 0.0))
    assert all(times[one] <= times[other] for one, other in pairwise(merged(pushes)))


def test_a_container_that_has_not_answered_is_waited_for_but_not_for_ever() -> None:
    merger = Merger()
    merger.open(0, 0.0)
    merger.open(1, 0.0)
    merger.push(0, [b"5"], [0], 0.1)
    assert merger.take(0.5) == []
    merger.push(1, [b"3"], [1], 0.6)
    assert merger.take(1.0) == [1, 0]
    merger.open(2, 2.0)
    merger.push(0, [b"7"], [2], 2.0)
    assert merger.take(2.5) == []
    assert merger.take(2.0 + HOLD_S) == [2]


def test_a_silent_container_is_not_waited_for() -> None:
    merger = Merger()
    merger.open(0, 0.0)
    merger.open(1, 0.0)
    merger.end(1)
    merger.push(0, [b"5"], [0], 0.0)
    assert merger.take(QUIET_S) == [0]


def test_a_torrent_is_not_held() -> None:
    merger = Merger()
    merger.open(1, 0.0)
    merger.push(0, [b"%09d" % at for at in range(HOLD_LINES + 10)], range(HOLD_LINES + 10), 0.0)
    merger.take(0.01)
    assert len(merger) <= HOLD_LINES


# -- lines --------------------------------------------------------------------------------------------------------


def test_a_time_is_taken_off_compared_and_said_exactly() -> None:
    raw = b"2026-11-23T22:51:35.333911212Z line 4"
    buffer = LogBuffer(Spill())
    fill(buffer, [raw, b"no time", b"2026-11-23T22:51:35.5Z short", b"2026-11-23T22:51:35.333911212Z "])
    lines = [log_line(record) for record in buffer.records(0, 4)]
    assert [(line.time, line.text) for line in lines] == [
        ("2026-11-23T22:51:35.333911212Z", "line 4"),
        (None, "no time"),
        ("2026-11-23T22:51:35.5Z", "short"),
        ("2026-11-23T22:51:35.333911212Z", ""),
    ]
    assert plain_texts(buffer.untrusted_lines(0, 4)).split("\n") == ["line 4", "no time", "short", ""]
    assert merge_key(raw) < merge_key(b"2026-11-23T22:51:35.5Z short")
    assert seconds(merge_key(raw)) == "1795474295.333911212"
    assert local_time("2026-99-99T99:99:99.5Z") == "2026-99-99 99:99:99.500"
    buffer.close()


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"error","msg":"x"}', Level.ERROR),
        ('{"level":30,"time":1}', Level.INFO),
        ('{"t":{"$date":"x"},"s":"W","c":"NETWORK"}', Level.WARNING),
        ('time="2026" level=warning msg="x"', Level.WARNING),
        ("2026-11-23 22:51:33,123 - app - ERROR - boom", Level.ERROR),
        ('INFO:     127.0.0.1:80 - "GET / HTTP/1.1" 200 OK', Level.INFO),
        ("E1123 22:51:33.1 main.go:1] x", Level.ERROR),
        ("2026/11/23 10:00:00 [error] 31#31: *1 open() failed", Level.ERROR),
        ("2026-11-23 10:00:00.1 UTC [1] LOG:  database system is ready", Level.INFO),
        ("2026-11-23 10:00:00.1 UTC [1] FATAL:  no such user", Level.ERROR),
        ("1:M 23 Nov 2026 10:00:00.123 # Warning: no config", Level.WARNING),
        ("Traceback (most recent call last):", Level.ERROR),
        ("2026-11-23T10:00:00Z\tDEBUG\tcontroller\tStarting", Level.DEBUG),
        ("dbug: Microsoft.Hosting", Level.DEBUG),
        ("TRACE x", Level.TRACE),
        ("Error: cannot find module", Level.ERROR),
        ("GET /error 200", Level.NONE),
        ("no errors found", Level.NONE),
        ("an error occurred while", Level.NONE),
        ("", Level.NONE),
    ],
)
def test_levels(line: str, level: Level) -> None:
    assert level_of(line) is level
