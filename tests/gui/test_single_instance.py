"""One window for each user and machine: a second process joins the first only if it means the same machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.single_instance import SingleInstance


def test_another_home_directory_is_another_window(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WHERRY_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "one"))
    first, again = SingleInstance(None), SingleInstance(None)
    monkeypatch.setenv("HOME", str(tmp_path / "two"))
    other = SingleInstance(None)
    try:
        assert first.claim()
        assert not again.claim(), "the same machine"
        assert other.claim(), "another machine, of the same user"
    finally:
        for each in (first, other):
            each.release()
