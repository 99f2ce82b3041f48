"""Decides to which customer each record belongs (归属), and gives out the numbers.

The parties that a change can touch are locked in number order, their records loaded, and the whole group is clustered
again by :mod:`ecif.matching.clustering`; a number then follows the record for which it was issued. So the result is a
function of the records alone, and a merge made by the engine falls apart again when the record that bridged it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.customer_number import make_customer_number
from ecif.matching.clustering import Edge, cluster, compatible, connected
from ecif.matching.decision import decide, score
from ecif.matching.features import Features
from ecif.matching.keys import BLOCKS, Key, match_keys
from ecif.matching.rules import POLICY_VERSION, RULES
from ecif.matching.types import Decision, Outcome
from ecif.models import DoubtfulPair, Link, Party
from ecif.services.candidates import OVERFLOW, Search, load_known, search, shared_values
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query

COMPONENT_MAX = 5000
"""More records than this in one group are not clustered anew (its size alone shows that a value is shared)."""

RULE_OF_TIER = {rule.tier: rule.id for rule in RULES}
OWN_NUMBER = "NEW"
"""The rule of a link that opened a number."""

_LINKS = "SELECT record_id, customer_no FROM link WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[])"
_MEMBERS = "SELECT record_id, customer_no FROM link WHERE ended_at IS NULL AND customer_no = ANY(%(nos)b::text[])"
_LOCK = (
    "SELECT customer_no, party_type, status, anchor_id, version, event_seq, content_hash, merged_into FROM party"
    " WHERE customer_no = ANY(%(nos)b::text[]) OR anchor_id = ANY(%(ids)b::bigint[]) ORDER BY customer_no FOR UPDATE"
)
_HELD = (
    "SELECT record_lo, record_hi FROM doubtful_pair WHERE held AND record_lo = ANY(%(ids)b::bigint[])"
    " UNION SELECT record_lo, record_hi FROM doubtful_pair WHERE held AND record_hi = ANY(%(ids)b::bigint[])"
)
_DROP_PAIRS = "DELETE FROM doubtful_pair WHERE record_lo = ANY(%(ids)b::bigint[]) OR record_hi = ANY(%(ids)b::bigint[])"
_DROP_HELD = "DELETE FROM doubtful_pair WHERE held AND (record_lo = ANY(%(ids)b::bigint[]) OR record_hi = ANY(%(ids)b::bigint[]))"
_END_LINKS = "UPDATE link SET ended_at = %(now)b WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[])"
_NUMBERS = "SELECT nextval('customer_sequence') FROM generate_series(1, %(count)b)"


@dataclass(slots=True)
class PartyRow:
    """A row of the register, as locked."""

    customer_no: str
    party_type: str
    status: str
    anchor_id: int
    version: int
    event_seq: int
    content_hash: bytes
    merged_into: str | None
    new: bool = False


@dataclass(slots=True)
class Assignment:
    """Who belongs to whom after the change.

    Attributes:
        members: live customer number → its records, for every customer the change touches.
        merged: retired number → survivor.
        parties: the rows of all numbers involved, locked or new.
        changed: customers whose records changed in number or content.
    """

    members: dict[str, list[int]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    parties: dict[str, PartyRow] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Group:
    """The records that are looked at together: where each belongs now, and the pairs decided so far."""

    home: dict[int, str]
    parties: dict[str, PartyRow]
    decisions: dict[tuple[int, int], Decision]
    held: bool = False


def relink(
    session: Session, context: Context, dirty: Mapping[int, Features], left: Iterable[Key], closed: Collection[int] = ()
) -> Assignment:
    """Decides again for new and changed records and for all whom their change concerns, and stores the result.

    Args:
        dirty: features of the new and changed records; their keys are stored and claimed already.
        left: keys that changed records no longer have.
    """
    found = Search(context, dict(dirty))
    work = dict(dirty)
    extra = search(session, context, found, work, left) - set(work)
    while extra:
        load_known(session, extra, found.features)
        more = {i: found.features[i] for i in extra if i in found.features}
        work |= more
        extra = search(session, context, found, more, ()) - set(work)
    decisions = _decide(found, found.pairs(work))
    group = _lock(session, found, work, decisions)
    clusters = _clusters(session, context, found, work, group)
    assignment = _assign(session, group, clusters, found.features)
    _store_links(session, context, assignment, group)
    _store_pairs(session, found, assignment, work, group)
    assignment.changed |= {no for no, members in assignment.members.items() if not work.keys().isdisjoint(members)}
    return assignment


def _decide(found: Search, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Decision]:
    features, shared = found.features, found.shared
    known = ((lo, hi) for lo, hi in pairs if lo in features and hi in features)
    return {(lo, hi): decide(features[lo], features[hi], shared) for lo, hi in known}


def _auto(decisions: Mapping[tuple[int, int], Decision]) -> list[Edge]:
    return [(d.tier, lo, hi) for (lo, hi), d in decisions.items() if d.outcome is Outcome.AUTO]


def _lock(
    session: Session, found: Search, work: Mapping[int, Features], decisions: dict[tuple[int, int], Decision]
) -> _Group:
    """Locks the parties around the records until the group is closed: links, held pairs, and what they reach."""
    records = set(work) | {r for _, lo, hi in _auto(decisions) for r in (lo, hi)}
    group = _Group({}, {}, decisions)
    while True:
        homes = {r: no for r, no in query(session, _LINKS, ids=list(records))}
        wanted = set(homes.values()) - group.parties.keys()
        if not wanted:
            break
        for row in query(session, _LOCK, nos=sorted(wanted), ids=[]):
            group.parties[row.customer_no] = PartyRow(*row)
        group.home = {r: no for r, no in query(session, _MEMBERS, nos=list(group.parties))}
        records |= group.home.keys()
        held = query(session, _HELD, ids=list(group.home))
        group.held = group.held or bool(held)
        records |= {r for pair in held for r in pair}
    load_known(session, records, found.features)
    return group


def _clusters(
    session: Session, context: Context, found: Search, work: Mapping[int, Features], group: _Group
) -> list[list[int]]:
    """The group's records as parties. Where nothing contradicts, whatever is connected is one."""
    features = found.features
    records = [r for r in {*group.home, *work} if r in features]
    by_party: dict[str, list[int]] = defaultdict(list)
    for record in records:
        if record in group.home:
            by_party[group.home[record]].append(record)
    touched = [members for members in by_party.values() if not work.keys().isdisjoint(members)]
    whole = [members for members in by_party.values() if work.keys().isdisjoint(members)]
    if group.held:  # pairs held back connect parties, so that all of them are decided together again
        touched, whole = [records], []
    shared_values(session, context, (features[r] for members in touched for r in members), found.shared)
    for members in touched:
        _decide_within(found, members, group)
    chains: list[Edge] = [(1, members[0], other) for members in whole for other in members[1:]]
    clusters: list[list[int]] = []
    for component in connected(records, [*_auto(group.decisions), *chains]):
        clusters.extend(_split(session, context, found, component, group))
    return clusters


