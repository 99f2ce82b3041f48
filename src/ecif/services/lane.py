"""Who has been given up again and again for the sake of others goes alone (独行通道).

Which customers a change concerns is only known once some of them are locked, so that two changes may wait for each other;
the database then gives one up, and it is begun again. Where many meet on few customers, one could be unlucky ten times.
Whoever locks customers holds the lane together with all others; from the third attempt on, alone.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

ALONE_FROM = 2
"""The attempt, counted from zero, that goes alone."""
_LANE = 0x6563696661

SHARED, ALONE = (
    f"WITH lane AS MATERIALIZED (SELECT {lock}({_LANE}))"
    for lock in ("pg_advisory_xact_lock_shared", "pg_advisory_xact_lock")
)
TAKEN = "(SELECT count(*) FROM lane) = 1"
"""Holds, once the lane is held."""


def lane(session: Session) -> str:
    """Begins a statement that takes the lane, and has to ask for :data:`TAKEN`."""
    return ALONE if session.info.get("attempt", 0) >= ALONE_FROM else SHARED
