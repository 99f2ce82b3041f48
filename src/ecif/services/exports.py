"""Bulk reads for other systems."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

_LINKS = text(
    "SELECT r.system, r.key, l.customer_no FROM source_record r JOIN link l ON l.record_id = r.id"
    " WHERE l.ended_at IS NULL ORDER BY r.system, r.key"
)


def live_links(session: Session) -> Iterator[tuple[str, str, str]]:
    """(source, source key, customer number) of every live source record, streamed."""
    for row in session.execute(_LINKS.execution_options(yield_per=5000)):
        yield row.system, row.key, row.customer_no
