"""Hiding of values that look like secrets. Pure."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "••••••••"
_SECRET_NAME: Final = re.compile(
    r"PASS(WORD|WD|PHRASE)?($|_)|PWD$|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|(^|_)AUTH($|_)|_KEY$|^KEY$",
    re.IGNORECASE,
)
_NOT_SECRET: Final = re.compile(r"^(PWD|OLDPWD)$|_FILE$|_PATH$", re.IGNORECASE)
_USER_IN_ADDRESS: Final = re.compile(r"://[^/@\s:]*:[^/@\s]+@")
_PASSWORD_IN_ADDRESS: Final = re.compile(r"(?P<before>(?:^|://)[^/@\s:]*:)(?P<password>(?!//)[^/\s]+)(?=@)")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable's value should be hidden by default."""
    if not value:
        return False
    match = bool(_SECRET_NAME.search(name)) and not _NOT_SECRET.search(name)
    return match or bool(_USER_IN_ADDRESS.search(value) or _PRIVATE_KEY.search(value))


def without_password(address: str) -> str:
    """A proxy's address without its password: "http://ana:••••••••@proxy.example:3128"."""
    return _PASSWORD_IN_ADDRESS.sub(lambda parts: parts["before"] + MASK, address)
