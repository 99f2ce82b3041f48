"""What is asked for, under which numbers it is found, who may take it back, and what an undo has to tell."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, date, datetime
from typing import Any

import pytest
from people import citizen, deliver, golden, parties, record, scalar
from promises import derived
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from stewards import Stewards, name

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.judgements import Verdict
from ecif.domain.records import Account, AccountClass, AccountStatus, Identifier
from ecif.domain.review_policy import ReviewDecision
from ecif.services import (
    approvals,
    check_answers,
    judgements,
    judging,
    maintenance,
    merges,
    operations,
    reversals,
    review_bulk,
    review_decisions,
    review_queue,
    splits,
)
from ecif.services.access import log_clear_read
from ecif.services.check_answers import Check
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.customers import CustomerNotFound
from ecif.services.four_eyes import NotMaker
from ecif.services.judging import JudgementContradicts
from ecif.services.merges import MergeBlocked
from ecif.services.operations import REPLACED, OperationDecided, Status
from ecif.services.outcomes import OperationStale
from ecif.services.rebuild import rebuild
from ecif.services.reversals import NotReversible, ReverseBlocked
from ecif.services.review_queue import Filter, Place, Sort
from ecif.services.splits import OnlyByUndo

KEYS = ("core:1", "core:2", "core:3")


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    """Three customers of a record each."""
    people = enumerate(("张三丰", "李四光", "王五一"), 1)
    deliver(engine, digests, *(record("core", str(n), who, phone=f"1391111000{n}") for n, who in people))
    return Stewards(engine, digests)


def listed(stewards: Stewards, record: str, **wanted: str) -> list[tuple[int, Status]]:
    no = record if record.isdigit() else stewards.no(record)
    found = stewards.run(lambda session, context: operations.listing(session, customer_no=no, **wanted))
    return [(operation.id, operation.status) for operation in found]


def test_what_waits_is_found_under_every_number_that_it_would_touch(stewards: Stewards) -> None:
    asked = stewards.run(merges.ask_merge, stewards.nos(KEYS), reason="x")
    for key in KEYS:
        assert listed(stewards, key) == [(asked.id, Status.PENDING)]
    with pytest.raises(CustomerNotFound):
        listed(stewards, "100000000999")


def test_an_operation_is_found_under_the_numbers_that_it_brought_forth(stewards: Stewards) -> None:
    merge = stewards.merge("core:1", "core:2")
    other = stewards.nos(KEYS)[0]
    refused = stewards.run(reversals.ask_reverse, merge.id, reason="x")
    stewards.run(approvals.reject, refused.id, person="checker")
    undo = stewards.reverse(merge)
    assert listed(stewards, "core:2") == listed(stewards, other) == [
        (merge.id, Status.REVERSED), (refused.id, Status.REJECTED), (undo.id, Status.DONE)
    ]  # fmt: skip
    assert listed(stewards, "core:2", kind="MERGE") == [(merge.id, Status.REVERSED)]
    assert listed(stewards, "core:3") == []


def test_whoever_asked_takes_it_back_and_nobody_else(stewards: Stewards) -> None:
    asked = stewards.run(merges.ask_merge, stewards.nos(KEYS[:2]), reason="x")
    with pytest.raises(NotMaker):
        stewards.run(approvals.withdraw, asked.id, person="checker")
    done = stewards.run(approvals.withdraw, asked.id, note="看错了", person="Maker")
    assert (done.status, done.checker, done.note) == (Status.WITHDRAWN, None, "看错了")
    for decide in (approvals.approve, approvals.withdraw):
        with pytest.raises(OperationDecided):
            stewards.run(decide, asked.id, person="checker")
    assert stewards.run(merges.ask_merge, stewards.nos(KEYS[:2]), reason="x").id != asked.id


@pytest.mark.parametrize("more", [{"evidence": "公安证明 2"}, {"override": ["CLOSED"]}])
def test_who_shows_other_evidence_asks_for_something_else(stewards: Stewards, more: dict[str, Any]) -> None:
    given = {"reason": "x", "evidence": "公安证明 1"}
    first = stewards.run(merges.ask_merge, stewards.nos(KEYS[:2]), **given)
    assert stewards.run(merges.ask_merge, stewards.nos(KEYS[:2]), **given).id == first.id
    second = stewards.run(merges.ask_merge, stewards.nos(KEYS[:2]), **given | more)
    assert second.id != first.id and (second.evidence, list(second.override)) == (
        more.get("evidence", "公安证明 1"), more.get("override", []),
    )  # fmt: skip
    before = stewards.run(lambda session, context: operations.get(session, first.id))
    assert (before.status, before.note, before.checker) == (Status.REJECTED, REPLACED, None)


@pytest.mark.parametrize("found", [True, False], ids=["after it was found", "before"])
def test_what_is_taken_back_while_it_is_asked_for_again_stays_so(
    stewards: Stewards, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    nos, find = stewards.nos(KEYS[:2]), operations.same
    first = stewards.run(merges.ask_merge, nos, reason="x")

    def meanwhile(session: Session, *wanted: Any) -> Any:
        if Status.PENDING not in wanted:
            return find(session, *wanted)
        monkeypatch.undo()
        waiting = find(session, *wanted) if found else None
        stewards.run(approvals.withdraw, first.id)
        return waiting or find(session, *wanted)

    monkeypatch.setattr(operations, "same", meanwhile)
    second = stewards.run(merges.ask_merge, nos, reason="x", evidence="公安证明")
    assert listed(stewards, "core:1") == [(first.id, Status.WITHDRAWN), (second.id, Status.PENDING)]


def test_who_asks_for_an_undo_while_it_is_done_is_told_so(engine: Engine, stewards: Stewards) -> None:
    merge = stewards.merge("core:1", "core:2")
    undo = stewards.run(reversals.ask_reverse, merge.id, reason="x")
    context = stewards.context("checker")
    with ThreadPoolExecutor(1) as pool:

        def approve_meanwhile(session: Session) -> Future[Any]:
            approvals.approve(session, context, undo.id)
            again = pool.submit(stewards.run, reversals.ask_reverse, merge.id, reason="x")
            wait([again], timeout=1)
            return again

        again = run_transaction(engine, approve_meanwhile)
        with pytest.raises(OperationDecided) as decided:
            again.result()
    assert decided.value.status == "DONE" and len(parties(engine)) == 3


def test_a_rule_that_holds_only_since_it_was_asked_for_blocks_it_too(stewards: Stewards) -> None:
    nos = stewards.nos(KEYS[:2])
    for act in (maintenance.restrict, maintenance.reactivate):
        decides(stewards, act, "core:2")
    asked = stewards.run(merges.ask_merge, nos, reason="x")
    decides(stewards, maintenance.restrict, "core:2")
    with pytest.raises(MergeBlocked):
        stewards.approve(asked)
    assert stewards.nos(KEYS[:2]) == nos
    decides(stewards, maintenance.reactivate, "core:2")
    assert stewards.approve(asked).status is Status.DONE


# A merge that is no more


def test_a_split_that_parts_what_was_merged_is_the_end_of_the_merge(stewards: Stewards) -> None:
    merge, retired = stewards.merge("core:1", "core:2", survivor="core:1"), stewards.no("core:2")
    second = stewards.merge("core:1", "core:3", survivor="core:1")
    split = stewards.split("core:1", "core:2")
    assert split.outcome and split.outcome["resurrected"] == [stewards.no("core:2")] != [retired]
    assert dict(listed(stewards, "core:1"))[merge.id] is Status.REVERSED
    assert dict(listed(stewards, "core:1"))[second.id] is Status.DONE
    assert dict(listed(stewards, "core:2"))[split.id] is Status.DONE
    for no_merge_that_stands in (merge, split):
        with pytest.raises(NotReversible):
            stewards.reverse(no_merge_that_stands)


def test_a_merge_of_three_stands_while_two_of_them_are_one(stewards: Stewards) -> None:
    merge = stewards.merge(*KEYS, survivor="core:1")
    first = stewards.split("core:1", "core:2")
    assert dict(listed(stewards, "core:1"))[merge.id] is Status.DONE
    with pytest.raises(ReverseBlocked) as blocked:
        stewards.reverse(merge)
    assert blocked.value.later == [first.id]
    stewards.split("core:1", "core:3")
    assert dict(listed(stewards, "core:1"))[merge.id] is Status.REVERSED


def test_a_merge_that_a_record_left_by_itself_is_no_more(engine: Engine, digests: KeyDigests) -> None:
    """Its judgement was withdrawn while the rules tied the two as well; then one turned into somebody else."""
    stewards, phone = Stewards(engine, digests), "13911112222"
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1)), record("core", "2", "张叁丰", phone=phone))
    two = stewards.nos(KEYS[:2])
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    deliver(engine, digests, record("core", "2", "张三丰", id=citizen(1), phone=phone, day=3))
    assert stewards.judge("core:1", "core:2", Verdict.WITHDRAWN) is None
    assert listed(stewards, "core:1") == [(merge.id, Status.DONE)]
    deliver(engine, digests, record("core", "2", "李四光", id=citizen(2), day=9))
    assert stewards.nos(KEYS[:2]) == two
    assert listed(stewards, "core:1") == [(merge.id, Status.REVERSED)]
    with pytest.raises(NotReversible):
        stewards.reverse(merge)


@pytest.mark.parametrize("parted", ["split", "judged"])
def test_what_parted_a_customer_stands_whatever_is_undone_later(
    engine: Engine, digests: KeyDigests, stewards: Stewards, parted: str
) -> None:
    """And what was asked for meanwhile is not undone either."""
    deliver(engine, digests, *(record("card", str(n), "赵六七", id=citizen(6)) for n in (1, 2)))
    if parted == "split":
        done: Any = stewards.split("card:1", "card:2")
    else:
        done = stewards.judge("card:1", "card:2", Verdict.NOT_SAME)
    number, other = stewards.nos(("card:1", "core:2"))
    merge = stewards.merge("core:1", "card:1", survivor="core:1")
    assert listed(stewards, "core:1") == [(done.id, Status.DONE), (merge.id, Status.DONE)], "under each of his numbers"
    asked = stewards.run(merges.ask_merge, [number, other], reason="x")
    leaving = stewards.run(splits.ask_split, number, [name("card:1")], reason="x")
    undo = stewards.reverse(merge)
    assert listed(stewards, "card:1") == [
        (done.id, Status.DONE), (merge.id, Status.REVERSED), (asked.id, Status.PENDING), (leaving.id, Status.PENDING),
        (undo.id, Status.DONE),
    ]  # fmt: skip


def test_of_two_merges_of_the_same_the_one_that_stands_is_given_back(stewards: Stewards) -> None:
    nos = stewards.nos(KEYS)
    first = stewards.merge(*nos)
    stewards.split("core:1", "core:2")
    stewards.judge("core:1", "core:2", Verdict.WITHDRAWN)
    second = stewards.merge(*nos)
    assert first.id != second.id == stewards.run(merges.ask_merge, nos, reason="x").id


def test_an_undo_is_never_half_of_it(engine: Engine, stewards: Stewards) -> None:
    """A third, who came with a later merge, was judged to be the same as both: that merge has to go first."""
    before = golden(engine)
    first = stewards.merge("core:1", "core:2", survivor="core:1")
    second = stewards.merge("core:1", "core:3", survivor="core:1")
    stewards.judge("core:2", "core:3", Verdict.SAME)
    kept = golden(engine)
    with pytest.raises(ReverseBlocked) as blocked:
        stewards.reverse(first)
    assert blocked.value.later == [second.id] and golden(engine) == kept
    for merge in (second, first):
        stewards.reverse(merge)
    assert golden(engine) == before


def test_a_number_stays_with_its_own_where_the_record_it_was_issued_for_is_split_off(
    engine: Engine, digests: KeyDigests
) -> None:
    """The other side's records come first in age, and come back to the other side with the undo."""
    other = (record("core", "2", "张三丰", id=citizen(1)), record("card", "2", "张三丰", id=citizen(1)))
    deliver(engine, digests, *other)
    own = {"phone": "13911112222", "male": True}
    deliver(engine, digests, record("core", "1", "张叁丰", **own), record("loan", "1", "张叁丰", **own))
    stewards = Stewards(engine, digests)
    (no,), (retired,) = {*stewards.nos(("core:1", "loan:1"))}, {*stewards.nos(("core:2", "card:2"))}
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    stewards.split("core:1", "core:1")
    stewards.reverse(merge)
    assert stewards.nos(("loan:1", "core:2", "card:2")) == [no, retired, retired]


