"""How many statements things take, as the driver sends them: one more in a loop is what makes a service slow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from people import citizen, deliver, record
from served import CARD, PHONE, Api, serving
from sqlalchemy import Engine
from statements import counted

from ecif.domain.records import PartyRecord
from ecif.services.context import KeyDigests


def people(system: str, size: int) -> list[PartyRecord]:
    """As many people who have nothing in common."""
    return [
        record(
            system, f"{n}", f"张三{chr(0x4E00 + n)}", id=citizen(n, born=f"19{70 + n % 30}0101"), phone=f"139{n:08d}"
        )
        for n in range(size)
    ]


@pytest.mark.parametrize("size", [1, 20, 200])
def test_a_batch_takes_the_same_statements_however_large(engine: Engine, digests: KeyDigests, size: int) -> None:
    """New people, the same again, the same people in another system."""
    for batch, statements in ((people("core", size), 18), (people("core", size), 1), (people("card", size), 23)):
        with counted(engine) as sent:
            deliver(engine, digests, *batch)
        assert len(sent) == statements, "\n".join(sent)


READS = {
    "": 1,
    "/lineage": 1,
    "/accounts": 2,
    "/sources": 2,
    "/history": 2,
    "/relations": 2,
}


@pytest.fixture(scope="module")
def api(database: Engine, digests: KeyDigests) -> Iterator[Api]:
    with serving(database, digests) as api:
        yield api


@pytest.mark.parametrize("part", READS)
def test_a_read_takes_one_or_two(api: Api, part: str) -> None:
    """Who is meant, and what is asked of him; the golden record itself in one, without a transaction."""
    for name in ("core:1", "merged"):
        assert api.get(f"/v1/customers/{api.no(name)}{part}").status_code == 200  # a new connection sets its bounds
        with counted(api.engine) as sent:
            assert api.get(f"/v1/customers/{api.no(name)}{part}").status_code == 200
        assert len(sent) == READS[part], "\n".join(sent)


@pytest.mark.parametrize(
    "criteria",
    [
        {"name": "张三丰"},
        {"name": "张三丰", "phone": PHONE, "account": CARD, "source_system": "core", "source_key": "1"},
    ],
)
def test_a_search_takes_two_whatever_the_criteria(api: Api, criteria: dict[str, str]) -> None:
    with counted(api.engine) as sent:
        assert api.get("/v1/customers", params=criteria).json()["items"]
    assert len(sent) == 2, "\n".join(sent)
