"""An engine's log answer, cut into lines wherever its bytes may be cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.client.log_records import LOG_LINE_BYTES, LogBlock, LogRecords, log_blocks

TIME = b"2026-11-23T22:51:35.333911212Z "


def frame(data: bytes, stream: int = 1) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def taken(block: LogBlock) -> list[tuple[int, int, bytes]]:
    """Stream, bytes cut and text of each record."""
    data, made = block.untrusted_data, []
    for at in block.starts:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        record = data[at + 8 : at + 8 + size]
        assert record.endswith(b"\n")
        assert len(record) == size
        assert b"\n" not in record[:-1]
        made.append((data[at], int.from_bytes(data[at + 1 : at + 4], "big"), record[:-1]))
    return made


def read(pieces: list[bytes], *, chunked: bool = True, framed: bool = True) -> list[tuple[int, int, bytes]]:
    records = LogRecords(chunked=chunked, framed=framed)
    made = [line for piece in pieces for line in taken(records.feed(piece))]
    return made + taken(records.end())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(ends)]


_LINE = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" "))
_PLACES = st.lists(st.integers(0, 100_000), max_size=20)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), _LINE), max_size=20), _PLACES)
def test_a_line_a_frame_a_chunk_wherever_it_is_cut(lines: list[tuple[int, bytes]], places: list[int]) -> None:
    wire = b"".join(chunk(frame(TIME + line + b"\n", stream)) for stream, line in lines) + b"0\r\n\r\n"
    assert read(cut(wire, places)) == [(stream, 0, TIME + line) for stream, line in lines]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), _LINE), max_size=20), _PLACES, _PLACES)
def test_chunks_may_end_anywhere_in_the_frames(
    lines: list[tuple[int, bytes]], ends: list[int], places: list[int]
) -> None:
    body = b"".join(frame(TIME + line + b"\n", stream) for stream, line in lines)
    expected = [(stream, 0, TIME + line) for stream, line in lines]
    assert read(cut(body, places), chunked=False) == expected
    wire = b"".join(chunk(part) for part in cut(body, ends) if part)
    assert read(cut(wire, places)) == expected


@given(st.lists(_LINE, max_size=20), _PLACES)
def test_lines_of_a_terminal(lines: list[bytes], places: list[int]) -> None:
    body = b"".join(TIME + line + b"\r\n" for line in lines)
    assert read(cut(body, places), chunked=False, framed=False) == [(1, 0, TIME + line + b"\r") for line in lines]


def test_a_frame_of_several_lines_gives_each_its_time() -> None:
    assert read([chunk(frame(TIME + b"one\ntwo\n"))]) == [(1, 0, TIME + b"one"), (1, 0, TIME + b"two")]


def test_a_line_in_several_frames_has_one_time() -> None:
    parts = chunk(frame(TIME + b"one ")) + chunk(frame(TIME + b"two ")) + chunk(frame(TIME + b"three\n"))
    assert read([parts]) == [(1, 0, TIME + b"one two three")]


def test_the_two_outputs_do_not_mix() -> None:
    parts = chunk(frame(TIME + b"out ")) + chunk(frame(TIME + b"err\n", 2)) + chunk(frame(TIME + b"put\n"))
    assert read([parts]) == [(2, 0, TIME + b"err"), (1, 0, TIME + b"out put")]


@pytest.mark.parametrize("size", [997, 65_536, 1_000_000])
def test_a_line_of_a_megabyte_is_cut_and_says_so(size: int) -> None:
    parts = [b"x" * 16_384] * 64
    body = b"".join(chunk(frame(TIME + part)) for part in parts) + chunk(frame(TIME + b"end\n"))
    ((stream, missing, text),) = read([body[at : at + size] for at in range(0, len(body), size)])
    assert (stream, len(text)) == (1, LOG_LINE_BYTES)
    assert missing == len(TIME) + 64 * 16_384 + 3 - LOG_LINE_BYTES


@pytest.mark.parametrize("size", [100, 70_000])
def test_a_chunk_and_a_frame_that_claim_to_be_huge_are_not_held(size: int) -> None:
    head = b"%x\r\n" % (8 + 0xFFFFFFFF) + bytes((1, 0, 0, 0)) + (0xFFFFFFFF).to_bytes(4, "big") + TIME
    records = LogRecords(chunked=True, framed=True)
    assert taken(records.feed(head + b"y" * 100_000)) == []
    made = taken(records.feed(b"y" * size + b"\nz\n"))
    assert [len(text) for _, _, text in made] == [LOG_LINE_BYTES, 1]
    assert len(records._rest) + len(records._frame) < 100_000


def test_the_end_is_seen_and_a_break_is_none() -> None:
    complete = chunk(frame(TIME + b"one\n"))
    assert len(list(log_blocks(iter([complete, b"0\r\n\r\n"]), LogRecords(chunked=True, framed=True)))) == 3
    with pytest.raises(OSError, match="broke off"):
        list(log_blocks(iter([complete]), LogRecords(chunked=True, framed=True)))


@pytest.mark.parametrize("raw", [b"x" * 40, b"-5\r\nhello\r\n", b"zz\r\n"])
def test_what_is_no_chunk_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|invalid literal"):
        LogRecords(chunked=True, framed=True).feed(raw)


@given(st.binary(max_size=300), _PLACES)
def test_nothing_makes_it_fail_but_a_bad_chunk(raw: bytes, places: list[int]) -> None:
    read(cut(raw, places), chunked=False)
    read(cut(raw, places), chunked=False, framed=False)
    read([chunk(part) for part in cut(raw, places) if part])
