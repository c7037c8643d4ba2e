"""A settings row with a text field. The agent validates the value; its error is shown below the field."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.texts import _
from app.ui import theme
from app.ui.masking import without_password
from app.ui.safe_text import tooltip
from app.ui.widgets import IconButton, label


class TextRow(QWidget):
    """A title, a field and an explanation. `committed` is emitted on Enter, or when the field loses the focus."""

    committed = Signal(str)  # by the user, when it differs from what is set

    def __init__(self, title: str, help_text: str = "", placeholder: str = "", *, indent: bool = False) -> None:
        super().__init__()
        self._shown: str | None = None
        self._committed: str | None = None
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
        """The typed value, without surrounding space."""
        return self.field.text().strip()

    def show_value(self, value: str | None) -> None:
        """Show the current value; None while unknown. A typed value that was refused is kept."""
        before, self._shown, self._committed = self._shown, value, None
        self.field.setEnabled(value is not None)
        if value is None:
            return
        if self.value == value:
            self.show_fault("")
        elif value != before and (not self.field.hasFocus() or self.value == before):
            self.set_typed(value)
            self.show_fault("")

    def set_typed(self, value: str) -> None:
        """Set the field's text."""
        self.field.setText(value)

    def show_fault(self, message: str) -> None:
        """Show why the typed value is invalid; "" removes the message."""
        self._committed = None
        self.fault.setText(message)
        self.fault.setVisible(bool(message))
        self.field.setAccessibleDescription(message or self.help.text())
        if bool(self.field.property("wrong")) is not bool(message):
            self.field.setProperty("wrong", bool(message))
            self.field.style().polish(self.field)

    def commit(self) -> None:
        """Emit `committed` if the typed value differs from the current one.

        Only once per value, because Qt reports both Enter and leaving the field.
        """
        if self._shown is None or self.value == self._committed:
            return
        if self.value == self._shown:
            self.show_fault("")
        else:
            self._committed = self.value
            self.committed.emit(self.value)


class ProxyRow(TextRow):
    """A row for a proxy's address. A password in it is masked until the user reveals it."""

    def __init__(self, title: str, help_text: str = "", placeholder: str = "", *, indent: bool = False) -> None:
        super().__init__(title, help_text, placeholder, indent=indent)
        self._secret: str | None = None
        self.reveal = IconButton("eye-outline", _("Show password: {title}", title=title))
        self.reveal.setCheckable(True)
        self.reveal.toggled.connect(self._on_reveal)
        self.reveal.hide()
        self.across.addWidget(self.reveal)
        self.field.installEventFilter(self)
        self.field.textEdited.connect(lambda _typed: self._offer())

    @property
    def value(self) -> str:
        """The typed value, with its password."""
        return super().value if self._secret is None else self._secret

    def set_typed(self, value: str) -> None:
        """Set the field's text with the password masked."""
        self._secret = None
        super().set_typed(value)
        self._hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and event.type() is QEvent.Type.FocusOut and not self.reveal.isChecked():
            self.commit()
            self._hide()
        return super().eventFilter(watched, event)

    def _offer(self) -> None:
        """Show the reveal button only while a password is masked; a password being typed is visible anyway."""
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
