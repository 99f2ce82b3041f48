"""Deliveries of whole files: their book-keeping, and the reject store (拒收库)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from sqlalchemy import select
from sqlalchemy.orm import Session

from ecif.domain.records import Rejection
from ecif.models import Load, Reject
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, send

_COUNT = (
    "UPDATE load SET rows_read = rows_read + %(accepted)b + %(rejected)b, rows_accepted = rows_accepted + %(accepted)b,"
    " rows_rejected = rows_rejected + %(rejected)b WHERE id = %(id)b"
)
_FINISH = "UPDATE load SET finished_at = %(now)b WHERE id = %(id)b"
_PLANNED = "SELECT reltuples FROM pg_class WHERE oid = 'source_record'::regclass"


def open_load(session: Session, context: Context, system: str, file_name: str) -> int:
    """Begins a delivery; returns its number."""
    columns = ("system", "file_name", "started_at", "rows_read", "rows_accepted", "rows_rejected")
    ((load_id,),) = insert_rows(
        session, Load, columns, [(system, file_name[:255], context.now, 0, 0, 0)], "RETURNING id"
    )
    return int(load_id)


def count_rows(session: Session, load_id: int, accepted: int, rejected: int) -> None:
    """Adds a chunk to the delivery's counts."""
    send(session, _COUNT, id=load_id, accepted=accepted, rejected=rejected)


def close_load(session: Session, context: Context, load_id: int) -> None:
    """Ends a delivery."""
    send(session, _FINISH, id=load_id, now=context.now)


def planned_records(session: Session) -> int:
    """How many source records the planner believes there are; 0 where it has never looked."""
    return max(0, int(query(session, _PLANNED)[0].reltuples))


def analyze(session: Session) -> None:
    """Has the planner look at the tables.

    Autovacuum does so once a minute at most. A load that fills an empty database would work that long with plans made
    for empty tables, and a plan that reads a whole table is only good for these.
    """
    send(session, "ANALYZE")


def keep_rejects(
    session: Session, context: Context, load_id: int, system: str, file_name: str, rejections: Sequence[Rejection]
) -> None:
    """Stores rows that were not accepted; a file that comes again brings none twice, two equal rows of it are two."""
    columns = (
        "load_id", "system", "file_name", "line", "code", "field", "message_zh", "message_en", "raw", "fingerprint",
        "rejected_at",
    )  # fmt: skip
    rows = [
        (load_id, system, file_name[:255], r.line, r.code, r.field, r.message_zh, r.message_en, r.raw,
         _fingerprint(r), context.now)
        for r in rejections
    ]  # fmt: skip
    insert_rows(session, Reject, columns, rows, "ON CONFLICT DO NOTHING")


def _fingerprint(rejection: Rejection) -> bytes:
    return blake2b(
        f"{rejection.line}|{rejection.code}|{rejection.field}|{rejection.raw}".encode(), digest_size=16
    ).digest()


def list_rejects(session: Session, *, system: str | None = None, limit: int | None = None) -> Iterator[Reject]:
    """Rejected rows, newest delivery first, as they stood in the file."""
    wanted = select(Reject).order_by(Reject.load_id.desc(), Reject.line)
    if system:
        wanted = wanted.where(Reject.system == system)
    return iter(session.scalars(wanted.limit(limit).execution_options(yield_per=1000)))
