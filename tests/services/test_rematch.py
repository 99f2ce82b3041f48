"""Records whose identity changes under a customer: what is asked of a steward, with which evidence, and when it is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from people import DAY, citizen, deliver, record, scalar
from promises import broken, derived
from sqlalchemy import Engine, text
from stewards import Stewards, name

from ecif.api.review_views import RECORDS_MAX, whole_view
from ecif.db import transaction
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.judgements import Verdict
from ecif.domain.records import Account, AccountStatus, Identifier
from ecif.domain.review_policy import ReviewDecision, risk_class
from ecif.matching.rules import POLICY_VERSION
from ecif.services import approvals, merges, review_decisions, review_queue
from ecif.services.context import KeyDigests
from ecif.services.rebuild import rebuild
from ecif.services.rematch import COMPARED_MAX
from ecif.services.review_decisions import DecisionMoves, ReviewClosed

ID_A, ID_B, ID_C, ID_D = citizen(1), citizen(2, "19850505"), citizen(3, "19770707"), citizen(5, "19660606")
A1, A2 = record("core", "1", "张三丰", id=ID_A, phone="13911112222"), record("card", "1", "张三丰", id=ID_A)
B1, B2 = record("core", "2", "张叁丰", phone="13911112222"), record("loan", "2", "张叁丰", phone="13911113333")
DAY_12, STRANGER_BORN = DAY + timedelta(days=12), date(1985, 5, 5)
STRANGER = record("core", "2", "李四光", id=ID_B, day=9)
"""What becomes of core:2."""
HELD = (Account("6217990000005678", "SAVINGS", AccountStatus.NORMAL, None),)


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    """Two customers: core:1 and card:1, which the engine made one, and core:2."""
    deliver(engine, digests, A1, A2)
    deliver(engine, digests, B1)
    return Stewards(engine, digests)


def asked(engine: Engine, *kinds: str) -> list[Any]:
    """The open reviews of these kinds."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM merge_review WHERE closed_at IS NULL ORDER BY id"))
        return [row for row in rows if row.kind in kinds]


def only(engine: Engine, kind: str) -> Any:
    (row,) = asked(engine, kind)
    return row


def seen(engine: Engine, digests: KeyDigests, row: Any) -> review_queue.Review:
    with transaction(engine) as session:
        return review_queue.get(session, digests, row.id)


def named(engine: Engine, digests: KeyDigests, row: Any) -> set[str]:
    """The records in question."""
    review = seen(engine, digests, row)
    return {":".join(review.names[told["record"]]) for told in review.evidence["records"]}


def compared(engine: Engine, digests: KeyDigests, row: Any) -> dict[frozenset[str], str]:
    """The pairs of the evidence, by the rule that decides each."""
    review = seen(engine, digests, row)
    return {
        frozenset(":".join(review.names[pair[end]]) for end in ("record_lo", "record_hi")): pair["rule"]
        for pair in review.evidence["pairs"]
    }


def told(engine: Engine, review: int) -> list[str]:
    with transaction(engine) as session:
        return [entry.action for entry in review_queue.history(session, review)]


def outcome(engine: Engine, review: int) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(f"SELECT outcome FROM merge_review WHERE id = {review}")).scalar_one()


def keep(stewards: Stewards, review: int) -> Any:
    """The steward says that the records are where they belong."""
    return stewards.run(review_decisions.decide, review, ReviewDecision.SAME, reason="已核实")


def rules(stewards: Stewards, nos: list[str]) -> dict[str, Any]:
    """What is told of a merge, by the rule."""
    return {found.rule: found.data for found in stewards.run(merges.preview_merge, nos).findings}


def pair(*records: str) -> frozenset[str]:
    return frozenset(records)


# Misfits


