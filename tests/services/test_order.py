"""What came first must not show: numbers, rules, counts and vetoes after the same records in another order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from people import NOW, citizen, deliver, parties, record, scalar
from sqlalchemy import Engine, text

from ecif.db import run_transaction
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier
from ecif.services.context import Context, KeyDigests
from ecif.services.rebuild import rebuild

ID_A, ID_B = citizen(1), citizen(3)
PHONE = "13912345670"
BORN = date(1990, 1, 1)
HOME = "广东省深圳市南山区人民路9号丰泽新村26栋3单元1801室"


def _rules(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT r.key, l.rule FROM link l JOIN source_record r ON r.id = l.record_id WHERE l.ended_at IS NULL")
        )
        return {key: rule for key, rule in rows}


def test_a_placeholder_number_forbids_nobody_whoever_came_first(engine: Engine, digests: KeyDigests) -> None:
    """The number of seven names vetoes nothing, also when the one who holds it is only found by his phone."""
    holders = [record("core", f"x{n}", f"{s}大海", id=ID_B) for n, s in enumerate("王李赵钱孙周吴")]
    deliver(engine, digests, *holders, record("core", "1", "张三丰", id=ID_B, phone=PHONE))
    deliver(engine, digests, record("card", "2", "张三丰", id=ID_A, phone=PHONE))
    assert frozenset({"core:1", "card:2"}) in parties(engine)


def test_the_rule_of_a_link_is_that_of_its_strongest_pair(engine: Engine, digests: KeyDigests) -> None:
    first = record("core", "1", "张三丰", phone=PHONE, male=True)
    deliver(engine, digests, first)
    assert _rules(engine) == {"1": "NEW"}
    deliver(engine, digests, record("ebank", "2", "张三丰", phone=PHONE, male=True))
    assert _rules(engine) == {"1": "P-NP", "2": "P-NP"}
    deliver(engine, digests, record("card", "3", "张三丰", id=ID_A, phone=PHONE, male=True))
    assert _rules(engine) == {"1": "P-NP", "2": "P-NP", "3": "P-NP"}
    deliver(engine, digests, record("loan", "4", "张三丰", id=ID_A))
    assert _rules(engine) == {"1": "P-NP", "2": "P-NP", "3": "P-ID", "4": "P-ID"}
    assert scalar(engine, "SELECT count(*) FROM link") == 4


def test_a_retired_number_follows_the_record_it_was_issued_for(engine: Engine, digests: KeyDigests) -> None:
    """Else it would lead to a stranger: the record is with somebody else by now."""
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    deliver(engine, digests, record("core", "2", "李四光", id=ID_B))
    deliver(engine, digests, record("card", "3", "王五一", id=citizen(5)))
    no = scalar(engine, "SELECT customer_no FROM link JOIN source_record r ON r.id = record_id WHERE r.key = '3'")
    deliver(engine, digests, record("card", "3", "张三丰", id=ID_A, day=1))
    deliver(engine, digests, record("card", "3", "李四光", id=ID_B, day=2))
    assert frozenset({"core:2", "card:3"}) in parties(engine)
    where = "SELECT r.key FROM party p JOIN party s ON s.customer_no = p.merged_into JOIN source_record r ON r.id = s.anchor_id"
    assert scalar(engine, f"{where} WHERE p.customer_no = '{no}'") == "2"
    deliver(engine, digests, record("card", "3", "王五一", id=citizen(5), day=3))
    assert scalar(engine, f"SELECT status FROM party WHERE customer_no = '{no}'") == "ACTIVE"


def test_a_record_with_two_peoples_numbers_joins_neither(engine: Engine, digests: KeyDigests) -> None:
    both = record("core", "1", "张三丰", id=ID_A)
    both = replace(both, identifiers=(*both.identifiers, Identifier(IdentifierKind.CITIZEN_ID, ID_B)))
    a, b = (record("card", str(n), "张三丰", id=id) for n, id in ((2, ID_A), (3, ID_B)))
    deliver(engine, digests, a, both, b)
    assert len(parties(engine)) == 3
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == 2


def test_a_block_that_overflows_by_a_batch_loses_all_that_it_held(engine: Engine, digests: KeyDigests) -> None:
    """Ninety records share a phone; sixty more make it say nothing, of the first ninety too."""
    held = [record("core", f"{n}", "张三丰", phone=PHONE, male=True) for n in range(90)]
    deliver(engine, digests, *held)
    assert len(parties(engine)) == 1
    deliver(engine, digests, *(record("card", f"{n}", "张三丰", phone=PHONE, male=True) for n in range(60)))
    assert len(parties(engine)) == 150


def test_spellings_of_one_name_are_counted_alike_in_any_order(engine: Engine, digests: KeyDigests) -> None:
    """Two records of one Chinese name, of which one says it in letters: that one joins the third, whoever is read last."""
    spelt = record("core", "1", "张文博", phone=PHONE, latin_name="LI SIGUANG")
    plain, other = record("core", "2", "张文博", phone=PHONE), record("core", "3", "李四光", phone=PHONE)
    counts = set()
    for order in ((spelt, plain, other), (plain, spelt, other), (other, plain, spelt)):
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE source_record, party RESTART IDENTITY CASCADE"))
            connection.execute(text("TRUNCATE record_key, shared_value"))
        for one in order:
            deliver(engine, digests, one)
        counts.add(scalar(engine, "SELECT count(*) FROM shared_value"))
    assert counts == {0}


def test_a_rebuild_in_small_chunks_never_decides_on_half_of_the_facts(engine: Engine, digests: KeyDigests) -> None:
    """A group held apart, and a number that counting finds to be a placeholder: nobody moves, not even for a moment."""
    a, b = (record("core", f"{n}", "张三丰", id=id, phone=PHONE) for n, id in enumerate((ID_A, ID_B)))
    deliver(engine, digests, record("ebank", "e", "张三丰", born=BORN, phone=PHONE), a, b)
    holders = [record("core", f"x{n}", f"{s}大海", id=citizen(7)) for n, s in enumerate("王李赵钱孙周吴")]
    known = record("core", "y", "赵六六", id=citizen(9), phone="13912345675")
    deliver(engine, digests, known, record("card", "z", "赵六六", id=citizen(7), phone="13912345675"), *holders)
    before, events = parties(engine), scalar(engine, "SELECT count(*) FROM outbox_event")
    report = run_transaction(engine, lambda s: rebuild(s, Context(NOW, "test", digests), chunk=1))
    assert (report.changed, parties(engine)) == (0, before)
    assert scalar(engine, "SELECT count(*) FROM outbox_event") == events
    assert scalar(engine, "SELECT count(*) FROM link WHERE ended_at IS NOT NULL") == 0
