"""The two ed25519 key pairs of a machine: the client's, and the guest's host key.

The host key is generated on the host and pinned, so the first connection is verified too: there is no "trust on first
use". The guest gets its private key by fw_cfg before sshd starts. This module only generates and stores the files. It
is the only importer of `cryptography`, and imports it only to generate a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.errors import ProblemCode, fail
from backend.files import write_private
from backend.messages import message

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
    """Public key as in authorized_keys: "ssh-ed25519 AAAA... comment", without a line end."""

    def private_text(self) -> str:
        """Read the private key.

        Raises:
            WherryError: PATH_UNUSABLE, the file cannot be read.
        """
        try:
            return self.private_path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise fail(
                ProblemCode.PATH_UNUSABLE,
                message("The key {path} can't be read: {error}.", path=self.private_path, error=str(error)),
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKeys:
    """Both key pairs; made by `ensure_keys`."""

    client: KeyPair
    host: KeyPair


def ensure_keys(directory: Path) -> MachineKeys:
    """Return the machine's keys, generating those that are missing or damaged. Idempotent; blocks for milliseconds.

    A pair with a missing or unreadable half is generated again. That loses nothing: the guest gets its keys at each
    boot.

    Args:
        directory: created with mode 0700 if missing.

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
            message(
                "The machine's keys can't be saved in {folder}: {error}.",
                folder=directory,
                error=error.strerror or error,
            ),
            hint=message("Check that the folder belongs to you and that its disk has free space."),
        ) from error
    return MachineKeys(client=client, host=host)


def known_hosts_line(host_public_line: str, *, port: int, host: str = "127.0.0.1") -> str:
    """The known_hosts line with which OpenSSH verifies the guest: "[127.0.0.1]:port ssh-ed25519 AAAA..."."""
    kind, blob = host_public_line.split()[:2]
    # OpenSSH omits the brackets and the port when the port is 22 (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
    name = host if port == 22 else f"[{host}]:{port}"
    return f"{name} {kind} {blob}"


def pair_is_whole(private_path: Path) -> bool:
    """Whether both files exist and belong together. Changes nothing. Raises OSError."""
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
    """The public line of a valid pair; None when it has to be generated again."""
    try:
        private_bytes = private_path.read_bytes()
        public_line = public_path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if not private_bytes.startswith(_PRIVATE_HEAD) or not public_line.startswith(_PUBLIC_HEAD):
        return None
    # A crash between the two writes leaves an old public key beside a new private one. The private file contains its
    # public key unencrypted, so the check needs no cryptography.
    if not _holds_public(private_bytes, public_line):
        return None
    if private_path.stat().st_mode & 0o077:
        private_path.chmod(0o600)  # OpenSSH refuses a key that others can read. No effect on Windows.
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
