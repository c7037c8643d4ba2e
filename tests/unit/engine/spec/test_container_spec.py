"""Specs: out of an inspected container, into a create request and a `docker run` command, and back."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.engine.client.details import details_from_answer
from backend.engine.spec.command import quote, run_command, run_words
from backend.engine.spec.container_spec import (
    ContainerSpec,
    MountSpec,
    PortSpec,
    is_container_name,
    is_image_reference,
    is_variable_name,
    with_tag,
)
from backend.engine.spec.inspection import spec_from_inspect
from backend.engine.spec.request import create_body
from backend.json_reader import NotUnderstood
from tests.fakes.answers import entry

IMAGE: dict[str, Any] = {
    "Config": {
        "Env": ["PATH=/usr/bin", "NGINX_VERSION=1.27"],
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Entrypoint": ["/docker-entrypoint.sh"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"maintainer": "them"},
        "WorkingDir": "/srv",
        "StopSignal": "SIGQUIT",
        "Volumes": {"/cache": {}},
    }
}
INSPECT: dict[str, Any] = {
    "Id": "ab" * 32,
    "Name": "/shop",
    "Image": "sha256:" + "cd" * 32,
    "Created": "2026-11-23T22:51:28.123456789Z",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "Pid": 4711,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-11-23T22:51:29.123456789Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy", "FailingStreak": 0, "Log": [{"ExitCode": 0, "Output": "fine\x1b[31m"}]},
    },
    "Config": {
        "Hostname": "ab" * 6,
        "Image": "nginx:1.27",
        "Env": ["MODE=production", "EMPTY=", "PATH=/usr/bin", "NGINX_VERSION=1.27"],
        "Cmd": ["nginx", "-g", "daemon off;"],
        "Entrypoint": ["/docker-entrypoint.sh"],
        "ExposedPorts": {"80/tcp": {}, "9000/tcp": {}},
        "Labels": {"maintainer": "them", "team": "boats", "com.docker.compose.project": "shop"},
        "WorkingDir": "/srv",
        "User": "1000:1000",
        "StopSignal": "SIGQUIT",
        "Tty": False,
        "OpenStdin": False,
    },
    "HostConfig": {
        "Binds": ["/home/ana/shop:/srv/shop:ro"],
        "Mounts": [{"Type": "tmpfs", "Target": "/run", "TmpfsOptions": {"SizeBytes": 1048576}}],
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "9000/tcp": [{"HostPort": ""}]},
        "NetworkMode": "shop_default",
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        "NanoCpus": 1_500_000_000,
        "Memory": 536_870_912,
        "MemorySwap": 1_073_741_824,
        "CapAdd": ["NET_ADMIN"],
        "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "ShmSize": 67_108_864,
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "Runtime": "runc",
        "MaskedPaths": ["/proc/acpi"],
        "ReadonlyPaths": ["/proc/bus"],
        "ConsoleSize": [0, 0],
        "ExtraHosts": ["db:10.0.0.2"],
        "Privileged": False,
        "AutoRemove": False,
        "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
    },
    "Mounts": [
        {"Type": "bind", "Source": "/home/ana/shop", "Destination": "/srv/shop", "Mode": "ro", "RW": False},
        {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/x", "Destination": "/data", "RW": True},
        {"Type": "volume", "Name": "ef" * 32, "Source": "/var/lib/docker/y", "Destination": "/cache", "RW": True},
    ],
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "9000/tcp": None},
        "Networks": {"shop_default": {"Aliases": ["web", "ab" * 6], "IPAddress": "172.18.0.2", "IPAMConfig": None}},
    },
    "GraphDriver": {"Name": "overlay2", "Data": {"UpperDir": "/u", "LowerDir": "/a:/b"}},
}


def test_details_of_a_container() -> None:
    details = details_from_answer(entry(INSPECT))
    assert (details.name, details.image, details.user, details.restart_policy) == (
        *("shop", "nginx:1.27", "1000:1000", "on-failure:5"),
    )
    assert (details.run.pid, details.run.restart_count, details.run.exit_code, details.run.finished_at) == (
        4711,
        2,
        None,
        "",
    )
    assert details.run.started_epoch == pytest.approx(1_795_474_289.12, abs=0.01)
    assert details.run.health_log[0].output == "fine[31m"
    assert details.limits.cpus == 1.5
    assert [(port.host_ip, port.host_port, port.container_port) for port in details.ports] == [
        ("127.0.0.1", 8080, 80),
        (None, None, 9000),
    ]
    assert [mount.source for mount in details.anonymous_volumes] == ["ef" * 32]
    assert details.graph_driver.lower_directories == ("/a", "/b")
    assert details.untrusted_raw is INSPECT


def test_an_answer_with_nothing_in_it_has_details_too() -> None:
    details = details_from_answer(
        entry({"Id": "x", "State": None, "Config": None, "Mounts": None, "NetworkSettings": None})
    )
    assert (details.id, details.ports, details.mounts, details.run.pid) == ("x", (), (), None)


@pytest.mark.parametrize(
    ("section", "name", "odd"),
    [("HostConfig", "Memory", "512m"), ("Config", "Env", {}), ("HostConfig", "PortBindings", []), ("Config", "Tty", 1)],
)
def test_an_answer_of_another_shape_is_not_understood(section: str, name: str, odd: object) -> None:
    raw = copy.deepcopy(INSPECT)
    raw[section][name] = odd
    for read in (details_from_answer, lambda answer: spec_from_inspect(answer, None)):
        with pytest.raises(NotUnderstood) as raised:
            read(entry(raw))
        assert raised.value.problem.tail[0].startswith(f"{section}.{name}: expected")


def test_what_the_command_does_not_understand_is_named_above_it() -> None:
    spec = spec_from_inspect(entry(INSPECT), entry(IMAGE))
    odd = replace(spec, untrusted_host={"Ulimits": "all"}, untrusted_endpoints={"shop_default": {"Aliases": 7}})
    comment, line = run_command(odd).splitlines()
    assert comment == "# docker run has no option for: NetworkingConfig, Ulimits"
    assert line.startswith("docker run -d --name shop ")


def test_only_what_the_user_set_is_in_the_spec() -> None:
    spec = spec_from_inspect(entry(INSPECT), entry(IMAGE))
    assert (spec.image, spec.name, spec.user, spec.working_directory) == ("nginx:1.27", "shop", "1000:1000", "")
    assert spec.command is None
    assert spec.entrypoint is None
    assert spec.environment == (("MODE", "production"), ("EMPTY", ""))
    assert spec.labels == (("team", "boats"), ("com.docker.compose.project", "shop"))
    assert spec.ports == (
        PortSpec(container_port=80, host_port=8080, host_ip="127.0.0.1"),
        PortSpec(container_port=9000),
    )
    assert [(mount.kind, mount.target, mount.read_only) for mount in spec.mounts] == [
        *(
            ("volume", "/cache", False),
            ("volume", "/data", False),
            ("tmpfs", "/run", False),
            ("bind", "/srv/shop", True),
        ),
    ]
    assert spec.mounts[0].from_image
    assert spec.hostname == "", "the engine chose it"
    assert set(spec.untrusted_host) == {"CapAdd", "Ulimits", "LogConfig", "DeviceRequests"}
    assert spec.untrusted_config == {}
    assert spec.untrusted_endpoints == {"shop_default": {"Aliases": ["web"]}}


def test_without_its_image_everything_counts_as_set() -> None:
    spec = spec_from_inspect(entry(INSPECT), None)
    assert spec.command == ("nginx", "-g", "daemon off;")
    assert ("PATH", "/usr/bin") in spec.environment


def test_an_own_entrypoint_needs_the_command_though_it_is_the_images() -> None:
    raw = copy.deepcopy(INSPECT)
    raw["Config"]["Entrypoint"] = ["/bin/tini", "--"]
    spec = spec_from_inspect(entry(raw), entry(IMAGE))
    assert spec.entrypoint == ("/bin/tini", "--")
    assert spec.command == ("nginx", "-g", "daemon off;")
    words, _ = run_words(spec)
    assert words[-6:] == ["/bin/tini", "nginx:1.27", "--", "nginx", "-g", "daemon off;"]


def test_the_request_keeps_what_no_field_is_for() -> None:
    body: Any = create_body(spec_from_inspect(entry(INSPECT), entry(IMAGE)))
    host = body["HostConfig"]
    assert host["CapAdd"] == ["NET_ADMIN"]
    assert host["DeviceRequests"] == INSPECT["HostConfig"]["DeviceRequests"]
    assert host["Memory"] == 536_870_912
    assert "MemorySwap" not in host, "the engine doubles the memory by itself"
    assert {"Type": "volume", "Source": "ef" * 32, "Target": "/cache"} in host["Mounts"], "its data goes along"
    assert {"Type": "tmpfs", "Target": "/run", "TmpfsOptions": {"SizeBytes": 1048576}} in host["Mounts"]
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"shop_default": {"Aliases": ["web"]}}
    assert body["Labels"]["com.docker.compose.project"] == "shop"
    assert "Cmd" not in body


def test_the_command_says_what_it_can_and_names_the_rest() -> None:
    comment, line = run_command(spec_from_inspect(entry(INSPECT), entry(IMAGE))).splitlines()
    assert comment == "# docker run has no option for: DeviceRequests"
    for part in (
        "docker run -d --name shop --network name=shop_default,alias=web",
        "-p 127.0.0.1:8080:80 -p 9000",
        "-v data:/data",
        "--mount type=tmpfs,target=/run,tmpfs-size=1048576",
        "-v /home/ana/shop:/srv/shop:ro",
        "-e MODE=production -e EMPTY=",
        "--cpus 1.5 -m 512m --restart on-failure:5 -u 1000:1000",
        "--add-host db:10.0.0.2",
        "--label team=boats",
        "--cap-add NET_ADMIN",
        "--log-driver json-file --log-opt max-size=10m",
        "--ulimit nofile=1024:2048",
    ):
        assert part in line
    assert "compose" not in line
    assert "/cache" not in line, "the image asks for that volume by itself"
    assert line.endswith(" nginx:1.27")


NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_.-]{1,20}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
PORTS = st.builds(
    PortSpec,
    container_port=st.integers(1, 65535),
    protocol=st.sampled_from(["tcp", "udp"]),
    host_port=st.none() | st.integers(1, 65535),
    host_ip=st.sampled_from(["", "127.0.0.1", "::1"]),
)
MOUNTS = st.builds(MountSpec, kind=st.just("bind"), source=PATHS, target=PATHS, read_only=st.booleans()) | st.builds(
    MountSpec, kind=st.just("volume"), source=NAMES, target=PATHS, read_only=st.booleans()
)
SPECS = st.builds(
    ContainerSpec,
    image=st.just("busybox:latest"),
    name=NAMES,
    command=st.none() | st.lists(TEXTS, min_size=1, max_size=4).map(tuple),
    entrypoint=st.none() | st.lists(NAMES, min_size=1, max_size=2).map(tuple),
    environment=st.dictionaries(NAMES, TEXTS, max_size=4).map(lambda table: tuple(table.items())),
    ports=st.lists(PORTS, max_size=3, unique_by=lambda port: (port.container_port, port.protocol)).map(
        lambda ports: tuple(sorted(ports, key=lambda port: f"{port.container_port}/{port.protocol}"))
    ),
    mounts=st.lists(MOUNTS, max_size=3, unique_by=lambda mount: mount.target).map(
        lambda mounts: tuple(sorted(mounts, key=lambda mount: mount.target))
    ),
    cpus=st.none() | st.sampled_from([0.5, 1.0, 1.25, 4.0]),
    memory_bytes=st.none() | st.integers(6 << 20, 1 << 40),
    restart_policy=st.sampled_from(["no", "always", "unless-stopped", "on-failure", "on-failure:5"]),
    network=st.sampled_from(["", "host", "none", "boats"]),
    labels=st.dictionaries(NAMES, TEXTS, max_size=3).map(lambda table: tuple(table.items())),
    user=st.sampled_from(["", "root", "1000:1000"]),
    working_directory=st.just("") | PATHS,
    tty=st.booleans(),
    stdin_open=st.booleans(),
    privileged=st.booleans(),
    read_only_root=st.booleans(),
    init=st.booleans(),
)


def inspected(name: str, body: Any) -> dict[str, Any]:
    """What the engine would answer of a container that was made so."""
    host = dict(body["HostConfig"])
    mounts = [
        {
            "Type": mount["Type"],
            "Name" if mount["Type"] == "volume" else "Source": mount["Source"],
            "Destination": mount["Target"],
            "RW": not mount.get("ReadOnly", False),
        }
        for mount in host["Mounts"]
    ]
    if host.get("Memory"):
        host["MemorySwap"] = 2 * host["Memory"]
    return {
        "Id": "ab" * 32,
        "Name": f"/{name}",
        "Config": {**body, "Hostname": "ab" * 6},
        "HostConfig": host,
        "Mounts": mounts,
        "NetworkSettings": {"Networks": {}},
    }


@given(SPECS)
def test_what_is_created_is_what_is_read_back(spec: ContainerSpec) -> None:
    assert spec_from_inspect(entry(inspected(spec.name, create_body(spec))), entry({"Config": {}})) == spec


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20)))
def test_a_shell_reads_the_quoted_words_back(words: list[str]) -> None:
    printable = [word for word in words if word.isprintable()]
    assert shlex.split(" ".join(quote(word) for word in printable)) == printable


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    "word", ["a\nb", "\x1b[31mred", "it's", "tab\tand\\back", "\u202egnp.exe", "", "ü \x7f", "$HOME"]
)
def test_bash_reads_control_characters_back(word: str) -> None:
    quoted = quote(word)
    assert quoted.isprintable(), "a terminal must not obey what is pasted"
    script = f"printf %s {quoted}"
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(["bash", "-c", script], check=True, capture_output=True, timeout=20, env=environment)
    assert ran.stdout.decode() == word


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An engine that takes whatever is to be created, and remembers it."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, "OK")

        def do_HEAD(self) -> None:
            self._answer(200, "")

        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(201, json.dumps({"Id": "ab" * 32, "Warnings": []}))

        def _answer(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Api-Version", "1.44")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_words: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"tcp://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs the docker command")
def test_the_docker_command_understands_it_as_we_do(recorder: tuple[str, list[dict[str, Any]]], tmp_path: Any) -> None:
    """The real command line tool, given our words, asks for the same container as we do."""
    url, bodies = recorder
    spec = spec_from_inspect(entry(INSPECT), entry(IMAGE))
    words, _ = run_words(spec)
    assert words[:3] == ["docker", "run", "-d"]
    environment = {"DOCKER_HOST": url, "DOCKER_CONFIG": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = ["docker", "create", *words[3:]]
    ran = subprocess.run(command, check=False, capture_output=True, timeout=60, env=environment, text=True)
    assert ran.returncode == 0, ran.stderr
    ours: Any = create_body(spec)
    theirs = bodies[-1]
    assert sorted(theirs["Env"]) == sorted(ours["Env"])
    for key in ("Image", "User", "Tty", "OpenStdin"):
        assert theirs[key] == ours[key], key
    assert theirs["Labels"] == {"team": "boats"}
    for key in ("NanoCpus", "Memory", "RestartPolicy", "ExtraHosts", "NetworkMode", "LogConfig", "Ulimits"):
        assert theirs["HostConfig"][key] == ours["HostConfig"][key], key
    assert theirs["HostConfig"]["CapAdd"] == ["CAP_NET_ADMIN"], "the same, as the newer tools write it"
    assert theirs["HostConfig"]["PortBindings"] == ours["HostConfig"]["PortBindings"]
    assert sorted(theirs["HostConfig"]["Binds"]) == ["/home/ana/shop:/srv/shop:ro", "data:/data"]
    assert theirs["HostConfig"]["Mounts"] == [
        {"Type": "tmpfs", "Target": "/run", "TmpfsOptions": {"SizeBytes": 1048576}}
    ]
    assert theirs["NetworkingConfig"]["EndpointsConfig"]["shop_default"]["Aliases"] == ["web"]


@pytest.mark.parametrize(
    "good", ["nginx", "nginx:1.27", "ghcr.io/me/app:1.2", "localhost:5000/x/y", "a@sha256:" + "ab" * 32, "ab" * 6]
)
def test_images_that_can_be_named(good: str) -> None:
    assert is_image_reference(good)


@pytest.mark.parametrize("bad", ["", "Nginx", "a b", "nginx:", "-x", "nginx/", "http://nginx", "x" * 600, "a\nb"])
def test_images_that_cannot(bad: str) -> None:
    assert not is_image_reference(bad)


def test_names() -> None:
    assert with_tag("localhost:5000/x") == "localhost:5000/x:latest"
    assert with_tag("x:1") == "x:1"
    assert is_container_name("web-1")
    assert not any(is_container_name(name) for name in ("", "a", "-a", "a b", "ä1", "web\n"))
    assert is_variable_name("A.B")
    assert not any(is_variable_name(name) for name in ("", "A=B", " A", "A\x00"))