def test_a_misfit_is_shown_with_all_that_it_contradicts(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    row = only(engine, "MISFIT")
    assert (row.level, row.rule, row.policy_version) == ("N1", "P-N1", POLICY_VERSION)
    assert named(engine, digests, row) == {"core:2"}
    assert compared(engine, digests, row) == {pair("core:1", "core:2"): "P-N1", pair("card:1", "core:2"): "P-N1"}
    items = {i["field"]: i["level"] for i in json.loads(row.evidence)["pairs"][0]["items"]}
    assert (items["identifier"], items["name"], items["birth"]) == ("DIFFERENT", "DIFFERENT", "DIFFERENT")
    assert row.risk == risk_class(["MIXED"])


def test_what_is_at_stake_counts_on_both_sides(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, replace(STRANGER, accounts=HELD))
    assert only(engine, "MISFIT").risk == risk_class(["MIXED"]), "the others hold nothing"
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, accounts=HELD, day=10))
    assert only(engine, "MISFIT").risk == risk_class(["MIXED", "BOTH_HOLD_ACCOUNTS"])


def test_a_second_misfit_rebuilds_the_review(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    first = only(engine, "MISFIT")
    stewards.run(review_decisions.claim, first.id)
    deliver(engine, digests, record("card", "1", "王五一", id=ID_C, day=9))
    row = only(engine, "MISFIT")
    assert (row.id, row.claimed_by, named(engine, digests, row)) == (first.id, "maker", {"core:2", "card:1"})
    assert told(engine, row.id) == ["CLAIMED", "REBUILT"]
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, day=10))
    assert named(engine, digests, only(engine, "MISFIT")) == {"core:2"}


def test_a_record_that_is_corrected_closes_it(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    review = only(engine, "MISFIT").id
    deliver(engine, digests, record("core", "2", "张叁丰", phone="13911112222", day=10))
    assert asked(engine, "MISFIT") == [] and outcome(engine, review) == "OUTDATED"
    assert told(engine, review) == ["OUTDATED"]


@pytest.mark.parametrize(
    "fits",
    [
        record("core", "2", "张三丰", id=ID_A, day=10),
        record("core", "2", day=10),
        record("core", "2", "张叁丰", phone="13911114444", day=10),
    ],
    ids=["like the others", "says nothing any more", "one letter off, and nothing else"],
)
def test_who_merely_says_less_or_otherwise_fits(
    engine: Engine, digests: KeyDigests, stewards: Stewards, fits: Any
) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, fits)
    assert asked(engine, "MISFIT") == []


def test_another_name_and_birth_date_do_not_fit_even_without_two_numbers(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("core", "2", "李四光", born=STRANGER_BORN, day=9))
    row = only(engine, "MISFIT")
    assert (row.level, row.rule) == ("M7", "NONE") and named(engine, digests, row) == {"core:2"}


def test_a_name_that_changed_under_one_number_is_no_misfit(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """The rules would ask whether the two are one; the steward who merged them said so."""
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("core", "2", "李四光", id=ID_A, day=9))
    assert asked(engine, "MISFIT") == []


