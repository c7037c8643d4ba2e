"""What every test gets: no leftovers of the user's own machine, docker settings or image."""

from __future__ import annotations

import os

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"  # before anything imports Qt: no test may need a screen

OURS = ("WHERRY_HOME", "WHERRY_IMAGE", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")


@pytest.fixture(autouse=True)
def no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that needs one of these sets it itself."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
