"""Laws of the spine, over made-up banks: order, re-load, rebuild, survivorship, scores, links."""

from __future__ import annotations

from datetime import date

from conftest import empty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from people import NOW, citizen, deliver, golden, parties, record, scalar
from sqlalchemy import Engine, text

from ecif.db import run_transaction
from ecif.domain.golden import golden_record
from ecif.domain.records import PartyRecord
from ecif.matching.decision import compare, decide, score
from ecif.matching.features import dump_features, features_of, load_features
from ecif.services.context import Context, KeyDigests
from ecif.services.rebuild import rebuild

NAMES = ("张三丰", "张文博", "张文渤", "張三豐", "张三", "*三丰", "李四光", "ZHANG SANFENG", "")
NUMBERS = (
    citizen(1),
    citizen(3),
    citizen(1)[:6] + citizen(1)[8:17],
    citizen(1)[:17] + "9",
    "440399********" + citizen(1)[-4:],
    "",
)
PHONES = ("13912345670", "13912345671", "")
BORN = (date(1990, 1, 1), date(1991, 1, 1), None)
HOMES = ("深圳市南山区人民路9号丰泽新村26栋3单元1801室", "丰泽新村26幢1801", "")


@st.composite
def banks(draw: st.DrawFn, most: int = 9) -> list[PartyRecord]:
    """A few records of a few people who share names, numbers, phones and homes."""
    made = draw(
        st.lists(
            st.builds(
                lambda system, name, id, phone, born, home, male, day: dict(
                    system=system, name=name, id=id, phone=phone, born=born, address=home, male=male, day=day
                ),
                st.sampled_from(("core", "loan", "card", "ebank")), st.sampled_from(NAMES), st.sampled_from(NUMBERS),
                st.sampled_from(PHONES), st.sampled_from(BORN), st.sampled_from(HOMES), st.sampled_from((True, False, None)),
                st.integers(0, 5),
            ),
            min_size=1, max_size=most,
        )
    )  # fmt: skip
    return [record(m.pop("system"), f"k{n}", m.pop("name"), **m) for n, m in enumerate(made)]


SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SOME
@given(bank=banks(), data=st.data())
def test_the_order_of_loading_does_not_matter(
    server: Engine, digests: KeyDigests, bank: list[PartyRecord], data: st.DataObject
) -> None:
    empty(server)
    deliver(server, digests, *bank)
    at_once = golden(server)
    empty(server)
    for one in data.draw(st.permutations(bank)):
        deliver(server, digests, one)
    assert parties(server) == set(at_once)
    assert golden(server) == at_once


@SOME
@given(bank=banks(), changed=banks(), data=st.data())
def test_a_changed_bank_is_as_if_loaded_at_once(
    server: Engine, digests: KeyDigests, bank: list[PartyRecord], changed: list[PartyRecord], data: st.DataObject
) -> None:
    """Versions of the same records arrive in any order; what stands is what the newest of each say together."""
    empty(server)
    everything = data.draw(st.permutations([*bank, *changed]))
    for one in everything:
        deliver(server, digests, one)
    one_by_one = golden(server)
    empty(server)
    deliver(server, digests, *everything)
    assert golden(server) == one_by_one


@SOME
@given(bank=banks())
def test_reload_changes_nothing_and_every_record_has_one_live_link(
    server: Engine, digests: KeyDigests, bank: list[PartyRecord]
) -> None:
    empty(server)
    deliver(server, digests, *bank)
    before, events = golden(server), scalar(server, "SELECT count(*) FROM outbox_event")
    deliver(server, digests, *bank)
    assert (golden(server), scalar(server, "SELECT count(*) FROM outbox_event")) == (before, events)
    assert scalar(server, "SELECT count(*) FROM link WHERE ended_at IS NULL") == len(bank)
    gaps = "SELECT count(*) FROM (SELECT max(seq) - count(*) AS gap FROM outbox_event GROUP BY customer_no) s WHERE gap <> 0"
    assert scalar(server, gaps) == 0
    dangling = (
        "SELECT count(*) FROM party p LEFT JOIN party s ON s.customer_no = p.merged_into"
        " WHERE p.merged_into IS NOT NULL AND s.merged_into IS NOT NULL"
    )
    assert scalar(server, dangling) == 0


DERIVED = ("record_features", "record_key", "shared_value", "doubtful_pair", "account", "relation")


def _derived(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        found = {
            table: [
                str(row[0])
                for row in connection.execute(text(f"SELECT to_jsonb(t) - 'since' FROM {table} t ORDER BY 1"))
            ]
            for table in DERIVED
        }
        links = "SELECT record_id || customer_no FROM link WHERE ended_at IS NULL ORDER BY 1"
        found["link"] = [row[0] for row in connection.execute(text(links))]
        open_reviews = "SELECT customer_lo || customer_hi || level FROM merge_review WHERE closed_at IS NULL ORDER BY 1"
        found["merge_review"] = [row[0] for row in connection.execute(text(open_reviews))]
        return found


@SOME
@given(bank=banks(), data=st.data())
def test_rebuild_gives_what_is_stored(
    server: Engine, digests: KeyDigests, bank: list[PartyRecord], data: st.DataObject
) -> None:
    empty(server)
    for one in bank:
        deliver(server, digests, one)
    before, documents = _derived(server), golden(server)
    with server.begin() as connection:
        for table in data.draw(st.sets(st.sampled_from(DERIVED))):
            connection.execute(text(f"TRUNCATE {table}"))
    report = run_transaction(server, lambda s: rebuild(s, Context(NOW, "test", digests)))
    assert (report.records, report.changed) == (len(bank), 0)
    assert _derived(server) == before
    assert golden(server) == documents


@given(bank=banks(most=2))
def test_decisions_are_symmetric_and_scores_bounded(bank: list[PartyRecord]) -> None:
    a, b = features_of(bank[0]), features_of(bank[-1])
    there, back = decide(a, b), decide(b, a)
    assert (there.outcome, there.rule) == (back.outcome, back.rule)
    assert {(c.field, c.level) for c in compare(a, b)} == {(c.field, c.level) for c in compare(b, a)}
    assert score(compare(a, b)) == score(compare(b, a))
    assert 0 <= score(compare(a, b)) <= 100
    assert load_features(dump_features(a)) == a


@given(bank=banks(), data=st.data())
def test_survivorship_ignores_order(bank: list[PartyRecord], data: st.DataObject) -> None:
    no = "100000000016"
    assert golden_record(no, bank) == golden_record(no, data.draw(st.permutations(bank)))
