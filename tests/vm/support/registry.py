"""A real registry (Debian's docker-registry) on the loopback, plain or with TLS from an authority created here."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.vm.support.tools import Tools

_LISTENING = re.compile(r"listening on .*?:(\d+)")


@dataclass(frozen=True)
class Authority:
    """A new certificate authority that no system trusts."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str, *, days: int = 30, is_authority: bool = True) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _certificate(subject, subject, key, days=days)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, directory: Path, *names: str) -> tuple[Path, Path]:
        """(certificate, key) for servers of these names or addresses, as files."""
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), self.certificate.subject, key, days=10
        )
        alternatives = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        paths = directory / "server.crt", directory / "server.key"
        paths[0].write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    begins = now - datetime.timedelta(days=400 if days < 0 else 1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


@contextlib.contextmanager
def serve_registry(tools: Tools, base: Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    """Run a registry; yields its port on 127.0.0.1."""
    base.mkdir(parents=True, exist_ok=True)
    config = base / "config.yml"
    certificate = f", tls: {{certificate: {tls[0]}, key: {tls[1]}}}" if tls is not None else ""
    config.write_text(
        f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {base}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:0'{certificate}}}\n"
    )
    process = subprocess.Popen(
        [str(tools.registry), "serve", str(config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    port = None
    for line in process.stderr:
        if found := _LISTENING.search(line):
            port = int(found.group(1))
            break
    assert port, "the registry did not say where it listens"
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
        drain.join(timeout=20)
        process.stderr.close()
