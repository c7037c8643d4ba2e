"""Parsing and building DNS messages, with dnspython.

All input is untrusted. A packet that is a response, or too short to be answered, is ignored; every other packet is
answered.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA

PAYLOAD_BYTES: Final = 1232
"""Largest UDP message that we send or announce: it fits every link without fragmentation."""
_PLAIN_BYTES: Final = 512
_HEADER_BYTES: Final = 12
_FLAGS_AT: Final = 2
_QR: Final = 0x80
_TC: Final = 0x02
ADDRESS_TYPES: Final = (RdataType.A, RdataType.AAAA)


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """The question of a query."""

    name: dns.name.Name
    """Absolute, in lower case."""
    type: RdataType

    @property
    def text(self) -> bytes:
        """The name in dotted form without a final dot, for names whose labels contain no dots."""
        return b".".join(self.name.labels[:-1])


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer to a question, at the time it was found."""

    rcode: Rcode
    sections: tuple[tuple[dns.rrset.RRset, ...], tuple[dns.rrset.RRset, ...]] = ((), ())
    """Answer and authority sections. The name of the first set MAY differ in case from the question."""


@dataclass(frozen=True, slots=True)
class DnsQuery:
    """A packet that can be answered."""

    message: dns.message.Message
    question: DnsQuestion | None
    """None when it is invalid; `refusal` gives the reason."""
    refusal: Rcode = Rcode.NOERROR

    def to_wire(self, answer: DnsAnswer, *, age_s: float = 0, datagram: bool) -> bytes:
        """Encode the response; what does not fit into a datagram is left out, and the flag TC set.

        Addresses are cut to what fits for every client, without that flag: some 30 of IPv4. The guest's forwarder asks
        with EDNS whoever its client is, and empties what is too large for that one; musl's resolver before 1.2.4 takes
        512 bytes and never asks again over TCP.
        """
        response = dns.message.make_response(self.message, recursion_available=True, our_payload=PAYLOAD_BYTES)
        response.set_rcode(answer.rcode)
        for section, rrsets in zip((response.answer, response.authority), answer.sections, strict=True):
            section += [_aged(rrset, int(age_s)) for rrset in rrsets]
        if not datagram:
            return response.to_wire(max_size=65_535, prefer_truncation=True)
        is_address = self.question is not None and self.question.type in ADDRESS_TYPES
        size = _PLAIN_BYTES
        if self.message.edns >= 0 and not is_address:
            size = min(max(self.message.payload, _PLAIN_BYTES), PAYLOAD_BYTES)
        try:
            return response.to_wire(max_size=size)
        except dns.exception.TooBig:
            wire = bytearray(_filled(response, size))
        if is_address and any(rrset.rdtype in ADDRESS_TYPES for rrset in response.answer):
            wire[_FLAGS_AT] &= ~_TC
        return bytes(wire)

    def refuse(self, rcode: Rcode) -> bytes:
        """Encode a response with only this code."""
        return self.to_wire(DnsAnswer(rcode), datagram=True)


def _filled(response: dns.message.Message, size: int) -> bytes:
    """Encode as many of the answer's records as fit into `size` bytes, the first ones first, with the flag TC.

    They are the answer of `response` afterwards.
    """
    records = [(rrset, record) for rrset in response.answer for record in rrset]
    response.flags |= dns.flags.TC
    response.authority = []
    least, most = 0, len(records) - 1
    while least < most:
        count = (least + most + 1) // 2
        response.answer = _first(records, count)
        try:
            response.to_wire(max_size=size)
            least = count
        except dns.exception.TooBig:
            most = count - 1
    response.answer = _first(records, least)
    return response.to_wire(max_size=size, prefer_truncation=True)


def _first(records: list[tuple[dns.rrset.RRset, dns.rdata.Rdata]], count: int) -> list[dns.rrset.RRset]:
    """The sets of the first records."""
    return [
        dns.rrset.from_rdata_list(rrset.name, rrset.ttl, [record for _, record in kept])
        for rrset, kept in itertools.groupby(records[:count], key=lambda pair: pair[0])
    ]


