"""The support bundle: what must not be in it is not in it, and it can be had when half of everything is broken."""

from __future__ import annotations

import base64
import json
import stat
import time
import zipfile
from pathlib import Path

import pytest

from backend.errors import Cancelled, ProblemCode, WherryError
from backend.paths import MachineDir
from backend.ssh.keys import ensure_keys
from backend.support import gather
from backend.support.bundle import make_support_bundle
from backend.support.redact import GONE, Redactor

HUSH = "Hush5ecret"
"""In every planted secret, so that one search finds them all."""
LOGIN = base64.b64encode(f"ana:{HUSH}-login".encode()).decode()

TEXTS = [
    f"https://ana:{HUSH}@proxy.example:3128/x",
    f"HTTP_PROXY=http://ana:p@{HUSH}@proxy:1",
    f"Authorization: Bearer {HUSH}.abc",
    f'"Authorization":["Basic {HUSH}=="]',
    f"map[Authorization:[Bearer {HUSH}] Host:[d]]",
    f"X-Registry-Auth: {HUSH}",
    f"x-registry-config={HUSH}",
    f"Set-Cookie: sid={HUSH}; Path=/",
    f"MYSQL_ROOT_PASSWORD={HUSH}",
    f"password: {HUSH}",
    f"db_password = '{HUSH} with spaces'",
    f'{{"AccessToken": "{HUSH}"}}',
    f'{{\\"apiKey\\":\\"{HUSH}\\"}}',
    f'"secret": "with \\" {HUSH}"',
    f"docker login -u ana -p {HUSH} registry.example",
    f"docker login --password {HUSH}",
    f"--token={HUSH}",
    f"ghp_{HUSH}0123456789",
    f"eyJhbGciOi{HUSH}.eyJzdWIi.c2ln",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA{HUSH}\nBBBB\n-----END OPENSSH PRIVATE KEY-----",
    f"-----BEGIN RSA PRIVATE KEY-----\nAAAA{HUSH}",
    f"AAAABBBBCCCCDDDD{HUSH}\nEEEE{HUSH}=\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", TEXTS)
def test_secrets_go_by_their_place_and_look(text: str) -> None:
    redactor = Redactor()
    for variant in (text, f"time=1 {text}", f"before\n{text}\nafter"):
        assert HUSH not in redactor.text(variant)
    assert "after" in redactor.text(f"{text}\nafter") or "PRIVATE" in text
    assert HUSH not in json.dumps(redactor.value({"a": [text, {"b": text}]}))


def test_ordinary_words_stay() -> None:
    line = "2026-11-24 10:00:00 INFO backend.agent: starting qemu-system-x86_64 -m 2048 -drive file=data.qcow2"
    assert Redactor(user="root", home="/").text(line) == line
    assert Redactor().text("http://example.org/a@b and bypass 3") == "http://example.org/a@b and bypass 3"


def test_values_go_by_their_key_and_are_known_again_elsewhere() -> None:
    redactor = Redactor()
    settings = {
        "auths": {"registry.example": {"auth": LOGIN, "identitytoken": "plain-as-day-1"}},
        "HttpHeaders": {"X-Meta": "plain-as-day-2"},
        "proxies": {"default": {"httpProxy": "http://ana:plain-as-day-3@proxy:1"}},
        "argv": ["--password", "plain-as-day-4"],
        "currentContext": "wherry",
    }
    redactor.scan(settings)
    cleaned = json.dumps(redactor.value(settings))
    assert "plain-as-day" not in cleaned
    assert LOGIN not in cleaned
    assert '"currentContext": "wherry"' in cleaned
    log = f"sent plain-as-day-1 and plain-as-day-2 and plain-as-day-3 and {HUSH}-login"
    assert redactor.text(log) == f"sent {GONE} and {GONE} and {GONE} and {GONE}"


def test_names_become_signs() -> None:
    redactor = Redactor(user="ana", home="/home/ana")
    cleaned = redactor.text("/home/ana/x, /home/anabel, user ana, banana, ANA")
    assert cleaned == "~/x, /home/anabel, user [user], banana, [user]"
    windows = Redactor(user="Ana", home="C:\\Users\\Ana")
    assert "Ana" not in windows.text(json.dumps("C:\\Users\\Ana\\x") + " C:/Users/Ana/x")


