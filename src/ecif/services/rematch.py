"""Tells a steward when a record's identity has changed under a customer (身份变更后的重新归属).

A link made by the engine is decided again with the record's new data, and may lead elsewhere; one made by a person stays, and
may no longer fit. Neither happens in silence: each opens a review.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.matching.clustering import compatible
from ecif.matching.features import Features, identity
from ecif.models import MergeReview
from ecif.services.assignment import JUDGED_RULE, Assignment
from ecif.services.candidates import load_known
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, send

MOVED, MISFIT = "MOVED", "MISFIT"
"""Kinds of review: a record left one customer for another; a record is kept under a number that it no longer fits."""
LEVEL = "REMATCH"
"""In the place of the level of a pair."""

_KEPT = "SELECT record_id, customer_no FROM link WHERE ended_at IS NULL AND record_id = ANY(%(ids)b::bigint[]) AND rule = %(rule)b"
_MOOT = (
    "WITH moot AS (UPDATE merge_review m SET closed_at = %(now)b, state = 'CLOSED', outcome = 'OUTDATED', version = m.version + 1"
    "  FROM unnest(%(retired)b::text[], %(survivors)b::text[]) q(retired, survivor)"
    "  WHERE m.closed_at IS NULL AND m.kind <> 'PAIR' AND q.retired IN (m.customer_lo, m.customer_hi)"
    "  RETURNING q.survivor, m.kind, m.level, m.evidence)"
    " INSERT INTO merge_review (customer_lo, customer_hi, kind, level, evidence, opened_at)"
    " SELECT survivor, survivor, kind, level, evidence, %(now)b FROM moot WHERE kind = 'MISFIT' ON CONFLICT DO NOTHING"
)
_COLUMNS = ("customer_lo", "customer_hi", "kind", "level", "evidence", "opened_at")


def identity_changed(old: Features, new: Features) -> bool:
    """Whether a record now tells of another person: by its numbers, its name, or its birth date."""
    return identity(old) != identity(new)


def watch(session: Session, context: Context, changed: Mapping[int, Features], assignment: Assignment) -> None:
    """Opens reviews for records whose identity has changed, where that moved them or would have."""
    rows = [*_moved(changed, assignment), *_misfits(session, changed, assignment)]
    told = [(*row[:4], orjson.dumps(row[4]).decode(), context.now) for row in rows]
    insert_rows(session, MergeReview, _COLUMNS, sorted(told), "ON CONFLICT DO NOTHING")


def follow_merges(session: Session, context: Context, merged: Mapping[str, str]) -> None:
    """Closes reviews of numbers that were merged; what is kept where it does not fit is asked of the survivor."""
    if merged:
        send(session, _MOOT, retired=list(merged), survivors=list(merged.values()), now=context.now)


Row = tuple[str, str, str, str, dict[str, Any]]


def _moved(changed: Mapping[int, Features], assignment: Assignment) -> Iterator[Row]:
    names = {features.name for features in changed.values()}
    for name, left, to in assignment.moved:
        if name in names and left in assignment.members:
            evidence = {"pairs": [], "more": 0, "record": name, "from": left, "to": to}
            yield min(left, to), max(left, to), MOVED, LEVEL, evidence


def _misfits(session: Session, changed: Mapping[int, Features], assignment: Assignment) -> Iterator[Row]:
    features = dict(changed)
    for record, no in query(session, _KEPT, ids=list(changed), rule=JUDGED_RULE):
        members = assignment.members.get(no, [])
        load_known(session, members, features)
        if not compatible([m for m in members if m in features], features):
            yield no, no, MISFIT, LEVEL, {"pairs": [], "more": 0, "record": changed[record].name}
