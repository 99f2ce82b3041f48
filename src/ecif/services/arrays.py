"""Lists as PostgreSQL reads them: whole arrays in its binary form (docs/decisions/0004).

The driver does this value by value in Python and asks each for its type, which took a tenth of every call. Here a list has
one type, that of its first value; statements cast it to what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from struct import Struct
from typing import Any
from uuid import UUID

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_size, _wide, _day = Struct(">i").pack, Struct(">iq").pack, Struct(">ii").pack
_header, _empty = Struct(">iiIii").pack, Struct(">iiI").pack
_NULL = _size(-1)
_DAY_ZERO, _TIME_ZERO = date(2000, 1, 1), datetime(2000, 1, 1, tzinfo=UTC)
"""Where PostgreSQL counts from."""

Cells = Callable[[Iterable[Any]], list[bytes]]


def _micros(value: datetime) -> int:
    since = value - _TIME_ZERO
    return since.microseconds + 1_000_000 * (since.seconds + 86_400 * since.days)


def _sized(values: Iterable[bytes]) -> list[bytes]:
    return [_size(len(data)) + data for data in values]


_KINDS: dict[type, tuple[int, int, Cells]] = {
    str: (25, 1009, lambda values: _sized(value.encode() for value in values)),
    int: (20, 1016, lambda values: [_wide(8, value) for value in values]),
    bool: (16, 1000, lambda values: [b"\0\0\0\1\1" if value else b"\0\0\0\1\0" for value in values]),
    UUID: (2950, 2951, lambda values: _sized(value.bytes for value in values)),
    bytes: (17, 1001, _sized),
    datetime: (1184, 1185, lambda values: [_wide(8, _micros(value)) for value in values]),
    date: (1082, 1182, lambda values: [_day(4, (value - _DAY_ZERO).days) for value in values]),
}
"""Type → the server's number for it, the number for its arrays, and how values are written, each behind its length."""


class _Array(bytes):
    """An array as it goes over the wire."""


def _made(oid: int) -> type[_Array]:
    """The class of the arrays of a type: by its class the driver knows what it sends."""
    array = type("_Array", (_Array,), {})
    dumper = type("_Written", (_Written,), {"oid": oid})
    psycopg.adapters.register_dumper(array, dumper)
    return array


class _Written(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


_CLASSES = {kind: _made(oid) for kind, (_, oid, _) in _KINDS.items()}


def array(values: Sequence[Any]) -> bytes:
    """The list as one parameter; None is NULL, and a list that holds nothing else is one of texts.

    Raises:
        StopIteration: a type that no column has.
    """
    given = next((type(value) for value in values if value is not None), str)
    kind = given if given in _KINDS else next(base for base in given.__mro__ if base in _KINDS)
    element, _, write = _KINDS[kind]
    if not values:
        return _CLASSES[kind](_empty(0, 0, element))
    nulls = None in values
    cells = write(values) if not nulls else [_NULL if value is None else write([value])[0] for value in values]
    return _CLASSES[kind](_header(1, nulls, element, len(cells), 1) + b"".join(cells))
