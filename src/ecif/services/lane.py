"""Who has been given up again and again for the sake of others goes alone (独行通道).

Which customers a change concerns is only known once some of them are locked, so that two changes may wait for each other;
the database then gives one up, and it is begun again. Where many meet on few customers, one could be unlucky ten times.
Whoever locks customers holds the lane together with all others; from the third attempt on, alone. What is needed late is not
waited for (:func:`out_of_turn`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import sleep
from typing import TypeVar

from psycopg.errors import SerializationFailure
from sqlalchemy.orm import Session

from ecif.services.rows import query

T = TypeVar("T")

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


_KEEP = "SELECT FROM party WHERE customer_no = ANY(%(nos)b::text[]) FOR KEY SHARE SKIP LOCKED"
PATIENCE_S = (0.0, 0.01, 0.03, 0.06, 0.1)
"""How long to wait before each try to get what others hold, out of turn."""


def out_of_turn(attempt: Callable[[], T]) -> T:
    """Takes what should have been taken before something that is held already, so that nobody may wait in line for it.

    Whoever holds it may be waiting for us. The database would find that out after a second; who does not get it soon gives up
    what he has at once, and is begun again.

    Args:
        attempt: tries it, and gives nothing if somebody holds it.
    """
    for pause in PATIENCE_S:
        sleep(pause)
        got = attempt()
        if got:
            return got
    raise SerializationFailure("given up for those who hold what is needed")


def keep(session: Session, nos: Collection[str]) -> None:
    """Keeps customers, out of turn, from being linked anew until what we have done is seen."""
    out_of_turn(lambda: len(query(session, _KEEP, nos=list(nos))) == len(nos))
