"""From decisions on pairs to parties, independent of the order in which records came.

What people judged comes first, and what was said of records when they were written second; whatever these join is one,
and nothing that agrees or contradicts inside it is asked again. Beyond that, matching is transitive only where nothing
forbids it. Tier by tier, from the strongest rule down, the records that a
tier's AUTO pairs connect become one cluster if their union holds at most one valid number in each space where a party
has one; otherwise that whole group stays as it was, and its pairs become questions for a steward. Nothing here depends
on arrival: the same records give the same clusters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

from ecif.matching.comparators import NAMES_MAX, NOTHING_SHARED, Shared, two_parties
from ecif.matching.features import Features

RecordId = int
Edge = tuple[int, RecordId, RecordId]
"""An AUTO pair: its rule's tier (1 is the strongest) and the two records."""
JUDGED_TIER = -1
"""The tier of pairs that a steward judged to be one (人工裁决): nothing else is asked."""
STATED_TIER = 0
"""The tier of pairs that are one because somebody said so: only whether they were judged to be two is asked."""
Apart = Collection[tuple[RecordId, RecordId]]
"""Pairs, the lower record first, that a steward judged not to be one."""
Roots = Mapping[RecordId, RecordId]
"""The records that people joined, each with one of its group that stands for it."""
NO_ROOTS: Roots = MappingProxyType({})


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


def roots_of(records: Iterable[RecordId], edges: Iterable[Edge], apart: Apart = ()) -> Roots:
    """The groups that people joined, by each of their records; who was joined with nobody is not in it."""
    by_tier: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        if edge[0] <= STATED_TIER:
            by_tier[edge[0]].append(edge)
    groups = connected(records, by_tier[JUDGED_TIER]) if by_tier else []
    joined = _close(groups, by_tier[STATED_TIER], apart, lambda union, apart: not judged_apart(union, apart))
    return {member: group[0] for group in joined if len(group) > 1 for member in group}


def judged_apart(members: Iterable[RecordId], apart: Apart) -> bool:
    """Whether two of these records were judged not to be one."""
    inside = set(members)
    return any(lo in inside and hi in inside for lo, hi in apart)


def compatible(
    members: Iterable[RecordId],
    features: Mapping[RecordId, Features],
    shared: Shared = NOTHING_SHARED,
    apart: Apart = (),
    roots: Roots = NO_ROOTS,
) -> bool:
    """Whether these records may be one party: at most one valid number in each space where a party has one.

    A number that took another's place, as a record says, does not contradict it, nor do two numbers of records that people
    joined. Records of which somebody said that they are not the same are never one.

    Args:
        shared: numbers that too many parties hold; they say nothing, so they forbid nothing.
        apart: pairs that were judged not to be one.
        roots: the groups that people joined.
    """
    members = list(members)
    if judged_apart(members, apart) or _said_apart(members, features, roots):
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
    excused = _excused(members, features, roots)
    return not any(two_parties(x, y, {x, y} - checked) for x, y in pairs if {x, y} not in excused)


def _excused(members: Sequence[RecordId], features: Mapping[RecordId, Features], roots: Roots) -> set[frozenset[str]]:
    """Pairs of numbers of which one took the other's place, as a record says, or whose holders people joined."""
    found = [(*features[m].strong, *features[m].replaced) for m in members if features[m].replaced]
    joined: dict[RecordId, set[str]] = defaultdict(set)
    for member in members:
        if member in roots:
            joined[roots[member]].update(features[member].strong)
    return {frozenset(pair) for numbers in (*found, *joined.values()) for pair in combinations(numbers, 2)}


def _said_apart(members: Sequence[RecordId], features: Mapping[RecordId, Features], roots: Roots) -> bool:
    said = [(m, name) for m in members for name in features[m].not_same_as]
    by_name = {features[m].name: m for m in members} if said else {}
    return any(name in by_name and roots.get(m, m) != roots.get(by_name[name], by_name[name]) for m, name in said)


def cluster(
    records: Sequence[RecordId],
    edges: Collection[Edge],
    features: Mapping[RecordId, Features],
    shared: Shared = NOTHING_SHARED,
    apart: Apart = (),
) -> list[list[RecordId]]:
    """Splits records into parties, tier by tier (see the module's text)."""
    by_tier: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_tier[edge[0]].append(edge)
    roots = roots_of(records, edges, apart)
    clusters = _groups(records, roots)

    def fits(union: list[RecordId], apart: Apart) -> bool:
        return compatible(union, features, shared, apart, roots)

    for tier in sorted(tier for tier in by_tier if tier > STATED_TIER):
        clusters = _close(clusters, by_tier[tier], apart, fits)
    return clusters


def _groups(records: Iterable[RecordId], roots: Roots) -> list[list[RecordId]]:
    found: dict[RecordId, list[RecordId]] = defaultdict(list)
    for record in records:
        found[roots.get(record, record)].append(record)
    return list(found.values())


def _close(
    clusters: list[list[RecordId]], edges: Iterable[Edge], apart: Apart, fits: Callable[[list[RecordId], Apart], bool]
) -> list[list[RecordId]]:
    """One tier: joins each connected group of clusters whose union fits, and leaves the others apart.

    Where only what people said keeps a group from being one, its parts are joined without the pairs that this is about.
    Where it would not be one anyway, it stays as it is: a person who tells two of a group apart has not said of the others
    that they are one, and what he says is taken back as if it had not been said.
    """
    head = {member: group[0] for group in clusters for member in group}
    by_head = {group[0]: group for group in clusters}
    ties = [(t, head[a], head[b]) for t, a, b in edges]
    closed: list[list[RecordId]] = []
    told: list[RecordId] = []
    for heads, union in _unions(by_head, by_head, ties):
        if len(heads) == 1 or fits(union, apart):
            closed.append(union)
        elif apart and fits(union, ()):
            told += heads
        else:
            closed.extend(by_head[h] for h in heads)
    for heads, union in _unions(told, by_head, _untold(ties, set(told), head, apart)):
        closed.extend([union] if len(heads) == 1 or fits(union, apart) else (by_head[h] for h in heads))
    return closed


def _unions(
    heads: Iterable[RecordId], by_head: Mapping[RecordId, list[RecordId]], ties: Iterable[Edge]
) -> Iterable[tuple[list[RecordId], list[RecordId]]]:
    """The clusters that the ties connect, and all of their records."""
    return ((group, [member for h in group for member in by_head[h]]) for group in connected(heads, ties))


def _untold(
    ties: Iterable[Edge], inside: Collection[RecordId], head: Mapping[RecordId, RecordId], apart: Apart
) -> list[Edge]:
    """The ties between clusters of which nobody said that they are not one."""
    told = {frozenset((head[lo], head[hi])) for lo, hi in apart if lo in head and hi in head}
    return [tie for tie in ties if tie[1] in inside and frozenset(tie[1:]) not in told]
