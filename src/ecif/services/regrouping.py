"""Moves records between customers by what a person says of them (合并与拆分的执行).

A merge, a split and an undo are judgements on pairs of records, and then the same two steps as ever: decide the links
again, survive again. All records of the customers involved are tied to their side, so that none of them moves by itself
later; what is severed is severed by a NOT_SAME. Undoing a merge says NOT_SAME of the very pairs of which it said SAME.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import combinations, pairwise

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.matching.clustering import JUDGED_TIER, connected
from ecif.matching.features import Features, identity
from ecif.services.assignment import Assignment
from ecif.services.candidates import load_known
from ecif.services.context import Context
from ecif.services.customers import CustomerNotFound
from ecif.services.ingest import Result, follow
from ecif.services.judgements import Pair, Word, bases, last_words, pair, settled, tied_beyond, write
from ecif.services.lane import TAKEN, lane
from ecif.services.linking import joining
from ecif.services.maintenance import OWN_KEY
from ecif.services.rows import query, send

JOINED_MAX = 2000
"""Records that an operation on several customers may touch."""
PARTED_MAX = 10_000
"""Records of a customer who is parted. It is more than what can be joined, so that a merge can still be undone when further
records have come."""
HOLDS_MAX = 4
"""How often it is tried to keep others out of an operation."""

_LOCK = (
    " SELECT customer_no, party_type, status, anchor_id, version, merged_into FROM party"
    " WHERE customer_no = ANY(%(nos)b::text[])"
    f" AND {TAKEN} ORDER BY customer_no FOR UPDATE"
)
_MEMBERS = (
    "SELECT customer_no, record_id FROM link WHERE customer_no = ANY(%(nos)b::text[]) AND ended_at IS NULL"
    " ORDER BY record_id"
)
_LIVE = (
    "SELECT customer_no, coalesce(merged_into, customer_no) AS live FROM party WHERE customer_no = ANY(%(nos)b::text[])"
)
_ANCHOR = "UPDATE party SET anchor_id = %(anchor)b WHERE customer_no = %(no)b"
_BROUGHT = (
    "SELECT DISTINCT record_id FROM operation_record WHERE record_id = ANY(%(ids)b::bigint[]) AND operation_id > %(after)b"
    " AND NOT customer_no = ANY(%(nos)b::text[])"
)
_ISSUED = "SELECT customer_no FROM party WHERE anchor_id = ANY(%(ids)b::bigint[]) AND customer_no <> %(no)b"
_TAKEN = (
    "SELECT anchor_id AS id FROM party WHERE anchor_id = ANY(%(ids)b::bigint[]) UNION"
    " SELECT r.record_id FROM operation_record r JOIN operation o ON o.id = r.operation_id AND o.kind = 'MERGE'"
    " AND o.status = 'DONE' WHERE r.record_id = ANY(%(ids)b::bigint[]) AND r.customer_no <> %(no)b"
)
"""Records that other numbers were issued for, or that come back to others when a merge is undone."""
_DOUBTFUL = (
    "SELECT record_lo, record_hi FROM doubtful_pair WHERE NOT held"
    " AND (record_lo = ANY(%(ids)b::bigint[]) OR record_hi = ANY(%(ids)b::bigint[]))"
)
_FORGET = (
    "DELETE FROM doubtful_pair d USING unnest(%(los)b::bigint[], %(his)b::bigint[]) gone(lo, hi)"
    " WHERE d.record_lo = gone.lo AND d.record_hi = gone.hi"
)

_OPEN_AGAIN = frozenset({Verdict.WITHDRAWN, Verdict.UNDECIDED})
"""What a person says of a pair to end what was said."""

Said = dict[Pair, Verdict]


class NumberRetired(Exception):
    """A number was merged into another meanwhile; ``into`` is where it leads now."""

    def __init__(self, no: str, into: str) -> None:
        super().__init__(no, into)
        self.no, self.into = no, into


class LeadsOthers(Exception):
    """What was said would lead records of other customers somewhere; ``nos`` says whose."""

    def __init__(self, nos: Sequence[str]) -> None:
        super().__init__(*nos)
        self.nos = nos


class TooManyToMove(Exception):
    """The customers have more records than one operation may touch."""


@dataclass(frozen=True, slots=True)
class Member:
    """A customer of an operation, locked: the record his number was issued for, and all of his records."""

    customer_no: str
    party_type: str
    status: str
    version: int
    anchor: int
    records: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """The customers of an operation, with what is known of their records and what was judged of them."""

    by_no: Mapping[str, Member]
    features: dict[int, Features] = field(repr=False)
    words: Mapping[Pair, Word]

    @property
    def judged(self) -> Said:
        """What stands of pairs of which one of their records is a half."""
        return {p: word.verdict for p, word in self.words.items() if word.verdict is not Verdict.WITHDRAWN}

    @property
    def home(self) -> dict[int, str]:
        """Under which number each record is."""
        return {r: no for no, member in self.by_no.items() for r in member.records}

    @property
    def same(self) -> set[Pair]:
        """The pairs that stand as the same."""
        return {p for p, verdict in self.judged.items() if verdict is Verdict.SAME}

    def name(self, record: int) -> str:
        """A record's name, ``system:key``."""
        return self.features[record].name

    def digest(self, no: str) -> str:
        """Which records a customer holds, of whom they tell, and what was judged of them and others of these customers, so that
        it can be told whether they are what they were.
        """
        records = self.by_no[no].records
        own, home = set(records), self.home
        told = [(r, identity(self.features[r])) for r in records]
        words = ((p, word) for p, word in self.words.items() if word.verdict is not Verdict.UNDECIDED)
        said = sorted(word.id for p, word in words if not own.isdisjoint(p) and home.keys() >= {*p})
        return blake2b(repr((told, said)).encode(), digest_size=8).hexdigest()


