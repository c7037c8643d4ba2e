"""An image with an echo server on any number of TCP and UDP ports.

The server is written in Perl (package perl-base, which every Debian has), because busybox has no UDP server.
"""

from __future__ import annotations

import io
import socket
import subprocess
import tarfile
from pathlib import Path

from tests.vm.support.machine import Machine, busybox_tar

IMAGE = "echo:test"
_PERL = "/usr/bin/perl"
_TIMEOUT_S = 10.0

SERVER = r"""
use strict; use warnings;
use IO::Select; use Socket;
$| = 1; $SIG{PIPE} = $SIG{CHLD} = "IGNORE"; $SIG{TERM} = sub { exit 0 };
my $select = IO::Select->new;
my (%kind, %forked);
for my $word (@ARGV) {    # protocol:address:port, or first-last
    my ($protocol, $address, $first, $last) = split /[:-]/, $word;
    for my $port ($first .. ($last // $first)) {
        socket my $socket, PF_INET, $protocol eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0 or die $!;
        setsockopt $socket, SOL_SOCKET, SO_REUSEADDR, 1;
        bind $socket, sockaddr_in($port, inet_aton($address)) or die "$word: $!";
        $protocol eq "udp" or listen $socket, 512 or die $!;
        $kind{$socket} = $protocol;
        $select->add($socket);
    }
}
print "ready\n";
sub drop { my $socket = shift; $select->remove($socket); close $socket }
sub aside {    # work that blocks
    my ($socket, $work) = @_;
    my $child = fork // die $!;
    if (!$child) { $work->(); exit 0 }
    drop($socket);
}
while (1) {
    for my $socket ($select->can_read) {
        my $kind = $kind{$socket} // "";
        if ($kind eq "udp") {
            my $peer = recv $socket, my $data, 65536, 0;
            send $socket, $data, 0, $peer if defined $peer;
        } elsif ($kind eq "tcp") {
            accept my $client, $socket or next;
            $select->add($client);
        } elsif (!sysread $socket, my $data, 65536) {
            drop($socket);
        } elsif ($data =~ /^GET /) {    # HTTP
            syswrite $socket, "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
            drop($socket);
        } elsif ($data =~ /^SOURCE (\d+)/) {    # so many bytes
            my $left = $1;
            aside($socket, sub {
                my $block = "x" x 65536;
                while ($left > 0) {
                    my $sent = syswrite $socket, $block, $left < 65536 ? $left : 65536;
                    last unless $sent;
                    $left -= $sent;
                }
            });
        } elsif ($data =~ /^SINK\n/) {    # takes everything, tells how much
            aside($socket, sub {
                my $got = length($data) - 5;
                while (my $more = sysread $socket, $data, 262144) { $got += $more }
                syswrite $socket, $got;
            });
        } else {
            syswrite $socket, $data;
        }
    }
}
"""


def make_image(machine: Machine) -> str:
    """Import the image, once for each machine; returns its name. Its command is `SERVER`."""
    if machine.docker("image", "inspect", IMAGE, check=False).returncode != 0:
        entrypoint = 'ENTRYPOINT ["perl", "/server.pl"]'
        machine.docker("import", "--change", entrypoint, "-", IMAGE, input_=_root(machine.tools.busybox))
    return IMAGE


def _root(busybox: Path) -> bytes:
    buffer = io.BytesIO(busybox_tar(busybox))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for path in _perl():
            archive.add(path.resolve(), arcname=str(path).lstrip("/"))
        entry = tarfile.TarInfo("server.pl")
        entry.size = len(SERVER)
        archive.addfile(entry, io.BytesIO(SERVER.encode()))
    return buffer.getvalue()


def _perl() -> list[Path]:
    """The interpreter, its libraries and its modules."""
    linked = subprocess.run(["ldd", _PERL], capture_output=True, text=True, check=True).stdout
    libraries = [Path(word) for word in linked.split() if word.startswith("/")]
    found = subprocess.run([_PERL, "-e", 'print "$_\n" for @INC'], capture_output=True, text=True, check=True).stdout
    modules = [Path(line) for line in found.splitlines() if line.endswith("/perl-base")]
    assert modules, f"perl-base is not among Perl's directories: {found}"
    return [Path(_PERL), *libraries, *modules]


def call(address: str, port: int, data: bytes = b"hello") -> bytes:
    """Connect, send `data`, and return the reply, up to the same length. Raises OSError."""
    with socket.create_connection((address, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(data)
        answer = b""
        while len(answer) < len(data) and (more := connection.recv(65_536)):
            answer += more
    return answer


def call_udp(address: str, port: int, data: bytes = b"hello") -> bytes:
    """As `call`, by UDP; resends each second, as UDP clients do."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.connect((address, port))
        connection.settimeout(1)
        for _ in range(int(_TIMEOUT_S)):
            try:
                connection.send(data)
                return connection.recv(65_536)
            except (TimeoutError, ConnectionRefusedError):
                continue
    raise TimeoutError(f"no answer from {address} port {port} (UDP)")
