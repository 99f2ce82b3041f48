"""Operations that move records between customers (归并操作): asked for by one person, decided by another, both on record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.models import Operation as OperationRow
from ecif.models import OperationCustomer, OperationRecord
from ecif.services import four_eyes
from ecif.services.context import Call, Context
from ecif.services.customers import NUMBERS, resolve
from ecif.services.reviews import wait_for
from ecif.services.rows import insert_rows, query, send

_ONE = "SELECT * FROM operation WHERE id = %(id)b"
_TAKE = f"{_ONE} FOR NO KEY UPDATE"  # a review that refers to it is written under other locks
_SAME = (
    "SELECT * FROM operation WHERE fingerprint = %(fingerprint)b AND status = ANY(%(statuses)b::text[])"
    " ORDER BY id DESC LIMIT 1"
)
_DECIDE = (
    "UPDATE operation SET status = %(status)b, checker = %(checker)b, note = %(note)b, decided_at = %(now)b,"
    " outcome = %(outcome)b WHERE id = %(id)b"
)
_OUTDATE = (
    "UPDATE operation SET status = 'REJECTED', note = %(note)b, decided_at = %(now)b"
    " WHERE id = %(id)b AND status = 'PENDING'"
)
OUTDATED = "客户已变化, 已重新申请 the customers have changed, and it was asked for anew"
REPLACED = "已以其他证明或例外重新申请 it was asked for anew with other evidence or overrides"
STALE = "客户已变化, 不能再复核 the customers have changed, so that it can't be approved any more"
"""Notes on operations that are turned down though nobody decided them: for one that takes their place, or for another decision."""
_REVERSED = (
    "UPDATE operation o SET status = 'REVERSED', reversed_at = %(now)b WHERE status = 'DONE'"
    " AND (kind = 'MERGE' OR (kind = 'JUDGEMENT' AND outcome::jsonb -> 'retired' <> '[]')) AND id IN"
    " (SELECT operation_id FROM operation_customer WHERE customer_no = ANY(%(nos)b::text[])) AND"
    " (SELECT count(*) = count(DISTINCT coalesce(merged_into, customer_no)) FROM party WHERE customer_no IN"
    " (SELECT customer_no FROM operation_record WHERE operation_id = o.id))"
)
_RECORDS = "SELECT record_id, customer_no FROM operation_record WHERE operation_id = %(id)b"
_LIST = (
    "SELECT * FROM operation WHERE (%(status)b = '' OR status = %(status)b) AND (%(kind)b = '' OR kind = %(kind)b)"
    " AND (%(customer_no)b = '' OR id = ANY(%(ids)b::bigint[])) AND id > %(after)b ORDER BY id LIMIT %(limit)b"
)
_OF_CUSTOMER = f"SELECT DISTINCT operation_id AS id FROM operation_customer WHERE customer_no IN ({NUMBERS})"
_COLUMNS = (
    "kind", "status", "customer_no", "request", "seen", "fingerprint", "reason", "evidence", "override", "maker", "caller",
    "channel", "branch", "made_at", "reverses",
)  # fmt: skip


class Kind(StrEnum):
    """操作种类."""

    MERGE = "MERGE"
    SPLIT = "SPLIT"
    REVERSE = "REVERSE"
    JUDGEMENT = "JUDGEMENT"


class Status(StrEnum):
    """操作状态."""

    PENDING = "PENDING"
    DONE = "DONE"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    """By whoever asked for it."""
    REVERSED = "REVERSED"
    """A merge that was undone, or whose customers were parted again: by a split, a later judgement, or a record that changed."""


class OperationNotFound(Exception):
    """There is no operation of this number."""


class OperationDecided(Exception):
    """It has been decided already; ``status`` says how."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as stored. ``seen`` is what its customers held when it was asked for, ``outcome`` what it did.

    ``customer_no`` is the survivor of a merge, and else the customer it begins with; ``override`` the rules set aside.
    """

    id: int
    kind: Kind
    status: Status
    customer_no: str
    request: Mapping[str, Any]
    seen: Mapping[str, str] = field(repr=False)
    reason: str
    evidence: str
    override: tuple[str, ...]
    maker: str
    caller: str
    made_at: datetime
    checker: str | None
    note: str | None
    decided_at: datetime | None
    outcome: Mapping[str, Any] | None
    reverses: int | None
    reversed_at: datetime | None


def _operation(row: Any) -> Operation:
    return Operation(
        id=row.id,
        kind=Kind(row.kind),
        status=Status(row.status),
        customer_no=row.customer_no,
        request=orjson.loads(row.request),
        seen=orjson.loads(row.seen),
        reason=row.reason,
        evidence=row.evidence,
        override=tuple(row.override.split()),
        maker=row.maker,
        caller=row.caller,
        made_at=row.made_at,
        checker=row.checker,
        note=row.note,
        decided_at=row.decided_at,
        outcome=orjson.loads(row.outcome) if row.outcome else None,
        reverses=row.reverses,
        reversed_at=row.reversed_at,
    )


def fingerprint(kind: Kind, request: Mapping[str, Any]) -> bytes:
    """What equal requests have in common."""
    return blake2b(orjson.dumps([kind, request], option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def same(session: Session, kind: Kind, request: Mapping[str, Any], *statuses: Status) -> Operation | None:
    """The newest operation that the same was asked for with, in one of the states."""
    rows = query(session, _SAME, fingerprint=fingerprint(kind, request), statuses=[s.value for s in statuses])
    return _operation(rows[0]) if rows else None


def ask(
    session: Session,
    context: Context,
    kind: Kind,
    customer_no: str,
    request: Mapping[str, Any],
    seen: Mapping[str, str],
    *,
    reason: str,
    evidence: str = "",
    override: Collection[str] = (),
    reverses: int | None = None,
    others: Collection[str] = (),
) -> Operation:
    """Stores an operation that another person has to approve; asking for the same again gives the one that waits.

    If that can't be approved any more, because the customers have changed, or shows other evidence or overrides other rules,
    it is turned down and the new one waits instead, as does the review in which the merge was asked for.

    Args:
        seen: what the customers hold, by number.
        reverses: the merge that it undoes, which is done once.
        others: further numbers under which it is found.

    Raises:
        OperationDecided: the merge was undone just now.
    """
    call, told = context.call or Call(context.actor), tuple(sorted(set(override)))
    row = (
        kind.value, Status.PENDING.value, customer_no, orjson.dumps(request).decode(), orjson.dumps(seen).decode(),
        fingerprint(kind, request), reason, evidence, " ".join(told), call.person, call.caller, call.channel.value,
        call.branch, context.now, reverses,
    )  # fmt: skip
    rows = insert_rows(session, OperationRow, _COLUMNS, [row], "ON CONFLICT DO NOTHING RETURNING id")
    if rows:
        _concerns(session, rows[0].id, {customer_no, *seen, *others})
        return get(session, rows[0].id)
    waiting = same(session, kind, request, Status.PENDING, *([Status.DONE] if reverses else []))
    if waiting and waiting.status is Status.DONE:
        raise OperationDecided(waiting.status)
    if waiting and waiting.seen == seen and (waiting.evidence, waiting.override) == (evidence, told):
        return waiting
    why = REPLACED if waiting and waiting.seen == seen else OUTDATED
    if waiting:  # unless it was taken back just now
        outdate(session, context, waiting.id, why)
    anew = ask(
        session, context, kind, customer_no, request, seen,
        reason=reason, evidence=evidence, override=override, reverses=reverses, others=others,
    )  # fmt: skip
    if waiting:
        wait_for(session, context, waiting.id, anew.id, why)
    return anew


def outdate(session: Session, context: Context, operation_id: int, why: str) -> None:
    """Turns an operation down, if it waits still, that nobody decides any more."""
    send(session, _OUTDATE, id=operation_id, note=why, now=context.now)


def hold(session: Session, operation_id: int) -> Operation:
    """An operation, held until the end of the transaction, so that nobody else decides it."""
    return _operation(query(session, _TAKE, id=operation_id)[0])


def _concerns(session: Session, operation_id: int, nos: Collection[str]) -> None:
    """Lets an operation be found under these numbers too."""
    rows = [(operation_id, no) for no in sorted(nos)]
    insert_rows(session, OperationCustomer, ("operation_id", "customer_no"), rows, "ON CONFLICT DO NOTHING")


def take(session: Session, context: Context, operation_id: int, *, by_maker: bool = False) -> Operation:
    """A pending operation, held until the end of the transaction by whoever decides it, or takes back what he asked for.

    Raises:
        OperationNotFound, OperationDecided: there is nothing to decide.
        MakerIsChecker: the person who asked is the one who decides.
        NotMaker: another person than the one who asked takes it back.
    """
    rows = query(session, _TAKE, id=operation_id)
    if not rows:
        raise OperationNotFound
    (row,) = rows
    if row.status != Status.PENDING:
        raise OperationDecided(row.status)
    if by_maker:
        four_eyes.must_be_maker(context, row.maker)
    else:
        four_eyes.must_be_other(context, row.maker, row.caller)
    return _operation(row)


def decide(
    session: Session,
    context: Context,
    operation: Operation,
    status: Status,
    note: str,
    outcome: Mapping[str, Any] | None = None,
) -> Operation:
    """Writes the decision down; what it created is found under its numbers from now on."""
    told = orjson.dumps(outcome).decode() if outcome is not None else None
    checker = context.person if status is not Status.WITHDRAWN else None
    send(
        session, _DECIDE,
        id=operation.id, status=status.value, checker=checker, note=note, now=context.now, outcome=told,
    )  # fmt: skip
    if outcome:
        _concerns(session, operation.id, [*outcome["created"], *outcome["resurrected"]])
    return get(session, operation.id)


def mark_reversed(session: Session, context: Context, parted: Collection[str]) -> None:
    """Writes down which merges of numbers that were parted are no more: no two of the numbers they joined lead to one."""
    send(session, _REVERSED, nos=list(parted), now=context.now)


def keep_records(session: Session, operation_id: int, held: Mapping[int, str]) -> None:
    """Writes down under which number each record was, for an undo."""
    rows = [(operation_id, record_id, no) for record_id, no in sorted(held.items())]
    insert_rows(session, OperationRecord, ("operation_id", "record_id", "customer_no"), rows)


def records(session: Session, operation_id: int) -> dict[int, str]:
    """Under which number each record was before the operation."""
    return dict(query(session, _RECORDS, id=operation_id))


def get(session: Session, operation_id: int) -> Operation:
    """An operation.

    Raises:
        OperationNotFound: there is none of this number.
    """
    rows = query(session, _ONE, id=operation_id)
    if not rows:
        raise OperationNotFound
    return _operation(rows[0])


def listing(
    session: Session, *, status: str = "", kind: str = "", customer_no: str = "", after: int = 0, limit: int = 100
) -> Sequence[Operation]:
    """Operations, oldest first; of a customer those that concern any of his numbers.

    Raises:
        CustomerNotFound: the customer asked for was never issued.
    """
    ids = [row.id for row in query(session, _OF_CUSTOMER, customer_no=customer_no)] if customer_no else []
    if customer_no and not ids:
        resolve(session, customer_no)
    rows = query(session, _LIST, status=status, kind=kind, customer_no=customer_no, ids=ids, after=after, limit=limit)
    return [_operation(row) for row in rows]
