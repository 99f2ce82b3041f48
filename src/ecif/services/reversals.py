"""Undoes of merges (撤销合并): exactly what was merged is parted again, and what an undo would touch is told before (影响范围)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.records import RecordName
from ecif.services import operations
from ecif.services.context import Context
from ecif.services.holdings import HOLDINGS, Item, Span
from ecif.services.operations import Kind, Operation, Status
from ecif.services.outcomes import Preview, Regrouped, carry_out, name_of, previewed, seen, unchanged
from ecif.services.regrouping import Members, live_numbers, lock, undoing
from ecif.services.rows import query

SINCE_MAX = 200
"""Things of a kind that are listed of what happened since a merge."""

_ANCHORS = "SELECT customer_no, anchor_id FROM party WHERE customer_no = ANY(%(nos)b::text[])"
_SPANS = (
    "SELECT customer_no, greatest(min(started_at), %(since)b) AS since, max(coalesce(ended_at, %(now)b)) AS until FROM link"
    " WHERE record_id = ANY(%(ids)b::bigint[]) AND (ended_at IS NULL OR ended_at > %(since)b)"
    " GROUP BY customer_no ORDER BY since, customer_no"
)
_ARRIVED = (
    "SELECT r.id, count(*) AS versions, max(v.received_at) AS received_at"
    " FROM source_record r JOIN source_record_version v ON v.record_id = r.id"
    " WHERE r.id = ANY(%(ids)b::bigint[]) AND v.received_at > %(since)b GROUP BY r.id ORDER BY 3, 1 LIMIT %(limit)b"
)
_WITHIN = (
    "FROM unnest(%(nos)b::text[], %(sinces)b::timestamptz[], %(untils)b::timestamptz[]) s(no, since, until) JOIN {what} e"
    " ON e.customer_no = s.no AND e.{at} > s.since AND e.{at} <= s.until"
)
_EVENTS = (
    "SELECT e.customer_no, e.seq, e.type, e.occurred_at, e.position, c.action, c.caller, c.operator, c.channel "
    + _WITHIN.format(what="outbox_event", at="occurred_at")
    + " LEFT JOIN change_log c ON c.id = e.change_id ORDER BY e.occurred_at, e.id LIMIT %(limit)b"
)
_CHECKS = (
    "SELECT e.customer_no, e.kind, e.result, e.caller, e.operator, e.channel, e.answered_at "
    + _WITHIN.format(what="check_answer", at="answered_at")
    + " ORDER BY e.answered_at, e.id LIMIT %(limit)b"
)
_READS = (
    "SELECT e.customer_no, e.caller, e.operator, e.channel, e.purpose, e.read_at "
    + _WITHIN.format(what="clear_read", at="read_at")
    + " ORDER BY e.read_at, e.id LIMIT %(limit)b"
)
_REQUESTS = (
    "SELECT e.id, e.customer_no, e.status, e.maker, e.checker, e.made_at "
    + _WITHIN.format(what="change_request", at="made_at")
    + " ORDER BY e.id LIMIT %(limit)b"
)


class NotReversible(Exception):
    """Not a merge that stands: it waits, was refused or undone, or is no merge."""


class ReverseBlocked(Exception):
    """Later operations on the same customers have to be undone first; ``later`` says which."""

    def __init__(self, later: Sequence[int]) -> None:
        super().__init__(*later)
        self.later = later


@dataclass(frozen=True, slots=True)
class Arrived:
    """A source record of which something arrived.

    Attributes:
        new: whether it was not there when the customers were merged.
        versions: how many versions arrived, the last of them at ``received_at``.
        to: the number under which an undo leaves it.
    """

    name: RecordName
    new: bool
    versions: int
    received_at: datetime
    to: str


@dataclass(frozen=True, slots=True)
class Since:
    """What came and was done under a merged number since (影响范围): under each number it led to, while it led there.

    Lists hold one more than :data:`SINCE_MAX` at most.

    Attributes:
        holdings: by kind of thing that customers hold, what of it began since.
    """

    spans: list[Span]
    arrived: list[Arrived]
    events: list[Any]
    checks: list[Any]
    clear_reads: list[Any] = field(repr=False)
    change_requests: list[Any]
    operations: Sequence[Operation]
    holdings: Mapping[str, list[Item]] = field(repr=False)


def preview_reverse(session: Session, context: Context, merge_id: int) -> tuple[Preview, Since]:
    """What an undo of a merge would do, and what has happened on the merged number since; nothing is changed.

    Raises:
        OperationNotFound, NotReversible, ReverseBlocked: there is nothing to be undone.
    """
    merge = _standing(session, merge_id)
    members, held = _reversible(session, merge)
    preview = previewed(session, members, [], lambda: _reverse(session, context, members, merge, held))
    return preview, _since(session, context, merge, members, held, preview.regrouped)


def ask_reverse(session: Session, context: Context, merge_id: int, *, reason: str, evidence: str = "") -> Operation:
    """Prepares the undo of a merge for another person to approve.

    Raises:
        OperationNotFound, NotReversible, ReverseBlocked, OperationDecided: there is nothing to be undone.
    """
    merge = _standing(session, merge_id)
    members, _ = _reversible(session, merge)
    return operations.ask(
        session, context, Kind.REVERSE, next(iter(members.by_no)), {"merge": merge_id}, seen(members),
        reason=reason, evidence=evidence, reverses=merge_id, others=_numbers(merge),
    )  # fmt: skip


def approved_reverse(session: Session, context: Context, operation: Operation) -> Regrouped:
    """Carries out what was asked for.

    Raises:
        OperationStale, NotReversible, ReverseBlocked: it can't be any more.
    """
    unchanged(session, operation.seen)
    merge = _standing(session, operation.request["merge"])
    members, held = _reversible(session, merge)
    return _reverse(session, context, members, merge, held, operation)


def _standing(session: Session, merge_id: int) -> Operation:
    """The merge, or the judgement that was taken back and did nothing but let the rules merge, if it stands."""
    merge = operations.get(session, merge_id)
    if not (merge.kind is Kind.MERGE or _merged(merge)) or merge.status is not Status.DONE:
        raise NotReversible
    return merge


def _merged(judgement: Operation) -> bool:
    done = judgement.outcome if judgement.kind is Kind.JUDGEMENT else None
    return bool(done and done["retired"] and not done["resurrected"] and not done["created"])


def _numbers(merge: Operation) -> list[str]:
    """The numbers that a merge made one, the survivor first."""
    assert merge.outcome is not None
    return [merge.outcome["survivor"], *merge.outcome["retired"]]


def _reversible(session: Session, merge: Operation) -> tuple[Members, dict[int, str]]:
    """The customer that the merged numbers lead to now, locked, and what each number held before.

    Raises:
        ReverseBlocked: the numbers no longer lead to one customer, or one stands for another's record, because of later
            operations.
    """
    led, held = live_numbers(session, _numbers(merge)), operations.records(session, merge.id)
    stand = _anchors(session, _numbers(merge))
    if len(set(led.values())) != 1 or any(held.get(anchor, no) != no for no, anchor in stand.items()):
        raise ReverseBlocked(_later(session, merge))
    return lock(session, set(led.values())), held


def _later(session: Session, merge: Operation) -> list[int]:
    """What was done since with a number of the merge."""
    done = (operations.listing(session, status="DONE", customer_no=no, after=merge.id) for no in _numbers(merge))
    return sorted({operation.id for those in done for operation in those})


def _reverse(
    session: Session,
    context: Context,
    members: Members,
    merge: Operation,
    held: Mapping[int, str],
    operation: Operation | None = None,
) -> Regrouped:
    survivor, *retired = nos = _numbers(merge)
    said = undoing(session, context, members, held, survivor, _anchors(session, nos), merge.id)
    regrouped = carry_out(session, context, members, said, nos, operation)
    if set(retired) - set(regrouped.resurrected):  # never half of it
        raise ReverseBlocked(_later(session, merge))
    return regrouped


def _anchors(session: Session, nos: Sequence[str]) -> dict[str, int]:
    return dict(query(session, _ANCHORS, nos=list(nos)))


def _since(
    session: Session, context: Context, merge: Operation, members: Members, held: Mapping[int, str], after: Regrouped
) -> Since:
    """What came and what was done under the merged number, wherever it led, after the merge."""
    since, limit = merge.decided_at, SINCE_MAX + 1
    anchors = list(_anchors(session, _numbers(merge)).values())
    led = query(session, _SPANS, ids=anchors, since=since, now=context.now)
    spans = [Span(row.customer_no, row.since, row.until) for row in led]
    asked = {
        "nos": [span.customer_no for span in spans],
        "sinces": [span.since for span in spans],
        "untils": [span.until for span in spans],
        "limit": limit,
    }
    (no,) = members.by_no
    to = {name: to for name, _, to in after.moved}
    arrived = [
        Arrived(name, row.id not in held, row.versions, row.received_at, to.get(name, no))
        for row in query(session, _ARRIVED, ids=list(members.features), since=since, limit=limit)
        for name in [name_of(members.name(row.id))]
    ]
    return Since(
        spans,
        arrived,
        query(session, _EVENTS, **asked),
        query(session, _CHECKS, **asked),
        query(session, _READS, **asked),
        query(session, _REQUESTS, **asked),
        operations.listing(session, customer_no=no, after=merge.id, limit=limit),
        {holding.kind: holding.since(session, spans, limit) for holding in HOLDINGS},
    )
