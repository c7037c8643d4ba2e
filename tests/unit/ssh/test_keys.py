"""The machine's key pairs: made once, private, mended when damaged, and such as OpenSSH takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backend.errors import ProblemCode, WherryError
from backend.ssh.keys import ensure_keys, known_hosts_line


def test_keys_are_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    first = ensure_keys(directory)
    assert ensure_keys(directory) == first
    assert first.client.public_line != first.host.public_line
    assert first.client.public_line.startswith("ssh-ed25519 AAAA")
    assert {path.name for path in directory.iterdir()} == {
        "client_ed25519",
        "client_ed25519.pub",
        "host_ed25519",
        "host_ed25519.pub",
    }


def test_private_halves_are_private(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    keys = ensure_keys(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert keys.host.private_path.stat().st_mode & 0o777 == 0o600
    keys.host.private_path.chmod(0o644)
    ensure_keys(directory)
    assert keys.host.private_path.stat().st_mode & 0o777 == 0o600


def test_openssh_reads_them_and_finds_the_same_public_half(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path)
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(keys.client.private_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert shown.stdout.split()[:2] == keys.client.public_line.split()[:2]
    assert keys.host.private_text().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")


@pytest.mark.parametrize("damage", ["empty private", "empty public", "no public", "foreign public", "binary public"])
def test_a_damaged_pair_is_made_anew_and_the_other_kept(tmp_path: Path, damage: str) -> None:
    before = ensure_keys(tmp_path)
    private, public = tmp_path / "client_ed25519", tmp_path / "client_ed25519.pub"
    match damage:
        case "empty private":
            private.write_bytes(b"")
        case "empty public":
            public.write_text("")
        case "no public":
            public.unlink()
        case "foreign public":
            public.write_text(before.host.public_line)
        case _:
            public.write_bytes(b"ssh-ed25519 \xff\xfe")
    after = ensure_keys(tmp_path)
    assert after.client.public_line != before.client.public_line
    assert after.host == before.host
    assert ensure_keys(tmp_path) == after


def test_a_directory_that_cannot_be_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WherryError) as caught:
        ensure_keys(tmp_path / "file" / "keys")
    assert caught.value.problem.code is ProblemCode.PATH_UNUSABLE


def test_known_hosts_line() -> None:
    assert known_hosts_line("ssh-ed25519 AAAA comment", port=2222) == "[127.0.0.1]:2222 ssh-ed25519 AAAA"
    assert known_hosts_line("ssh-ed25519 AAAA", port=22) == "127.0.0.1 ssh-ed25519 AAAA"