def test_a_misfit_that_is_split_off_is_no_question_any_more(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.merge("core:1", "core:2", survivor="core:1")
    deliver(engine, digests, record("card", "1", "王五一", id=ID_C, day=9))
    review = only(engine, "MISFIT").id
    stewards.split("core:1", "card:1")
    assert asked(engine, "MISFIT") == [] and outcome(engine, review) == "OUTDATED"


@pytest.mark.parametrize(
    "act",
    [
        lambda stewards: stewards.merge("core:1", "loan:2", survivor="core:1"),
        lambda stewards: stewards.split("core:1", "card:8"),
        lambda stewards: stewards.judge("core:1", "card:1", Verdict.SAME),
    ],
    ids=["merge", "split", "judge"],
)
def test_what_is_said_of_others_does_not_end_the_question_of_a_misfit(
    engine: Engine, digests: KeyDigests, stewards: Stewards, act: Callable[[Stewards], object]
) -> None:
    """Though it ties the record once more, for which the number was issued; nor does it let the stranger's records in."""
    stewards.merge("core:1", "core:2", survivor="core:1")
    deliver(engine, digests, B2, *(record("card", key, "张三丰", id=ID_A) for key in "78"))
    deliver(engine, digests, record("core", "1", "李四光", id=ID_B, day=9))
    before = only(engine, "MISFIT")
    act(stewards)
    row = only(engine, "MISFIT")
    assert row.id == before.id and named(engine, digests, row) == {"core:1"}
    deliver(engine, digests, record("ebank", "9", "李四光", id=ID_B))
    assert stewards.no("ebank:9") != stewards.no("core:1")


def test_who_merges_is_told_of_records_in_doubt(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, B2)
    stewards.merge("core:1", "core:2")
    two = stewards.nos(["core:1", "loan:2"])
    assert "OPEN_REVIEWS" not in rules(stewards, two)
    deliver(engine, digests, STRANGER)
    assert rules(stewards, two)["OPEN_REVIEWS"] == {"reviews": 1}


def test_who_merges_is_told_what_is_open_with_others_and_what_moved(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """Whether the two are one is what he answers; which of them a record belongs to is still open then."""
    deliver(engine, digests, record("loan", "3", "李四光", id=ID_A))
    asking, other = [*stewards.nos(["core:1", "loan:3"])], stewards.no("core:2")
    assert "OPEN_REVIEWS" not in rules(stewards, asking)
    for no in asking:
        assert rules(stewards, [no, other])["OPEN_REVIEWS"] == {"reviews": 1}
    stewards.run(review_decisions.decide, only(engine, "PAIR").id, ReviewDecision.NOT_SAME, reason="另一人")
    assert "OPEN_REVIEWS" not in rules(stewards, [asking[0], other])
    deliver(engine, digests, record("card", "1", "王五一", id=ID_C, day=9))
    moved = rules(stewards, stewards.nos(["core:1", "card:1"]))
    assert moved["OPEN_REVIEWS"] == {"reviews": 1}


def test_a_misfit_goes_where_its_record_goes(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """The merge is undone: core:2 leaves with loan:2, whom it does not fit either."""
    deliver(engine, digests, B2)
    stewards.merge("core:2", "loan:2")
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    deliver(engine, digests, STRANGER)
    before = only(engine, "MISFIT")
    assert set(compared(engine, digests, before)) == {pair("core:2", r) for r in ("core:1", "card:1", "loan:2")}
    stewards.reverse(merge)
    row = only(engine, "MISFIT")
    assert row.customer_lo == stewards.no("loan:2") and outcome(engine, before.id) == "OUTDATED"
    assert set(compared(engine, digests, row)) == {pair("core:2", "loan:2")}


def test_who_is_kept_is_not_asked_about_before_he_changes(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """And belongs to the customer as he is now: who comes with his number is the customer's too."""
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    judged = "SELECT count(*) FROM judgement WHERE verdict = 'SAME'"
    before = scalar(engine, judged)
    row = keep(stewards, only(engine, "MISFIT").id)
    assert (row.state, row.outcome, told(engine, row.id)) == ("CLOSED", "SAME", ["SAME"])
    assert scalar(engine, judged) == before + 1, "nothing is said of the others"
    deliver(engine, digests, replace(STRANGER, phones=A1.phones, business_time=DAY_12))
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, accounts=HELD, day=12))
    stewards.run(rebuild)
    assert asked(engine, "MISFIT") == []
    deliver(engine, digests, record("ebank", "2", "李四光", id=ID_B))
    assert stewards.no("ebank:2") == stewards.no("core:1")
    deliver(engine, digests, record("core", "2", "王五一", id=ID_C, day=13))
    assert named(engine, digests, only(engine, "MISFIT")) == {"core:2"}


def test_of_stewards_who_keep_it_at_once_one_wins(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    review = only(engine, "MISFIT").id

    def attempt(_: int) -> bool:
        try:
            return bool(keep(stewards, review))
        except ReviewClosed:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, range(4))) == 1
    assert told(engine, review) == ["SAME"]


def test_who_is_kept_brings_no_other_customer_along(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """That would be a merge, which takes two: first it has to be said whether the other is the same."""
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("loan", "9", "李四光", id=ID_B))
    deliver(engine, digests, STRANGER)
    review, other = only(engine, "MISFIT").id, stewards.no("loan:9")
    with pytest.raises(DecisionMoves) as moves:
        keep(stewards, review)
    assert moves.value.customers == [other] and only(engine, "MISFIT").id == review
    (question,) = asked(engine, "PAIR")
    stewards.run(review_decisions.decide, question.id, ReviewDecision.NOT_SAME, reason="另一人")
    assert keep(stewards, review).outcome == "SAME" and stewards.no("loan:9") == other


# Moves


def test_a_move_is_shown_with_whom_it_left_and_whom_it_came_to(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("loan", "3", "李四光", id=ID_B, accounts=HELD))
    deliver(engine, digests, replace(A1, accounts=HELD, business_time=DAY_12))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    row = only(engine, "MOVED")
    left, to = stewards.no("core:1"), stewards.no("loan:3")
    assert (row.customer_lo, row.customer_hi) == (min(left, to), max(left, to))
    assert (row.level, row.rule, row.policy_version) == ("N1", "P-N1", POLICY_VERSION)
    assert compared(engine, digests, row) == {pair("core:1", "card:1"): "P-N1", pair("loan:3", "card:1"): "P-ID"}
    (moved,) = seen(engine, digests, row).evidence["records"]
    assert (moved["from"], moved["to"]) == (left, to)
    assert row.risk == risk_class(["MIXED", "HOLDS_LOAN", "BOTH_HOLD_ACCOUNTS"])


def test_the_number_stays_with_those_who_did_not_turn_into_somebody_else(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """It was issued for core:1, which now is loan:9's; the customer of card:1 answers under it as before."""
    deliver(engine, digests, record("loan", "1", "张三丰", id=ID_A), record("loan", "9", "李四光", id=ID_B))
    number, other = stewards.no("core:1"), stewards.no("loan:9")
    deliver(engine, digests, record("core", "1", "李四光", id=ID_B, day=9))
    assert stewards.nos(["core:1", "card:1", "loan:1", "loan:9"]) == [other, number, number, other]
    (moved,) = seen(engine, digests, only(engine, "MOVED")).evidence["records"]
    assert (moved["from"], moved["to"]) == (number, other)
    stewards.run(rebuild)
    assert stewards.nos(["card:1", "loan:9"]) == [number, other]
    deliver(engine, digests, replace(A1, business_time=DAY_12))
    assert stewards.no("core:1") == number and asked(engine, "MOVED") == []


def test_the_number_stays_with_those_whom_a_stranger_leaves(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    number = stewards.no("core:1")
    deliver(engine, digests, record("core", "1", "王五一", id=ID_C, day=9))
    assert stewards.no("card:1") == number != stewards.no("core:1")
    assert named(engine, digests, only(engine, "MOVED")) == {"core:1"}
    deliver(engine, digests, record("card", "1", "王五一", id=ID_C, day=10))
    assert stewards.no("card:1") == stewards.no("core:1") == number, "both have turned: one customer, who was corrected"


def test_who_hung_on_a_record_that_left_is_asked_about_too(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """loan:1 was the customer's by what card:1 told, and now is by itself."""
    bridge = {"phone": "13911114444", "male": True}
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, day=12, **bridge))
    deliver(engine, digests, record("loan", "1", "张三丰", **bridge))
    number = stewards.no("core:1")
    assert stewards.no("loan:1") == number
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=13))
    about = [(named(engine, digests, row), {row.customer_lo, row.customer_hi}) for row in asked(engine, "MOVED")]
    assert about == [({key}, {number, stewards.no(key)}) for key in ("card:1", "loan:1")]
    stewards.run(rebuild)
    assert len(asked(engine, "MOVED")) == 2
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, day=14, **bridge))
    assert stewards.no("loan:1") == number and asked(engine, "MOVED") == []


