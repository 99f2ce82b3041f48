"""The outbox is read by a cursor that skips nothing, however late it commits, and says what kind of change it was."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from time import sleep
from typing import Any

import pytest
from people import NOW, citizen, deliver, record, scalar
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ecif.db import run_transaction, transaction
from ecif.domain.events import EventType
from ecif.domain.records import RecordStatus
from ecif.services import events
from ecif.services.context import Context, KeyDigests
from ecif.services.events import NoSuchPosition, Page, newest, place, read
from ecif.services.ingest import Delivery, ingest
from ecif.services.rows import query, send

ID_A, ID_B = citizen(1), citizen(3)


def page(engine: Engine, after: int = 0, limit: int = 100, **wanted: Any) -> Page:
    """What a reader gets who asks now."""
    with transaction(engine) as session:
        place(session)
        return read(session, after, limit, **wanted)


def follow(engine: Engine, limit: int = 100, after: int = 0, **wanted: Any) -> list[dict[str, Any]]:
    """All events, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        got = page(engine, after, limit, **wanted)
        assert got.next_after >= after and len(got.items) <= limit
        found += got.items
        after = got.next_after
        if not got.more:
            return found


def kinds(engine: Engine) -> list[str]:
    return [event["type"] for event in follow(engine)]


def test_pages_of_any_size_hold_every_event_once_and_in_order(engine: Engine, digests: KeyDigests) -> None:
    assert page(engine) == Page([], 0, False)
    for day in range(7):
        deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone=f"1391234567{day}", day=day))
    whole = follow(engine)
    assert [event["seq"] for event in whole] == [1, 2, 3, 4, 5, 6, 7]
    assert len({event["id"] for event in whole}) == 7
    for limit in (1, 3, 7, 8):
        assert follow(engine, limit) == whole
    assert page(engine, limit=7).more is False and page(engine, limit=6).more is True
    assert follow(engine, after=whole[3]["position"]) == whole[4:]


