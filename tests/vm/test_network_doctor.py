"""The network check on the real machine: what both can reach, what neither can, what only this computer trusts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from backend.doctor.network import diagnose_network, diagnosis_as_text, way
from tests.fakes.registry import Authority, Manners, serving
from tests.vm.support.machine import BUSYBOX, Machine

pytestmark = pytest.mark.vm


def test_a_registry_that_answers_and_a_port_where_nobody_does(machine: Machine, registry: str) -> None:
    image = f"{registry}/doctored:1"
    machine.docker("tag", BUSYBOX, image)
    machine.docker("push", image)
    found = machine.json("doctor", "network", image, check=True)
    assert {hop["state"] for hop in found["hops"]} <= {"ok", "skipped"}, found
    skipped = [hop["id"] for hop in found["hops"] if hop["state"] == "skipped"]
    assert skipped == ["token"]  # it asks for none
    assert found["verdict"] == f"{image} can be pulled: every step works."
    machine.docker("rmi", image)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = machine.wherry("doctor", "network", f"10.0.2.2:{port}/app", check=False)
    assert done.returncode == 1
    assert "FAILED   Connection, from the machine: 10.0.2.2" in done.stdout, done.stdout
    assert done.stdout.count("nothing listens there") == 3  # from both, and in the verdict
    assert "connection refused" in done.stdout.partition("Engine's result")[2]


def test_what_this_computer_trusts_and_the_machine_does_not(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    monkeypatch.setenv("DOCKER_CONFIG", str(machine.docker_config))
    monkeypatch.setattr(
        way, "is_insecure", lambda *_given: False
    )  # this machine's daemon.json lets all of 10.0.2.2 off
    with serving(Manners(), tls=authority.serve_as("10.0.2.2")) as port:
        diagnosis = diagnose_network(machine.home, f"10.0.2.2:{port}/app")
    states = {hop.id: hop.state.value for hop in diagnosis.hops}
    text = diagnosis_as_text(diagnosis)
    assert (states["tls-host"], states["tls-machine"], states["api"]) == ("ok", "failed", "skipped"), text
    assert "Zoë's Test Authority" in str(diagnosis.verdict)
    assert "This computer trusts it, but the machine doesn't" in str(diagnosis.verdict)
    assert "network.certificates" in str(diagnosis.verdict)
