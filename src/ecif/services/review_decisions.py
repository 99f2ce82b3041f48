"""What stewards do with reviews (审核处理): claim, release, comment, decide.

Whoever decides holds the customers locked before the review, in number order, as whoever takes records in does. A merge is
only asked for here: another person approves it, and the review closes with it, or comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.review_policy import (
    DECISIONS,
    MERGING,
    STATE_OF,
    ReviewDecision,
    ReviewKind,
    ReviewState,
    holder,
)
from ecif.services import merges
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.judgements import pair
from ecif.services.regrouping import Members, NumberRetired, Said, apply, lock, news
from ecif.services.review_queue import ReviewNotFound, find
from ecif.services.reviews import note
from ecif.services.rows import query, send

_TAKE = "SELECT * FROM merge_review WHERE id = ANY(%(ids)b::bigint[]) ORDER BY id FOR UPDATE"
_CLAIM = "UPDATE merge_review SET claimed_by = %(person)b, claimed_at = %(at)b, version = version + 1 WHERE id = %(id)b"
STATE = (
    "UPDATE merge_review SET state = %(state)b, version = version + 1,"
    " claimed_by = CASE WHEN %(state)b = 'ESCALATED' THEN NULL ELSE claimed_by END WHERE id = ANY(%(ids)b::bigint[])"
)
"""Leaves reviews open in another state; one that is escalated is for somebody else to take."""
_WAIT = (
    "UPDATE merge_review SET state = 'WAITING', outcome = %(outcome)b, operation_id = %(operation)b, version = version + 1"
    " WHERE id = %(id)b"
)
_CLOSE = (
    "UPDATE merge_review SET state = 'CLOSED', outcome = %(outcome)b, closed_at = %(now)b, version = version + 1"
    " WHERE id = ANY(%(ids)b::bigint[])"
)
_BETWEEN = (
    "SELECT d.record_lo, d.record_hi FROM unnest(%(los)b::text[], %(his)b::text[]) q(lo, hi)"
    " JOIN link a ON a.customer_no = q.lo AND a.ended_at IS NULL"
    " JOIN LATERAL (SELECT record_lo, record_hi, record_hi AS other FROM doubtful_pair WHERE record_lo = a.record_id"
    "  UNION ALL SELECT record_lo, record_hi, record_lo FROM doubtful_pair WHERE record_hi = a.record_id) d ON true"
    " JOIN link b ON b.record_id = d.other AND b.customer_no = q.hi AND b.ended_at IS NULL"
)


class ReviewClaimed(Exception):
    """Another person holds the review; ``by`` and ``since`` say who, and since when."""

    def __init__(self, by: str, since: datetime) -> None:
        super().__init__(by)
        self.by, self.since = by, since


class ReviewClosed(Exception):
    """It is closed; ``outcome`` says how."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class ReviewWaits(Exception):
    """A merge was asked for and waits for another person; ``operation`` is its number."""

    def __init__(self, operation: int) -> None:
        super().__init__(operation)
        self.operation = operation


class ReviewChanged(Exception):
    """It is no longer as it was seen: of another version, in another state, or about customers who are no more."""

    def __init__(self, version: int, state: str) -> None:
        super().__init__(version)
        self.version, self.state = version, state


class DecisionUnfit(Exception):
    """This can't be decided of a review of this kind; ``allowed`` says what can."""

    def __init__(self, allowed: Collection[ReviewDecision]) -> None:
        super().__init__(*sorted(allowed))
        self.allowed = sorted(allowed)


class DecisionMoves(Exception):
    """Records would move by it, which only two persons may decide; ``customers`` says whose."""

    def __init__(self, customers: Sequence[str]) -> None:
        super().__init__(len(customers))
        self.customers = customers


def claim(session: Session, context: Context, review_id: int, *, expected: int | None = None) -> Any:
    """Takes a review for oneself, so that nobody else works on it. Claiming it again makes it last longer.

    Raises:
        ReviewNotFound, ReviewClosed, ReviewClaimed, ReviewChanged: it can't be had.
    """
    row = take(session, context, review_id, expected)
    return _claimed(session, context, row, "CLAIMED", context.person, context.now)


def release(session: Session, context: Context, review_id: int, *, expected: int | None = None) -> Any:
    """Gives it back to the queue. What nobody holds stays as it is.

    Raises:
        ReviewNotFound, ReviewClosed, ReviewClaimed, ReviewChanged: it is not one's own.
    """
    row = take(session, context, review_id, expected)
    return _claimed(session, context, row, "RELEASED", None, None) if row.claimed_by else row


def _claimed(session: Session, context: Context, row: Any, action: str, person: str | None, at: datetime | None) -> Any:
    send(session, _CLAIM, id=row.id, person=person, at=at)
    note(session, context, action, [(row.id, row.state)])
    return find(session, row.id)


def comment(session: Session, context: Context, review_id: int, text: str) -> Any:
    """Adds a remark to the history; anybody may, also of a closed review.

    Raises:
        ReviewNotFound: there is none of this number.
    """
    row = find(session, review_id)
    note(session, context, "COMMENT", [(row.id, row.state)], text)
    return row


