"""A corporate network: all traffic uses a proxy with a password, and the registry has a certificate of the company.

One machine with these settings is used for all: pulls, pushes, builds, containers, exceptions, a mirror.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.support.machine import BUSYBOX, Machine
from tests.vm.support.proxy import running_proxy
from tests.vm.support.registry import Authority, serve_registry
from tests.vm.support.tools import Tools

pytestmark = [pytest.mark.vm, pytest.mark.slow]

ACCOUNT = "us%40er:s3cr3t%2Fword"
"""User and password in URL encoding."""
NAMES = ("registry.corp.test", "own.corp.test", "other.corp.test", "web.corp.test")


class _Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the company's page\n")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def web_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Web) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(timeout=20)


def test_a_company_network(fresh: Machine, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, own = Authority.make("Company Root"), Authority.make("Own Root")
    (tmp_path / "company.pem").write_text(ours.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    names = dict.fromkeys(NAMES, "127.0.0.1")
    with (
        running_proxy("us@er:s3cr3t/word", names) as proxy,
        serve_registry(tools, tmp_path / "r1", tls=ours.issue(tmp_path / "r1", "registry.corp.test")) as port,
        serve_registry(tools, tmp_path / "r2", tls=own.issue(tmp_path / "r2", *NAMES[1:3])) as own_port,
        serve_registry(tools, tmp_path / "r3") as plain_port,
        web_server() as web_port,
    ):
        (fresh.docker_config / "cli-plugins").symlink_to(tools.plugins)
        certificates = fresh.docker_config / "certs.d" / f"own.corp.test:{own_port}"
        certificates.mkdir(parents=True)
        (certificates / "ca.crt").write_text(own.pem)
        fresh.home.mkdir(exist_ok=True)
        (fresh.home / "config.toml").write_text(
            "[network]\n"
            "subnet = '10.0.2.0/24'\n"
            "proxy = 'manual'\n"
            f"http_proxy = '{ACCOUNT}@127.0.0.1:{proxy.port}'\n"
            f"https_proxy = 'http://{ACCOUNT}@localhost:{proxy.port}/'\n"
            "no_proxy = '*.direct.test; 198.51.100.*'\n"
            "proxy_in_containers = true\n"
            "certificates_in_containers = true\n"
        )
        (fresh.home / "daemon.json").write_text(json.dumps({"registry-mirrors": [f"http://10.0.2.2:{plain_port}"]}))
        fresh.wherry("start")
        fresh.import_busybox()

        # Pushed and pulled by the proxy, which alone knows the name; the authority is known by the host's bundle.
        image = f"registry.corp.test:{port}/app:1"
        fresh.docker("tag", BUSYBOX, image)
        fresh.docker("push", image)
        fresh.docker("image", "rm", image)
        before = proxy.passed[f"registry.corp.test:{port}"]
        fresh.docker("pull", image)
        assert proxy.passed[f"registry.corp.test:{port}"] > before

        # Another authority: refused, but for the registry that has it in docker's certs.d.
        fresh.docker("tag", BUSYBOX, f"own.corp.test:{own_port}/app")
        fresh.docker("push", f"own.corp.test:{own_port}/app")
        refused = fresh.docker("pull", f"other.corp.test:{own_port}/app", check=False)
        assert refused.returncode != 0
        assert "unknown authority" in refused.stderr
        assert f"other.corp.test:{own_port}" in proxy.passed

        # This computer's loopback never uses the proxy and needs no TLS; a mirror there replaces Docker Hub.
        fresh.docker("tag", BUSYBOX, f"10.0.2.2:{plain_port}/library/mirrored:1")
        fresh.docker("push", f"10.0.2.2:{plain_port}/library/mirrored:1")
        fresh.docker("pull", "mirrored:1")
        fresh.docker("pull", f"host.docker.internal:{plain_port}/library/mirrored:1")
        assert not any(str(plain_port) in place for place in proxy.passed + proxy.refused)

        # A build: its base image and its steps, without a word in the Dockerfile or of the client.
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(
            f"FROM {image}\n"
            "RUN mkdir -p /etc/ssl/certs && echo IMAGES-OWN >/etc/ssl/certs/ca-certificates.crt\n"
            "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt\n"
            f"RUN wget -q -O /page http://web.corp.test:{web_port}/ && cp $REQUESTS_CA_BUNDLE /seen.pem && env >/env\n"
        )
        fresh.docker("image", "rm", image)
        before = proxy.passed[f"registry.corp.test:{port}"]
        fresh.docker("build", "--no-cache", "-t", "built", str(context))
        assert proxy.passed[f"registry.corp.test:{port}"] > before
        assert proxy.passed[f"web.corp.test:{web_port}"] == 1
        said = fresh.docker("run", "--rm", "built", "sh", "-c", "cat /page /seen.pem /env; ls -a /dev/.wherry").stdout
        body = ours.pem.splitlines()[1]
        assert "the company's page" in said
        assert "IMAGES-OWN" in said
        assert body in said
        url = f"http://{ACCOUNT}@10.0.2.2:{proxy.port}"
        assert f"HTTP_PROXY={url}\n" in said
        direct = next(line for line in said.splitlines() if line.startswith("no_proxy=")).partition("=")[2].split(",")
        assert {"localhost", "127.0.0.0/8", "host.docker.internal", "10.0.2.0/24"} <= set(direct)
        assert {".direct.test", "198.51.100.0/24"} <= set(direct)
        # Nothing of it is left in the image, but for what the step itself wrote.
        history = fresh.docker("history", "--no-trunc", "built").stdout
        assert "s3cr3t" not in history
        assert "buildkit" in history
        assert json.loads(fresh.docker("image", "inspect", "built").stdout)[0]["Config"]["Env"] == [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ]

        # Containers: what their client sets goes first; an exec has the same as the container.
        show = "echo $HTTP_PROXY $http_proxy; echo $https_proxy; cat /proc/1/environ"
        fresh.docker("run", "-d", "--name", "given", "--read-only", "-e", "http_proxy=mine", "built", "sleep", "1000")
        own_proxy, https_proxy, whole = fresh.docker("exec", "given", "sh", "-c", show).stdout.split("\n", 2)
        assert (own_proxy, https_proxy) == ("mine", f"{url}/")
        assert "\0SSL_CERT_FILE=/dev/.wherry/authorities.crt\0" in f"\0{whole}"
        assert fresh.docker("diff", "given").stdout == ""
        fresh.docker("rm", "-f", "given")

        # "localhost" is the machine's: a registry in a container is found there by its published port.
        fresh.docker(
            "run", "-d", "--name", "registry", "-p", "5000", BUSYBOX, "httpd", "-f", "-p", "5000", "-h", "/etc"
        )
        published = fresh.docker("port", "registry", "5000").stdout.splitlines()[0].rpartition(":")[2]
        assert "not found" in fresh.docker("pull", f"localhost:{published}/nothing", check=False).stderr.lower()
        fresh.docker("rm", "-f", "registry")

        # Neither logs nor output contain the password.
        assert "s3cr3t" not in fresh.wherry("doctor", "proxies", "certificates", check=False).stdout
        shown = fresh.docker("info").stdout + fresh.logs() + fresh.wherry("logs", "engine").stdout
        assert "s3cr3t" not in shown
