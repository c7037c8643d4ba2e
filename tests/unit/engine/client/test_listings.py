"""What the engine lists: recorded answers, odd ones, and ones that are no lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.engine.client.engine_client import EngineClient
from backend.engine.client.listings import (
    Uses,
    images_from,
    list_images,
    list_networks,
    list_volumes,
    networks_from,
    sizes_from,
    uses_from,
    volume_sizes,
    volumes_from,
)
from backend.errors import ProblemCode, WherryError
from backend.json_reader import NotUnderstood
from tests.fakes.answers import answer
from tests.gui.fakes.fake_engine import FakeEngine
from tests.gui.scenes.samples import recorded

NOBODY = Uses({}, {}, {})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as made:
        yield made


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    made = EngineClient(f"unix://{engine.path}")
    yield made
    made.close()


def listed() -> dict[str, Any]:
    answers = recorded("listings")
    assert isinstance(answers, dict)
    return answers


def test_images_have_a_row_for_each_tag_and_know_their_containers() -> None:
    rows = images_from(answer(listed()["images"]), uses_from(answer(listed()["containers"])))
    by_name = {row.name: row for row in rows}
    assert set(by_name) == {
        "busybox:latest", "busybox:test", "web:latest", "old:1", "registry.example.org:5000/team/web:1.27-alpine",
        next(row.short_id for row in rows if not row.repository),
    }  # fmt: skip
    assert by_name["web:latest"].used_by == ("shop-db-1", "shop-web-1")
    assert by_name["old:1"].used_by == ()
    assert by_name["web:latest"].size_bytes > 1_000_000
    assert len({row.key for row in rows}) == len(rows)
    registry = by_name["registry.example.org:5000/team/web:1.27-alpine"]
    assert (registry.repository, registry.tag) == ("registry.example.org:5000/team/web", "1.27-alpine")


def test_volumes_and_networks_know_their_containers() -> None:
    uses = uses_from(answer(listed()["containers"]))
    volumes = {row.name: row for row in volumes_from(answer(listed()["volumes"]), uses)}
    assert volumes["shop_data"].used_by == ("shop-db-1", "shop-web-1")
    assert (volumes["shop_data"].project, volumes["shop_data"].is_anonymous) == ("shop", False)
    assert volumes["unused"].used_by == ()
    (anonymous,) = [row for row in volumes.values() if row.is_anonymous]
    assert anonymous.used_by == ("shop-web-1",)
    assert anonymous.created is not None
    assert sizes_from(answer(listed()["df"]))["shop_data"] == 3_000_000
    networks = {row.name: row for row in networks_from(answer(listed()["networks"]), uses)}
    assert networks["shop_default"].used_by == ("shop-db-1", "shop-web-1")
    assert networks["backend"].subnets == ("10.77.0.0/16",)
    assert (networks["host"].driver, networks["host"].subnets) == ("host", ())


def test_an_image_that_has_only_a_digest_and_one_that_has_nothing() -> None:
    digest, nothing = images_from(
        answer([{"Id": "sha256:" + "a" * 64, "RepoTags": None, "RepoDigests": ["nginx@sha256:1"]},
         {"Id": "sha256:" + "b" * 64, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}]),
        NOBODY,
    )  # fmt: skip
    assert (digest.repository, digest.tag, digest.name) == ("nginx", "", "a" * 12)
    assert (nothing.repository, nothing.name, nothing.size_bytes, nothing.created) == ("", "b" * 12, 0, None)


def test_a_size_that_the_engine_does_not_know_is_none() -> None:
    entries = [{"Name": "a", "UsageData": {"Size": -1}}, {"Name": "b", "UsageData": None}, {"Name": "c"}]
    assert sizes_from(answer({"Volumes": entries})) == {}
    assert volumes_from(answer({"Volumes": None}), NOBODY) == ()


@pytest.mark.parametrize(
    "odd", [{"message": "no"}, ["x"], [{}], [{"Id": "a", "RepoTags": "x"}], [{"Id": "a", "Size": "x"}]]
)
def test_an_answer_of_another_shape_is_no_shorter_list(odd: object) -> None:
    with pytest.raises(NotUnderstood):
        images_from(answer(odd), NOBODY)


def test_hostile_names_are_clean() -> None:
    (row,) = volumes_from(answer({"Volumes": [{"Name": "\u202egnp\x1b[31m\n", "Driver": "x" * 5000}]}), NOBODY)
    assert row.name == "gnp[31m"
    assert len(row.driver) == 256
    json.dumps(row.name)


def test_through_the_client(client: EngineClient) -> None:
    assert len(list_images(client)) == 6
    assert len(list_volumes(client)) == 3
    assert len(list_networks(client)) == 5
    assert volume_sizes(client)["unused"] == 0


@pytest.mark.parametrize("answer", [{"message": "no list"}, [1, 2], "words", [{"Id": 5, "RepoTags": 7}], 5])
def test_what_is_no_list_is_an_error_and_never_an_empty_list(
    engine: FakeEngine, client: EngineClient, answer: object
) -> None:
    engine.listings = {"images": answer, "volumes": answer, "networks": answer, "df": answer}
    with pytest.raises(WherryError) as caught:
        list_images(client)
    assert caught.value.problem.code is ProblemCode.ENGINE_ERROR
    assert caught.value.problem.command == "docker images"


def test_a_refusal_is_told_as_it_is(engine: FakeEngine, client: EngineClient) -> None:
    engine.listings = {}
    with pytest.raises(WherryError) as caught:
        list_networks(client)
    assert "not to be had" in str(caught.value.problem.summary)
