"""Deliveries of whole files: their book-keeping, and the reject store (拒收库)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from ecif.domain.records import Rejection
from ecif.models import Load, Reject
from ecif.services.context import Context
from ecif.services.rows import insert_rows


def open_load(session: Session, context: Context, system: str, file_name: str) -> int:
    """Begins a delivery; returns its number."""
    load = Load(
        system=system, file_name=file_name[:255], started_at=context.now, rows_read=0, rows_accepted=0, rows_rejected=0
    )
    session.add(load)
    session.flush()
    return load.id


def count_rows(session: Session, load_id: int, accepted: int, rejected: int) -> None:
    """Adds a chunk to the delivery's counts."""
    session.execute(
        update(Load)
        .where(Load.id == load_id)
        .values(
            rows_read=Load.rows_read + accepted + rejected,
            rows_accepted=Load.rows_accepted + accepted,
            rows_rejected=Load.rows_rejected + rejected,
        )
    )


def close_load(session: Session, context: Context, load_id: int) -> None:
    """Ends a delivery."""
    session.execute(update(Load).where(Load.id == load_id).values(finished_at=context.now))


def planned_records(session: Session) -> int:
    """How many source records the planner believes there are; 0 where it has never looked."""
    known = session.execute(text("SELECT reltuples FROM pg_class WHERE oid = 'source_record'::regclass")).scalar_one()
    return max(0, int(known))


def analyze(session: Session) -> None:
    """Has the planner look at the tables.

    Autovacuum does so once a minute at most. A load that fills an empty database would work that long with plans made
    for empty tables, and a plan that reads a whole table is only good for these.
    """
    session.execute(text("ANALYZE"))


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
    query = select(Reject).order_by(Reject.load_id.desc(), Reject.line)
    if system:
        query = query.where(Reject.system == system)
    return iter(session.scalars(query.limit(limit).execution_options(yield_per=1000)))
