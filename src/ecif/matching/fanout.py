"""Of how many parties a value seems to be (一值多户): counted by incompatible names, which no matching result changes."""

from __future__ import annotations

from collections.abc import Iterable

from ecif.domain.names import NameRelation
from ecif.domain.records import PartyType
from ecif.matching.clustering import connected
from ecif.matching.comparators import NOTHING_SHARED, name
from ecif.matching.features import Features
from ecif.matching.types import Level


def fan_out(holders: Iterable[Features], names_max: int, *, numbers_join: bool) -> int:
    """How many names that cannot be one party's hold a value, counted up to ``names_max + 1``.

    Spellings and masks of one name count once; names that only sound alike count apart, and so do a short
    name and a longer one, or a phone of twins (张文博, 张文渤), of father and son (张伟, 张伟强) would look like one
    person's. Holders without a name do not count, and people and
    organisations count apart, since an owner's phone on his shop is one owner's phone.

    Args:
        numbers_join: names under one valid identity number count once, whatever was typed (not where the value counted
            is that number itself).
    """
    by_name = {(h.company, h.person, h.latin, h.strong): h for h in holders if h.name_key}
    kinds = ([h for h in by_name.values() if h.party_type is kind] for kind in PartyType)
    most = max(_groups(named, numbers_join) for named in kinds)
    return max(1, min(most, names_max + 1))


def _groups(named: list[Features], numbers_join: bool) -> int:
    if len(named) < 2:
        return len(named)
    pairs = [(1, i, j) for i in range(len(named)) for j in range(i) if _alike(named[i], named[j], numbers_join)]
    return len(connected(range(len(named)), pairs))


def _alike(a: Features, b: Features, numbers_join: bool) -> bool:
    if numbers_join and not set(a.strong).isdisjoint(b.strong):
        return True
    found = name(a, b, NOTHING_SHARED)
    return found.level >= Level.PARTIAL and found.reason not in (NameRelation.HOMOPHONE, NameRelation.TRUNCATED)
