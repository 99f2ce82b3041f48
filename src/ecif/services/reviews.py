"""Keeps one open review (疑似合并审核) for each pair of customers that have a doubtful pair of records between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy.orm import Session

from ecif.models import MergeReview
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query, send, update_rows

PAIRS_MAX = 20
"""Record pairs shown in one review."""

_PAIRS = (
    "WITH mine AS (SELECT record_id FROM link WHERE ended_at IS NULL AND customer_no = ANY(%(nos)b::text[])),"
    " pairs AS (SELECT d.* FROM doubtful_pair d JOIN mine ON mine.record_id = d.record_lo"
    "  UNION SELECT d.* FROM doubtful_pair d JOIN mine ON mine.record_id = d.record_hi),"
    " between_two AS (SELECT least(a.customer_no, b.customer_no) lo, greatest(a.customer_no, b.customer_no) hi,"
    "  pairs.record_lo, pairs.record_hi, pairs.held, pairs.level, pairs.evidence"
    "  FROM pairs JOIN link a ON a.record_id = record_lo AND a.ended_at IS NULL"
    "  JOIN link b ON b.record_id = record_hi AND b.ended_at IS NULL WHERE a.customer_no <> b.customer_no)"
    " SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY lo, hi) AS total,"
    "  row_number() OVER (PARTITION BY lo, hi ORDER BY held DESC, level, record_lo, record_hi) AS place FROM between_two) s"
    f" WHERE place <= {PAIRS_MAX} ORDER BY lo, hi, place"
)
_KEEP = "SELECT FROM party WHERE customer_no = ANY(%(nos)b::text[]) ORDER BY customer_no FOR KEY SHARE"
_OPEN = (
    "SELECT id, customer_lo, customer_hi, level, evidence FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR'"
    " AND (customer_lo = ANY(%(nos)b::text[]) OR customer_hi = ANY(%(nos)b::text[])) FOR UPDATE"
)
_CLOSE = "UPDATE merge_review SET closed_at = %(now)b, outcome = 'OUTDATED' WHERE id = ANY(%(ids)b::bigint[])"


def refresh_reviews(session: Session, context: Context, customers: Collection[str]) -> int:
    """Opens, rebuilds and closes the reviews of these customers; returns how many were opened."""
    wanted: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in _pairs(session, customers):
        wanted[row.lo, row.hi].append(row)
    current = {(row.customer_lo, row.customer_hi): row for row in query(session, _OPEN, nos=list(customers))}
    texts = {pair: _evidence(rows) for pair, rows in wanted.items()}
    closed = [row.id for pair, row in current.items() if pair not in wanted]
    if closed:
        send(session, _CLOSE, ids=closed, now=context.now)
    rebuilt = [(current[p].id, *texts[p]) for p in texts if p in current and texts[p][1] != current[p].evidence]
    update_rows(session, MergeReview, "id", ("level", "evidence"), rebuilt)
    opened = [(*pair, *body, context.now) for pair, body in texts.items() if pair not in current]
    columns = ("customer_lo", "customer_hi", "level", "evidence", "opened_at")
    insert_rows(session, MergeReview, columns, opened)
    return len(opened)


def _pairs(session: Session, customers: Collection[str]) -> list[Any]:
    """The doubtful pairs of these customers with others, who are kept from being linked anew until ours are seen."""
    kept = set(customers)
    while True:
        rows = query(session, _PAIRS, nos=list(customers))
        others = {no for row in rows for no in (row.lo, row.hi)} - kept
        if not others:
            return rows
        send(session, _KEEP, nos=list(others))
        kept |= others


def _evidence(rows: list[Any]) -> tuple[str, str]:
    """The strongest level, and the pairs behind the review."""
    pairs = [
        {"record_lo": r.record_lo, "record_hi": r.record_hi, "held": r.held, **orjson.loads(r.evidence)} for r in rows
    ]
    return rows[0].level, orjson.dumps({"pairs": pairs, "more": rows[0].total - len(rows)}).decode()
