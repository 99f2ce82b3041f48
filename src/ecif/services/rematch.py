"""Asks a steward about records that change customers, or no longer fit theirs (身份变更后的重新归属).

A link made by the engine is decided again with every change around it, and may lead elsewhere (MOVED); one made by a person
stays, and may no longer fit (MISFIT). Neither happens in silence. Who does not fit is a function of the records and of what
was judged of them, as links are; that a record has moved is known to the review that asks about it, and to nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

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
from ecif.services.lane import keep
from ecif.services.questions import Ends, Move, Question, question
from ecif.services.rows import query

COMPARED_MAX = 2000
"""Record pairs that are compared for one review, while its customers are locked. Of more, each record in question is compared with
as many others as there is room for, one of each identity before its like."""

_LED = (
    "SELECT p.customer_no AS no, l.customer_no AS live, l.record_id FROM party p JOIN link l ON l.ended_at IS NULL"
    " AND l.customer_no = coalesce(p.merged_into, p.customer_no) WHERE p.customer_no = ANY(%(nos)b::text[])"
)


@dataclass(frozen=True, slots=True)
class _Led:
    """Where numbers lead to, retired ones too, and whose records are there."""

    live: Mapping[str, str]
    members: Mapping[str, Collection[int]]

    def ends(self, move: Move) -> Ends | None:
        """Between whom a move is to be asked about now: none if the record is not where it went, or both are one by now."""
        left, to = self.live[move.left], self.live[move.to]
        if move.record not in self.members[to] or (left == to and not move.alone):
            return None
        return (to, to) if move.alone else (min(left, to), max(left, to))


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
        for record, decided in _looked_at(set(doubted).intersection(records), records, features, shared):
            if is_misfit(decided.values()):
                found.append({"record": record, "from": None, "to": None})
                against |= {p: decision for p, decision in decided.items() if contradicts(decision)}
        if found:
            asked.append(question(ReviewKind.MISFIT, (no, no), against, found))
    return asked


def _looked_at(
    asked: Collection[int], members: Iterable[int], features: Mapping[int, Features], shared: Shared
) -> Iterable[tuple[int, dict[Pair, Decision]]]:
    """The decisions on each of the records in question and others, as far as there is room for them."""
    others, room = _one_of_each(members, features), COMPARED_MAX // max(len(asked), 1) or 1
    for one in sorted(asked):
        known = islice((other for other in others if other != one), room)
        yield one, {pair(one, other): looked_at(features[one], features[other], shared) for other in known}


def _one_of_each(records: Iterable[int], features: Mapping[int, Features]) -> list[int]:
    """The records, one of each identity before those that are like one of them."""
    known = sorted(record for record in records if record in features)
    first = set({identity(features[record]): record for record in reversed(known)}.values())
    return sorted(known, key=lambda record: (record not in first, record))


def moves(was: Mapping[int, Features], features: Mapping[int, Features], assignment: Assignment) -> list[Move]:
    """The records that left a customer by themselves, whatever the reason: they or others of his have changed, or one came
    with whom they fit better.

    One that was alone takes its number along, which then leads to the other customer. If all that it said before still holds,
    that is a merge like any other: the two would have been one from the start.

    Args:
        was: the former features of records whose identity has changed.
    """
    records = (r for members in assignment.members.values() for r in members if r in features)
    by_name = {features[r].name: r for r in records}
    found = []
    for name, left, to in assignment.moved:
        record, leads = by_name[name], assignment.merged.get(left, left)
        if leads != to:
            found.append(Move(record, left, to, (min(leads, to), max(leads, to))))
        elif record in was and contradicts(looked_at(was[record], features[record])):
            found.append(Move(record, left, to, (to, to)))
    return found


def ask_of_moves(
    session: Session, context: Context, customers: Collection[str], known: Collection[Move], new: Collection[Move]
) -> list[Question]:
    """The questions that are left: about records that are where they went. Where a number was merged, it is asked of the
    survivor, and out of him again.

    Args:
        customers: those who are held locked.
        known: what open reviews ask about. A record that is back where it was is asked about no more.
    """
    moves, kept = {*known, *new}, set(customers)
    if not moves:
        return []
    led = _led(session, moves)
    while far := {no for m in known if (ends := led.ends(m)) != m.ends for no in ends or ()} - kept:
        keep(session, far)
        kept |= far
        led = _led(session, moves)
    back = {(move.record, move.left if move.alone else led.live[move.left]) for move in known}
    by_ends: dict[Ends, list[Move]] = defaultdict(list)
    for move in sorted({*known, *(move for move in new if (move.record, move.to) not in back)}):
        ends = led.ends(move)
        if ends:
            by_ends[ends].append(move)
    if not by_ends:
        return []
    members = {no: led.members[no] for ends in by_ends for no in ends}
    features: dict[int, Features] = {}
    load_known(session, [record for those in members.values() for record in those], features)
    shared: dict[str, int] = {}
    shared_values(session, context, match_keys_of(features.values()), shared)
    asks = (_moved(ends, those, members, features, shared) for ends, those in by_ends.items())
    return [ask for ask in asks if ask.pairs]


def _led(session: Session, moves: Iterable[Move]) -> _Led:
    live: dict[str, str] = {}
    members: dict[str, set[int]] = defaultdict(set)
    for row in query(session, _LED, nos=sorted({no for move in moves for no in (move.left, move.to)})):
        live[row.no] = row.live
        members[row.live].add(row.record_id)
    return _Led(live, members)


def _moved(
    ends: Ends,
    those: Sequence[Move],
    members: Mapping[str, Collection[int]],
    features: Mapping[int, Features],
    shared: Shared,
) -> Question:
    """Shown with all whom a record left, and whom it came to."""
    asked, around = {move.record for move in those}, {record for no in ends for record in members[no]}
    found = _looked_at(asked, around, features, shared)
    decided = {two: decision for _, those_of_one in found for two, decision in those_of_one.items()}
    return question(ReviewKind.MOVED, ends, decided, [{"record": m.record, "from": m.left, "to": m.to} for m in those])
