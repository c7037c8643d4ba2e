"""A real DNS server on the loopback, with UDP and TCP, and a small zone that tests can change."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.test. root.test. 1 3600 600 86400 300"


class ZoneServer:
    """Serves inside its `with` block."""

    def __init__(
        self, records: Iterable[tuple[str, int, str, str]] = (), *, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        """Create the zone.

        Args:
            records: (name without final dot, TTL, type, text); "*.name" matches all names below it without records.
            address: address to listen on.
            port: port to listen on; 0: any.
        """
        self.records = list(records)
        self.asked: list[tuple[str, str]] = []
        """(name, type) of each query received."""
        self.rcode = dns.rcode.NOERROR
        """Other than NOERROR: the response code of every answer."""
        self.is_silent = False
        self.delay_s = 0.0
        self._udp, self._tcp = _bound_pair(address, port)
        self.port: int = self._udp.getsockname()[1]
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_048_576)
        self._tcp.listen()
        for listening in (self._udp, self._tcp):
            listening.settimeout(0.05)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._datagrams), threading.Thread(target=self._connections)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._udp.close()
        self._tcp.close()

    def _datagrams(self) -> None:
        while not self._ended.is_set():
            try:
                data, peer = self._udp.recvfrom(65_535)
            except OSError:
                continue
            if (answer := self._answer(data, most_bytes=1232)) is not None:
                self._udp.sendto(answer, peer)

    def _connections(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                continue
            with connection:
                connection.settimeout(5)
                with connection.makefile("rb") as stream:
                    while len(size := stream.read(2)) == 2:
                        answer = self._answer(stream.read(int.from_bytes(size, "big")), most_bytes=65_535)
                        if answer is not None:
                            connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, data: bytes, *, most_bytes: int) -> bytes | None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(asked.rdtype)))
        if self.is_silent:
            return None
        time.sleep(self.delay_s)
        response = dns.message.make_response(query, recursion_available=True)
        if self.rcode != dns.rcode.NOERROR:
            response.set_rcode(self.rcode)
            return response.to_wire()
        owner = name
        for _ in range(5):
            alias = [record for record in self.records if record[0] == owner and record[2] == "CNAME"]
            if not alias:
                break
            response.answer.append(dns.rrset.from_text(owner + ".", alias[0][1], "IN", "CNAME", alias[0][3] + "."))
            owner = alias[0][3]
        wild = "*." + owner.partition(".")[2]
        known = owner if any(record[0] == owner for record in self.records) else wild
        matches = [r for r in self.records if r[0] == known and r[2] == dns.rdatatype.to_text(asked.rdtype)]
        if matches:
            texts = [record[3] for record in matches]
            response.answer.append(dns.rrset.from_text_list(owner + ".", matches[0][1], "IN", asked.rdtype, texts))
        else:
            response.authority.append(dns.rrset.from_text("test.", 300, "IN", "SOA", SOA))
            if not any(record[0] in (owner, wild) or record[0].endswith("." + owner) for record in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=most_bytes, prefer_truncation=True)


def _bound_pair(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets for UDP and TCP with one port number. With port 0, numbers are tried until both are free."""
    tries = 1 if port else 50
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind((address, port))
            tcp.bind((address, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            tries -= 1
            if not tries:
                raise
        else:
            return udp, tcp
