"""What has changed on this computer since the machine was started is noticed, told once, and forgotten by a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.agent.boot import corporate_network
from backend.agent.core import started_with
from backend.agent.watch.corporate_network_watch import CERTIFICATES, PROXIES, CorporateNetworkWatch
from backend.doctor import CheckResult, CheckSeverity, examine
from backend.files import write_private
from backend.host.certificates import CertificateSource
from backend.host.proxies import SystemProxies
from backend.host.systems.linux import LinuxHost
from backend.messages import verbatim
from backend.model import AcceleratorStatus, MachineResources, Notice
from backend.paths import MachineDir
from backend.settings.config import Config, NetworkSection
from backend.vm import run
from backend.vm.spec import UserNetwork
from tests.vm.support.registry import Authority

ROOT, OTHER = Authority.make("The Root"), Authority.make("Another Root")


class CompanyHost(LinuxHost):
    """A computer in a company."""

    def __init__(self) -> None:
        super().__init__("amd64")
        self.proxies = SystemProxies(http="http://u:s3cr3t@p:1", https="http://p:1", source="the environment")
        self.bundle = ROOT.pem

    def system_proxies(self) -> SystemProxies:
        return self.proxies

    def system_certificates(self) -> tuple[CertificateSource, ...]:
        return (CertificateSource(place="/bundle", pem=self.bundle),)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CompanyHost:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return CompanyHost()


@pytest.fixture
def directory(tmp_path: Path) -> MachineDir:
    made = MachineDir.locate(tmp_path / "home", max_socket_path_bytes=300, short_run_base=tmp_path)
    made.create()
    return made


def start(host: CompanyHost, directory: MachineDir) -> None:
    """What a start leaves behind."""
    directory.guest_inputs.mkdir(exist_ok=True)
    started_with.save_settings(directory, Config())
    write_private(directory.engine_options, b"{}")
    record = run.RunRecord(
        uuid="u",
        accelerator=AcceleratorStatus(name="tcg", title=verbatim("t"), hardware=False),
        resources=MachineResources(cpus=1, memory_mib=512, disk_gib=1),
        image_version="v",
        engine_version="28",
        requested_at=0,
        argv=[],
    )
    run.save(directory.run_record, record)
    result = corporate_network.examine(NetworkSection(), host, options={}, network=record.user_network, known=())
    corporate_network.save_record(directory.used_corporate_network, result.record)


def test_changes_are_told_once_and_a_restart_settles_them(host: CompanyHost, directory: MachineDir) -> None:
    notices: list[Notice] = []
    live, looks = True, 0

    def is_live() -> bool:
        nonlocal looks
        looks += 1
        return live

    watch = CorporateNetworkWatch(host, directory, is_live=is_live, notify=notices.append, every_s=0.001)

    async def until(changed: set[str]) -> None:
        async with asyncio.timeout(30):
            while watch.changed != changed:
                await asyncio.sleep(0.001)

    async def story() -> None:
        nonlocal live
        start(host, directory)
        running = asyncio.create_task(watch.run())
        try:
            host.proxies = SystemProxies(http="http://p:2", source="GNOME's settings")
            await until({PROXIES})
            host.bundle = OTHER.pem
            await until({PROXIES, CERTIFICATES})
            looked = looks
            async with asyncio.timeout(30):
                while looks < looked + 10:
                    await asyncio.sleep(0.001)
            assert [str(notice.text).partition(" have")[0] for notice in notices] == [
                "The proxy settings of this computer",
                "The proxy settings and certificate authorities of this computer",
            ]
            start(host, directory)
            await until(set())
            host.bundle = ROOT.pem + OTHER.pem
            await until({CERTIFICATES})
            live = False
            assert watch.changed == set()
        finally:
            running.cancel()
            await asyncio.wait({running})

    asyncio.run(story())
    assert "s3cr3t" not in str(notices)


def test_what_is_looked_at_in_vain_is_nobodys_trouble(host: CompanyHost, directory: MachineDir) -> None:
    notices: list[Notice] = []
    watch = CorporateNetworkWatch(host, directory, is_live=lambda: True, notify=notices.append)

    async def story() -> None:
        await watch._check(with_certificates=True)
        start(host, directory)
        host.proxies = SystemProxies()
        directory.engine_options.write_text("{")
        with pytest.raises(ValueError, match="Expecting"):
            await watch._check(with_certificates=True)

    asyncio.run(story())
    assert notices == []


def checked(host: CompanyHost, directory: MachineDir, name: str) -> CheckResult:
    (result,) = examine(host, directory, agent_alive=False, only=[name])
    return result


def test_the_doctor_shows_what_is_in_force_and_where_it_comes_from(host: CompanyHost, directory: MachineDir) -> None:
    result = checked(host, directory, "proxies")
    assert result.severity is CheckSeverity.OK
    assert str(result.finding) == "HTTP: http://[hidden]@p:1, HTTPS: http://p:1, from the environment."
    host.proxies = SystemProxies(http="p:1", no_proxy=("*.corp.test",), source="GNOME's settings")
    result = checked(host, directory, "proxies")
    assert result.severity is CheckSeverity.NOTE
    assert "Exceptions: .corp.test" in str(result.finding)
    host.proxies = SystemProxies(pac="automatic", source="GNOME's settings")
    result = checked(host, directory, "proxies")
    assert result.severity is CheckSeverity.WARNING
    assert "PAC file" in str(result.finding)
    host.proxies = SystemProxies()
    assert str(checked(host, directory, "proxies").finding) == "None."
    trusted = checked(host, directory, "certificates")
    assert str(trusted.finding) == "1 additional authority from this computer: The Root. Source: /bundle."
    directory.config.write_text("[network]\ncertificates = 'none'\n")
    assert "as set in the settings" in str(checked(host, directory, "certificates").finding)


def test_the_doctor_tells_what_a_running_machine_was_started_with(
    host: CompanyHost, directory: MachineDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.doctor.subject.Subject.qemu_runs", True)
    start(host, directory)
    assert checked(host, directory, "proxies").severity is CheckSeverity.OK
    host.proxies = SystemProxies()
    result = checked(host, directory, "proxies")
    assert result.severity is CheckSeverity.WARNING
    assert "HTTP: http://[hidden]@p:1" in str(result.finding)
    assert result.hint is not None


def test_the_users_daemon_json_is_what_containers_get_too(host: CompanyHost) -> None:
    section = NetworkSection(proxy_in_containers=True)
    options = {"proxies": {"http-proxy": "http://mine:1"}}
    result = corporate_network.examine(section, host, options=options, network=UserNetwork(), known=())
    assert b"http://mine:1" in result.contents["container-environment"]
    assert b"s3cr3t" in result.contents["environment"]  # dockerd itself lets its own options go first
    assert result.record.proxies_from == "daemon.json and the environment"
    assert "container-authorities" not in result.contents
