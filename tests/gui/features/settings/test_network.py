"""The network settings: sent one by one, errors at their fields, and masked passwords."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.features.settings.fields.text_row import ProxyRow
from app.features.settings.network import NETWORK_KEYS, NetworkSettings
from app.features.settings.page import SettingsPage, offered_settings
from app.frame.main_window import MainWindow
from app.state.settings_store import SettingsStore
from app.state.store import AppStore
from app.ui.masking import without_password
from backend.control import messages
from backend.control.messages.request import Request
from backend.errors import Problem, ProblemCode
from backend.messages import verbatim
from backend.model import Phase
from backend.settings import config
from tests.gui.scenes import samples, settings_samples
from tests.gui.scenes.network_scenes import PROXIES, SUBNET_REFUSED, network_settings, up
from tests.gui.scenes.replies import reply
from tests.gui.scenes.settings_samples import config_answer, settings_loaded

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def asked(store: AppStore) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def note(request: Request[Any]) -> None:
        if isinstance(request, messages.SetSettings):
            made.append(dict(request.values))

    store.intents.request_agent.connect(note)
    return made


@pytest.fixture
def section(store: AppStore, window: MainWindow, asked: list[dict[str, Any]], qtbot: QtBot) -> NetworkSettings:
    del asked  # before the first click
    up(store)
    settings_loaded(store)
    made = network_settings(window)
    with qtbot.waitActive(window):  # focus is the active window's
        window.activateWindow()
    return made


def choose(section: NetworkSettings, key: str, number: int) -> None:
    section.choices[key].box.setCurrentIndex(number)
    section.choices[key].box.activated.emit(number)


def write(section: NetworkSettings, key: str, words: str) -> None:
    field = section.texts[key].field
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, words)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_every_setting_of_the_file_can_be_changed_here(section: NetworkSettings, store: AppStore) -> None:
    names = config.keys()
    assert set(NETWORK_KEYS) == {name for name in names if name.startswith("network.")}
    assert set(section.controls) == set(NETWORK_KEYS)
    assert "network.dns" in offered_settings(store)
    assert "network.http_proxy" not in offered_settings(store), "it cannot be seen now"
    settings_loaded(store, **PROXIES)
    assert "network.http_proxy" in offered_settings(store)


def test_a_choice_is_sent_and_explained(
    section: NetworkSettings, store: AppStore, window: MainWindow, asked: list[dict[str, Any]], qtbot: QtBot
) -> None:
    assert not section.warning.isVisible()
    choose(section, "network.publish", 1)
    assert asked == [{"network.publish": "all"}]
    store.part(SettingsStore).take(
        *reply(messages.SetSettings(values={}), config_answer(network_publish="all", reasons=("network.publish",)))
    )
    assert section.warning.isVisible()
    page = window.page("settings")
    assert isinstance(page, SettingsPage)
    assert "Publish ports on" in page.restart._label.text()
    with qtbot.waitSignal(store.intents.restart_machine):
        QTest.mouseClick(page.restart.button, LEFT)
    section.checks["network.certificates_in_containers"].box.click()
    assert asked[1] == {"network.certificates_in_containers": True}


def test_a_refused_value_is_reported_at_its_field_and_kept(
    section: NetworkSettings, store: AppStore, asked: list[dict[str, Any]]
) -> None:
    row = section.texts["network.subnet"]
    write(section, "network.subnet", "10.0.2.0/23")
    section.texts["network.dns"].field.setFocus()
    assert asked == [{"network.subnet": "10.0.2.0/23"}], "once, though it was ended twice"
    store.part(SettingsStore).take(messages.SetSettings(values={}), SUBNET_REFUSED)
    assert "not a /24" in row.fault.text()
    assert "Write it as" in row.field.accessibleDescription()
    assert not section.problem.isVisible()
    assert row.field.text() == "10.0.2.0/23"
    store.part(SettingsStore).take(*reply(messages.SetSettings(values={}), config_answer(network_ipv6="off")))
    assert row.fault.isVisible(), "another setting was taken, this one is as wrong as before"
    write(section, "network.subnet", "10.9.8.0/24")
    store.part(SettingsStore).take(*reply(messages.SetSettings(values={}), config_answer(network_subnet="10.9.8.0/24")))
    assert not row.fault.isVisible()
    assert row.field.text() == "10.9.8.0/24"


def test_a_corrected_value_has_no_error(section: NetworkSettings, store: AppStore) -> None:
    row = section.texts["network.subnet"]
    write(section, "network.subnet", "10.0.2.0/23")
    store.part(SettingsStore).take(messages.SetSettings(values={}), SUBNET_REFUSED)
    write(section, "network.subnet", "10.9.8.0/24")
    store.part(SettingsStore).take(*reply(messages.SetSettings(values={}), config_answer(network_subnet="10.9.8.0/24")))
    assert not row.fault.isVisible()
    assert not row.field.property("wrong")


def test_what_is_refused_is_not_shown_as_set(section: NetworkSettings, store: AppStore) -> None:
    choose(section, "network.publish", 1)
    section.checks["network.proxy_in_containers"].box.click()
    store.part(SettingsStore).take(messages.SetSettings(values={}), settings_samples.CONFIG_PROBLEM)
    assert section.problem.problem == settings_samples.CONFIG_PROBLEM
    assert section.choices["network.publish"].box.currentIndex() == 0
    assert not section.checks["network.proxy_in_containers"].box.isChecked()


def test_an_error_is_shown_at_its_setting(section: NetworkSettings, store: AppStore, window: MainWindow) -> None:
    page = window.page("settings")
    assert isinstance(page, SettingsPage)

    def said(problem: Problem) -> list[str]:
        store.part(SettingsStore).take(messages.SetSettings(values={}), problem)
        views = {
            "resources": page.resources.problem,
            "lifecycle": page.lifecycle.problem,
            "docker": page.docker.problem,
            "network": section.problem,
        }
        return [name for name, view in views.items() if view.problem == problem]

    assert said(SUBNET_REFUSED) == [], "it is said at its field"
    for name, key in (("resources", "machine.cpus"), ("lifecycle", "image.update"), ("docker", "docker.context")):
        assert said(Problem(code=ProblemCode.BAD_REQUEST, summary=verbatim(f"'x' is not a value for {key}."))) == [name]
    assert said(settings_samples.CONFIG_PROBLEM) == ["resources", "lifecycle", "docker", "network"]


def test_a_change_made_elsewhere_updates_an_untouched_field(
    section: NetworkSettings, store: AppStore, asked: list[dict[str, Any]]
) -> None:
    settings_loaded(store, **PROXIES)
    field = section.texts["network.https_proxy"].field
    field.setFocus()
    settings_loaded(store, **PROXIES | {"network_https_proxy": "http://newer.example:3128"})
    assert field.text() == "http://newer.example:3128"
    QTest.keyClicks(field, "9")
    settings_loaded(store, **PROXIES | {"network_https_proxy": "http://newest.example:3128"})
    assert field.text() == "http://newer.example:31289", "what is typed is not taken away"
    field.setText("http://newest.example:3128")
    section.texts["network.dns"].field.setFocus()
    assert asked == []


def test_settings_that_cannot_be_read_are_no_fault_of_a_field(section: NetworkSettings, store: AppStore) -> None:
    write(section, "network.dns", "192.0.2.1")
    store.part(SettingsStore).take(messages.GetSettings(), settings_samples.CONFIG_PROBLEM)
    assert section.problem.isVisible()
    assert not section.texts["network.dns"].fault.isVisible()


def test_a_proxy_of_ones_own_is_sent_with_its_address(
    section: NetworkSettings, store: AppStore, asked: list[dict[str, Any]]
) -> None:
    field = section.texts["network.http_proxy"].field
    assert not field.isVisible()
    choose(section, "network.proxy", 1)
    assert asked == [], "there is nothing to be set yet"
    assert section.missing.isVisible()
    assert field.hasFocus()
    settings_loaded(store)
    assert section.choices["network.proxy"].box.currentIndex() == 1, "news change nothing of it"
    write(section, "network.http_proxy", "http://proxy.example:3128")
    assert asked == [{"network.http_proxy": "http://proxy.example:3128", "network.proxy": "manual"}]
    settings_loaded(store, network_proxy="manual", network_http_proxy="http://proxy.example:3128")
    assert not section.missing.isVisible()
    settings_loaded(store, network_proxy="manual")
    assert section.missing.text() == "No address is set, so the engine uses no proxy."
    settings_loaded(store, network_proxy="manual", network_http_proxy="http://proxy.example:3128")
    choose(section, "network.proxy", 2)
    assert asked[1] == {"network.proxy": "none"}
    settings_loaded(store, network_proxy="none", network_http_proxy="http://proxy.example:3128")
    assert not field.isVisible()
    choose(section, "network.proxy", 1)
    assert asked[2] == {"network.proxy": "manual"}, "its addresses are still there"


def test_a_password_is_shown_only_when_revealed(
    section: NetworkSettings, store: AppStore, asked: list[dict[str, Any]]
) -> None:
    settings_loaded(store, **PROXIES)
    row = section.texts["network.http_proxy"]
    assert isinstance(row, ProxyRow)
    assert "s3cret" not in row.field.text()
    assert "ana" in row.field.text()
    assert row.field.isReadOnly()
    row.field.setFocus()
    QTest.keyClicks(row.field, "x")
    section.texts["network.dns"].field.setFocus()
    assert asked == []
    QTest.mouseClick(row.reveal, LEFT)
    assert row.field.text() == "http://ana:s3cret@proxy.example.com:3128"
    write(section, "network.http_proxy", "http://ana:newer@proxy.example.com:3128")
    assert asked == [{"network.http_proxy": "http://ana:newer@proxy.example.com:3128"}]
    settings_loaded(store, **PROXIES | {"network_http_proxy": "http://ana:newer@proxy.example.com:3128"})
    QTest.mouseClick(row.reveal, LEFT)
    assert "newer" not in row.field.text()
    assert row.value == "http://ana:newer@proxy.example.com:3128"
    other = section.texts["network.https_proxy"]
    assert isinstance(other, ProxyRow)
    assert not other.reveal.isVisible()
    write(section, "network.https_proxy", "http://b:typed@proxy.example.com:3128")
    section.texts["network.dns"].field.setFocus()
    assert "typed" not in other.field.text()
    assert asked[-1] == {"network.https_proxy": "http://b:typed@proxy.example.com:3128"}
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("http://ana@proxy.example:3128", "http://ana@proxy.example:3128"),
        ("http://ana:s@p@proxy.example", "http://ana:••••••••@proxy.example"),
        ("ana:secret@proxy.example:3128", "ana:••••••••@proxy.example:3128"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
        ("", ""),
    ],
)
def test_what_is_left_of_an_address_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_the_network_in_use_is_shown(section: NetworkSettings, store: AppStore) -> None:
    row = section.texts["network.subnet"]
    assert "Currently 10.0.2.0/24." in row.help.text()
    store.set_machine(samples.status(Phase.STOPPED))
    assert "now" not in row.help.text()


def test_an_agent_without_network_settings(section: NetworkSettings, store: AppStore) -> None:
    answer = config_answer()
    answer["values"] = {key: value for key, value in answer["values"].items() if not key.startswith("network.")}
    store.part(SettingsStore).take(*reply(messages.GetSettings(), answer))
    assert not any(control.isVisible() for control in section.controls.values())
    assert not set(NETWORK_KEYS) & set(offered_settings(store))
