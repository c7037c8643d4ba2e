"""A typical Testcontainers program, run in its own process; prints its results as JSON.

Arguments: the image of `servers`. DOCKER_HOST names the engine.
"""

from __future__ import annotations

import json
import sys
import urllib.request

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy, PortWaitStrategy

from tests.vm.support.servers import call


def main() -> int:
    """Run the program."""
    image = sys.argv[1]
    got: dict[str, object] = {}

    def container() -> DockerContainer:
        return DockerContainer(image).with_command("tcp:0.0.0.0:80").with_exposed_ports(80)

    with container().waiting_for(PortWaitStrategy(80)) as by_port:
        # It says that it is reached once the port takes a connection.
        port = int(by_port.get_exposed_port(80))
        with container().waiting_for(LogMessageWaitStrategy("ready")) as by_log:
            got["count"] = len({port, int(by_log.get_exposed_port(80))})
            got["log"] = call(by_log.get_container_host_ip(), int(by_log.get_exposed_port(80))).decode()
        got["port"] = call(by_port.get_container_host_ip(), port).decode()
    with container().waiting_for(HttpWaitStrategy(80).for_status_code(200)) as by_http:
        address = f"http://{by_http.get_container_host_ip()}:{by_http.get_exposed_port(80)}/"
        with urllib.request.urlopen(address, timeout=10) as answer:
            got["http"] = answer.read().decode()
    print(json.dumps(got))
    return 0


if __name__ == "__main__":
    sys.exit(main())