def live_numbers(session: Session, nos: Collection[str]) -> dict[str, str]:
    """Each number with the one it leads to, in the order in which they were asked for.

    Raises:
        CustomerNotFound: one was never issued.
    """
    found = {row.customer_no: row.live for row in query(session, _LIVE, nos=list(nos))}
    missing = [no for no in nos if no not in found]
    if missing:
        raise CustomerNotFound(missing[0])
    return {no: found[no] for no in nos}


def lock(session: Session, nos: Collection[str]) -> Members:
    """Locks customers in the order of their numbers, and loads what an operation has to know of them.

    Raises:
        CustomerNotFound: a number was never issued.
        NumberRetired: one was merged meanwhile.
        TooManyToMove: they have more than :data:`JOINED_MAX` records, or one alone more than :data:`PARTED_MAX`.
    """
    rows = query(session, lane(session) + _LOCK, nos=list(nos))
    missing = set(nos) - {row.customer_no for row in rows}
    if missing:
        raise CustomerNotFound(min(missing))
    for row in rows:
        if row.merged_into:
            raise NumberRetired(row.customer_no, row.merged_into)
    records: dict[str, list[int]] = {row.customer_no: [] for row in rows}
    for no, record in query(session, _MEMBERS, nos=list(nos)):
        records[no].append(record)
    ids = [record for those in records.values() for record in those]
    if len(ids) > (JOINED_MAX if len(rows) > 1 else PARTED_MAX):
        raise TooManyToMove
    features: dict[int, Features] = {}
    load_known(session, ids, features)
    members = {
        row.customer_no: Member(
            row.customer_no, row.party_type, row.status, row.version, row.anchor_id, tuple(records[row.customer_no])
        )
        for row in rows
    }
    return Members(members, features, last_words(session, ids))


def merging(members: Members, survivor: str) -> Said:
    """What makes all of them one: each side tied together, and the sides by the records their numbers were issued for."""
    to = members.by_no[survivor]
    said: Said = {}
    for no, member in members.by_no.items():
        said |= _tie(member.records, member.anchor, members.same)
        if no != survivor:
            said[pair(to.anchor, member.anchor)] = Verdict.SAME
    return news(said, members)


def splitting(members: Members, no: str, moved: Collection[int]) -> Said:
    """What makes two of a customer: those who move, and those who stay."""
    member = members.by_no[no]
    stay = [r for r in member.records if r not in moved]
    said = _tie(stay, stay[0], members.same) | _tie(sorted(moved), min(moved), members.same)
    return news(said | severing(members, moved, stay) | {pair(stay[0], min(moved)): Verdict.NOT_SAME}, members)


