"""The review queue through the services: every decision, two stewards on one review, what new data does, bulk and its undo."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from people import citizen, deliver, parties, record, scalar
from promises import STANDING, broken
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from stewards import Stewards

from ecif.db import run_transaction, transaction
from ecif.domain.judgements import Verdict
from ecif.domain.records import Account, AccountStatus, RecordStatus
from ecif.domain.review_policy import RECOMMENDED, STATE_OF, ReviewDecision, risk_class
from ecif.matching.rules import RULES
from ecif.matching.types import Outcome
from ecif.services import (
    approvals,
    judgements,
    judging,
    linking,
    merges,
    operations,
    review_bulk,
    review_decisions,
    review_queue,
)
from ecif.services.context import KeyDigests
from ecif.services.merges import MergeBlocked
from ecif.services.outcomes import OperationStale
from ecif.services.rebuild import rebuild
from ecif.services.review_bulk import BulkChanged, BulkNotUndoable, BulkUndone, Result
from ecif.services.review_decisions import (
    DecisionUnfit,
    ReviewChanged,
    ReviewClaimed,
    ReviewClosed,
    ReviewWaits,
)
from ecif.services.review_queue import Filter, Place, ReviewNotFound, Sort

D = ReviewDecision


def doubtful(n: int, **more: Any) -> list[Any]:
    """Two records of one number under two names: a question."""
    number = citizen(n, "19850505", "441099")
    return [
        record("core", f"a{n}", f"赵{chr(0x4E00 + n)}甲", id=number, **more),
        record("card", f"b{n}", f"钱{chr(0x4E00 + n)}乙", id=number, **more),
    ]


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    deliver(engine, digests, *doubtful(1))
    return Stewards(engine, digests)


def reviews(engine: Engine, where: str = "closed_at IS NULL") -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(f"SELECT * FROM merge_review WHERE {where} ORDER BY id")))


def only(engine: Engine, where: str = "true") -> Any:
    (row,) = reviews(engine, where)
    return row


def actions(engine: Engine, review: int) -> list[str]:
    return [action for action, *_ in told(engine, review)]


def told(engine: Engine, review: int) -> list[tuple[str, str, str]]:
    """The history: what was done, by whom, and what was said of it."""
    with transaction(engine) as session:
        return [(entry.action, entry.person, entry.text) for entry in review_queue.history(session, review)]


def said(engine: Engine) -> list[tuple[str, str, str]]:
    """What stands, by the names of both records."""
    with engine.connect() as connection:
        return sorted((lo, hi, verdict) for lo, hi, verdict, *_ in connection.execute(text(STANDING)))


def decide(stewards: Stewards, review: int, decision: D, person: str = "maker", **more: Any) -> Any:
    return stewards.run(review_decisions.decide, review, decision, reason="核实", person=person, **more)


def approve(stewards: Stewards, operation: int) -> Any:
    return stewards.run(approvals.approve, operation, person="checker")


# Decisions


@pytest.mark.parametrize("decision", [D.SAME, D.RENAME, D.TYPO_FIX])
def test_a_merge_is_asked_for_and_the_review_closes_when_it_is_approved(
    engine: Engine, stewards: Stewards, decision: D
) -> None:
    review, version = only(engine).id, only(engine).version
    row = decide(stewards, review, decision, evidence="更名证明")
    assert (row.state, row.closed_at, len(parties(engine))) == ("WAITING", None, 2)
    assert row.version == version + 1
    assert approve(stewards, row.operation_id).evidence == "更名证明"
    row = only(engine)
    assert (row.state, row.outcome) == ("CLOSED", decision.value) and row.closed_at
    assert len(parties(engine)) == 1
    assert actions(engine, review) == [decision.value, "APPROVED"]


@pytest.mark.parametrize("end", [approvals.approve, approvals.reject])
def test_what_the_second_person_remarks_is_in_the_history(engine: Engine, stewards: Stewards, end: Any) -> None:
    review = only(engine).id
    stewards.run(end, decide(stewards, review, D.SAME).operation_id, note="已核原件", person="checker")
    assert told(engine, review)[-1][1:] == ("checker", "已核原件")


@pytest.mark.parametrize(
    ("act", "person", "action"), [(approvals.reject, "checker", "REJECTED"), (approvals.withdraw, "maker", "WITHDRAWN")]
)
def test_a_merge_that_is_turned_down_or_taken_back_gives_the_review_back(
    engine: Engine, stewards: Stewards, act: Any, person: str, action: str
) -> None:
    review = only(engine).id
    row = decide(stewards, review, D.SAME)
    assert stewards.run(review_decisions.claim, review).state == "WAITING"
    with pytest.raises(ReviewWaits) as waits:
        decide(stewards, review, D.NOT_SAME)
    assert waits.value.operation == row.operation_id
    stewards.run(act, row.operation_id, note="证据不足", person=person)
    row = only(engine)
    assert (row.state, row.outcome, row.operation_id) == ("OPEN", None, None)
    assert actions(engine, review) == ["SAME", "CLAIMED", action]
    decide(stewards, review, D.NOT_SAME)


@pytest.mark.parametrize("changed", [False, True], ids=["other evidence", "new data"])
def test_a_review_waits_for_the_merge_that_is_asked_for_in_place_of_its_own(
    engine: Engine, digests: KeyDigests, stewards: Stewards, changed: bool
) -> None:
    waiting = decide(stewards, only(engine).id, D.RENAME)
    if changed:
        deliver(engine, digests, record("card", "b1", "钱改名", id=citizen(1, "19850505", "441099"), day=2))
    nos, evidence = stewards.nos(("core:a1", "card:b1")), "" if changed else "户籍证明"
    anew = stewards.run(merges.ask_merge, nos, reason="更名", evidence=evidence, person="other")
    why = operations.OUTDATED if changed else operations.REPLACED
    old = stewards.run(lambda session, _: operations.get(session, waiting.operation_id))
    assert (old.status, old.checker, old.note) == ("REJECTED", None, why)
    assert (only(engine).state, only(engine).operation_id) == ("WAITING", anew.id)
    assert told(engine, waiting.id)[-1] == ("REPLACED", "other", why)
    stewards.approve(anew)
    assert only(engine).outcome == "RENAME" and actions(engine, waiting.id)[-1] == "APPROVED"


@pytest.mark.parametrize("decision", [D.SAME, D.NOT_SAME, D.NEED_INFO, D.ESCALATE])
def test_a_review_waits_no_longer_for_what_cannot_be_approved_any_more(
    engine: Engine, digests: KeyDigests, stewards: Stewards, decision: D
) -> None:
    waiting = decide(stewards, only(engine).id, D.RENAME)
    deliver(engine, digests, record("loan", "c1", f"赵{chr(0x4E01)}甲", id=citizen(1, "19850505", "441099"), day=3))
    with pytest.raises(OperationStale):
        approve(stewards, waiting.operation_id)
    row = only(engine)
    with pytest.raises(ReviewChanged):
        decide(stewards, row.id, decision, person="other", expected=row.version - 1)
    decided = decide(stewards, row.id, decision, person="other", expected=row.version)
    assert decided.state == {D.SAME: "WAITING", D.NOT_SAME: "CLOSED"}.get(decision, STATE_OF.get(decision))
    assert (decided.operation_id is None) == (decision is not D.SAME)
    assert actions(engine, row.id) == ["RENAME", "REBUILT", "OUTDATED", decision.value]
    old = stewards.run(lambda session, _: operations.get(session, waiting.operation_id))
    assert (old.status, old.checker, old.note) == ("REJECTED", None, operations.STALE)
    if decision is D.SAME:
        approve(stewards, decided.operation_id)
        assert len(parties(engine)) == 1


@pytest.mark.parametrize("decision", [D.NEED_INFO, D.ESCALATE])
def test_a_review_comes_back_as_it_was(engine: Engine, stewards: Stewards, decision: D) -> None:
    state = decide(stewards, only(engine).id, decision).state
    for end, person in ((approvals.reject, "checker"), (approvals.withdraw, "maker")):
        waiting = decide(stewards, only(engine).id, D.SAME)
        stewards.run(end, waiting.operation_id, person=person)
        assert (only(engine).state, only(engine).operation_id) == (state, None)


def test_who_waited_for_new_data_need_wait_no_longer_when_a_merge_is_turned_down(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    decide(stewards, only(engine).id, D.NEED_INFO)
    waiting = decide(stewards, only(engine).id, D.SAME)
    deliver(engine, digests, *doubtful(1, phone="13700000001", day=2))
    stewards.run(approvals.reject, waiting.operation_id, person="checker")
    assert only(engine).state == "OPEN"


def test_the_merge_rules_hold_for_a_review_too(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *doubtful(1, status=RecordStatus.CLOSED))
    review = only(engine).id
    with pytest.raises(MergeBlocked) as blocked:
        decide(stewards, review, D.SAME)
    assert [finding.rule for finding in blocked.value.findings] == ["CLOSED"]
    assert (only(engine).state, actions(engine, review)) == ("OPEN", [])
    assert decide(stewards, review, D.SAME, override=["CLOSED"]).state == "WAITING"


def test_not_the_same_holds_at_once_and_never_comes_back(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    review, version = only(engine).id, only(engine).version
    row = decide(stewards, review, D.NOT_SAME)
    assert (row.state, row.outcome, row.version) == ("CLOSED", "NOT_SAME", version + 1)
    assert len(parties(engine)) == 2
    a, b = doubtful(1, phone="13700000001")
    deliver(engine, digests, a, b, record("loan", "c1", "赵丁甲", id=citizen(1, "19850505", "441099")))
    both = {stewards.no("core:a1"), stewards.no("card:b1")}
    assert not [r for r in reviews(engine) if {r.customer_lo, r.customer_hi} == both]
    with pytest.raises(ReviewClosed) as closed:
        decide(stewards, review, D.SAME)
    assert closed.value.outcome == "NOT_SAME"


def test_what_one_act_told_apart_is_taken_back_as_one(engine: Engine, digests: KeyDigests) -> None:
    """Of two customers whose records make many pairs; what was said of them otherwise, and of others, stays."""
    stewards, number = Stewards(engine, digests), citizen(1)
    deliver(engine, digests, *(record(s, f"{n}", "张三丰", id=number) for s in ("core", "loan") for n in range(2)))
    deliver(engine, digests, *(record("card", f"{n}", "赵六六", id=number) for n in range(3)))
    stewards.judge("core:1", "card:2", Verdict.NOT_SAME)
    decide(stewards, only(engine).id, D.NOT_SAME)
    asked = scalar(engine, "SELECT count(*) FROM judgement")
    assert asked > 6 and reviews(engine) == []
    stewards.judge("core:0", "card:0", Verdict.WITHDRAWN)
    with pytest.raises(MergeBlocked) as blocked:
        stewards.run(merges.ask_merge, stewards.nos(["core:0", "card:0"]), reason="x")
    assert [found.data["pairs"] for found in blocked.value.findings] == [[["core:1", "card:2"]]]
    stewards.judge("core:1", "card:2", Verdict.WITHDRAWN)
    assert len(reviews(engine)) == 1, "it is a question again"
    stewards.merge("core:0", "card:0")


def test_a_customers_later_records_open_no_new_question_about_those_judged_apart(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    decide(stewards, only(engine).id, D.NOT_SAME)
    deliver(engine, digests, record("loan", "a2", f"赵{chr(0x4E01)}甲", id=citizen(1, "19850505", "441099")))
    assert stewards.no("loan:a2") == stewards.no("core:a1")
    assert reviews(engine) == []
    stewards.judge("core:a1", "card:b1", Verdict.WITHDRAWN)
    assert len(reviews(engine)) == 1, "the judgement was withdrawn: it is a question again"


def test_those_judged_apart_stay_so_when_their_customer_is_parted(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """What is said of two customers is said of each pair of records that asked, whichever of the two is the older one."""
    deliver(engine, digests, record("loan", "a2", f"赵{chr(0x4E01)}甲", id=citizen(1, "19850505", "441099")))
    decide(stewards, only(engine).id, D.NOT_SAME)
    stewards.judge("core:a1", "loan:a2", Verdict.NOT_SAME)
    assert len(parties(engine)) == 3 and reviews(engine) == []


def test_those_judged_apart_are_not_asked_about_for_another_of_their_records(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """The number was issued for a record that says nothing of what the two have in common."""
    deliver(engine, digests, record("loan", "x", "赵不同"))
    stewards.merge("loan:x", "core:a1", survivor="loan:x")
    decide(stewards, only(engine, "closed_at IS NULL").id, D.NOT_SAME)
    deliver(engine, digests, record("loan", "a2", f"赵{chr(0x4E01)}甲", id=citizen(1, "19850505", "441099")))
    assert stewards.no("loan:a2") == stewards.no("loan:x") and reviews(engine) == []


@pytest.mark.parametrize(("decision", "state"), [(D.NEED_INFO, "NEED_INFO"), (D.ESCALATE, "ESCALATED")])
def test_what_stays_open(engine: Engine, stewards: Stewards, decision: D, state: str) -> None:
    review = only(engine).id
    stewards.run(review_decisions.claim, review)
    row = decide(stewards, review, decision)
    assert (row.state, row.closed_at) == (state, None)
    assert row.claimed_by == (None if state == "ESCALATED" else "maker")
    assert actions(engine, review) == ["CLAIMED", decision.value]
    decide(stewards, review, D.NOT_SAME)
    with transaction(engine) as session:
        assert review_queue.history(session, review)[-1].state_before == state


def test_only_what_fits_its_kind(engine: Engine, stewards: Stewards) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE merge_review SET kind = 'MOVED'"))
    review = only(engine).id
    with pytest.raises(DecisionUnfit) as unfit:
        decide(stewards, review, D.NOT_SAME)
    assert unfit.value.allowed == ["ESCALATE", "NEED_INFO", "SAME"]
    assert decide(stewards, review, D.SAME).outcome == "SAME"
    assert len(parties(engine)) == 2


@pytest.mark.parametrize("decision", [D.SAME, D.NOT_SAME, D.NEED_INFO, D.ESCALATE])
def test_where_the_proof_is_kept_is_in_the_history(engine: Engine, stewards: Stewards, decision: D) -> None:
    review = only(engine).id
    decide(stewards, review, decision, evidence="公安证明77")
    with transaction(engine) as session:
        (entry,) = review_queue.history(session, review)
    assert (entry.action, entry.text, entry.evidence) == (decision.value, "核实", "公安证明77")
    logged = scalar(engine, "SELECT count(*) FROM change_log WHERE evidence = '公安证明77'")
    assert logged == (decision is D.NOT_SAME), "what changes something is logged with its proof"


# Stewards


def test_one_steward_at_a_time(engine: Engine, stewards: Stewards) -> None:
    review = only(engine).id
    free = stewards.run(review_decisions.release, review)
    assert (free.version, free.claimed_by, actions(engine, review)) == (only(engine).version, None, [])
    first = stewards.run(review_decisions.claim, review).claimed_at
    row = stewards.run(review_decisions.claim, review)
    assert row.claimed_at > first, "it lasts longer"
    for work in (review_decisions.claim, review_decisions.release):
        with pytest.raises(ReviewClaimed) as claimed:
            stewards.run(work, review, person="other")
        assert claimed.value.by == "maker" and claimed.value.since == row.claimed_at
    with pytest.raises(ReviewClaimed):
        decide(stewards, review, D.NOT_SAME, person="other")
    stewards.run(review_decisions.comment, review, "请先核实", person="other")
    stewards.run(review_decisions.release, review)
    assert stewards.run(review_decisions.claim, review, person="other").claimed_by == "other"
    assert actions(engine, review) == ["CLAIMED", "CLAIMED", "COMMENT", "RELEASED", "CLAIMED"]


def test_a_claim_does_not_last_for_ever(engine: Engine, stewards: Stewards) -> None:
    review = only(engine).id
    stewards.run(review_decisions.claim, review)
    with engine.begin() as connection:
        connection.execute(text("UPDATE merge_review SET claimed_at = claimed_at - interval '9 hours'"))
    assert page(engine, Sort.OLDEST, Place(stewards.context().now), 9, claimed_by="maker").reviews == []
    assert stewards.run(review_decisions.claim, review, person="other").claimed_by == "other"


def test_who_saw_another_version_is_told(engine: Engine, stewards: Stewards) -> None:
    row = only(engine)
    stewards.run(review_decisions.claim, row.id, expected=row.version)
    with pytest.raises(ReviewChanged) as changed:
        decide(stewards, row.id, D.NOT_SAME, expected=row.version)
    assert changed.value.version == row.version + 1
    with pytest.raises(ReviewNotFound):
        stewards.run(review_decisions.claim, 404)


def merged_meanwhile(stewards: Stewards, monkeypatch: pytest.MonkeyPatch) -> None:
    """The customers of the next decision are merged before it has locked them."""

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.undo()
        stewards.merge("core:a1", "card:b1")
        return review_decisions.lock(*arguments)

    monkeypatch.setattr(review_decisions, "lock", meanwhile)


def test_who_decides_of_customers_that_are_merged_just_now_is_told(
    engine: Engine, stewards: Stewards, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = only(engine)
    merged_meanwhile(stewards, monkeypatch)
    with pytest.raises(ReviewChanged) as changed:
        decide(stewards, row.id, D.NOT_SAME)
    assert (changed.value.version, changed.value.state) == (only(engine).version, "CLOSED")


@pytest.mark.parametrize(
    ("decision", "kind"), [(D.SAME, "PAIR"), (D.NOT_SAME, "PAIR"), (D.ESCALATE, "PAIR"), (D.SAME, "MOVED")]
)
def test_of_stewards_who_decide_at_once_one_wins(engine: Engine, stewards: Stewards, decision: D, kind: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE merge_review SET kind = '{kind}'"))
    row = only(engine)

    def attempt(n: int) -> str:
        try:
            decide(stewards, row.id, decision, person=f"steward{n}", expected=row.version)
            return "decided"
        except (ReviewChanged, ReviewClosed, ReviewWaits) as refused:
            return type(refused).__name__

    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(attempt, range(6)))
    assert told.count("decided") == 1
    assert len(actions(engine, row.id)) == 1


def test_of_stewards_who_claim_at_once_one_wins(engine: Engine, stewards: Stewards) -> None:
    review = only(engine).id

    def attempt(n: int) -> bool:
        try:
            stewards.run(review_decisions.claim, review, person=f"steward{n}")
            return True
        except ReviewClaimed:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1
    assert actions(engine, review) == ["CLAIMED"]


def test_decisions_race_with_new_data(engine: Engine, digests: KeyDigests) -> None:
    """Customers are locked before reviews by both, so that neither waits for the other for ever."""
    size = 12
    deliver(engine, digests, *(r for n in range(1, size + 1) for r in doubtful(n)))
    stewards = Stewards(engine, digests)
    ids = [row.id for row in reviews(engine)]

    def arrive(n: int) -> None:
        deliver(engine, digests, *doubtful(n, phone=f"1370000{n:04d}", day=2))

    def settle(review: int) -> None:
        decide(stewards, review, D.NOT_SAME if review % 2 else D.SAME)

    with ThreadPoolExecutor(6) as pool:
        done = [f for n, review in enumerate(ids, 1) for f in (pool.submit(arrive, n), pool.submit(settle, review))]
        for future in done:
            future.result()
    assert {row.state for row in reviews(engine, "true")} == {"CLOSED", "WAITING"}


@pytest.mark.parametrize("parted", [False, True], ids=["joined", "parted"])
def test_who_is_told_apart_from_others_is_asked_about_as_they_are_when_all_is_done(
    engine: Engine, digests: KeyDigests, monkeypatch: pytest.MonkeyPatch, parted: bool
) -> None:
    """core:3 is not core:2, and comes with the number of core:1, which is joined with core:2 meanwhile, or parted from it."""
    stewards, store = Stewards(engine, digests), linking.store_pairs
    people = [("1", "张三丰"), ("2", "王五一"), ("3", "李四光")]
    deliver(engine, digests, *(record("core", key, who, phone=f"1391111000{key}") for key, who in people))
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1), day=2))
    stewards.judge("core:3", "core:2", Verdict.NOT_SAME)
    merge = stewards.merge("core:1", "core:2") if parted else None
    acts: list[Future[object]] = []
    with ThreadPoolExecutor(1) as pool:

        def meanwhile(*arguments: Any) -> None:
            if not acts:
                acts.append(
                    pool.submit(stewards.reverse, merge) if merge else pool.submit(stewards.merge, "core:1", "core:2")
                )
                wait(acts, timeout=1)
            store(*arguments)

        monkeypatch.setattr(linking, "store_pairs", meanwhile)
        deliver(engine, digests, record("core", "3", "李四光", id=citizen(1), day=9))
        monkeypatch.undo()
    acts[0].result()
    asked = [{row.customer_lo, row.customer_hi} for row in reviews(engine)]
    assert asked == ([{stewards.no("core:1"), stewards.no("core:3")}] if parted else [])
    stewards.run(rebuild)
    assert [{row.customer_lo, row.customer_hi} for row in reviews(engine)] == asked


# New data


def test_new_data_rebuilds_a_review_and_never_doubles_it(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    before = only(engine)
    stewards.run(review_decisions.claim, before.id)
    decide(stewards, before.id, D.NEED_INFO)
    a, b = doubtful(1, phone="13700000001", day=2)
    deliver(engine, digests, a)
    deliver(engine, digests, b)
    after = only(engine)
    assert (after.id, after.claimed_by, after.state) == (before.id, "maker", "OPEN"), "what it waited for may be there"
    assert after.version > before.version + 2
    assert "REBUILT" in actions(engine, before.id)
    version = after.version
    deliver(engine, digests, b)
    assert only(engine).version == version


def test_a_rebuild_leaves_reviews_as_they_are(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """Also those whose pair is decided late: of records that come after others of their customers."""
    number = citizen(2, "19850505", "441099")
    deliver(engine, digests, record("loan", "a9", "孙别甲", phone="13700000009"))
    deliver(engine, digests, record("core", "a9", "孙别甲", id=number), record("card", "b9", "李别乙", id=number))
    stewards.merge("loan:a9", "core:a9")
    for row in reviews(engine):
        stewards.run(review_decisions.claim, row.id)
    before = reviews(engine, "true")
    assert len(before) == 2
    stewards.run(rebuild, chunk=1)
    assert reviews(engine, "true") == before


def test_what_was_decided_is_found_under_every_number_that_the_customers_had(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    decide(stewards, only(engine).id, D.NOT_SAME)
    review = only(engine)
    deliver(engine, digests, record("loan", "x", "郑又新"))
    stewards.merge("loan:x", "card:b1", survivor="loan:x")
    for no in (review.customer_lo, review.customer_hi, stewards.no("loan:x")):
        wanted = Filter(state="CLOSED", customer=no)
        page = stewards.run(lambda s, c, w=wanted: review_queue.listing(s, w, Sort.NEWEST, Place(c.now)))
        assert [row.id for row in page.reviews] == [review.id]


def test_what_is_settled_elsewhere_is_outdated(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    review = only(engine).id
    stewards.judge("core:a1", "card:b1", Verdict.NOT_SAME)
    assert (only(engine).outcome, actions(engine, review)) == ("OUTDATED", ["OUTDATED"])


def test_a_merge_that_was_asked_for_elsewhere_makes_it_outdated(engine: Engine, stewards: Stewards) -> None:
    decide(stewards, only(engine).id, D.SAME)
    stewards.merge("core:a1", "card:b1", survivor="card:b1")
    assert only(engine).outcome == "OUTDATED"


def test_money_and_risk_make_a_class(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    assert only(engine).risk == risk_class(["BASE", "SAME_NUMBER"])
    held = (Account("6217000000005678", "SAVINGS", AccountStatus.NORMAL, None),)
    version = only(engine).version
    deliver(engine, digests, *doubtful(1, accounts=held, day=3))
    row = only(engine)
    assert row.risk == risk_class(["BASE", "SAME_NUMBER", "BOTH_HOLD_ACCOUNTS"]) and row.version > version


def test_every_rule_that_asks_recommends_something() -> None:
    assert set(RECOMMENDED) == {rule.id for rule in RULES if rule.outcome is Outcome.REVIEW}


# The queue


def test_a_review_tells_all_that_is_known(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    row = only(engine)
    with transaction(engine) as session:
        review = review_queue.get(session, digests, row.id)
    (pair,) = review.evidence["pairs"]
    assert (pair["rule"], pair["level"], review.row.policy_version) == ("P-ID-NAME", "M2", row.policy_version)
    assert {i["field"]: i["level"] for i in pair["items"]}["identifier"] == "EQUAL"
    assert set(review.names.values()) == {("core", "a1"), ("card", "b1")}
    assert set(review.golden) == {row.customer_lo, row.customer_hi}
    assert review.bearers == dict.fromkeys(review.golden, 1)


def page(engine: Engine, sort: Sort, place: Place, limit: int, **wanted: Any) -> review_queue.Listed:
    with transaction(engine) as session:
        return review_queue.listing(session, Filter(**wanted), sort, place, limit=limit)


def walk(engine: Engine, sort: Sort, as_of: Any, limit: int, between: Any = None, **wanted: Any) -> list[int]:
    place: Place | None = Place(as_of)
    seen: list[int] = []
    while place:
        found = page(engine, sort, Place.of(str(place)), limit, **wanted)
        seen += [row.id for row in found.reviews]
        assert len(seen) == len(set(seen)), "a page goes on after the one before"
        place = found.next
        if between:
            between()
    return seen


@pytest.fixture
def queue(engine: Engine, digests: KeyDigests) -> Stewards:
    """Forty reviews of four risk classes; some were opened at the same moment."""
    deliver(engine, digests, *(r for n in range(1, 41) for r in doubtful(n)))
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE merge_review SET risk = 1 + id % 4, opened_at = opened_at - (id % 7) * interval '1 day'"
                " - (id % 3) * interval '1 hour'"
            )
        )
    return Stewards(engine, digests)


ORDERS = {
    Sort.PRIORITY: "risk * (CAST(:now AS timestamptz) - opened_at) DESC, id",
    Sort.OLDEST: "opened_at, id",
    Sort.NEWEST: "opened_at DESC, id DESC",
}


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_queue_has_an_order(engine: Engine, queue: Stewards, sort: Sort, limit: int) -> None:
    now = queue.context().now
    with engine.connect() as connection:
        wanted = connection.execute(text(f"SELECT id FROM merge_review ORDER BY {ORDERS[sort]}"), {"now": now})
        expected = [row.id for row in wanted]
    assert walk(engine, sort, now, limit) == expected
    assert page(engine, sort, Place(now), len(expected)).next is None


@pytest.mark.parametrize("sort", Sort)
def test_a_page_goes_on_where_it_was_while_the_queue_changes(engine: Engine, queue: Stewards, sort: Sort) -> None:
    before = {row.id for row in reviews(engine)}
    numbers = iter(range(100, 200))

    def arrive() -> None:
        deliver(engine, queue.digests, *doubtful(next(numbers)), now=queue.context().now)
        left = [row.id for row in reviews(engine) if row.id in before]
        decide(queue, left[0], D.NOT_SAME)

    seen = walk(engine, sort, queue.context().now, 5, arrive)
    closed = {row.id for row in reviews(engine, "closed_at IS NOT NULL")}
    assert before - closed <= set(seen)
    assert sort is not Sort.PRIORITY or before >= set(seen), "who came later had no age then"


def test_who_comes_right_after_a_page_is_on_the_next(engine: Engine, digests: KeyDigests) -> None:
    """Of another class, to the microsecond."""
    deliver(engine, digests, *doubtful(1), *doubtful(2))
    low, high = (row.id for row in reviews(engine))
    now = Stewards(engine, digests).context().now
    with engine.begin() as connection:
        for review, risk, age in ((low, 2, 500), (high, 1, 1001)):
            opened = {"at": now - timedelta(microseconds=age), "id": review, "risk": risk}
            connection.execute(text("UPDATE merge_review SET opened_at = :at, risk = :risk WHERE id = :id"), opened)
    assert walk(engine, Sort.PRIORITY, now, 1) == [high, low]


@pytest.mark.parametrize("sort", Sort)
def test_closed_reviews_are_listed_by_the_time_they_were_closed(engine: Engine, queue: Stewards, sort: Sort) -> None:
    """The last first, unless the oldest are asked for; many were closed at one time."""
    for risk in (3, 2):
        bulk(queue, D.NOT_SAME, preview(queue, D.NOT_SAME, risk=risk).seen, risk=risk)
    way = "ASC" if sort is Sort.OLDEST else "DESC"
    closed = sorted(reviews(engine, "state = 'CLOSED'"), key=lambda row: (row.closed_at, row.id), reverse=way == "DESC")
    for limit in (1, 3, 100):
        assert walk(engine, sort, queue.context().now, limit, state="CLOSED") == [row.id for row in closed]
    assert walk(engine, sort, queue.context().now, 3, state="CLOSED", risk=2) == [r.id for r in closed if r.risk == 2]


def test_the_queue_is_filtered(engine: Engine, queue: Stewards) -> None:
    now, rows = queue.context().now, reviews(engine)
    queue.run(review_decisions.claim, rows[0].id)
    queue.run(review_decisions.claim, rows[4].id, person="other")
    decide(queue, rows[1].id, D.ESCALATE)
    decide(queue, rows[2].id, D.NOT_SAME)

    def found(**wanted: Any) -> list[int]:
        return walk(engine, Sort.OLDEST, now, 9, **wanted)

    assert found(claimed_by="maker") == [rows[0].id]
    assert found(state="ESCALATED") == [rows[1].id]
    assert found(state="CLOSED") == [rows[2].id] and len(found()) == 39
    assert found(customer=rows[3].customer_hi) == found(customer=rows[3].customer_lo) == [rows[3].id]
    assert sorted(found(risk=2)) == [row.id for row in reviews(engine) if row.risk == 2]
    assert found(level="M1") == found(rule="O-N4") == found(kind="MOVED") == []
    assert len(found(level="M2", rule="P-ID-NAME", kind="PAIR")) == 39


# Bulk


def preview(stewards: Stewards, decision: D, **wanted: Any) -> review_bulk.BulkPreview:
    found: review_bulk.BulkPreview = stewards.run(review_bulk.preview_bulk, Filter(**wanted), decision)
    return found


def bulk(stewards: Stewards, decision: D, seen: str, **wanted: Any) -> review_bulk.Bulk:
    done: review_bulk.Bulk = stewards.run(
        review_bulk.decide_bulk, Filter(**wanted), decision, reason="批量核实", seen=seen
    )
    return done


@pytest.mark.parametrize("decision", [D.NOT_SAME, D.NEED_INFO, D.ESCALATE])
def test_a_bulk_decision_and_its_undo(engine: Engine, queue: Stewards, decision: D) -> None:
    held, waiting, escalated, *_ = (row.id for row in reviews(engine, "risk = 2"))
    queue.run(review_decisions.claim, held, person="other")
    decide(queue, waiting, D.SAME)
    decide(queue, escalated, D.ESCALATE)
    before = {row.id: (row.state, row.evidence) for row in reviews(engine)}
    shown = preview(queue, decision, risk=2)
    assert (shown.results[held], shown.results[waiting]) == (Result.CLAIMED, Result.WAITS)
    done = bulk(queue, decision, shown.seen, risk=2)
    assert done.results == shown.results and len(shown.results) == 10
    decided = {n for n, result in done.results.items() if result is Result.DECIDED}
    changed = {row.id for row in reviews(engine, "true") if (row.state, row.evidence) != before[row.id]}
    assert decided - {escalated} == changed - {escalated} and len(decided) == 8
    versions = {row.id: row.version for row in reviews(engine, "true")}
    undone = queue.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
    assert {row.id for row in reviews(engine) if row.version > versions[row.id]} == decided
    assert scalar(engine, "SELECT undone_by FROM bulk_decision") == "other"
    assert set(undone.results) == decided and set(undone.results.values()) == {Result.REOPENED}
    assert {row.id: (row.state, row.evidence) for row in reviews(engine)} == before
    assert scalar(engine, "SELECT count(*) FROM party WHERE status = 'MERGED'") == 0
    with pytest.raises(BulkUndone):
        queue.run(review_bulk.undo_bulk, done.id, reason="有误")


def test_nothing_is_decided_that_nobody_has_seen(engine: Engine, queue: Stewards) -> None:
    shown = preview(queue, D.NOT_SAME, risk=2)
    with engine.begin() as connection:
        swapped = f"CASE WHEN id = {shown.reviews[0].id} THEN 3 ELSE 2 END"
        other = f"(SELECT min(id) FROM merge_review WHERE risk = 3), {shown.reviews[0].id}"
        connection.execute(text(f"UPDATE merge_review SET risk = {swapped} WHERE id IN ({other})"))
    with pytest.raises(BulkChanged):
        bulk(queue, D.NOT_SAME, shown.seen, risk=2)
    shown = preview(queue, D.NOT_SAME, risk=2)
    queue.run(review_decisions.claim, shown.reviews[0].id)
    with pytest.raises(BulkChanged):
        bulk(queue, D.NOT_SAME, shown.seen, risk=2)
    for decision in (D.SAME, D.RENAME):
        with pytest.raises(DecisionUnfit):
            preview(queue, decision)
    assert len(reviews(engine)) == 40


def test_what_was_decided_otherwise_since_is_not_undone(engine: Engine, queue: Stewards) -> None:
    shown = preview(queue, D.NEED_INFO, risk=3)
    done = bulk(queue, D.NEED_INFO, shown.seen, risk=3)
    other = shown.reviews[0].id
    decide(queue, other, D.ESCALATE)
    undone = queue.run(review_bulk.undo_bulk, done.id, reason="有误")
    assert [n for n, result in undone.results.items() if result is Result.CHANGED] == [other]
    assert only(engine, f"id = {other}").state == "ESCALATED"


def test_an_undo_leaves_what_others_had_said_before(engine: Engine, digests: KeyDigests) -> None:
    """core:1 and card:2 were told apart; the review is about core:1 and card:1, to whom card:2 belongs."""
    stewards, number = Stewards(engine, digests), citizen(1)
    deliver(engine, digests, record("core", "1", "张三丰", id=number, phone="13911112221"))
    deliver(engine, digests, record("card", "1", "", id=number, phone="13911112222"))
    deliver(engine, digests, record("card", "2", "张三丰", id=number, phone="13911112222"))
    stewards.judge("core:1", "card:2", Verdict.NOT_SAME)
    before, standing = parties(engine), said(engine)
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    assert len(said(engine)) > len(standing)
    undone = stewards.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
    assert set(undone.results.values()) == {Result.REOPENED}
    assert (said(engine), parties(engine)) == (standing, before)


def test_an_undo_leaves_undecided_what_was_undecided_before(engine: Engine, digests: KeyDigests) -> None:
    """loan:2 fits two who were told apart; that it is not the one's had made nobody take it for the other's."""
    stewards, who = Stewards(engine, digests), {"name": "张三丰", "id": citizen(1)}
    deliver(engine, digests, *(record("core", str(n), **who) for n in (0, 6)))
    stewards.split("core:0", "core:0")
    deliver(engine, digests, record("loan", "2", **who))
    ends = {*stewards.nos(("core:0", "loan:2"))}
    (first,) = (row.id for row in reviews(engine) if {row.customer_lo, row.customer_hi} == ends)
    decide(stewards, first, D.NOT_SAME)
    before, standing = parties(engine), said(engine)
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    undone = stewards.run(review_bulk.undo_bulk, done.id, reason="有误")
    assert set(undone.results.values()) == {Result.REOPENED}
    assert (said(engine), parties(engine)) == (standing, before)


SINCE = {
    "judged by himself": [("judge", Verdict.NOT_SAME)],
    "somebody else": [("turn", citizen(7))],
    "asked anew": [("judge", Verdict.WITHDRAWN)],
    "asked anew, then somebody else": [("judge", Verdict.WITHDRAWN), ("turn", citizen(7))],
}


@pytest.mark.parametrize("since", SINCE.values(), ids=SINCE)
def test_an_undo_opens_no_review_without_a_doubt(
    engine: Engine, digests: KeyDigests, stewards: Stewards, since: list[tuple[str, Any]]
) -> None:
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    for what, told in since:
        if what == "judge":
            stewards.judge("core:a1", "card:b1", told)
        else:
            deliver(engine, digests, record("card", "b1", "孙某某", id=told, day=5))
    asked = [row.id for row in reviews(engine)]
    undone = stewards.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
    assert set(undone.results.values()) == {Result.CHANGED}
    assert ([row.id for row in reviews(engine)], broken(engine)) == (asked, [])


def test_the_last_word_stays_though_an_undo_began_before_it(engine: Engine, stewards: Stewards) -> None:
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    context = stewards.context("judge")
    with ThreadPoolExecutor(1) as pool:

        def judge_meanwhile(session: Session) -> Future[Any]:
            names = ("core", "a1"), ("card", "b1")
            judging.judge(session, context, *names, Verdict.NOT_SAME, reason="亲自核实")
            undo = pool.submit(stewards.run, review_bulk.undo_bulk, done.id, reason="有误", person="other")
            wait([undo], timeout=1)
            return undo

        undone = run_transaction(engine, judge_meanwhile).result()
    assert set(undone.results.values()) == {Result.CHANGED}
    assert [verdict for *_, verdict in said(engine)] == ["NOT_SAME"] and not reviews(engine)


def test_an_undo_leaves_what_another_has_claimed_since(engine: Engine, queue: Stewards) -> None:
    shown = preview(queue, D.ESCALATE, risk=2)
    done = bulk(queue, D.ESCALATE, shown.seen, risk=2)
    taken, mine, *_ = shown.results
    queue.run(review_decisions.claim, taken, person="chief")
    queue.run(review_decisions.claim, mine, person="other")
    undone = queue.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
    assert [n for n, result in undone.results.items() if result is not Result.REOPENED] == [taken]
    assert undone.results[taken] is Result.CLAIMED
    assert [(row.id, row.claimed_by) for row in reviews(engine, "state = 'ESCALATED'")] == [(taken, "chief")]
    assert only(engine, f"id = {mine}").claimed_by == "other"


@pytest.mark.parametrize("decision", [D.NOT_SAME, D.NEED_INFO, D.ESCALATE])
def test_an_undo_gives_back_who_held_it(engine: Engine, stewards: Stewards, decision: D) -> None:
    stewards.run(review_decisions.claim, only(engine).id)
    before = only(engine)
    done = bulk(stewards, decision, preview(stewards, decision).seen)
    stewards.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
    after = only(engine)
    assert (after.state, after.claimed_by, after.claimed_at) == ("OPEN", before.claimed_by, before.claimed_at)
    done = bulk(stewards, decision, preview(stewards, decision).seen)
    if decision is D.NEED_INFO:
        stewards.run(review_decisions.release, after.id)
        stewards.run(review_bulk.undo_bulk, done.id, reason="有误", person="other")
        assert only(engine).claimed_by is None


def test_an_undo_of_nothing(engine: Engine, stewards: Stewards) -> None:
    stewards.run(review_decisions.claim, only(engine).id, person="other")
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    assert set(done.results.values()) == {Result.CLAIMED}
    assert stewards.run(review_bulk.undo_bulk, done.id, reason="有误").results == {}


def test_what_the_decision_does_not_fit_is_left_alone(engine: Engine, queue: Stewards) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE merge_review SET kind = 'MOVED' WHERE id = (SELECT min(id) FROM merge_review)"))
    unfit = reviews(engine)[0]
    done = bulk(queue, D.NOT_SAME, preview(queue, D.NOT_SAME, risk=unfit.risk).seen, risk=unfit.risk)
    assert [n for n, result in done.results.items() if result is Result.UNFIT] == [unfit.id]
    assert only(engine, f"id = {unfit.id}") == unfit


def test_what_changes_while_many_are_decided_stops_it(
    engine: Engine, stewards: Stewards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another steward claims one of them just now; or its customers are merged."""
    shown = preview(stewards, D.NOT_SAME)

    def meanwhile(session: Any, ids: Any) -> Any:
        monkeypatch.undo()
        stewards.run(review_decisions.claim, ids[0], person="other")
        return review_decisions.take_all(session, ids)

    monkeypatch.setattr(review_bulk, "take_all", meanwhile)
    with pytest.raises(BulkChanged):
        bulk(stewards, D.NOT_SAME, shown.seen)
    stewards.run(review_decisions.release, only(engine).id, person="other")
    shown = preview(stewards, D.NOT_SAME)
    merged_meanwhile(stewards, monkeypatch)
    with pytest.raises(BulkChanged):
        bulk(stewards, D.NOT_SAME, shown.seen)


