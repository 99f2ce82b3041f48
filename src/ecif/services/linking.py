"""Decides to which customer each record belongs (归属), and gives out the numbers.

The parties that a change can touch are locked in number order, their records loaded, and the whole group is clustered
again by :mod:`ecif.matching.clustering`; a number then follows the record for which it was issued. So the result is a
function of the records alone, and a merge made by the engine falls apart again when the record that bridged it changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations, islice, product
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.matching.clustering import STATED_TIER, Edge, cluster, compatible, connected, roots_of
from ecif.matching.decision import decide
from ecif.matching.features import Features
from ecif.matching.keys import BLOCKS, Key, match_keys
from ecif.matching.types import Decision, Outcome
from ecif.services.assignment import (
    HELD,
    JUDGED,
    JUDGED_CHANGED_RULE,
    Assignment,
    Group,
    PartyRow,
    assign,
    auto,
    insert_pairs,
    pair_row,
    store_links,
    store_pairs,
)
from ecif.services.candidates import (
    OVERFLOW,
    Search,
    load_known,
    match_keys_of,
    search,
    search_again,
    search_judged,
    shared_values,
    strong_keys_of,
)
from ecif.services.context import Context
from ecif.services.judgements import NEWEST, basis, tied_beyond, ties_of, told_apart
from ecif.services.lane import keep, out_of_turn
from ecif.services.rematch import misfits, moves
from ecif.services.rows import query

COMPONENT_MAX = 5000
"""More records than this in one group are not clustered anew (its size alone shows that a value is shared)."""
ACROSS_MAX = 10_000
"""Pairs between two customers that are decided to tell how the rules would tie them."""
NOBODY: Mapping[int, Features] = MappingProxyType({})

_LINKS = "SELECT record_id, customer_no FROM link WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[])"
_LIVE = "SELECT record_id, customer_no, id, rule FROM link WHERE ended_at IS NULL AND"
_MEMBERS = f"{_LIVE} customer_no = ANY(%(nos)b::text[]) UNION {_LIVE} record_id = ANY(%(ids)b::bigint[])"
_PARTIES = (
    "SELECT customer_no, party_type, status, anchor_id, version, event_seq, content_hash, merged_into, updated_at FROM party"
    " WHERE"
)
_LOCK = (
    f"{_PARTIES} customer_no IN (SELECT customer_no FROM link WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[]))"
    " AND NOT customer_no = ANY(%(known)b::text[]) ORDER BY customer_no FOR UPDATE"
)
_LOCK_FREE = f"{_LOCK} SKIP LOCKED"
_LOCK_RETIRED = (
    f"{_PARTIES} anchor_id = ANY(%(ids)b::bigint[]) AND merged_into IS NOT NULL ORDER BY customer_no FOR UPDATE"
)
_TIES = " UNION ".join(
    part
    for end in ("record_lo", "record_hi")
    for part in (
        f"SELECT record_lo, record_hi, CASE WHEN held THEN '{HELD}' ELSE rule END AS tie, NULL::bytea AS basis_lo,"
        " NULL::bytea AS basis_hi FROM doubtful_pair"
        f" WHERE (held OR rule = '{JUDGED_CHANGED_RULE}') AND {end} = ANY(%(ids)b::bigint[])",
        "SELECT record_lo, record_hi, verdict, basis_lo, basis_hi"
        f" FROM judgement j WHERE {end} = ANY(%(ids)b::bigint[]) AND {NEWEST}",
    )
)
"""What ties records to others beside their keys: pairs that were held back, and judgements; and pairs that are a person's to
decide because a tied record was doubted."""


def relink(
    session: Session,
    context: Context,
    dirty: Mapping[int, Features],
    left: Iterable[Key],
    preferred: Collection[str] = (),
    settled: Callable[[int, int], bool] | None = None,
    was: Mapping[int, Features] = NOBODY,
) -> Assignment:
    """Decides again for new and changed records and for all whom their change concerns, and stores the result.

    Args:
        dirty: features of the new and changed records; their keys are stored and claimed already.
        left: keys that changed records no longer have.
        preferred: numbers that stay, or live again, before others of the same records.
        settled: where only what people judged of records has changed: the pairs that are not to be decided.
        was: the former features of records that tell of somebody else now.
    """
    found = Search(context, dict(dirty))
    work = dict(dirty)
    if settled:
        search_judged(session, context, found, dirty)
    holders = () if settled else search(session, context, found, dirty, left)
    concerned = {i: found.features[i] for i in holders if i not in dirty}
    if concerned:
        work |= concerned
        search_again(session, context, found, concerned)
    group = _around(session, context, found, work, settled, held=settled is not None)
    again = {r: found.features[r] for r in group.cleared - work.keys()}
    if again:
        work |= again
        search_again(session, context, found, again)
        group = _around(session, context, found, work, settled, held=True)
    group.turned = was.keys()
    clusters = _clusters(session, context, found, work, group)
    assignment = assign(session, group, clusters, found.features, preferred)
    store_links(session, context, assignment, group)
    store_pairs(session, assignment, work, group)
    assignment.changed |= {no for no, members in assignment.members.items() if not work.keys().isdisjoint(members)}
    if group.held:  # whose held pairs were stored anew, whichever of them changed
        assignment.asked = set(assignment.members)
    assignment.moves = [] if settled else moves(was, found.features, assignment)
    if group.doubted:
        known = (found.features[r] for r in group.home if r in found.features)
        shared_values(session, context, match_keys_of(known), found.shared)
        assignment.misfits = misfits(group.doubted, assignment.members, found.features, found.shared)
    return assignment


def hold(session: Session, context: Context, records: Mapping[int, Features]) -> None:
    """Stores the AUTO pairs of these records with those of other customers as held back.

    Before everything is decided anew, this makes known which groups belong together: each is then decided whole, at once,
    and never for a moment by one of its pairs alone.
    """
    found = Search(context, dict(records))
    search(session, context, found, records, ())
    decisions = _decide(session, context, found, found.pairs(records))
    ends = {r for _, lo, hi in auto(decisions) for r in (lo, hi)}
    homes = {r: no for r, no in query(session, _LINKS, ids=list(ends))}
    apart = ((lo, hi) for _, lo, hi in auto(decisions) if homes.get(lo) != homes.get(hi))
    insert_pairs(session, [pair_row(lo, hi, decisions[lo, hi], held=True) for lo, hi in apart])


def joining(
    session: Session, context: Context, features: Mapping[int, Features], one: Iterable[int], other: Collection[int]
) -> list[Edge]:
    """The pairs across that the rules would make one, of the first :data:`ACROSS_MAX`, the strongest of each tier last."""
    shared: dict[str, int] = {}
    shared_values(session, context, match_keys_of(features.values()), shared)
    pairs = ((min(a, b), max(a, b)) for a, b in islice(product(one, other), ACROSS_MAX))
    decided = {(lo, hi): decide(features[lo], features[hi], shared) for lo, hi in pairs}
    return auto(decided)[::-1]


def _decide(
    session: Session, context: Context, found: Search, pairs: Collection[tuple[int, int]]
) -> dict[tuple[int, int], Decision]:
    features, shared = found.features, found.shared
    shared_values(session, context, strong_keys_of(features[i] for pair in pairs for i in pair), shared)
    return {(lo, hi): decide(features[lo], features[hi], shared) for lo, hi in pairs}


def _around(
    session: Session,
    context: Context,
    found: Search,
    work: Mapping[int, Features],
    settled: Callable[[int, int], bool] | None,
    *,
    held: bool,
) -> Group:
    pairs = found.pairs(work)
    decisions = _decide(session, context, found, [p for p in pairs if not settled(*p)] if settled else pairs)
    return _lock(session, context, found, work, decisions, held=held)


def _lock(
    session: Session,
    context: Context,
    found: Search,
    work: Mapping[int, Features],
    decisions: dict[tuple[int, int], Decision],
    *,
    held: bool,
) -> Group:
    """Locks the parties around the records until the group is closed: links, held pairs, and what they reach.

    Args:
        held: whether parties are locked already.
    """
    records = set(work) | {r for _, lo, hi in auto(decisions) for r in (lo, hi)}
    group, unsettled, ties = Group({}, {}, decisions), records, list[Any]()
    while unsettled:
        asked = {"ids": list(unsettled), "known": list(group.parties)}
        if group.parties or held:
            locked = out_of_turn(partial(query, session, _LOCK_FREE, **asked))
        else:
            locked = query(session, _LOCK, **asked)
        if not locked:
            break
        group.parties.update((row.customer_no, PartyRow(*row)) for row in locked)
        links = query(session, _MEMBERS, nos=list(group.parties), ids=list(unsettled))
        moved = {row.record_id for row in links if row.customer_no not in group.parties}  # before they were locked
        group.home = {row.record_id: row.customer_no for row in links if row.record_id not in moved}
        group.links = {row.record_id: (row.id, row.rule) for row in links}
        ties = query(session, _TIES, ids=list(group.home))
        group.held = group.held or any(tie.tie == HELD for tie in ties)
        group.judged = {(t.record_lo, t.record_hi): t.tie for t in ties if t.tie in JUDGED}
        group.undecided = [(t.record_lo, t.record_hi) for t in ties if t.tie == Verdict.UNDECIDED]
        tied = [t for t in ties if t.tie in (HELD, Verdict.SAME)]
        beyond = {r for t in tied for r in (t.record_lo, t.record_hi)} - records
        unsettled = moved | (beyond - group.home.keys())
        records = records | group.home.keys() | beyond
    if group.home:
        retired = query(session, _LOCK_RETIRED, ids=list(group.home))
        group.parties.update((row.customer_no, PartyRow(*row)) for row in retired)
    load_known(session, records, found.features)
    if told_apart(group.judged, group.home):  # a question may be settled by way of those, and others may end that
        _keep_asked(session, decisions, {*work, *group.home})
    group.tied = dict(tied_beyond(session, group.judged, group.home))
    settled = group.settled()
    for pair in [pair for pair in decisions if settled(*pair) and pair not in group.judged]:
        del decisions[pair]  # whichever of the two is decided again
    group.decisions.update((pair, JUDGED[Verdict.SAME]) for pair, said in group.judged.items() if said == Verdict.SAME)
    group.ties = ties_of(group.judged)
    changed = _changed(found, [t for t in ties if t.tie == Verdict.SAME])
    if changed:
        group.doubted = _doubted(session, context, found, group, changed)
    open_to = {r for t in ties if t.tie == JUDGED_CHANGED_RULE for r in (t.record_lo, t.record_hi)}
    group.cleared = open_to & group.ties.keys() - group.doubted
    group.decisions.update({pair: _asked(group, pair, decision) for pair, decision in group.decisions.items()})
    return group


def _keep_asked(session: Session, decisions: Mapping[tuple[int, int], Decision], ours: Collection[int]) -> None:
    """Keeps the customers of all whom we may have to ask about from being joined and parted until ours are seen."""
    asked = [pair for pair, decision in decisions.items() if decision.outcome is Outcome.REVIEW]
    others, kept = {r for pair in asked for r in pair}.difference(ours), set[str]()
    while others:
        nos = {no for _, no in query(session, _LINKS, ids=list(others))} - kept
        if not nos:
            break
        keep(session, nos)
        kept |= nos  # and see whether they were still theirs then


def _changed(found: Search, ties: Iterable[Any]) -> set[int]:
    """The tied records that tell of somebody else than when they were tied."""
    bases: dict[int, set[bytes]] = defaultdict(set)
    for tie in ties:
        for record, told in ((tie.record_lo, tie.basis_lo), (tie.record_hi, tie.basis_hi)):
            bases[record].add(bytes(told or b""))
    features = found.features
    return {r for r, told in bases.items() if r in features and basis(features[r]) not in told}


def _doubted(session: Session, context: Context, found: Search, group: Group, changed: Collection[int]) -> set[int]:
    """Of tied records that changed those of which no rule says that they belong anyway."""
    features, shared = found.features, found.shared
    shared_values(session, context, match_keys_of(features[r] for r in group.ties if r in features), shared)

    def belongs(record: int) -> bool:
        others = (m for m, root in group.ties.items() if root == group.ties[record] and m != record and m in features)
        return any(decide(features[record], features[m], shared).outcome is Outcome.AUTO for m in others)

    return {record for record in changed if not belongs(record)}


def _asked(group: Group, pair: tuple[int, int], decision: Decision) -> Decision:
    """The decision, which is a person's where one of the two is doubted and it would lead beyond those it is tied to."""
    lo, hi = pair
    leads = group.ties.get(lo, lo) != group.ties.get(hi, hi) and not group.doubted.isdisjoint(pair)
    if leads and decision.outcome is Outcome.AUTO and decision.tier > STATED_TIER:
        return replace(decision, outcome=Outcome.REVIEW, rule=JUDGED_CHANGED_RULE, tier=0)
    return decision


