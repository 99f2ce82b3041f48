"""The outbox (发件箱): events are written with the change they tell, placed in one order afterwards, and read by a cursor.

An event's ``id`` is drawn before its transaction commits, so that a later one may be seen first; a cursor over ids would
skip the one that commits late. So committed events get a position (位点) from whoever asks next. Placing holds one lock
until it has committed, and looks only after it has the lock: whatever it places was committed before, and all that was
placed before is seen by whoever sees this. A reader that has seen a position never finds a smaller one later. An aborted
placing leaves a gap in the positions and nothing else.

Writers lock their customer's row before they draw a ``seq``, so that the ids of a customer's events, and with them the
positions, are in the order of ``seq``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.domain.events import SCHEMA_VERSION, EventType
from ecif.models import OutboxEvent
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query

PLACED_MAX = 1000
"""Events placed by one look. Not fewer than a page holds, so that who reads in pages always gets on."""
SCANNED_MAX = 5000
"""Events looked at for one page when only some are wanted."""

_LOCK = "SELECT pg_try_advisory_xact_lock(5, 11) AS ours"  # two numbers: a space that claims of keys do not use
_PLACE = (
    "UPDATE outbox_event e SET position = p.position FROM (SELECT id, nextval('event_position') AS position FROM"
    " (SELECT id FROM outbox_event WHERE position IS NULL ORDER BY id LIMIT %(limit)b) w ORDER BY id) p"
    " WHERE e.id = p.id RETURNING e.id"
)
_NEWEST = "SELECT coalesce(max(position), 0) AS newest FROM outbox_event"
_READ = (
    "WITH seen AS (SELECT position, type, document FROM outbox_event WHERE position > %(after)b{of_one}"
    " ORDER BY {order} LIMIT %(scanned)b)"
    " SELECT s.scanned, s.farthest, n.newest, e.position, e.document"
    " FROM (SELECT count(*) AS scanned, max(position) AS farthest FROM seen) s"
    f" CROSS JOIN ({_NEWEST}) n LEFT JOIN LATERAL (SELECT position, document FROM seen"
    " WHERE cardinality(%(types)b::text[]) = 0 OR type = ANY(%(types)b::text[]) ORDER BY position LIMIT %(limit)b) e ON true"
    " ORDER BY e.position"
)
_READ_ALL = _READ.format(of_one="", order="position")
_READ_ONE = _READ.format(of_one=" AND customer_no = %(customer_no)b", order="seq")


class NoSuchPosition(Exception):
    """A cursor beyond every event there is: it is not of this database."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events after a position. ``more``: the next page can be read at once."""

    items: list[dict[str, Any]]
    next_after: int
    more: bool


Row = tuple[Any, ...]


def event_row(context: Context, customer_no: str, seq: int, kind: EventType, data: Mapping[str, Any]) -> Row:
    """An event as :func:`insert_events` stores it. Its id is made of the customer's number and ``seq``, and never changes."""
    cause = context.cause
    call = cause.call if cause else context.call
    called = {"channel": call.channel.value, "branch": call.branch, "request_id": call.request_id} if call else {}
    body = {
        "id": f"{customer_no}-{seq}",
        "type": kind,
        "source": "ecif",
        "subject": customer_no,
        "time": context.now.isoformat(),
        "schema_version": SCHEMA_VERSION,
        "seq": seq,
        "actor": call.caller if call else context.actor,
        **called,
        "data": data,
    }
    return (customer_no, seq, kind.value, context.now, orjson.dumps(body).decode(), cause and cause.change_id)


def insert_events(session: Session, rows: Sequence[Row]) -> None:
    """Writes events into the outbox; the caller holds the locks of their customers, and counts on their ``event_seq``."""
    insert_rows(session, OutboxEvent, ("customer_no", "seq", "type", "occurred_at", "document", "change_id"), rows)


def place(session: Session, limit: int = PLACED_MAX) -> int:
    """Gives positions to committed events that have none, oldest first; returns to how many.

    Nothing is done while another transaction does it. The lock is held until the end of the caller's transaction.
    """
    if not query(session, _LOCK)[0].ours:
        return 0
    return len(query(session, _PLACE, limit=limit))


def newest(session: Session) -> int:
    """The last position given; 0 where there is none."""
    return int(query(session, _NEWEST)[0].newest)


def read(
    session: Session, after: int, limit: int, types: Collection[EventType] = (), customer_no: str | None = None
) -> Page:
    """Placed events after a position, in their order. ``next_after`` moves on even where nothing fits.

    Args:
        types: only these, all unless given.
        customer_no: only events of this very number; a merged one's last is ``customer.merged``.

    Raises:
        NoSuchPosition: ``after`` is beyond every event.
    """
    scanned_max = SCANNED_MAX if types else limit + 1
    rows = query(
        session,
        _READ_ONE if customer_no else _READ_ALL,
        after=after,
        limit=limit + 1,
        scanned=scanned_max,
        types=list(types),
        **({"customer_no": customer_no} if customer_no else {}),
    )
    first = rows[0]
    if after > first.newest:
        raise NoSuchPosition
    found = [row for row in rows if row.position is not None]
    items = [orjson.loads(row.document) | {"position": row.position} for row in found[:limit]]
    if len(found) > limit:
        return Page(items, found[limit - 1].position, True)
    whole = first.scanned < scanned_max
    return Page(items, first.newest if whole else first.farthest, not whole)
