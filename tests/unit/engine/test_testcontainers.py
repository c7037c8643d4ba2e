"""The properties file of Testcontainers: ours is added and removed, the user's stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.engine import testcontainers
from backend.errors import WherryError

URL = "unix:///home/ana/.local/share/wherry/run/docker.sock"


def test_a_file_is_made_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "p"
    assert testcontainers.point_to(URL, file).changed
    assert f"docker.host={URL}" in file.read_text(encoding="utf-8").splitlines()
    assert not testcontainers.point_to(URL, file).changed
    assert testcontainers.point_to(URL + "2", file).changed, "the machine has moved"
    assert file.read_text(encoding="utf-8").count("docker.host") == 1
    assert testcontainers.remove(file)
    assert not file.exists()
    assert not testcontainers.remove(file)


def test_what_the_user_wrote_stays(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("# mine\nryuk.disabled=false\n", encoding="utf-8")
    testcontainers.point_to(URL, file)
    testcontainers.remove(file)
    assert file.read_text(encoding="utf-8") == "# mine\nryuk.disabled=false\n"


@pytest.mark.parametrize("line", ["docker.host=tcp://10.0.0.1:2375", "tc.host = tcp://10.0.0.1:2375"])
def test_an_engine_that_the_user_named_is_never_replaced(tmp_path: Path, line: str) -> None:
    file = tmp_path / "p"
    file.write_text(line + "\n", encoding="utf-8")
    change = testcontainers.point_to(URL, file)
    assert (change.changed, change.selected) == (False, False)
    assert file.read_text(encoding="utf-8") == line + "\n"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(WherryError, match="can't be read"):
        testcontainers.point_to(URL, tmp_path)
