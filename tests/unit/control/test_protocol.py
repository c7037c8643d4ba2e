"""The control channel's words: what is written is read, and nothing that is read can do more than be refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.control.lines import MAX_LINE_BYTES
from backend.control.protocol import (
    PROTOCOL,
    FromAgent,
    FromClient,
    Hello,
    NoticePush,
    ReplyLine,
    RequestLine,
    StatsPush,
    StatusPush,
    check_protocol,
    decode_from_agent,
    decode_from_client,
    encode,
)
from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import count_message, verbatim
from backend.model import (
    AcceleratorStatus,
    Desired,
    EngineEndpoint,
    MachineResources,
    MachineStatus,
    Notice,
    Phase,
    StepState,
    StepStatus,
)

NUMBERS = st.integers(0, 2**53)
SECONDS = st.none() | st.floats(0, 1e9, allow_nan=False)
MESSAGES = st.builds(verbatim, st.text()) | st.builds(
    lambda count: count_message("{count} port", "{count} ports", count), NUMBERS
)
VALUES = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | NUMBERS | st.text(max_size=20), max_size=4)
RAW = VALUES.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
PROBLEMS = st.builds(
    Problem,
    code=st.sampled_from(ProblemCode),
    summary=MESSAGES,
    hint=st.none() | MESSAGES,
    command=st.none() | st.text(),
    tail=st.lists(st.text(), max_size=3).map(tuple),
    retryable=st.booleans(),
)
STATUSES = st.builds(
    MachineStatus,
    seq=NUMBERS,
    phase=st.sampled_from(Phase),
    desired=st.sampled_from(Desired),
    steps=st.lists(
        st.builds(StepStatus, name=st.text(), title=MESSAGES, state=st.sampled_from(StepState), elapsed_s=SECONDS),
        max_size=3,
    ).map(tuple),
    accelerator=st.none()
    | st.builds(
        AcceleratorStatus, name=st.text(), title=MESSAGES, hardware=st.booleans(), reasons=st.just((verbatim("no"),))
    ),
    endpoint=st.none() | st.builds(EngineEndpoint, url=st.text(), ready=st.booleans()),
    resources=st.none() | st.builds(MachineResources, cpus=NUMBERS, memory_mib=NUMBERS, disk_gib=NUMBERS),
    problems=st.lists(PROBLEMS, max_size=2).map(tuple),
    pid=st.none() | NUMBERS,
    started_at=SECONDS,
)
HELLOS = st.builds(Hello, protocol=NUMBERS, version=st.text(), pid=NUMBERS)
FROM_CLIENT = HELLOS | st.builds(RequestLine, id=NUMBERS, name=st.text(), args=RAW)
FROM_AGENT = (
    HELLOS
    | st.builds(ReplyLine, id=NUMBERS, result=RAW, problem=st.none() | PROBLEMS)
    | st.builds(StatusPush, status=STATUSES)
    | st.builds(StatsPush, problem=st.none() | PROBLEMS)
    | st.builds(NoticePush, notice=st.builds(Notice, level=st.text(), text=MESSAGES))
)


@given(FROM_CLIENT)
def test_what_a_client_says_is_read_as_it_was_meant(message: FromClient) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_from_client(line[:-1]) == message


@given(FROM_AGENT)
def test_what_the_agent_says_is_read_as_it_was_meant(message: FromAgent) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode_from_agent(line[:-1]) == message


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(line: bytes) -> None:
    for decode in (decode_from_client, decode_from_agent):
        with pytest.raises(WherryError) as caught:
            decode(line)
        assert caught.value.problem.code is ProblemCode.BAD_REQUEST


@given(st.recursive(st.none() | st.booleans() | NUMBERS | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "id", "name", "args", "hello", "x"]), inner)))  # fmt: skip  # noqa: E501
def test_json_of_another_shape_is_refused_or_a_message(value: Any) -> None:
    try:
        message = decode_from_client(json.dumps(value).encode())
    except WherryError as error:
        assert error.problem.code is ProblemCode.BAD_REQUEST
    else:
        assert isinstance(message, Hello | RequestLine)


def test_fields_that_are_not_known_are_passed_over() -> None:
    line = b'{"type":"request","id":1,"name":"start","args":{},"urgency":"high"}'
    assert decode_from_client(line) == RequestLine(id=1, name="start")


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(WherryError):
        decode_from_client(b'{"type":"reply","id":1}')


def test_a_line_that_is_too_long_is_not_even_parsed() -> None:
    with pytest.raises(WherryError, match="too long"):
        decode_from_client(b" " * (MAX_LINE_BYTES + 1))


@pytest.mark.parametrize("depth", [100_000, 400_000])
def test_depth_is_no_trap(depth: int) -> None:
    # A thousand is refused by Python 3.11 and read by 3.13; either is right.
    with pytest.raises(WherryError):
        decode_from_client(b'{"type":"request","id":1,"name":"x","args":{"a":' + b"[" * depth + b"]" * depth + b"}}")


def test_another_protocol_is_refused_with_the_way_out() -> None:
    check_protocol(Hello(protocol=PROTOCOL, version="1", pid=1))
    with pytest.raises(WherryError) as caught:
        check_protocol(Hello(protocol=PROTOCOL + 1, version="1", pid=1))
    assert caught.value.problem.code is ProblemCode.AGENT_TOO_OLD
    assert "wherry restart --agent" in (str(caught.value.problem.hint) or "")
