"""One decision on many reviews (批量裁决): previewed, made in one transaction, and taken back as one.

Only what joins nobody is decided so. Every review gets its result: what another steward holds, or what waits for a merge, is
left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
)
from ecif.models import BulkDecision
from ecif.services.changes import log_changes
from ecif.services.context import Call, Context
from ecif.services.judgements import NEWEST
from ecif.services.regrouping import Said, apply, lock
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
    "SELECT r.*, e.state_before FROM review_entry e JOIN merge_review r ON r.id = e.review_id"
    " WHERE e.bulk_id = %(id)b AND e.action = %(decision)b ORDER BY r.id"
)
_SAID = (
    "SELECT record_lo, record_hi FROM judgement j WHERE change_id = %(change)b AND verdict IN ('NOT_SAME', 'UNDECIDED')"
    f" AND {NEWEST}"
)
_HOMES = "SELECT DISTINCT customer_no FROM link WHERE record_id = ANY(%(ids)b::bigint[]) AND ended_at IS NULL"
_REOPEN = (
    "UPDATE merge_review r SET state = q.state, closed_at = NULL, outcome = NULL, version = version + 1"
    " FROM unnest(%(ids)b::bigint[], %(states)b::text[]) q(id, state) WHERE r.id = q.id AND NOT EXISTS (SELECT FROM"
    " merge_review o WHERE o.customer_lo = r.customer_lo AND o.customer_hi = r.customer_hi AND o.kind = r.kind"
    " AND o.closed_at IS NULL AND o.id <> r.id) RETURNING r.id"
)


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
    """Not taken back: it was decided otherwise since."""


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
    note(session, context, decision.value, [(row.id, row.state) for row in taken], reason, bulk_id)


def undo_bulk(session: Session, context: Context, bulk_id: int, *, reason: str) -> Bulk:
    """Takes a decision on many reviews back: its judgements are withdrawn, and the reviews are open again as they were.

    What was decided otherwise since stays so.

    Raises:
        BulkNotFound, BulkUndone: there is nothing to take back.
        BulkNotUndoable: records would move.
        ReviewChanged: a customer was merged just now.
    """
    decision = ReviewDecision(_bulk(session, bulk_id).decision)
    context = _logged(session, context, "UNDO_REVIEWS", reason)
    said = _withdrawn(session, bulk_id)
    nos = (
        {row.customer_no for row in query(session, _HOMES, ids=sorted({r for p in said for r in p}))} if said else set()
    )
    members = lock(session, nos) if nos else None
    rows = _lock_reviews(session, bulk_id, decision)
    if _bulk(session, bulk_id, lock=True).undone_at:
        raise BulkUndone
    results = _reopen(session, context, rows, decision, members.by_no if members else (), reason, bulk_id)
    if members:
        moved = apply(session, context, members, said, reason=reason, person=context.person).moved
        if moved:
            raise BulkNotUndoable(sorted({no for _, left, to in moved for no in (left, to)}))
    send(session, _UNDONE, id=bulk_id, now=context.now, person=context.person)
    return Bulk(bulk_id, results)


def _bulk(session: Session, bulk_id: int, *, lock: bool = False) -> Any:
    rows = query(session, f"{_BULK} FOR NO KEY UPDATE" if lock else _BULK, id=bulk_id)
    if not rows:
        raise BulkNotFound
    return rows[0]


def _withdrawn(session: Session, bulk_id: int) -> Said:
    rows = query(session, _SAID, change=_bulk(session, bulk_id).change_id)
    return {(row.record_lo, row.record_hi): Verdict.WITHDRAWN for row in rows}


def _lock_reviews(session: Session, bulk_id: int, decision: ReviewDecision) -> list[Any]:
    return query(session, f"{_DECIDED} FOR UPDATE OF r", id=bulk_id, decision=decision.value)


def _reopen(
    session: Session,
    context: Context,
    rows: Sequence[Any],
    decision: ReviewDecision,
    customers: Collection[str],
    reason: str,
    bulk_id: int,
) -> dict[int, Result]:
    """Opens those again that are still in the state in which they were left, or about two of the customers of whom it is taken
    back what was said: none that was merged since, or of whom somebody has said the same again."""
    left_as = STATE_OF.get(decision)
    chosen = [
        r for r in rows if (r.state == left_as if left_as else {r.customer_lo, r.customer_hi}.issubset(customers))
    ]
    opened = (
        {row.id for row in query(session, _REOPEN, ids=[r.id for r in chosen], states=[r.state_before for r in chosen])}
        if chosen
        else set()
    )
    note(session, context, "UNDONE", [(r.id, r.state) for r in chosen if r.id in opened], reason, bulk_id)
    return {r.id: Result.REOPENED if r.id in opened else Result.CHANGED for r in rows}
