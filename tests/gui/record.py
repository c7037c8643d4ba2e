"""Records a real engine's replies for the tests: `DOCKER_HOST=unix://... python -m tests.gui.record`.

Needs an image `busybox`. Creates containers in every state, saves the engine's replies, and removes the containers.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from typing import Any

from docker import APIClient

from tests.gui.scenes.samples import RECORDED


def _health(command: str) -> list[str]:
    return ["--health-cmd", command, "--health-interval", "1s", "--health-retries", "1"]


def _ports(*mappings: str) -> list[str]:
    return [word for mapping in mappings for word in ("-p", mapping)]


_RUNS = (
    *(("web", ["-d", *_ports("8080:80", "127.0.0.1:8443:443"), "--network", "rec"], ["sleep", "99999"], "shop"),),
    *(("db", ["-d", *_health("true"), "--network", "rec"], ["sleep", "99999"], "shop"),),
    *(("dns", ["-d", "-p", "5353:53/udp", "-p", "8053:53", "--network", "rec"], ["sleep", "99999"], None),),
    *(("sick", ["-d", *_health("false")], ["sleep", "99999"], None),),
    *(("paused", ["-d"], ["sleep", "99999"], None),),
    *(
        (
            "failed-job-with-a-rather-long-name-that-has-to-be-elided",
            ["-d"],
            ["sh", "-c", "echo failing; exit 3"],
            None,
        ),
    ),
    *(("chatty", ["-d"], ["sh", "-c", "echo out; echo err >&2; printf '\\033[31mred\\033[0m plain\\n'"], None),),
    *(("terminal", ["-d", "-t"], ["sh", "-c", "echo on a terminal"], None),),
)

_INFO = (
    *("Name", "Containers", "ContainersRunning", "Images", "Driver", "KernelVersion", "OperatingSystem"),
    *("NCPU", "MemTotal"),
)


def _docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def _write(name: str, answer: Any) -> None:
    text = json.dumps(answer, indent=1, ensure_ascii=False, sort_keys=True)
    (RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Record everything."""
    RECORDED.mkdir(exist_ok=True)
    api = APIClient(base_url=os.environ["DOCKER_HOST"], version="auto", timeout=30)
    _docker("network", "create", "rec")
    events = api.events(decode=True)
    names = []
    try:
        for name, options, command, project in _RUNS:
            labels = []
            if project:
                labels = ["--label", f"com.docker.compose.project={project}"]
                labels += ["--label", f"com.docker.compose.service={name}"]
            network = [] if "--network" in options else ["--network", "none"]
            verb = ["run", *options, *network, *labels, "--name", name, "busybox", *command]
            _docker(*verb)
            names.append(name)
        _docker("create", "--name", "not-started", "--network", "none", "busybox", "true")
        names.append("not-started")
        _docker("pause", "paused")
        for wanted in ("health_status: healthy", "health_status: unhealthy"):
            seen = next(event for event in events if event.get("Action") == wanted)
            _write("event", seen)
        _write("containers", api.containers(all=True))
        _write("version", api.version())
        # Only fields that are read; the others describe the recording machine.
        info = api.info()
        _write("info", {key: info[key] for key in _INFO})
        inspected = {name: api.inspect_container(name) for name in ("chatty", "terminal")}
        _write("inspect", {name: {"Id": it["Id"], "Config": it["Config"]} for name, it in inspected.items()})
        logs = {}
        for name in ("chatty", "terminal"):
            url = f"{api.base_url}/v{api.api_version}/containers/{name}/logs"
            asked = {"stdout": 1, "stderr": 1, "timestamps": 1}
            logs[name] = base64.b64encode(api.get(url, params=asked).content).decode()
        _write("logs", logs)
        refused = api.post(f"{api.base_url}/v{api.api_version}/containers/no-such/start")
        _write("no-such-container", {"status": refused.status_code, "body": refused.json()})
    finally:
        events.close()
        if names:
            _docker("rm", "-f", *names)
        _docker("network", "rm", "rec")
        api.close()


if __name__ == "__main__":
    main()