def _told(found: Search, group: Group) -> Mapping[int, Features]:
    """The features, without the numbers of doubted records: they neither forbid nor excuse."""
    features = found.features
    return (
        features | {r: replace(features[r], strong=(), replaced=()) for r in group.doubted}
        if group.doubted
        else features
    )


def _clusters(
    session: Session, context: Context, found: Search, work: Mapping[int, Features], group: Group
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
    group.whole = {r for members in whole for r in members}
    shared_values(session, context, match_keys_of(features[r] for members in touched for r in members), found.shared)
    for members in touched:
        _decide_within(found, members, group)
    chains: list[Edge] = [(1, members[0], other) for members in whole for other in members[1:]]
    clusters: list[list[int]] = []
    for component in connected(records, [*auto(group.decisions), *chains]):
        clusters.extend(_split(session, context, found, component, group))
    return clusters


def _split(session: Session, context: Context, found: Search, component: list[int], group: Group) -> list[list[int]]:
    if len(component) == 1 or _fits(found, component, group):
        return [component]
    group.held = True
    group.whole.difference_update(component)
    shared_values(session, context, match_keys_of(found.features[r] for r in component), found.shared)
    _decide_within(found, component, group)
    inside = set(component)
    edges = [edge for edge in auto(group.decisions) if edge[1] in inside and edge[2] in inside]
    return cluster(sorted(component), edges, _told(found, group), found.shared, group.apart)


def _fits(found: Search, component: list[int], group: Group) -> bool:
    inside = set(component)
    said = [e for e in auto(group.decisions) if e[0] <= STATED_TIER and e[1] in inside and e[2] in inside]
    roots = roots_of(component, said, group.apart)
    return compatible(component, _told(found, group), found.shared, group.apart, roots)


def _decide_within(found: Search, members: Collection[int], group: Group) -> None:
    """Decides all pairs of these records that share a key, as far as neither this nor a person has decided them yet.

    Of a pair that was judged not to be one it is still asked whether the rules would make it one: then what is said of it
    changes nothing for the others of a group that could not be one anyway.
    """
    settled = group.settled()
    blocks: dict[Key, list[int]] = defaultdict(list)
    for member in sorted(members)[:COMPONENT_MAX]:
        for key in match_keys(found.features[member]):
            blocks[key].append(member)
    pairs = {
        pair
        for key, block in blocks.items()
        if len(block) > 1 and not found.silent(key) and len(block) <= BLOCKS[key[0]].rows_max < OVERFLOW * 10
        for pair in combinations(block, 2)
        if pair not in group.decisions and (pair in group.judged or not settled(*pair))
    }
    features = found.features
    for lo, hi in pairs:
        group.decisions[lo, hi] = _asked(group, (lo, hi), decide(features[lo], features[hi], found.shared))
