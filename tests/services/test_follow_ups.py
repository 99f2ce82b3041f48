"""What merges leave to be done: one open review of each survivor, which follows its merges."""

from __future__ import annotations

import json
from typing import Any

import pytest
from people import citizen, deliver, record, scalar
from sqlalchemy import Engine, text
from stewards import Stewards

from ecif.domain.judgements import Verdict
from ecif.domain.records import Account, AccountClass, AccountStatus
from ecif.domain.review_policy import ReviewDecision
from ecif.services import merges, operations, review_decisions
from ecif.services.context import KeyDigests
from ecif.services.operations import Status
from ecif.services.review_decisions import DecisionUnfit

NAMES = {"core:1": "张三丰", "core:2": "李四光", "core:3": "王五一", "core:4": "赵六七"}


def class_one(n: int) -> Account:
    return Account(f"6217000000{n:06d}", "SAVINGS", AccountStatus.NORMAL, account_class=AccountClass.I)


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    """Four customers with a Class I account each, but for the last, who has none."""
    people = [
        record("core", name[-1], said, phone=f"1391111000{n}", accounts=(class_one(n),) if n < 3 else ())
        for n, (name, said) in enumerate(NAMES.items())
    ]
    deliver(engine, digests, *people)
    return Stewards(engine, digests)


