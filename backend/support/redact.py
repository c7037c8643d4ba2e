"""Secrets and names taken out of text and JSON, before anything is written to a bundle. Pure.

Too much may go, never too little: what stands behind a word like "password", every URL's user and password, tokens by
their look, and every value that was found to be secret in one place, wherever else it turns up.
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
"""Keys that hold a secret's word and none themselves: lists of programs, or a table whose entries are looked at."""
_WHOLE_TABLES: Final = frozenset({"auths", "httpheaders"})
"""Tables in which every value is secret."""
_LEAST_LEARNT: Final = 6
_COMMON: Final = frozenset({"true", "false", "none", "null", "default", "password", "desktop", "docker", "wherry"})
_ORDINARY_USERS: Final = frozenset({"root", "user", "admin", "docker", "wherry", "ubuntu", "debian"})

_WORD: Final = rf"(?:{_KEY_WORDS})[\w-]{{0,40}}"
_VALUE: Final = r"""\\?"(?:[^"\\\r\n]|\\.)*"?|'[^'\r\n]*'?|\[[^\]\r\n]*\]?|[^\s,;&"'}\])]+"""
# Lengths are bounded and nothing can be matched in two ways: a log is the work of who may want this to take for ever.
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
    # A flag, looked at from where its whole name begins: from each of its dashes, a line of dashes would take minutes.
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
    """Learns secrets where they are sure to be, and takes them out of everything."""

    def __init__(self, *, user: str = "", home: str = "") -> None:
        """
        Args:
            user: the login name, which becomes "[user]".
            home: the user's own directory, which becomes "~".
        """
        self._secrets: set[str] = set()
        self._home = home.rstrip("/\\")
        usable = len(user) > 2 and user.lower() not in _ORDINARY_USERS
        self._user = re.compile(rf"(?<![\w]){re.escape(user)}(?![\w])", re.IGNORECASE) if usable else None

    def learn(self, secret: str) -> None:
        """Take this out wherever it is met. Very short or common words are left: they would hide everything."""
        for one in {secret, secret.strip(), json.dumps(secret)[1:-1]}:
            if len(one) >= _LEAST_LEARNT and one.lower() not in _COMMON:
                self._secrets.add(one)
        with contextlib.suppress(ValueError):
            # As docker keeps a log-in: base64 of user:password.
            _, colon, password = base64.b64decode(secret, validate=True).decode("utf-8").partition(":")
            if colon and len(password) >= _LEAST_LEARNT and password.isprintable():
                self._secrets.add(password)

    def learn_key(self, private_key: str) -> None:
        """Take out every line of a private key's body."""
        for line in private_key.splitlines():
            if not line.startswith("-----") and len(line) >= 16:
                self._secrets.add(line.strip())

    def learn_url(self, url: str) -> None:
        """Learn the password, and the user, of a URL that has them."""
        if match := re.match(r"[\w+.-]+://([^/\s]*)@", url):
            self.learn(match[1])
            for part in match[1].split(":", 1)[1:]:
                self.learn(part)

    def text(self, text: str) -> str:
        """The text without what must not be in it."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, GONE)
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
        text = _without_ends_of_keys(text)
        if len(PurePath(self._home).parts) > 1:
            for form in {self._home, self._home.replace("\\", "\\\\"), self._home.replace("\\", "/")}:
                text = re.sub(rf"{re.escape(form)}(?![\w.-])", "~", text)
        return self._user.sub("[user]", text) if self._user is not None else text

    def value(self, value: object, key: str = "") -> object:
        """A JSON value likewise; what stands under a telling key is gone whatever it is."""
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
            # ["--password", "x"]: what follows a telling flag is its value.
            before = [None, *value]
            return [
                GONE if isinstance(flag, str) and _SECRET_FLAG.fullmatch(flag) else self.value(one, key)
                for flag, one in zip(before, value, strict=False)
            ]
        return self.text(value) if isinstance(value, str) else value

    def scan(self, value: object, key: str = "", *, secret: bool = False) -> None:
        """Learn all secrets in a JSON value, by their keys."""
        lowered = key.lower()
        telling = bool(_SECRET_KEY.search(lowered)) and lowered not in _NOT_SECRET
        secret = secret or lowered in _WHOLE_TABLES or telling
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


def _without_ends_of_keys(text: str) -> str:
    """Take out the last lines of a private key whose begin was cut off."""
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
