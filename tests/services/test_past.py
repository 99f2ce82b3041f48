"""The past: what was answered then can be read later, and what was so then by what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from conftest import empty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import DAY, NOW, citizen, record, scalar
from sqlalchemy import Engine, text

from ecif.db import run_transaction, transaction
from ecif.domain.records import PartyRecord
from ecif.services.context import Context, KeyDigests
from ecif.services.customers import CustomerNotFound, Golden, golden
from ecif.services.ingest import Delivery, ingest
from ecif.services.past import RECORDS_MAX, NothingKnown, TooManyRecords, golden_as_of, golden_valid_at
from ecif.services.rebuild import rebuild

ID_A, ID_B, ID_C = citizen(1), citizen(3), citizen(5)
AGES_AGO, FAR_AHEAD = datetime(1901, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)


def at(engine: Engine, digests: KeyDigests, second: float, *records: PartyRecord) -> None:
    """Takes records in, in a transaction that began then."""
    context = Context(NOW + timedelta(seconds=second), "test", digests)
    run_transaction(engine, lambda s: ingest(s, context, [Delivery(r) for r in records]))


def numbers(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [no for (no,) in connection.execute(text("SELECT customer_no FROM party ORDER BY customer_no"))]


def answers(engine: Engine) -> dict[str, Golden]:
    """What every number answers now."""
    with transaction(engine) as session:
        return {no: golden(session, no) for no in numbers(engine)}


def answers_as_of(engine: Engine, as_of: datetime, nos: list[str]) -> dict[str, Golden]:
    with transaction(engine) as session:
        return {no: golden_as_of(session, no, as_of) for no in nos}


@st.composite
def steps(draw: st.DrawFn) -> list[PartyRecord]:
    """Words of few records on few people, later and earlier ones: they come, change, become one and part again."""
    said = st.tuples(
        st.sampled_from(("core:1", "card:2", "loan:3", "ebank:4")),
        st.sampled_from(("张三丰", "李四光")),
        st.sampled_from((ID_A, ID_B, ID_C, "")),
        st.sampled_from(("13912345670", "13912345671", "")),
        st.integers(0, 4),
    )
    made = draw(st.lists(said, min_size=2, max_size=12))
    return [record(*name.split(":"), who, id=id, phone=phone, male=True, day=day) for name, who, id, phone, day in made]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps())
def test_every_version_that_as_of_reads_is_what_was_answered_then(
    engine: Engine, digests: KeyDigests, said: list[PartyRecord]
) -> None:
    """Through creation, change, merges of the engine and their end, also after a rebuild."""
    empty(engine)
    told: list[dict[str, Golden]] = []
    for second, one in enumerate(said):
        at(engine, digests, second, one)
        told.append(answers(engine))
    run_transaction(engine, lambda s: rebuild(s, Context(NOW + timedelta(days=1), "test", digests)))
    for second, then in enumerate(told):
        assert answers_as_of(engine, NOW + timedelta(seconds=second, milliseconds=500), list(then)) == then


def test_versions_are_recorded_in_their_order_whichever_transaction_began_first(
    engine: Engine, digests: KeyDigests
) -> None:
    """A transaction that began earlier ends later; and several begin at one time."""
    for day, second in enumerate((5, 3, 3, 9, 9)):
        at(engine, digests, second, record("core", "1", "张三丰", id=ID_A, phone=f"1391234567{day}", day=day))
    with engine.connect() as connection:
        times = [t for (t,) in connection.execute(text("SELECT recorded_at FROM golden_record ORDER BY version"))]
    assert len(times) == 5 and times == sorted(set(times))
    assert [t.microsecond for t in times] == [0, 1, 2, 0, 1]


def test_a_merged_number_leads_to_the_survivor_of_that_time(engine: Engine, digests: KeyDigests) -> None:
    at(
        engine,
        digests,
        0,
        record("core", "1", "张三丰", id=ID_A),
        record("core", "2", "张三丰", phone="13912345670", male=True),
    )
    first, second = numbers(engine)
    bridge = record("card", "3", "张三丰", id=ID_A, phone="13912345670", male=True, day=1)
    at(engine, digests, 1, bridge)
    at(engine, digests, 2, record("card", "3", "李四光", id=ID_B, day=2))
    with transaction(engine) as session:
        leads = [golden_as_of(session, second, NOW + timedelta(seconds=s, milliseconds=1)) for s in range(3)]
        assert [g.customer_no for g in leads] == [second, first, second]
        assert [g.redirected for g in leads] == [False, True, False]
        assert [g.version for g in leads] == [1, 2, 3]
        with pytest.raises(NothingKnown):
            golden_as_of(session, second, NOW - timedelta(seconds=1))
        with pytest.raises(CustomerNotFound):
            golden_as_of(session, "100000009999", NOW)


def test_what_was_so_then_by_what_is_known(engine: Engine, digests: KeyDigests) -> None:
    """The phone of day 2 came late: known by now, not known then."""
    core = [record("core", "1", "张三丰", id=ID_A, phone=f"1391234567{day}", day=day) for day in (1, 2, 3)]
    at(engine, digests, 1, core[0])
    at(engine, digests, 2, core[2], record("card", "7", "张三丰", id=ID_A, address="深圳市南山区人民路9号", day=3))
    at(engine, digests, 3, core[1])
    (no,) = numbers(engine)

    def phones(day: float, as_of: datetime | None = None) -> list[str]:
        with transaction(engine) as session:
            found = golden_valid_at(session, no, DAY + timedelta(days=day), as_of)
        return [p["number"] for p in found.document["phones"]]

    assert [phones(day) for day in (1, 1.5, 2, 3, 30)] == [[f"1391234567{n}"] for n in (1, 1, 2, 3, 3)]
    assert phones(2.5, NOW + timedelta(seconds=2)) == ["13912345671"]
    assert phones(3, NOW + timedelta(seconds=1)) == ["13912345671"]
    with pytest.raises(NothingKnown):
        phones(0.5)
    with transaction(engine) as session:
        whole = golden_valid_at(session, no, FAR_AHEAD)
        assert whole.text == golden(session, no).text and whole.version == 0
        assert golden_valid_at(session, no, DAY + timedelta(days=2)).document["source_records"] == 1
        with pytest.raises(NothingKnown):
            golden_valid_at(session, no, FAR_AHEAD, AGES_AGO)


def test_what_was_so_then_of_the_records_that_were_the_customer_s(engine: Engine, digests: KeyDigests) -> None:
    """A record that has left is the customer's as of the time when it was."""
    at(engine, digests, 1, record("core", "1", "张三丰", id=ID_A), record("card", "7", "张三丰", id=ID_A))
    at(engine, digests, 2, record("card", "7", "李四光", id=ID_B, day=2))
    no = scalar(engine, "SELECT customer_no FROM party ORDER BY anchor_id LIMIT 1")
    with transaction(engine) as session:
        now = golden_valid_at(session, no, FAR_AHEAD).document
        then = golden_valid_at(session, no, FAR_AHEAD, NOW + timedelta(seconds=1)).document
    assert (now["source_records"], then["source_records"]) == (1, 2)


def test_a_customer_with_very_many_records_is_not_made_anew_for_a_question(engine: Engine, digests: KeyDigests) -> None:
    at(engine, digests, 1, *(record("core", f"{n}", "张三丰", id=ID_A) for n in range(RECORDS_MAX + 1)))
    (no,) = numbers(engine)
    with transaction(engine) as session, pytest.raises(TooManyRecords):
        golden_valid_at(session, no, FAR_AHEAD)
