"""Heads and body framing: pure functions, and h11 as the judge of the chunk tracker."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.engine.front.http_body import BadFraming, ChunkedTracker, dechunk, track
from backend.engine.front.http_head import (
    Framing,
    MalformedHead,
    error_response,
    parse_request_head,
    parse_response_head,
)


def request(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_request_head_keeps_names_and_order_and_drops_what_belongs_to_one_connection() -> None:
    head = parse_request_head(
        request("GET /v1.50/info?x=1 HTTP/1.1", "Host: docker", "X-Registry-Auth: abc", "Connection: keep-alive")
    )
    assert head.wire == request("GET /v1.50/info?x=1 HTTP/1.1", "Host: docker", "X-Registry-Auth: abc")
    assert (head.method, head.target, head.framing, head.keep_alive) == ("GET", "/v1.50/info?x=1", Framing.NONE, True)


def test_upgrade_is_passed_on() -> None:
    head = parse_request_head(
        request("POST /session HTTP/1.1", "Host: d", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 0")
    )
    assert head.is_upgrade
    assert b"\r\nUpgrade: h2c\r\n" in head.wire
    assert head.wire.endswith(b"\r\nConnection: Upgrade\r\n\r\n")


@pytest.mark.parametrize(
    ("lines", "framing", "length"),
    [
        (["Content-Length: 12"], Framing.LENGTH, 12),
        (["Content-Length: 12", "Content-Length: 12"], Framing.LENGTH, 12),
        (["Transfer-Encoding: chunked"], Framing.CHUNKED, 0),
        (["Transfer-Encoding: chunked", "Content-Length: 3"], Framing.CHUNKED, 0),
    ],
)
def test_request_framing(lines: list[str], framing: Framing, length: int) -> None:
    head = parse_request_head(request("POST /x HTTP/1.1", "Host: d", *lines))
    assert (head.framing, head.length) == (framing, length)
    assert (b"content-length" in head.wire.lower()) == (framing is Framing.LENGTH)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
        b"\x00\x01\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(head: bytes) -> None:
    with pytest.raises(MalformedHead) as caught:
        parse_request_head(head)
    assert 400 <= caught.value.status <= 505


def test_a_rewritten_body_changes_only_the_framing() -> None:
    head = parse_request_head(
        request("POST /x HTTP/1.1", "Host: d", "Transfer-Encoding: chunked", "Expect: 100-continue", "X-A: 1")
    )
    assert head.expects_continue
    assert head.wire_with_length(7) == request("POST /x HTTP/1.1", "Host: d", "X-A: 1", "Content-Length: 7")


@pytest.mark.parametrize(
    ("method", "lines", "framing", "keep_alive", "hijack"),
    [
        ("GET", ["HTTP/1.1 200 OK", "Content-Length: 5"], Framing.LENGTH, True, False),
        ("HEAD", ["HTTP/1.1 200 OK", "Content-Length: 5"], Framing.NONE, True, False),
        ("GET", ["HTTP/1.1 304 Not Modified", "Content-Length: 5"], Framing.NONE, True, False),
        ("POST", ["HTTP/1.1 204 No Content"], Framing.NONE, True, False),
        ("GET", ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], Framing.CHUNKED, True, False),
        ("GET", ["HTTP/1.1 200 OK", "Content-Length: 5", "Connection: close"], Framing.LENGTH, False, False),
        ("GET", ["HTTP/1.0 200 OK"], Framing.UNTIL_CLOSE, False, False),
        ("POST", ["HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream"], None, False, True),
        ("POST", ["HTTP/1.1 101 UPGRADED", "Connection: Upgrade", "Upgrade: tcp"], None, True, True),
        (
            "GET",
            ["HTTP/1.1 200 OK", "Content-Type: application/vnd.docker.raw-stream", "Transfer-Encoding: chunked"],
            Framing.CHUNKED,
            True,
            False,
        ),
    ],
)
def test_response_heads(method: str, lines: list[str], framing: Framing | None, keep_alive: bool, hijack: bool) -> None:
    head = parse_response_head(request(*lines), method)
    if framing is not None:
        assert head.framing is framing
        assert head.keep_alive is keep_alive
    assert head.is_hijack is hijack


def test_a_response_says_close_only_in_its_closing_form() -> None:
    head = parse_response_head(request("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"), "GET")
    assert head.wire == request("HTTP/1.1 200 OK", "Content-Length: 0")
    assert head.wire_closing == request("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close")


def test_error_response_is_the_engines_own_form() -> None:
    response = error_response(503, 'it is "down"\n')
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert body == b'{"message":"it is \\"down\\"\\n"}\n'
    assert f"Content-Length: {len(body)}".encode() in head
    assert error_response(503, "x", head_only=True).endswith(b"\r\n\r\n")


def judge(stream: bytes) -> tuple[str, bytes, int]:
    """What h11 makes of a chunked body: complete, open or bad; its content; the bytes that belong to it."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert isinstance(connection.next_event(), h11.Request)
    connection.receive_data(stream)
    content = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return "bad", content, 0
        if isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            return "complete", content, len(stream) - len(connection.trailing_data[0])
        else:
            return "open", content, len(stream)


