"""Dated documents follow the golden record, and each stage of their lives is told once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from people import NOW, citizen, deliver, record, scalar
from sqlalchemy import Engine, text
from statements import counted

from ecif.db import run_transaction, transaction
from ecif.domain.document_life import DocumentStage
from ecif.domain.events import EventType
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, RecordStatus
from ecif.services import documents_life
from ecif.services.context import Context, KeyDigests
from ecif.services.documents_life import tell
from ecif.services.rebuild import rebuild
from ecif.services.rows import query, send

ID_A, LAST, DAY = citizen(1), date(2026, 3, 31), timedelta(days=1)
HIM = record("core", "1", "张三丰", id=ID_A, until=LAST)
EXPIRING, EXPIRED, RESTRICTED = date(2026, 3, 1), date(2026, 4, 1), date(2026, 6, 30)


def told(engine: Engine, digests: KeyDigests, on: date, limit: int = 100) -> Counter[EventType]:
    return run_transaction(engine, lambda s: tell(s, Context(NOW, "daily", digests), on, limit))


def documents(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT space, valid_to, stage FROM document_expiry ORDER BY customer_no, space")
        )
        return [tuple(row) for row in rows]


def kinds(engine: Engine) -> list[str]:
    return scalar(engine, "SELECT array_agg(type ORDER BY id) FROM outbox_event WHERE type LIKE 'document.%'") or []


def test_each_stage_is_told_once(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, HIM)
    assert told(engine, digests, EXPIRING - timedelta(days=1)) == Counter()
    for on, kind in (
        (EXPIRING, EventType.DOCUMENT_EXPIRING),
        (EXPIRED, EventType.DOCUMENT_EXPIRED),
        (RESTRICTED, EventType.DOCUMENT_RESTRICTED),
    ):
        assert told(engine, digests, on) == Counter({kind: 1})
        assert told(engine, digests, on) == told(engine, digests, EXPIRING) == Counter()
    assert kinds(engine) == ["document.expiring", "document.expired", "document.restricted"]
    assert scalar(engine, "SELECT array_agg(seq ORDER BY id) FROM outbox_event") == [1, 2, 3, 4]
    assert scalar(engine, "SELECT event_seq FROM party") == 4 and scalar(engine, "SELECT version FROM party") == 1
    deliver(engine, digests, replace(HIM, business_time=NOW, employer="市一医院"))
    assert scalar(engine, "SELECT max(seq) FROM outbox_event") == 5


def test_of_stages_missed_the_last_alone_is_told(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, HIM)
    assert told(engine, digests, RESTRICTED) == Counter({EventType.DOCUMENT_RESTRICTED: 1})
    assert told(engine, digests, RESTRICTED) == Counter()


def test_a_renewed_document_begins_again(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, HIM)
    told(engine, digests, EXPIRED)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, until=date(2036, 3, 31), day=1))
    assert documents(engine) == [("CITIZEN", date(2036, 3, 31), DocumentStage.VALID)]
    assert told(engine, digests, EXPIRED) == Counter()
    assert told(engine, digests, date(2036, 3, 31)) == Counter({EventType.DOCUMENT_EXPIRING: 1})


def test_another_change_does_not_begin_again(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, HIM)
    told(engine, digests, EXPIRED)
    deliver(engine, digests, replace(HIM, business_time=NOW, employer="市一医院"))
    deliver(engine, digests, replace(HIM, system="card", key="7"))
    assert told(engine, digests, EXPIRED) == Counter()


def test_nothing_is_told_of_a_closed_customer_or_a_merged_number(engine: Engine, digests: KeyDigests) -> None:
    born, phone = date(1990, 1, 1), "13912345670"
    deliver(engine, digests, replace(HIM, status=RecordStatus.CLOSED), record("core", "2", "李四光", id=citizen(4)))
    assert documents(engine) == []
    deliver(engine, digests, replace(HIM, business_time=NOW))
    assert len(documents(engine)) == 1
    passport = Identifier(IdentifierKind.PASSPORT, "E12345678", LAST)
    deliver(engine, digests, record("ebank", "2", "张三丰", identifiers=(passport,), phone=phone, male=True))
    assert [space for space, *_ in documents(engine)] == ["CITIZEN", "PASSPORT"]
    assert scalar(engine, "SELECT count(DISTINCT customer_no) FROM document_expiry") == 2
    bridge = record("card", "3", "张三丰", id=ID_A, born=born, phone=phone, male=True)
    assert deliver(engine, digests, bridge).customers_merged == 1
    assert [space for space, *_ in documents(engine)] == ["CITIZEN", "PASSPORT"]
    assert scalar(engine, "SELECT count(DISTINCT customer_no) FROM document_expiry") == 1
    deliver(engine, digests, record("card", "3", "张三丰", id=ID_A, born=born, phone="13912345679", male=True, day=9))
    assert scalar(engine, "SELECT count(DISTINCT customer_no) FROM document_expiry") == 2
    deliver(engine, digests, replace(HIM, business_time=NOW + timedelta(days=1), status=RecordStatus.CLOSED),
            record("card", "3", "张三丰", id=ID_A, phone="13912345679", day=400, status=RecordStatus.CLOSED))  # fmt: skip
    assert told(engine, digests, EXPIRED) == Counter({EventType.DOCUMENT_EXPIRED: 1})


def some(count: int, until: date | None = LAST) -> list[PartyRecord]:
    return [record("core", f"{n}", f"张三{chr(0x4E00 + n)}", id=citizen(n), until=until) for n in range(count)]


def test_many_who_tell_at_once_tell_once(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *some(40))
    with ThreadPoolExecutor(6) as pool:
        batches = list(pool.map(lambda _: told(engine, digests, EXPIRED, limit=15), range(24)))
    while last := told(engine, digests, EXPIRED, limit=15):
        batches.append(last)
    assert sum(batches, Counter()) == Counter({EventType.DOCUMENT_EXPIRED: 40})
    assert (
        scalar(engine, "SELECT count(*) FROM (SELECT customer_no FROM outbox_event GROUP BY 1 HAVING count(*) <> 2) s")
        == 0
    )


def test_telling_beside_a_load_leaves_no_gap(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *some(20))
    with ThreadPoolExecutor(4) as pool:
        loads = [
            pool.submit(
                deliver,
                engine,
                digests,
                *(replace(r, employer=f"第{n}医院", business_time=NOW + n * DAY) for r in some(20)),
            )
            for n in range(4)
        ]
        tellings = [pool.submit(told, engine, digests, EXPIRED, 5) for _ in range(8)]
        assert all(load.result() for load in loads)
        assert sum((telling.result() for telling in tellings), Counter()).total() <= 20
    gaps = "SELECT count(*) FROM (SELECT 1 FROM outbox_event GROUP BY customer_no HAVING max(seq) <> count(*)) s"
    assert scalar(engine, gaps) == 0


def test_statements_are_few_and_none_where_nothing_is_dated(engine: Engine, digests: KeyDigests) -> None:
    def sent(*records: PartyRecord) -> list[str]:
        with counted(engine) as statements:
            deliver(engine, digests, *records)
        return [statement for statement in statements if "document_expiry" in statement]

    assert sent(*some(20, until=None)) == []
    assert len(sent(*(replace(r, business_time=NOW) for r in some(20)))) == 1
    later = [replace(r, business_time=NOW + DAY, employer="市一医院") for r in some(20)]
    assert sent(*later) == []
    half = [replace(r, business_time=NOW + 2 * DAY) for r in (*some(10, until=None), *some(20, until=EXPIRED)[10:])]
    assert len(sent(*half)) == 2
    assert len(documents(engine)) == 10
    for wanted in (6, 1):
        with counted(engine) as statements:
            told(engine, digests, RESTRICTED)
        assert len(statements) == wanted, statements


def test_a_rebuild_restores_what_is_dated_and_forgets_nothing_told(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *some(6))
    told(engine, digests, EXPIRED, limit=4)
    whole = documents(engine)
    assert Counter(stage for *_, stage in whole) == {DocumentStage.VALID: 2, DocumentStage.EXPIRED: 4}
    spoils = (
        "DELETE FROM document_expiry WHERE stage = 0",
        "UPDATE document_expiry SET valid_to = valid_to + 1 WHERE stage = 0",
        "INSERT INTO document_expiry SELECT customer_no, 'HKID', '2020-01-01', 0 FROM party",
    )
    for spoil in spoils:
        with engine.begin() as connection:
            connection.execute(text(spoil))
        assert documents(engine) != whole
        run_transaction(engine, lambda s: rebuild(s, Context(NOW, "test", digests), chunk=4))
        assert documents(engine) == whole


def test_what_is_due_is_found_by_index(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *some(1))
    many = (
        "INSERT INTO document_expiry SELECT customer_no, n::text, date '2030-01-01' + n, mod(n, 4)"
        " FROM party, generate_series(1, 20000) n"
    )
    with transaction(engine) as session:
        send(session, many)
        send(session, "ANALYZE document_expiry")
        days = {f"last_{n}": EXPIRED for n in range(3)}
        plan = "\n".join(r[0] for r in query(session, f"EXPLAIN {documents_life._FIND}", limit=10, **days))
        assert "Seq Scan" not in plan, plan
        session.rollback()
