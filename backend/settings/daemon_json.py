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

from backend.messages import Message, message

MAX_BYTES: Final = 131_072
"""Limit for one message of the control channel, and for fw_cfg."""

MAX_FINDINGS: Final = 100

FORBIDDEN: Final = {
    "hosts": message("Wherry decides where the engine listens."),
    "data-root": message("the engine's data is on the machine's data disk."),
    "exec-root": message("the machine manages it."),
    "pidfile": message("the machine manages it."),
    "containerd": message("the machine runs its own containerd."),
}
"""Options that the machine sets itself, with the reason."""

_KINDS: Final = {
    bool: message("true or false"),
    int: message("a whole number"),
    str: message("text in quotes"),
    list: message("a list in [ ]"),
    dict: message("an object in curly brackets"),
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
    message: Message


def check(text: str) -> tuple[Finding, ...]:
    """All findings for a daemon.json, in text order. An empty text is valid."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return (_error(1, 1, message("The text is longer than {size} KiB.", size=MAX_BYTES // 1024)),)
    if not text.strip():
        return ()
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        return (_error(error.lineno, error.colno, message("Invalid JSON: {error}.", error=_plain(error.msg))),)
    except RecursionError:
        return (_error(1, 1, message("The text is nested too deeply.")),)
    if not isinstance(options, dict):
        return (_error(1, 1, message("The text must be a JSON object.")),)
    return tuple(_check_options(text, options))


def _check_options(text: str, options: dict[str, object]) -> list[Finding]:
    findings: list[Finding] = []
    seen: set[str] = set()
    for name, line, column in _key_positions(text):
        if len(findings) >= MAX_FINDINGS:
            break
        if name in seen:
            findings.append(_error(line, column, message("“{name}” is set twice.", name=name)))
        seen.add(name)
        kind = KNOWN.get(name)
        value = options.get(name)
        if name in FORBIDDEN:
            findings.append(
                _error(line, column, message("“{name}” can't be set: {reason}", name=name, reason=FORBIDDEN[name]))
            )
        elif kind is None:
            likely = _similar(name)
            words = (
                message("Unknown option “{name}”. Did you mean “{likely}”?", name=name, likely=likely)
                if likely
                else message("Unknown option “{name}”. dockerd rejects options that it doesn't know.", name=name)
            )
            findings.append(Finding(severity=Severity.WARNING, line=line, column=column, message=words))
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            findings.append(_error(line, column, message("“{name}” must be {kind}.", name=name, kind=_KINDS[kind])))
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


def _plain(words: str) -> str:
    return words[:1].lower() + words[1:]


def _error(line: int, column: int, words: Message) -> Finding:
    return Finding(severity=Severity.ERROR, line=line, column=column, message=words)
