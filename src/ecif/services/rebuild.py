"""Recomputes everything derived from the facts (重建): features, keys, links, golden records, indexes and reviews.

First all features and keys are made anew, then the names behind every value are counted, then the groups found that are
held apart; only then is every record decided again, chunk by chunk, so that none is ever decided on half of the facts.
Numbers and the history of golden records are facts of their own and stay; a golden record that comes out different gets a
new version and an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ecif.domain.documents import load_record
from ecif.domain.records import PartyRecord
from ecif.matching.features import Features, features_of
from ecif.matching.keys import KeyKind
from ecif.models import RecordKey
from ecif.services import documents_life
from ecif.services.accounts import owners
from ecif.services.candidates import Search, search
from ecif.services.context import Context
from ecif.services.derivation import mark
from ecif.services.ingest import Result, follow, write_derived, write_names
from ecif.services.linking import hold
from ecif.services.loads import analyze
from ecif.services.questions import Question
from ecif.services.reviews import refresh_reviews
from ecif.services.rows import insert_rows, query, send

CHUNK = 500
_CHUNK = "SELECT id, document FROM source_record WHERE id > %(after)b ORDER BY id LIMIT %(limit)b"
_NUMBERS = "SELECT customer_no FROM party WHERE customer_no > %(after)b ORDER BY customer_no LIMIT %(limit)b"
_FORMER = (
    "SELECT v.record_id, v.document FROM source_record_version v JOIN source_record r ON r.id = v.record_id"
    " WHERE v.version <> r.version AND r.id = ANY(%(ids)b::bigint[])"
)
_CLEAR = "TRUNCATE record_features, record_key, shared_value, doubtful_pair, account, relation"


@dataclass(slots=True)
class RebuildReport:
    """How many records were looked at, and how many golden records came out different."""

    records: int = 0
    changed: int = 0


def _chunks(session: Session, chunk: int) -> Iterator[dict[int, PartyRecord]]:
    after = 0
    while rows := query(session, _CHUNK, after=after, limit=chunk):
        after = rows[-1].id
        yield {row.id: load_record(row.document) for row in rows}


def _features(session: Session, chunk: int) -> Iterator[dict[int, Features]]:
    for records in _chunks(session, chunk):
        yield {record_id: features_of(record) for record_id, record in records.items()}


def rebuild(session: Session, context: Context, *, chunk: int = CHUNK) -> RebuildReport:
    """Rebuilds in the caller's transaction, so that a rebuild is seen whole or not at all."""
    report = RebuildReport()
    send(session, "LOCK TABLE source_record, party IN EXCLUSIVE MODE")
    send(session, _CLEAR)
    for records in _chunks(session, chunk):
        features = {record_id: features_of(record) for record_id, record in records.items()}
        given = owners(session, records)
        write_derived(session, context, records, features, {}, given)
        moved = [(digest, owner, int(KeyKind.MOVED_ACCOUNT)) for (_, digest), owner in given.items()]
        insert_rows(session, RecordKey, ("digest", "record_id", "kind"), moved, "ON CONFLICT DO NOTHING")
        former = query(session, _FORMER, ids=list(records))
        write_names(session, context, ((row.record_id, features_of(load_record(row.document))) for row in former))
        report.records += len(records)
    analyze(session)
    for features in _features(session, chunk):
        search(session, context, Search(context, dict(features)), features, ())
    for features in _features(session, chunk):
        hold(session, context, features)
    misfits: list[Question] = []
    for records in _chunks(session, chunk):
        features = {record_id: features_of(record) for record_id, record in records.items()}
        result = Result()
        assignment = follow(session, context, records, features, (), result, ask=False)
        report.changed += result.golden_versions + result.customers_merged
        misfits = [q for q in misfits if not {*assignment.members, *assignment.merged}.intersection(q.ends)]
        misfits += assignment.misfits
    _ask(session, context, misfits, chunk)
    documents_life.restore(session, chunk)
    mark(session, context.digests)
    return report


def _ask(session: Session, context: Context, misfits: Sequence[Question], chunk: int) -> None:
    """Brings the reviews up to date. Half-way through, pairs would be missing, and stewards would lose what they hold."""
    after = ""
    while rows := query(session, _NUMBERS, after=after, limit=chunk):
        after = rows[-1].customer_no
        refresh_reviews(session, context, {row.customer_no for row in rows}, misfits)
