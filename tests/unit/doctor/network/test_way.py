"""The network's doctor against a registry and a proxy on the loopback that misbehave, each in one of the known ways."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backend.doctor.network import HopState, NetworkDiagnosis, diagnose_network, diagnosis_as_text, web
from backend.doctor.network.proxy import ProxyRules
from backend.doctor.network.sides import HostSide
from backend.doctor.network.tls import trusting
from backend.doctor.network.types import Unreached
from backend.errors import Cancelled
from tests.fakes.registry import Authority, Manners, proxying, serving

NAME = "host.docker.internal"
"""Stands for this computer, so that it needs no DNS, and is not let off TLS as "localhost" is."""
DENIED = b'{"errors": [{"code": "DENIED", "message": "requested access is \\u001b[31mdenied"}]}'
LIMITED = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600", "Retry-After": "600"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that never ran, no proxies, and this test's authority among those of this computer."""
    monkeypatch.setenv("WHERRY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


def states(diagnosis: NetworkDiagnosis) -> dict[str, str]:
    return {hop.id: hop.state.value for hop in diagnosis.hops}


def failed_at(diagnosis: NetworkDiagnosis, hop: str, *words: str) -> None:
    assert diagnosis.failed is not None, diagnosis_as_text(diagnosis)
    assert diagnosis.failed.id == hop, diagnosis_as_text(diagnosis)
    for word in words:
        assert word in str(diagnosis.verdict), str(diagnosis.verdict)
    assert str(diagnosis.verdict).isprintable()


def served(stack: ExitStack, manners: Manners, tls: ssl.SSLContext | None) -> str:
    return f"{NAME}:{stack.enter_context(serving(manners, tls=tls))}/app"


def test_all_is_well(stack: ExitStack, authority: Authority) -> None:
    manners = Manners(token=True)
    hops: list[str] = []
    image = served(stack, manners, authority.serve_as(NAME))
    diagnosis = diagnose_network(None, image, on_hop=lambda hop: hops.append(hop.id))
    assert diagnosis.failed is None, diagnosis_as_text(diagnosis)
    assert diagnosis.image == f"{image}:latest"
    assert hops == [hop.id for hop in diagnosis.hops]
    skipped = {"machine", "dns-machine", "connect-machine", "tls-machine", "engine"}
    assert {hop for hop, state in states(diagnosis).items() if state != "ok"} == skipped
    assert {hop.state for hop in diagnosis.hops if hop.id in skipped} == {HopState.SKIPPED}
    assert "wherry start" in str(diagnosis.verdict)
    text = diagnosis_as_text(diagnosis)
    assert "42 of 100 pulls left (limit per 6 hours)" in text
    assert "t0ken" not in text
    token = next(path for _, path, _ in manners.asked if path.startswith("/token"))
    assert token == "/token?scope=repository%3Aapp%3Apull&service=the+service"


def test_a_registry_of_tests_speaks_plain_http(stack: ExitStack) -> None:
    port = stack.enter_context(serving(Manners()))
    diagnosis = diagnose_network(None, f"127.0.0.1:{port}/app")
    assert diagnosis.failed is None, diagnosis_as_text(diagnosis)
    assert "Uses plain HTTP" in diagnosis_as_text(diagnosis)
    failed_at(diagnose_network(None, f"{NAME}:{port}/app"), "tls-host", "doesn't use TLS", "insecure-registries")


@pytest.mark.parametrize(
    ("begin", "answer", "hop", "words"),
    [
        ("GET /v2/", (404, {}, b"<html>"), "api", ("isn't a registry",)),
        ("GET /v2/", (302, {"Location": "http://login.example/"}, b""), "api", ("login.example", "browser")),
        ("GET /v2/", (503, {}, b""), "api", ("responded with 503", "later")),
        ("GET /v2/", (401, {"WWW-Authenticate": "Negotiate"}, b""), "api", ("Negotiate",)),
        ("GET /v2/", (401, {"WWW-Authenticate": 'Basic realm="x"'}, b""), "token", ("docker login",)),
        ("GET /token", (401, {}, DENIED), "token", ("rejected a request without credentials", "docker login")),
        ("GET /token", (429, {}, b""), "token", ("pull limit is reached",)),
        ("GET /token", (200, {}, b"[1"), "token", ("responded with 200",)),
        ("HEAD /v2/app/m", (401, {}, b""), "manifest", ("without login was denied",)),
        (
            "HEAD /v2/app/m",
            (403, {}, b""),
            "manifest",
            ("without login was denied", "docker login host.docker.internal:"),
        ),
        ("HEAD /v2/app/m", (404, {}, b""), "manifest", ("has no host.docker.internal", "name and tag")),
        ("HEAD /v2/app/m", (429, LIMITED, b""), "manifest", ("0 of 100 pulls", "Try again in 600 s")),
        ("HEAD /v2/app/m", (200, LIMITED, b""), "manifest", ("0 of 100 pulls", "docker login")),
        ("GET /v2/app/manifests/l", (200, {}, b"[]"), "blob", ("invalid manifest",)),
        ("GET /v2/app/blobs", (403, {}, DENIED), "blob", ("responded with 403: requested access is", "denied")),
        ("GET /v2/app/blobs", (307, {"Location": "ftp://x/"}, b""), "blob", ("isn't the URL of a registry",)),
    ],
)
def test_what_a_registry_says(
    stack: ExitStack, authority: Authority, begin: str, answer: tuple[int, dict[str, str], bytes], hop: str,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    image = served(stack, Manners(token=True, answers={begin: answer}), authority.serve_as(NAME))
    diagnosis = diagnose_network(None, image)
    failed_at(diagnosis, hop, *words)
    hops = [one.id for one in diagnosis.hops]
    assert all(one.state is HopState.SKIPPED for one in diagnosis.hops[hops.index(hop) + 1 :])


def test_layers_that_a_firewall_keeps_away(stack: ExitStack, authority: Authority) -> None:
    elsewhere = stack.enter_context(serving(Manners(answers={"GET /blob": (206, {}, b"x")})))
    manners = Manners(answers={"GET /v2/app/blobs": (307, {"Location": f"http://{NAME}:{elsewhere}/blob?sig=a"}, b"")})
    image = served(stack, manners, authority.serve_as(NAME))
    assert diagnose_network(None, image).failed is None
    dead = dead_port()
    manners.answers["GET /v2/app/blobs"] = (307, {"Location": f"https://{NAME}:{dead}/blob"}, b"")
    failed_at(
        diagnose_network(None, image),
        "blob",
        f"stored on {NAME}",
        "nothing listens there",
        "in addition to the registry",
    )


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nobody_listens() -> None:
    failed_at(diagnose_network(None, f"{NAME}:{dead_port()}/app"), "connect-host", "nothing listens there")


def test_a_name_that_is_none() -> None:
    failed_at(diagnose_network(None, "no-such-host.invalid/app"), "dns-host", "no-such-host.invalid", "VPN")
    failed_at(diagnose_network(None, "Über/app"), "reference", "registry")


def test_certificates(stack: ExitStack, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expired = served(stack, Manners(), authority.serve_as(NAME, begins=-9, ends=-2))
    failed_at(diagnose_network(None, expired), "tls-host", "expired on", "clock")
    early = served(stack, Manners(), authority.serve_as(NAME, begins=2))
    failed_at(diagnose_network(None, early), "tls-host", "isn't valid before", "clock")
    other = served(stack, Manners(), authority.serve_as("other.example"))
    failed_at(diagnose_network(None, other), "tls-host", "is for other.example", NAME)
    good = served(stack, Manners(), authority.serve_as(NAME))
    assert diagnose_network(None, good).failed is None
    (tmp_path / "second").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path / "second", "Another").pem))
    failed_at(diagnose_network(None, good), "tls-host", "Zoë's Test Authority", "trusted authorities", "administrator")


