"""Generators of hostile bytes and JSON from a random source: Python's, or hypothesis's, which shrinks failures."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

ODD_BYTES = (
    b"",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b":",
    b"\xff",
    b"\x80\x81",
    b"\xf0\x9f\x98\x80",
    b"-1",
    b"%n",
)
ODD_NUMBERS = (0, 1, -1, 2**31, 2**32 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.5, 1e308, -0.0)
ODD_TEXTS = (
    *("", "a", "\x1b[31mred", "\u202eabc", "\0", "é", "x" * 300, "/", "..", "<none>:<none>", "NaN", "1e999", "sha256:"),
    *("2026-01-01T00:00:00.123456789Z", "0001-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "80/tcp", "/udp", "running"),
    *("Up 3 minutes (healthy)", "Exited (137) 2 days ago", "٣", "9" * 30, "a=b", "=", "{}", "default", "container:x"),
)


def token(source: random.Random, choices: Sequence[bytes]) -> bytes:
    """Usually one of `choices`, sometimes other bytes."""
    kind = source.randrange(10)
    if kind < 7:
        return source.choice(choices)
    if kind == 7:
        return source.choice(ODD_BYTES)
    if kind == 8:
        return str(source.choice(ODD_NUMBERS)).encode()[:40]
    return noise(source, 12)


def noise(source: random.Random, most: int) -> bytes:
    """Up to `most` random bytes."""
    return bytes(source.randrange(256) for _ in range(source.randrange(most + 1)))


def words(source: random.Random, choices: Sequence[bytes], most: int) -> bytes:
    """Up to `most` tokens, joined."""
    return b"".join(token(source, choices) for _ in range(source.randrange(most + 1)))


def spoil(source: random.Random, data: bytes) -> bytes:
    """Change, remove, repeat or insert bytes in up to three places, or truncate."""
    for _ in range(source.randrange(4)):
        if not data:
            return data
        at = source.randrange(len(data))
        kind = source.randrange(5)
        if kind == 0:
            data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + source.randrange(1, 9) :]
        elif kind == 2:
            data = data[:at] + data[at : at + source.randrange(1, 40)] + data[at:]
        elif kind == 3:
            data = data[:at] + source.choice(ODD_BYTES) + data[at:]
        else:
            data = data[:at]
    return data


def pieces(source: random.Random, data: bytes) -> list[bytes]:
    """The bytes, split into pieces of random sizes."""
    made = []
    while data:
        size = source.choice((1, 1, 2, 3, 7, 30, 200, 5000))
        made.append(data[:size])
        data = data[size:]
    return made


def value(source: random.Random, depth: int = 3) -> Any:
    """A random JSON value."""
    kind = source.randrange(8 if depth else 5)
    if kind == 0:
        return source.choice((None, True, False))
    if kind in (1, 2):
        return source.choice(ODD_NUMBERS)
    if kind in (3, 4):
        return source.choice(ODD_TEXTS)
    if kind == 5:
        return [value(source, depth - 1) for _ in range(source.randrange(4))]
    return {str(source.choice(ODD_TEXTS)): value(source, depth - 1) for _ in range(source.randrange(4))}


def changed(source: random.Random, sample: Any, chance: int = 12) -> Any:
    """A copy of the sample in which some values have another type, are missing or unusual."""
    if source.randrange(chance) == 0:
        return value(source)
    if isinstance(sample, dict):
        return {key: changed(source, one, chance) for key, one in sample.items() if source.randrange(chance)}
    if isinstance(sample, list):
        made = [changed(source, one, chance) for one in sample if source.randrange(chance)]
        return [*made, value(source)] if source.randrange(chance) == 0 else made
    return sample


def json_bytes(source: random.Random, sample: Any) -> bytes:
    """A changed sample as JSON text, sometimes with changed bytes, sometimes nested too deeply."""
    kind = source.randrange(12)
    if kind == 0:
        bracket = source.choice((b"[", b'{"a":'))
        return bracket * source.choice((5, 600, 5000))
    text = json.dumps(changed(source, sample), ensure_ascii=source.randrange(2) == 0).encode("utf-8", "surrogatepass")
    return spoil(source, text) if kind < 4 else text
