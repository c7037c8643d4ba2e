"""Updates, disk operations and resets on the real machine: the engine's data survives, whatever fails."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.vm.support.machine import BUSYBOX, Machine

pytestmark = pytest.mark.vm


class OwnMachine(Machine):
    """A machine without a configured image, so that it selects and updates its image automatically."""

    @property
    def environment(self) -> dict[str, str]:
        cache = self.home.parent / "cache"
        rest = {name: value for name, value in super().environment.items() if name != "WHERRY_IMAGE"}
        return {**rest, "XDG_CACHE_HOME": str(cache)}

    @property
    def images(self) -> Path:
        return self.home.parent / "cache/wherry/images"

    def add_image(self, name: str, *, age_s: float, version: str | None = None, broken: bool = False) -> Path:
        """Add a copy of the image under test to the cache, by links, with another version or a broken root."""
        place = self.images / f"{self.image.name.split('-')[0]}-{name}"
        place.mkdir(parents=True)
        manifest = json.loads((self.image / "manifest.json").read_text())
        for part in ("kernel", "initramfs", "root"):
            source = self.image / manifest[part]["file"]
            (place / source.name).symlink_to(source)
        manifest["version"] = version or manifest["version"]
        if broken:
            entry = manifest["root"]
            (place / entry["file"]).unlink()
            content = b"this is no file system\n" * 100_000
            (place / entry["file"]).write_bytes(content)
            entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        path = place / "manifest.json"
        path.write_text(json.dumps(manifest))
        written = path.stat().st_mtime - age_s
        os.utime(path, (written, written))
        return place

    def fill(self) -> None:
        """Create containers, images and volumes."""
        self.import_busybox()
        self.docker("network", "create", "quay")
        self.docker("volume", "create", "hold")
        self.docker("run", "--rm", "-v", "hold:/hold", BUSYBOX, "sh", "-c", "echo cargo >/hold/manifest; sync")
        self.docker("run", "-d", "--name", "stays", "--network", "quay", "-v", "hold:/hold", BUSYBOX, "sleep", "100000")
        self.docker("run", "-d", "--name", "always", "--restart", "always", BUSYBOX, "sleep", "100000")
        self.docker("create", "--name", "idle", BUSYBOX, "true")

    def assert_full(self) -> None:
        """Assert that everything from `fill` exists, and what ran is running."""
        names = set(self.docker("ps", "-a", "--format", "{{.Names}}").stdout.split())
        assert names == {"stays", "always", "idle"}
        assert set(self.docker("ps", "--format", "{{.Names}}").stdout.split()) == {"stays", "always"}
        assert self.docker("exec", "stays", "cat", "/hold/manifest").stdout == "cargo\n"
        assert "quay" in self.docker("network", "ls", "--format", "{{.Name}}").stdout.split()


@pytest.fixture
def own(fresh: Machine) -> OwnMachine:
    return OwnMachine(home=fresh.home, image=fresh.image, tools=fresh.tools, docker_config=fresh.docker_config)


@pytest.mark.timeout(1500)
def test_nothing_is_lost_by_updates_a_larger_disk_a_move_and_a_reset(own: OwnMachine, tmp_path: Path) -> None:
    """All steps use one machine, because each restart is expensive."""
    own.add_image("first", age_s=3000)
    own.wherry("config", "set", "machine.disk_gib", "8")
    own.wherry("start")
    own.fill()
    an_update_keeps_everything(own)
    a_broken_update_is_taken_back(own)
    the_disk_grows_while_it_runs(own)
    the_disk_moves(own, tmp_path / "a larger drive")
    a_reset_has_a_way_back(own)


def an_update_keeps_everything(own: OwnMachine) -> None:
    own.add_image("second", age_s=2000, version="2-second")
    assert own.json("update", "--check")["offer"]["version"] == "2-second"
    assert own.status()["image_offer"] == "2-second"
    done = own.json("update", check=True)
    assert done["version"] == "2-second"
    status = own.status()
    assert (status["phase"], status["image_version"], status["operation"]) == ("running", "2-second", None)
    assert status["image_offer"] is None
    own.assert_full()
    reasons = [entry["reason"] for entry in own.json("checkpoint", "list")["checkpoints"]]
    assert reasons == ["before-update"]


def a_broken_update_is_taken_back(own: OwnMachine) -> None:
    own.add_image("third", age_s=1000, version="3-broken", broken=True)
    refused = own.json("update")["problem"]
    assert refused["code"] == "update-failed"
    assert refused["tail"], "what the console said belongs to it"
    status = own.status()
    assert (status["phase"], status["image_version"]) == ("running", "2-second")
    own.assert_full()


def the_disk_grows_while_it_runs(own: OwnMachine) -> None:
    grown = own.json("disk", "grow", "12", check=True)
    assert grown == {"size_gib": 12, "now": True}
    blocks = own.wherry("shell", "--", "df", "-k", "/data").stdout.splitlines()[-1].split()[1]
    assert int(blocks) > 11 * 1024**2
    assert own.status()["resources"]["disk_gib"] == 12
    own.assert_full()


def the_disk_moves(own: OwnMachine, place: Path) -> None:
    place.mkdir()
    former = own.home / "machine/data.qcow2"
    moved = own.json("disk", "move", str(place), check=True)
    assert moved == {"path": str(place / "data.qcow2")}
    assert not former.exists()
    assert sorted(path.name for path in place.iterdir()) == ["data.qcow2"]
    assert own.status()["phase"] == "running"
    own.assert_full()


def a_reset_has_a_way_back(own: OwnMachine) -> None:
    checkpoint = own.json("reset", "--yes", check=True)["checkpoint"]
    own.wherry("start")
    assert own.docker("ps", "-aq").stdout == ""
    own.wherry("checkpoint", "restore", checkpoint, "--yes", timeout_s=600)
    own.docker("start", "stays")
    own.assert_full()
