"""The guest's wrapper of runc, run by the guest's own busybox, on bundles as containerd and BuildKit write them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.agent.boot.corporate_network import AUTHORITIES_PATH
from tests.vm.support.tools import find_tools
from vmimage.description import OVERLAY

RUNTIME = OVERLAY / "usr/lib/wherry/runtime"
GIVEN = [
    'HTTP_PROXY=http://u:p"\\&@10.0.2.2:3128',
    'http_proxy=http://u:p"\\&@10.0.2.2:3128',
    "NO_PROXY=localhost",
    f"SSL_CERT_FILE={AUTHORITIES_PATH}",
]
TRICKY = 'echo "env":["X=1"] "mounts":[] "root":{"path":"/etc"} \\" ]}'


class Runtime:
    """The wrapper with the guest's places moved below a directory, and a runc that tells how it was called."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.given = base / "given"
        self.given.mkdir()
        self.bundle = base / "bundle"
        self.rootfs = self.bundle / "rootfs"
        self.rootfs.mkdir(parents=True)
        (self.given / "environment").write_text("".join(json.dumps(entry) + "\n" for entry in GIVEN))
        self.busybox = find_tools().busybox
        links = base / "bin"
        links.mkdir()
        for name in ("awk", "cat", "mv", "rm", "sed", "sha256sum", "stat", "sh"):
            (links / name).symlink_to(self.busybox)
        self.path = str(links)
        runc = base / "runc"
        runc.write_text(f'#!{links}/sh\nprintf "%s\\n" "$@"\n')
        runc.chmod(0o755)
        crun = base / "other"
        crun.write_text(f'#!{links}/sh\nprintf "%s\\n" crun "$@"\n')
        crun.chmod(0o755)
        self.wrapper = base / "wrapper"
        text = (RUNTIME / "runc").read_text()
        for place, here in (
            ("/usr/lib/wherry/runtime", str(RUNTIME)),
            ("/run/wherry/containers", str(self.given)),
            ("/usr/sbin/runc", str(runc)),
            ("/usr/bin/crun", str(crun)),
            ("/etc/ssl/certs/ca-certificates.crt\n", f"{base}/guest.crt\n"),
        ):
            assert place in text
            text = text.replace(place, here)
        self.wrapper.write_text(text)

    def config(self, **more: Any) -> dict[str, Any]:
        return {
            "ociVersion": "1.2.0",
            "process": {"user": {"uid": 0}, "args": ["sh", "-c", TRICKY], "env": ["PATH=/bin", f"T={TRICKY}"]},
            "root": {"path": "rootfs"},
            "mounts": [
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
                {"destination": '/a]"}', "type": "bind", "source": TRICKY, "options": ["rbind"]},
            ],
            "annotations": {"a": TRICKY},
            **more,
        }

    def call(self, *arguments: str, name: Path | None = None) -> list[str]:
        done = subprocess.run(
            [self.busybox, "sh", name or self.wrapper, *arguments],
            env={"PATH": self.path}, capture_output=True, text=True, timeout=60, check=True, cwd=self.base,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.splitlines()

    def create(self, config: dict[str, Any], *, command: str = "create") -> dict[str, Any]:
        path = self.bundle / "config.json"
        path.write_text(json.dumps(config, separators=(",", ":"), ensure_ascii=False) + "\n")
        arguments = [
            "--root",
            "create",
            "--log",
            "/l",
            "--log-format",
            "json",
            command,
            "--bundle",
            str(self.bundle),
            "id",
        ]
        assert self.call(*arguments) == arguments
        assert {entry.name for entry in self.bundle.iterdir()} == {"config.json", "rootfs"}
        loaded: dict[str, Any] = json.loads(path.read_text())
        return loaded


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path)


@pytest.mark.parametrize("command", ["create", "run"])
def test_a_container_is_given_what_it_lacks_and_nothing_else_changes(runtime: Runtime, command: str) -> None:
    before = runtime.config()
    after = runtime.create(before, command=command)
    assert after["process"]["env"] == [*before["process"]["env"], *GIVEN[:-1]]  # there are no authorities
    after["process"]["env"] = before["process"]["env"]
    assert after == before


