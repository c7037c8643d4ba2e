"""Scenes of ports and network, and the agent's replies for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.features.doctor.network_check import NetworkCheckDialog
from app.features.doctor.network_check_store import Hop, NetworkCheckStore
from app.features.ports.page import PortsView
from app.features.ports.store import PortsStore
from app.features.settings.network import NetworkSettings
from app.features.settings.page import SettingsPage
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from backend.control import messages
from backend.engine.spec.container_spec import ContainerSpec
from backend.engine.types import Container
from backend.errors import Action, Problem, ProblemCode
from backend.messages import verbatim
from backend.model import HopState, MachineNetworks, Phase
from tests.gui.scenes import samples, settings_samples
from tests.gui.scenes.container_scenes import open_form
from tests.gui.scenes.replies import answer_to

Scene = Callable[[AppStore, MainWindow], None]

TAKEN = "nginx (process 4711) listens there. Stop it, or publish another port of this computer: -p 5433:5432."
REFUSED = "Only an administrator may listen on ports below 1024 here. Publish a port from 1024 on: -p 8443:443."
LIST_PROBLEM = Problem(
    code=ProblemCode.NETWORK_FAILED,
    summary=verbatim("QEMU did not say what it forwards within 5 s."),
    hint=verbatim("Restart the machine if that does not pass."),
    retryable=True,
)


def port(number: int, container: Container | None = None, **changes: Any) -> dict[str, Any]:
    """One entry of `ports.list`."""
    entry = {
        "protocol": "tcp",
        "address": "127.0.0.1",
        "port": number,
        "state": "open",
        "origin": "container",
        "container_id": container.id if container is not None else "",
        "container": container.name if container is not None else "web",
        "container_port": 80,
        "connections": None,
        "received_bytes": None,
        "sent_bytes": None,
        "problem": None,
    }
    entry |= changes
    if isinstance(entry["problem"], str):
        entry["problem"] = {"text": entry["problem"]}
    return entry


def twins(number: int, container: Container | None = None, **changes: Any) -> list[dict[str, Any]]:
    """A port at 127.0.0.1 and at ::1."""
    return [port(number, container, address=address, **changes) for address in ("127.0.0.1", "::1")]


def ports_answer(*, conflicts: bool = True, more: int = 0) -> dict[str, Any]:
    """The agent's reply to `ports.list`."""
    web, db, *others = [entry for entry in samples.containers() if entry.state.is_up]
    listed = [
        *twins(8080, web, connections=2, received_bytes=48_213, sent_bytes=3 << 20),
        *twins(49_153, others[0], container_port=8443),
        port(5353, others[0], protocol="udp", container_port=53),
        port(9000, others[0], address="0.0.0.0", container_port=9000, connections=0, received_bytes=0, sent_bytes=0),
        port(9000, others[0], address="::", container_port=9000, connections=0, received_bytes=0, sent_bytes=0),
        port(8081, others[1], address="192.0.2.7", container_port=80),
        port(3000, others[-1], origin="host-network", container_port=3000),
        port(8088, origin="service", state="opening") | {"container": "shop_front"},
    ]
    if conflicts:
        listed += [
            *twins(5432, db, container_port=5432, state="taken", problem=TAKEN),
            port(443, web, container_port=443, state="refused", problem=REFUSED),
            port(443, web, address="::1", container_port=443, connections=1, received_bytes=900, sent_bytes=80_000),
        ]
    for number in range(more):
        listed += twins(20_000 + number, web, container_port=20_000 + number)
    return {"ports": listed}


def ports_page(window: MainWindow) -> PortsView:
    """Open the Ports page."""
    window.show_page("ports")
    page = window.page("ports")
    assert isinstance(page, PortsView)
    return page


def up(store: AppStore) -> None:
    """Show a running machine with the recorded containers."""
    store.set_agent_link(LinkState.UP)
    networks = MachineNetworks(user="10.0.2.0/24", bridge=("172.17.0.0/16",))
    store.set_machine(samples.status(Phase.RUNNING, networks=networks))
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())


