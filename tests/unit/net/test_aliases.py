"""Aliases of addresses: made once, kept for good, turned back in answers."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backend.addresses import Protocol
from backend.errors import ProblemCode, WherryError
from backend.files import write_private
from backend.net.aliases import Aliases, needs_alias
from backend.vm import usernet
from backend.vm.usernet import HostForward


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", None),
        ("127.0.0.1", None),
        ("127.0.0.2", None),
        ("0.0.0.0", None),
        ("localhost", None),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::", "::"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:127.0.0.1", None),
    ],
)
def test_which_addresses_the_guest_cannot_have(address: str, expected: str | None) -> None:
    assert needs_alias(address) == expected


def test_an_alias_is_the_same_for_good(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    aliases = Aliases(path)
    assert aliases.is_empty
    first, second = aliases.alias_of("::1"), aliases.alias_of("192.0.2.7")
    assert first != second
    again = Aliases(path)
    assert again.alias_of("::1") == first
    assert again.host_address(second) == "192.0.2.7"
    assert again.host_address("127.0.0.1") == "127.0.0.1"
    assert not again.is_empty


def test_answers_are_turned_back_where_an_address_stands_and_nowhere_else(tmp_path: Path) -> None:
    aliases = Aliases(tmp_path / "addresses.json")
    alias = aliases.alias_of("::1")
    answer = (
        f'[{{"Port":[{{"IP":"{alias}","PublicPort":80}}],"HostIp": "{alias}","Note":"{alias}"}},{{"IP":"127.66.9.9"}}]'
    )
    assert aliases.restore(answer.encode()).decode() == (
        f'[{{"Port":[{{"IP":"::1","PublicPort":80}}],"HostIp": "::1","Note":"{alias}"}},{{"IP":"127.66.9.9"}}]'
    )


def test_addresses_that_are_wanted_at_the_same_time_get_different_aliases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def write_together(path: Path, content: bytes) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)  # which breaks when there is only one at a time
        write_private(path, content)

    monkeypatch.setattr("backend.net.aliases.write_private", write_together)
    aliases = Aliases(tmp_path / "addresses.json")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(aliases.alias_of, ("::1", "192.0.2.7"))
    assert (aliases.host_address(first), aliases.host_address(second)) == ("::1", "192.0.2.7")
    assert Aliases(tmp_path / "addresses.json").host_address(second) == "192.0.2.7"


@pytest.mark.parametrize("text", ["", "{", '{"x": "::1"}', '{"127.66.0.1": "home"}', "[]"])
def test_a_table_that_cannot_be_read_is_no_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "addresses.json"
    path.write_text(text)
    aliases = Aliases(path)
    assert aliases.problem is not None
    with pytest.raises(WherryError) as caught:
        aliases.alias_of("::1")
    assert caught.value.problem.code is ProblemCode.CONFIG_BROKEN
    assert caught.value.problem == aliases.problem
    assert aliases.host_address("127.66.0.1") == "127.66.0.1"
    assert path.read_text() == text


def test_a_table_that_cannot_be_written_gives_no_alias(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WherryError) as caught:
        Aliases(tmp_path / "absent" / "addresses.json").alias_of("::1")
    assert caught.value.problem.code is ProblemCode.PATH_UNUSABLE


TABLE = """Hub -1 (net0):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[ESTABLISHED]   97       127.0.0.1  8081       127.0.0.1  8081     0     0\r
  TCP[ESTABLISHED]   98       127.0.0.1  8081       127.0.0.1  8081     0     0\r
  TCP[TIME_WAIT]     99       127.0.0.1  8081       127.0.0.1  8081     0     0\r
  TCP[ESTABLISHED]   90       192.0.2.9  8443       10.0.2.15  8443     0     0\r
  TCP[ESTABLISHED]   91       10.0.2.15 40412       192.0.2.1   443     0     0\r
  TCP[HOST_FORWARD]  81       127.0.0.1  8081       127.0.0.1  8081     0     0\r
  TCP[HOST_FORWARD]  82               *  8443       10.0.2.15  8443     0     0\r
  UDP[HOST_FORWARD]  83       127.0.0.1  5353       127.0.0.1  5353     0     0\r
  UDP[236 sec]       84       10.0.2.15 56612        10.0.2.3    53     0     0\r
"""


def test_the_user_networks_table_is_read() -> None:
    table = usernet.parse(TABLE)
    assert table.forwards == (
        HostForward(Protocol.TCP, "127.0.0.1", 8081, "127.0.0.1", 8081),
        HostForward(Protocol.TCP, "0.0.0.0", 8443, "10.0.2.15", 8443),
        HostForward(Protocol.UDP, "127.0.0.1", 5353, "127.0.0.1", 5353),
    )
    assert [one.descriptor for one in table.forwards] == [81, 82, 83]
    assert table.connections == {("127.0.0.1", 8081): 2, ("0.0.0.0", 8443): 1}


def test_the_words_for_qemu() -> None:
    forward = HostForward(Protocol.UDP, "127.0.0.1", 53, "127.0.0.1", 5353)
    assert usernet.add_command(forward) == "hostfwd_add net0 udp:127.0.0.1:53-127.0.0.1:5353"
    assert usernet.remove_command(forward) == "hostfwd_remove net0 udp:127.0.0.1:53"
    assert (
        usernet.add_command(HostForward(Protocol.TCP, "0.0.0.0", 80, "", 80)) == "hostfwd_add net0 tcp:0.0.0.0:80-:80"
    )