def test_whose_only_record_would_be_split_off_a_merge_is_undone_instead(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "李四光", phone="13911112222"))
    other = (record("core", "2", "张三丰", id=citizen(1)), record("card", "2", "张三丰", id=citizen(1)))
    deliver(engine, digests, *other)
    stewards = Stewards(engine, digests)
    stewards.merge("core:1", "core:2", survivor="core:1")
    with pytest.raises(OnlyByUndo):
        stewards.split("core:1", "core:1")


# Judgements that are merges


def test_that_two_customers_are_one_is_said_of_the_records_themselves(stewards: Stewards) -> None:
    stewards.merge("core:1", "core:3", survivor="core:1")
    asked = stewards.run(
        judging.judge, name("core:3"), name("core:2"), Verdict.SAME, reason="x", evidence="证明 1", override=["CLOSED"]
    )
    assert (asked.kind, asked.evidence, asked.override) == ("MERGE", "证明 1", ("CLOSED",))
    assert asked.request["source_records"] == [["core", "2"], ["core", "3"]]
    stewards.approve(asked)
    said = stewards.run(lambda session, context: judgements.history(session, name("core:2")))
    assert {(row.key_lo, row.key_hi, row.verdict) for row in said} >= {("2", "3", "SAME")}


def test_evidence_lets_two_valid_numbers_be_judged_one_persons(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *(record("core", str(n), "张三丰", id=citizen(n)) for n in (1, 2)))
    stewards, two = Stewards(engine, digests), (name("core:1"), name("core:2"))
    with pytest.raises(MergeBlocked):
        stewards.run(judging.judge, *two, Verdict.SAME, reason="x")
    stewards.approve(stewards.run(judging.judge, *two, Verdict.SAME, reason="x", evidence="号码变更证明"))
    assert len(parties(engine)) == 1