def read(untrusted: bytes) -> DnsQuery | bytes | None:
    """Parse a packet. Returns a query, or the bytes of an error response, or None when it gets no response."""
    if len(untrusted) < _HEADER_BYTES or untrusted[2] & _QR:
        return None
    try:
        message = dns.message.from_wire(untrusted)
    except Exception:  # noqa: BLE001 -- a parser's defect on a stranger's bytes is no reason to fall silent
        return _format_error(untrusted)
    if message.opcode() != dns.opcode.QUERY:
        return _canned(untrusted, Rcode.NOTIMP)
    if message.edns > 0:
        return DnsQuery(message, None, Rcode.BADVERS)
    if len(message.question) != 1 or message.answer or message.authority:
        return _format_error(untrusted)
    question = message.question[0]
    if question.rdclass != dns.rdataclass.IN or question.rdtype in (RdataType.AXFR, RdataType.IXFR):
        return DnsQuery(message, None, Rcode.REFUSED)
    if dns.rdatatype.is_metatype(question.rdtype) and question.rdtype != RdataType.ANY:
        return DnsQuery(message, None, Rcode.NOTIMP)
    return DnsQuery(message, DnsQuestion(question.name.canonicalize(), RdataType.make(question.rdtype)))


def _format_error(untrusted: bytes) -> bytes:
    return _canned(untrusted, Rcode.FORMERR)


def _canned(untrusted: bytes, rcode: Rcode) -> bytes:
    """A response of the header alone, with the same ID, opcode and RD flag."""
    second = _QR | (untrusted[2] & 0x79)
    return bytes((untrusted[0], untrusted[1], second, 0x80 | rcode)) + bytes(8)


def _aged(rrset: dns.rrset.RRset, age_s: int) -> dns.rrset.RRset:
    if age_s <= 0:
        return rrset
    return dns.rrset.from_rdata_list(rrset.name, max(0, rrset.ttl - age_s), list(rrset))


def addresses(question: DnsQuestion, texts: tuple[str, ...], *, ttl_s: int) -> DnsAnswer:
    """The answer with these addresses; without any, one that says that the name exists."""
    if not texts:
        return DnsAnswer(Rcode.NOERROR)
    return DnsAnswer(Rcode.NOERROR, ((dns.rrset.from_text_list(question.name, ttl_s, "IN", question.type, texts),), ()))


def from_message(message: dns.message.Message, question: DnsQuestion, *, most_ttl_s: int) -> tuple[DnsAnswer, int]:
    """Convert a server's message into an answer with TTLs of at most `most_ttl_s`, and the seconds to cache it.

    When another name was asked (with a search domain), the answer is changed to the name of `question`.
    """
    owner = message.question[0].name if message.question else question.name
    keep_s = most_ttl_s
    sections: list[tuple[dns.rrset.RRset, ...]] = []
    for section in (message.answer, message.authority):
        rrsets = []
        for rrset in section:
            if rrset.rdtype in (RdataType.RRSIG, RdataType.NSEC, RdataType.NSEC3):
                continue  # RRSIG records: we do not validate
            if section is message.authority and rrset.rdtype != RdataType.SOA:
                continue
            ttl = min(rrset.ttl, most_ttl_s)
            if isinstance(first := rrset[0], SOA):
                ttl = min(ttl, first.minimum)
            keep_s = min(keep_s, ttl)
            name = question.name if rrset.name == owner else rrset.name
            rrsets.append(dns.rrset.from_rdata_list(name, ttl, list(rrset)))
        sections.append(tuple(rrsets))
    return DnsAnswer(message.rcode(), (sections[0], sections[1])), keep_s


def without(answer: DnsAnswer, type_: RdataType) -> DnsAnswer:
    """The answer without records of this type."""
    first = tuple(rrset for rrset in answer.sections[0] if rrset.rdtype != type_)
    return DnsAnswer(answer.rcode, (first, answer.sections[1]))
