"""What a start looks for: the image in its order, a modest share of the host, inputs that only the user can read."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from pathlib import Path

import pytest

from backend.agent.boot import corporate_network
from backend.agent.boot.images import directory_of
from backend.agent.boot.prepare import Preparation, prepare_within, resources
from backend.errors import ProblemCode, WherryError
from backend.files import explain_os_error
from backend.host.certificates import CertificateSource
from backend.host.proxies import SystemProxies
from backend.host.systems.linux import LinuxHost
from backend.paths import MachineDir
from backend.settings import config as settings
from backend.settings.config import Config, ImageSection, MachineSection
from backend.settings.disk import data_disk_path
from tests.agent.machine import make_image
from tests.fakes import qemu
from tests.vm.support.registry import Authority


class CacheHost(LinuxHost):
    """A computer without a KVM, with an image cache of its own."""

    def __init__(self, cache: Path) -> None:
        super().__init__("amd64", kvm_device=cache / "no-kvm")
        self.cache = cache
        self.proxies = SystemProxies()
        self.certificates: tuple[CertificateSource, ...] = ()

    def image_cache(self) -> Path:
        return self.cache

    def system_proxies(self) -> SystemProxies:
        return self.proxies

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        return self.certificates


@pytest.fixture
def host(tmp_path: Path) -> CacheHost:
    return CacheHost(tmp_path / "cache")


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    made.create()
    made.config.write_text(f"[qemu]\nbinary = '{qemu.install(tmp_path / 'bin')}'\n")
    return made


def prepared(host: CacheHost, directory: MachineDir, *, deadline_s: float = 30) -> Preparation:
    return asyncio.run(prepare_within(deadline_s, host, directory))


def test_the_environment_wins_over_the_settings_and_they_over_the_cache(
    host: CacheHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_image(host.cache / "amd64-old", arch="amd64")
    new = make_image(host.cache / "amd64-new", arch="amd64")
    make_image(host.cache / "arm64-newest", arch="arm64")
    os.utime(old / "manifest.json", (1, 1))
    named = Config(image=ImageSection(directory="/named"))
    assert directory_of(Config(), host, directory) == new
    assert directory_of(named, host, directory) == Path("/named")
    monkeypatch.setenv("WHERRY_IMAGE", "/urgent")
    assert directory_of(named, host, directory) == Path("/urgent")


def test_the_share_of_the_host_is_modest_and_the_settings_win() -> None:
    own = resources(Config(), disk_gib=64)
    assert 1 <= own.cpus <= 8
    assert own.cpus <= (os.cpu_count() or 1)
    assert 1024 <= own.memory_mib <= 4096
    given = resources(Config(machine=MachineSection(cpus=3, memory_mib=700)), disk_gib=5)
    assert (given.cpus, given.memory_mib, given.disk_gib) == (3, 700, 5)


def test_what_the_guest_is_given_is_private_and_whole(host: CacheHost, directory: MachineDir) -> None:
    make_image(host.cache / "amd64-1", arch="amd64")
    directory.daemon_json.write_text('{"debug": true, "labels": ["ö"]}')
    preparation = prepared(host, directory)
    inputs = dict(preparation.inputs)
    assert set(inputs) == {"ssh-host-key", "authorized-keys", "daemon.json", "hostname", "network", "swap"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in inputs.values())
    given = json.loads(inputs["daemon.json"].read_text())
    assert given == given | {"debug": True, "labels": ["ö"], "userland-proxy": False, "ip": "127.0.0.1"}
    assert json.loads(directory.used_daemon_json.read_text()) == {"debug": True, "labels": ["ö"]}
    assert inputs["authorized-keys"].read_text().startswith("ssh-ed25519 ")
    assert inputs["swap"].read_text() == "1024\n"
    assert "PRIVATE KEY" not in inputs["authorized-keys"].read_text()
    assert [candidate.accelerator for candidate in preparation.plan.candidates] == ["tcg"] * 2
    assert prepared(host, directory).uuid != preparation.uuid


def test_proxies_and_authorities_of_this_computer_are_given_and_noted(
    host: CacheHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker" / "certs.d" / "r.test:5000").mkdir(parents=True)
    (tmp_path / "docker" / "certs.d" / "r.test:5000" / "ca.crt").write_text("CA")
    make_image(host.cache / "amd64-1", arch="amd64")
    root = Authority.make("The Root")
    host.proxies = SystemProxies(http="u:s3cr3t@localhost:3128", pac="http://wpad/", source="the environment")
    host.certificates = (CertificateSource(place="/bundle", pem=root.pem),)
    directory.config.write_text("[network]\nproxy_in_containers = true\ncertificates_in_containers = true\n")
    preparation = prepared(host, directory)
    given = {name: path.read_text() for name, path in preparation.inputs}
    gateway = preparation.network.gateway
    assert f"\nhttp_proxy=http://u:s3cr3t@{gateway}:3128\n" in given["environment"]
    assert given["ca-certificates"] == root.pem
    assert given["container-authorities"] == "1\n"
    variables = [json.loads(line) for line in given["container-environment"].splitlines()]
    assert f"HTTP_PROXY=http://u:s3cr3t@{gateway}:3128" in variables
    assert "NODE_EXTRA_CA_CERTS=/dev/.wherry/authorities.crt" in variables
    assert "r.test:5000/ca.crt" in given["registry-certificates"]
    assert f"{gateway}/32" in json.loads(given["daemon.json"])["insecure-registries"]
    assert "PAC file" in str(preparation.notes[0])
    record = corporate_network.load_record(directory.used_corporate_network)
    assert record is not None
    assert (record.http, record.authorities) == ("http://[hidden]@localhost:3128", ("The Root",))
    assert "s3cr3t" not in directory.used_corporate_network.read_text()
    # Turned off: nothing of it stays behind.
    directory.config.write_text("[network]\nproxy = 'none'\ncertificates = 'none'\n")
    assert not {name for name, _ in prepared(host, directory).inputs} & set(corporate_network.INPUTS)
    assert not {path.name for path in directory.guest_inputs.iterdir()} & set(corporate_network.INPUTS)


def test_a_broken_setting_stops_it_before_a_disk_is_made(host: CacheHost, directory: MachineDir) -> None:
    directory.config.write_text("[machine]\ncpus = -1\n")
    with pytest.raises(WherryError) as caught:
        prepared(host, directory)
    assert caught.value.problem.code is ProblemCode.CONFIG_BROKEN
    assert not data_disk_path(directory).exists()
    assert settings.VERSION == 1


def test_it_does_not_last_longer_than_it_may(host: CacheHost, directory: MachineDir, tmp_path: Path) -> None:
    make_image(host.cache / "amd64-1", arch="amd64")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = tmp_path / "slow-qemu"
    slow.write_text(f"#!/bin/sh\nread -r line <'{gate}'\n")
    slow.chmod(0o755)
    directory.config.write_text(f"[qemu]\nbinary = '{slow}'\n")

    async def story() -> None:
        try:
            with pytest.raises(WherryError) as caught:
                await prepare_within(0.3, host, directory)
            assert caught.value.problem.code is ProblemCode.STEP_TIMED_OUT
            assert caught.value.problem.hint
        finally:
            await asyncio.to_thread(gate.write_text, "go on\n")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, ProblemCode.HOST_DISK_FULL),
        (errno.EDQUOT, ProblemCode.HOST_DISK_FULL),
        (errno.EACCES, ProblemCode.PATH_UNUSABLE),
        (errno.EROFS, ProblemCode.PATH_UNUSABLE),
    ],
)
def test_what_the_system_says_of_a_file_is_put_plainly(number: int, code: ProblemCode) -> None:
    problem = explain_os_error(OSError(number, os.strerror(number), "/the/file"))
    assert (problem.code, problem.command) == (code, "/the/file")
    assert problem.hint