def undoing(
    session: Session,
    context: Context,
    members: Members,
    held: Mapping[int, str],
    survivor: str,
    anchors: Mapping[str, int],
    merge_id: int,
) -> Said:
    """What makes those whom a merge joined several again: everybody who then came with a number leaves with it.

    Where the rules alone would make them one, and only others kept them from it, it is said of those pairs too: so the undo
    leaves these others as they were.

    Args:
        held: under which number each record was before the merge.
        anchors: the records that the numbers were issued for.
        merge_id: the operation that joined them.
    """
    said: Said = {}
    stand = set(anchors.values())

    def anchored(record: int) -> tuple[bool, int]:
        return (record not in stand, record)

    for loser in sorted(set(held.values()) - {survivor}):
        leave, others = (
            sorted((r for r, no in held.items() if (no == loser) is ours and r in members.features), key=anchored)
            for ours in (True, False)
        )
        said |= severing(members, leave, others)
        across = joining(session, context, members.features, leave, others)
        said |= dict.fromkeys({tier: (lo, hi) for tier, lo, hi in across}.values(), Verdict.NOT_SAME)
        said |= _tie(leave, leave[0], members.same) if leave else {}
    said |= {pair(a, b): Verdict.NOT_SAME for a, b in combinations(anchors.values(), 2)}
    return news(_loosened(session, members, held, list(anchors), merge_id) | said, members)


def _loosened(session: Session, members: Members, held: Mapping[int, str], nos: Sequence[str], merge_id: int) -> Said:
    """Takes back what ties records that came since, and that no later merge brought: a later operation tied them to whom they
    seemed to belong to, and the rules decide again."""
    came = members.features.keys() - held.keys()
    brought = {row.record_id for row in query(session, _BROUGHT, ids=list(came), after=merge_id, nos=list(nos))}
    loose = came - brought
    return {p: Verdict.WITHDRAWN for p in members.same if loose.intersection(p) and brought.isdisjoint(p)}


def severing(members: Members, one: Collection[int], other: Collection[int]) -> Said:
    """A NOT_SAME for every pair across that people said to be the same, by judgement or when a record was written."""
    ours, theirs = set(one), set(other)
    judged = {p for p in members.same if (p[0] in ours and p[1] in theirs) or (p[1] in ours and p[0] in theirs)}
    by_name = {members.name(r): r for r in (*ours, *theirs)}
    written = {
        pair(r, by_name[name])
        for r in (*ours, *theirs)
        for name in members.features[r].same_as
        if name in by_name and (r in ours) != (by_name[name] in ours)
    }
    return dict.fromkeys(judged | written, Verdict.NOT_SAME)


def _tie(records: Sequence[int], first: int, same: Iterable[Pair]) -> Said:
    """A SAME from each group that is not tied yet to the one before, so that all of these records are one."""
    inside = set(records)
    edges = [(JUDGED_TIER, lo, hi) for lo, hi in same if lo in inside and hi in inside]
    groups = sorted(connected(records, edges), key=lambda group: (first not in group, min(group)))
    heads = [first if first in group else min(group) for group in groups]
    return {pair(a, b): Verdict.SAME for a, b in pairwise(heads)}


def news(said: Said, members: Members) -> Said:
    """What of this does not stand already."""
    judged = members.judged
    return {p: verdict for p, verdict in said.items() if judged.get(p) is not verdict}


def apply(
    session: Session,
    context: Context,
    members: Members,
    said: Said,
    *,
    reason: str,
    person: str,
    preferred: Collection[str] = (),
    operation_id: int | None = None,
    renewed: Collection[int] = (),
    alone: bool = False,
) -> Assignment:
    """Writes the judgements down and decides again whose records these are; the customers are locked by the caller.

    Args:
        renewed: records that are said to be where they belong as they are now; of others that were tied before it is still
            asked whether they do.
        alone: nobody else is led anywhere by it. Where the rules would now join one of these customers, or some others, with
            somebody they were not with, only because of what was said here, the pair is UNDECIDED: a steward is asked.

    Raises:
        LeadsOthers: they can't be kept out.
    """
    held: Said = {}
    features = members.features
    for _ in range(HOLDS_MAX):
        if alone:
            send(session, "SAVEPOINT attempted")
        told = bases(members.words, features, renewed)
        write(session, context, said | held, told, reason=reason, person=person, operation_id=operation_id)
        _forget(session, members, said)
        dirty = {r: members.features[r] for r in sorted(_concerned(members, said))}
        assignment = follow(session, context, {}, dirty, (), Result(), preferred, settled(members.judged | said))
        led = [move for move in assignment.moved if alone and not _ours(members, assignment, *move[1:])]
        if not led:
            return assignment
        send(session, "ROLLBACK TO SAVEPOINT attempted")
        features = dict(features)
        decided = settled(members.judged | said)
        found = _meeting(session, context, members, assignment, led, features)
        fresh = {p: verdict for p, verdict in found.items() if p not in held and not decided(*p)}
        if not fresh:
            break
        held |= fresh
    raise LeadsOthers(sorted({no for _, *ends in led for no in ends if no not in members.by_no}))


