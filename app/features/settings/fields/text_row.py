"""A line of text among the settings: checked by the agent when it is left, with what is wrong said below it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.texts import _
from app.ui import theme
from app.ui.masking import without_password
from app.ui.safe_text import tooltip
from app.ui.widgets import IconButton, label


class TextRow(QWidget):
    """A title, a field, what it means. `committed` comes with Return, or when the field is left."""

    committed = Signal(str)  # by the user, when it differs from what is set

    def __init__(self, title: str, help_text: str = "", placeholder: str = "", *, indent: bool = False) -> None:
        super().__init__()
        self._shown: str | None = None
        self._told: str | None = None
        self.field = QLineEdit()
        self.field.setPlaceholderText(placeholder)
        self.field.setAccessibleName(title)
        self.field.setAccessibleDescription(help_text)
        self.field.editingFinished.connect(self.commit)
        self.help = label(help_text, "muted", wrap=True)
        self.help.setVisible(bool(help_text))
        self.fault = label("", "danger", wrap=True, selectable=True)
        self.fault.hide()
        title_label = label(title)
        title_label.setBuddy(self.field)
        self.across = QHBoxLayout()
        self.across.setSpacing(theme.px(8))
        self.across.addWidget(self.field, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.px(28) if indent else 0, 0, 0, 0)
        column.setSpacing(theme.px(4))
        column.addWidget(title_label)
        column.addLayout(self.across)
        column.addWidget(self.fault)
        column.addWidget(self.help)

    @property
    def value(self) -> str:
        """As it is typed."""
        return self.field.text().strip()

    def show_value(self, value: str | None) -> None:
        """As it is set now; None: not known yet. What the user has typed and is refused stays."""
        before, self._shown, self._told = self._shown, value, None
        self.field.setEnabled(value is not None)
        if value is None:
            return
        if self.value == value:
            self.show_fault("")
        elif value != before and (not self.field.hasFocus() or self.value == before):
            self.set_typed(value)
            self.show_fault("")

    def set_typed(self, value: str) -> None:
        """Put it into the field."""
        self.field.setText(value)

    def show_fault(self, words: str) -> None:
        """Say what is wrong with what was typed; "" for nothing."""
        self._told = None
        self.fault.setText(words)
        self.fault.setVisible(bool(words))
        self.field.setAccessibleDescription(words or self.help.text())
        if bool(self.field.property("wrong")) is not bool(words):
            self.field.setProperty("wrong", bool(words))
            self.field.style().polish(self.field)

    def commit(self) -> None:
        """Tell of what was typed, if it differs from what is set. Once: Return and leaving the field both end it."""
        if self._shown is None or self.value == self._told:
            return
        if self.value == self._shown:
            self.show_fault("")
        else:
            self._told = self.value
            self.committed.emit(self.value)


class ProxyRow(TextRow):
    """The address of a proxy. A password in it is shown only when that is asked for."""

    def __init__(self, title: str, help_text: str = "", placeholder: str = "", *, indent: bool = False) -> None:
        super().__init__(title, help_text, placeholder, indent=indent)
        self._secret: str | None = None
        self.reveal = IconButton("eye-outline", _("Show password: {title}", title=title))
        self.reveal.setCheckable(True)
        self.reveal.toggled.connect(self._on_reveal)
        self.reveal.hide()
        self.across.addWidget(self.reveal)
        self.field.installEventFilter(self)
        self.field.textEdited.connect(lambda _words: self._offer())

    @property
    def value(self) -> str:
        """As it is typed, with its password."""
        return super().value if self._secret is None else self._secret

    def set_typed(self, value: str) -> None:
        """Put it into the field, its password hidden."""
        self._secret = None
        super().set_typed(value)
        self._hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and event.type() is QEvent.Type.FocusOut and not self.reveal.isChecked():
            self.commit()
            self._hide()
        return super().eventFilter(watched, event)

    def _offer(self) -> None:
        """The button is there while there is something to hide, and what is typed now is seen anyway."""
        self.reveal.setVisible(without_password(self.value) != self.value)

    def _hide(self) -> None:
        value = self.value
        masked = without_password(value)
        self._secret = value if masked != value else None
        self.field.setReadOnly(self._secret is not None)
        self.field.setToolTip(
            tooltip(_("The password is hidden. Show it to edit the address.") if self._secret is not None else "")
        )
        if self._secret is not None:
            self.field.setText(masked)
        self.reveal.setChecked(False)
        self._offer()

    def _on_reveal(self, revealed: bool) -> None:
        self.reveal.set_glyph("eye-off-outline" if revealed else "eye-outline")
        if not revealed:
            self._hide()
        elif self._secret is not None:
            whole, self._secret = self._secret, None
            self.field.setReadOnly(False)
            self.field.setText(whole)
