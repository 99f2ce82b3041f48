"""Values that stand for 'nothing' (占位值): versioned lists in ``data/placeholders.json`` and a few patterns.

A placeholder stays in the source record and counts as missing everywhere else. Values that too many parties hold are
found by counting (:class:`ecif.matching.keys.Block`), not here.
"""

from __future__ import annotations

import json
import re
from datetime import date
from importlib.resources import files

from ecif.domain.text import compact

_LISTS: dict[str, list[str]] = json.loads((files("ecif.domain") / "data/placeholders.json").read_text("utf-8"))
_SETS = {name: frozenset(values) for name, values in _LISTS.items() if name != "version"}
_REPEATED = re.compile(r"(.)\1*|(..)\2{3,}\2?.?")
_DATES = frozenset(map(date.fromisoformat, _SETS["date"]))
_ASCENDING = "01234567890123456789"
_TEST = re.compile("|".join(map(re.escape, _LISTS["test_name"])))

VERSION: str = str(_LISTS["version"])
"""Raised with every change of the lists: what counts as a value decides who is found."""


def is_placeholder_identifier(number: str) -> bool:
    """``number`` in upper case without spaces: listed, one or two characters repeated, or counted up."""
    return (
        number in _SETS["identifier"] or bool(_REPEATED.fullmatch(number)) or (len(number) > 5 and number in _ASCENDING)
    )


def is_placeholder_phone(digits: str) -> bool:
    """A number nobody can be rung under: listed, too short, one digit repeated (also after the leading 1)."""
    return digits in _SETS["phone"] or len(digits) < 7 or len(set(digits)) == 1 or len(set(digits[1:])) == 1


def is_placeholder_name(name: str) -> bool:
    """无, 不详, N/A … as a name."""
    return (text := compact(name).upper()) in _SETS["name"] or not text or text.strip("?*-._0123456789") == ""


def is_test_name(name: str) -> bool:
    """Test records in production (测试户): to be kept apart, never matched. 测 alone may be a given name."""
    return bool(_TEST.search(compact(name).upper()))


def is_placeholder_date(value: date) -> bool:
    """1900-01-01 and the like."""
    return value in _DATES


def is_placeholder_address(text: str) -> bool:
    """同上, 略, 中国 … as an address."""
    return (value := compact(text).upper()) in _SETS["address"] or len(value) < 2


def is_placeholder_email(address: str) -> bool:
    """``a@a.com`` and the like, in lower case."""
    return address in _SETS["email"]


def is_placeholder_employer(name: str) -> bool:
    """无, 个体, 退休 …: true of many, an employer of none."""
    return (text := compact(name).upper()) in _SETS["employer"] or len(text) < 2
