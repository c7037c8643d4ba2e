"""Authorities of this computer: which are given to the guest, and what is said of the others."""

from __future__ import annotations

import hashlib
import io
import ssl
import tarfile
import time
from pathlib import Path

import pytest

from backend.host.certificates import CertificateSource, from_linux
from backend.net import certificates, registry_certificates
from tests.vm.support.registry import Authority

GOOD = Authority.make("Good Root\x07")
OTHER = Authority.make("Other Root")
EXPIRED = Authority.make("Expired Root", days=-2)
SERVER = Authority.make("server.test", is_authority=False)


def fingerprint(authority: Authority) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority.pem)).hexdigest()


def source(*texts: str, place: str = "/the/bundle") -> CertificateSource:
    return CertificateSource(place=place, pem="# a comment\n".join(texts))


def test_only_valid_authorities_are_given_once_and_what_is_left_out_is_told() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    result = certificates.choose(
        [
            source(GOOD.pem, broken, EXPIRED.pem, SERVER.pem, GOOD.pem),
            source(GOOD.pem, OTHER.pem, place="/another"),
            CertificateSource(place="/unreadable", pem="", problem="Permission denied"),
        ],
        known={fingerprint(OTHER)},
        now=time.time(),
    )
    assert [(one.name, one.fingerprint) for one in result.chosen] == [("Good Root ", fingerprint(GOOD))]
    assert result.pem == GOOD.pem
    assert result.known == 1
    assert result.places == ("/the/bundle", "/another")
    told = "\n".join(str(one) for one in result.notes)
    for why in ("damaged", "expired", "not from an authority"):
        assert f"1 certificate of this computer isn't used: {why}, in /the/bundle." in told
    assert "The certificates in /unreadable can't be read: Permission denied" in told


def test_the_same_authorities_make_the_same_text_whatever_the_order_and_the_image() -> None:
    one = certificates.choose([source(GOOD.pem, OTHER.pem)], known=(), now=time.time())
    two = certificates.choose([source(OTHER.pem), source(GOOD.pem)], known=(), now=time.time())
    with_known = certificates.choose([source(GOOD.pem, OTHER.pem)], known={fingerprint(GOOD)}, now=time.time())
    assert one.pem == two.pem
    assert one.digest == two.digest == with_known.digest
    assert certificates.choose([source(GOOD.pem)], known=(), now=time.time()).digest != one.digest


def test_what_the_guest_is_given_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MAX_BYTES", len(GOOD.pem) + 100)
    result = certificates.choose([source(GOOD.pem, OTHER.pem)], known=(), now=time.time())
    assert len(result.chosen) == 1
    assert "1 is left out" in str(result.notes[-1])


def test_the_bundle_of_the_distribution_and_the_one_of_the_variable(tmp_path: Path) -> None:
    bundle, extra = tmp_path / "bundle", tmp_path / "extra"
    bundle.write_text(GOOD.pem)
    extra.write_text(OTHER.pem)
    places = (tmp_path / "none", bundle, extra)
    result = from_linux(bundles=places, environment={"SSL_CERT_FILE": str(extra)})
    assert [(one.place, one.pem) for one in result] == [(str(bundle), GOOD.pem), (str(extra), OTHER.pem)]
    (missing,) = from_linux(bundles=(), environment={"SSL_CERT_FILE": str(tmp_path / "none")})
    assert missing.problem == "No such file or directory"
    assert from_linux(bundles=(), environment={}) == ()


def test_dockers_own_places_for_single_registries(tmp_path: Path) -> None:
    system, user = tmp_path / "system", tmp_path / "user"
    for place, host, name, content in (
        (system, "a.test:5000", "ca.crt", "SYSTEM"),
        (system, "b.test", "ca.crt", "B"),
        (user, "a.test:5000", "ca.crt", "USER"),
        (user, "a.test:5000", "client.key", "KEY"),
        (user, "a.test:5000", "notes.txt", "not given"),
        (user, "not a host!", "ca.crt", "not given"),
    ):
        (place / host).mkdir(parents=True, exist_ok=True)
        (place / host / name).write_text(content)
    result = registry_certificates.collect((tmp_path / "none", system, user))
    with tarfile.open(fileobj=io.BytesIO(result.tar)) as archive:
        members = {member.name: member for member in archive.getmembers()}
        key = archive.extractfile("a.test:5000/ca.crt")
        assert key is not None
        assert key.read() == b"USER"
    assert set(members) == {"a.test:5000", "b.test", "a.test:5000/ca.crt", "a.test:5000/client.key", "b.test/ca.crt"}
    assert members["a.test:5000/client.key"].mode == 0o600
    assert result.hosts == ("a.test:5000", "b.test")
    assert "not a host!" in str(result.notes[0])
    assert registry_certificates.collect((system, user)).tar == result.tar
    assert registry_certificates.collect(()).tar == b""


def test_too_much_for_registries_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_certificates, "MAX_BYTES", 10)
    (tmp_path / "a.test").mkdir()
    (tmp_path / "a.test" / "ca.crt").write_text("x" * 11)
    result = registry_certificates.collect((tmp_path,))
    assert result.tar == b""
    assert "skipped" in str(result.notes[0])