def todo(engine: Engine) -> dict[str, list[tuple[int, str]]]:
    """What is open, by customer: merges and rules."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT customer_lo, customer_hi, evidence FROM merge_review WHERE kind = 'FOLLOW_UP' AND closed_at IS NULL"
            )
        ).all()
    assert all(lo == hi for lo, hi, _ in rows) and len({lo for lo, *_ in rows}) == len(rows)
    return {lo: [(item["operation"], item["rule"]) for item in json.loads(e)["follow_ups"]] for lo, _, e in rows}


def outcomes(engine: Engine) -> list[str | None]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT outcome FROM merge_review WHERE kind = 'FOLLOW_UP' ORDER BY id"))
        return [row[0] for row in rows]


def history(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row[0] for row in connection.execute(text("SELECT action FROM review_entry ORDER BY id"))]


CLASS_I = "BOTH_HOLD_CLASS_I"


def test_a_merge_of_two_class_one_accounts_leaves_something_to_do(engine: Engine, stewards: Stewards) -> None:
    merge = stewards.merge("core:1", "core:2")
    no = stewards.no("core:1")
    assert todo(engine) == {no: [(merge.id, CLASS_I)]}
    review = scalar(engine, "SELECT id FROM merge_review WHERE kind = 'FOLLOW_UP'")
    for unfit in (ReviewDecision.SAME, ReviewDecision.NOT_SAME):
        with pytest.raises(DecisionUnfit):
            stewards.run(review_decisions.decide, review, unfit, reason="x")
    assert stewards.run(review_decisions.decide, review, ReviewDecision.NEED_INFO, reason="x").state == "NEED_INFO"
    done = stewards.run(review_decisions.decide, review, ReviewDecision.DONE, reason="一个已降级")
    assert (done.state, done.outcome) == ("CLOSED", "DONE")
    stewards.reverse(merge)
    assert outcomes(engine) == ["DONE"]


def test_a_merge_that_leaves_nothing_opens_nothing(engine: Engine, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:4")
    assert outcomes(engine) == []


def test_a_second_merge_adds_to_what_is_open(engine: Engine, stewards: Stewards) -> None:
    first = stewards.merge("core:1", "core:2", survivor="core:1")
    review = scalar(engine, "SELECT id FROM merge_review WHERE kind = 'FOLLOW_UP'")
    stewards.run(review_decisions.decide, review, ReviewDecision.NEED_INFO, reason="x")
    second = stewards.merge("core:1", "core:3", survivor="core:1")
    no = stewards.no("core:1")
    assert todo(engine) == {no: [(first.id, CLASS_I), (second.id, CLASS_I)]}
    assert scalar(engine, f"SELECT state || version FROM merge_review WHERE id = {review}") == "OPEN3"
    stewards.reverse(first)
    assert todo(engine) == {no: [(second.id, CLASS_I)]}
    stewards.reverse(second)
    assert (todo(engine), outcomes(engine)) == ({}, ["OUTDATED"])
    assert history(engine) == ["NEED_INFO", "REBUILT", "REBUILT", "OUTDATED"]


def test_what_was_handed_on_stays_with_whom_it_was_handed_to(engine: Engine, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2", survivor="core:1")
    review = scalar(engine, "SELECT id FROM merge_review WHERE kind = 'FOLLOW_UP'")
    stewards.run(review_decisions.decide, review, ReviewDecision.ESCALATE, reason="x")
    stewards.merge("core:1", "core:3", survivor="core:1")
    assert scalar(engine, f"SELECT state FROM merge_review WHERE id = {review}") == "ESCALATED"


@pytest.mark.parametrize("survivor", ["core:1", "core:4"])
def test_it_follows_the_survivor_and_comes_back(engine: Engine, stewards: Stewards, survivor: str) -> None:
    first = stewards.merge("core:1", "core:2", survivor="core:1")
    a = stewards.no("core:1")
    later = stewards.merge("core:1", "core:4", survivor=survivor)
    assert todo(engine) == {stewards.no("core:4"): [(first.id, CLASS_I)]}
    stewards.reverse(later)
    assert todo(engine) == {a: [(first.id, CLASS_I)]}


def test_it_stays_as_it_is_while_it_follows(engine: Engine, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2", survivor="core:1")
    review = only(engine).id
    stewards.run(review_decisions.decide, review, ReviewDecision.ESCALATE, reason="x")
    stewards.run(review_decisions.claim, review, person="chief")
    before, a = only(engine), stewards.no("core:1")
    later = stewards.merge("core:1", "core:4", survivor="core:4")
    no, after = stewards.no("core:4"), only(engine)
    assert (after.id, after.customer_lo, after.customer_hi, after.version) == (review, no, no, before.version + 1)
    stewards.reverse(later)
    back = only(engine)
    for row in (after, back):
        assert (row.state, row.claimed_by, row.claimed_at) == ("ESCALATED", "chief", before.claimed_at)
        assert (row.opened_at, row.evidence) == (before.opened_at, before.evidence)
    assert (back.id, back.customer_lo) == (review, a)
    assert history(engine) == ["ESCALATE", "CLAIMED", "FOLLOWED", "FOLLOWED"]


def only(engine: Engine) -> Any:
    """The one review of what was left."""
    with engine.connect() as connection:
        return connection.execute(text("SELECT * FROM merge_review WHERE kind = 'FOLLOW_UP'")).one()


def test_two_that_have_something_to_do_have_it_under_one_number(
    engine: Engine, stewards: Stewards, digests: KeyDigests
) -> None:
    deliver(engine, digests, record("core", "5", "孙小圣", phone="13911119999", accounts=(class_one(9),)))
    one = stewards.merge("core:1", "core:2", survivor="core:1")
    other = stewards.merge("core:3", "core:5", survivor="core:3")
    both = stewards.merge("core:1", "core:3", survivor="core:3")
    assert todo(engine) == {stewards.no("core:3"): [(n.id, CLASS_I) for n in (one, other, both)]}
    stewards.reverse(both)
    assert todo(engine) == {stewards.no("core:1"): [(one.id, CLASS_I)], stewards.no("core:3"): [(other.id, CLASS_I)]}
    stewards.reverse(other)
    assert todo(engine) == {stewards.no("core:1"): [(one.id, CLASS_I)]}


def test_a_merge_in_the_middle_is_undone(engine: Engine, stewards: Stewards) -> None:
    first = stewards.merge("core:1", "core:2", survivor="core:1")
    second = stewards.merge("core:1", "core:3", survivor="core:3")
    stewards.reverse(first)
    assert todo(engine) == {stewards.no("core:3"): [(second.id, CLASS_I)]}


def class_two(*numbers: int) -> tuple[Account, ...]:
    return tuple(
        Account(f"6217000002{n:06d}", "SAVINGS", AccountStatus.NORMAL, account_class=AccountClass.II) for n in numbers
    )


@pytest.mark.parametrize("left", [5, 6])
def test_what_is_left_is_counted_anew_when_a_merge_in_the_middle_is_undone(
    engine: Engine, digests: KeyDigests, left: int
) -> None:
    """Of seven Class II accounts some leave again: with the fewest that are too many one has to go, with five none."""
    held = {"1": class_two(1, 2, 3), "2": class_two(*range(4, 11 - left)), "3": class_two(*range(11 - left, 8))}
    deliver(engine, digests, *(record("core", key, NAMES[f"core:{key}"], accounts=has) for key, has in held.items()))
    stewards = Stewards(engine, digests)
    first = stewards.merge("core:1", "core:2", survivor="core:1")
    second = stewards.merge("core:1", "core:3", survivor="core:1")
    assert counted(engine) == [(second.id, {"001": 7})]
    stewards.reverse(first)
    assert counted(engine) == ([(second.id, {"001": 6})] if left == 6 else [])
    assert outcomes(engine) == ([None] if left == 6 else ["OUTDATED"])


def counted(engine: Engine) -> list[tuple[int, dict[str, int]]]:
    """The Class II accounts that are too many, by the merges that open reviews name."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT evidence FROM merge_review WHERE closed_at IS NULL")).scalars()
        items = [item for evidence in rows for item in json.loads(evidence)["follow_ups"]]
    return [(item["operation"], item["data"]["class_ii"]) for item in items if item["rule"] == "CLASS_II_MAX"]


