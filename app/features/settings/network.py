"""Network settings: publishing of ports, DNS, proxies and certificates.

Each setting is sent when it changes; the agent's error is shown below its field.
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
from app.texts import _, message, say, sentences
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
NETWORK_NAMES: Final = {
    PUBLISH: message("Publish ports on"),
    DNS: message("DNS servers"),
    SUBNET: message("Machine subnet"),
    IPV6: message("IPv6"),
    PROXY: message("Docker engine proxy"),
    HTTP_PROXY: message("HTTP proxy"),
    HTTPS_PROXY: message("HTTPS proxy"),
    NO_PROXY: message("Bypass the proxy for"),
    PROXY_INSIDE: message("Use the proxy in containers and builds"),
    CERTIFICATES: message("Certificate authorities trusted by the engine"),
    CERTIFICATES_INSIDE: message("Trust these authorities in containers and builds"),
}
NETWORK_KEYS: Final = tuple(NETWORK_NAMES)
PROXY_KEYS: Final = (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)
"""Shown only with `network.proxy = "manual"`."""
_CHOICES: Final = {
    PUBLISH: {
        "loopback": message("This computer only"),
        "all": message("All network addresses"),
    },
    IPV6: {
        "auto": message("Automatic (if this computer has IPv6)"),
        "on": message("On"),
        "off": message("Off"),
    },
    PROXY: {
        "system": message("Use this computer's proxy"),
        "manual": message("Manual"),
        "none": message("None"),
    },
    CERTIFICATES: {
        "system": message("This computer's and the default ones"),
        "none": message("Default ones only"),
    },
}
_HELP: Final = {
    PUBLISH: message("Used when -p gives no address, as in -p 8080:80."),
    IPV6: message("Lets containers reach the internet over IPv6."),
    PROXY: message("Used to pull and push images."),
    PROXY_INSIDE: message(
        "Sets HTTP_PROXY, HTTPS_PROXY and NO_PROXY unless the container sets them. A proxy "
        "password is visible inside containers."
    ),
    CERTIFICATES: message(
        "Include this computer's authorities if your company uses its own for its registry or proxy."
    ),
    CERTIFICATES_INSIDE: message("Adds them to the certificate bundles of containers."),
}


class NetworkSettings(SettingsSection):
    """The section. Shows the store's values; a typed value that was refused is kept."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Network"))
        self._store = store
        self._sent = ""
        self._is_manual_pending = False
        self.problem = ProblemView(store)
        self.choices = {key: _choice(key) for key in _CHOICES}
        self.texts: dict[str, TextRow] = {
            DNS: TextRow(
                say(NETWORK_NAMES[DNS]),
                _(
                    "Separate addresses with commas; add a port with #: 192.0.2.1, 192.0.2.2#5353. Takes "
                    "effect immediately."
                ),
                _("Use this computer's DNS"),
            ),
            SUBNET: TextRow(
                say(NETWORK_NAMES[SUBNET]),
                _("A /24 that no other network uses, VPNs included, such as 10.0.2.0/24."),
                _("Automatic"),
            ),
            HTTP_PROXY: ProxyRow(say(NETWORK_NAMES[HTTP_PROXY]), "", "http://proxy.example:3128", indent=True),
            HTTPS_PROXY: ProxyRow(say(NETWORK_NAMES[HTTPS_PROXY]), "", "http://proxy.example:3128", indent=True),
            NO_PROXY: TextRow(
                say(NETWORK_NAMES[NO_PROXY]),
                _("Hosts, domains and networks to reach directly, separated by commas."),
                "localhost, .example.com, 10.0.0.0/8",
                indent=True,
            ),
        }
        self.checks = {
            key: CheckRow(say(NETWORK_NAMES[key]), say(_HELP[key])) for key in (PROXY_INSIDE, CERTIFICATES_INSIDE)
        }
        self.warning = label(
            _(
                "Anyone on your network can reach published ports, including databases and other "
                "services without a password. On a public network, that is everyone."
            ),
            "warning",
            wrap=True,
        )
        self.missing = label("", "warning", wrap=True)
        self.check = button(_("Check network…"), lambda: store.intents.check_network.emit(""))
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
        """Update the widgets from the store."""
        values = self._values
        if values.get(PROXY) == "manual":
            self._is_manual_pending = False
        for key, row in self._rows.items():
            value = values.get(key)
            if isinstance(row, CheckRow):
                row.show_value(None if value is None else bool(value))
            elif isinstance(row, TextRow):
                row.show_value(None if value is None else str(value))
            else:
                row.box.setEnabled(value is not None)
                row.show_value("manual" if key == PROXY and self._is_manual_pending else value)
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
            # Manual mode is sent only with the first address.
            self._is_manual_pending = value == "manual" and not any(self.texts[each].value for each in PROXY_KEYS[:2])
            self._show_parts()
            if self._is_manual_pending:
                self.texts[HTTP_PROXY].field.setFocus(Qt.FocusReason.OtherFocusReason)
                return
        self._set({key: value})

    def _commit(self, key: str, value: str) -> None:
        also = {PROXY: "manual"} if key in PROXY_KEYS[:2] and self._is_manual_pending and value else {}
        self._set({key: value, **also})

    def _set(self, values: Mapping[str, messages.SettingValue]) -> None:
        self._sent = next(iter(values))
        self._store.intents.request_agent.emit(messages.SetSettings(values=dict(values)))

    def _show_parts(self) -> None:
        manual = self._values.get(PROXY) == "manual" or self._is_manual_pending
        for key in PROXY_KEYS:
            self.texts[key].setVisible(manual)
        self.missing.setVisible(manual and not any(self.texts[key].value for key in PROXY_KEYS[:2]))
        self.missing.setText(
            _("Enter at least one address. Nothing changes until then.")
            if self._is_manual_pending
            else _("No address is set, so the engine uses no proxy.")
        )
        self.warning.setVisible(self._values.get(PUBLISH) == "all")
        self._show_subnet()

    def _show_subnet(self) -> None:
        row, machine, text = (
            self.texts[SUBNET],
            self._store.machine,
            _("A /24 that no other network uses, VPNs included, such as 10.0.2.0/24."),
        )
        used = (
            machine.networks if machine is not None and self._store.phase in (Phase.RUNNING, Phase.DEGRADED) else None
        )
        if used is not None:
            text = text + " " + _("Currently {subnet}.", subnet=used.user)
        row.help.setText(text)

    def _show_problem(self) -> None:
        problem = self._store.part(SettingsStore).config_problem(NETWORK_KEYS)
        key = self._refused_key(problem) if problem is not None else None
        self.problem.show_problem(problem if key is None else None)
        if problem is not None and key is not None:
            self.texts[key].show_fault(say(sentences(problem.summary, problem.hint)))

    def _refused_key(self, problem: Problem) -> str | None:
        """Key of the setting that a problem is about: one that it names, or else the one sent last."""
        if problem.code is not ProblemCode.BAD_REQUEST:
            return None
        named = next((key for key in self.texts if key in str(problem.summary)), None)
        return named or (self._sent if self._sent in self.texts else None)

    def _lay_out(self) -> None:
        self.column.addWidget(self.problem)
        proxies = [self.texts[key] for key in PROXY_KEYS]
        parts: tuple[tuple[str, tuple[QWidget, ...]], ...] = (
            (_("Published ports"), (self.choices[PUBLISH], self.warning)),
            (_("DNS and addresses"), (self.texts[DNS], self.texts[SUBNET], self.choices[IPV6])),
            (
                _("Proxy"),
                (self.choices[PROXY], self.missing, *proxies, self.checks[PROXY_INSIDE]),
            ),
            (_("Certificates"), (self.choices[CERTIFICATES], self.checks[CERTIFICATES_INSIDE])),
            (_("Diagnostics"), (muted(_("Tests each step of an image pull and suggests fixes.")),)),
        )
        for heading, rows in parts:
            self.column.addSpacing(theme.px(4))
            self.column.addWidget(label(heading, "heading"))
            for row in rows:
                self.column.addWidget(row)
        self.column.addLayout(line_of(self.check))
        self.column.addStretch(1)


def _choice(key: str) -> ChoiceRow:
    values = [(value, say(text)) for value, text in _CHOICES[key].items()]
    return ChoiceRow(say(NETWORK_NAMES[key]), values, say(_HELP[key]))


def _control(row: ChoiceRow | TextRow | CheckRow) -> QWidget:
    return row.field if isinstance(row, TextRow) else row.box
