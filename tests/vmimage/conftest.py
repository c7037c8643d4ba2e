"""Fixtures: the built image, an empty disk, and machines that are killed after the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.vmimage.machine import Machine, make_disk
from vmimage import manifest

Boot = Callable[..., Machine]


@pytest.fixture(scope="session")
def image() -> Path:
    """The verified image in $WHERRY_TEST_IMAGE; the test fails if it is not set."""
    named = os.environ.get("WHERRY_TEST_IMAGE")
    if not named:
        pytest.fail(
            "WHERRY_TEST_IMAGE must name an image directory (python3 -m vmimage build --arch amd64 --output DIR)"
        )
    directory = Path(named)
    manifest.verify(directory)
    return directory


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """An empty data disk."""
    return make_disk(tmp_path / "data.qcow2", "8G")


@pytest.fixture
def boot(image: Path) -> Iterator[Boot]:
    """``boot(disk, **options)`` starts a Machine."""
    with ExitStack() as stack:
        yield lambda disk, **options: stack.enter_context(Machine(image, disk, **options))
