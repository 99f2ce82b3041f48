"""Names of persons (姓名): one normal form, and how two names relate.

The raw name stays in the source record; what is compared is made here. A name with a hidden or unknown character is never
equal to another, and nothing is ever 'repaired' from a wildcard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import permutations

from ecif.domain.han import (
    DOTS,
    PRIVATE_USE,
    WILDCARDS,
    fold_umlaut,
    is_han,
    readings,
    simplify,
    syllables,
)
from ecif.domain.text import clean, visible

_DOT = re.compile(f"[{re.escape(DOTS)}_-]+")
_PLAIN = re.compile(r"[一-鿿]{2,4}")
_NOTE = re.compile(r"[(\[【（](?:个人|已故|本人|先生|女士|老卡|新卡|旧|新|注销|销户|代|户主|\d+)[)\]】）]")
_TITLE = re.compile(r"(?:先生|女士|小姐|同志|老师|太太|老卡)$")
_LATIN_TITLE = re.compile(r"\b(?:MR|MRS|MS|MISS|DR)\b\.?")
_BRACKETS = re.compile(r"[(\[【（]([^)\]】）]{1,6})[)\]】）]")
_DECOMPOSED = re.compile(r"[⿰-⿻]..")
_LETTERS = re.compile(r"[A-Z]+")
_SEVERAL = re.compile(r"[、,;/&]|(?<=[一-鿿])和(?=[一-鿿]{2,})")
_TRAILING_STAR = re.compile(r"(?<=[一-鿿]{3})\*+$")
_SPACED_PARTS = re.compile(r"(?<=[一-鿿]{2}) (?=[一-鿿]{3})|(?<=[一-鿿]{3}) (?=[一-鿿]{2})")
"""A space in the place of the dot of a long name (a blank inside a short name is dirt)."""
_EMBOSSED_MAX = 19
"""Characters that fit on a card; a Latin name of this length may have been cut."""


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in normal form.

    Attributes:
        text: as the document shows it, freed of notes and widths.
        key: for comparison: simplified, without dots and spaces, ``?`` for a character that is hidden or unknown; a Latin
            name is its sorted upper-case words.
        latin: written in Latin letters.
        wildcards: ``key`` holds a ``?``.
        several: more than one holder in one field.
    """

    text: str = field(repr=False)
    key: str = field(repr=False)
    latin: bool = False
    wildcards: bool = False
    several: bool = False


class NameRelation(StrEnum):
    """姓名关系, strongest first."""

    EQUAL = "EQUAL"
    TRADITIONAL = "TRADITIONAL"
    """Equal in simplified form."""
    DOT = "DOT"
    """Equal without the dots."""
    WILDCARD = "WILDCARD"
    """Equal where both show a character."""
    PINYIN = "PINYIN"
    """Latin letters that are a reading of the other."""
    TRUNCATED = "TRUNCATED"
    """One is the beginning of the other."""
    SUBSET = "SUBSET"
    """A part (father's name, middle name) is left out, or the parts are in another order."""
    HOMOPHONE = "HOMOPHONE"
    """Sounds the same, is written otherwise: another name, unless something stronger says so."""
    ONE_CHARACTER = "ONE_CHARACTER"
    """One character differs or is missing, or two neighbours changed places."""
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


@lru_cache(maxsize=4096)
def normalize_person_name(raw: str) -> PersonName | None:
    """The normal form, or None where nothing is left of the name."""
    if _PLAIN.fullmatch(raw):
        return PersonName(raw, simplify(raw))
    text = visible(raw.translate(PRIVATE_USE))
    text = _TITLE.sub("", _NOTE.sub("", clean(text) if _needs_folding(text) else text).strip()).strip()
    if not text:
        return None
    if not any(map(is_han, text)) and _LETTERS.search(text.upper()):
        return _latin_name(text)
    return _han_name(text)


def _needs_folding(text: str) -> bool:
    return any("！" <= c <= "～" and c not in DOTS for c in text)


def _latin_name(text: str) -> PersonName | None:
    upper = _LATIN_TITLE.sub(" ", clean(text).upper())
    words = [fold_umlaut(w) for w in re.findall(r"[A-ZÀ-ÞŪ?*]+", upper.replace("'", "").replace("-", " "))]
    if not words:
        return None
    key = " ".join(sorted(words)).replace("*", "?")
    return PersonName(" ".join(upper.split()), key, latin=True, wildcards="?" in key)


