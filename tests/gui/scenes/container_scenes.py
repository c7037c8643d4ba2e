"""Scenes of the container list and its form, for the screenshots and for the tests that walk through all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from app.features.containers.form.form import ContainerForm
from app.features.containers.list.columns import ContainerColumn
from app.features.stats.store import StatsStore
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from backend.engine.client.pulling import PullProgress
from backend.engine.spec.container_spec import ContainerSpec, MountSpec, PortSpec
from backend.engine.types import Container, ContainerAction
from backend.model import Phase
from backend.stats import ContainerUsage, MachineUsage, StatsSample
from tests.gui.scenes import samples

SPEC = ContainerSpec(
    image="ghcr.io/boats/shop:2.1",
    name="shop",
    ports=(
        PortSpec(container_port=8080, host_port=8088),
        PortSpec(container_port=53, protocol="udp", host_ip="127.0.0.1"),
    ),
    mounts=(
        MountSpec(kind="bind", source="/home/ana/shop", target="/srv/shop", read_only=True),
        MountSpec(kind="volume", source="shop-data", target="/var/lib/shop"),
    ),
    environment=(("SHOP_MODE", "production"), ("GREETING", "Olá, “mundo”")),
    cpus=1.5,
    memory_bytes=512 << 20,
    restart_policy="unless-stopped",
    network="shop_default",
    command=("serve", "--motd", "two words"),
)


def running(store: AppStore) -> None:
    """Show a running machine with the recorded containers and their figures."""
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.RUNNING))
    store.set_engine_link(LinkState.UP)
    store.set_containers(samples.containers())
    figures(store, samples.containers())


def figures(store: AppStore, containers: tuple[Container, ...]) -> None:
    """Add a stats sample for all running containers."""
    usages = tuple(
        ContainerUsage(id=entry.id, cpu_percent=0.3 + 17.7 * (number % 7), memory_bytes=(9 + 61 * (number % 11)) << 20)
        for number, entry in enumerate(containers)
        if entry.state.is_up
    )
    machine = MachineUsage(
        cpu_percent=21,
        memory_used_bytes=1_610_612_736,
        memory_total_bytes=4_294_967_296,
        disk_used_bytes=6_871_947_673,
        disk_total_bytes=68_719_476_736,
    )
    store.part(StatsStore).add(StatsSample(at=1_795_474_000.0, machine=machine, containers=usages))


def _grouped(store: AppStore, window: MainWindow) -> None:
    running(store)
    store.set_restart_counts({next(entry.id for entry in samples.containers() if entry.name == "sick"): 4})
    store.set_pending(next(entry.id for entry in samples.containers() if entry.name == "dns"), ContainerAction.STOP)
    window.containers.table.set_current(5)


def _columns(store: AppStore, window: MainWindow) -> None:
    running(store)
    for column in ContainerColumn:
        window.containers.table.show_column(column, shown=True)
    window.containers.table.sort_by(ContainerColumn.MEMORY, descending=True)


def _bulk(store: AppStore, window: MainWindow) -> None:
    running(store)
    names = {entry.id for entry in samples.containers() if entry.name in ("chatty", "dns", "paused")}
    window.containers.table.select_keys({*names, "project:shop"})


def _menu(store: AppStore, window: MainWindow) -> None:
    running(store)
    window.containers.select(next(entry.id for entry in samples.containers() if entry.name == "web"))


def _removal(store: AppStore, window: MainWindow) -> None:
    running(store)
    store.set_containers(tuple(dataclasses.replace(entry, anonymous_volumes=1) for entry in samples.containers()))
    window.containers.table.select_keys({"project:shop"})
    window.containers.actions_by_kind[ContainerAction.REMOVE].trigger()


def _rename(store: AppStore, window: MainWindow) -> None:
    _menu(store, window)
    window.containers.actions_of_list.by_name["rename"].trigger()


def open_form(
    store: AppStore, window: MainWindow, spec: ContainerSpec, replaces: Container | None = None
) -> ContainerForm:
    """Open the form, with an engine that has some images."""

    def answer(job: object, done: Callable[[object], None]) -> None:
        if getattr(job, "__name__", "") == "local_images":
            done(("nginx:latest", "ghcr.io/boats/shop:2.1"))

    store.intents.request_engine.connect(answer)
    form = ContainerForm(store, window, spec, replaces)
    form.show()
    form._show_image()
    return form


def _form(store: AppStore, window: MainWindow) -> None:
    running(store)
    open_form(store, window, ContainerSpec(image=""))


def _form_filled(store: AppStore, window: MainWindow) -> None:
    running(store)
    open_form(store, window, SPEC, next(entry for entry in samples.containers() if entry.name == "web"))


def _form_faults(store: AppStore, window: MainWindow) -> None:
    running(store)
    form = open_form(
        store,
        window,
        ContainerSpec(
            image="Not An Image",
            name="web",
            ports=(
                PortSpec(container_port=80, host_port=8080),
                PortSpec(container_port=81, host_port=9000),
                PortSpec(container_port=82, host_port=9000),
            ),
            mounts=(MountSpec(kind="bind", source="here", target="there"),),
            environment=(("A B", "1"), ("A=B", "2")),
        ),
    )
    form.fields.ports.add()
    form.fields.lines["memory"].setText("12")
    form.fields.lines["command"].setText("echo 'open")
    form.submit()
    form.resize(720, 1000)


def _form_limits(store: AppStore, window: MainWindow) -> None:
    running(store)
    form = open_form(store, window, SPEC)
    bar = form._scroll.verticalScrollBar()
    bar.setValue(bar.maximum())


def _form_pull(store: AppStore, window: MainWindow) -> None:
    running(store)
    form = open_form(store, window, ContainerSpec(image="postgres:17"))
    form.pull.offer("postgres:17")
    form.pull.begin()
    form.pull._progressed(
        PullProgress(layers=7, layers_done=3, bytes_done=48 << 20, bytes_total=151 << 20, status="Downloading")
    )


def _form_problem(store: AppStore, window: MainWindow) -> None:
    running(store)
    form = open_form(store, window, SPEC)
    form._fail(samples.ENGINE_PROBLEM)


CONTAINER_SCENES: dict[str, Callable[[AppStore, MainWindow], None]] = {
    "containers-grouped": _grouped,
    "containers-columns": _columns,
    "containers-bulk": _bulk,
    "containers-removal": _removal,
    "containers-rename": _rename,
    "form-new": _form,
    "form-edit": _form_filled,
    "form-faults": _form_faults,
    "form-limits": _form_limits,
    "form-pull": _form_pull,
    "form-problem": _form_problem,
}