def test_what_one_side_alone_holds_is_left_to_be_done_no_more(engine: Engine, stewards: Stewards) -> None:
    """core:4 has no Class I account; by way of core:1 he came with one."""
    first = stewards.merge("core:4", "core:1", survivor="core:4")
    second = stewards.merge("core:4", "core:2", survivor="core:4")
    assert todo(engine) == {stewards.no("core:4"): [(second.id, CLASS_I)]}
    stewards.reverse(first)
    assert (todo(engine), outcomes(engine)) == ({}, ["OUTDATED"])


def test_who_joins_by_himself_leaves_it_where_it_is(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    who = {"name": "张三丰", "id": citizen(1)}
    deliver(engine, digests, record("core", "1", accounts=(class_one(0),), **who, day=1))
    merge = stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("loan", "8", **who))
    no = stewards.no("core:1")
    assert no == stewards.no("loan:8") and todo(engine) == {no: [(merge.id, CLASS_I)]}


def test_what_a_preview_says_is_not_left(engine: Engine, stewards: Stewards) -> None:
    preview = stewards.run(merges.preview_merge, stewards.nos(["core:1", "core:2"]))
    assert CLASS_I in [f.rule for f in preview.findings] and outcomes(engine) == []


@pytest.mark.parametrize("by_hand", [True, False], ids=["a merge", "the rules"])
def test_what_is_to_be_done_leaves_with_a_number_that_goes_straight_to_another(
    engine: Engine, digests: KeyDigests, by_hand: bool
) -> None:
    """loan:1 was merged when a judgement was taken back, and turns into core:3, who has something to do of his own."""
    number, other = citizen(1), citizen(3)
    deliver(engine, digests, record("core", "1", "张三丰", id=number, accounts=(class_one(1),)))
    deliver(engine, digests, record("loan", "1", "张三丰", id=number, accounts=(class_one(2),)))
    stewards = Stewards(engine, digests)
    stewards.judge("core:1", "loan:1", Verdict.NOT_SAME)
    deliver(engine, digests, record("core", "3", "王五一", id=other, accounts=(class_one(3),)))
    deliver(engine, digests, record("core", "4", "赵六七", accounts=(class_one(4),)))
    left = stewards.merge("core:3", "core:4")
    taken_back = stewards.judge("core:1", "loan:1", Verdict.WITHDRAWN)
    deliver(engine, digests, record("loan", "1", "王五一", id=other, accounts=(class_one(2),), day=3))
    assert taken_back and stewards.run(lambda s, _: operations.get(s, taken_back.id)).status is Status.REVERSED
    assert todo(engine) == {stewards.no("core:3"): [(left.id, "BOTH_HOLD_CLASS_I")]}
    if by_hand:
        deliver(engine, digests, record("core", "5", "孙七八"))
        stewards.merge("core:1", "core:5")
    else:
        deliver(engine, digests, record("card", "5", "张三丰", id=number, day=5))
    assert list(todo(engine)) == [stewards.no("core:3")]