def test_a_record_that_leaves_while_it_is_judged_is_looked_at_again(
    engine: Engine, digests: KeyDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found under a number, and is split off before that is locked."""
    deliver(engine, digests, *(record(system, "1", "张三丰", id=citizen(1)) for system in ("core", "card")))
    stewards, find = Stewards(engine, digests), judging.located
    no = stewards.no("core:1")

    def meanwhile(session: Session, names: Any) -> Any:
        monkeypatch.undo()
        found = find(session, names)
        stewards.split("core:1", "card:1")
        return found

    monkeypatch.setattr(judging, "located", meanwhile)
    with pytest.raises(OperationStale) as stale:
        stewards.judge("core:1", "card:1", Verdict.SAME)
    assert stale.value.changed == [no]


def test_the_evidence_is_on_record_with_what_it_changed(engine: Engine, stewards: Stewards) -> None:
    stewards.run(judging.judge, name("core:1"), name("core:3"), Verdict.NOT_SAME, reason="x", evidence="核实单")
    stewards.merge("core:1", "core:2", evidence="证明")
    query = "SELECT action, reason, evidence FROM change_log ORDER BY id"
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert rows == [("JUDGE", "x", "核实单"), ("MERGE_CUSTOMERS", "同一人", "证明")]


def told_apart(engine: Engine, digests: KeyDigests) -> Stewards:
    """Two of one number, each with a Class I account, who were judged not to be one."""
    for n in (1, 2):
        account = Account(f"621700000000000{n}", "SAVINGS", AccountStatus.NORMAL, account_class=AccountClass.I)
        deliver(engine, digests, record("core", str(n), "张三丰", id=citizen(1), accounts=(account,)))
    stewards = Stewards(engine, digests)
    stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    return stewards


def decides(stewards: Stewards, act: Any, key: str) -> None:
    stewards.run(act, stewards.no(key), expected=None, reason="x")


OPEN_TO_DO = "SELECT string_agg(customer_lo, ' ') FROM merge_review WHERE kind = 'FOLLOW_UP' AND closed_at IS NULL"


def test_a_judgement_taken_back_merges_nobody_past_the_rules(engine: Engine, digests: KeyDigests) -> None:
    stewards = told_apart(engine, digests)
    decides(stewards, maintenance.restrict, "core:1")
    back = (judging.judge, name("core:1"), name("core:2"), Verdict.WITHDRAWN)
    with pytest.raises(MergeBlocked) as blocked:
        stewards.run(*back, reason="x")
    assert [f.rule for f in blocked.value.findings] == ["RESTRICTED"] and len(parties(engine)) == 2
    back = (judging.judge, name("core:2"), name("core:1"), Verdict.WITHDRAWN)
    asked = stewards.run(*back, reason="x", override=["RESTRICTED"])
    assert (asked.kind, asked.override) == ("JUDGEMENT", ("RESTRICTED",))
    assert [listed(stewards, key, status="PENDING") for key in KEYS[:2]] == [[(asked.id, Status.PENDING)]] * 2
    done = stewards.approve(asked)
    assert len(parties(engine)) == 1 and done.outcome and done.outcome["survivor"] == stewards.no("core:1")
    assert scalar(engine, OPEN_TO_DO) == stewards.no("core:1"), "both held Class I"
    stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    assert len(parties(engine)) == 2 and scalar(engine, OPEN_TO_DO) is None
    assert dict(listed(stewards, "core:1"))[asked.id] is Status.REVERSED


def test_it_is_looked_at_again_when_another_approves(engine: Engine, digests: KeyDigests) -> None:
    stewards = told_apart(engine, digests)
    for act in (maintenance.restrict, maintenance.reactivate):
        decides(stewards, act, "core:2")
    asked = stewards.run(judging.judge, name("core:1"), name("core:2"), Verdict.WITHDRAWN, reason="x")
    decides(stewards, maintenance.restrict, "core:2")
    with pytest.raises(MergeBlocked):
        stewards.approve(asked)
    assert len(parties(engine)) == 2


# What an undo would touch


def test_what_was_done_is_told_under_each_number_while_the_merged_ones_led_there(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """1 and 2 are merged, then 1 goes into 3. What happens on 1 between, and on 3 afterwards, is told; on 3 before, not."""
    one, _, three = stewards.nos(KEYS)

    def checked(no: str, who: str) -> None:
        now = stewards.context().now
        context = Context(now, "test", digests, Call(who, channel=Channel.COUNTER))
        stewards.run(lambda session, _: check_answers.keep(session, context, Check.EXISTENCE, "EXISTS", [no]))

    checked(one, "before the merge")
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    checked(one, "on the survivor")
    checked(three, "on a stranger")
    news = record("core", "2", "李四光", phone="13911110009", day=9)
    deliver(engine, digests, news, now=stewards.context().now)
    second = stewards.merge("core:1", "core:3", survivor="core:3")
    checked(three, "on the last survivor")
    for purpose in ("投诉", "复核"):
        read = {"purpose": purpose, "nos": [three], "fields": ["name"]}
        stewards.run(lambda session, c, read=read: log_clear_read(session, c.call, c.now, **read))
    preview, since = stewards.run(reversals.preview_reverse, merge.id)
    assert merge.outcome and preview.regrouped.resurrected == merge.outcome["retired"]
    assert [span.customer_no for span in since.spans] == [one, three]
    assert [row.caller for row in since.checks] == ["on the survivor", "on the last survivor"]
    assert [(e.customer_no, e.type) for e in since.events] == [
        (one, "customer.key_identity_changed"), (one, "customer.merged"),
    ]  # fmt: skip
    assert [row.purpose for row in since.clear_reads] == ["投诉", "复核"]
    assert [operation.id for operation in since.operations] == [second.id]


def test_what_arrived_since_is_told_also_of_records_that_were_there(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("core", "2", "李四光", id=citizen(2), day=30))
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    for system in ("card", "core"):
        again = record(system, "2", "李四光", id=citizen(2), phone="13911110002", day=60)
        deliver(engine, digests, again, now=stewards.context().now)
    _, since = stewards.run(reversals.preview_reverse, merge.id)
    (retired,) = merge.outcome["retired"] if merge.outcome else ()
    assert [(a.name, a.new, a.versions, a.to) for a in since.arrived] == [
        (("card", "2"), True, 1, retired),
        (("core", "2"), False, 1, retired),
    ]
    assert scalar(engine, "SELECT count(*) FROM operation") == 1


def test_what_a_record_opens_after_it_left_is_not_told(engine: Engine, digests: KeyDigests) -> None:
    """core:1 and card:1 were one; card:1 left before the merge, which had nothing to do with it."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record(system, "1", "张三丰", id=citizen(1)) for system in ("core", "card")))
    deliver(engine, digests, record("core", "2", "李四光", phone="13911110002"))
    deliver(engine, digests, record("card", "1", "王五一", id=citizen(5), day=2))
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    opened = [Account(f"621700000000{n:04d}", "SAVINGS", AccountStatus.NORMAL, merge.made_at.date()) for n in (1, 2)]
    now = stewards.context().now
    deliver(engine, digests, record("card", "1", "王五一", id=citizen(5), accounts=(opened[0],), day=9), now=now)
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1), accounts=(opened[1],), day=9), now=now)
    _, since = stewards.run(reversals.preview_reverse, merge.id)
    assert [item.record for item in since.holdings["accounts"]] == [("core", "1")]


