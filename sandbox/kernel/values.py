"""The value that a cell gives back, as JSON: what leaves Python must be the figure that was in it.

Numbers that readers of JSON would round become text, names that are there twice are numbered, what is not
finite becomes null; each kind of change is told in a note. What cannot be given back raises Unfit, whose
text says what to do. Called by serve.py while the cell's time still runs: attributes of user objects are code.
"""

import datetime
import decimal
import enum
import json
import os
import sys
import uuid
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from . import tables, texts

MAX_DEPTH = 64
MAX_EXACT = 2**53 - 1
"""Greatest whole number that every reader of JSON keeps (RFC 8259, section 6)."""
_NAMED = 3
"""Places that a note names; the others it counts."""
_MAX_PLACE = 120
_MAX_DIGITS = 4_300
"""Python itself refuses to write longer whole numbers."""

_SIMPLE = {str, int, float, bool, type(None)}
_WORDS = {
    "digits": "Returned as text, because readers of JSON would round it",
    "renamed": "Returned under another name, because the name is there twice",
    "base64": "Returned as Base64",
    "text": "Returned as text, because it has no JSON form",
}


class Unfit(Exception):
    """The value has no JSON form; the text says where, and what to do."""


class TooLarge(Unfit):
    """It has one, and that is longer than it may be."""


@dataclass(frozen=True)
class Converted:
    data: bytes
    notes: list[str]
    """A sentence for each kind of change."""


