"""Which of this computer's authorities the guest is given: valid ones that it does not have already. Pure.

Certificates are parsed by the standard library's OpenSSL, one at a time, so that a broken one costs only itself. A PEM
text of an authority is small, but it reaches the guest byte by byte, so what the image has in its own bundle stays out.
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

MAX_BYTES: Final = 524_288
"""Of all that the guest is given: some 300 authorities."""
_MOST_NOTES: Final = 5
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,30000}-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One certificate that can be given."""

    name: str
    """Its common name, or what else it has, for the user. Comes out of the certificate: cleaned of what is not text."""
    pem: str
    fingerprint: str
    """SHA-256 of the certificate, in 64 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """What was found."""

    chosen: tuple[Authority, ...] = ()
    """To be given, in order of their fingerprints: the same authorities make the same text."""
    digest: str = ""
    """Differs when this computer's certificates do, whatever of them the image has and whatever has expired since."""
    known: int = 0
    """How many more this computer has that the guest has, too."""
    places: tuple[str, ...] = ()
    """Where they come from."""
    notes: tuple[str, ...] = ()
    """What was skipped, and why, in sentences."""

    @property
    def pem(self) -> str:
        """All of them; "" for none."""
        return "".join(f"{one.pem.strip()}\n" for one in self.chosen)


def choose(sources: Iterable[CertificateSource], *, known: Collection[str], now: float) -> Authorities:
    """What to give to the guest.

    Args:
        known: fingerprints of what its image has.
        now: seconds since 1970, to leave out what is not valid.
    """
    found: dict[str, Authority] = {}
    seen: set[str] = set()
    skipped: Counter[str] = Counter()
    notes: list[str] = []
    places: list[str] = []
    for source in sources:
        if source.problem:
            notes.append(f"The certificates of {source.place} cannot be read: {source.problem}.")
        for text in _PEM.findall(source.pem):
            try:
                der = ssl.PEM_cert_to_DER_cert(text)
            except ValueError:
                skipped[f"broken, in {source.place}"] += 1
                continue
            fingerprint = hashlib.sha256(der).hexdigest()
            is_new = fingerprint not in seen
            seen.add(fingerprint)
            if not is_new or fingerprint in known:
                continue
            authority, wrong = _parse(der, fingerprint, now)
            if authority is None:
                skipped[f"{wrong}, in {source.place}"] += 1
            else:
                found[fingerprint] = authority
        if source.pem:
            places.append(source.place)
    for why, count in list(skipped.items())[:_MOST_NOTES]:
        verb = "is" if count == 1 else "are"
        notes.append(f"{count} of this computer's certificates {verb} not used: {why}.")
    digest = hashlib.sha256("".join(sorted(seen)).encode()).hexdigest()
    chosen: list[Authority] = []
    size = 0
    for authority in sorted(found.values(), key=lambda one: one.fingerprint):
        size += len(authority.pem) + 1
        if size > MAX_BYTES:
            notes.append(
                f"The machine takes {MAX_BYTES // 1024} KiB of certificates: {len(found) - len(chosen)} are left out."
            )
            break
        chosen.append(authority)
    return Authorities(
        chosen=tuple(chosen), known=len(seen & set(known)), digest=digest, places=tuple(places), notes=tuple(notes)
    )


def _parse(der: bytes, fingerprint: str, now: float) -> tuple[Authority | None, str]:
    """The authority, or why it is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=der)
    except ssl.SSLError:
        return None, "broken"
    stated = context.get_ca_certs()
    if not stated:
        return None, "not of an authority"
    facts = stated[0]
    try:
        begins, ends = (ssl.cert_time_to_seconds(str(facts[key])) for key in ("notBefore", "notAfter"))
    except (KeyError, ValueError):
        return None, "broken"
    if now > ends:
        return None, "expired"
    if now < begins:
        return None, "not valid yet"
    # Written anew: what stood around the base64 in a file is not handed on.
    return Authority(name=_name(facts), pem=ssl.DER_cert_to_PEM_cert(der), fingerprint=fingerprint), ""


def _name(facts: Mapping[str, object]) -> str:
    subject = facts.get("subject")
    parts = dict(pair for relative in subject for pair in relative) if isinstance(subject, tuple) else {}
    keys = ("commonName", "organizationalUnitName", "organizationName")
    name = next((str(parts[key]) for key in keys if key in parts), "without a name")
    return "".join(character if character.isprintable() else " " for character in name)[:80]
