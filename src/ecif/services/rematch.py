"""Asks a steward about records whose identity has changed under a customer (身份变更后的重新归属).

A link made by the engine is decided again with the record's new data, and may lead elsewhere (MOVED); one made by a person
stays, and may no longer fit (MISFIT). Neither happens in silence. Who does not fit is a function of the records and of what
was judged of them, as links are; that a record has moved is known to the review that asks about it, and to nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy.orm import Session

from ecif.domain.review_policy import ReviewKind
from ecif.matching.comparators import Shared
from ecif.matching.features import Features, identity
from ecif.matching.fitting import contradicts, is_misfit, looked_at
from ecif.matching.types import Decision
from ecif.services.assignment import Assignment
from ecif.services.candidates import load_known, match_keys_of, shared_values
from ecif.services.context import Context
from ecif.services.judgements import Pair, pair
from ecif.services.questions import Ends, Move, Question, question
from ecif.services.rows import query

_RECORDS = "SELECT customer_no, record_id FROM link WHERE ended_at IS NULL AND customer_no = ANY(%(nos)b::text[])"


def identity_changed(old: Features, new: Features) -> bool:
    """Whether a record now tells of another person: by its numbers, its name, or its birth date."""
    return identity(old) != identity(new)


def misfits(
    doubted: Collection[int], members: Mapping[str, Sequence[int]], features: Mapping[int, Features], shared: Shared
) -> list[Question]:
    """One question for each customer that contradicts records which a person placed under his number.

    Args:
        doubted: the records that tell of somebody else than when they were placed. One that merely tells less fits.
        members: the customers and their records.
    """
    asked = []
    for no, records in members.items():
        against: dict[Pair, Decision] = {}
        found = []
        for record in sorted(set(doubted).intersection(records)):
            decided = _looked_at(record, records, features, shared)
            if is_misfit(decided.values()):
                found.append({"record": record, "from": None, "to": None})
                against |= {p: decision for p, decision in decided.items() if contradicts(decision)}
        if found:
            asked.append(question(ReviewKind.MISFIT, (no, no), against, found))
    return asked


def _looked_at(
    record: int, others: Iterable[int], features: Mapping[int, Features], shared: Shared
) -> dict[Pair, Decision]:
    known = (other for other in others if other != record and other in features)
    return {pair(record, other): looked_at(features[record], features[other], shared) for other in known}


def moves(was: Mapping[int, Features], features: Mapping[int, Features], assignment: Assignment) -> list[Move]:
    """The records that left a customer since their identity changed, or that of another of his records on which they hung.

    One that was alone takes its number along, which then leads to the other customer. If all that it said before still holds,
    that is a merge like any other: the two would have been one from the start.

    Args:
        was: the former features of records whose identity has changed.
    """
    home = {record: no for no, members in assignment.members.items() for record in members}
    by_name = {features[record].name: record for record in home}
    left_by = {left for name, left, _ in assignment.moved if by_name[name] in was}
    shaken = left_by.union(home[record] for record in was)
    found = []
    for name, left, to in assignment.moved:
        record, leads = by_name[name], assignment.merged.get(left, left)
        if leads != to and left in shaken:
            found.append(Move(record, left, to, (min(leads, to), max(leads, to))))
        elif record in was and contradicts(looked_at(was[record], features[record])):
            found.append(Move(record, left, to, (to, to)))
    return found


def ask_of_moves(session: Session, context: Context, known: Collection[Move], new: Collection[Move]) -> list[Question]:
    """The questions that are left: about records that are where they went, between customers who are live.

    Args:
        known: what open reviews ask about. A record that is back where it was is asked about no more.
    """
    open_to = {(move.record, move.left) for move in known}
    asked = {*known, *(move for move in new if (move.record, move.to) not in open_to)}
    if not asked:
        return []
    rows = query(session, _RECORDS, nos=sorted({no for move in asked for no in (move.left, *move.ends)}))
    members: dict[str, list[int]] = defaultdict(list)
    for no, record in rows:
        members[no].append(record)
    by_ends: dict[Ends, list[Move]] = defaultdict(list)
    for move in sorted(asked):
        if move.record in members[move.to] and all(members[no] for no in move.ends):
            by_ends[move.ends].append(move)
    if not by_ends:
        return []
    features: dict[int, Features] = {}
    load_known(session, [record for no in members for record in members[no]], features)
    shared: dict[str, int] = {}
    shared_values(session, context, match_keys_of(features.values()), shared)
    asks = (_moved(ends, those, members, features, shared) for ends, those in by_ends.items())
    return [ask for ask in asks if ask.pairs]


def _moved(
    ends: Ends,
    those: Sequence[Move],
    members: Mapping[str, list[int]],
    features: Mapping[int, Features],
    shared: Shared,
) -> Question:
    """Shown with all whom a record left, and whom it came to."""
    decided: dict[Pair, Decision] = {}
    for move in those:
        decided |= _looked_at(move.record, (r for no in {*ends} for r in members[no]), features, shared)
    return question(ReviewKind.MOVED, ends, decided, [{"record": m.record, "from": m.left, "to": m.to} for m in those])