def _han_name(text: str) -> PersonName | None:
    several = bool(_SEVERAL.search(text))
    bracketed = _BRACKETS.search(text)
    if bracketed and len(text) - len(bracketed[0]) <= 3:  # 王(韦华): a character written as its parts
        text = _BRACKETS.sub("?", text)
    text = _SPACED_PARTS.sub("·", _TRAILING_STAR.sub("", text))
    shown = _DOT.sub("·", _DECOMPOSED.sub("?", _BRACKETS.sub("", text).replace(" ", ""))).strip("·")
    key = "".join(map(_key_character, _LETTERS.sub("?", shown.upper())))
    if not key.strip("?"):
        return None
    return PersonName(shown, simplify(key), wildcards="?" in key, several=several)


def _key_character(character: str) -> str:
    if character in WILDCARDS or "\ue000" <= character <= "\uf8ff":
        return "?"
    return "" if character == "·" else character


def relate_person_names(a: PersonName | None, b: PersonName | None) -> NameRelation:
    """How two names relate: the strongest relation that holds. Symmetric."""
    if a is None or b is None:
        return NameRelation.MISSING
    if a.key == b.key and not a.wildcards:
        return _same_key(a, b)
    if a.latin != b.latin:
        return _across_scripts(a, b) if b.latin else _across_scripts(b, a)
    if a.latin:
        return _latin_words(a.key, b.key)
    if "·" in a.text and "·" in b.text and sorted(a.text.split("·")) == sorted(b.text.split("·")):
        return NameRelation.SUBSET
    return _han_relation(*sorted((a.key, b.key), key=lambda k: (len(k), k)))


def _same_key(a: PersonName, b: PersonName) -> NameRelation:
    if a.text == b.text or a.latin:
        return NameRelation.EQUAL
    return NameRelation.DOT if ("·" in a.text) != ("·" in b.text) else NameRelation.TRADITIONAL


def _across_scripts(han: PersonName, latin: PersonName) -> NameRelation:
    if han.wildcards or latin.wildcards or len(han.key) > 6:
        return NameRelation.MISSING if len(han.key) > 6 else NameRelation.DIFFERENT
    given = latin.text.replace(" ", "").replace("/", "").replace("-", "").replace("'", "")
    given = fold_umlaut(given)
    cut = len(latin.text) >= _EMBOSSED_MAX
    for surname, rest in readings(han.key):
        for written in (surname + rest, rest + surname):
            spelled = _u_for_v(written)
            if given in (written, spelled) or (cut and (written.startswith(given) or spelled.startswith(given))):
                return NameRelation.PINYIN
    return NameRelation.DIFFERENT


def _u_for_v(pinyin_text: str) -> str:
    """Machines print LU for 吕 where they have no Ü."""
    return pinyin_text.replace("V", "U")


def _latin_words(a: str, b: str) -> NameRelation:
    ours, theirs = a.split(), b.split()
    if len(ours) != len(theirs) and _written_together(*sorted((ours, theirs), key=len)):
        return NameRelation.EQUAL
    small, large = sorted((set(ours), set(theirs)), key=len)
    return NameRelation.SUBSET if len(small) >= 2 and small < large else NameRelation.DIFFERENT


def _written_together(short: list[str], long: list[str]) -> bool:
    """``ZHANGSAN`` is ``ZHANG SAN``."""
    return len(short) == 1 and len(long) <= 3 and any("".join(p) == short[0] for p in permutations(long))


def _han_relation(short: str, long: str) -> NameRelation:
    """``short`` is the shorter key, or the smaller of two of one length."""
    if "?" in short or "?" in long:
        if short.rstrip("?") == long.rstrip("?") and len(short.rstrip("?")) >= 2:
            return NameRelation.WILDCARD  # a star typed behind a name, or a last character that is hidden
        fits = len(short) == len(long) and all(x == y or "?" in (x, y) for x, y in zip(short, long, strict=True))
        return NameRelation.WILDCARD if fits else NameRelation.DIFFERENT
    if len(short) == len(long):
        return _same_length(short, long)
    if len(short) >= 2 and long.startswith(short):
        return NameRelation.SUBSET if len(long) - len(short) > 2 and len(short) >= 3 else NameRelation.TRUNCATED
    if (
        len(long) - len(short) == 1
        and len(short) >= 2
        and any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    ):
        return NameRelation.ONE_CHARACTER
    return NameRelation.DIFFERENT


def _same_length(a: str, b: str) -> NameRelation:
    if len(a) <= 6 and all(set(x) & set(y) for x, y in zip(syllables(a), syllables(b), strict=False)):
        return NameRelation.HOMOPHONE if len(syllables(a)) == len(syllables(b)) else NameRelation.DIFFERENT
    differing = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    swapped = len(differing) == 2 and differing[1] == differing[0] + 1 and a[differing[0]] == b[differing[1]]
    slip = len(a) >= 2 and (len(differing) == 1 or (swapped and sorted(a) == sorted(b) and len(a) >= 3))
    return NameRelation.ONE_CHARACTER if slip else NameRelation.DIFFERENT
