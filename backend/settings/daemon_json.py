"""Validation of the user's daemon.json, with line numbers. Pure.

Only dockerd decides for certain whether options are valid, and it is asked while the machine runs; these checks run at
every key press. The options are those of dockerd 28 on Linux.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_BYTES: Final = 131_072
"""Limit for one message of the control channel, and for fw_cfg."""

MAX_FINDINGS: Final = 100

FORBIDDEN: Final = {
    "hosts": "the machine decides where the engine listens; Wherry's endpoint is on this computer",
    "data-root": "the engine's data belong on the machine's data disk",
    "exec-root": "it belongs to the machine",
    "pidfile": "it belongs to the machine",
    "containerd": "the machine runs its own containerd",
}
"""Options that the machine sets itself, with the reason."""

_KINDS: Final = {
    bool: "true or false",
    int: "a whole number",
    str: "a text in quotes",
    list: "a list in [ ]",
    dict: "an object in { }",
}
_OPTIONS: Final[dict[type, str]] = {
    bool: "allow-direct-routing debug experimental icc init ip-forward ip-forward-no-drop ip-masq ip6tables iptables "
    "ipv6 live-restore no-new-privileges raw-logs selinux-enabled tls tlsverify userland-proxy",
    int: "cpu-rt-period cpu-rt-runtime max-concurrent-downloads max-concurrent-uploads max-download-attempts mtu "
    "network-control-plane-mtu shutdown-timeout",
    str: "bip bip6 bridge bridge-accept-fwmark cgroup-parent containerd-namespace containerd-plugins-namespace "
    "default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode default-runtime default-shm-size "
    "firewall-backend fixed-cidr fixed-cidr-v6 group host-gateway-ip init-path ip log-driver log-format log-level "
    "metrics-addr seccomp-profile storage-driver swarm-default-advertise-addr tlscacert tlscert tlskey "
    "userland-proxy-path userns-remap",
    list: "authorization-plugins cdi-spec-dirs default-address-pools dns dns-opts dns-search exec-opts "
    "host-gateway-ips insecure-registries labels node-generic-resources registry-mirrors storage-opts",
    dict: "builder default-network-opts default-ulimits features log-opts proxies runtimes",
}
KNOWN: Final = {name: kind for kind, names in _OPTIONS.items() for name in names.split()}
"""Option name -> type of its value."""

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]')


class Severity(StrEnum):
    """Severity of a finding."""

    ERROR = "error"  # the file cannot be saved
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An error or warning at a position in the text. Lines and columns start at 1."""

    severity: Severity
    line: int
    column: int
    message: str


def check(text: str) -> tuple[Finding, ...]:
    """All findings for a daemon.json, in text order. An empty text is valid."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return (_error(1, 1, f"It is longer than {MAX_BYTES // 1024} KiB."),)
    if not text.strip():
        return ()
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        return (_error(error.lineno, error.colno, f"This is not JSON: {_plain(error.msg)}."),)
    except RecursionError:
        return (_error(1, 1, "It is nested too deeply."),)
    if not isinstance(options, dict):
        return (_error(1, 1, "It has to hold one object: { ... }."),)
    return tuple(_check_options(text, options))


def _check_options(text: str, options: dict[str, object]) -> list[Finding]:
    findings: list[Finding] = []
    seen: set[str] = set()
    for name, line, column in _key_positions(text):
        if len(findings) >= MAX_FINDINGS:
            break
        if name in seen:
            findings.append(_error(line, column, f"{name!r} is said twice."))
        seen.add(name)
        kind = KNOWN.get(name)
        value = options.get(name)
        if name in FORBIDDEN:
            findings.append(_error(line, column, f"{name!r} cannot be set: {FORBIDDEN[name]}."))
        elif kind is None:
            likely = _similar(name)
            meant = f" Did you mean {likely!r}?" if likely else ""
            message = f"{name!r} is no option that Wherry knows; dockerd refuses what it does not know.{meant}"
            findings.append(Finding(severity=Severity.WARNING, line=line, column=column, message=message))
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            findings.append(_error(line, column, f"{name!r} takes {_KINDS[kind]}."))
    return findings


def _key_positions(text: str) -> Iterator[tuple[str, int, int]]:
    """The keys of the outer object, in order, with line and column; the text MUST be valid JSON."""
    depth = 0
    expects_key = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in "{[":
            depth += 1
            expects_key = depth == 1
        elif word in "}]":
            depth -= 1
        elif depth == 1 and word == ",":
            expects_key = True
        elif depth == 1 and expects_key and word.startswith('"'):
            start = token.start()
            line = text.count("\n", 0, start) + 1
            yield str(json.loads(word)), line, start - text.rfind("\n", 0, start)
            expects_key = False


def _similar(name: str) -> str | None:
    import difflib

    close = difflib.get_close_matches(name.lower().replace("_", "-"), KNOWN, n=1, cutoff=0.75)
    return close[0] if close else None


def _plain(message: str) -> str:
    return message[:1].lower() + message[1:]


def _error(line: int, column: int, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, line=line, column=column, message=message)
