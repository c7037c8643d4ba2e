"""Engine settings: an editor for dockerd's daemon.json, validated while typing, and by dockerd itself when saved."""

from __future__ import annotations

import json
from typing import Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QMessageBox, QWidget

from app.features.problems.problem import ProblemView
from app.features.settings.fields.editor import JsonEditor
from app.features.settings.fields.rows import SettingsSection, line_of, muted
from app.state.settings_store import SettingsStore, Topic
from app.state.store import AppStore
from app.texts import _, ngettext
from app.ui import icons, theme
from app.ui.widgets import button, label
from backend.api import DaemonFinding, FindingSeverity, Phase, check_daemon_json, messages

CHECK_AFTER_MS: Final = 250
_FINDINGS_SHOWN: Final = 4


class EngineSection(SettingsSection):
    """The editor with its findings and buttons. Unsaved text is never replaced by replies of the agent."""

    def __init__(self, store: AppStore) -> None:
        super().__init__(_("Docker engine"))
        self._store = store
        self._saved: str | None = None
        """The text that the agent has; None while unknown."""
        self._restarts_when_saved = False
        self._is_wrong = False
        self.problem = ProblemView(store)
        self.editor = JsonEditor(_("Docker engine options (daemon.json)"))
        self.editor.setMinimumHeight(theme.px(170))
        self.findings = QListWidget()
        self.findings.setObjectName("findings")
        self.findings.setAccessibleName(_("Problems in the options"))
        self.findings.setWordWrap(True)
        self.findings.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.state = label("", "muted", wrap=True)
        self.save = button(_("Save"), lambda: self._save(restart=False), "primary")
        self.save_and_restart = button(_("Save and restart"), self._confirm_restart)
        self.format = button(_("Format"), self._format, None, _("Indent the text"))
        self.revert = button(_("Revert"), self._revert)
        self.reset = button(
            _("Clear"),
            lambda: self.editor.setPlainText(""),
            None,
            _("Remove all options and use the engine's defaults"),
        )
        self.controls: dict[str, QWidget] = {"engine.daemon-json": self.editor}
        for widget in (
            muted(
                _(
                    "Docker engine options as JSON, as in /etc/docker/daemon.json. They are validated "
                    "before saving and take effect when the machine starts."
                )
            ),
            self.problem,
        ):
            self.column.addWidget(widget)
        self.column.addWidget(self.editor, 1)
        self.column.addWidget(self.findings)
        self.column.addWidget(self.state)
        self.column.addLayout(line_of(self.save, self.save_and_restart, self.format, self.revert, self.reset))
        self._pause = QTimer(self, singleShot=True, interval=CHECK_AFTER_MS)
        self._pause.timeout.connect(self.check)
        self.editor.textChanged.connect(self._on_typed)
        self.findings.itemActivated.connect(self._go_to)
        self.findings.itemClicked.connect(self._go_to)
        store.part(SettingsStore).daemon_changed.connect(self._on_daemon_file)
        store.part(SettingsStore).problem_changed.connect(self._on_problem)
        store.machine_changed.connect(self._enable)
        self._on_daemon_file()

    def check(self) -> None:
        """Validate the text here, without dockerd, and show the findings."""
        self._show_findings(check_daemon_json(self.editor.toPlainText()))
        self._enable()

    def _on_daemon_file(self) -> None:
        file = self._store.part(SettingsStore).daemon
        if file is None:
            self._enable()
            return
        untouched = self._saved is None or self.editor.toPlainText() == self._saved
        if file.saved:
            self._saved = file.text
        if untouched and file.saved and self.editor.toPlainText() != file.text:
            self.editor.setPlainText(file.text)
        self._pause.stop()
        self._show_findings(file.findings)
        if not file.saved:
            self.state.setText(_("Not saved. See the problems above."))
        elif file.asked_dockerd:
            self.state.setText(_("Saved and validated by dockerd."))
        self._enable()
        restarts, self._restarts_when_saved = self._restarts_when_saved, False
        if restarts and file.saved:
            self._store.intents.restart_machine.emit()

    def _on_problem(self, topic: Topic) -> None:
        if topic is Topic.ENGINE:
            self._restarts_when_saved = False
            problem = self._store.part(SettingsStore).problem(Topic.ENGINE)
            self.problem.show_problem(problem)
            if problem is not None:
                self.state.setText("")  # saving has failed
            self._enable()

    def _on_typed(self) -> None:
        self.state.setText("")
        self._is_wrong = False
        self._enable()
        self._pause.start()

    def _enable(self) -> None:
        typed = self.editor.toPlainText()
        changed = self._saved is not None and typed != self._saved
        up = self._store.phase in (Phase.RUNNING, Phase.DEGRADED)
        is_loaded = self._saved is not None
        self.editor.setEnabled(is_loaded)
        self.revert.setEnabled(changed)
        self.save_and_restart.setVisible(up)
        # A text that would be refused cannot be saved. Newly typed text is validated after a short pause.
        for widget in (self.save, self.save_and_restart):
            widget.setEnabled(changed and not self._is_wrong)
        self.format.setEnabled(is_loaded and bool(typed.strip()))
        self.reset.setEnabled(is_loaded and bool(typed.strip()))

    def _show_findings(self, findings: tuple[DaemonFinding, ...]) -> None:
        self._is_wrong = any(finding.severity is FindingSeverity.ERROR for finding in findings)
        self.editor.show_findings(findings)
        self.findings.clear()
        for finding in findings:
            bad = finding.severity is FindingSeverity.ERROR
            current = theme.current()
            picture = icons.glyph("alert-circle" if bad else "alert", current.danger if bad else current.warning)
            text = _("Line {line}: {message}", line=finding.line, message=finding.message)
            item = QListWidgetItem(picture, text, self.findings)
            item.setData(256, (finding.line, finding.column))
        self.findings.setVisible(bool(findings))
        rows = min(max(len(findings), 1), _FINDINGS_SHOWN)
        self.findings.setFixedHeight(rows * (self.findings.fontMetrics().lineSpacing() * 2 + theme.px(8)))

    def _go_to(self, item: QListWidgetItem) -> None:
        line, column = item.data(256)
        self.editor.go_to(line, column)

    def _save(self, *, restart: bool) -> None:
        self._restarts_when_saved = restart
        self._store.intents.request_agent.emit(messages.SetDaemonFile(text=self.editor.toPlainText()))
        self.state.setText(_("Validating and saving…"))

    def _confirm_restart(self) -> None:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle(_("Restart the machine"))
        running = len(self._store.running)
        box.setText(_("Save the options and restart the machine?"))
        box.setInformativeText(
            ngettext(
                "{count} running container will be stopped. It starts again only if its restart "
                "policy allows. Nothing on the disk is lost.",
                "{count} running containers will be stopped. They start again only if their restart "
                "policies allow. Nothing on the disk is lost.",
                running,
            )
            if running
            else _("No containers are running.")
        )
        confirm = box.addButton(_("Save and restart"), QMessageBox.ButtonRole.AcceptRole)
        cancel = box.addButton(_("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(cancel)
        box.setEscapeButton(cancel)
        confirm.clicked.connect(lambda _checked=False: self._save(restart=True))
        box.finished.connect(box.deleteLater)
        box.open()

    def _format(self) -> None:
        try:
            values = json.loads(self.editor.toPlainText())
        except (ValueError, RecursionError):
            self.check()  # shows where the JSON is invalid
            return
        self.editor.setPlainText(json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    def _revert(self) -> None:
        self.editor.setPlainText(self._saved or "")
