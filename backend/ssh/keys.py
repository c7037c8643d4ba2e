"""The two ed25519 key pairs of a machine: the client's, and the guest's host key, which is made here and pinned.

Making the host key on the host means that the first connection is already checked: there is no "trust on first use".
The guest gets its private half by fw_cfg before sshd starts. This module only makes and stores the files; it opens no
connection. It is the only importer of `cryptography`, and imports it when a key has to be made, not when one exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.errors import ProblemCode, fail
from backend.files import write_private

CLIENT_KEY_NAME = "client_ed25519"
HOST_KEY_NAME = "host_ed25519"
_PRIVATE_HEAD = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_PUBLIC_HEAD = "ssh-ed25519 "


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """One key pair on disk."""

    private_path: Path
    """OpenSSH private key format, no passphrase, mode 0600."""
    public_line: str
    """As in authorized_keys: "ssh-ed25519 AAAA... comment", without a line end."""

    def private_text(self) -> str:
        """Return the private key as it is injected into the guest.

        Raises:
            WherryError: PATH_UNUSABLE, the file cannot be read any more.
        """
        try:
            return self.private_path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise fail(ProblemCode.PATH_UNUSABLE, f"The key {self.private_path} cannot be read: {error}.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKeys:
    """What `ensure_keys` leaves behind."""

    client: KeyPair
    host: KeyPair


def ensure_keys(directory: Path) -> MachineKeys:
    """Return the machine's keys, making those that are absent or damaged. Idempotent; blocks for milliseconds.

    A whole pair is kept; a pair with a missing or unreadable half is made anew (the guest learns its keys at each
    boot, so nothing is lost by that).

    Args:
        directory: made with mode 0700 if absent.

    Raises:
        WherryError: PATH_UNUSABLE, the directory or a file in it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        client = _ensure_pair(directory / CLIENT_KEY_NAME, comment="wherry-client")
        host = _ensure_pair(directory / HOST_KEY_NAME, comment="wherry-guest")
    except OSError as error:
        raise fail(
            ProblemCode.PATH_UNUSABLE,
            f"The machine's keys cannot be kept in {directory}: {error.strerror or error}.",
            hint="Check that the directory belongs to you and that the disk is not full.",
        ) from error
    return MachineKeys(client=client, host=host)


def known_hosts_line(host_public_line: str, *, port: int, host: str = "127.0.0.1") -> str:
    """Return the line that lets OpenSSH's own tools check the guest: "[127.0.0.1]:port ssh-ed25519 AAAA..."."""
    kind, blob = host_public_line.split()[:2]
    # OpenSSH writes the brackets and the port only where the port is not 22 (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
    name = host if port == 22 else f"[{host}]:{port}"
    return f"{name} {kind} {blob}"


def pair_is_whole(private_path: Path) -> bool:
    """Whether both halves are there and belong together. Changes nothing. Raises OSError."""
    try:
        private_bytes = private_path.read_bytes()
        public_line = private_path.with_name(private_path.name + ".pub").read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    heads = private_bytes.startswith(_PRIVATE_HEAD) and public_line.startswith(_PUBLIC_HEAD)
    return heads and _holds_public(private_bytes, public_line)


def _ensure_pair(private_path: Path, *, comment: str) -> KeyPair:
    public_path = private_path.with_name(private_path.name + ".pub")
    public_line = _read_pair(private_path, public_path)
    if public_line is None:
        private_bytes, public_line = _generate(comment)
        write_private(private_path, private_bytes)
        write_private(public_path, public_line.encode("ascii") + b"\n")
    return KeyPair(private_path=private_path, public_line=public_line)


def _read_pair(private_path: Path, public_path: Path) -> str | None:
    """Return the public line of a pair whose halves belong together, or None where it has to be made anew."""
    try:
        private_bytes = private_path.read_bytes()
        public_line = public_path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if not private_bytes.startswith(_PRIVATE_HEAD) or not public_line.startswith(_PUBLIC_HEAD):
        return None
    # A crash between the two writes leaves an old public half beside a new private one. The private file carries its
    # public half in the clear, so the check needs no cryptography.
    if not _holds_public(private_bytes, public_line):
        return None
    if private_path.stat().st_mode & 0o077:
        private_path.chmod(
            0o600
        )  # OpenSSH refuses a key that others can read. Means nothing on Windows, harms nothing.
    return public_line


def _holds_public(private_bytes: bytes, public_line: str) -> bool:
    import base64
    import binascii

    try:
        body = b"".join(line for line in private_bytes.splitlines() if not line.startswith(b"-----"))
        return base64.b64decode(public_line.split()[1], validate=True) in base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError, IndexError):
        return False


def _generate(comment: str) -> tuple[bytes, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private_bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public_bytes = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private_bytes, f"{public_bytes.decode('ascii')} {comment}"