def _split(session: Session, context: Context, found: Search, component: list[int], group: _Group) -> list[list[int]]:
    if len(component) == 1 or compatible(component, found.features, found.shared):
        return [component]
    group.held = True
    shared_values(session, context, (found.features[r] for r in component), found.shared)
    _decide_within(found, component, group)
    inside = set(component)
    edges = [edge for edge in _auto(group.decisions) if edge[1] in inside and edge[2] in inside]
    return cluster(sorted(component), edges, found.features, found.shared)


def _decide_within(found: Search, members: Collection[int], group: _Group) -> None:
    """Decides all pairs of these records that share a key, as far as they are not decided yet."""
    blocks: dict[Key, list[int]] = defaultdict(list)
    for member in sorted(members)[:COMPONENT_MAX]:
        for key in match_keys(found.features[member]):
            blocks[key].append(member)
    pairs = {
        pair
        for key, block in blocks.items()
        if len(block) > 1 and not found.silent(key) and len(block) <= BLOCKS[key[0]].rows_max < OVERFLOW * 10
        for pair in combinations(block, 2)
        if pair not in group.decisions
    }
    group.decisions.update(_decide(found, pairs))


def _assign(session: Session, group: _Group, clusters: list[list[int]], features: Mapping[int, Features]) -> Assignment:
    """A number for each cluster: that of the record for which it was issued; of several, the survivor; else a new one."""
    assignment = Assignment(parties=dict(group.parties))
    by_anchor = {p.anchor_id: p for p in group.parties.values() if p.merged_into is None}
    homeless: list[list[int]] = []
    for members in clusters:
        anchored = [by_anchor[m] for m in members if m in by_anchor]
        if not anchored:
            homeless.append(members)
            continue
        survivor = min(anchored, key=lambda p: _precedence(p, group, features))
        assignment.members[survivor.customer_no] = members
        assignment.merged.update((p.customer_no, survivor.customer_no) for p in anchored if p is not survivor)
    _revive(session, group, homeless, assignment)
    _issue(session, homeless, features, assignment)
    for no, members in assignment.members.items():
        if assignment.parties[no].new or any(group.home.get(m) != no for m in members):
            assignment.changed.add(no)
        assignment.changed.update(group.home[m] for m in members if m in group.home and group.home[m] != no)
    return assignment