def test_it_is_not_undone_where_that_would_move_records(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """The two have come to tell of one person since: who takes it back alone would merge them."""
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    ours, theirs = doubtful(1, day=3)
    deliver(engine, digests, replace(theirs, name=ours.name))
    nos = sorted(stewards.nos(["core:a1", "card:b1"]))
    with pytest.raises(BulkNotUndoable) as refused:
        stewards.run(review_bulk.undo_bulk, done.id, reason="有误")
    assert refused.value.customers == nos == sorted(stewards.nos(["core:a1", "card:b1"]))
    assert only(engine).outcome == "NOT_SAME"


def test_who_was_merged_or_is_asked_about_anew_since_is_not_asked_about_twice(
    engine: Engine, digests: KeyDigests
) -> None:
    deliver(engine, digests, *(r for n in range(1, 5) for r in doubtful(n)))
    deliver(engine, digests, record("loan", "x", "孙某某"), record("loan", "y", "周某某"))
    deliver(engine, digests, record("loan", "a1", f"赵{chr(0x4E01)}甲", id=citizen(1, "19850505", "441099")))
    stewards = Stewards(engine, digests)
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    stewards.judge("core:a1", "card:b1", Verdict.WITHDRAWN)
    stewards.merge("core:a2", "loan:x", survivor="loan:x")
    stewards.merge("card:b3", "loan:y", survivor="loan:y")
    undone = stewards.run(review_bulk.undo_bulk, done.id, reason="有误")
    assert list(undone.results.values()) == [Result.CHANGED] * 3 + [Result.REOPENED]
    assert len(reviews(engine)) == 4 and broken(engine) == []


def test_a_newer_word_stands_when_many_are_taken_back(engine: Engine, stewards: Stewards) -> None:
    done = bulk(stewards, D.NOT_SAME, preview(stewards, D.NOT_SAME).seen)
    stewards.judge("core:a1", "card:b1", Verdict.NOT_SAME)
    stewards.run(review_bulk.undo_bulk, done.id, reason="有误")
    with transaction(engine) as session:
        last = judgements.history(session, ("core", "a1"))[0]
    assert (last.verdict, last.reason) == ("NOT_SAME", "核实")
    assert reviews(engine) == [] and broken(engine) == []
