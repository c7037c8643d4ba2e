"""Removes secrets and names from text and JSON before they are written to a bundle. Does no I/O.

It rather removes too much than too little: values after a word like "password", the user and password of every URL,
tokens of known forms, and every value that was known to be secret in one place, wherever else it occurs.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from pathlib import PurePath
from typing import Final

GONE: Final = "[removed]"
_KEY_WORDS: Final = (
    r"pass(?:word|wd|phrase|code)|(?<![a-z])pass(?![a-z])|pwd|secret|token|credential|api[-_]?key|access[-_]?key|"
    r"private[-_]?key|signature|cookie|auth"
)
_SECRET_KEY: Final = re.compile(rf"(?:{_KEY_WORDS})", re.IGNORECASE)
_NOT_SECRET: Final = frozenset({"authorization-plugins", "credsstore", "credhelpers", "auths"})
"""Keys with such a word whose value is no secret: lists of programs, and a table whose entries are checked."""
_WHOLE_TABLES: Final = frozenset({"auths", "httpheaders"})
"""Tables in which every value is secret."""
_MIN_SECRET_LENGTH: Final = 6
_COMMON: Final = frozenset({"true", "false", "none", "null", "default", "password", "desktop", "docker", "wherry"})
_ORDINARY_USERS: Final = frozenset({"root", "user", "admin", "docker", "wherry", "ubuntu", "debian"})

_WORD: Final = rf"(?:{_KEY_WORDS})[\w-]{{0,40}}"
_VALUE: Final = r"""\\?"(?:[^"\\\r\n]|\\.)*"?|'[^'\r\n]*'?|\[[^\]\r\n]*\]?|[^\s,;&"'}\])]+"""
# Lengths are bounded and nothing matches in two ways: a hostile log must not make the matching take for ever.
_PATTERNS: Final = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        GONE,
    ),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}:(?:\\?/){2})[^/\s\"'<>\\]*@"), rf"\1{GONE}@"),
    (
        re.compile(
            r"((?:proxy-)?authorization|x-registry-(?:auth|config)|(?:set-)?cookie|x-[\w-]{0,40}(?:token|key))"
            r"(\\?[\"']?\s*[:=]\s*)[^\r\n]+",
            re.IGNORECASE,
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {GONE}"),
    # A flag, matched from the start of its name only: matched from each dash, a line of dashes would take minutes.
    (re.compile(rf"(?<![\w-])(?=[\w-]*-)([\w-]*{_WORD})(\s+|=)({_VALUE})", re.IGNORECASE), rf"\1\2{GONE}"),
    (re.compile(r"(\blogin\b[^\r\n]{0,300}?\s-p\s*)(\S+)"), rf"\1{GONE}"),
    (re.compile(rf"({_WORD})(\\?[\"']?\s*[:=]\s*)({_VALUE})", re.IGNORECASE), rf"\1\2{GONE}"),
    (
        re.compile(
            r"\b(?:gh[opsur]_|github_pat_|glpat-|dckr_[a-z]{1,8}_|xox[a-z]-|npm_|pypi-|sk-|hf_|AKIA|ASIA|AIza|ya29\.|eyJ)"
            r"[A-Za-z0-9._/+=-]{10,}"
        ),
        GONE,
    ),
)
_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----")
_KEY_LINE: Final = re.compile(r"[A-Za-z0-9+/=]+")
_KEY_AT_END: Final = re.compile(r"(?<=\s)[A-Za-z0-9+/=]{16,}\s*\Z")
_SECRET_FLAG: Final = re.compile(rf"--?[\w-]{{0,40}}{_WORD}", re.IGNORECASE)


class Redactor:
    """Removes known secrets and everything that has the form of one. Secrets are made known by `learn` and `scan`."""

    def __init__(self, *, user: str = "", home: str = "") -> None:
        """
        Args:
            user: the login name, replaced by "[user]".
            home: the user's home directory, replaced by "~".
        """
        self._secrets: set[str] = set()
        self._home = home.rstrip("/\\")
        usable = len(user) > 2 and user.lower() not in _ORDINARY_USERS
        self._user = re.compile(rf"(?<![\w]){re.escape(user)}(?![\w])", re.IGNORECASE) if usable else None

    def learn(self, secret: str) -> None:
        """Remove this text wherever it occurs. Short or common words are ignored: too much would be removed."""
        for one in {secret, secret.strip(), json.dumps(secret)[1:-1]}:
            if len(one) >= _MIN_SECRET_LENGTH and one.lower() not in _COMMON:
                self._secrets.add(one)
        with contextlib.suppress(ValueError):
            # As docker keeps a log-in: base64 of user:password.
            _, colon, password = base64.b64decode(secret, validate=True).decode("utf-8").partition(":")
            if colon and len(password) >= _MIN_SECRET_LENGTH and password.isprintable():
                self._secrets.add(password)

    def learn_key(self, private_key: str) -> None:
        """Remove every line of this private key."""
        for line in private_key.splitlines():
            if not line.startswith("-----") and len(line) >= 16:
                self._secrets.add(line.strip())

    def learn_url(self, url: str) -> None:
        """Learn the user and password in a URL, if it has any."""
        if match := re.match(r"[\w+.-]+://([^/\s]*)@", url):
            self.learn(match[1])
            for part in match[1].split(":", 1)[1:]:
                self.learn(part)

    def text(self, text: str) -> str:
        """The text without secrets and names."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, GONE)
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
        text = _remove_key_ends(text)
        if len(PurePath(self._home).parts) > 1:
            for form in {self._home, self._home.replace("\\", "\\\\"), self._home.replace("\\", "/")}:
                text = re.sub(rf"{re.escape(form)}(?![\w.-])", "~", text)
        return self._user.sub("[user]", text) if self._user is not None else text

    def value(self, value: object, key: str = "") -> object:
        """A JSON value without secrets and names. Under a key such as "password" the whole value is removed."""
        lowered = key.lower()
        if isinstance(value, dict):
            if lowered in _WHOLE_TABLES:
                self.scan(value, key)
                return {self.text(str(name)): GONE for name in value}
            return {self.text(str(name)): self.value(one, str(name)) for name, one in value.items()}
        if value is None or isinstance(value, bool):
            return value
        if _SECRET_KEY.search(lowered) and lowered not in _NOT_SECRET:
            return GONE
        if isinstance(value, list):
            # ["--password", "x"]: what follows such a flag is its value.
            before = [None, *value]
            return [
                GONE if isinstance(flag, str) and _SECRET_FLAG.fullmatch(flag) else self.value(one, key)
                for flag, one in zip(before, value, strict=False)
            ]
        return self.text(value) if isinstance(value, str) else value

    def scan(self, value: object, key: str = "", *, secret: bool = False) -> None:
        """Learn all secrets in a JSON value, which its keys show."""
        lowered = key.lower()
        is_secret_key = bool(_SECRET_KEY.search(lowered)) and lowered not in _NOT_SECRET
        secret = secret or lowered in _WHOLE_TABLES or is_secret_key
        if isinstance(value, dict):
            for name, one in value.items():
                self.scan(one, str(name), secret=secret)
        elif isinstance(value, list):
            for one in value:
                self.scan(one, key, secret=secret)
        elif isinstance(value, str):
            if secret:
                self.learn(value)
            self.learn_url(value)


def _remove_key_ends(text: str) -> str:
    """Remove the last lines of a private key whose start was cut off."""
    if _KEY_END.search(text) is None:
        return text
    kept: list[str] = []
    for line in text.split("\n"):
        if _KEY_END.search(line):
            while kept and _KEY_LINE.fullmatch(kept[-1].strip()):
                kept.pop()
            if kept:
                kept[-1] = _KEY_AT_END.sub(GONE, kept[-1])
            kept.append(GONE)
        else:
            kept.append(line)
    return "\n".join(kept)