def test_proxies(stack: ExitStack, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    manners = Manners()
    image = served(stack, manners, authority.serve_as(NAME))
    port = int(image.partition(":")[2].partition("/")[0])
    proxy, heard = stack.enter_context(proxying(wants="ann:pa ss", to=port))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
    failed_at(diagnose_network(None, image), "connect-host", "407", "user name and password")
    monkeypatch.setenv("https_proxy", f"http://ann:pa%20ss@127.0.0.1:{proxy}")
    diagnosis = diagnose_network(None, image)
    assert diagnosis.failed is None, diagnosis_as_text(diagnosis)
    assert set(heard) == {f"CONNECT {NAME}:{port} HTTP/1.1"}
    text = diagnosis_as_text(diagnosis)
    assert f"through the proxy http://127.0.0.1:{proxy}" in text
    assert "pa ss" not in text
    assert "pa%20ss" not in text
    for answer, word in ((b"HTTP/1.1 403 No\r\n\r\n", "blocks"), (b"HTTP/1.0 502 Bad\r\n\r\n", "502 Bad")):
        proxy, _ = stack.enter_context(proxying(answer=answer))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
        failed_at(diagnose_network(None, image), "connect-host", word, "Ask the proxy's administrator")
    proxy, _ = stack.enter_context(proxying(answer=b"SSH-2.0-x\r\n"))
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
    failed_at(diagnose_network(None, image), "connect-host", "valid HTTP")
    monkeypatch.setenv("no_proxy", NAME)
    assert diagnose_network(None, image).failed is None


def test_a_proxy_whose_certificate_is_not_trusted(
    stack: ExitStack, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = served(stack, Manners(), authority.serve_as(NAME))
    (tmp_path / "second").mkdir()
    other = Authority(tmp_path / "second", "Another").serve_as("127.0.0.1")
    monkeypatch.setenv("https_proxy", f"https://127.0.0.1:{stack.enter_context(serving(Manners(), tls=other))}")
    failed_at(diagnose_network(None, image), "connect-host", "the proxy https://127.0.0.1:", "isn't trusted")


@pytest.mark.parametrize("bundle", ["", "no certificate\n"])
def test_a_machine_whose_authorities_cannot_be_read_is_a_finding(bundle: str) -> None:
    with pytest.raises(Unreached, match="can't be read"):
        web.Web(HostSide(), ProxyRules(), bundle).context()


def test_a_bundle_may_have_comments_in_any_language(authority: Authority) -> None:
    trusting(f"# Zoë's own\n{authority.pem.read_text()}")


def test_what_says_nothing_has_a_deadline_and_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        image = f"{NAME}:{listener.getsockname()[1]}/app"
        cancelled = threading.Event()
        timer = threading.Timer(0.3, cancelled.set)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(Cancelled):
            diagnose_network(None, image, cancelled=cancelled)
        assert time.monotonic() - begun < web.TLS_S / 2
        timer.join()
        monkeypatch.setattr(web, "TLS_S", 0.2)
        failed_at(diagnose_network(None, image), "tls-host", "within 0.2 s", "firewall")


def test_credentials_are_sent_where_the_certificate_is_good_and_are_shown_nowhere(
    stack: ExitStack, authority: Authority, tmp_path: Path
) -> None:
    manners = Manners(token=True)
    image = served(stack, manners, authority.serve_as(NAME))
    domain = image.partition("/")[0]
    auth = base64.b64encode(b"ann:secret").decode()
    config = tmp_path / "docker" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {domain: {"auth": auth}}}))
    diagnosis = diagnose_network(None, image)
    assert diagnosis.failed is None
    assert [sent for _, path, sent in manners.asked if path.startswith("/token")] == [f"Basic {auth}"]
    assert all(word not in diagnosis_as_text(diagnosis) for word in (auth, "secret"))
    plain = Manners(token=True)
    port = stack.enter_context(serving(plain))
    config.write_text(json.dumps({"auths": {f"127.0.0.1:{port}": {"auth": auth}}}))
    assert diagnose_network(None, f"127.0.0.1:{port}/app").failed is None
    assert all(auth not in sent for _, _, sent in plain.asked)
    # What a helper keeps may open the door: that is no failure of the network.
    manners.answers["HEAD /v2/app/m"] = (401, {}, b"")
    config.write_text(json.dumps({"credHelpers": {domain: "keychain"}}))
    diagnosis = diagnose_network(None, image)
    assert diagnosis.failed is None
    assert states(diagnosis)["manifest"] == "warning"
    assert "stored by docker-credential-keychain were not tried" in diagnosis_as_text(diagnosis)


def test_a_mirror_stands_in_for_docker_hub(stack: ExitStack, tmp_path: Path) -> None:
    port = stack.enter_context(serving(Manners()))
    (tmp_path / "home").mkdir()
    mirrors = [f"http://127.0.0.1:{dead_port()}", f"http://127.0.0.1:{port}/"]
    (tmp_path / "home" / "daemon.json").write_text(json.dumps({"registry-mirrors": mirrors}))
    hops = diagnose_network(None, "hello-world@sha256:" + "0" * 64).hops
    results = [(hop.state.value, hop.detail) for hop in hops if hop.id == "mirror"]
    assert [state for state, _ in results] == ["warning", "ok"]
    assert not any(hop.state is HopState.FAILED for hop in hops)
