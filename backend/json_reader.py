"""Typed access to JSON of other programs: the Docker engine, QEMU, registries, docker's configuration files.

The rules of `decode` and `Json`:

- A missing or null member has its default, because Go writes null for empty values.
- A member of an unexpected type raises an error that names its place and the expected type. It is never treated as
  empty.

The error is a `WherryError` with a complete Problem, built from the `JsonSource` of the value, so readers need no error
handling. Members are read one by one, not into declared structs, because these formats have hundreds of members of
which a few are needed, and nearly all of them may be null.

Texts are not sanitised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from backend.errors import Problem, ProblemCode, WherryError
from backend.messages import Message

MAX_LINE_BYTES: Final = 1_048_576
_MAX_DIGITS: Final = 20
_KINDS: Final[Mapping[type, str]] = {
    dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number",
    type(None): "nothing",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSource:
    """Where JSON came from, for error messages."""

    summary: Message
    """One sentence: "The Docker engine's answer was not understood."."""
    code: ProblemCode
    command: str
    """The equivalent command of the user."""
    hint: Message | None = None


class NotUnderstood(WherryError):  # noqa: N818 -- named as what it is
    """JSON that is malformed, or has an unexpected structure."""

    def __init__(self, source: JsonSource, detail: str) -> None:
        """Build the error.

        Args:
            source: where the JSON came from.
            detail: what is wrong, and where; contains nothing of the content except member names.
        """
        super().__init__(
            Problem(
                code=source.code,
                summary=source.summary,
                command=source.command,
                tail=(detail,),
                hint=source.hint,
            )
        )


def decode(untrusted: bytes | str, source: JsonSource) -> Json:
    """Parse a complete text. Raises NotUnderstood when it is not JSON.

    Not with the standard library's parser, which holds the interpreter's lock, and so blocks the window, for ten
    milliseconds for a list of a thousand containers.
    """
    try:
        return Json(msgspec.json.decode(untrusted), source)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        # ValueError: a number with thousands of digits.
        raise NotUnderstood(source, f"It is no JSON: {type(error).__name__}.") from error


class Json:
    """A value of any type."""

    __slots__ = ("_place", "source", "untrusted")

    def __init__(self, untrusted: object, source: JsonSource, place: _Place | None = None) -> None:
        """`untrusted` is a value as returned by a JSON library; `place` is its path, for errors."""
        self.untrusted = untrusted
        """The raw value, not validated."""
        self.source = source
        self._place = place

    @property
    def is_null(self) -> bool:
        """Whether it is null or missing."""
        return self.untrusted is None

    def object(self) -> JsonObject:
        """The value as an object. Raises NotUnderstood."""
        if not isinstance(self.untrusted, dict):
            raise self._wrong("an object")
        return JsonObject(self.untrusted, self.source, self._place)

    def objects(self) -> tuple[JsonObject, ...]:
        """The value as a list of objects. Raises NotUnderstood."""
        items = self.untrusted
        if isinstance(items, list) and all(isinstance(one, dict) for one in items):
            # Nearly always, and twice as quick: lists of containers are read while the window waits.
            return tuple([JsonObject(one, self.source, (self._place, at)) for at, one in enumerate(items)])
        return tuple(one.object() for one in self.values())

    def texts(self) -> tuple[str, ...]:
        """The value as a list of texts. Raises NotUnderstood."""
        items = self.untrusted
        if isinstance(items, list) and all(isinstance(one, str) for one in items):
            return tuple(items)
        return tuple(one.text() for one in self.values())

    def values(self) -> Iterator[Json]:
        """The items of a list. Raises NotUnderstood."""
        if not isinstance(self.untrusted, list):
            raise self._wrong("a list")
        for number, value in enumerate(self.untrusted):
            yield Json(value, self.source, (self._place, number))

    def text(self) -> str:
        """The value as text. Raises NotUnderstood."""
        if not isinstance(self.untrusted, str):
            raise self._wrong("a text")
        return self.untrusted

    def integer(self) -> int:
        """The value as an integer, which may be written as text. Raises NotUnderstood."""
        value = self.untrusted
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if (
            isinstance(value, str)
            and len(value) <= _MAX_DIGITS
            and value.removeprefix("-").isdecimal()
            and value.isascii()
        ):
            return int(value)
        raise self._wrong("a whole number")

    def number(self) -> float:
        """The value as a number. Raises NotUnderstood."""
        value = self.untrusted
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong("a number")
        try:
            return float(value)
        except OverflowError:
            raise self._wrong("a number of usual size") from None

    def flag(self) -> bool:
        """The value as a boolean. Raises NotUnderstood."""
        if not isinstance(self.untrusted, bool):
            raise self._wrong("true or false")
        return self.untrusted

    def _wrong(self, expected: str) -> NotUnderstood:
        kind = _KINDS.get(type(self.untrusted), type(self.untrusted).__name__)
        return NotUnderstood(self.source, f"{_written(self._place)}: expected {expected}, found {kind}.")


class JsonObject:
    """An object, read by member name. Missing and null members have their defaults; other types raise NotUnderstood."""

    __slots__ = ("_place", "source", "untrusted")

    def __init__(self, untrusted: dict[str, object], source: JsonSource, place: _Place | None = None) -> None:
        self.untrusted = untrusted
        """The raw object."""
        self.source = source
        self._place = place

    def __contains__(self, name: str) -> bool:
        """Whether it has this member, with a value other than null."""
        return self.untrusted.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of all members."""
        return iter(self.untrusted)

    def member(self, name: str) -> Json:
        """A member of any type."""
        return Json(self.untrusted.get(name), self.source, (self._place, name))

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.untrusted.get(name)
        if isinstance(value, str):
            return value
        return default if value is None else self.member(name).text()

    def integer(self, name: str, default: int = 0) -> int:
        """An integer, which may be written as text; an empty text gives the default."""
        value = self.untrusted.get(name)
        if type(value) is int:
            return value
        return default if value is None or value == "" else self.member(name).integer()

    def number(self, name: str, default: float = 0.0) -> float:
        """A number."""
        return default if self.untrusted.get(name) is None else self.member(name).number()

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.untrusted.get(name)
        if value is None:
            return default
        return self.member(name).flag()

    def object(self, name: str) -> JsonObject:
        """An object; empty by default."""
        value = self.untrusted.get(name)
        if value is None:
            return JsonObject({}, self.source, (self._place, name))
        return self.member(name).object()

    def objects(self, name: str) -> tuple[JsonObject, ...]:
        """A list of objects; empty by default."""
        return self.member(name).objects() if name in self else ()

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty by default."""
        return self.member(name).texts() if name in self else ()

    def values(self, name: str) -> Iterator[Json]:
        """The items of a list; empty by default."""
        return self.member(name).values() if name in self else iter(())

    def texts_by_name(self, name: str) -> dict[str, str]:
        """An object of texts; empty by default, with "" for null members."""
        member = self.object(name)
        return {key: member.text(key) for key in member.untrusted}

    def objects_by_name(self, name: str) -> dict[str, JsonObject]:
        """An object of objects; empty by default."""
        member = self.object(name)
        return {key: member.object(key) for key in member}

    def required_text(self, name: str) -> str:
        """A text that must be present."""
        return self.member(name).text()

    def required_integer(self, name: str) -> int:
        """An integer that must be present."""
        return self.member(name).integer()


class JsonLines:
    """Parses JSON objects, one for each line, from blocks that may be split anywhere."""

    def __init__(self, source: JsonSource, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._source = source
        self._max_line_bytes = max_line_bytes
        self._rest = b""

    def feed(self, untrusted_block: bytes) -> Iterator[JsonObject]:
        """Process a block. Yields the objects of completed lines. Raises NotUnderstood."""
        *lines, self._rest = (self._rest + untrusted_block).split(b"\n")
        if len(self._rest) > self._max_line_bytes:
            raise NotUnderstood(self._source, f"A line is longer than {self._max_line_bytes} bytes.")
        for line in lines:
            if line.strip():
                yield decode(line, self._source).object()


_Place = tuple["_Place | None", str | int]
"""Path of a value: its parent's path, and its name or index. Formatted only for an error."""


def _written(place: _Place | None) -> str:
    """Format a path: "[3].HostConfig.Memory"; names are shortened and special characters replaced."""
    parts: list[str] = []
    while place is not None:
        place, name = place
        parts.append(f"[{name}]" if isinstance(name, int) else "." + _plain(name))
    return "".join(reversed(parts)).removeprefix(".") or "The whole"


def _plain(untrusted_name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in untrusted_name[:60])