def test_what_is_set_stays_in_either_case_of_letters(runtime: Runtime) -> None:
    (runtime.given / "authorities").write_text("OURS\n")
    config = runtime.config()
    config["process"]["env"] = ["http_proxy=", "SSL_CERT_FILE=/mine.pem"]
    assert runtime.create(config)["process"]["env"] == ["http_proxy=", "SSL_CERT_FILE=/mine.pem", "NO_PROXY=localhost"]


def test_authorities_are_mounted_last_with_those_of_the_image(runtime: Runtime) -> None:
    (runtime.given / "authorities").write_text("OURS\n")
    (runtime.rootfs / "etc/ssl/certs").mkdir(parents=True)
    (runtime.rootfs / "etc/ssl/certs/ca-certificates.crt").write_text("IMAGE\n")
    before = runtime.config()
    before["process"]["env"].append("SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
    after = runtime.create(before)
    assert after["mounts"][:-1] == before["mounts"]
    mount = after["mounts"][-1]
    assert mount["destination"] == AUTHORITIES_PATH
    assert {"bind", "ro"} <= set(mount["options"])
    assert Path(mount["source"]).read_text() == "IMAGE\nOURS\n"
    assert after["process"]["env"].count(f"SSL_CERT_FILE={AUTHORITIES_PATH}") == 1
    assert not any("/etc/ssl" in entry for entry in after["process"]["env"][2:])
    # The same for the next container of the image, and for one whose mounts are none.
    again = runtime.create(runtime.config(mounts=[]))
    assert again["mounts"] == [mount]
    assert len(list(runtime.given.glob("*.crt"))) == 1


@pytest.mark.parametrize("kind", ["none", "file", "directory"])
def test_an_image_does_not_lead_out_of_itself(runtime: Runtime, kind: str) -> None:
    (runtime.given / "authorities").write_text("OURS\n")
    secret = runtime.base / "secret"
    (secret / "certs").mkdir(parents=True)
    (secret / "certs/ca-certificates.crt").write_text("SECRET\n")
    if kind == "file":
        (runtime.rootfs / "etc/ssl/certs").mkdir(parents=True)
        (runtime.rootfs / "etc/ssl/certs/ca-certificates.crt").symlink_to(secret / "certs/ca-certificates.crt")
    elif kind == "directory":
        (runtime.rootfs / "etc").mkdir()
        (runtime.rootfs / "etc/ssl").symlink_to(secret)
    after = runtime.create(runtime.config())
    assert after["mounts"][-1]["source"] == f"{runtime.base}/guest.crt"
    assert list(runtime.given.glob("*.crt")) == []


def test_an_exec_is_given_the_same(runtime: Runtime) -> None:
    process = runtime.base / "process.json"
    process.write_text(json.dumps({"args": ["env"], "env": ["PATH=/bin"]}, separators=(",", ":")))
    process.chmod(0o600)
    runtime.call("--log", "/l", "exec", "--process", str(process), "--detach", "id")
    assert json.loads(process.read_text())["env"] == ["PATH=/bin", *GIVEN[:-1]]
    (runtime.given / "authorities").write_text("OURS\n")
    runtime.call("exec", f"--process={process}", "id")
    assert json.loads(process.read_text())["env"] == ["PATH=/bin", *GIVEN]
    assert process.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", '{"process":{"env":["unfinished', '{"process":{"env":[1]}}'])
def test_what_is_not_understood_is_left_as_it_is(runtime: Runtime, text: str) -> None:
    (runtime.given / "authorities").write_text("OURS\n")
    config = runtime.bundle / "config.json"
    config.write_text(text)
    assert runtime.call("create", "--bundle", str(runtime.bundle), "id")[0] == "create"
    assert config.read_text() == text


def test_other_commands_pass(runtime: Runtime) -> None:
    for words in (["--version"], ["kill", "id", "9"], ["--root", "/r", "delete", "--force", "id"], ["features"]):
        assert runtime.call(*words) == words


def test_under_the_name_of_crun_it_runs_crun(runtime: Runtime) -> None:
    assert (RUNTIME / "crun").readlink() == Path("runc")
    link = runtime.base / "crun"
    link.symlink_to(runtime.wrapper)
    config = runtime.bundle / "config.json"
    config.write_text(json.dumps(runtime.config(), separators=(",", ":")))
    assert runtime.call("create", "--bundle", str(runtime.bundle), "id", name=link)[:2] == ["crun", "create"]
    assert json.loads(config.read_text())["process"]["env"][2:] == GIVEN[:-1]
