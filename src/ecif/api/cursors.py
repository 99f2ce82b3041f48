"""Where a page of the queue begins, as callers hold it: the order, the time as of which it was reckoned, and the last review."""

from __future__ import annotations

from ecif.api.invalid import unfit
from ecif.services.review_queue import Place, Sort

CURSOR = r"^([pon][0-9]{1,16}\.[0-9]{1,17}\.[0-9]{1,18})?$"


def cursor(sort: Sort, place: Place | None) -> str:
    """Where the next page begins, in this order; nothing where there is none."""
    return f"{sort[0]}{place}" if place else ""


def place_of(sort: Sort, cursor: str) -> Place | None:
    """After which review a page begins.

    Raises:
        PydanticCustomError: the cursor is of another order.
    """
    if cursor and cursor[0] != sort[0]:
        raise unfit("cursor_of_another_order")
    return Place.of(cursor[1:]) if cursor else None
