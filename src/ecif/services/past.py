"""The past in both times: what the bank knew then (记录时间), and what was so then, as far as is known (业务时间)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ecif.domain.documents import load_record
from ecif.domain.golden import golden_record
from ecif.services.customers import Golden, Resolved, resolve
from ecif.services.rows import query

HOPS_MAX = 10
"""A merged number leads to its survivor in one step; more than a few are a fault."""
RECORDS_MAX = 400
"""Records of one customer that are survived for a question."""

_THEN = (
    "SELECT version, document FROM golden_record WHERE customer_no = %(no)b AND recorded_at <= %(as_of)b"
    " ORDER BY version DESC LIMIT 1"
)
_RECORDS = (
    "SELECT v.document FROM link l CROSS JOIN LATERAL (SELECT document FROM source_record_version"
    " WHERE record_id = l.record_id AND business_time <= %(valid_at)b AND {received}"
    " ORDER BY business_time DESC, content_hash DESC LIMIT 1) v"
    f" WHERE l.customer_no = %(no)b AND {{linked}} LIMIT {RECORDS_MAX + 1}"
)
_KNOWN_NOW = _RECORDS.format(received="true", linked="l.ended_at IS NULL")
_KNOWN_THEN = _RECORDS.format(
    received="received_at <= %(as_of)b",
    linked="l.started_at <= %(as_of)b AND (l.ended_at IS NULL OR l.ended_at > %(as_of)b)",
)


class NothingKnown(Exception):
    """The number exists, but at that time nothing was known of it, or nothing held."""


class TooManyRecords(Exception):
    """The customer has more records than are survived for a question."""


def golden_as_of(session: Session, no: str, as_of: datetime) -> Golden:
    """What was answered then for a number; where it was merged then, for the survivor of that time.

    Raises:
        CustomerNotFound: the number was never issued.
        NothingKnown: it was issued later.
    """
    live = no
    for _ in range(HOPS_MAX):
        rows = query(session, _THEN, no=live, as_of=as_of)
        if not rows:
            resolve(session, no)
            raise NothingKnown(no)
        golden = Golden(no, live, *rows[0])
        if "merged_into" not in golden.document:
            return golden
        live = golden.document["merged_into"]
    raise RecursionError(no)


def golden_valid_at(session: Session, no: str, valid_at: datetime, as_of: datetime | None = None) -> Golden:
    """What was so then of a customer, by what is known now, or was known as of another time.

    The customer's records are those linked to it at that time of knowledge, each as of its newest version that held then.

    Raises:
        CustomerNotFound: the number was never issued.
        NothingKnown: nothing is known of that time.
        TooManyRecords: it would take too long.
    """
    found: Resolved = golden_as_of(session, no, as_of) if as_of else resolve(session, no)
    sql = _KNOWN_THEN if as_of else _KNOWN_NOW
    rows = query(session, sql, no=found.customer_no, valid_at=valid_at, as_of=as_of)
    if not rows:
        raise NothingKnown(no)
    if len(rows) > RECORDS_MAX:
        raise TooManyRecords(no)
    document = golden_record(found.customer_no, [load_record(row.document) for row in rows])
    return Golden(no, found.customer_no, 0, document.decode())
