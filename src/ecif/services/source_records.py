"""Real-time delivery of source records (实时上送): the same service and the same result as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from ecif.domain.days import TICK
from ecif.domain.documents import load_record
from ecif.domain.records import PartyRecord, RecordName, RecordStatus
from ecif.matching.features import record_name
from ecif.matching.keys import KeyKind
from ecif.services.candidates import claim
from ecif.services.changes import log_change, log_changes
from ecif.services.context import Call, Context
from ecif.services.ingest import Delivery, Fate, Place, ingest
from ecif.services.rows import query

BATCH_MAX = 500
"""Records in one call."""

_ACTION = "UPSERT_SOURCE_RECORDS"

_PLACES = (
    "SELECT r.system, r.key, r.version AS record_version, l.customer_no, p.version FROM"
    " unnest(%(systems)b::text[], %(keys)b::text[]) q(system, key) JOIN source_record r USING (system, key)"
    " JOIN link l ON l.record_id = r.id AND l.ended_at IS NULL JOIN party p ON p.customer_no = l.customer_no"
)
_LOCATED = (
    "SELECT r.id, r.system, r.key, l.customer_no FROM unnest(%(systems)b::text[], %(keys)b::text[]) q(system, key)"
    " JOIN source_record r USING (system, key) JOIN link l ON l.record_id = r.id AND l.ended_at IS NULL"
)
_STORED = "SELECT document FROM source_record WHERE system = %(system)b AND key = %(key)b"


class SourceRecordNotFound(Exception):
    """The system never sent a record of this key."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a delivered record, and where it is now."""

    name: RecordName
    fate: Fate
    place: Place


def places(session: Session, names: Sequence[RecordName]) -> dict[RecordName, Place]:
    """Where these source records are."""
    rows = query(session, _PLACES, systems=[s for s, _ in names], keys=[k for _, k in names])
    return {(row.system, row.key): Place(row.record_version, row.customer_no, row.version) for row in rows}


def located(session: Session, names: Sequence[RecordName]) -> dict[RecordName, tuple[int, str]]:
    """The numbers of source records, and whose they are.

    Raises:
        SourceRecordNotFound: one was never sent.
    """
    rows = query(session, _LOCATED, systems=[s for s, _ in names], keys=[k for _, k in names])
    found = {(row.system, row.key): (row.id, row.customer_no) for row in rows}
    if set(names) - found.keys():
        raise SourceRecordNotFound
    return found


def must_exist(session: Session, name: RecordName) -> None:
    """That the system ever sent a record of this key.

    Raises:
        SourceRecordNotFound: it never did.
    """
    if not places(session, [name]):
        raise SourceRecordNotFound


def deliver(session: Session, context: Context, records: Sequence[PartyRecord]) -> list[Delivered]:
    """Takes the records of one call in, in the caller's transaction; the answers are in the order of the records."""
    context = log_change(session, context, _ACTION)
    return _deliver(session, context, [Delivery(record) for record in records])


def deliver_together(session: Session, context: Context, sent: Sequence[tuple[PartyRecord, Call]]) -> list[Delivered]:
    """The same for calls that came at one time, each with its record: they share the statements that one would take."""
    causes = log_changes(session, context, _ACTION, [call for _, call in sent])
    context = replace(context, cause=causes[0] if len(causes) == 1 else None)
    deliveries = [Delivery(record, cause=cause) for (record, _), cause in zip(sent, causes, strict=True)]
    return _deliver(session, context, deliveries)


def _deliver(session: Session, context: Context, deliveries: Sequence[Delivery]) -> list[Delivered]:
    names = [(delivery.record.system, delivery.record.key) for delivery in deliveries]
    result = ingest(session, context, deliveries)
    others = set(names) - result.places.keys()
    found = result.places | (places(session, list(others)) if others else {})
    return [Delivered(name, fate, found[name]) for name, fate in zip(names, result.fates, strict=True)]


def end(session: Session, context: Context, name: RecordName, business_time: datetime) -> Delivered:
    """Ends a record that the source has deleted: a new version says so, and nothing is deleted here.

    Raises:
        SourceRecordNotFound: the system never sent it.
    """
    claim(session, [context.digests.of((KeyKind.RECORD, record_name(*name)))])
    rows = query(session, _STORED, system=name[0], key=name[1])
    if not rows:
        raise SourceRecordNotFound
    stored = load_record(rows[0].document)
    if stored.status is RecordStatus.ENDED:
        return Delivered(name, Fate.UNCHANGED, places(session, [name])[name])
    at = stored.business_time + TICK if business_time == stored.business_time else business_time
    (ended,) = deliver(session, context, [replace(stored, status=RecordStatus.ENDED, business_time=at)])
    return ended