def to_json(value: object, name: str, limit: int, strict: bool = False) -> Converted:
    """`name` is what places in notes begin with, `limit` is in bytes. Strict: nothing becomes text for want of a form."""
    conversion = Conversion(name, limit, strict)
    plain = conversion.plain(value)
    data = texts.encode(json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    if len(data) > limit:
        conversion.too_large()
    return Converted(data, conversion.notes())


class Conversion:
    def __init__(self, name: str, limit: int, strict: bool) -> None:
        self._name = name
        self._limit = limit
        self._left = limit
        """Bytes that may still come: each value takes the least that it needs as JSON."""
        self._strict = strict
        self._place: list[str | int | None] = []
        """Keys and positions from the value down to what is being converted."""
        self._open: set[int] = set()
        """ids of the containers that are being converted."""
        self._changes: dict[str, list[str]] = {}
        """Kind of change: where, the first places in full."""
        self._counts: dict[str, int] = {}

    def notes(self) -> list[str]:
        return [f"{words}: {self._listed(kind)}." for kind, words in _WORDS.items() if kind in self._counts]

    def plain(self, value: Any) -> Any:
        """The value in dicts, lists, text, numbers, booleans and None."""
        kind = type(value)
        if value is None or kind is bool:
            self.take(4)
            return value
        if kind is str:
            return self.text(value)
        if kind is int:
            return self.whole(value)
        if kind is float:
            return self.real(value)
        if kind is dict:
            return self.mapping(value)
        if kind is list:
            return self.sequence(value)
        module = getattr(kind, "__module__", None)
        library = tables.LIBRARIES.get(module.partition(".")[0]) if isinstance(module, str) else None
        if library is not None and sys.modules.get(library.name) is not None:
            converted = library.convert(self, value)
            if converted is not tables.UNKNOWN:
                return converted
        return self._standard(value)

    # Scalars

    def whole(self, value: int) -> int | str:
        if -MAX_EXACT <= value <= MAX_EXACT:
            self.take(1)
            return value
        self.note("digits")
        return self.text(str(value) if value.bit_length() < 3 * _MAX_DIGITS else hex(value))

    def real(self, value: float) -> float | None:
        self.take(3)
        return value if value - value == 0 else None

    def decimal(self, value: decimal.Decimal) -> int | float | str | None:
        if not value.is_finite():
            self.take(4)
            return None
        if is_exact(value):
            return self.whole(int(value)) if value == value.to_integral_value() else self.real(float(value))
        self.note("digits")
        return self.text(str(value))

    def text(self, value: str) -> str:
        self.take(len(value) + 2)
        return value

    # Containers

    def sequence(self, values: Iterable[Any]) -> list[Any]:
        return self._within(values, self._entries)

    def mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        return self._within(value, self._members)

    def rows(self, columns: Iterable[Any], values: Iterable[list[Any]]) -> list[dict[str, Any]]:
        """A table: what its columns are called, and what is in each, converted already."""
        names = self.distinct([name_of(column) for column in columns])
        lists = list(values)
        self.take(sum(len(name) + 4 for name in names) * (len(lists[0]) if lists else 0))
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]

    def column(self, name: Any, values: list[Any]) -> list[Any]:
        """Values of one kind: where one number becomes text for its digits, all of the column do."""
        self._place.append(None if name is None else name_of(name))
        if any(is_rounded(each) for each in values):
            self.note("digits")
            values = [str(each) if _is_digits(each) else each for each in values]
        plain = self._simple(values) or self._entries(values)
        self._place.pop()
        return plain

    def _simple(self, values: list[Any]) -> list[Any] | None:
        """Many values at once, where all of them are text or numbers; None where they are not."""
        kinds = set(map(type, values))
        if not kinds <= _SIMPLE:
            return None
        self.take(sum(len(each) for each in values if type(each) is str) + len(values))
        if float not in kinds:
            return values
        return [each if type(each) is not float or each - each == 0 else None for each in values]

    def distinct(self, names: list[str]) -> list[str]:
        """`a`, `a` becomes `a`, `a_2`, or the next number that is free."""
        taken = set(names)
        if len(taken) == len(names):
            return names
        result: list[str] = []
        seen: set[str] = set()
        for name in names:
            unique, number = name, 2
            while unique in seen or (unique is not name and unique in taken):
                unique, number = f"{name}_{number}", number + 1
            if unique is not name:
                self.note("renamed", f"{self.here()}[{unique!r}]")
            seen.add(unique)
            result.append(unique)
        return result

    def _within(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        if id(value) in self._open:
            raise Unfit(f"{self.here()} contains itself. Leave out the part that refers back.")
        if len(self._open) >= MAX_DEPTH:
            raise Unfit(f"{self.here()} is nested more than {MAX_DEPTH} levels deep.")
        self._open.add(id(value))
        self.take(2)
        plain = convert(value)
        self._open.discard(id(value))
        return plain

    def _entries(self, values: Iterable[Any]) -> list[Any]:
        result = []
        self._place.append(0)
        for index, each in enumerate(values):
            self._place[-1] = index
            result.append(self.plain(each))
        self._place.pop()
        return result

    def _members(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        pairs = list(value.items())
        names = self.distinct([name_of(key) for key, _each in pairs])
        result = {}
        self._place.append(None)
        for name, (_key, each) in zip(names, pairs, strict=True):
            self._place[-1] = name
            self.take(len(name) + 4)
            result[name] = self.plain(each)
        self._place.pop()
        return result

    # Everything else that comes with Python

    def _standard(self, value: Any) -> Any:
        match value:
            case enum.Enum():
                return self.plain(value.value)
            case int():
                return self.whole(int(value))
            case str():
                return self.text(str.__str__(value))
            case float():
                return self.real(float(value))
            case decimal.Decimal():
                return self.decimal(value)
            case datetime.datetime() | datetime.date() | datetime.time():
                return self.text(value.isoformat())
            case datetime.timedelta() | uuid.UUID():
                return self.text(str(value))
            case os.PathLike():
                return self.text(os.fsdecode(value))
            case bytes() | bytearray() | memoryview():
                self.take(len(value))
                self.note("base64")
                return b64encode(value).decode()
            case tuple() if hasattr(value, "_asdict"):
                return self.mapping(value._asdict())
            case Mapping():
                return self.mapping(value)
            case list() | tuple() | range() | Set() | deque():
                return self.sequence(value)
            case _ if is_dataclass(value) and not isinstance(value, type):
                return self._within(
                    value, lambda each: self._members({field.name: getattr(each, field.name) for field in fields(each)})
                )
            case Iterator():
                raise Unfit(f"{self.here()} is {_with_article(value)}, which has no values until it is read: use list().")
            case _ if hasattr(value, "__await__"):
                raise Unfit(f"{self.here()} is {_with_article(value)} that has not run: put await in front of it.")
            case _:
                return self.as_text(value)

    def as_text(self, value: Any) -> str:
        if self._strict:
            raise Unfit(f"{self.here()} is {_with_article(value)}, which has no JSON form.")
        self.note("text", f"{self.here()} ({type(value).__name__})")
        return self.text(str(value))

    # Bounds and notes

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self.too_large()

    def too_large(self) -> None:
        raise TooLarge(
            f"{self._name} is longer than {self._limit:,} bytes as JSON. Return fewer rows or columns, or write it to a file."
        )

    def note(self, kind: str, place: str | None = None) -> None:
        count = self._counts.get(kind, 0)
        self._counts[kind] = count + 1
        if count < _NAMED:
            self._changes.setdefault(kind, []).append(place or self.here())

    def here(self) -> str:
        place = self._name + "".join(f"[{each!r}]" for each in self._place if each is not None)
        return place if len(place) <= _MAX_PLACE else place[:_MAX_PLACE] + "…"

    def _listed(self, kind: str) -> str:
        more = self._counts[kind] - _NAMED
        return ", ".join(self._changes[kind]) + (f" and {more:,} more" if more > 0 else "")


def name_of(key: Any) -> str:
    """A key or the name of a column as text; the parts of a MultiIndex with blanks between."""
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, tuple):
        return " ".join(name_of(part) for part in key if part != "")
    if isinstance(key, (datetime.datetime, datetime.date)):
        return key.isoformat()
    return str(key)


def is_exact(value: decimal.Decimal) -> bool:
    """Whether the number that readers of JSON make of it is written the same way."""
    if value.adjusted() > 15 or not value.is_finite():
        return False
    return decimal.Decimal(repr(float(value))) == value


def is_rounded(value: Any) -> bool:
    if type(value) is int:
        return not -MAX_EXACT <= value <= MAX_EXACT
    return isinstance(value, decimal.Decimal) and value.is_finite() and not is_exact(value)


def _is_digits(value: Any) -> bool:
    return type(value) is int or (isinstance(value, decimal.Decimal) and value.is_finite())


def _with_article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"