def test_accounts_are_told_under_the_number_that_the_merged_ones_led_to_on_the_day_they_were_opened(
    engine: Engine, digests: KeyDigests, stewards: Stewards, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the days of the bank, where it is the 2nd, and the 6th, at 17:00 UTC; an account tells no time of day."""
    one, _, three = stewards.nos(KEYS)

    def on(*day: int) -> None:
        monkeypatch.setattr("stewards.START", datetime(2026, 8, *day, tzinfo=UTC))

    on(1, 17)
    merge = stewards.merge("core:1", "core:2", survivor="core:1")
    on(5, 17)
    stewards.merge("core:1", "core:3", survivor="core:3")
    on(9)
    days = (9, 6, 5, 2, 1, 10)
    opened = tuple(Account(f"62170000{n:08d}", "SAVINGS", AccountStatus.NORMAL, date(2026, 8, n)) for n in days)
    deliver(engine, digests, record("core", "1", "张三丰", accounts=opened, day=220), now=stewards.context().now)
    _, since = stewards.run(reversals.preview_reverse, merge.id)
    told = [(item.data["opened_on"].day, item.data["customer_no"]) for item in since.holdings["accounts"]]
    assert sorted(told) == sorted([(2, one), (5, one), (6, one), (6, three), (9, three)])
    assert [day for day, _ in told] == [2, 5, 6, 6, 9]


def test_answers_of_checks_are_kept_for_a_time(engine: Engine, stewards: Stewards) -> None:
    (no,) = stewards.nos(KEYS[:1])
    stewards.run(lambda s, c: check_answers.keep(s, c, Check.EXISTENCE, "EXISTS", [no, no]))
    assert scalar(engine, "SELECT count(*) FROM check_answer") == 1
    assert stewards.run(lambda s, c: check_answers.forget(s, c, 10)) == 0
    late = Context(stewards.context().now + check_answers.KEPT * 2, "test", stewards.digests)
    assert stewards.run(lambda s, _: check_answers.forget(s, late, 10)) == 1
    assert scalar(engine, "SELECT count(*) FROM check_answer") == 0


def test_a_newer_word_is_not_overridden_by_what_was_asked_for_before(engine: Engine, digests: KeyDigests) -> None:
    """Also where it says the same again; a word on others of the two customers and a third is no matter."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", key, "张三丰", id=citizen(1)) for key in "12"))
    deliver(engine, digests, record("core", "3", "李四光", id=citizen(2, "19850505")))
    stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    two = name("core:1"), name("core:2")
    asked = stewards.run(judging.judge, *two, Verdict.WITHDRAWN, reason="x")
    stewards.judge("core:1", "core:3", Verdict.NOT_SAME)
    assert stewards.run(judging.judge, *two[::-1], Verdict.WITHDRAWN, reason="x").id == asked.id
    assert stewards.run(judging.judge, *two, Verdict.NOT_SAME, reason="书面核实", person="other") is None
    with pytest.raises(OperationStale):
        stewards.approve(asked)
    assert stewards.no("core:1") != stewards.no("core:2")
    anew = stewards.run(judging.judge, *two, Verdict.WITHDRAWN, reason="x")
    assert anew.id != asked.id
    stewards.approve(anew)
    assert stewards.no("core:1") == stewards.no("core:2")


