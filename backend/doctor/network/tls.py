"""Why a certificate is not believed, in the words of somebody who can do something about it.

The one importer of `cryptography` beside the keys: the standard library shows the names only of certificates that it
believes.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backend.doctor.network.types import Unreached
from backend.engine.types import clean_text
from backend.messages import message, sentences

_EXPIRED: Final = 10
_NOT_YET: Final = 9
_UNKNOWN: Final = (2, 18, 19, 20, 21)
"""OpenSSL's codes (X509_V_ERR_...) for an issuer that is not known, and for certificates that sign themselves."""
_OTHER_NAME: Final = (62, 64)
_PUBLIC: Final = (
    "docker.io", "docker.com", "ghcr.io", "quay.io", "gcr.io", "pkg.dev", "microsoft.com", "amazonaws.com",
    "public.ecr.aws", "registry.k8s.io", "registry.gitlab.com", "azurecr.io", "cloudflarestorage.com",
)  # fmt: skip
"""Whose certificates are from authorities that everybody has: another issuer is somebody in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says of itself. Names are cleaned."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime


def trusting(pem: str | None) -> ssl.SSLContext:
    """A context that believes what the guest's bundle names; None: what this computer believes.

    Raises:
        ValueError, ssl.SSLError: there is no certificate in the bundle, or one that cannot be read.
    """
    context = ssl.create_default_context() if pem is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if pem is not None:
        context.load_verify_locations(cadata=pem.encode("ascii", "replace").decode())  # bundles have comments
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)  # the engine is not so strict either
    return context


def believing_all() -> ssl.SSLContext:
    """A context that checks nothing: to look at a certificate, or for a registry that is listed as insecure."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def facts_of(der: bytes | None) -> CertificateFacts | None:
    """Read a certificate; None for what is none."""
    from cryptography import x509

    if not der:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = [str(entry.value) for entry in extension]
        except (x509.ExtensionNotFound, ValueError):
            names = []
        return CertificateFacts(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            names=tuple(clean_text(name, 80) for name in names[:6]),
            begins=certificate.not_valid_before_utc,
            ends=certificate.not_valid_after_utc,
        )
    except ValueError:
        return None


def _name(name: object) -> str:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    assert isinstance(name, x509.Name)
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            return clean_text(str(attribute.value), 100)
    return clean_text(name.rfc4514_string(), 100) or "an issuer without a name"


def explain(
    error: ssl.SSLError,
    facts: CertificateFacts | None,
    *,
    host: str,
    believed_elsewhere: bool,
    now: float | None = None,
) -> Unreached:
    """What the user is told of a TLS handshake that failed.

    Args:
        error: of the handshake.
        facts: of the certificate that was shown, if it could be had.
        host: who was to be reached.
        believed_elsewhere: whether this computer believes the certificate, and only the machine does not.
        now: seconds since the epoch; None: this computer's clock.
    """
    code, why = None, ""
    if isinstance(error, ssl.SSLCertVerificationError):
        code, why = error.verify_code, clean_text(error.verify_message, 120)
    issuer = facts.issuer if facts is not None else "an issuer that could not be read"
    if code in (_EXPIRED, _NOT_YET) and facts is not None:
        return _out_of_time(facts, host, datetime.fromtimestamp(now if now is not None else time.time(), UTC))
    if code in _OTHER_NAME:
        names = facts.names if facts is not None else ()
        return Unreached(
            message("The certificate is for {names}, not for {host}.", names=names, host=host)
            if names
            else message("The certificate names no server, so it isn't valid for {host}.", host=host),
            message(
                "Another server responds in its place, or the registry has another name. Use the name in the "
                "certificate."
            ),
        )
    if code in _UNKNOWN:
        return _unknown_issuer(issuer, host, believed_elsewhere)
    if code is not None:
        return Unreached(
            message(
                "The certificate of {host}, issued by {issuer}, isn't trusted ({why}).",
                host=host,
                issuer=issuer,
                why=why,
            )
        )
    if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error) or "RECORD_LAYER" in str(error):
        return Unreached(
            message("{host} doesn't use TLS.", host=host),
            message("Add a registry without TLS to “insecure-registries” in daemon.json (Settings, Engine)."),
        )
    reason = clean_text((error.reason or str(error)).replace("_", " ").lower(), 120)
    return Unreached(
        message("TLS with {host} failed: {reason}.", host=host, reason=reason),
        message("A firewall or security software may block the connection. Ask your network administrator."),
    )


def _out_of_time(facts: CertificateFacts, host: str, now: datetime) -> Unreached:
    clock = message("This computer's clock is at {now} UTC.", now=f"{now:%Y-%m-%d %H:%M}")
    if now > facts.ends:
        return Unreached(
            message(
                "The certificate of {host} expired on {ends}. {clock}",
                host=host,
                ends=f"{facts.ends:%Y-%m-%d}",
                clock=clock,
            ),
            message(
                "Correct this computer's clock if it is wrong. Otherwise, the registry's operator must renew the "
                "certificate."
            ),
        )
    return Unreached(
        message(
            "The certificate of {host} isn't valid before {begins} UTC. {clock}",
            host=host,
            begins=f"{facts.begins:%Y-%m-%d %H:%M}",
            clock=clock,
        ),
        message("Correct this computer's clock. The machine's clock follows it."),
    )


def _unknown_issuer(issuer: str, host: str, believed_elsewhere: bool) -> Unreached:
    between = any(host == name or host.endswith(f".{name}") for name in _PUBLIC)
    what = sentences(
        message("The certificate of {host}, issued by “{issuer}”, isn't trusted.", host=host, issuer=issuer),
        message("It isn't the original one: a proxy or security software intercepts the connection.")
        if between
        else None,
    )
    if believed_elsewhere:
        return Unreached(
            sentences(what, message("This computer trusts it, but the machine doesn't.")),
            message(
                "Use this computer's authorities in the machine: wherry config set network.certificates system, then "
                "wherry restart."
            ),
        )
    return Unreached(
        what,
        message(
            "Add the certificate of “{issuer}” to this computer's trusted authorities (ask your network's or the "
            "registry's administrator for it), or only for {host}, copy it to ~/.docker/certs.d/REGISTRY:PORT/ca.crt. "
            "Then run wherry restart. For a test registry, use “insecure-registries” in daemon.json.",
            issuer=issuer,
            host=host,
        ),
    )
