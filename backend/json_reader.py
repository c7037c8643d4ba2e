"""JSON that another program wrote: the Docker engine's, QEMU's, a registry's, docker's own files.

`decode` and `Json` give typed values of it. There is one rule for all of them:

- What is missing or null is the default, because Go writes null for whatever is empty.
- What is of another kind than expected is an error that says where it stands and what was expected. It is never
  taken for nothing: a list that is not understood is no empty list.

The error is a `WherryError` with a whole Problem, made of the `JsonSource` that came with the value; so it can be read
anywhere without care. Reading member by member, and not into declared structs, because these formats have hundreds of
members of which a few are read, and nearly all of those may be null.

Texts are as they came: whoever shows them cleans them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from backend.errors import Problem, ProblemCode, WherryError

MAX_LINE_BYTES: Final = 1_048_576
_MAX_DIGITS: Final = 20
_KINDS: Final[Mapping[type, str]] = {
    dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number",
    type(None): "nothing",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSource:
    """Where JSON came from: what the error says when it is not understood."""

    summary: str
    """One sentence: "The Docker engine's answer was not understood."."""
    code: ProblemCode
    command: str
    """What was asked, as the user could ask it."""
    hint: str | None = None


class NotUnderstood(WherryError):  # noqa: N818 -- named as what it is
    """JSON is malformed, or of another shape than expected."""

    def __init__(self, source: JsonSource, detail: str) -> None:
        """Make it.

        Args:
            source: where the JSON came from.
            detail: what is wrong with it, and where; without anything of its content but the names of members.
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
    """Read a whole text. Raises NotUnderstood for anything but JSON.

    Not with the standard library's reader: that holds the interpreter, and with it the window, for ten milliseconds
    over the list of a thousand containers.
    """
    try:
        return Json(msgspec.json.decode(untrusted), source)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        # ValueError: a number of thousands of digits.
        raise NotUnderstood(source, f"It is no JSON: {type(error).__name__}.") from error


class Json:
    """One value, of any kind."""

    __slots__ = ("_place", "source", "untrusted")

    def __init__(self, untrusted: object, source: JsonSource, place: _Place | None = None) -> None:
        """Make one of a value as a JSON library gives it."""
        self.untrusted = untrusted
        """The value as it came: nobody looked into it."""
        self.source = source
        self._place = place

    @property
    def is_null(self) -> bool:
        """Whether it is null, or was not there."""
        return self.untrusted is None

    def object(self) -> JsonObject:
        """The object that it is. Raises NotUnderstood."""
        if not isinstance(self.untrusted, dict):
            raise self._wrong("an object")
        return JsonObject(self.untrusted, self.source, self._place)

    def objects(self) -> tuple[JsonObject, ...]:
        """The list of objects that it is. Raises NotUnderstood."""
        return tuple(one.object() for one in self.values())

    def texts(self) -> tuple[str, ...]:
        """The list of texts that it is. Raises NotUnderstood."""
        return tuple(one.text() for one in self.values())

    def values(self) -> Iterator[Json]:
        """The list of anything that it is. Raises NotUnderstood."""
        if not isinstance(self.untrusted, list):
            raise self._wrong("a list")
        for number, value in enumerate(self.untrusted):
            yield Json(value, self.source, (self._place, number))

    def text(self) -> str:
        """The text that it is. Raises NotUnderstood."""
        if not isinstance(self.untrusted, str):
            raise self._wrong("a text")
        return self.untrusted

    def integer(self) -> int:
        """The whole number that it is, which may be written as a text. Raises NotUnderstood."""
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
        """The number that it is. Raises NotUnderstood."""
        value = self.untrusted
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong("a number")
        try:
            return float(value)
        except OverflowError:
            raise self._wrong("a number of usual size") from None

    def flag(self) -> bool:
        """True or false. Raises NotUnderstood."""
        if not isinstance(self.untrusted, bool):
            raise self._wrong("true or false")
        return self.untrusted

    def _wrong(self, expected: str) -> NotUnderstood:
        kind = _KINDS.get(type(self.untrusted), type(self.untrusted).__name__)
        return NotUnderstood(self.source, f"{_written(self._place)}: expected {expected}, found {kind}.")


class JsonObject:
    """An object, read by the names of its members. What is missing or null is the default; else NotUnderstood."""

    __slots__ = ("_place", "source", "untrusted")

    def __init__(self, untrusted: dict[str, Any], source: JsonSource, place: _Place | None = None) -> None:
        self.untrusted = untrusted
        """As it came."""
        self.source = source
        self._place = place

    def __contains__(self, name: str) -> bool:
        """Whether there is such a member that is not null."""
        return self.untrusted.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of all members."""
        return iter(self.untrusted)

    def member(self, name: str) -> Json:
        """A member of any kind."""
        return Json(self.untrusted.get(name), self.source, (self._place, name))

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.untrusted.get(name)
        if isinstance(value, str):
            return value
        return default if value is None else self.member(name).text()

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number, which may be written as a text; an empty text is the default."""
        value = self.untrusted.get(name)
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
        """An object; an empty one by default."""
        value = self.untrusted.get(name)
        if value is None:
            return JsonObject({}, self.source, (self._place, name))
        return self.member(name).object()

    def objects(self, name: str) -> tuple[JsonObject, ...]:
        """A list of objects; an empty one by default."""
        return self.member(name).objects() if name in self else ()

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; an empty one by default."""
        return self.member(name).texts() if name in self else ()

    def values(self, name: str) -> Iterator[Json]:
        """A list of anything; an empty one by default."""
        return self.member(name).values() if name in self else iter(())

    def texts_by_name(self, name: str) -> dict[str, str]:
        """An object whose members are texts; an empty one by default, and an empty text where a member is null."""
        found = self.object(name)
        return {key: found.text(key) for key in found}

    def objects_by_name(self, name: str) -> dict[str, JsonObject]:
        """An object whose members are objects; empty ones by default."""
        found = self.object(name)
        return {key: found.object(key) for key in found}

    def required_text(self, name: str) -> str:
        """A text without which the whole means nothing."""
        return self.member(name).text()

    def required_integer(self, name: str) -> int:
        """A whole number without which the whole means nothing."""
        return self.member(name).integer()


class JsonLines:
    """Objects of which each is a line, out of blocks that may be cut anywhere."""

    def __init__(self, source: JsonSource, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._source = source
        self._max_line_bytes = max_line_bytes
        self._rest = b""

    def feed(self, untrusted_block: bytes) -> Iterator[JsonObject]:
        """Take a block; give the objects whose lines it ends. Raises NotUnderstood."""
        *lines, self._rest = (self._rest + untrusted_block).split(b"\n")
        if len(self._rest) > self._max_line_bytes:
            raise NotUnderstood(self._source, f"A line is longer than {self._max_line_bytes} bytes.")
        for line in lines:
            if line.strip():
                yield decode(line, self._source).object()


_Place = tuple["_Place | None", str | int]
"""The place of the value around it, and its name or number there. Written out only for an error."""


def _written(place: _Place | None) -> str:
    """As in "[3].HostConfig.Memory"; names are cut, and what is no letter in them replaced."""
    parts: list[str] = []
    while place is not None:
        place, name = place
        parts.append(f"[{name}]" if isinstance(name, int) else "." + _plain(name))
    return "".join(reversed(parts)).removeprefix(".") or "The whole"


def _plain(untrusted_name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in untrusted_name[:60])
