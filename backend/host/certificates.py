"""The certificate authorities that this computer trusts, read from each system's store. PEM text is not checked."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LINUX_BUNDLES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch, Alpine
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),  # Fedora, RHEL
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/var/lib/ca-certificates/ca-bundle.pem"),  # openSUSE
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)
_MAX_BYTES: Final = 8_388_608
_SECURITY: Final = "/usr/bin/security"
_SYSTEM_ROOTS: Final = "/System/Library/Keychains/SystemRootCertificates.keychain"
_TIMEOUT_S: Final = 20.0
_MOST_VERIFIED: Final = 100
_SERVER_AUTH: Final = "1.3.6.1.5.5.7.3.1"
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSource:
    """A file or store with certificates."""

    place: str
    """Path or name of the store, for the user."""
    pem: str
    """Its certificates; "" when it cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


def from_linux(
    *, bundles: Iterable[Path] = LINUX_BUNDLES, environment: Mapping[str, str] = os.environ
) -> tuple[CertificateSource, ...]:
    """The system's bundle, and the file in $SSL_CERT_FILE."""
    places = [next((path for path in bundles if path.is_file()), None)]
    if named := environment.get("SSL_CERT_FILE"):
        places.append(Path(named))
    return tuple(_read(path) for path in dict.fromkeys(places) if path is not None)


def from_macos() -> tuple[CertificateSource, ...]:
    """The system's root certificates, and those of the other keychains that the system trusts for servers."""
    roots = _security("find-certificate", "-a", "-p", _SYSTEM_ROOTS)
    own = _security("find-certificate", "-a", "-p")
    accepted = [text for text in _PEM.findall(own.pem)[:_MOST_VERIFIED] if _is_trusted_by_macos(text)]
    return (roots, CertificateSource(place="the keychains", pem="\n".join(accepted), problem=own.problem))


def from_windows() -> tuple[CertificateSource, ...]:
    """The stores of root and intermediate authorities, without distrusted ones."""
    # Type checkers know these only on Windows.
    enumerate_store = getattr(ssl, "enum_certificates")  # noqa: B009
    distrusted = {der for der, _, _ in enumerate_store("Disallowed")}
    sources = []
    for store, title in (("ROOT", "trusted root authorities"), ("CA", "intermediate authorities")):
        try:
            entries = enumerate_store(store)
        except OSError as error:
            sources.append(CertificateSource(place=title, pem="", problem=str(error)))
            continue
        usable = [
            ssl.DER_cert_to_PEM_cert(der)
            for der, encoding, purposes in entries
            if encoding == "x509_asn" and der not in distrusted and (purposes is True or _SERVER_AUTH in purposes)
        ]
        sources.append(CertificateSource(place=title, pem="".join(usable)))
    return tuple(sources)


def _read(path: Path) -> CertificateSource:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        return CertificateSource(place=str(path), pem="", problem=error.strerror or str(error))
    if len(content) > _MAX_BYTES:
        return CertificateSource(place=str(path), pem="", problem=f"it is longer than {_MAX_BYTES >> 20} MiB")
    return CertificateSource(place=str(path), pem=content.decode("latin-1"))


def _security(*arguments: str) -> CertificateSource:
    try:
        done = subprocess.run(
            (_SECURITY, *arguments), capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return CertificateSource(place="the keychains", pem="", problem=f"{_SECURITY} did not answer: {error}")
    problem = done.stderr.strip()[:200] if done.returncode != 0 else ""
    return CertificateSource(place="the system's roots", pem=done.stdout, problem=problem)


def _is_trusted_by_macos(pem: str) -> bool:
    """Whether macOS trusts the certificate for servers: keychains also hold other certificates."""
    handle, name = tempfile.mkstemp(suffix=".pem")
    path = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(pem)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            command = (_SECURITY, "verify-cert", "-l", "-L", "-q", "-c", str(path))
            return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False).returncode == 0
        return False
    finally:
        path.unlink(missing_ok=True)