def _ports(*, conflicts: bool = True, more: int = 0, words: str = "") -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        up(store)
        store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer(conflicts=conflicts, more=more)))
        page = ports_page(window)
        page.filter.setText(words)
        page.table.selectRow(min(3, page.proxy.rowCount() - 1))

    return show


def _ports_in(phase: Phase) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        store.set_agent_link(LinkState.UP)
        store.set_machine(samples.status(phase))
        ports_page(window)

    return show


def _ports_empty(store: AppStore, window: MainWindow) -> None:
    up(store)
    store.part(PortsStore).take(answer_to(messages.ListPorts(), {"ports": []}))
    ports_page(window)


def _ports_problem(store: AppStore, window: MainWindow) -> None:
    up(store)
    store.part(PortsStore).fail(LIST_PROBLEM)
    ports_page(window)


def _ports_old(store: AppStore, window: MainWindow) -> None:
    _ports(conflicts=False)(store, window)
    store.part(PortsStore).fail(LIST_PROBLEM)


def network_settings(window: MainWindow) -> NetworkSettings:
    """Open the settings at Network."""
    window.show_page("settings")
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    page.tabs.setCurrentWidget(page.network)
    return page.network


def _settings(*, refused: Problem | None = None, bottom: bool = False, **values: object) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        up(store)
        reasons = tuple(key.replace("_", ".", 1) for key in values)
        settings_samples.settings_loaded(store, reasons=reasons, **values)  # type: ignore[arg-type]  # settings by name
        section = network_settings(window)
        if refused is not None:
            section.texts["network.subnet"].field.setText("10.0.2.0/23")
            section.texts["network.subnet"].commit()
            store.part(SettingsStore).take(messages.SetSettings(values={}), refused)
        if bottom:
            bar = section.verticalScrollBar()
            bar.setRange(0, 10_000)
            bar.setValue(bar.maximum())

    return show


SUBNET_REFUSED = Problem(
    code=ProblemCode.BAD_REQUEST,
    summary=verbatim("'10.0.2.0/23' is not a value for network.subnet: it is not a /24."),
    hint=verbatim("Write it as in 10.0.2.0/24."),
)
PROXIES: dict[str, Any] = {
    "network_proxy": "manual",
    "network_http_proxy": "http://ana:s3cret@proxy.example.com:3128",
    "network_https_proxy": "http://proxy.example.com:3128",
    "network_no_proxy": ".example.com, 10.0.0.0/8",
}

CERTIFICATE = (
    "the certificate of registry-1.docker.io is signed by “Example Corp Proxy CA”, which this computer trusts and the "
    "machine does not"
)
HOPS = (
    Hop(id="reference", title=verbatim("Image"), state=HopState.OK, detail=verbatim("docker.io/library/postgres:17")),
    Hop(
        id="proxy",
        title=verbatim("Proxy"),
        state=HopState.WARNING,
        detail=verbatim("no proxy is set; the system's settings name a PAC script, which the engine cannot read"),
        fix=verbatim("Set the proxy by hand in the settings."),
    ),
    Hop(
        id="dns-host",
        title=verbatim("Name, from this computer"),
        state=HopState.OK,
        detail=verbatim("registry.example is 192.0.2.17"),
    ),
    Hop(
        id="dns-machine",
        title=verbatim("Name, from the machine"),
        state=HopState.OK,
        detail=verbatim("the same addresses"),
    ),
    Hop(
        id="tls-machine",
        title=verbatim("TLS, from the machine"),
        state=HopState.FAILED,
        detail=verbatim(CERTIFICATE),
        fix=verbatim("wherry config set network.certificates system, then wherry restart."),
    ),
    Hop(
        id="api", title=verbatim("Registry's API"), state=HopState.SKIPPED, detail=verbatim("the hop before it failed")
    ),
    Hop(id="token", title=verbatim("Log-in"), state=HopState.SKIPPED, detail=verbatim("the hop before it failed")),
)
VERDICT = (
    "The pull ends at TLS: "
    + CERTIFICATE
    + ". Let the engine trust this computer's authorities, and restart the machine."
)