def test_also_that_nothing_holds_any_more_is_a_newer_word(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", key, "张三丰", id=citizen(1)) for key in "12"))
    asked = stewards.run(judging.judge, name("core:1"), name("core:2"), Verdict.NOT_SAME, reason="x")
    assert stewards.judge("core:1", "core:2", Verdict.WITHDRAWN) is None
    with pytest.raises(OperationStale):
        stewards.approve(asked)


# Whom an operation is not about


def one_of_two_people(engine: Engine, digests: KeyDigests) -> Stewards:
    """core:0 and core:6 were told apart by a split; loan:2 fits both, so that it is nobody's and two reviews ask whose."""
    deliver(engine, digests, *(record("core", str(n), "张三丰", id=citizen(1)) for n in (0, 6)))
    stewards = Stewards(engine, digests)
    stewards.split("core:0", "core:0")
    deliver(engine, digests, record("loan", "2", "张三丰", id=citizen(1)))
    assert len(parties(engine)) == 3
    return stewards


def test_an_undo_leads_nobody_to_a_third_customer_whom_he_fits_too(engine: Engine, digests: KeyDigests) -> None:
    stewards = one_of_two_people(engine, digests)
    before, asked = golden(engine), reviews(engine)
    stewards.reverse(stewards.merge("core:0", "loan:2"))
    assert golden(engine) == before and len(parties(engine)) == 3
    assert reviews(engine) == asked - {frozenset(stewards.nos(("core:0", "loan:2")))}, "of the other it is still asked"
    run_transaction(engine, lambda session: rebuild(session, stewards.context()))
    assert golden(engine) == before
    merge = stewards.merge("core:6", "loan:2")  # as a steward answers in the end
    deliver(engine, digests, record("ebank", "9", "张三丰", id=citizen(1)))
    assert merge.outcome and stewards.no("loan:2") == stewards.no("core:6") != stewards.no("ebank:9")


def test_a_judgement_taken_back_is_found_under_whoever_else_is_one_with_them_then(
    engine: Engine, digests: KeyDigests
) -> None:
    """And is no more only when all whom it made one are parted."""
    stewards = one_of_two_people(engine, digests)
    asked = stewards.run(judging.judge, name("core:0"), name("core:6"), Verdict.WITHDRAWN, reason="x")
    numbers = {key: stewards.no(key) for key in ("core:0", "core:6", "loan:2")}
    assert all((asked.id, Status.PENDING) in listed(stewards, no) for no in numbers.values())
    stewards.approve(asked)
    assert len(parties(engine)) == 1
    (other,) = (key for key in ("core:0", "core:6") if numbers[key] != stewards.no(key))
    for key, status in (("loan:2", Status.DONE), (other, Status.REVERSED)):
        stewards.split(key, key)
        assert dict(listed(stewards, key))[asked.id] is status


def test_a_tie_taken_back_may_retire_a_number_and_bring_another_back(engine: Engine, digests: KeyDigests) -> None:
    """core:1 has come to have the number of core:3, who was kept from it by a word on core:2, to whom it was tied."""
    stewards, phone = Stewards(engine, digests), "13911110001"
    deliver(engine, digests, record("core", "3", "张三丰", id=citizen(1), not_same_as=(("core", "2"),)))
    deliver(engine, digests, record("core", "1", "张叁丰", phone=phone), record("core", "2", "李四光"))
    one, two, three = stewards.nos(KEYS)
    stewards.merge("core:1", "core:2", survivor="core:1")
    deliver(engine, digests, record("core", "1", "张三丰", id=citizen(1), phone=phone, day=3))
    assert stewards.nos(KEYS) == [one, one, three]
    back = (judging.judge, name("core:1"), name("core:2"), Verdict.WITHDRAWN)
    done = stewards.approve(stewards.run(*back, reason="x", override=["STATED_NOT_SAME"]))
    assert done.outcome and (done.outcome["retired"], done.outcome["resurrected"]) == ([one], [two])
    assert stewards.nos(KEYS) == [three, two, three]
    with pytest.raises(NotReversible):  # it parted two as well, so that its opposite would not bring all back
        stewards.reverse(done)


def test_what_others_contradict_by_way_of_a_third_is_refused(stewards: Stewards) -> None:
    """Until one of them is taken back: it is the third whom the other two are the same as."""
    stewards.merge("core:1", "core:2", "core:3", survivor="core:1")
    with pytest.raises(JudgementContradicts):
        stewards.judge("core:2", "core:3", Verdict.NOT_SAME)
    stewards.judge("core:1", "core:3", Verdict.NOT_SAME)
    with pytest.raises(MergeBlocked):
        stewards.judge("core:2", "core:3", Verdict.SAME)
    assert stewards.no("core:1") == stewards.no("core:2") != stewards.no("core:3")


def test_who_was_drawn_in_when_a_judgement_was_taken_back_is_parted_by_its_undo(
    engine: Engine, digests: KeyDigests
) -> None:
    """loan:2 fitted both, and no operation names him; what is kept tells that he was by himself."""
    stewards = one_of_two_people(engine, digests)
    before, homes = golden(engine), {r: stewards.no(r) for r in ("core:0", "core:6", "loan:2")}
    taken_back = stewards.judge("core:0", "core:6", Verdict.WITHDRAWN)
    assert taken_back and len(parties(engine)) == 1
    kept = stewards.run(lambda session, _: operations.records(session, taken_back.id))
    assert sorted(kept.values()) == sorted(homes.values())
    stewards.reverse(taken_back)
    assert golden(engine) == before


def test_what_is_said_of_two_in_the_queue_moves_nobody_to_a_third(engine: Engine, digests: KeyDigests) -> None:
    stewards = one_of_two_people(engine, digests)
    before = golden(engine)
    tell_apart(stewards, "core:0", "loan:2")
    assert golden(engine) == before
    assert reviews(engine) == {frozenset(stewards.nos(("core:6", "loan:2")))}


def test_what_is_said_of_two_whom_nothing_else_ties_is_stored_as_a_rebuild_has_it(
    engine: Engine, digests: KeyDigests
) -> None:
    """Who fitted both turned into somebody else; that the others are one was left undecided."""
    stewards = one_of_two_people(engine, digests)
    tell_apart(stewards, "core:0", "loan:2")
    deliver(engine, digests, record("core", "0", "李四光", id=citizen(3), day=1))
    tell_apart(stewards, "core:6", "loan:2")
    assert reviews(engine) == set()
    stored = derived(engine)
    stewards.run(rebuild)
    assert derived(engine) == stored


def tell_apart(stewards: Stewards, one: str, other: str) -> None:
    """A steward decides the review that asks about two customers."""
    rows = stewards.run(lambda s, c: review_queue.listing(s, Filter(), Sort.OLDEST, Place(c.now))).reviews
    ends = {*stewards.nos((one, other))}
    (review,) = (row.id for row in rows if {row.customer_lo, row.customer_hi} == ends)
    stewards.run(review_decisions.decide, review, ReviewDecision.NOT_SAME, reason="x")


def test_what_is_said_of_many_and_taken_back_leaves_nothing_said(engine: Engine, digests: KeyDigests) -> None:
    """Neither of those whom it would have led elsewhere."""
    stewards = one_of_two_people(engine, digests)
    standing = "SELECT count(*) FROM judgement j WHERE verdict <> 'WITHDRAWN' AND " + judgements.NEWEST
    before, asked = scalar(engine, standing), reviews(engine)
    told = Filter(customer=stewards.no("core:0")), ReviewDecision.NOT_SAME
    seen = stewards.run(review_bulk.preview_bulk, *told).seen
    done = stewards.run(review_bulk.decide_bulk, *told, reason="x", seen=seen)
    assert scalar(engine, standing) == before + 2
    stewards.run(review_bulk.undo_bulk, done.id, reason="x")
    assert scalar(engine, standing) == before and reviews(engine) == asked


def test_a_merge_draws_no_third_customer_in(engine: Engine, digests: KeyDigests) -> None:
    """Whom two valid numbers kept out of both, and who fits both when evidence makes them one."""
    number, other = citizen(1), citizen(2)
    deliver(engine, digests, record("core", "1", "张三丰", id=number), record("core", "2", "张三丰", id=other))
    stewards = Stewards(engine, digests)
    both = (Identifier(IdentifierKind.CITIZEN_ID, number), Identifier(IdentifierKind.CITIZEN_ID, other))
    deliver(engine, digests, record("loan", "3", "张三丰", identifiers=both))
    before, alone = golden(engine), stewards.no("loan:3")
    merge = stewards.merge("core:1", "core:2", evidence="号码变更证明")
    assert merge.outcome and alone not in merge.outcome["retired"] and stewards.no("loan:3") == alone
    stewards.reverse(merge)
    assert golden(engine) == before


def reviews(engine: Engine) -> set[frozenset[str]]:
    """The open questions whether two customers are one."""
    query = "SELECT customer_lo, customer_hi FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR'"
    with engine.connect() as connection:
        return {frozenset(row) for row in connection.execute(text(query))}