def _ours(members: Members, assignment: Assignment, left: str, to: str) -> bool:
    """Whether a record left one of these customers for another of them, or for a number that they bring forth."""
    party = assignment.parties[to]
    return left in members.by_no and (to in members.by_no or party.new or party.merged_into in members.by_no)


def _meeting(
    session: Session,
    context: Context,
    members: Members,
    assignment: Assignment,
    led: Sequence[tuple[str, str, str]],
    features: dict[int, Features],
) -> Said:
    """The pairs that the rules would make one between these customers and the others who were led somewhere, and among those."""
    load_known(session, [r for records in assignment.members.values() for r in records], features)
    came = {name: left for name, left, _ in assignment.moved}
    groups: dict[str, list[int]] = defaultdict(list)
    for no, records in assignment.members.items():
        for record in records:
            groups[came.get(features[record].name, no)].append(record)
    others = {no for _, *ends in led for no in ends} - members.by_no.keys()
    known = [list(members.features), *(groups[no] for no in sorted(others))]
    across = (joining(session, context, features, one, other) for one, other in combinations(known, 2))
    return {(lo, hi): Verdict.UNDECIDED for pairs in across for _, lo, hi in pairs}


def _forget(session: Session, members: Members, said: Said) -> None:
    """Drops the doubts that people have settled: they would open reviews again."""
    judged = members.judged | said
    decided = settled(tied_beyond(session, judged, members.features) | judged)
    rows = query(session, _DOUBTFUL, ids=list(members.features))
    gone = [(lo, hi) for lo, hi in rows if decided(lo, hi)]
    if gone:
        send(session, _FORGET, los=[lo for lo, _ in gone], his=[hi for _, hi in gone])


def _concerned(members: Members, said: Said) -> set[int]:
    """The records to decide again. What ties records of one customer leads nobody anywhere. Where a tie ends, pairs with
    others that were settled by way of it may now be one, whichever they are. Where nothing is said, all are meant."""
    home = members.home
    within = {p for p in said if home[p[0]] == home[p[1]]}
    ended = (v in _OPEN_AGAIN or (v is Verdict.NOT_SAME and p in within) for p, v in said.items())
    if not said or any(ended):
        return set(members.features)
    return {r for p in (said.keys() - within or said) for r in p}


def own_records(session: Session, members: Members, no: str, moved: Collection[int]) -> set[int]:
    """The records that channels wrote here onto numbers which leave with the records they were issued for."""
    rows = query(session, _ISSUED, ids=list(moved), no=no)
    keys = tuple(f":{OWN_KEY}{row.customer_no}" for row in rows)
    return {r for r in members.by_no[no].records if members.name(r).partition(".")[0].endswith(keys)} if keys else set()


def can_give_anchor(session: Session, members: Members, no: str, moved: Collection[int]) -> bool:
    """Whether a number can stay where these records leave."""
    return members.by_no[no].anchor not in moved or bool(_free(session, members, no, moved))


def give_anchor(session: Session, members: Members, no: str, moved: Collection[int]) -> bool:
    """Lets a number stand for a record that stays, where the one it was issued for moves; False if none is free to."""
    if members.by_no[no].anchor not in moved:
        return True
    free = _free(session, members, no, moved)
    if free:
        send(session, _ANCHOR, no=no, anchor=free[0])
    return bool(free)


def _free(session: Session, members: Members, no: str, moved: Collection[int]) -> list[int]:
    """Records that stay, and that no other number stands for, nor would after an undo."""
    stay = [r for r in members.by_no[no].records if r not in moved]
    taken = {row.id for row in query(session, _TAKEN, ids=stay, no=no)}
    return [r for r in stay if r not in taken]