@pytest.mark.parametrize(
    "unit", ["token", 'token="', "A" * 64 + "\n", "x-", "://", "login ", "-----BEGIN PRIVATE KEY", "--", "-token"]
)
@pytest.mark.no_cover
def test_hostile_logs_take_no_longer(unit: str) -> None:
    begun = time.process_time()
    Redactor(user="ana", home="/home/ana").text(unit * (400_000 // len(unit)))
    assert time.process_time() - begun < 5


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MachineDir:
    """A machine whose every file has a secret in it."""
    user = tmp_path / "home" / "zoe-quux"
    docker = user / ".docker"
    docker.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("LOGNAME", "zoe-quux")
    monkeypatch.setenv("DOCKER_CONFIG", str(docker))
    monkeypatch.setenv("HTTPS_PROXY", f"http://zoe:{HUSH}@proxy.example:1")
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"r": {"auth": LOGIN}}}))
    (docker / "config.json").write_text(json.dumps({"auths": {"r": {"auth": LOGIN}}, "currentContext": "wherry"}))
    directory = MachineDir.locate(user / "wherry", max_socket_path_bytes=300, short_run_base=tmp_path)
    directory.create()
    keys = ensure_keys(directory.keys)
    directory.config.write_text(
        f"[machine]\ncpus = 2 # password = {HUSH}\n"
        f"[network]\nproxy = 'manual'\nhttps_proxy = 'zoe:{HUSH}-2@proxy.example:1'\n"
    )
    directory.daemon_json.write_text(json.dumps({"proxies": {"https-proxy": f"http://a:{HUSH}@p:1"}, "debug": True}))
    log = "\n".join([*TEXTS[:19], f"log-in with {LOGIN} or {HUSH}-login", keys.client.private_text(), "the last line"])
    for path in (directory.agent_log, directory.qemu_log, directory.serial_log, directory.agent_output):
        path.write_text(log.replace("zoe", "zoe-quux"))
    directory.agent_log.with_name("agent.log.1").write_text(log)
    return directory


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name.partition("/")[2]: archive.read(name).decode() for name in archive.namelist()}


def test_planted_secrets_are_not_in_the_bundle(planted: MachineDir, tmp_path: Path) -> None:
    target = tmp_path / "bundle.zip"
    steps: list[float] = []
    made = make_support_bundle(planted.home, target, progress=lambda _what, done: steps.append(done))
    files = contents(target)
    assert {entry.name for entry in made.entries} | {"README.txt"} == set(files)
    assert {"facts.json", "doctor.txt", "settings/daemon.json", "logs/agent.log", "logs/agent.log.1"} <= set(files)
    keys = [path.read_text() for path in planted.keys.iterdir() if not path.name.endswith(".pub")]
    bodies = {line for key in keys for line in key.splitlines() if not line.startswith("-----")}
    for name, text in files.items():
        for secret in (HUSH, LOGIN, "PRIVATE KEY", "zoe-quux", *bodies):
            assert secret not in text, f"{secret!r} is in {name}"
        assert str(Path.home()) not in text
    assert "the last line" in files["logs/agent.log"]
    assert json.loads(files["settings/daemon.json"])["debug"] is True
    assert "currentContext" in files["settings/docker-config.json"]
    assert steps == sorted(steps)
    assert steps[-1] == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert made.size == target.stat().st_size


def test_what_cannot_be_had_is_named(planted: MachineDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.serial_log.unlink()
    planted.daemon_json.write_text(f"{{ not json, password={HUSH}")
    planted.config.write_bytes(b"\xff[")
    monkeypatch.setattr("backend.doctor.examine", lambda *_args, **_more: 1 / 0)
    made = make_support_bundle(planted.home, tmp_path / "b.zip")
    words = "\n".join(made.missing)
    for name in ("logs/serial.log", "logs/guest-dockerd.log", "machine/qemu-command.txt", "doctor.txt: a defect"):
        assert name in words
    files = contents(tmp_path / "b.zip")
    assert all(line in files["README.txt"] for line in made.missing)
    assert HUSH not in files["settings/daemon.json"]


def test_a_home_that_does_not_exist_gives_a_bundle_too(tmp_path: Path) -> None:
    made = make_support_bundle(tmp_path / "none", tmp_path / "b.zip")
    assert "doctor.txt" in {entry.name for entry in made.entries}


def test_logs_are_bounded(planted: MachineDir, tmp_path: Path) -> None:
    with planted.serial_log.open("w") as file:
        for number in range(60_000):
            file.write(f"{number} {'x' * 40}\n")
    make_support_bundle(planted.home, tmp_path / "b.zip")
    text = contents(tmp_path / "b.zip")["logs/serial.log"]
    assert len(text) <= gather.PIECE_BYTES
    assert text.endswith(f"59999 {'x' * 40}\n")


def test_cancelling_leaves_nothing(planted: MachineDir, tmp_path: Path) -> None:
    target = tmp_path / "out" / "b.zip"
    target.parent.mkdir()
    target.write_text("the old one")
    with pytest.raises(Cancelled):
        make_support_bundle(planted.home, target, cancelled=lambda: True)
    assert [path.name for path in target.parent.iterdir()] == ["b.zip"]
    assert target.read_text() == "the old one"


def test_a_place_that_cannot_be_written_is_a_problem(planted: MachineDir, tmp_path: Path) -> None:
    with pytest.raises(WherryError) as raised:
        make_support_bundle(planted.home, tmp_path / "missing" / "b.zip")
    assert raised.value.problem.code is ProblemCode.PATH_UNUSABLE
