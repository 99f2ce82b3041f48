"""One decision on many reviews (批量裁决): previewed, made in one transaction, and taken back as one.

Only what joins nobody is decided so. Every review gets its result: what another steward holds, or what waits for a merge, is
left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.review_policy import (
    BULK_MAX,
    DECISIONS,
    IN_BULK,
    STATE_OF,
    ReviewDecision,
    ReviewKind,
    holder,
)
from ecif.models import BulkDecision
from ecif.services.changes import log_changes
from ecif.services.context import Call, Context
from ecif.services.judgements import NEWEST
from ecif.services.outcomes import OperationStale
from ecif.services.regrouping import Members, apply, lock, news
from ecif.services.review_decisions import (
    STATE,
    DecisionUnfit,
    ReviewChanged,
    ReviewClaimed,
    ReviewWaits,
    judge_apart,
    lock_ends,
    take_all,
    usable,
)
from ecif.services.review_queue import Filter, Place, Sort, listing
from ecif.services.reviews import note
from ecif.services.rows import insert_rows, query, send

_COLUMNS = ("decision", "filter", "reason", "person", "change_id", "made_at")
_BULK = "SELECT * FROM bulk_decision WHERE id = %(id)b"
_UNDONE = "UPDATE bulk_decision SET undone_at = %(now)b, undone_by = %(person)b WHERE id = %(id)b"
_DECIDED = (
    "SELECT r.*, e.state_before, e.claimed_at AS held_since FROM review_entry e JOIN merge_review r ON r.id = e.review_id"
    " WHERE e.bulk_id = %(id)b AND e.action = %(decision)b ORDER BY r.id"
)
_SAID = (
    "SELECT record_lo, record_hi, coalesce((SELECT b.verdict FROM judgement b WHERE b.record_lo = j.record_lo"
    " AND b.record_hi = j.record_hi AND b.id < j.id ORDER BY b.id DESC LIMIT 1), 'WITHDRAWN') AS before"
    f" FROM judgement j WHERE change_id = %(change)b AND {NEWEST}"
)
"""What was said then and is the last word still, with the word before."""
_TOUCHED = (
    "SELECT l.customer_no FROM judgement j JOIN link l ON l.record_id IN (j.record_lo, j.record_hi) AND l.ended_at IS NULL"
    f" WHERE j.change_id = %(change)b AND {NEWEST} UNION SELECT p.customer_no FROM review_entry e"
    " JOIN merge_review r ON r.id = e.review_id JOIN party p ON p.customer_no IN (r.customer_lo, r.customer_hi)"
    " AND p.merged_into IS NULL WHERE e.bulk_id = %(id)b"
)
"""The customers of whose records something was said, and those of the reviews, as far as they live."""
_REOPEN = (
    "UPDATE merge_review r SET state = q.state, claimed_by = q.by, claimed_at = q.at, closed_at = NULL, outcome = NULL,"
    " version = version + 1 FROM unnest(%(ids)b::bigint[], %(states)b::text[], %(by)b::text[], %(at)b::timestamptz[])"
    " q(id, state, by, at) WHERE r.id = q.id AND NOT EXISTS (SELECT FROM merge_review o WHERE o.customer_lo = r.customer_lo"
    " AND o.customer_hi = r.customer_hi AND o.kind = r.kind AND o.closed_at IS NULL AND o.id <> r.id) RETURNING r.id"
)
_STILL_OPEN = "SELECT id FROM merge_review WHERE id = ANY(%(ids)b::bigint[]) AND closed_at IS NULL"


class BulkNotFound(Exception):
    """There is no such decision."""


class BulkUndone(Exception):
    """It was taken back before."""


class BulkTooLarge(Exception):
    """More reviews are meant than one decision may touch."""


class BulkChanged(Exception):
    """The reviews that are meant are not those that were seen."""


class BulkNotUndoable(Exception):
    """To take it back would move records by itself, since their data has changed; ``customers`` says whose."""

    def __init__(self, customers: Sequence[str]) -> None:
        super().__init__(len(customers))
        self.customers = customers


class Result(StrEnum):
    """What became of one of many (处理结果)."""

    DECIDED = "DECIDED"
    CLAIMED = "CLAIMED"
    WAITS = "WAITS"
    UNFIT = "UNFIT"
    REOPENED = "REOPENED"
    """Taken back: it is in the queue again."""
    CHANGED = "CHANGED"
    """Not in the queue again: it was decided otherwise since, or is no question any more."""


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """What a decision would touch: ``results`` by review; ``seen`` names exactly these reviews as they are."""

    reviews: list[Any] = field(repr=False)
    results: dict[int, Result]
    seen: str


@dataclass(frozen=True, slots=True)
class Bulk:
    """A decision, and what became of each review."""

    id: int
    results: dict[int, Result]


def preview_bulk(session: Session, context: Context, wanted: Filter, decision: ReviewDecision) -> BulkPreview:
    """What a decision on all open reviews of a filter would do; nothing is changed.

    Raises:
        BulkTooLarge, DecisionUnfit, CustomerNotFound: it can't be made.
    """
    rows = _meant(session, context, wanted, decision)
    return BulkPreview(rows, _results(context, rows, decision), _seen(rows))


def _meant(session: Session, context: Context, wanted: Filter, decision: ReviewDecision) -> list[Any]:
    if decision not in IN_BULK or wanted.state == "CLOSED":
        raise DecisionUnfit(IN_BULK)
    found = listing(session, wanted, Sort.OLDEST, Place(context.now), limit=BULK_MAX)
    if found.next:
        raise BulkTooLarge
    return found.reviews


def _seen(rows: Sequence[Any]) -> str:
    said = sorted((row.id, row.version) for row in rows)
    return blake2b(orjson.dumps(said), digest_size=12).hexdigest()


_REFUSED = {ReviewClaimed: Result.CLAIMED, ReviewWaits: Result.WAITS}


def _results(context: Context, rows: Sequence[Any], decision: ReviewDecision) -> dict[int, Result]:
    return {row.id: _result(context, row, decision) for row in rows}


def _result(context: Context, row: Any, decision: ReviewDecision) -> Result:
    if decision not in DECISIONS[ReviewKind(row.kind)]:
        return Result.UNFIT
    try:
        usable(context, row, deciding=True)
    except (ReviewClaimed, ReviewWaits) as refused:
        return _REFUSED[type(refused)]
    return Result.DECIDED


def decide_bulk(
    session: Session, context: Context, wanted: Filter, decision: ReviewDecision, *, reason: str, seen: str
) -> Bulk:
    """Decides all open reviews of a filter that can be.

    Args:
        seen: what the preview said, so that nothing is decided that nobody has seen.

    Raises:
        BulkTooLarge, DecisionUnfit, CustomerNotFound: it can't be made.
        BulkChanged: the reviews are others now, or have changed.
        TooManyToMove: the customers have too many records.
    """
    rows = _meant(session, context, wanted, decision)
    if _seen(rows) != seen:
        raise BulkChanged
    context, bulk_id = _begin(session, context, wanted, decision, reason)
    results = _results(context, rows, decision)
    chosen = [row for row in rows if results[row.id] is Result.DECIDED]
    if chosen:
        _carry_out(session, context, chosen, decision, reason, bulk_id)
    return Bulk(bulk_id, results)


def _begin(
    session: Session, context: Context, wanted: Filter, decision: ReviewDecision, reason: str
) -> tuple[Context, int]:
    context = _logged(session, context, "DECIDE_REVIEWS", reason)
    assert context.cause
    told = orjson.dumps({name: getattr(wanted, name) for name in Filter.__slots__ if getattr(wanted, name)}).decode()
    row = (decision.value, told, reason, context.person, context.cause.change_id, context.now)
    ((bulk_id,),) = insert_rows(session, BulkDecision, _COLUMNS, [row], "RETURNING id")
    return context, int(bulk_id)


def _logged(session: Session, context: Context, action: str, reason: str) -> Context:
    call = context.call or Call(context.actor)
    (cause,) = log_changes(session, context, action, [call], reason=reason)
    return replace(context, cause=cause)


def _carry_out(
    session: Session, context: Context, rows: Sequence[Any], decision: ReviewDecision, reason: str, bulk_id: int
) -> None:
    apart = decision is ReviewDecision.NOT_SAME
    try:
        members = lock_ends(session, rows) if apart else None
    except ReviewChanged as error:
        raise BulkChanged from error
    taken = take_all(session, [row.id for row in rows])
    if [(row.id, row.version) for row in taken] != [(row.id, row.version) for row in sorted(rows, key=lambda r: r.id)]:
        raise BulkChanged
    if members:
        judge_apart(session, context, members, taken, reason)
    else:
        send(session, STATE, ids=[row.id for row in taken], state=STATE_OF[decision].value)
    gone = decision is ReviewDecision.ESCALATE
    held = {row.id: row.claimed_at for row in taken if gone and row.claimed_by == context.person}
    note(session, context, decision.value, [(row.id, row.state) for row in taken], reason, bulk_id, held=held)


def undo_bulk(session: Session, context: Context, bulk_id: int, *, reason: str) -> Bulk:
    """Takes a decision on many reviews back: what was said of records before stands again, and the reviews are open as they were.

    What was decided otherwise since stays so, as does what another has claimed since; and what is no question any more is not
    asked again.

    Raises:
        BulkNotFound, BulkUndone: there is nothing to take back.
        BulkNotUndoable: records would move.
        OperationStale, NumberRetired: records went to other customers just now.
    """
    bulk = _bulk(session, bulk_id)
    decision = ReviewDecision(bulk.decision)
    context = _logged(session, context, "UNDO_REVIEWS", reason)
    members = None if decision in STATE_OF else _lock_touched(session, bulk)
    rows = _lock_reviews(session, bulk_id, decision)
    if _bulk(session, bulk_id, lock=True).undone_at:
        raise BulkUndone
    left = _as_left(rows, decision, members)
    held = {r.id for r in left if _held_since(context, r, bulk)}
    opened = _reopen(session, context, [r for r in left if r.id not in held], bulk, reason)
    if members:
        _take_back(session, context, members, bulk, reason)
        opened = {row.id for row in query(session, _STILL_OPEN, ids=sorted(opened))}
    send(session, _UNDONE, id=bulk_id, now=context.now, person=context.person)
    told = dict.fromkeys(opened, Result.REOPENED) | dict.fromkeys(held, Result.CLAIMED)
    return Bulk(bulk_id, {r.id: told.get(r.id, Result.CHANGED) for r in rows})


def _bulk(session: Session, bulk_id: int, *, lock: bool = False) -> Any:
    rows = query(session, f"{_BULK} FOR NO KEY UPDATE" if lock else _BULK, id=bulk_id)
    if not rows:
        raise BulkNotFound
    return rows[0]


def _lock_touched(session: Session, bulk: Any) -> Members:
    touched = query(session, _TOUCHED, id=bulk.id, change=bulk.change_id)
    return lock(session, {row.customer_no for row in touched})


def _take_back(session: Session, context: Context, members: Members, bulk: Any, reason: str) -> None:
    """Says again what stood before, and decides all these records again, so that only what is a question stays one."""
    rows = query(session, _SAID, change=bulk.change_id)
    left = {r for row in rows for r in (row.record_lo, row.record_hi)} - members.home.keys()
    if left:
        raise OperationStale(sorted(members.by_no))
    said = news({(row.record_lo, row.record_hi): Verdict(row.before) for row in rows}, members)
    moved = apply(session, context, members, said, reason=reason, person=context.person).moved
    if moved:
        raise BulkNotUndoable(sorted({no for _, left, to in moved for no in (left, to)}))


def _lock_reviews(session: Session, bulk_id: int, decision: ReviewDecision) -> list[Any]:
    return query(session, f"{_DECIDED} FOR UPDATE OF r", id=bulk_id, decision=decision.value)


def _as_left(rows: Sequence[Any], decision: ReviewDecision, members: Members | None) -> list[Any]:
    """Those that are still as they were left, and whose customers are still two."""
    if members is None:
        return [r for r in rows if r.state == STATE_OF[decision]]
    live = members.by_no.keys()
    return [r for r in rows if r.outcome == decision.value and live >= {r.customer_lo, r.customer_hi}]


def _held_since(context: Context, row: Any, bulk: Any) -> bool:
    """Whether another person has claimed an open review after it was decided so."""
    by = holder(row.claimed_by, row.claimed_at, context.now)
    return not row.closed_at and by not in ("", context.person) and bool(row.claimed_at > bulk.made_at)


def _reopen(session: Session, context: Context, rows: Sequence[Any], bulk: Any, reason: str) -> set[int]:
    """Opens reviews again, but where another asks the same by now; whoever gave them away has them back, if they are free."""
    ids, states = [r.id for r in rows], [r.state_before for r in rows]
    back = [r.held_since and not r.claimed_by for r in rows]
    by = [bulk.person if given else r.claimed_by for r, given in zip(rows, back, strict=True)]
    at = [r.held_since if given else r.claimed_at for r, given in zip(rows, back, strict=True)]
    opened = {row.id for row in query(session, _REOPEN, ids=ids, states=states, by=by, at=at)}
    note(session, context, "UNDONE", [(r.id, r.state) for r in rows if r.id in opened], reason, bulk.id)
    return opened