def check_dialog(window: MainWindow, image: str = "") -> NetworkCheckDialog:
    """Open the network check."""
    window.check_network(image)
    (dialog,) = [found for found in window.findChildren(NetworkCheckDialog) if found.isVisible()]
    return dialog


def _check(hops: int = len(HOPS), *, verdict: str = VERDICT, problem: Problem | None = None) -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        up(store)
        store.intents.run_network_check.connect(store.part(NetworkCheckStore).begin)
        check_dialog(window, "postgres:17")
        for hop in HOPS[:hops]:
            store.part(NetworkCheckStore).add(hop)
        if problem is not None:
            store.part(NetworkCheckStore).stop(problem)
        elif verdict:
            store.part(NetworkCheckStore).finish(HOPS[:hops], verbatim(verdict), "text")

    return show


def _pull_failed(store: AppStore, window: MainWindow) -> None:
    up(store)
    form = open_form(store, window, ContainerSpec(image="postgres:17"))
    form.pull.offer("postgres:17")
    form.pull.hide()
    form.pull.ended.emit(PULL_PROBLEM)


def _clash(*problems: Problem, page: str = "containers") -> Scene:
    def show(store: AppStore, window: MainWindow) -> None:
        up(store)
        store.set_machine(samples.status(Phase.DEGRADED, problems=problems))
        window.show_page(page)

    return show


PULL_PROBLEM = Problem(
    code=ProblemCode.ENGINE_ERROR,
    summary=verbatim(
        "Get “https://registry-1.docker.io/v2/”: tls: failed to verify certificate: x509: certificate signed by "
        "unknown authority"
    ),
    command="docker pull postgres:17",
)
CHECK_PROBLEM = Problem(
    code=ProblemCode.INTERNAL, summary=verbatim("The check of the network failed by a defect: KeyError(3).")
)
PORT_TAKEN = Problem(
    code=ProblemCode.PORT_TAKEN,
    summary=verbatim(
        "Port 5432 of the container db cannot be published: nginx (process 4711) listens on 127.0.0.1:5432."
    ),
    hint=verbatim("Stop it, or publish another port. It is tried again until it works."),
)
SUBNET_CLASH = Problem(
    code=ProblemCode.SUBNET_CLASH,
    summary=verbatim("The VPN that was connected uses 10.0.2.0/24, as the machine's network does."),
    hint=verbatim("Restart the machine: it takes another network."),
    action=Action.RESTART,
)

SCENES: dict[str, Scene] = {
    "network-check-failed": _check(),
    "network-check-running": _check(3, verdict=""),
    "network-check-good": _check(1, verdict="Everything on the way of the pull works."),
    "network-check-problem": _check(2, problem=CHECK_PROBLEM),
    "network-pull-failed": _pull_failed,
    "network-subnet-clash": _clash(SUBNET_CLASH),
    "network-port-taken": _clash(PORT_TAKEN),
    "network-problems": _clash(PORT_TAKEN, SUBNET_CLASH, page="machine"),
    "settings-network": _settings(),
    "settings-network-all": _settings(network_publish="all"),
    "settings-network-refused": _settings(refused=SUBNET_REFUSED),
    "settings-network-proxy": _settings(bottom=True, **PROXIES),
    "ports-normal": _ports(conflicts=False),
    "ports-conflicts": _ports(),
    "ports-many": _ports(more=1000),
    "ports-no-match": _ports(words="nothing like this"),
    "ports-empty": _ports_empty,
    "ports-stopped": _ports_in(Phase.STOPPED),
    "ports-suspended": _ports_in(Phase.SUSPENDED),
    "ports-starting": _ports_in(Phase.BOOTING),
    "ports-waiting": _ports_in(Phase.RUNNING),
    "ports-problem": _ports_problem,
    "ports-old": _ports_old,
}
