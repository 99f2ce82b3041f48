"""From decisions on pairs to parties, independent of the order in which records came.

Matching is transitive only where nothing forbids it. Tier by tier, from the strongest rule down, the records that a
tier's AUTO pairs connect become one cluster if their union holds at most one valid number in each space where a party
has one; otherwise that whole group stays as it was, and its pairs become questions for a steward. Nothing here depends
on arrival: the same records give the same clusters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from ecif.matching.comparators import NAMES_MAX, NOTHING_SHARED, Shared, two_parties
from ecif.matching.features import Features

RecordId = int
Edge = tuple[int, RecordId, RecordId]
"""An AUTO pair: its rule's tier (1 is the strongest) and the two records."""
STATED_TIER = 0
"""The tier of pairs that are one because somebody said so: nothing else is asked."""


class _Groups:
    """Disjoint sets over record ids."""

    def __init__(self, records: Iterable[RecordId]) -> None:
        self.parent = {r: r for r in records}

    def root(self, record: RecordId) -> RecordId:
        while self.parent[record] != record:
            self.parent[record] = self.parent[self.parent[record]]
            record = self.parent[record]
        return record

    def join(self, a: RecordId, b: RecordId) -> None:
        self.parent[self.root(a)] = self.root(b)

    def sets(self) -> list[list[RecordId]]:
        found: dict[RecordId, list[RecordId]] = defaultdict(list)
        for record in self.parent:
            found[self.root(record)].append(record)
        return list(found.values())


def connected(records: Iterable[RecordId], edges: Iterable[Edge]) -> list[list[RecordId]]:
    """The groups of records that any AUTO pairs connect, vetoes left aside."""
    groups = _Groups(records)
    for _, a, b in edges:
        groups.join(a, b)
    return groups.sets()


def compatible(
    members: Iterable[RecordId], features: Mapping[RecordId, Features], shared: Shared = NOTHING_SHARED
) -> bool:
    """Whether these records may be one party: at most one valid number in each space where a party has one.

    A number that took another's place, as a record says, does not contradict it. Records of which somebody said that they
    are not the same are never one.

    Args:
        shared: numbers that too many parties hold; they say nothing, so they forbid nothing.
    """
    members = list(members)
    if _said_apart(members, features):
        return False
    held: dict[str, set[str]] = defaultdict(set)
    checked: set[str] = set()
    for member in members:
        one = features[member]
        checked.update(n for n in one.strong if n not in one.unchecked)
        for number in one.strong:
            if shared.get(number, 1) <= NAMES_MAX:
                held[number.partition(":")[0]].add(number)
    pairs = (pair for numbers in held.values() for pair in combinations(numbers, 2))
    excused = _excused(members, features)
    return not any(two_parties(x, y, {x, y} - checked) for x, y in pairs if {x, y} not in excused)


def _excused(members: Iterable[RecordId], features: Mapping[RecordId, Features]) -> set[frozenset[str]]:
    """Pairs of numbers of which one took the other's place, as a record says."""
    found = ((*features[m].strong, *features[m].replaced) for m in members if features[m].replaced)
    return {frozenset(pair) for numbers in found for pair in combinations(numbers, 2)}


def _said_apart(members: Iterable[RecordId], features: Mapping[RecordId, Features]) -> bool:
    apart = {name for m in members for name in features[m].not_same_as}
    return bool(apart) and any(features[m].name in apart for m in members)


def cluster(
    records: Sequence[RecordId],
    edges: Iterable[Edge],
    features: Mapping[RecordId, Features],
    shared: Shared = NOTHING_SHARED,
) -> list[list[RecordId]]:
    """Splits records into parties, tier by tier (see the module's text)."""
    by_tier: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_tier[edge[0]].append(edge)
    clusters = connected(records, by_tier.pop(STATED_TIER, ()))
    for tier in sorted(by_tier):
        clusters = _close(clusters, by_tier[tier], features, shared)
    return clusters


def _close(
    clusters: list[list[RecordId]], edges: list[Edge], features: Mapping[RecordId, Features], shared: Shared
) -> list[list[RecordId]]:
    """One tier: joins each connected group of clusters whose union is compatible, and leaves the others apart."""
    head = {member: group[0] for group in clusters for member in group}
    by_head = {group[0]: group for group in clusters}
    closed: list[list[RecordId]] = []
    for heads in connected(by_head, ((t, head[a], head[b]) for t, a, b in edges)):
        union = [member for h in heads for member in by_head[h]]
        if len(heads) == 1 or compatible(union, features, shared):
            closed.append(union)
        else:
            closed.extend(by_head[h] for h in heads)
    return closed
