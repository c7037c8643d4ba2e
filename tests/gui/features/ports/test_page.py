"""Published ports: grouping into rows, the page, and loading the list from the agent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.features.ports import wiring
from app.features.ports.columns import ADDRESS, CONTAINER
from app.features.ports.page import PortsView
from app.features.ports.rows import port_rows
from app.features.ports.store import PortsStore
from app.frame.main_window import MainWindow
from app.links.link_state import LinkState
from app.state.store import AppStore
from app.ui.ports import port_links
from backend.addresses import Origin as PortOrigin
from backend.addresses import PortState, PortStatus
from backend.addresses import Protocol as PortProtocol
from backend.control import messages
from backend.engine.client.answers import container_from_answer
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from tests.fakes import answers
from tests.gui.fakes.fake_agent import FakeAgent
from tests.gui.fakes.maintenance_window import MaintenanceWindow, started
from tests.gui.scenes import samples
from tests.gui.scenes.network_scenes import LIST_PROBLEM, PORT_TAKEN, TAKEN, port, ports_answer, ports_page, twins, up
from tests.gui.scenes.replies import answer_to

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def page(store: AppStore, window: MainWindow, qtbot: QtBot) -> PortsView:
    up(store)
    store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer()))
    made = ports_page(window)
    with qtbot.waitActive(window):  # shortcuts are for the active window
        window.activateWindow()
    return made


def cells(view: PortsView, column: int = 0) -> list[str]:
    return [str(view.proxy.index(row, column).data()) for row in range(view.proxy.rowCount())]


def rows_of(store: AppStore, *entries: dict[str, Any]) -> list[str]:
    store.part(PortsStore).take(answer_to(messages.ListPorts(), {"ports": list(entries)}))
    assert store.part(PortsStore).problem is None
    return [row.address for row in store.part(PortsStore).rows or ()]


def test_ipv4_and_ipv6_of_a_port_are_one_row_and_other_ports_are_not(store: AppStore) -> None:
    assert rows_of(store, *twins(8080)) == ["localhost:8080"]
    assert rows_of(store, port(80, address="::1")) == ["[::1]:80"]
    assert rows_of(store, port(80, address="0.0.0.0"), port(80, address="::")) == ["localhost:80"]
    apart = [port(80), port(80, address="::1") | {"container": "other"}]
    assert sorted(rows_of(store, *apart)) == ["127.0.0.1:80", "[::1]:80"]
    assert len(rows_of(store, port(53), port(53, protocol="udp"))) == 2
    assert len(rows_of(store, port(80), port(80, address="0.0.0.0"))) == 2
    assert rows_of(store, port(80, address="192.0.2.7")) == ["192.0.2.7:80"]


def test_a_row_has_its_worst_state_and_opens_the_address_that_works(store: AppStore) -> None:
    answers = port(443, address="::1", container_port=8443, connections=1)
    store.part(PortsStore).take(
        answer_to(
            messages.ListPorts(), {"ports": [port(443, container_port=8443, state="taken", problem=TAKEN), answers]}
        )
    )
    (row,) = store.part(PortsStore).conflicts
    assert (row.state, row.connections, row.received_bytes) == (PortState.TAKEN, 1, None)
    assert row.problem == f"127.0.0.1:443: {TAKEN}"
    assert (row.address, row.url) == ("localhost:443", "https://[::1]")
    store.part(PortsStore).take(answer_to(messages.ListPorts(), {"ports": twins(443, state="taken", problem=TAKEN)}))
    (row,) = store.part(PortsStore).conflicts
    assert (row.problem, row.url) == (TAKEN, None)
    assert port_rows(()) == ()


def test_what_the_agent_writes_is_what_the_window_reads(store: AppStore) -> None:
    told = PortStatus(
        protocol=PortProtocol.UDP,
        address="::1",
        port=53,
        state=PortState.REFUSED,
        origin=PortOrigin.HOST_NETWORK,
        container_id="a" * 64,
        container="dns",
        container_port=5353,
        sent_bytes=7,
        problem=verbatim("Not allowed."),
    )
    store.part(PortsStore).take(messages.PortList(ports=(told,)))
    rows = store.part(PortsStore).rows
    assert rows is not None
    assert rows[0].statuses == (told,)


def test_an_answer_that_is_not_understood_is_a_problem(whole: MaintenanceWindow) -> None:
    ports = whole.store.part(PortsStore)
    whole.wait(lambda: ports.rows)
    before = ports.rows
    whole.agent.answers["ports.list"] = {"ports": [port(1, state="gone")]}
    whole.store.intents.refresh.emit()
    whole.wait(lambda: ports.problem)
    assert ports.problem is not None
    assert ports.problem.code is ProblemCode.AGENT_TOO_OLD
    assert ports.rows == before, "what was known stays"


def test_what_is_shown(page: PortsView, window: MainWindow) -> None:
    assert "localhost:8080" in cells(page)
    at = cells(page).index("localhost:8080")
    assert [cells(page, column)[at] for column in (2, 3, 4, 5, 6, 7)] == [
        *("80/tcp", "Container", "Open", "4", "94.2 KiB", "6 MiB")
    ]
    at = cells(page).index("127.0.0.1:5353")
    assert [cells(page, column)[at] for column in (2, 5, 6, 7)] == ["53/udp", "–", "–", "–"]
    assert "0.0.0.0:9000" in cells(page)
    assert page.conflicts.isVisible()
    taken = page.proxy.index(cells(page).index("localhost:5432"), 4)
    assert "process 4711" in str(taken.data(Qt.ItemDataRole.ToolTipRole))
    assert "process 4711" in str(taken.data(Qt.ItemDataRole.AccessibleTextRole))
    assert window._rail.badge("ports") == 2
    names = [window._rail.list.item(row).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(6)]
    assert "Ports: 2 unreachable ports" in names


def test_conflicts_are_found_in_the_list_and_the_badge_goes_with_them(
    store: AppStore, window: MainWindow, page: PortsView
) -> None:
    page.filter.setText("dns")
    QTest.mouseClick(page.conflicts.show_all, LEFT)
    assert page.filter.text() == ""
    assert [row.port for row in page.selected] == [443, 5432]
    store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer(conflicts=False)))
    assert not page.conflicts.isVisible()
    assert window._rail.badge("ports") == 0


def test_sorted_by_number_and_filtered_by_anything(page: PortsView) -> None:
    ports = [int(cell.rpartition(":")[2]) for cell in cells(page)]
    assert ports == sorted(ports)
    page.table.sortByColumn(6, Qt.SortOrder.DescendingOrder)
    assert cells(page, 6)[0] == "94.2 KiB"
    page.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert cells(page, 4)[:2] == ["In use", "Denied"], "what needs a look comes first"
    page.filter.setText("nginx 4711")
    assert cells(page) == ["localhost:5432"]
    page.filter.setText("udp")
    assert cells(page) == ["127.0.0.1:5353"]
    page.filter.setText("nothing like this")
    assert page.empty.isVisible()
    QTest.mouseClick(page.empty.button, LEFT)
    assert len(cells(page)) == 9


def go_to(page: PortsView, address: str) -> int:
    row = cells(page).index(address)
    page.table.setFocus()
    flags = QItemSelectionModel.SelectionFlag  # not selectRow: it toggles where a test before held Ctrl
    page.table.selectionModel().setCurrentIndex(page.proxy.index(row, 0), flags.ClearAndSelect | flags.Rows)
    return row


def test_everything_by_keyboard(store: AppStore, page: PortsView, qtbot: QtBot) -> None:
    go_to(page, "localhost:49153")
    with qtbot.waitSignal(store.intents.open_url) as opened:
        QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert opened.args == ["https://localhost:49153"]
    QTest.keyClick(page.table, Qt.Key.Key_C, CONTROL)
    assert QGuiApplication.clipboard().text() == "localhost:49153"
    QTest.keyClick(page.table, Qt.Key.Key_C, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    assert QGuiApplication.clipboard().text() == "curl https://localhost:49153"
    QTest.keyClick(page.table, Qt.Key.Key_Escape)
    assert page.selected == []
    go_to(page, "localhost:5432")
    assert not page.open.isEnabled()
    with qtbot.assertNotEmitted(store.intents.open_url):
        QTest.keyClick(page.table, Qt.Key.Key_Return)
    with qtbot.waitSignal(store.intents.open_container) as shown:
        QTest.keyClick(page.table, Qt.Key.Key_Return, CONTROL)
    assert shown.args is not None
    assert shown.args[0] == page.selected[0].container_id


def test_a_click_on_a_link_opens_it_and_a_click_beside_it_selects(
    store: AppStore, page: PortsView, qtbot: QtBot
) -> None:
    row = cells(page).index("localhost:8080")
    address = page.table.visualRect(page.proxy.index(row, ADDRESS))
    container = page.table.visualRect(page.proxy.index(row, CONTAINER))
    with qtbot.waitSignal(store.intents.open_url) as opened:
        QTest.mouseClick(page.table.viewport(), LEFT, pos=address.center() - QPoint(20, 0))
    assert opened.args == ["http://localhost:8080"]
    with qtbot.assertNotEmitted(store.intents.open_url):
        QTest.mouseClick(page.table.viewport(), LEFT, pos=QPoint(address.right() - 3, address.center().y()))
        QTest.mouseClick(page.table.viewport(), LEFT, CONTROL, address.center() - QPoint(20, 0))
    with qtbot.waitSignal(store.intents.open_container):
        QTest.mouseClick(page.table.viewport(), LEFT, pos=QPoint(container.left() + 14, container.center().y()))


def test_a_list_that_moves_below_the_mouse_is_not_clicked(store: AppStore, page: PortsView, qtbot: QtBot) -> None:
    page.table.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    at = page.table.visualRect(page.proxy.index(0, ADDRESS)).center() - QPoint(20, 0)
    assert cells(page)[0] == "localhost:8080"
    QTest.mousePress(page.table.viewport(), LEFT, pos=at)
    answer = ports_answer()
    for entry in answer["ports"]:
        if entry["port"] == 49_153:
            entry["connections"] = 40
    store.part(PortsStore).take(answer_to(messages.ListPorts(), answer))
    assert cells(page)[0] == "localhost:49153"
    with qtbot.assertNotEmitted(store.intents.open_url):
        QTest.mouseRelease(page.table.viewport(), LEFT, pos=at)


def test_a_container_that_is_known_later_can_be_gone_to(store: AppStore, page: PortsView) -> None:
    containers = store.containers
    assert containers is not None
    store.set_containers(())
    go_to(page, "localhost:8080")
    assert not page.show_container.isEnabled()
    store.set_containers(containers)
    assert page.show_container.isEnabled()


def test_figures_that_change_leave_selection_order_and_place(store: AppStore, page: PortsView) -> None:
    store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer(more=300)))
    page.table.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    go_to(page, "localhost:20250")
    page.table.verticalScrollBar().setValue(1234)
    answer = ports_answer(more=300)
    for entry in answer["ports"]:
        if entry["port"] == 20_010:
            entry["connections"] = 40
    store.part(PortsStore).take(answer_to(messages.ListPorts(), answer))
    assert cells(page)[0] == "localhost:20010"
    assert [row.port for row in page.selected] == [20_250]
    assert page.table.verticalScrollBar().value() == 1234
    store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer(more=299)))
    assert [row.port for row in page.selected] == [20_250], "of another list too"


def test_a_thousand_ports_are_fluent(store: AppStore, page: PortsView) -> None:
    answer = ports_answer(more=1000)
    store.part(PortsStore).take(answer_to(messages.ListPorts(), answer))
    spans = []
    for turn in range(5):
        for entry in answer["ports"]:
            entry["connections"] = turn + entry["port"] % 7
        began = time.perf_counter()
        store.part(PortsStore).take(answer_to(messages.ListPorts(), answer))
        QApplication.processEvents()
        spans.append(time.perf_counter() - began)
    # Every row changes here, of two thousand addresses: in life it is a few.
    assert min(spans) < 0.5, spans


def test_stopped_suspended_failed_unknown_and_empty_are_five_things(
    store: AppStore, window: MainWindow, qtbot: QtBot
) -> None:
    store.set_agent_link(LinkState.UP)
    store.set_machine(samples.status(Phase.STOPPED))
    page = ports_page(window)
    with qtbot.waitSignal(store.intents.start_machine):
        QTest.mouseClick(page.empty.button, LEFT)
    seen = {page.empty._title.text()}
    store.set_machine(samples.status(Phase.SUSPENDED))
    seen.add(page.empty._title.text())
    store.set_machine(samples.status(Phase.RUNNING))
    seen.add(page.empty._title.text())
    assert page.empty.progress.isVisible()
    store.part(PortsStore).fail(LIST_PROBLEM)
    assert page.problem.isVisible()
    seen.add(page.empty._title.text())
    assert not page.empty.command.isVisible(), "an error is not an empty list"
    with qtbot.waitSignal(store.intents.refresh):
        QTest.mouseClick(page.problem.findChildren(type(page.empty.button))[0], LEFT)
    store.part(PortsStore).take(answer_to(messages.ListPorts(), {"ports": []}))
    assert not page.problem.isVisible()
    assert page.empty.command.isVisible()
    seen.add(page.empty._title.text())
    assert len(seen) == 5
    lost = Problem(code=ProblemCode.AGENT_UNREACHABLE, summary=verbatim("Gone."))
    store.part(PortsStore).take(answer_to(messages.ListPorts(), ports_answer()))
    store.set_agent_link(LinkState.RECONNECTING, lost)
    assert page.problem.problem == lost
    assert len(cells(page)) == 9, "what was known is still to be seen"


def _links(state: str, *ports: dict[str, Any]) -> list[tuple[str, str | None]]:
    answer = {"Id": "a" * 64, "Names": ["/web"], "Image": "x", "State": state, "Status": "", "Created": 0}
    container = container_from_answer(answers.entry({**answer, "Ports": list(ports)}))
    return [tuple(link) for link in port_links(container)]  # type: ignore[misc]


def test_the_links_of_a_container_lead_where_it_listens() -> None:
    def at(address: str, public: int = 8080, private: int = 80, kind: str = "tcp") -> dict[str, Any]:
        return {"IP": address, "PrivatePort": private, "PublicPort": public, "Type": kind}

    here = [("8080:80", "http://localhost:8080")]
    for address in ("127.0.0.1", "0.0.0.0"):
        assert _links("running", at(address)) == here
    assert _links("running", at("::1"), at("127.0.0.1")) == here
    assert _links("running", at("0.0.0.0"), at("::")) == here
    assert _links("running", at("::1")) == [("8080:80", "http://[::1]:8080")]
    assert _links("running", at("192.0.2.7", 443, 443)) == [("192.0.2.7:443:443", "https://192.0.2.7")]
    assert _links("running", at("2001:db8::7")) == [("[2001:db8::7]:8080:80", "http://[2001:db8::7]:8080")]
    assert _links("running", at("127.0.0.1", 53, 53, "udp")) == [("53:53/udp", None)]
    assert _links("exited", at("127.0.0.1")) == [("8080:80", None)]


# --- with an agent ---------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(
    qapp: QApplication, agent: FakeAgent, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MaintenanceWindow]:
    monkeypatch.setattr(wiring, "EVERY_MS", 50)
    monkeypatch.setattr(wiring, "PAUSE_MS", 10)
    monkeypatch.setattr(wiring, "CONFLICT_EVERY_MS", 100)
    monkeypatch.setattr(wiring, "ANSWER_DEADLINE_MS", 150)
    agent.answers["ports.list"] = {"ports": twins(8080)}
    yield from started(qapp, agent, qtbot)


def test_polled_only_while_visible(whole: MaintenanceWindow, qtbot: QtBot) -> None:
    whole.received("ports.list")
    whole.wait(lambda: whole.store.part(PortsStore).rows)
    qtbot.wait(200)
    assert len(whole.agent.received("ports.list")) <= 2, "nobody looks, nothing changes"
    page = ports_page(whole.window)
    whole.received("ports.list", 6)
    assert cells(page) == ["localhost:8080"]
    whole.window.show_page("containers")
    qtbot.wait(60)
    count = len(whole.agent.received("ports.list"))
    qtbot.wait(200)
    assert len(whole.agent.received("ports.list")) <= count + 1
    whole.store.set_containers(samples.containers())
    whole.received("ports.list", count + 1)


def test_a_conflict_is_shown_everywhere_and_polled_until_it_is_resolved(whole: MaintenanceWindow) -> None:
    whole.agent.answers["ports.list"] = {"ports": twins(8080, state="taken", problem=TAKEN)}
    whole.store.set_containers(samples.containers())
    whole.wait(lambda: whole.window._rail.badge("ports") == 1)
    whole.agent.answers["ports.list"] = {"ports": twins(8080)}
    whole.wait(lambda: whole.window._rail.badge("ports") == 0)
    # No container changed: a port that failed later is among the machine's problems.
    whole.agent.answers["ports.list"] = {"ports": twins(8080, state="taken", problem=TAKEN)}
    whole.publish(Phase.RUNNING, problems=(PORT_TAKEN,))
    whole.wait(lambda: whole.window._rail.badge("ports") == 1)
    assert whole.window.alert.isVisible()
    whole.window.show_page("ports")
    assert not whole.window.alert.isVisible(), "it is said there, and with more"
    whole.window.show_page("containers")
    whole.agent.answers["ports.list"] = {"ports": twins(8080)}
    whole.publish(Phase.RUNNING)
    whole.wait(lambda: whole.window._rail.badge("ports") == 0)
    # Programs in the host's network can listen at any time: a notice reports them.
    whole.agent.answers["ports.list"] = {"ports": twins(8080, state="taken", problem=TAKEN)}
    whole.agent.notice("web: nginx (process 4711) listens there.")
    whole.wait(lambda: whole.window._rail.badge("ports") == 1)
    # Longer on the page than the polling interval of other pages.
    ports_page(whole.window)
    whole.received("ports.list", len(whole.agent.received("ports.list")) + 5)
    whole.window.show_page("containers")
    whole.agent.answers["ports.list"] = {"ports": twins(8080)}
    whole.wait(lambda: whole.window._rail.badge("ports") == 0)


def test_a_failed_list_is_requested_again(whole: MaintenanceWindow) -> None:
    whole.agent.answers["ports.list"] = LIST_PROBLEM
    whole.store.set_containers(samples.containers())
    whole.wait(lambda: whole.store.part(PortsStore).problem == LIST_PROBLEM)
    whole.agent.answers["ports.list"] = {"ports": twins(8080, state="taken", problem=TAKEN)}
    whole.wait(lambda: whole.window._rail.badge("ports") == 1)


def test_a_refusal_an_agent_that_is_silent_and_a_stop(whole: MaintenanceWindow) -> None:
    page = ports_page(whole.window)
    whole.wait(lambda: cells(page) == ["localhost:8080"])
    whole.agent.answers["ports.list"] = LIST_PROBLEM
    whole.wait(lambda: page.problem.problem == LIST_PROBLEM)
    assert cells(page) == ["localhost:8080"]
    whole.agent.answers["ports.list"] = {"ports": []}
    whole.wait(lambda: page.problem.problem is None and page.empty.command.isVisible())
    whole.agent.holds.add("ports.list")
    whole.wait(lambda: page.problem.problem is not None and "no port list" in str(page.problem.problem.summary))
    whole.received("ports.list", len(whole.agent.received("ports.list")) + 1)  # "Try again" would do nothing else
    whole.agent.release("ports.list")
    whole.wait(lambda: page.problem.problem is None)
    whole.publish(Phase.STOPPED)
    assert whole.store.part(PortsStore).rows is None
