"""Network: where ports are published, how names are resolved, proxies and certificates.

Each setting is sent when it is changed; what the agent says against it stands below the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.rows import CheckRow, ChoiceRow, SettingsSection, line_of, muted
from app.features.settings.fields.text_row import ProxyRow, TextRow
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import text
from app.ui import theme
from app.ui.widgets import button, label
from backend.api import Phase, Problem, ProblemCode, messages

PUBLISH: Final = "network.publish"
DNS: Final = "network.dns"
SUBNET: Final = "network.subnet"
IPV6: Final = "network.ipv6"
PROXY: Final = "network.proxy"
HTTP_PROXY: Final = "network.http_proxy"
HTTPS_PROXY: Final = "network.https_proxy"
NO_PROXY: Final = "network.no_proxy"
PROXY_INSIDE: Final = "network.proxy_in_containers"
CERTIFICATES: Final = "network.certificates"
CERTIFICATES_INSIDE: Final = "network.certificates_in_containers"
NETWORK_KEYS: Final = (
    *(PUBLISH, DNS, SUBNET, IPV6, PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, PROXY_INSIDE),
    *(CERTIFICATES, CERTIFICATES_INSIDE),
)
"""Of the settings; each is also the key of its words."""
PROXY_KEYS: Final = (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)
"""Shown only with `network.proxy = "manual"`."""
_CHOICES: Final = {
    PUBLISH: ("loopback", "all"),
    IPV6: ("auto", "on", "off"),
    PROXY: ("system", "manual", "none"),
    CERTIFICATES: ("system", "none"),
}


class NetworkSettings(SettingsSection):
    """A function of the store, but for what is typed and refused."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(text("settings.network"))
        self._store = store
        self._sent = ""
        self._wants_manual = False
        self.problem = ProblemView(store)
        self.choices = {key: _choice(key) for key in _CHOICES}
        self.texts: dict[str, TextRow] = {
            DNS: TextRow(text(DNS), text("network.dns.help"), text("network.dns.automatic")),
            SUBNET: TextRow(text(SUBNET), text("network.subnet.help"), text("network.subnet.automatic")),
            HTTP_PROXY: ProxyRow(text(HTTP_PROXY), "", "http://proxy.example:3128", indent=True),
            HTTPS_PROXY: ProxyRow(text(HTTPS_PROXY), "", "http://proxy.example:3128", indent=True),
            NO_PROXY: TextRow(
                text(NO_PROXY), text("network.no_proxy.help"), "localhost, .example.com, 10.0.0.0/8", indent=True
            ),
        }
        self.checks = {key: CheckRow(text(key), text(f"{key}.help")) for key in (PROXY_INSIDE, CERTIFICATES_INSIDE)}
        self.warning = label(text("network.publish.warning"), "warning", wrap=True)
        self.missing = label("", "warning", wrap=True)
        self.check = button(text("network-check.open"), lambda: store.intents.check_network.emit(""))
        self._rows: dict[str, ChoiceRow | TextRow | CheckRow] = {**self.choices, **self.texts, **self.checks}
        self.controls: dict[str, QWidget] = {key: _control(row) for key, row in self._rows.items()}
        self._lay_out()
        for key, choice in self.choices.items():
            choice.chosen.connect(lambda value, key=key: self._choose(key, value))
        for key, row in self.texts.items():
            row.committed.connect(lambda value, key=key: self._commit(key, value))
        for key, check in self.checks.items():
            check.toggled.connect(lambda on, key=key: self._set({key: on}))
        store.part(SettingsStore).machine_changed.connect(self.refresh)
        store.part(SettingsStore).problem_changed.connect(
            lambda topic: self.refresh() if topic is Topic.MACHINE else None
        )
        store.machine_changed.connect(self._show_subnet)
        self.refresh()

    def refresh(self) -> None:
        """Show the store."""
        values = self._values
        if values.get(PROXY) == "manual":
            self._wants_manual = False
        for key, row in self._rows.items():
            value = values.get(key)
            if isinstance(row, CheckRow):
                row.show_value(None if value is None else bool(value))
            elif isinstance(row, TextRow):
                row.show_value(None if value is None else str(value))
            else:
                row.box.setEnabled(value is not None)
                row.show_value("manual" if key == PROXY and self._wants_manual else value)
            row.setVisible(not values or key in values)
        self._show_parts()
        self._show_problem()

    def _on_problem(self, topic: Topic) -> None:
        if topic is Topic.MACHINE:
            self.refresh()

    @property
    def _values(self) -> dict[str, messages.SettingValue]:
        machine = self._store.part(SettingsStore).machine
        return dict(machine.values) if machine is not None else {}

    def _choose(self, key: str, value: object) -> None:
        assert isinstance(value, str)
        if key == PROXY:
            # Without an address there is nothing to be set yet.
            self._wants_manual = value == "manual" and not any(self.texts[each].value for each in PROXY_KEYS[:2])
            self._show_parts()
            if self._wants_manual:
                self.texts[HTTP_PROXY].field.setFocus(Qt.FocusReason.OtherFocusReason)
                return
        self._set({key: value})

    def _commit(self, key: str, value: str) -> None:
        also = {PROXY: "manual"} if key in PROXY_KEYS[:2] and self._wants_manual and value else {}
        self._set({key: value, **also})

    def _set(self, values: Mapping[str, messages.SettingValue]) -> None:
        self._sent = next(iter(values))
        self._store.intents.ask_agent.emit(messages.SetSettings(values=dict(values)))

    def _show_parts(self) -> None:
        manual = self._values.get(PROXY) == "manual" or self._wants_manual
        for key in PROXY_KEYS:
            self.texts[key].setVisible(manual)
        self.missing.setVisible(manual and not any(self.texts[key].value for key in PROXY_KEYS[:2]))
        self.missing.setText(text("network.proxy.missing" if self._wants_manual else "network.proxy.empty"))
        self.warning.setVisible(self._values.get(PUBLISH) == "all")
        self._show_subnet()

    def _show_subnet(self) -> None:
        row, machine, words = self.texts[SUBNET], self._store.machine, text("network.subnet.help")
        used = (
            machine.networks if machine is not None and self._store.phase in (Phase.RUNNING, Phase.DEGRADED) else None
        )
        if used is not None:
            words = f"{words} {text('network.subnet.now', subnet=used.user)}"
        row.help.setText(words)

    def _show_problem(self) -> None:
        problem = self._store.part(SettingsStore).config_problem(NETWORK_KEYS)
        key = self._refused_key(problem) if problem is not None else None
        self.problem.show_problem(problem if key is None else None)
        if problem is not None and key is not None:
            self.texts[key].show_fault(" ".join(part for part in (problem.summary, problem.hint) if part))

    def _refused_key(self, problem: Problem) -> str | None:
        """The field that a refusal is about: named in it, or else the one that was sent last."""
        if problem.code is not ProblemCode.BAD_REQUEST:
            return None
        named = next((key for key in self.texts if key in problem.summary), None)
        return named or (self._sent if self._sent in self.texts else None)

    def _lay_out(self) -> None:
        self.column.addWidget(self.problem)
        proxies = [self.texts[key] for key in PROXY_KEYS]
        parts: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            ("network.section.ports", (self.choices[PUBLISH], self.warning)),
            ("network.section.addresses", (self.texts[DNS], self.texts[SUBNET], self.choices[IPV6])),
            (
                "network.section.proxy",
                (self.choices[PROXY], self.missing, *proxies, self.checks[PROXY_INSIDE]),
            ),
            ("network.section.certificates", (self.choices[CERTIFICATES], self.checks[CERTIFICATES_INSIDE])),
            ("network.section.check", (muted(text("network.check.help")),)),
        )
        for heading, rows in parts:
            self.column.addSpacing(theme.px(4))
            self.column.addWidget(label(text(heading), "heading"))
            for row in rows:
                self.column.addWidget(row)
        self.column.addLayout(line_of(self.check))
        self.column.addStretch(1)


def _choice(key: str) -> ChoiceRow:
    return ChoiceRow(text(key), [(value, text(f"{key}.{value}")) for value in _CHOICES[key]], text(f"{key}.help"))


def _control(row: ChoiceRow | TextRow | CheckRow) -> QWidget:
    return row.field if isinstance(row, TextRow) else row.box
