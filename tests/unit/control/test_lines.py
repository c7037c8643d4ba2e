"""Lines out of bytes, however these are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.control.lines import MAX_LINE_BYTES, LineBuffer
from backend.errors import ProblemCode, WherryError


def taken(buffer: LineBuffer) -> list[bytes]:
    lines = []
    while (line := buffer.next_line()) is not None:
        lines.append(line)
    return lines


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.lists(st.integers(1, 30)))
def test_lines_are_the_same_however_the_bytes_are_cut(lines: list[bytes], sizes: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    buffer, received = LineBuffer(), []
    for size in sizes:
        buffer.receive(data[:size])
        data = data[size:]
        received += taken(buffer)
    buffer.receive(data)
    assert received + taken(buffer) == lines


def test_a_line_without_its_end_waits() -> None:
    buffer = LineBuffer()
    buffer.receive(b"one\ntwo")
    assert taken(buffer) == [b"one"]
    buffer.receive(b"\n")
    assert taken(buffer) == [b"two"]


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["has no end", "ends"])
def test_a_line_that_is_too_long_is_refused_after_those_before_it(end: bytes) -> None:
    buffer = LineBuffer()
    buffer.receive(b"good\n" + b"x" * MAX_LINE_BYTES + b"y" + end)
    assert buffer.next_line() == b"good"
    with pytest.raises(WherryError) as caught:
        buffer.next_line()
    assert caught.value.problem.code is ProblemCode.BAD_REQUEST


def test_the_longest_line_is_taken() -> None:
    buffer = LineBuffer()
    buffer.receive(b"x" * MAX_LINE_BYTES)
    assert buffer.next_line() is None
    buffer.receive(b"\n")
    assert taken(buffer) == [b"x" * MAX_LINE_BYTES]


def test_what_was_received_is_forgotten_with_its_stream() -> None:
    buffer = LineBuffer()
    buffer.receive(b"half a li")
    assert buffer.next_line() is None
    buffer.clear()
    buffer.receive(b"new\n")
    assert taken(buffer) == [b"new"]
