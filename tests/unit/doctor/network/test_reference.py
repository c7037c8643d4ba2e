"""Names of images, read as docker reads them; proxies, chosen as Go chooses them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from backend.doctor.network import credentials
from backend.doctor.network.proxy import ProxyRules
from backend.doctor.network.reference import is_insecure, parse_reference
from backend.doctor.network.types import Unreached

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "asked"),
    [
        ("hello-world", "docker.io/library/hello-world:latest", "registry-1.docker.io"),
        (" ann/app:1.2 ", "docker.io/ann/app:1.2", "registry-1.docker.io"),
        ("docker.io/redis", "docker.io/library/redis:latest", "registry-1.docker.io"),
        ("index.docker.io/ann/app", "docker.io/ann/app:latest", "registry-1.docker.io"),
        ("localhost/app", "localhost/app:latest", "localhost"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io"),
        ("[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000"),
        (f"redis@{DIGEST}", f"docker.io/library/redis@{DIGEST}", "registry-1.docker.io"),
        (f"redis:7@{DIGEST}", f"docker.io/library/redis:7@{DIGEST}", "registry-1.docker.io"),
        ("Registry/app", "Registry/app:latest", "Registry"),
    ],
)
def test_what_docker_understands(text: str, full: str, asked: str) -> None:
    wanted = parse_reference(text)
    assert (str(wanted), wanted.api_domain) == (full, asked)
    assert wanted.manifest == (DIGEST if "@" in text else full.rpartition(":")[2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "isn't a valid image name"),
        ("Foo:1", "lowercase: foo"),
        ("a b", "isn't a valid image name"),
        ("app:", "valid tag"),
        ("app:a b", "valid tag"),
        ("app@sha256:12", "valid digest"),
        ("ex ample.com/app", "isn't a valid registry name"),
        ("example.com:99999/app", "isn't a valid registry name"),
        ("example.com:80/", "isn't a valid image name"),
        ("http://example.com/app", "isn't a valid"),
        ("app\r\nHost: x", "isn't a valid"),
    ],
)
def test_what_it_does_not(text: str, said: str) -> None:
    with pytest.raises(Unreached) as caught:
        parse_reference(text)
    assert said in f"{caught.value.detail} {caught.value.fix}"


def test_ports_and_hosts() -> None:
    assert (parse_reference("[::1]:5000/a").host, parse_reference("[::1]:5000/a").port) == ("::1", 5000)
    assert (parse_reference("ghcr.io/a").host, parse_reference("ghcr.io/a").port) == ("ghcr.io", None)
    assert parse_reference("127.0.0.9:1/a").is_loopback
    assert not parse_reference("app").is_loopback


def test_insecure_registries_by_name_and_by_range() -> None:
    listed = ["reg.example:5000", "10.0.0.0/8", "bad/range"]
    assert is_insecure("reg.example:5000", [], listed)
    assert not is_insecure("reg.example", [], listed)
    assert is_insecure("other.example", ["10.1.2.3"], listed)
    assert is_insecure("10.1.2.3:80", [], listed)
    assert is_insecure("127.0.0.1:5000", [], [])
    assert is_insecure("localhost:5000", [], [])
    assert not is_insecure("192.0.2.1:5000", ["192.0.2.1"], listed)


def test_the_proxy_is_chosen_by_scheme_and_exceptions() -> None:
    rules = ProxyRules(
        https="http://ann:p%40ss@proxy.example:3128",
        http="other.example",
        no_proxy=(".corp.example", "exact.example", "10.0.0.0/8", "ported.example:8443", "192.0.2.7"),
    )
    proxy = rules.choose("https", "registry-1.docker.io", 443)
    assert proxy is not None
    assert str(proxy) == "http://proxy.example:3128"
    assert base64.b64decode(proxy.authorization.removeprefix("Basic ")) == b"ann:p@ss"
    plain = rules.choose("http", "x.example", 80)
    assert plain is not None
    assert (plain.host, plain.port, plain.authorization) == ("other.example", 80, "")
    for host, port, direct in (
        ("a.corp.example", 443, True),
        ("corp.example", 443, False),
        ("exact.example", 443, True),
        ("sub.exact.example", 443, True),
        ("inexact.example", 443, False),
        ("10.9.9.9", 443, True),
        ("11.9.9.9", 443, False),
        ("ported.example", 8443, True),
        ("ported.example", 443, False),
        ("192.0.2.7", 5000, True),
        ("localhost", 443, True),
        ("127.0.0.5", 443, True),
        ("::1", 443, True),
    ):
        assert (rules.choose("https", host, port) is None) is direct, host
    assert ProxyRules(https="http://p", no_proxy=("*",)).choose("https", "x", 443) is None
    with pytest.raises(ValueError, match="host"):
        ProxyRules(https="http://").choose("https", "x.example", 443)


def test_credentials_are_read_and_no_helper_is_run(tmp_path: Path) -> None:
    path = tmp_path / "config.json"

    def found(domain: str, content: object, *, hub: bool = False) -> credentials.Credentials:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return credentials.find(domain, is_hub=hub, path=path)

    assert credentials.find("x", is_hub=False, path=path) == credentials.Credentials()
    auth = base64.b64encode(b"ann:secret").decode()
    inline = found("reg.example:5000", {"auths": {"reg.example:5000": {"auth": auth}}})
    assert inline.basic == f"Basic {auth}"
    sent = json.loads(base64.urlsafe_b64decode(inline.registry_auth("reg.example:5000")))
    assert (sent["username"], sent["password"]) == ("ann", "secret")
    hub = found("docker.io", {"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "desktop"}, hub=True)
    assert (hub.basic, hub.helper) == ("", "docker-credential-desktop")
    assert found("reg.example", {"credHelpers": {"reg.example": "ecr"}}).helper == "docker-credential-ecr"
    assert found("other.example", {"auths": {"reg.example": {"auth": auth}}, "credsStore": "x"}).basic == ""
    for broken in ("{", "[]", {"auths": {"reg.example": {"auth": "!"}}}):
        assert found("reg.example", broken).trouble
    assert "auths: expected an object" in str(found("reg.example", {"auths": 7}).trouble)
