"""Settings over the control channel: read, checked and changed whole, in every phase of the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.control import messages
from backend.errors import ProblemCode
from backend.model import Phase, StopPolicy
from backend.settings import config
from backend.settings.daemon_json import Severity
from backend.settings.disk import data_disk_path
from backend.vm.disk import disks
from tests.agent.machine import Machine, refused, until


def test_settings_of_a_machine_that_was_never_started(machine: Machine) -> None:
    with machine.client() as client:
        answer = client.request(messages.GetSettings())
        assert answer.values["machine.disk_gib"] == 64
        assert answer.values["machine.accelerator"] == "tcg"
        assert answer.defaults["machine.accelerator"] == "auto"
        assert answer.disk == messages.DataDisk(exists=False, path=str(data_disk_path(machine.paths)))
        assert answer.host.cpus >= 1
        assert answer.host.memory_mib > answer.host.minimum_memory_mib
        assert answer.host.disk_free_gib >= 0
        assert answer.chosen.cpus >= 1, "what 0 stands for"
        assert answer.restart_reasons == ()


def test_several_are_changed_at_once_or_none(machine: Machine) -> None:
    with machine.client() as client:
        before = machine.paths.config.read_text()
        bad = {"machine.cpus": 2, "machine.memory_mib": 64}
        assert refused(lambda: client.request(messages.SetSettings(values=bad))) is ProblemCode.BAD_REQUEST
        unknown = messages.SetSettings(values={"machine.wings": 2})
        assert refused(lambda: client.request(unknown)) is ProblemCode.BAD_REQUEST
        assert machine.paths.config.read_text() == before
        good = {"machine.cpus": 2, "machine.memory_mib": 1536, "docker.context": False}
        answer = client.request(messages.SetSettings(values=good))
        assert {key: answer.values[key] for key in good} == good
        loaded = config.load(machine.paths.config)
        assert (loaded.machine.cpus, loaded.machine.memory_mib, loaded.docker.context) == (2, 1536, False)


def test_a_change_reports_what_needs_a_restart(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        assert client.request(messages.GetSettings()).restart_reasons == ()
        answer = client.request(messages.SetSettings(values={"machine.memory_mib": 2048, "docker.context": False}))
        assert answer.restart_reasons == ("machine.memory_mib",)
        saved = client.request(messages.SetDaemonFile(text='{"debug": true}'))
        assert saved.restart_reasons == ("machine.memory_mib", "daemon")
        client.request(messages.Restart())
        until(client, Phase.STOPPING, Phase.PREPARING)
        until(client, Phase.RUNNING)
        assert client.request(messages.GetSettings()).restart_reasons == ()
        client.request(messages.SetSettings(values={"machine.cpus": 1}))
    machine.ended()
    with machine.client() as client:
        until(client, Phase.RUNNING)
        assert client.request(messages.GetSettings()).restart_reasons == ("machine.cpus",), "another agent knows it too"


def test_the_disk_grows_at_the_next_start_and_never_shrinks(machine: Machine) -> None:
    disks.ensure_data_disk(data_disk_path(machine.paths), size_gib=20, image_tool=Path("/usr/bin/qemu-img"))
    with machine.client() as client:
        smaller = messages.SetSettings(values={"machine.disk_gib": 10})
        assert refused(lambda: client.request(smaller)) is ProblemCode.BAD_REQUEST
        assert client.request(messages.GetSettings()).values["machine.disk_gib"] == 64
        client.request(messages.SetSettings(values={"machine.disk_gib": 30}))
    machine.wherry("config", "set", "machine.disk_gib", "10", code=1)
    machine.wherry("config", "set", "machine.disk_gib", "31")
    assert config.load(machine.paths.config).machine.disk_gib == 31


@pytest.mark.parametrize("text", ["{", '{"hosts": []}', '{"debug": 1}'])
def test_a_bad_daemon_json_is_not_saved(machine: Machine, text: str) -> None:
    machine.paths.daemon_json.write_text('{"debug": true}')
    with machine.client() as client:
        answer = client.request(messages.SetDaemonFile(text=text))
        assert (answer.saved, answer.valid, answer.asked_dockerd) == (False, False, False)
        assert answer.findings[0].severity is Severity.ERROR
    assert machine.paths.daemon_json.read_text() == '{"debug": true}'


def test_daemon_json_is_kept_as_it_was_typed(machine: Machine) -> None:
    typed = '{\n  "debug": true,\n  "future-option": 1\n}\n'
    with machine.client() as client:
        answer = client.request(messages.SetDaemonFile(text=typed))
        assert answer.saved
        assert [finding.severity for finding in answer.findings] == [Severity.WARNING]
        read = client.request(messages.GetDaemonFile())
        assert (read.text, read.valid) == (typed, True)
        client.request(messages.SetDaemonFile(text=" "))
        assert not machine.paths.daemon_json.exists()


def test_a_broken_daemon_json_can_be_read_to_fix_it(machine: Machine) -> None:
    machine.paths.daemon_json.write_text('{"debug": tru}')
    with machine.client() as client:
        read = client.request(messages.GetDaemonFile())
        assert read.text == '{"debug": tru}'
        assert not read.valid


def test_a_running_machines_dockerd_is_asked(machine: Machine) -> None:
    machine.started()
    with machine.client() as client:
        answer = client.request(messages.SetDaemonFile(text='{"no-such-option": 1}'))
        assert (answer.saved, answer.asked_dockerd) == (False, True)
        assert "don't match any configuration option: no-such-option" in str(answer.findings[-1].message)
        assert not machine.paths.daemon_json.exists()
        verdict = client.request(messages.CheckDaemonFile(text='{"debug": true}'))
        assert (verdict.valid, verdict.asked_dockerd) == (True, True)
        assert not machine.paths.daemon_json.exists(), "checking saves nothing"


def test_the_context_is_chosen_left_and_removed(machine: Machine) -> None:
    docker = Path(machine.environment["DOCKER_CONFIG"])
    docker.mkdir(parents=True)
    (docker / "config.json").write_text(json.dumps({"currentContext": "other", "auths": {}}))
    with machine.client() as client:

        def state() -> tuple[bool, bool, str]:
            got = client.request(messages.GetContext())
            return got.exists, got.selected, got.current

        assert state() == (False, False, "other")
        answer = client.request(messages.InstallContext())
        assert "stays in use" in str(answer.note)
        assert state() == (True, False, "other")
        assert client.request(messages.SelectContext()).selected
        assert state() == (True, True, "wherry")
        assert json.loads((docker / "config.json").read_text())["auths"] == {}
        client.request(messages.RemoveContext())
        assert state() == (False, False, "default")


def test_starting_at_login(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    machine.environment["XDG_CONFIG_HOME"] = str(tmp_path)
    entry = tmp_path / "autostart" / "wherry.desktop"
    with machine.client() as client:
        assert client.request(messages.GetAutostart()) == messages.AutostartState(on=False, place=str(entry))
        assert client.request(messages.SetAutostart(on=True)).on
        assert "--login" in entry.read_text()
        assert str(machine.home) in entry.read_text()
        assert "starts when" in machine.wherry("autostart").stdout
        assert "does not start" in machine.wherry("autostart", "off").stdout
        assert not client.request(messages.GetAutostart()).on


def test_the_console_can_be_read(machine: Machine) -> None:
    with machine.client() as client:
        assert client.request(messages.ReadLog(which=messages.MachineLog.SERIAL)).text == ""
    machine.started()
    with machine.client() as client:
        assert "kernel alive" in client.request(messages.ReadLog(which=messages.MachineLog.SERIAL)).text


def test_settings_answer_while_a_start_hangs_and_after_it_failed(machine: Machine) -> None:
    machine.hold("kernel")
    with machine.client() as client:
        client.request(messages.Start())
        until(client, Phase.BOOTING)
        assert client.request(messages.SetSettings(values={"machine.cpus": 1})).restart_reasons == ("machine.cpus",)
        assert client.request(messages.CheckDaemonFile(text="{}")).valid
        client.request(messages.Stop(policy=StopPolicy.KILL))
        until(client, Phase.STOPPED)
    machine.paths.config.write_text("[machine]\ncpus = -1\n")
    with machine.client() as client:
        assert refused(lambda: client.request(messages.GetSettings())) is ProblemCode.CONFIG_BROKEN
        assert client.request(messages.GetDaemonFile()).text == ""
