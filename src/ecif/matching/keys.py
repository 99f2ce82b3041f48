"""Under which keys a record is found: match keys (匹配键), which bring candidates, and look-up keys, which only search.

A key is plain text here; services store its keyed digest. Two records that share no match key are never compared, so
every rule of the rule table needs a key that its agreeing facts imply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from ecif.domain.company_names import normalize_company_name
from ecif.domain.han import spellings, turned
from ecif.domain.names import PersonName, normalize_person_name
from ecif.domain.records import Account, PartyType
from ecif.matching.features import Features


class KeyKind(IntEnum):
    """What a key is made of. The numbers are stored: never change one."""

    IDENTIFIER = 1
    MASKED_NUMBER = 2
    NAME_BIRTH = 3
    PHONE = 4
    EMAIL = 5
    COMPANY = 6
    NAME_ADDRESS = 7
    WHOLE_NUMBER = 8
    """Stored, never looked for: a whole number that waits under its ends for masked ones (:func:`row_kind`)."""
    RECORD = 9
    """The record's own name, under which those that speak of its party meet it."""
    NAME = 20
    ACCOUNT = 21
    PINYIN = 22
    """A name in Latin letters (拼音)."""
    MOVED_ACCOUNT = 23
    """An account that another record names, but that belongs to this record's customer."""


@dataclass(frozen=True, slots=True)
class Block:
    """How far a kind of key is trusted to bring candidates.

    Attributes:
        rows_max: more records than this under one key, and the key says nothing (a block is ignored as a whole, so that
            the result does not depend on which records came first).
        names_max: more incompatible names than this, and the value is shared or a placeholder; None does not count names.
    """

    rows_max: int
    names_max: int | None = None


BLOCKS: dict[KeyKind, Block] = {
    KeyKind.IDENTIFIER: Block(rows_max=500, names_max=5),
    KeyKind.MASKED_NUMBER: Block(rows_max=200),
    KeyKind.NAME_BIRTH: Block(rows_max=200),
    KeyKind.PHONE: Block(rows_max=100, names_max=5),
    KeyKind.EMAIL: Block(rows_max=100, names_max=5),
    KeyKind.COMPANY: Block(rows_max=200),
    KeyKind.NAME_ADDRESS: Block(rows_max=200),
    KeyKind.RECORD: Block(rows_max=200),
}
"""Kinds that bring candidates. The others are for look-up only."""

Key = tuple[KeyKind, str]


@lru_cache(maxsize=4096)  # asked for again at every step of one decision
def match_keys(features: Features) -> frozenset[Key]:
    """The keys under which a record meets its candidates; for a quarantined (test) record its name alone."""
    keys: set[Key] = {(KeyKind.RECORD, name) for name in (features.name, *features.same_as)}
    if features.quarantined:
        return frozenset(keys)
    numbers = (*features.strong, *features.replaced, *features.documents, *features.broken)
    keys.update((KeyKind.IDENTIFIER, n) for n in numbers)
    keys.update((KeyKind.PHONE, phone) for phone in features.phones)
    keys.update((KeyKind.EMAIL, email) for email in features.emails)
    keys.update(_masked_keys(features))
    keys.update(_name_keys(features))
    return frozenset(keys)


def _masked_keys(features: Features) -> list[Key]:
    """First six and last four digits: what a masked number (``110101********1234``) still shows."""
    shown = [n for n in (*features.strong, *features.masked) if n.startswith("CITIZEN:") and len(n) == 26]
    ends = {f"{n[8:14]}{n[-4:]}" for n in shown}
    return [(KeyKind.MASKED_NUMBER, end) for end in ends if "*" not in end]


def _name_keys(features: Features) -> list[Key]:
    name = features.name_key
    if not name or "?" in name:
        return []
    keys: list[Key] = []
    if features.party_type is PartyType.ORGANIZATION and features.company:
        company = features.company
        keys.append((KeyKind.COMPANY, company.trade + company.branch if company.trade else company.key))
    else:
        if features.birth:
            keys.append((KeyKind.NAME_BIRTH, f"{name}|{features.birth}"))
        keys.extend((KeyKind.NAME_ADDRESS, f"{name}|{a.key}") for a in features.addresses if a.key)
    return keys


def row_kind(key: Key, features: Features) -> KeyKind:
    """The kind under which a record's key is stored. Two whole numbers with the same ends have nothing to say to each other."""
    kind, _ = key
    return KeyKind.WHOLE_NUMBER if kind is KeyKind.MASKED_NUMBER and not features.masked else kind


LASTING = frozenset({KeyKind.NAME, KeyKind.PINYIN, KeyKind.MOVED_ACCOUNT})
"""Kinds under which a record is found for ever, whatever its newest version says: by every name that any of its versions had
(曾用名), and by accounts that it was given."""


def lookup_keys(features: Features, accounts: Iterable[Account]) -> frozenset[Key]:
    """Keys for search only: the names, and account numbers that are whole."""
    return name_keys(features) | {(KeyKind.ACCOUNT, a.number) for a in accounts if not a.masked}


def name_keys(features: Features) -> frozenset[Key]:
    """The names in their forms of comparison, also as the source's Latin letters, and how those of persons are read."""
    normalize = normalize_person_name if features.party_type is PartyType.PERSON else normalize_company_name
    former = map(normalize, features.former_names)
    names = [n for n in (features.company, features.person, features.latin, *former) if n and n.key]
    read = (s for n in names if isinstance(n, PersonName) and not n.wildcards for s in _letters(n))
    return frozenset({(KeyKind.NAME, n.key) for n in names} | {(KeyKind.PINYIN, s) for s in read})


def _letters(name: PersonName) -> Iterable[str]:
    return turned(name.text)[:1] if name.latin else spellings(name.key)
