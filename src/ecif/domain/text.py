"""Cleans text as bank systems export it, without ever changing what a person would read.

Exports hold zero-width characters, soft hyphens, control characters and full-width digits in any cell. They are removed
or folded by an explicit table and not by NFKC, which would also fold ``㈱`` and ``①`` (``docs/matching.md``).
"""

from __future__ import annotations

import re
import unicodedata

_BLANKS = (*range(0x09, 0x0E), 0x85, 0xA0, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
_HIDDEN = (*range(0x00, 0x20), *range(0x7F, 0xA0), 0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F))
_INVISIBLE: dict[int, str | int | None] = dict.fromkeys((*_HIDDEN, 0x2060, 0xFEFF))
_INVISIBLE |= dict.fromkeys(_BLANKS, " ")
_HALF_WIDTH = {c: c - 0xFEE0 for c in range(0xFF01, 0xFF5F)}
_CLEAN_TABLE: dict[int, str | int | None] = {**_INVISIBLE, **_HALF_WIDTH}
_SPACES = re.compile(r" {2,}")


def visible(text: str) -> str:
    """Drops what a reader cannot see and trims; widths and wording stay as they are."""
    if text.isascii() and text.isprintable():
        return text.strip()
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text).translate(_INVISIBLE)).strip()


def clean(text: str) -> str:
    """:func:`visible` plus half-width forms: the text to compare, to parse and to look codes up with."""
    if text.isascii() and text.isprintable():
        return _SPACES.sub(" ", text).strip()
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text).translate(_CLEAN_TABLE)).strip()


def compact(text: str) -> str:
    """:func:`clean` without any space: for codes, numbers and dates, which never hold one."""
    return clean(text).replace(" ", "")
