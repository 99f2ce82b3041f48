"""The queue with fifty thousand open reviews: a page is found by the index, in a few milliseconds, wherever it is."""

from __future__ import annotations

import re

import pytest
from people import NOW, citizen, deliver, record
from sqlalchemy import Engine, text
from statements import explained

from ecif.db import transaction
from ecif.domain.review_policy import RISK_MAX
from ecif.services import review_queue
from ecif.services.context import KeyDigests
from ecif.services.review_queue import Filter, Place, Sort

PARTIES, REVIEWS = 330, 50_000
PAGE = 50
_FILL = (
    "INSERT INTO merge_review (customer_lo, customer_hi, level, rule, evidence, risk, opened_at)"
    " SELECT a.customer_no, b.customer_no, 'M2', 'P-ID-NAME', repeat('x', 2000), 1 + n % :risks,"
    " CAST(:now AS timestamptz) - (n % 977) * interval '1 hour'"
    " FROM party a JOIN party b ON a.customer_no < b.customer_no, LATERAL (SELECT row_number() OVER () AS m) q,"
    " LATERAL (SELECT (right(a.customer_no, 5)::int * 31 + right(b.customer_no, 5)::int * 17) AS n) s LIMIT :rows"
)


@pytest.fixture(scope="module")
def queue(database: Engine, digests: KeyDigests) -> Engine:
    people = (record("core", f"{n}", f"张三{chr(0x4E00 + n)}", id=citizen(n + 1)) for n in range(PARTIES))
    deliver(database, digests, *people)
    with database.begin() as connection:
        connection.execute(text(_FILL), {"now": NOW, "risks": RISK_MAX, "rows": REVIEWS})
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE merge_review"))
    return database


def page(engine: Engine, sort: Sort, place: Place, wanted: Filter) -> review_queue.Listed:
    with transaction(engine) as session:
        return review_queue.listing(session, wanted, sort, place, limit=PAGE)


@pytest.mark.parametrize("sort", Sort)
def test_a_page_is_found_by_the_index(queue: Engine, sort: Sort) -> None:
    first = page(queue, sort, Place(NOW), Filter())
    assert len(first.reviews) == PAGE and first.next
    deep = Place(NOW, first.next.key // 2 if sort is Sort.PRIORITY else first.next.key, first.next.id)
    customer = first.reviews[0].customer_hi
    for place in (Place(NOW), first.next, deep):
        for wanted in (Filter(), Filter(state="OPEN"), Filter(risk=3), Filter(customer=customer)):
            with explained(queue) as plans:
                page(queue, sort, place, wanted)
            told = "\n".join(plans)
            assert not re.search(r"Seq Scan on merge_review", told), told
            index = "ix_merge_review_customer" if wanted.customer else "ix_merge_review_queue"
            assert index in told, told


@pytest.mark.parametrize("state", ["", "CLOSED"])
def test_who_is_left_out_by_a_filter_costs_no_look_at_a_row(queue: Engine, state: str) -> None:
    """Also where a filter leaves hardly anybody: then the whole queue is gone through, in its index."""
    filters = [{"kind": "FOLLOW_UP"}, {"level": "N1"}, {"rule": "P-N1"}]
    for wanted in (*filters, *([] if state else [{"state": "ESCALATED"}, {"claimed_by": "张三"}])):
        with explained(queue) as plans:
            assert page(queue, Sort.PRIORITY, Place(NOW), Filter(**{"state": state} | wanted)).reviews == []
        (column,) = wanted
        told = "\n".join(plans)
        assert re.search(rf"Index Cond: .*\b{column}\b", told), told