def test_who_leaves_because_another_moved_house_is_asked_about(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """Nobody has turned into somebody else: core:1 has a new phone, and nothing else made loan:1 the customer's."""
    deliver(engine, digests, record("core", "3", "诸葛小明", id=ID_D, phone="13911117777", male=True))
    deliver(engine, digests, record("loan", "3", "诸葛小明", phone="13911117777", male=True))
    assert stewards.no("loan:3") == stewards.no("core:3")
    deliver(engine, digests, record("core", "3", "诸葛小明", id=ID_D, phone="13911118888", male=True, day=9))
    assert stewards.no("loan:3") != stewards.no("core:3")
    assert named(engine, digests, only(engine, "MOVED")) == {"loan:3"}
    stewards.merge("core:3", "loan:3")
    assert asked(engine, "MOVED") == []


def test_who_is_drawn_away_by_a_newcomer_is_asked_about(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """loan:3 says too little of himself: the one customer has his phone, another who comes later his passport."""
    passport, phone = (Identifier(IdentifierKind.PASSPORT, "E12345678"),), "13911117777"
    deliver(engine, digests, record("core", "3", "诸葛小明", id=ID_D, phone=phone, male=True))
    deliver(engine, digests, record("loan", "3", "诸葛小明", identifiers=passport, phone=phone, male=True))
    left = stewards.no("loan:3")
    assert left == stewards.no("core:3")
    both = (*passport, Identifier(IdentifierKind.CITIZEN_ID, ID_C))
    deliver(engine, digests, record("card", "3", "诸葛小明", identifiers=both))
    assert stewards.no("loan:3") == stewards.no("card:3") != left
    (moved,) = seen(engine, digests, only(engine, "MOVED")).evidence["records"]
    assert (moved["from"], moved["to"]) == (left, stewards.no("card:3"))


def test_who_has_to_leave_the_number_to_a_stranger_is_asked_about(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """Another number was issued for loan:9 before the two were one: under it they live again, card:1 too."""
    deliver(engine, digests, record("loan", "9", "张三丰", phone="13900009999"))
    own = stewards.no("loan:9")
    deliver(engine, digests, record("loan", "9", "张三丰", id=ID_A, day=2))
    number = stewards.no("core:1")
    assert stewards.no("loan:9") == number != own and asked(engine, "MOVED") == []
    deliver(engine, digests, record("core", "1", "李四光", id=ID_B, day=9))
    assert stewards.nos(["core:1", "card:1", "loan:9"]) == [number, own, own]
    assert named(engine, digests, only(engine, "MOVED")) == {"card:1", "loan:9"}


def test_who_has_to_leave_a_number_that_leads_to_a_stranger_is_asked_about(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """The number goes along with loan:7, to the older one of core:5: one question is about it, one about the others."""
    deliver(engine, digests, record("core", "5", "李四光", id=ID_B))
    deliver(engine, digests, record("loan", "7", "王五一", id=ID_C), record("loan", "8", "王五一", phone="13900009999"))
    first, number, own = stewards.nos(["core:5", "loan:7", "loan:8"])
    deliver(engine, digests, record("loan", "8", "王五一", id=ID_C, day=2))
    assert stewards.no("loan:8") == number
    deliver(engine, digests, record("loan", "7", "李四光", id=ID_B, day=9))
    assert stewards.nos(["loan:7", "loan:8"]) == [first, own]
    about = [(named(engine, digests, row), {row.customer_lo, row.customer_hi}) for row in asked(engine, "MOVED")]
    assert about == [({"loan:7"}, {first}), ({"loan:8"}, {first, own})]


def test_a_second_move_between_the_two_rebuilds_the_review(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("ebank", "1", "张三丰", id=ID_A))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    first = only(engine, "MOVED").id
    deliver(engine, digests, record("ebank", "1", "李四光", id=ID_B, day=9))
    row = only(engine, "MOVED")
    assert row.id == first and named(engine, digests, row) == {"card:1", "ebank:1"}
    deliver(engine, digests, record("ebank", "1", "张三丰", id=ID_A, day=10))
    assert named(engine, digests, only(engine, "MOVED")) == {"card:1"}
    assert told(engine, first) == ["REBUILT", "REBUILT"]


def test_new_data_of_either_customer_rebuilds_it(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    before = only(engine, "MOVED")
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone="13900009999", day=10))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, phone="13900009999", day=11))
    row = only(engine, "MOVED")
    phones = {i["level"] for i in json.loads(row.evidence)["pairs"][0]["items"] if i["field"] == "phone"}
    assert row.id == before.id and row.version > before.version and phones <= {"EQUAL", "PARTIAL"}


def test_a_move_that_is_taken_back_is_no_question(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    no = stewards.no("core:1")
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    review = only(engine, "MOVED").id
    deliver(engine, digests, replace(A2, business_time=DAY_12))
    assert stewards.no("card:1") == no and asked(engine, "MOVED") == []
    assert outcome(engine, review) == "OUTDATED"


def test_a_move_that_was_right_is_asked_about_again_when_it_is_taken_back(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    first = only(engine, "MOVED").id
    assert keep(stewards, first).outcome == "SAME"
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone="13900009999", day=10))
    assert asked(engine, "MOVED") == []
    deliver(engine, digests, replace(A2, business_time=DAY_12))
    assert only(engine, "MOVED").id != first


def test_a_move_on_ends_the_question_and_asks_another(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("loan", "3", "王五一", id=ID_C), record("loan", "4", "李四光", id=ID_B))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    first = only(engine, "MOVED").id
    deliver(engine, digests, record("card", "1", "王五一", id=ID_C, day=10))
    (moved,) = seen(engine, digests, only(engine, "MOVED")).evidence["records"]
    assert outcome(engine, first) == "OUTDATED"
    assert (moved["from"], moved["to"]) == (stewards.no("loan:4"), stewards.no("loan:3"))


@pytest.mark.parametrize("end", ["core:1", "core:3"], ids=["whom it left", "whom it came to"])
def test_a_move_is_asked_of_the_survivor_and_out_of_him_again(
    engine: Engine, digests: KeyDigests, stewards: Stewards, end: str
) -> None:
    """Either customer is merged by stewards who need not have seen the question, and parted again."""
    deliver(engine, digests, record("core", "3", "李四光", id=ID_B), record("core", "7", "钱七八", phone="13911117777"))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    before = only(engine, "MOVED")
    merge = stewards.merge(end, "core:7", survivor="core:7")
    row = only(engine, "MOVED")
    assert outcome(engine, before.id) == "OUTDATED" and named(engine, digests, row) == {"card:1"}
    assert (row.customer_lo, row.customer_hi) == tuple(sorted(stewards.nos(["core:1", "core:3"])))
    assert stewards.no("core:7") in (row.customer_lo, row.customer_hi) and row.rule == "P-N1"
    assert pair("core:7", "card:1") in compared(engine, digests, row)
    stewards.run(rebuild)
    assert only(engine, "MOVED") == row
    stewards.reverse(merge)
    again = only(engine, "MOVED")
    assert (again.customer_lo, again.customer_hi) == (before.customer_lo, before.customer_hi)
    assert set(compared(engine, digests, again)) == {pair("core:1", "card:1"), pair("core:3", "card:1")}
    assert json.loads(again.evidence)["records"] == json.loads(before.evidence)["records"]


def test_both_ends_of_a_move_are_merged_at_one_time(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """The second waits for the first, who keeps whom the question has led to; so neither asks of a number that is no more."""
    deliver(engine, digests, record("core", "3", "李四光", id=ID_B), record("core", "7", "钱七八", phone="13911117777"))
    deliver(engine, digests, record("core", "8", "孙八九", phone="13911118888"))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    one = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:7"]), stewards.no("core:7"), reason="同一人")
    other = stewards.run(merges.ask_merge, stewards.nos(["core:3", "core:8"]), stewards.no("core:8"), reason="同一人")
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as session:
            approvals.approve(session, stewards.context("checker"), one.id)
            later = pool.submit(stewards.approve, other)
            assert not wait([later], timeout=0.3).done
        later.result()
    row = only(engine, "MOVED")
    assert (row.customer_lo, row.customer_hi) == tuple(sorted(stewards.nos(["core:7", "core:8"])))
    assert broken(engine) == []


def test_a_move_between_two_who_are_one_is_no_question(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("core", "3", "李四光", id=ID_B))
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    review = only(engine, "MOVED").id
    stewards.merge("core:1", "core:3", evidence="证明")
    assert asked(engine, "MOVED") == [] and outcome(engine, review) == "OUTDATED"


def test_who_turned_into_another_is_asked_about_under_the_survivor_too(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("core", "5", "王五一", id=ID_C))
    number = stewards.no("core:5")
    deliver(engine, digests, record("core", "5", "张三丰", id=ID_A, day=9))
    stewards.merge("core:1", "core:2", survivor="core:2")
    row = only(engine, "MOVED")
    assert row.customer_lo == row.customer_hi == stewards.no("core:2") == stewards.no("core:5")
    stewards.split("core:2", "core:5")
    assert stewards.no("core:5") == number and asked(engine, "MOVED") == []


def test_a_customer_who_turns_into_another_is_not_merged_in_silence(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """core:5 was the only record of its number, which is retired with the move."""
    deliver(engine, digests, record("core", "5", "王五一", id=ID_C))
    number = stewards.no("core:5")
    deliver(engine, digests, record("core", "5", "张三丰", id=ID_A, day=9))
    to, row = stewards.no("core:1"), only(engine, "MOVED")
    assert stewards.no("core:5") == to and (row.customer_lo, row.customer_hi) == (to, to)
    (moved,) = seen(engine, digests, row).evidence["records"]
    assert (moved["from"], moved["to"]) == (number, to) and row.rule == "P-ID"
    assert set(compared(engine, digests, row)) == {pair("core:5", "core:1"), pair("core:5", "card:1")}
    stewards.run(rebuild)
    assert only(engine, "MOVED") == row
    deliver(engine, digests, record("core", "5", "王五一", id=ID_C, day=10))
    assert stewards.no("core:5") == number and asked(engine, "MOVED") == []
    assert outcome(engine, row.id) == "OUTDATED"


def test_who_says_more_of_himself_is_merged_like_any_other(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("core", "5", "张三丰", phone="13900005555"))
    deliver(engine, digests, record("core", "5", "张三丰", phone="13900005555", id=ID_A, day=9))
    assert stewards.no("core:5") == stewards.no("core:1") and asked(engine, "MOVED") == []


def test_a_rebuild_leaves_them_as_they_are(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, STRANGER)
    deliver(engine, digests, record("ebank", "7", "王五一", id=ID_C), record("ebank", "8", "王五一", id=ID_C))
    deliver(engine, digests, record("ebank", "8", "赵六七", id=citizen(8), day=9))
    before = asked(engine, "MISFIT", "MOVED")
    assert len(before) == 2
    stewards.run(rebuild, chunk=1)
    assert asked(engine, "MISFIT", "MOVED") == before


# Many records


def test_of_many_records_that_moved_only_so_many_pairs_are_compared(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """Each with some on either side: 70 who are alike are seen beside one of the 30 whom they left."""
    many = [record("ebank", f"{n:02d}", "王五一", id=ID_C) for n in range(100)]
    deliver(engine, digests, *many)
    deliver(engine, digests, *(record("ebank", f"{n:02d}", "李四光", id=ID_B, day=9) for n in range(70)))
    row = only(engine, "MOVED")
    evidence = json.loads(row.evidence)
    assert len(evidence["records"]) == 70 and row.rule == "P-N1"
    assert 70 < len(evidence["pairs"]) + evidence["more"] <= COMPARED_MAX < 70 * 30 + 70 * 69 // 2


def test_of_many_records_in_question_the_first_are_shown(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """All of them are known: of the others, one that goes back is no longer counted."""
    many = [f"{n:03d}" for n in range(RECORDS_MAX + 5)]
    deliver(engine, digests, *(record("ebank", key, "王五一", id=ID_C) for key in many))
    deliver(engine, digests, *(record("ebank", key, "李四光", id=ID_B, day=9) for key in many[2:]))

    def shown() -> tuple[list[str], int]:
        view = whole_view(seen(engine, digests, only(engine, "MOVED")), DAY_12, ())
        return [told["key"] for told in view["records"]], view["more_records"]

    assert shown() == (many[2 : RECORDS_MAX + 2], 3)
    deliver(engine, digests, record("ebank", many[-1], "王五一", id=ID_C, day=10))
    assert shown() == (many[2 : RECORDS_MAX + 2], 2)


def test_of_many_misfits_each_is_found_and_only_so_many_pairs_are_compared(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """70 of a customer's records turn into as many people."""
    many = [f"ebank:{n:02d}" for n in range(70)]
    deliver(engine, digests, *(record(*name(key), same_as=(("core", "2"),)) for key in many))
    stewards.merge("core:1", "core:2")
    turned = enumerate(many, 400)
    deliver(engine, digests, *(record(*name(key), "王五一", id=citizen(n), day=9) for n, key in turned))
    row = only(engine, "MISFIT")
    evidence = json.loads(row.evidence)
    assert named(engine, digests, row) == set(many) and row.rule == "P-N1"
    assert 70 < len(evidence["pairs"]) + evidence["more"] <= COMPARED_MAX < 70 * 69 // 2


# Doubts about whom a placed record leads to


def test_a_doubt_is_over_when_another_record_bears_the_first_out(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """core:2 turned into loan:9's; then the record that it was tied to did so too."""
    stewards.split("core:1", "card:1")
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("loan", "9", "李四光", id=ID_B))
    deliver(engine, digests, STRANGER)
    assert len(asked(engine, "MISFIT")) == 1
    deliver(engine, digests, record("core", "1", "李四光", id=ID_B, day=10))
    assert stewards.no("loan:9") == stewards.no("core:2") == stewards.no("core:1")
    before = derived(engine)
    stewards.run(rebuild)
    assert asked(engine, "MISFIT") == [] and derived(engine) == before


@pytest.mark.parametrize("number", [ID_B, ""])
def test_who_came_by_a_record_that_is_doubted_later_is_asked_about(
    engine: Engine, digests: KeyDigests, stewards: Stewards, number: str
) -> None:
    stewards.split("core:1", "card:1")
    stewards.merge("core:1", "core:2")
    told = {"phone": "13911115555", "male": True}
    deliver(engine, digests, record("core", "1", "李四光", id=ID_B, day=9))
    deliver(engine, digests, record("core", "2", "李四光", id=ID_B, day=9, **told))
    deliver(engine, digests, record("loan", "9", "李四光", id=number, born=STRANGER_BORN, **told))
    assert stewards.no("loan:9") == stewards.no("core:2")
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, day=10))
    assert stewards.no("loan:9") != stewards.no("core:2") and len(asked(engine, "PAIR")) == 1
    before = derived(engine)
    stewards.run(rebuild)
    assert derived(engine) == before