def follow(stream: bytes, cuts: list[int]) -> tuple[str, int]:
    """What our tracker makes of it when it comes in pieces."""
    tracker = ChunkedTracker()
    used = 0
    edges = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    for start, stop in itertools.pairwise(edges):
        if tracker.complete:
            break
        try:
            count = tracker.feed(stream[start:stop])
        except BadFraming:
            return "bad", 0
        assert count == stop - start or tracker.complete
        used += count
    return ("complete" if tracker.complete else "open"), used


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
extensions = st.sampled_from([b"", b";a=b", b" ", b";x"])
trailers = st.sampled_from([b"", b"Digest: x\r\n", b"A: b\r\nC: d\r\n"])


@given(chunks, extensions, trailers, st.binary(max_size=20), st.lists(st.integers(0, 400), max_size=6))
def test_chunked_bodies_end_where_h11_says(
    parts: list[bytes], extension: bytes, trailer: bytes, after: bytes, cuts: list[int]
) -> None:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n" + trailer + b"\r\n"
    state, content, length = judge(body + after)
    assert (state, content, length) == ("complete", b"".join(parts), len(body))
    assert follow(body + after, cuts) == ("complete", len(body))
    assert dechunk(body) == content


@given(
    st.lists(
        st.sampled_from([b"0", b"5", b"a", b"\r\n", b"\n", b"\r", b";", b"hello", b" ", b"A: b", b"g"]), max_size=14
    ),
    st.lists(st.integers(0, 60), max_size=5),
)
@example([b"0", b"\r\n", b"0", b"\r\n", b"\r\n"], [])
def test_broken_chunks_are_never_taken_for_whole(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    expected, _, length = judge(stream)
    state, used = follow(stream, cuts)
    # We may see an error where h11 is lenient (a bare line feed) or still waits for a whole line; never another end.
    if state == "complete":
        assert (expected, used) == ("complete", length)


def test_trackers_without_chunks() -> None:
    assert track(Framing.NONE, 0).complete
    length = track(Framing.LENGTH, 5)
    assert (length.feed(b"abc"), length.complete) == (3, False)
    assert (length.feed(b"defg"), length.complete) == (2, True)
    until_close = track(Framing.UNTIL_CLOSE, 0)
    assert until_close.feed(b"abc") == 3
    assert not until_close.complete


def test_endless_lines_are_refused() -> None:
    tracker = ChunkedTracker()
    with pytest.raises(BadFraming):
        for _ in range(100):
            tracker.feed(b"1" * 1024)
    trailing = ChunkedTracker()
    trailing.feed(b"0\r\n")
    with pytest.raises(BadFraming):
        for _ in range(100):
            trailing.feed(b"A: %s\r\n" % (b"b" * 1024))
