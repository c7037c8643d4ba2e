"""Certificates for single registries, from docker's directories: `certs.d/HOST[:PORT]/ca.crt`, client.cert, client.key.

The guest receives them as a tar archive, which it unpacks into its /etc/docker/certs.d.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.messages import Message, message

MAX_BYTES: Final = 262_144
_MOST_HOSTS: Final = 200
_HOST: Final = re.compile(r"[A-Za-z0-9.\-\[\]_]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?")
_SUFFIXES: Final = (".crt", ".cert", ".key")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryCertificates:
    """The collected certificates."""

    tar: bytes = b""
    """A tar archive; b"" when there are none. The same files give the same bytes."""
    hosts: tuple[str, ...] = ()
    """Registries that have certificates."""
    notes: tuple[Message, ...] = ()
    """What was left out, and why."""


def directories() -> tuple[Path, ...]:
    """The directories of docker's clients and engine on this computer; later ones take precedence."""
    docker = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    return (Path("/etc/docker/certs.d"), docker / "certs.d")


def collect(places: tuple[Path, ...]) -> RegistryCertificates:
    """Read the certificates. Unreadable files are listed in the notes."""
    files: dict[str, bytes] = {}
    notes: list[Message] = []
    size = 0
    for place in places:
        try:
            hosts = sorted(path for path in place.iterdir() if path.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            notes.append(message("{path} can't be read: {error}.", path=place, error=error))
            continue
        for host in hosts[:_MOST_HOSTS]:
            if not _HOST.fullmatch(host.name) or host.name in (".", ".."):
                notes.append(message("{path} isn't named after a registry and is skipped.", path=host))
                continue
            try:
                for path in sorted(host.iterdir()):
                    if path.suffix in _SUFFIXES and path.is_file():
                        content = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
                        size += len(content)
                        if not content or size > MAX_BYTES:
                            notes.append(message("{path} is empty or too large and is skipped.", path=path))
                            continue
                        files[f"{host.name}/{path.name}"] = content
            except OSError as error:
                notes.append(message("{path} can't be read: {error}.", path=str(error.filename or host), error=error))
    hosts_found = tuple(dict.fromkeys(name.partition("/")[0] for name in files))
    return RegistryCertificates(tar=_tar(files) if files else b"", hosts=hosts_found, notes=tuple(notes))


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for host in dict.fromkeys(name.partition("/")[0] for name in sorted(files)):
            entry = tarfile.TarInfo(host)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o600 if name.endswith(".key") else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
