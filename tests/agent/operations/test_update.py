"""The guest image is kept, offered, updated and rolled back by the real agent on the fake QEMU."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from backend import host
from backend.agent.core import journal as journals
from backend.agent.core.journal import Journal
from backend.control import messages
from backend.control.client import MachineClient
from backend.errors import ProblemCode
from backend.model import Phase
from tests.agent.machine import Machine, eventually, make_image, refused, until

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


def add_image(machine: Machine, name: str, *, age_s: float) -> Path:
    arch = host.current().arch
    place = make_image(Path(machine.environment["XDG_CACHE_HOME"]) / f"wherry/images/{arch}-{name}")
    path = place / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": name}))
    os.utime(path, (path.stat().st_mtime - age_s,) * 2)
    return place


def offered(client: MachineClient, version: str | None) -> None:
    def look() -> bool:
        client.request(messages.CheckUpdate())
        list(client.updates(timeout_s=0.1))
        return client.status.image_offer == version

    eventually(look, f"{version} is offered")


def pinned(machine: Machine) -> str:
    def read() -> str:
        try:
            return str(json.loads(machine.paths.image_pin.read_text())["version"])
        except OSError:
            return ""

    return str(eventually(read, "the image is kept"))


def test_a_newer_image_changes_nothing_until_it_is_taken(machine: Machine) -> None:
    machine.configure(image={})
    add_image(machine, "one", age_s=200)
    machine.started()
    assert pinned(machine) == "one"
    add_image(machine, "two", age_s=100)
    machine.wherry("restart")
    with machine.client() as client:
        assert client.status.image_version == "one"
        offered(client, "two")
    done = json.loads(machine.wherry("--json", "update").stdout)
    assert (done["version"], done["before"]) == ("two", "one")
    assert pinned(machine) == "two"
    with machine.client() as client:
        assert (client.status.phase, client.status.image_version) == (Phase.RUNNING, "two")
        offered(client, None)
        assert refused(lambda: client.request(messages.ApplyUpdate())) is ProblemCode.BAD_REQUEST, (
            "there is no newer one"
        )
    found = json.loads(machine.wherry("--json", "checkpoint", "list").stdout)["checkpoints"]
    assert [entry["reason"] for entry in found] == ["before-update"]


def test_a_missing_image_is_replaced_by_the_newest(machine: Machine) -> None:
    machine.configure(image={})
    one = add_image(machine, "one", age_s=200)
    machine.started()
    pinned(machine)
    machine.wherry("stop")
    add_image(machine, "two", age_s=100)
    shutil.rmtree(one)
    assert machine.started().image_version == "two"
    eventually(lambda: pinned(machine) == "two", "the other one is kept")
    eventually(lambda: "The guest image one is missing" in machine.log(), "it is told")


def to_be_updated(machine: Machine) -> Path:
    """Prepare a machine that has run and whose next start updates automatically; returns the new image's directory."""
    machine.configure(image={"update": "auto"})
    add_image(machine, "one", age_s=200)
    machine.started()
    pinned(machine)
    machine.wherry("stop")
    return add_image(machine, "two", age_s=100)


def test_a_start_updates_first_if_the_settings_say_so(machine: Machine) -> None:
    to_be_updated(machine)
    machine.wherry("start")
    with machine.client() as client:
        assert (client.status.phase, client.status.image_version) == (Phase.RUNNING, "two")
        assert client.status.operation is None


def test_a_newer_image_that_is_damaged_does_not_keep_the_machine_from_starting(machine: Machine) -> None:
    two = to_be_updated(machine)
    (two / "kernel").write_bytes(b"half of it")
    assert "is damaged" in machine.wherry("start").stderr
    with machine.client() as client:
        assert (client.status.phase, client.status.image_version) == (Phase.RUNNING, "one")


def test_an_agent_killed_while_the_new_image_is_tried_is_followed_by_one_that_goes_back(machine: Machine) -> None:
    machine.configure(image={})
    add_image(machine, "one", age_s=200)
    machine.started()
    pinned(machine)
    two = add_image(machine, "two", age_s=100)
    machine.wherry("stop")
    checkpoint = machine.wherry("checkpoint", "create").stdout.strip()
    machine.ended()
    details = {"directory": str(two), "old": "one", "checkpoint": checkpoint, "ran": []}
    journals.save(
        machine.paths.operation_journal,
        Journal(name="update.apply", stage="trying", was_running=True, details=details),
    )
    with machine.client() as client:
        status = until(client, Phase.RUNNING)
        assert status.image_version == "one"
    eventually(lambda: not machine.paths.operation_journal.exists(), "it is settled")
    assert pinned(machine) == "one"
    eventually(lambda: "rolled back" in machine.log(), "it is told")


def test_an_update_that_was_proved_is_kept_by_the_next_agent(machine: Machine) -> None:
    machine.configure(image={})
    add_image(machine, "one", age_s=200)
    machine.started()
    pinned(machine)
    two = add_image(machine, "two", age_s=100)
    machine.wherry("stop")
    machine.ended()
    journals.save(
        machine.paths.operation_journal,
        Journal(name="update.apply", stage="committed", was_running=False, details={"directory": str(two)}),
    )
    machine.wherry("status", code=3)
    eventually(lambda: not machine.paths.operation_journal.exists(), "it is settled")
    assert machine.started().image_version == "two"
