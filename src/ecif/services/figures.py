"""Figures of what waits (运行指标): reviews, changes to approve, events on their way out. One statement of bounded cost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ecif.services.rows import query

COUNTED_MAX = 100_000
"""Where counting ends: more are as bad."""

FIGURES = {
    "merge_reviews_open": f"待审的疑似合并 Merge reviews open (counted to {COUNTED_MAX})",
    "change_requests_pending": f"待复核的变更 Changes that wait for approval (counted to {COUNTED_MAX})",
    "events_unplaced": f"尚无位点的事件 Outbox events without a position (counted to {COUNTED_MAX})",
    "events_unplaced_age_seconds": "其中最早一条的时长 Age of the oldest of them",
}

_COUNT = "(SELECT count(*) FROM (SELECT FROM {} LIMIT " + str(COUNTED_MAX) + ") counted)::float AS {}"
_FIGURES = ", ".join(
    (
        "SELECT " + _COUNT.format("merge_review WHERE closed_at IS NULL", "merge_reviews_open"),
        _COUNT.format("change_request WHERE status = 'PENDING'", "change_requests_pending"),
        _COUNT.format("outbox_event WHERE position IS NULL", "events_unplaced"),
        "coalesce((SELECT extract(epoch FROM %(now)b - occurred_at)::float FROM outbox_event WHERE position IS NULL"
        " ORDER BY id LIMIT 1), 0) AS events_unplaced_age_seconds",
    )
)


def figures(session: Session, now: datetime) -> dict[str, float]:
    """The value of each of :data:`FIGURES`."""
    return dict(query(session, _FIGURES, now=now)[0]._asdict())
