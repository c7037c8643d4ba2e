"""Open logs with lines, without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from app.features.logs.data.buffer import SOURCE_BITS, LogBuffer
from app.features.logs.data.followed import FollowedLog, LogState
from app.features.logs.data.spill import Spill
from backend.engine.client.log_records import log_record

SAMPLE = (
    b"2026-11-23T22:51:33.100000000Z \x1b[32mINFO\x1b[0m  listening on :8080",
    b"2026-11-23T22:51:33.200000000Z \x1b[1;33mWARN\x1b[0m  slow query \x1b[36mSELECT * FROM boats\x1b[0m (1.2 s)",
    b'2026-11-23T22:51:33.250000000Z {"level":"error","msg":"connection refused","peer":"db:5432"}',
    b"2026-11-23T22:51:33.300000000Z \x1b[31mERROR\x1b[0m <b>not bold</b> \xff\xfe invalid UTF-8",
    b"2026-11-23T22:51:33.350000000Z 2026/11/23 22:51:33 [error] 31#31: *1 open() failed (2: No such file)",
    b"2026-11-23T22:51:33.400000000Z \x1b[38;5;208m256 colours\x1b[0m \x1b[38;2;20;20;20mtoo dark\x1b[0m",
    "2026-11-23T22:51:33.500000000Z שלום עולם, real right-to-left".encode(),
    "2026-11-23T22:51:33.500000000Z \u202egnp.exe reversed by a control, \u65e5\u672c\u8a9e, \U0001f6a3 boats".encode(),
    b'2026-11-23T22:51:33.600000000Z time=x level=debug msg="cache\tmiss" key=a\tb',
    b"2026-11-23T22:51:33.600000000Z " + b"long " * 400,
)


def lines(count: int, start: int = 0) -> list[bytes]:
    """Numbered log lines."""
    return [
        b"2026-11-23T22:52:%02d.%09dZ line %d" % (number // 1000 % 60, number, number)
        for number in range(start, start + count)
    ]


def requests(count: int) -> list[bytes]:
    """Log lines of a web server."""
    levels = (b"INFO ", b"INFO ", b"DEBUG", b"WARN ", b"INFO ", b"ERROR")
    return [
        b"2026-11-23T22:51:34.%09dZ %b GET /boats/%d 200 %d ms" % (number, levels[number % 6], number, number % 97)
        for number in range(count)
    ]


def open_log(names: Sequence[str] = ("web",), directory: Path | None = None, max_lines: int = 5_000_000) -> FollowedLog:
    """An empty log that is being followed."""
    ids = tuple(f"{number + 1:064x}" for number in range(len(names)))
    log = FollowedLog(ids, tuple(names), LogBuffer(Spill(directory), max_lines))
    for number in range(len(names)):
        log.set_state(number, LogState.FOLLOWING)
    return log


def write(log: FollowedLog, untrusted_lines: Iterable[bytes], source: int = 0, *, cut: int = 0) -> None:
    """Append lines to a log, as a feed does."""
    records = [log_record(line, cut=cut) for line in untrusted_lines]
    at = log.buffer.keep(b"".join(records))
    entries = []
    for record in records:
        entries.append(at << SOURCE_BITS | source)
        at += len(record)
    log.buffer.add(entries)
    log.touch()
