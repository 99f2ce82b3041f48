"""How the database finds what reads ask for, among a few thousand customers: never by looking at all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from people import DAY, NOW, citizen, deliver, record
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from statements import explained

from ecif.db import transaction
from ecif.domain.records import Account, AccountStatus, Identifier, RelatedParty, RelationType
from ecif.services import change_requests, customers, judgements, merges, operations, past
from ecif.services.change_requests import RequestStatus
from ecif.services.context import Context, KeyDigests
from ecif.services.rows import query

PEOPLE = 3000
BIG = {"party", "link", "golden_record", "source_record", "source_record_version", "record_key", "account", "relation"}
WIFE = RelatedParty(RelationType.SPOUSE, "李秀英", Identifier(None, citizen(9)))


def person(n: int) -> Any:
    """Every tenth is called 王伟, which is read as 王维 is."""
    name = "王伟" if n % 10 == 0 else f"张三{chr(0x4E00 + n)}"
    accounts = (Account(f"6217{n:012d}", "SAVINGS", AccountStatus.NORMAL),)
    return record(
        "core", f"{n}", name, id=citizen(n % 1000, born=f"19{70 + n % 30}0{1 + n // 1000}01"), phone=f"139{n:08d}",
        accounts=accounts, related=(WIFE,),
    )  # fmt: skip


@pytest.fixture(scope="module")
def bank(database: Engine, digests: KeyDigests) -> Engine:
    """A few thousand people, one of them merged."""
    for start in range(0, PEOPLE, 500):
        deliver(database, digests, *map(person, range(start, start + 500)))
    with database.begin() as connection:
        connection.execute(text("ANALYZE"))
    return database


Read = Callable[[Session, KeyDigests, str], object]
SEARCHES: dict[str, dict[str, str]] = {
    "identifier": {"identifier": citizen(7, born="19770101")},
    "name": {"name": "张三丆"},
    "common name": {"name": "王伟"},
    "pinyin": {"name": "wang wei"},
    "phone": {"phone": "13900000007"},
    "account": {"account": "6217000000000007"},
    "all of them": {"name": "王伟", "phone": "13900000010", "account": "6217000000000010"},
}
READS: dict[str, Read] = {
    **{
        f"search by {name}": lambda s, d, no, asked=asked: customers.find(s, d, customers.search_keys(**asked))  # type: ignore[misc]
        for name, asked in SEARCHES.items()
    },
    "search by source key": lambda s, d, no: customers.find(s, d, [], source=("core", "7")),
    "golden record": lambda s, d, no: customers.golden(s, no),
    "a hundred golden records": lambda s, d, no: customers.golden_records(s, [f"{int(no) + n}" for n in range(100)]),
    "accounts": lambda s, d, no: customers.accounts(s, no),
    "sources": lambda s, d, no: customers.sources(s, no),
    "relations": lambda s, d, no: customers.relations(s, no),
    "history": lambda s, d, no: customers.history(s, no),
    "as of": lambda s, d, no: past.golden_as_of(s, no, NOW + timedelta(days=1)),
    "valid at": lambda s, d, no: past.golden_valid_at(s, no, DAY + timedelta(days=1)),
    "operations": lambda s, d, no: [operations.listing(s, customer_no=no)],
    "change requests": lambda s, d, no: [change_requests.listing(s, RequestStatus.PENDING, customer_no=no)],
    "judgements": lambda s, d, no: [judgements.history(s, ("core", "7"))],
    "merge": lambda s, d, no: merged(s, d, no),
    "valid at, as of": lambda s, d, no: past.golden_valid_at(s, no, DAY, NOW + timedelta(days=1)),
}


def merged(session: Session, digests: KeyDigests, no: str) -> object:
    """A merge with the next customer, as a preview makes it."""
    (other,) = query(session, "SELECT min(customer_no) AS no FROM party WHERE customer_no > %(no)b", no=no)
    return merges.preview_merge(session, Context(NOW, "test", digests), [no, other.no])


@pytest.mark.parametrize("what", READS)
def test_no_read_looks_at_a_whole_table(bank: Engine, digests: KeyDigests, what: str) -> None:
    with transaction(bank) as session:
        no = query(session, "SELECT customer_no FROM party ORDER BY customer_no OFFSET 7 LIMIT 1")[0].customer_no
    with explained(bank) as plans, transaction(bank) as session:
        assert READS[what](session, digests, no), what
    assert plans and not BIG & set(re.findall(r"Seq Scan on (\w+)", "\n".join(plans))), "\n".join(plans)
