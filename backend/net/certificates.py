"""Selection of this computer's certificate authorities for the guest: valid ones that the guest lacks. Pure.

Certificates are parsed one at a time by the standard library's OpenSSL, so that a broken one affects no other. Transfer
to the guest is slow, so authorities in the image's own bundle are left out.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.host.certificates import CertificateSource
from backend.messages import Message, count_message, message

MAX_BYTES: Final = 524_288
"""Limit for all certificates together: some 300 authorities."""
_MOST_NOTES: Final = 5
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,30000}-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate that can be passed to the guest."""

    name: str
    """Its common name, or another name, for the user. Untrusted text from the certificate, sanitised."""
    pem: str
    fingerprint: str
    """SHA-256 of the certificate, in 64 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """The selected authorities."""

    chosen: tuple[Authority, ...] = ()
    """Sorted by fingerprint, so that the same authorities give the same text."""
    digest: str = ""
    """Changes when this computer's certificates change, including those in the image and expired ones."""
    known: int = 0
    """Number of authorities left out because the guest has them."""
    places: tuple[str, ...] = ()
    """The stores that were read."""
    notes: tuple[Message, ...] = ()
    """What was skipped, and why, as sentences."""

    @property
    def pem(self) -> str:
        """All certificates as PEM; "" for none."""
        return "".join(f"{one.pem.strip()}\n" for one in self.chosen)


def choose(sources: Iterable[CertificateSource], *, known: Collection[str], now: float) -> Authorities:
    """Select the authorities for the guest.

    Args:
        sources: this computer's stores.
        known: fingerprints of the authorities in its image.
        now: seconds since 1970, to leave out certificates that are not valid.
    """
    usable: dict[str, Authority] = {}
    seen: set[str] = set()
    skipped: Counter[Message] = Counter()
    notes: list[Message] = []
    places: list[str] = []
    for source in sources:
        if source.problem:
            notes.append(
                message(
                    "The certificates in {place} can't be read: {problem}", place=source.place, problem=source.problem
                )
            )
        for text in _PEM.findall(source.pem):
            try:
                der = ssl.PEM_cert_to_DER_cert(text)
            except ValueError:
                skipped[message("damaged, in {place}", place=source.place)] += 1
                continue
            fingerprint = hashlib.sha256(der).hexdigest()
            is_new = fingerprint not in seen
            seen.add(fingerprint)
            if not is_new or fingerprint in known:
                continue
            authority, wrong = _parse(der, fingerprint, now)
            if authority is None:
                skipped[message("{reason}, in {place}", reason=wrong, place=source.place)] += 1
            else:
                usable[fingerprint] = authority
        if source.pem:
            places.append(source.place)
    for why, count in list(skipped.items())[:_MOST_NOTES]:
        notes.append(
            count_message(
                "{count} certificate of this computer isn't used: {reason}.",
                "{count} certificates of this computer aren't used: {reason}.",
                count,
                reason=why,
            )
        )
    digest = hashlib.sha256("".join(sorted(seen)).encode()).hexdigest()
    chosen: list[Authority] = []
    size = 0
    for authority in sorted(usable.values(), key=lambda one: one.fingerprint):
        size += len(authority.pem) + 1
        if size > MAX_BYTES:
            notes.append(
                count_message(
                    "The machine accepts {size} KiB of certificates: {count} is left out.",
                    "The machine accepts {size} KiB of certificates: {count} are left out.",
                    len(usable) - len(chosen),
                    size=MAX_BYTES // 1024,
                )
            )
            break
        chosen.append(authority)
    return Authorities(
        chosen=tuple(chosen), known=len(seen & set(known)), digest=digest, places=tuple(places), notes=tuple(notes)
    )


def _parse(der: bytes, fingerprint: str, now: float) -> tuple[Authority | None, Message | None]:
    """Parse a certificate. Returns the authority, or None and the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=der)
    except ssl.SSLError:
        return None, message("damaged")
    stated = context.get_ca_certs()
    if not stated:
        return None, message("not from an authority")
    facts = stated[0]
    try:
        begins, ends = (ssl.cert_time_to_seconds(str(facts[key])) for key in ("notBefore", "notAfter"))
    except (KeyError, ValueError):
        return None, message("damaged")
    if now > ends:
        return None, message("expired")
    if now < begins:
        return None, message("not valid yet")
    # Encoded again, to drop any text around the base64 in the file.
    return Authority(name=_name(facts), pem=ssl.DER_cert_to_PEM_cert(der), fingerprint=fingerprint), None


def _name(facts: Mapping[str, object]) -> str:
    subject = facts.get("subject")
    parts = dict(pair for relative in subject for pair in relative) if isinstance(subject, tuple) else {}
    keys = ("commonName", "organizationalUnitName", "organizationName")
    name = next((str(parts[key]) for key in keys if key in parts), "without a name")
    return "".join(character if character.isprintable() else " " for character in name)[:80]
