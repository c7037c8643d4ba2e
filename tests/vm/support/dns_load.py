"""DNS queries at a steady rate from inside a container, each from its own port, as programs send them.

The load is generated with Debian's perl-base, which every Debian has; one process per query would distort the result.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.support.machine import Machine

PERL = "perl:test"
PATIENCE_S = 5.0
"""A query without a reply within this time counts as lost, as with glibc."""

PROGRAM = r"""
use strict; use warnings; use Socket; use POSIX ();
# perl-base has no clock finer than a second: the system's own.
my $clock_gettime = (POSIX::uname())[4] eq "aarch64" ? 113 : 228;
sub now { my $t = "\0" x 16; syscall($clock_gettime, 1, $t); my ($s, $n) = unpack("qq", $t); $s + $n / 1e9 }
my ($server, $rate, $seconds, $names, $patience) = @ARGV;
my $to = sockaddr_in(53, inet_aton($server));
my ($sent, $bad, $lost, %open, @took) = (0, 0, 0);
my $begun = now;
my $until = $begun + $seconds;
while (1) {
    my $now = now;
    while ($now < $until && $sent < ($now - $begun) * $rate) {
        socket(my $socket, PF_INET, SOCK_DGRAM, 17) or die "socket: $!";
        my $name = $names ? "n" . $sent % $names : "u" . $sent . "x" . $$ . "x" . int($begun * 1000);
        my $query = pack("nnnnnn", $sent & 0xffff, 0x100, 1, 0, 0, 0);
        $query .= pack("C/a*", $_) for $name, "load", "test";
        send($socket, $query . pack("Cnn", 0, 1, 1), 0, $to) or $bad++;
        $open{fileno $socket} = [$socket, now, $sent & 0xffff];
        $sent++;
        $now = now;
    }
    last if $now >= $until && !%open;
    my $wanted = "";
    vec($wanted, $_, 1) = 1 for keys %open;
    my $pause = $now < $until ? $begun + $sent / $rate - $now : 0.05;
    my $ready = select(my $got = $wanted, undef, undef, $pause > 0 ? $pause : 0);
    $now = now;
    for my $number (keys %open) {
        my ($socket, $since, $id) = @{$open{$number}};
        if ($ready > 0 && vec($got, $number, 1)) {
            my $peer = recv($socket, my $answer, 2000, 0);
            my ($same, $flags, undef, $answers) = length $answer >= 12 ? unpack("n4", $answer) : (-1, 0, 0, 0);
            if (defined $peer && $same == $id && ($flags & 15) == 0 && $answers > 0) { push @took, $now - $since }
            else { $bad++ }
            delete $open{$number};
        } elsif ($now - $since > $patience) {
            $lost++;
            delete $open{$number};
        }
    }
}
@took = sort { $a <=> $b } @took;
my $at = sub { @took ? $took[int($_[0] * $#took)] * 1000 : -1 };
printf qq({"sent":%d,"good":%d,"bad":%d,"lost":%d,"p50":%.2f,"p99":%.2f,"most":%.2f,"rate":%.1f}\n),
    $sent, scalar @took, $bad, $lost, $at->(0.5), $at->(0.99), $at->(1), $sent / ($until - $begun);
"""


@dataclass(frozen=True)
class Figures:
    """Results of one run; times in milliseconds."""

    sent: int
    good: int
    bad: int
    """Number of replies that were refusals or had no address."""
    lost: int
    p50: float
    p99: float
    most: float
    rate: float
    """Queries per second actually sent."""


def import_perl(machine: Machine) -> None:
    """Create the image `perl:test` from this computer's perl-base."""
    files = subprocess.run(["dpkg", "-L", "perl-base"], capture_output=True, text=True, check=True).stdout.split()
    modules = [Path(name) for name in files if "/perl-base/" in name and Path(name).is_file()]
    linked = subprocess.run(["ldd", "/usr/bin/perl"], capture_output=True, text=True, check=True).stdout
    libraries = [Path(name) for name in re.findall(r"(/\S+)", linked) if Path(name).is_file()]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (Path("/usr/bin/perl"), *modules, *libraries):
            content = path.read_bytes()
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        entry = tarfile.TarInfo("load.pl")
        entry.size = len(PROGRAM.encode())
        archive.addfile(entry, io.BytesIO(PROGRAM.encode()))
    machine.docker("import", "-", PERL, input_=buffer.getvalue())


def run_load(machine: Machine, *options: str, server: str, rate: int, seconds: float, names: int = 0) -> Figures:
    """Ask for A records of *.load.test.

    Args:
        machine: the machine; `import_perl` must have been called.
        options: options of `docker run`.
        server: address of the DNS server.
        rate: queries per second.
        seconds: duration.
        names: number of different names; 0: a new one for each query.
    """
    limits = ("--ulimit", "nofile=20000:20000")
    said = machine.docker(
        "run", "--rm", *limits, *options, PERL, "/usr/bin/perl", "/load.pl",
        server, str(rate), str(seconds), str(names), str(PATIENCE_S),
    ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(said)
    return Figures(**found)
