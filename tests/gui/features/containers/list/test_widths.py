"""Column widths of the container list: by contents, and what goes where there is little room."""

from __future__ import annotations

import pytest

from app.features.containers.list.columns import ContainerColumn
from app.features.containers.list.widths import share

STANDARD = (
    ContainerColumn.SELECT,
    ContainerColumn.NAME,
    ContainerColumn.IMAGE,
    ContainerColumn.PORTS,
    ContainerColumn.CPU,
    ContainerColumn.MEMORY,
    ContainerColumn.STATUS,
    ContainerColumn.ACTIONS,
)
CONTENTS = {
    ContainerColumn.NAME: 260,
    ContainerColumn.IMAGE: 200,
    ContainerColumn.PORTS: 112,
    ContainerColumn.STATUS: 240,
}


@pytest.mark.parametrize("room", [420, 500, 600, 684, 760, 900, 1100, 1400, 2400])
def test_the_actions_are_always_on_the_screen(room: int) -> None:
    widths = share(STANDARD, CONTENTS, {}, room)
    assert ContainerColumn.ACTIONS in widths.shown
    assert ContainerColumn.NAME in widths.shown
    assert sum(widths.shown.values()) == room
    assert set(widths.shown) | widths.left_out == set(STANDARD)


def test_image_and_ports_go_first() -> None:
    assert share(STANDARD, CONTENTS, {}, 684).left_out == {ContainerColumn.IMAGE}
    assert share(STANDARD, CONTENTS, {}, 600).left_out == {ContainerColumn.IMAGE, ContainerColumn.PORTS}
    assert share(STANDARD, CONTENTS, {}, 1400).left_out == frozenset()


def test_contents_are_whole_where_there_is_room() -> None:
    widths = share(STANDARD, CONTENTS, {}, 1300).shown
    assert all(widths[column] >= needed for column, needed in CONTENTS.items())
    assert widths[ContainerColumn.PORTS] == CONTENTS[ContainerColumn.PORTS], "what is left goes to name and image"


def test_a_width_that_the_user_has_set_stays() -> None:
    widths = share(STANDARD, CONTENTS, {ContainerColumn.IMAGE: 333}, 1200).shown
    assert widths[ContainerColumn.IMAGE] == 333
    assert sum(widths.values()) == 1200