def decide(
    session: Session,
    context: Context,
    review_id: int,
    decision: ReviewDecision,
    *,
    reason: str,
    expected: int | None = None,
    survivor: str = "",
    evidence: str = "",
    override: Collection[str] = (),
) -> Any:
    """Decides a review; returns it as it is then. A merge waits for another person (``operation_id``).

    Args:
        expected: the version of the review that was seen.
        evidence: where the proof is kept.
        survivor, override: of the merge, as :func:`ecif.services.merges.ask_merge` takes them.

    Raises:
        ReviewNotFound, ReviewClosed, ReviewClaimed, ReviewWaits, ReviewChanged, DecisionUnfit: it can't be decided so.
        MergeBlocked, SurvivorNotMember: the customers can't be merged so.
        DecisionMoves: the record fits its customer only together with others.
    """
    row = usable(context, find(session, review_id), expected, deciding=True)
    kind = ReviewKind(row.kind)
    if decision not in DECISIONS[kind]:
        raise DecisionUnfit(DECISIONS[kind])
    if decision in STATE_OF:
        row = take(session, context, review_id, expected, deciding=True)
        send(session, STATE, ids=[review_id], state=STATE_OF[decision].value)
    elif kind in (ReviewKind.MOVED, ReviewKind.FOLLOW_UP):
        row = take(session, context, review_id, expected, deciding=True)
        send(session, _CLOSE, ids=[review_id], outcome=decision.value, now=context.now)
    elif kind is ReviewKind.MISFIT:
        context = log_change(session, context, "JUDGE_REVIEW", reason=reason, evidence=evidence)
        members = lock_ends(session, [row])
        row = take(session, context, review_id, expected, deciding=True)
        judge_fitting(session, context, members, row, reason)
    elif decision in MERGING:
        ends = [row.customer_lo, row.customer_hi]
        asked = merges.ask_merge(session, context, ends, survivor, reason=reason, evidence=evidence, override=override)
        row = take(session, context, review_id, expected, deciding=True)
        send(session, _WAIT, id=review_id, outcome=decision.value, operation=asked.id)
    else:
        context = log_change(session, context, "JUDGE_REVIEW", reason=reason, evidence=evidence)
        members = lock_ends(session, [row])
        row = take(session, context, review_id, expected, deciding=True)
        judge_apart(session, context, members, [row], reason)
    note(session, context, decision.value, [(row.id, row.state)], reason, evidence=evidence)
    return find(session, review_id)


def usable(context: Context, row: Any, expected: int | None = None, *, deciding: bool = False) -> Any:
    """The review, if this person may work on it as he saw it.

    Raises:
        ReviewClosed, ReviewClaimed, ReviewWaits, ReviewChanged: he may not.
    """
    if row.closed_at:
        raise ReviewClosed(row.outcome)
    by = holder(row.claimed_by, row.claimed_at, context.now)
    if by and by != context.person:
        raise ReviewClaimed(by, row.claimed_at)
    if deciding and row.state == ReviewState.WAITING:
        raise ReviewWaits(row.operation_id)
    if expected is not None and expected != row.version:
        raise ReviewChanged(row.version, row.state)
    return row


def take_all(session: Session, ids: Sequence[int]) -> list[Any]:
    """Reviews, locked in the order of their numbers."""
    return query(session, _TAKE, ids=list(ids))


def take(
    session: Session, context: Context, review_id: int, expected: int | None = None, *, deciding: bool = False
) -> Any:
    """A review, locked, if this person may work on it.

    Raises:
        ReviewNotFound, ReviewClosed, ReviewClaimed, ReviewWaits, ReviewChanged: he may not.
    """
    rows = take_all(session, [review_id])
    if not rows:
        raise ReviewNotFound
    return usable(context, rows[0], expected, deciding=deciding)


def lock_ends(session: Session, rows: Sequence[Any]) -> Members:
    """The customers of reviews, locked in the order of their numbers.

    Raises:
        ReviewChanged: one of them is no more.
    """
    try:
        return lock(session, {no for row in rows for no in (row.customer_lo, row.customer_hi)})
    except NumberRetired as retired:
        row = next(row for row in rows if retired.no in (row.customer_lo, row.customer_hi))
        raise ReviewChanged(row.version + 1, ReviewState.CLOSED) from retired


def judge_apart(session: Session, context: Context, members: Members, rows: Sequence[Any], reason: str) -> None:
    """Says of the two customers of each review, by all their doubtful pairs and by their anchors, that they are not one.

    What others have said so before stays theirs. It moves no record, also none of others, so that it holds at once. The reviews
    are closed first: what is decided again finds them so.

    Raises:
        LeadsOthers: it would.
    """
    send(session, _CLOSE, ids=[row.id for row in rows], outcome=ReviewDecision.NOT_SAME.value, now=context.now)
    los, his = [row.customer_lo for row in rows], [row.customer_hi for row in rows]
    pairs = {(r.record_lo, r.record_hi) for r in query(session, _BETWEEN, los=los, his=his)}
    ends = ((members.by_no[lo].anchor, members.by_no[hi].anchor) for lo, hi in zip(los, his, strict=True))
    said = news(dict.fromkeys(pairs | {pair(*two) for two in ends}, Verdict.NOT_SAME), members)
    apply(session, context, members, said, reason=reason, person=context.person, alone=True)


def judge_fitting(session: Session, context: Context, members: Members, row: Any, reason: str) -> None:
    """Says of the records in question once more that they are their customer's, as they are now.

    Nobody is asked about them again until they change; and whoever fits them as they are now is the customer's too. The review
    is closed first: what is decided again finds it so.

    Raises:
        DecisionMoves: there are such others.
    """
    send(session, _CLOSE, ids=[row.id], outcome=ReviewDecision.SAME.value, now=context.now)
    those = {told["record"] for told in orjson.loads(row.evidence)["records"]}
    said: Said = dict.fromkeys((p for p in members.same if not those.isdisjoint(p)), Verdict.SAME)
    moved = apply(session, context, members, said, reason=reason, person=context.person, renewed=those).moved
    if moved:
        raise DecisionMoves(sorted({no for _, left, to in moved for no in (left, to)} - members.by_no.keys()))
