"""Follows the dated documents of customers, and tells each stage of their lives once (证件有效期)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.document_life import STARTS, Dated, DocumentStage, dated, stage
from ecif.domain.events import EventType
from ecif.models import DocumentExpiry, Party
from ecif.services.context import Context
from ecif.services.events import event_row, insert_events
from ecif.services.rows import insert_rows, query, send, update_rows

TOLD_AS: Mapping[DocumentStage, EventType] = {
    DocumentStage.EXPIRING: EventType.DOCUMENT_EXPIRING,
    DocumentStage.EXPIRED: EventType.DOCUMENT_EXPIRED,
    DocumentStage.RESTRICT_NONCOUNTER: EventType.DOCUMENT_RESTRICTED,
}

_DROP = (
    "DELETE FROM document_expiry d USING unnest(%(nos)b::text[], %(spaces)b::text[]) gone(customer_no, space)"
    " WHERE d.customer_no = gone.customer_no AND d.space = gone.space"
)
_BEGIN_AGAIN = "ON CONFLICT (customer_no, space) DO UPDATE SET valid_to = EXCLUDED.valid_to, stage = EXCLUDED.stage, told_at = NULL"
_DUE = " UNION ALL ".join(
    f"(SELECT customer_no FROM document_expiry WHERE stage = {before} AND valid_to <= %(last_{before})b"
    " ORDER BY valid_to LIMIT %(limit)b)"
    for before in range(len(STARTS))
)
_FIND = f"SELECT DISTINCT customer_no FROM (SELECT customer_no FROM ({_DUE}) d LIMIT %(limit)b) f"
_LOCK = (
    "SELECT customer_no, event_seq FROM party WHERE customer_no = ANY(%(nos)b::text[]) ORDER BY customer_no FOR UPDATE"
)
_KNOWN = (
    "SELECT customer_no, space, valid_to, stage FROM document_expiry WHERE customer_no = ANY(%(nos)b::text[])"
    " ORDER BY customer_no, space"
)
_TOLD = (
    "UPDATE document_expiry d SET stage = told.stage, told_at = %(now)b"
    " FROM unnest(%(nos)b::text[], %(spaces)b::text[], %(stages)b::smallint[]) told(customer_no, space, stage)"
    " WHERE d.customer_no = told.customer_no AND d.space = told.space"
)
_CHUNK = (
    "SELECT p.customer_no, g.document FROM party p JOIN golden_record g USING (customer_no, version)"
    " WHERE p.customer_no > %(after)b ORDER BY 1 LIMIT %(limit)b"
)


def keep(session: Session, before: Mapping[str, Dated], after: Mapping[str, Dated]) -> None:
    """Stores which documents are dated; the caller holds the customers' locks. Nothing is sent where nothing has changed.

    Args:
        before, after: customer number → his dated documents, as stored and as they are now.
    """
    gone = [(no, space) for no, old in before.items() for space in old.keys() - after.get(no, {}).keys()]
    if gone:
        send(session, _DROP, nos=[no for no, _ in gone], spaces=[space for _, space in gone])
    fresh = [
        (no, space, valid_to, DocumentStage.VALID.value)
        for no, new in after.items()
        for space, valid_to in new.items()
        if before.get(no, {}).get(space) != valid_to
    ]
    insert_rows(session, DocumentExpiry, ("customer_no", "space", "valid_to", "stage"), fresh, _BEGIN_AGAIN)


def restore(session: Session, chunk: int) -> None:
    """Makes the dated documents anew from all golden records; what was told of those that stay is kept."""
    after = ""
    while rows := query(session, _CHUNK, after=after, limit=chunk):
        after = rows[-1].customer_no
        stored: dict[str, dict[str, date]] = {}
        for known in query(session, _KNOWN, nos=[row.customer_no for row in rows]):
            stored.setdefault(known.customer_no, {})[known.space] = known.valid_to
        wanted = {row.customer_no: dated(orjson.loads(row.document)) for row in rows}
        keep(session, stored, wanted)


def tell(session: Session, context: Context, on: date, limit: int) -> Counter[EventType]:
    """Writes an event for each document that on this day is further than was told last, for at most ``limit`` documents'
    customers; returns how many of each type.

    Of several stages passed since, the last alone is told. Customers are locked in number order and their documents read
    after that, so that of two who tell at once the second finds nothing left.
    """
    lasts = {f"last_{now - 1}": on - start for now, start in STARTS.items()}
    nos = [row.customer_no for row in query(session, _FIND, limit=limit, **lasts)]
    if not nos:
        return Counter()
    seqs = {row.customer_no: row.event_seq for row in query(session, _LOCK, nos=nos)}
    due = [
        (row.customer_no, row.space, row.valid_to, now)
        for row in query(session, _KNOWN, nos=nos)
        if (now := stage(row.valid_to, on)) > row.stage
    ]
    events: list[tuple[Any, ...]] = []
    for no, space, valid_to, now in due:
        seqs[no] += 1
        data = {"stage": now.name, "space": space, "valid_to": valid_to.isoformat(), "on": on.isoformat()}
        events.append(event_row(context, no, seqs[no], TOLD_AS[now], data))
    if due:
        told = {no: seqs[no] for no, *_ in due}
        send(
            session,
            _TOLD,
            now=context.now,
            nos=[no for no, *_ in due],
            spaces=[space for _, space, *_ in due],
            stages=[now.value for *_, now in due],
        )
        update_rows(session, Party, "customer_no", ("event_seq",), list(told.items()))
        insert_events(session, events)
    return Counter(TOLD_AS[now] for *_, now in due)
