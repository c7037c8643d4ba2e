"""A sentence for a person that is not yet in a language: the English one, and the values to be filled in.

The agent, the engine's client and all else that has something to say builds messages, and sends and stores them.
`backend.texts` turns them into words where they are shown. The English sentence names a message in the catalogues of
translations, so a message without a translation is still English, and never a bare code.

Write `message("The disk is {percent}% full.", percent=93)`: the sentence is a constant, so that it can be found and
translated, and whatever varies is a value. This module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TypeAlias, Union

Value: TypeAlias = Union[str, int, float, "Message", "tuple[str | Message, ...]"]
"""What can be filled in. A message is said in the same language; a tuple is said with commas between its parts."""

Given: TypeAlias = Value | PurePath | BaseException | None
"""What a message is made with: a path is its text, an error what the system says about it, None is empty."""


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, or a few, for a person. `str()` of it is English, for logs and exceptions."""

    text: str
    """English, with the names of `values` in braces."""
    values: Mapping[str, Value] = field(default_factory=dict)
    plural: str = ""
    """The English for any other number than one; `values["count"]` is the number. Empty: the number is no matter."""
    context: str = ""
    """Tells this text from an equal one that means something else: "verb"."""

    def __str__(self) -> str:
        text = self.plural if self.plural and self.values.get("count") != 1 else self.text
        return filled(text, {name: _plain(value) for name, value in self.values.items()})

    def with_values(self, change: Callable[[str], str]) -> Message:
        """The same with every text among the values changed: what came from outside is cleaned so."""
        return Message(
            self.text, {name: _changed(value, change) for name, value in self.values.items()}, self.plural, self.context
        )

    def __hash__(self) -> int:
        return hash((self.text, self.context, len(self.values)))


def message(text: str, /, **values: Given) -> Message:
    """A message: `message("Port {port} is in use.", port=8080)`."""
    return Message(text, _values(values))


def message_in(context: str, text: str, /, **values: Given) -> Message:
    """A message whose English has another meaning elsewhere: `message_in("verb", "Open")`."""
    return Message(text, _values(values), context=context)


def count_message(one: str, other: str, count: int, /, **values: Given) -> Message:
    """A message about a number of things: `count_message("{count} port", "{count} ports", 3)`."""
    return Message(one, {"count": count, **_values(values)}, plural=other)


def verbatim(text: str) -> Message:
    """What another program said, or a name: the same in every language."""
    return Message("{text}", {"text": text})


def sentences(*parts: Message | None) -> Message:
    """One message after the other: what happened, and what to do. Parts that are None are left out."""
    known = [part for part in parts if part is not None]
    if len(known) == 1:
        return known[0]
    return Message(
        " ".join(f"{{part{at}}}" for at in range(len(known))), {f"part{at}": part for at, part in enumerate(known)}
    )


def filled(text: str, values: Mapping[str, object]) -> str:
    """`text` with its braces filled; as it is where the values do not fit, since a message must always be shown."""
    if not values:
        return text
    try:
        return text.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        return text


def _plain(value: Value) -> object:
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else value


def _values(given: Mapping[str, Given]) -> dict[str, Value]:
    return {name: _value(value) for name, value in given.items()}


def _value(given: Given) -> Value:
    match given:
        case str() | int() | float() | Message() | tuple():
            return given
        case None:
            return ""
        case OSError():
            return given.strerror or str(given)
        case _:
            return str(given)


def _changed(value: Value, change: Callable[[str], str]) -> Value:
    match value:
        case str():
            return change(value)
        case Message():
            return value.with_values(change)
        case tuple():
            return tuple(change(part) if isinstance(part, str) else part.with_values(change) for part in value)
        case _:
            return value
