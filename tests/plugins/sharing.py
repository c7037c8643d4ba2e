"""Which tests go to which worker, where several run side by side (`pytest -n 3`).

Every test is given to whoever is free, but for those of the one machine that they share: a machine starts once, in the
worker that has them all. pytest-xdist's own groups would do, but its 3.8 finds none under pytest 9.2.
"""

from __future__ import annotations

from typing import Any

import pytest

SHARED = "tests/vm/"
OWN_MACHINES = ("tests/vm/test_corporate_network.py", "tests/vm/test_maintenance.py")
"""Files in that folder whose tests have machines of their own; long ones, that can run meanwhile."""
SLOW_FIRST = (SHARED, "tests/vmimage/", "tests/faults/", "tests/agent/", "tests/contract/")


def group(nodeid: str) -> str:
    """Tests of one group run in one worker, one after the other."""
    return SHARED if nodeid.startswith(SHARED) and not nodeid.startswith(OWN_MACHINES) else nodeid


def place(nodeid: str) -> int:
    """Sorts tests: long ones begin first, so that at the end of a run no worker waits for the last of them."""
    return next((place for place, start in enumerate(SLOW_FIRST) if nodeid.startswith(start)), len(SLOW_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort them."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out by `group`, unless another way was asked for."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = group  # the method that its documentation has overridden
    return scheduling