def test_a_cursor_of_another_database_is_refused(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    last = page(engine).next_after
    assert page(engine, last) == Page([], last, False)
    with pytest.raises(NoSuchPosition):
        page(engine, last + 1)


def test_filters_leave_nothing_out_and_the_cursor_moves_on(
    engine: Engine, digests: KeyDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(engine, digests, *(record("core", f"{n}", f"张三{chr(0x4E00 + n)}", id=citizen(n)) for n in range(30)))
    deliver(engine, digests, record("core", "5", "张三丰", id=citizen(5), day=1))
    whole = follow(engine)
    renamed = [event for event in whole if event["type"] == EventType.KEY_IDENTITY_CHANGED]
    assert len(whole) == 31 and len(renamed) == 1
    no, end = renamed[0]["subject"], whole[-1]["position"]
    assert follow(engine, types=[EventType.KEY_IDENTITY_CHANGED]) == renamed
    assert follow(engine, 1, customer_no=no) == [event for event in whole if event["subject"] == no]
    assert follow(engine, customer_no=no, types=[EventType.CREATED])[0]["subject"] == no
    for nothing in ({"types": [EventType.CLOSED]}, {"customer_no": "999999999999"}):
        assert page(engine, **nothing) == Page([], end, False)
    monkeypatch.setattr(events, "SCANNED_MAX", 7)
    first = page(engine, types=[EventType.KEY_IDENTITY_CHANGED])
    assert first == Page([], whole[6]["position"], True)
    assert follow(engine, types=[EventType.KEY_IDENTITY_CHANGED]) == renamed
    assert follow(engine, 2, types=[EventType.CREATED]) == whole[:30]


def test_an_event_that_commits_late_is_not_skipped(engine: Engine, digests: KeyDigests) -> None:
    """Its id is the smaller one; the reader has been past the larger before it is there."""
    context = Context(NOW, "test", digests)
    with Session(engine) as late, late.begin():
        ingest(late, context, [Delivery(record("core", "1", "张三丰", id=ID_A))])
        deliver(engine, digests, record("core", "2", "李四光", id=ID_B))
        before = page(engine)
        assert [event["type"] for event in before.items] == ["customer.created"]
    after = page(engine, before.next_after)
    assert len(after.items) == 1 and after.items[0]["subject"] != before.items[0]["subject"]
    ids = scalar(engine, "SELECT array_agg(id ORDER BY position) FROM outbox_event")
    assert ids == sorted(ids, reverse=True)


def test_one_places_at_a_time_and_who_cannot_goes_on(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    with Session(engine) as slow, slow.begin():
        assert place(slow) == 1
        deliver(engine, digests, record("core", "2", "李四光", id=ID_B))
        assert page(engine) == Page([], 0, False)
    assert len(follow(engine)) == 2


def test_an_aborted_placing_leaves_a_gap_and_no_disorder(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    with Session(engine) as aborted:
        assert place(aborted) == 1
        aborted.rollback()
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone="13912345670", day=1))
    with transaction(engine) as session:
        assert [place(session, limit=1), place(session, limit=1), place(session, limit=1)] == [1, 1, 0]
    assert [event["seq"] for event in follow(engine)] == [1, 2]


def write_slowly(engine: Engine, digests: KeyDigests, writer: int) -> None:
    """Twelve changes of five people whom the other writers change too, each of which dawdles before it commits."""
    dice = random.Random(writer)
    for day in range(12):
        n = dice.randrange(5)
        name, phone = f"张三{chr(0x4E00 + n)}", f"139{writer:04d}{day:04d}"
        said = Delivery(record("core", f"{writer}:{n}", name, id=citizen(n), phone=phone, day=day))
        pause = dice.choice((0, 0.005, 0.03))
        run_transaction(
            engine,
            lambda s: (ingest(s, Context(NOW, "test", digests), [said]), sleep(pause)),  # noqa: B023
        )


def read_on(engine: Engine, over: threading.Event, reader: int) -> list[dict[str, Any]]:
    """What a reader sees who follows until it is over."""
    dice, found, after = random.Random(reader), [], 0
    while True:
        last = over.is_set()
        got = page(engine, after, dice.choice((1, 7, 100)))
        found += got.items
        after = got.next_after
        if last and not got.items:
            return found


def test_readers_see_every_event_once_while_writers_commit_in_any_order(engine: Engine, digests: KeyDigests) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(read_on, engine, over, n) for n in range(4)]
        for writer in [pool.submit(write_slowly, engine, digests, n) for n in range(8)]:
            writer.result()
        while scalar(engine, "SELECT count(*) FROM outbox_event WHERE position IS NULL"):
            page(engine)
        over.set()
        seen = [reader.result() for reader in readers]
    whole = follow(engine)
    assert len(whole) == scalar(engine, "SELECT count(*) FROM outbox_event") > 5
    assert seen == [whole] * 4
    by_customer: dict[str, list[int]] = defaultdict(list)
    for event in whole:
        by_customer[event["subject"]].append(event["seq"])
    assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in by_customer.values())
    assert all(a["position"] < b["position"] for a, b in pairwise(whole))


def test_each_kind_of_change_is_told_as_what_it_is(engine: Engine, digests: KeyDigests) -> None:
    first = record("core", "1", "张三丰", id=ID_A, phone="13912345670")
    moved = replace(first, business_time=NOW, employer="市一医院")
    renamed = replace(moved, business_time=NOW.replace(day=2), name="张三峰")
    closed = replace(renamed, business_time=NOW.replace(day=3), status=RecordStatus.CLOSED)
    again = replace(renamed, business_time=NOW.replace(day=4))
    for said in (first, moved, renamed, closed, again):
        deliver(engine, digests, said)
    assert kinds(engine) == [
        "customer.created", "customer.updated", "customer.key_identity_changed", "customer.closed",
        "customer.status_changed",
    ]  # fmt: skip
    deliver(engine, digests, replace(again, business_time=NOW.replace(day=5), phones=()))
    last = follow(engine)[-1]
    assert last["data"]["changed"] == ["phones"] and last["data"]["cool_down_until"] > last["time"]


def test_a_look_is_by_index(engine: Engine, digests: KeyDigests) -> None:
    """Of very many events, all placed but the last."""
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    many = (
        "INSERT INTO outbox_event (customer_no, seq, type, occurred_at, document, position) SELECT customer_no, n, 'x',"
        " now(), '{}', nextval('event_position') FROM party, generate_series(2, 20000) n"
    )
    with transaction(engine) as session:
        send(session, many)
        send(session, "ANALYZE outbox_event")
        after = newest(session) - 5
        values = {"after": after, "limit": 10, "scanned": 10, "types": ["x"], "customer_no": "100000000016"}
        for statement in (events._PLACE, events._READ_ALL, events._READ_ONE, events._NEWEST):
            plan = "\n".join(row[0] for row in query(session, f"EXPLAIN {statement}", **values))
            assert "Seq Scan on outbox_event" not in plan, plan
        session.rollback()