def _precedence(party: PartyRow, group: _Group, features: Mapping[int, Features]) -> tuple[bool, str]:
    """The survivor of a merge: a customer with a checked identity number before one without, then the older number."""
    strong = any(features[r].strong for r, no in group.home.items() if no == party.customer_no and r in features)
    return (not strong, party.customer_no)


def _revive(session: Session, group: _Group, homeless: list[list[int]], assignment: Assignment) -> None:
    """A merged number lives again when the record for which it was issued leaves its survivor."""
    known = {member for members in homeless for member in members if member in group.home}
    if not known:
        return
    rows = [PartyRow(*row) for row in query(session, _LOCK, nos=[], ids=sorted(known))]
    by_anchor = {row.anchor_id: row for row in rows if row.merged_into is not None}
    for members in list(homeless):
        retired = sorted((by_anchor[m] for m in members if m in by_anchor), key=lambda p: p.customer_no)
        if retired:
            no = retired[0].customer_no
            assignment.parties[no] = retired[0]
            assignment.members[no] = members
            assignment.merged.update((other.customer_no, no) for other in retired[1:])
            assignment.parties.update((other.customer_no, other) for other in retired[1:])
            homeless.remove(members)


def _issue(
    session: Session, homeless: list[list[int]], features: Mapping[int, Features], assignment: Assignment
) -> None:
    if not homeless:
        return
    sequence = [row.nextval for row in query(session, _NUMBERS, count=len(homeless))]
    for members, value in zip(sorted(homeless, key=min), sequence, strict=True):
        anchor = min(members)
        party_type = features[anchor].party_type
        no = make_customer_number(party_type, value)
        assignment.parties[no] = PartyRow(no, party_type.value, "ACTIVE", anchor, 0, 0, b"", None, new=True)
        assignment.members[no] = members


def _store_links(session: Session, context: Context, assignment: Assignment, group: _Group) -> None:
    """Ends the links that changed and starts the new ones. Parties are written first (:mod:`ecif.services.golden`)."""
    best: dict[int, int] = {}
    for tier, lo, hi in _auto(group.decisions):
        for record in (lo, hi):
            best[record] = min(tier, best.get(record, tier))
    moved = [(r, no) for no, members in assignment.members.items() for r in members if group.home.get(r) != no]
    assignment_rows = [
        (r, no, "AUTO", RULE_OF_TIER.get(best.get(r, 0), OWN_NUMBER), POLICY_VERSION, context.now) for r, no in moved
    ]
    ended = [r for r, _ in moved if r in group.home]
    new = [p for p in assignment.parties.values() if p.new]
    _insert_parties(session, context, new)
    if ended:
        query(session, _END_LINKS, ids=ended, now=context.now)
    columns = ("record_id", "customer_no", "origin", "rule", "policy_version", "started_at")
    insert_rows(session, Link, columns, assignment_rows)


def _insert_parties(session: Session, context: Context, new: list[PartyRow]) -> None:
    columns = (
        "customer_no", "party_type", "status", "anchor_id", "version", "event_seq", "content_hash", "issued_at", "updated_at",
    )  # fmt: skip
    rows = [(p.customer_no, p.party_type, p.status, p.anchor_id, 0, 0, b"", context.now, context.now) for p in new]
    insert_rows(session, Party, columns, rows)


def _store_pairs(
    session: Session, found: Search, assignment: Assignment, work: Mapping[int, Features], group: _Group
) -> None:
    """Replaces the doubtful pairs of the records decided again: REVIEW decisions, and AUTO ones that were held back."""
    home = {r: no for no, members in assignment.members.items() for r in members}
    rows = []
    for (lo, hi), decision in group.decisions.items():
        held = decision.outcome is Outcome.AUTO and home.get(lo) != home.get(hi)
        review = decision.outcome is Outcome.REVIEW and (lo in work or hi in work)
        if held or review:
            rows.append((lo, hi, held, decision.level, decision.rule, evidence(decision), POLICY_VERSION))
    old = [r for r in work if r in group.home]
    if old:
        query(session, _DROP_PAIRS, ids=old)
    if group.held:
        query(session, _DROP_HELD, ids=list(home))
    columns = ("record_lo", "record_hi", "held", "level", "rule", "evidence", "policy_version")
    insert_rows(session, DoubtfulPair, columns, rows, "ON CONFLICT DO NOTHING")


def evidence(decision: Decision) -> str:
    """What agrees and what does not, item by item, without any personal value."""
    items: list[dict[str, Any]] = [
        {"field": c.field.value, "level": c.level.name, "reason": c.reason} for c in decision.comparisons
    ]
    body = {"level": decision.level, "rule": decision.rule, "score": score(decision.comparisons), "items": items}
    return orjson.dumps(body).decode()
