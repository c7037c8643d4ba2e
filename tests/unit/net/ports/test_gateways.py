"""The rules for containers: the real script, on what iptables-save would print."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from backend.net.ports.gateways import SCRIPT, Gateways
from backend.ssh.session import Result

NAT = """*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
{nat_head}-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
{nat_jumps}-A DOCKER -d 127.0.0.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53
-A DOCKER -d 127.66.0.1/32 -p tcp -m tcp --dport 81 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -p tcp -m tcp --dport 82 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80
{nat_rules}COMMIT
"""
JUMPS = """-A PREROUTING ! -i eth0 -m addrtype --dst-type LOCAL -j WHERRY
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j WHERRY
"""
RULES = """-A WHERRY -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53
-A WHERRY -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80
"""
CHAIN = ":WHERRY - [0:0]\n"
CLOSED = "-A DOCKER-ISOLATION-STAGE-1 ! -d 172.20.0.0/16 -i br-2 -j DROP\n"
LET_THROUGH = "DOCKER-ISOLATION-STAGE-1 ! -i eth0 -m conntrack --ctstate DNAT -j ACCEPT\n"
APART = "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n"
PLACED = f"{CLOSED}-A {LET_THROUGH}{APART}"


def changes(directory: Path, nat: str, stage: str) -> str:
    """What the script has iptables-restore do; "" when it does not call it."""
    (directory / "saved").write_text(f"{nat}*filter\n-A FORWARD -j DROP\n{stage}COMMIT\n")
    (directory / "restored").write_text("")
    for name, line in (("iptables-save", 'cat "$AT/saved"'), ("iptables-restore", 'cat >"$AT/restored"')):
        (directory / name).write_text(f"#!/bin/sh\n{line}\n")
        (directory / name).chmod(0o755)
    environment = {"PATH": f"{directory}:{os.environ['PATH']}", "AT": str(directory)}
    subprocess.run(["sh", "-s"], input=SCRIPT, env=environment, check=True, timeout=20)
    return (directory / "restored").read_text()


def nat(*, head: str = CHAIN, jumps: str = JUMPS, rules: str = RULES) -> str:
    return NAT.format(nat_head=head, nat_jumps=jumps, nat_rules=rules)


@pytest.mark.parametrize(
    ("rules", "stage", "expected"),
    [
        (
            nat(head="", jumps="", rules=""),
            CLOSED + APART,
            f"*nat\n{CHAIN}{JUMPS}{RULES}COMMIT\n*filter\n-I {LET_THROUGH.replace('1 !', '1 2 !')}COMMIT\n",
        ),
        (nat(), PLACED, ""),
        (nat(rules="-A WHERRY -p tcp -m tcp --dport 9 -j DNAT --to-destination 172.17.0.9:9\n"), PLACED,
         f"*nat\n{CHAIN}{RULES}COMMIT\n"),
        # dockerd has begun anew, and another internal network stands after the rule.
        (nat(), APART, f"*filter\n-I {LET_THROUGH.replace('1 !', '1 1 !')}COMMIT\n"),
        (nat(), f"-A {LET_THROUGH}{CLOSED}{APART}",
         f"*filter\n-D {LET_THROUGH}-I {LET_THROUGH.replace('1 !', '1 2 !')}COMMIT\n"),
        (nat(), f"{CLOSED}{APART}-A {LET_THROUGH}",
         f"*filter\n-D {LET_THROUGH}-I {LET_THROUGH.replace('1 !', '1 2 !')}COMMIT\n"),
        (nat(), "", ""),
    ],
    ids=["nothing yet", "all there", "other ports", "flushed", "before what closes", "after what parts", "no engine"],
)  # fmt: skip
def test_ports_lead_to_containers_after_what_closes_networks(
    tmp_path: Path, rules: str, stage: str, expected: str
) -> None:
    assert changes(tmp_path, rules, stage) == expected


@pytest.mark.expect_log("gateways: ports are not published for containers")
def test_the_guest_is_asked_when_something_changed_and_again_after_a_failure() -> None:
    calls = 0
    exit_codes = [1, 0, 0, 0]

    async def execute(_command: str, stdin: bytes, _timeout_s: float) -> Result:
        nonlocal calls
        calls += 1
        assert stdin == SCRIPT
        return Result(exit_code=exit_codes[calls - 1], untrusted_stdout=b"", untrusted_stderr=b"busy")

    async def story() -> None:
        gateways = Gateways(execute)
        await gateways.update(frozenset)
        assert calls == 0, "there is nothing to open"
        await gateways.update(lambda: frozenset({"web"}))
        await gateways.update(lambda: frozenset({"web"}))
        await gateways.update(lambda: frozenset({"web"}))
        assert calls == 2
        gateways.forget()
        await gateways.update(frozenset, unhurried=True)
        assert calls == 3, "an earlier agent may have left something"
        await gateways.update(frozenset, unhurried=True)
        assert calls == 3

    asyncio.run(story())
