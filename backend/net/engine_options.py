"""The daemon.json that the guest is given: the user's, over what Wherry says where the user says nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(user_options: Mapping[str, Any], *defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The user's options, with those of the defaults that they do not mention; of two defaults the first."""
    result: dict[str, Any] = {}
    for options in (user_options, *defaults):
        for name, value in options.items():
            result.setdefault(name, value)
    return result
