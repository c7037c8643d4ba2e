"""Records a real engine's lists for the tests: `DOCKER_HOST=unix://... python -m tests.gui.record_listings`.

Needs an image `busybox`. Creates used and unused images, volumes and networks, and removes them.
"""

from __future__ import annotations

import json
import os
import subprocess

from docker import APIClient

from tests.gui.scenes.samples import RECORDED

_PROJECT = "com.docker.compose.project=shop"


def _docker(*words: str, code: int | None = 0) -> str:
    done = subprocess.run(["docker", *words], check=False, capture_output=True, text=True, timeout=60)
    assert code is None or done.returncode == code, done.stderr
    return done.stdout.strip()


def main() -> None:
    """Record everything."""
    api = APIClient(base_url=os.environ["DOCKER_HOST"], version="auto", timeout=60)
    containers: list[str] = []
    try:
        _docker("tag", "busybox", "registry.example.org:5000/team/web:1.27-alpine")
        _docker("tag", "busybox", "web:latest")
        _docker("network", "create", "--label", _PROJECT, "shop_default")
        _docker("network", "create", "--subnet", "10.77.0.0/16", "--internal", "backend")
        _docker("volume", "create", "--label", _PROJECT, "shop_data")
        _docker("volume", "create", "unused")
        fill = "head -c 3000000 /dev/zero > /v/file; sleep 99999"
        for name, options in (
            ("shop-db-1", ["--network", "shop_default", "-v", "shop_data:/v"]),
            ("shop-web-1", ["--network", "shop_default", "-v", "shop_data:/v:ro", "-v", "/cache"]),
        ):
            containers.append(_docker("run", "-d", "--init", "--name", name, *options, "busybox", "sh", "-c", fill))
        # An image without a tag: another took it over.
        made = _docker("commit", containers[0], "old:1")
        _docker("commit", "--message", "newer", containers[1], "old:1")
        base = f"{api.base_url}/v{api.api_version}"
        answers = {
            "images": api.get(f"{base}/images/json").json(),
            "volumes": api.get(f"{base}/volumes").json(),
            "networks": api.get(f"{base}/networks").json(),
            "containers": api.get(f"{base}/containers/json", params={"all": 1}).json(),
            "df": api.get(f"{base}/system/df", params={"type": "volume"}).json(),
        }
        text = json.dumps(answers, indent=1, ensure_ascii=False, sort_keys=True)
        (RECORDED / "listings.json").write_text(text + "\n", encoding="utf-8")
        _docker("rmi", made, code=None)
    finally:
        if containers:
            _docker("rm", "-f", "--volumes", *containers)
        for words in (("volume", "rm", "shop_data", "unused"), ("network", "rm", "shop_default", "backend")):
            _docker(*words, code=None)
        _docker("rmi", "registry.example.org:5000/team/web:1.27-alpine", "web:latest", "old:1", code=None)
        api.close()


if __name__ == "__main__":
    main()
