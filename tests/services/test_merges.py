"""One golden number for life: merge, split, undo and judgement, through the services."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from clerk import Clerk
from people import DAY, citizen, deliver, golden, parties, record, scalar
from sqlalchemy import Engine, text
from stewards import Stewards

from ecif.db import run_transaction, transaction
from ecif.domain.judgements import Verdict
from ecif.domain.records import Account, AccountClass, AccountStatus, PartyType, RelatedParty, RelationType
from ecif.matching.features import features_of
from ecif.services import approvals, customers, merge_findings, merges, regrouping, reversals, splits
from ecif.services.accounts import AccountNotOfCustomer
from ecif.services.context import Call, Context, KeyDigests
from ecif.services.four_eyes import MakerIsChecker, must_be_other
from ecif.services.holdings import SHOWN_MAX
from ecif.services.merges import MergeBlocked, NothingToMerge
from ecif.services.operations import Status
from ecif.services.outcomes import OperationStale
from ecif.services.rebuild import rebuild
from ecif.services.regrouping import Member, Members, TooManyToMove
from ecif.services.splits import OnlyByUndo

ID_A, ID_B, ID_C = citizen(1), citizen(2), citizen(3)
A1, A2 = record("core", "1", "张三丰", id=ID_A, phone="13911112222"), record("card", "1", "张三丰", id=ID_A)
B1, B2 = record("core", "2", "张叁丰", phone="13911112222"), record("loan", "2", "张叁丰", phone="13911113333")

SAVINGS = (Account("6217000000000001", "SAVINGS", AccountStatus.NORMAL),)
CLOSED, OLD = (replace(SAVINGS[0], status=AccountStatus.CLOSED),), date(2020, 1, 1)


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    """Two customers, of whom one has two records."""
    deliver(engine, digests, A1, A2)
    deliver(engine, digests, B1)
    return Stewards(engine, digests)


def events(engine: Engine, no: str) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT document FROM outbox_event WHERE customer_no = :no ORDER BY seq"), {"no": no}
        )
        return [json.loads(row[0]) for row in rows]


def test_a_merge_and_its_undo(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    a, b, before = stewards.no("core:1"), stewards.no("core:2"), golden(engine)
    merge = stewards.merge("core:1", "core:2")
    assert merge.status is Status.DONE and (merge.maker, merge.checker) == ("maker", "checker")
    assert parties(engine) == {frozenset({"core:1", "card:1", "core:2"})}
    assert scalar(engine, f"SELECT merged_into FROM party WHERE customer_no = '{b}'") == a
    assert scalar(engine, "SELECT count(*) FROM link WHERE ended_at IS NULL AND origin = 'MANUAL'") == 3
    reverse = stewards.reverse(merge)
    assert golden(engine) == before
    assert (stewards.no("core:1"), stewards.no("core:2")) == (a, b)
    assert reverse.outcome and reverse.outcome["resurrected"] == [b]
    told = [(e["type"], e["data"].get("regrouping", {}).get("operation")) for e in events(engine, b)]
    assert told == [
        ("customer.created", None),
        ("customer.merged", merge.id),
        ("customer.unmerged", reverse.id),
    ]
    told = [(e["type"], e["data"].get("regrouping", {}).get("operation")) for e in events(engine, a)]
    assert told[-2:] == [("customer.merged", merge.id), ("customer.unmerged", reverse.id)]
    assert [e["seq"] for e in events(engine, a)] == list(range(1, len(told) + 1))


def told(engine: Engine, *nos: str) -> tuple[str, dict[str, Any]]:
    """The type and the data of the one logical event that these numbers were told last, each in a sequence of its own."""
    last = []
    for no in nos:
        sent = events(engine, no)
        assert [(e["seq"], e["subject"]) for e in sent] == [(n, no) for n in range(1, len(sent) + 1)]
        last.append((sent[-1]["type"], sent[-1]["data"]["regrouping"]))
    assert all(one == last[0] for one in last), last
    return last[0]


def moved(record: str, left: str, to: str) -> dict[str, str]:
    system, _, key = record.partition(":")
    return {"system": system, "key": key, "from": left, "to": to}


def test_each_number_of_a_merge_and_of_its_undo_is_told_the_same(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("loan", "3", "张三风", phone="13911114444"), record("ebank", "9", "王五一"))
    a, b, c = nos = stewards.nos(["core:1", "core:2", "loan:3"])
    alone = events(engine, stewards.no("ebank:9"))
    merge = stewards.merge(*nos)
    kind, data = told(engine, *nos)
    assert kind == "customer.merged" and data == {
        "survivors": [a], "retired": sorted((b, c)), "resurrected": [], "created": [],
        "moved": [moved("core:2", b, a), moved("loan:3", c, a)], "operation": merge.id,
    }  # fmt: skip
    undo = stewards.reverse(merge)
    kind, data = told(engine, *nos)
    assert kind == "customer.unmerged" and data == {
        "survivors": [a], "retired": [], "resurrected": sorted((b, c)), "created": [],
        "moved": [moved("core:2", a, b), moved("loan:3", a, c)], "operation": undo.id,
    }  # fmt: skip
    assert events(engine, stewards.no("ebank:9")) == alone


def test_each_number_of_a_split_is_told_the_same(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    a = stewards.no("core:1")
    split = stewards.split(a, "card:1")
    new = stewards.no("card:1")
    kind, data = told(engine, a, new)
    assert kind == "customer.split" and data == {
        "survivors": [a], "retired": [], "resurrected": [], "created": [new],
        "moved": [moved("card:1", a, new)], "operation": split.id,
    }  # fmt: skip


def test_a_judgement_that_parts_two_records_is_told_as_a_split(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    a, b = stewards.nos(["core:1", "core:2"])
    said = stewards.judge("core:1", "card:1", Verdict.NOT_SAME)
    new = stewards.no("card:1")
    assert said and new not in (a, b)
    kind, data = told(engine, a, new)
    assert kind == "customer.split" and data == {
        "survivors": [a], "retired": [], "resurrected": [], "created": [new],
        "moved": [moved("card:1", a, new)], "operation": said.id,
    }  # fmt: skip
    assert [e["type"] for e in events(engine, new)] == ["customer.split"]


def test_an_undo_names_the_later_operations_that_stand_in_its_way(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """The middle of a chain, of whose numbers one has left since."""
    deliver(engine, digests, record("loan", "3", "张三风", phone="13911114444"), record("ebank", "4", "张三峰"))
    deliver(engine, digests, record("core", "8", "赵六七"), record("core", "9", "钱七八"))
    middle = stewards.merge("core:2", "loan:3", "ebank:4", survivor="core:2")
    last = stewards.merge("core:1", "core:2", survivor="core:1")
    split = stewards.split("core:1", "loan:3")
    deliver(engine, digests, record("core", "7", "孙小圣"))
    joined = stewards.merge("loan:3", "core:7")  # also what was done with the one who has left
    stewards.merge("core:8", "core:9")  # other people's
    stewards.run(splits.ask_split, stewards.no("core:1"), [("card", "1")], reason="x")  # nothing has come of it yet
    for look, why in ((reversals.preview_reverse, {}), (reversals.ask_reverse, {"reason": "x"})):
        with pytest.raises(reversals.ReverseBlocked) as blocked:
            stewards.run(look, middle.id, **why)
        assert blocked.value.later == [last.id, split.id, joined.id]


def test_what_was_undone_stays_apart_until_it_is_withdrawn(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.reverse(stewards.merge("core:1", "core:2"))
    deliver(engine, digests, record("core", "2", "张三丰", id=ID_A, day=5))  # now it looks the same
    assert len(parties(engine)) == 2
    with pytest.raises(MergeBlocked) as blocked:
        stewards.merge("core:1", "core:2")
    assert [f.rule for f in blocked.value.findings] == ["JUDGED_NOT_SAME"]
    assert stewards.judge("core:1", "core:2", Verdict.WITHDRAWN) is not None  # it moves records, so another approved
    assert len(parties(engine)) == 1


def test_a_split_and_what_comes_later(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", str(n), "张三丰", id=ID_A) for n in range(4)))
    no = stewards.no("core:0")
    done = stewards.split(no, "core:0", "core:3")
    assert parties(engine) == {frozenset({"core:0", "core:3"}), frozenset({"core:1", "core:2"})}
    assert stewards.no("core:1") == no and done.outcome and done.outcome["created"] == [stewards.no("core:0")]
    assert [e["type"] for e in events(engine, stewards.no("core:0"))] == ["customer.split"]
    deliver(engine, digests, record("card", "9", "张三丰", id=ID_A))  # fits both: nobody's, and a question
    assert len(parties(engine)) == 3
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == 2


def test_what_a_clerk_joined_stays_parted_when_those_around_it_leave(engine: Engine, digests: KeyDigests) -> None:
    """counter:3 was opened as one with core:2: nobody asks again about these two, though it was core:1 that stood for both."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, *(record("core", key, "张三丰", id=ID_A) for key in "12"))
    deliver(engine, digests, record("counter", "3", "张叁丰", same_as=(("core", "2"),)))
    assert len(parties(engine)) == 1
    for key in ("counter:3", "core:2"):
        stewards.split("core:1", key)
    assert len(parties(engine)) == 3
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == 0


def test_a_preview_changes_nothing(engine: Engine, stewards: Stewards) -> None:
    before = golden(engine), scalar(engine, "SELECT count(*) FROM outbox_event")
    preview = stewards.run(merges.preview_merge, stewards.nos(["core:1", "core:2"]))
    assert preview.regrouped.survivor == stewards.no("core:1")
    assert preview.regrouped.retired == [stewards.no("core:2")]
    assert (golden(engine), scalar(engine, "SELECT count(*) FROM outbox_event")) == before
    assert scalar(engine, "SELECT count(*) FROM judgement") == 0


def test_two_persons_are_needed(stewards: Stewards) -> None:
    asked = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:2"]), reason="x")
    with pytest.raises(MakerIsChecker):
        stewards.run(approvals.approve, asked.id, person="maker")


@pytest.mark.parametrize("decide", [approvals.approve, approvals.reject])
def test_whoever_asks_without_a_name_may_be_any_clerk_of_his_caller(stewards: Stewards, decide: Any) -> None:
    asked = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:2"]), reason="x", person="")
    with pytest.raises(MakerIsChecker):
        stewards.run(decide, asked.id, person="checker")


def test_the_same_again_is_the_same_merge(stewards: Stewards) -> None:
    nos = stewards.nos(["core:1", "core:2"])
    asked = stewards.run(merges.ask_merge, nos, reason="x")
    assert stewards.run(merges.ask_merge, nos[::-1], reason="y").id == asked.id
    rules = ["RESTRICTED", "CLOSED", "CLOSED"]
    asked = stewards.run(merges.ask_merge, nos, reason="x", override=rules)
    assert stewards.run(merges.ask_merge, nos, reason="x", override=rules[::-1]).id == asked.id
    assert stewards.approve(asked).id == stewards.run(merges.ask_merge, nos, reason="x").id
    with pytest.raises(NothingToMerge):
        stewards.run(merges.ask_merge, [nos[0], nos[0]], reason="x")


def test_a_customer_who_has_changed_is_looked_at_again(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    nos = stewards.nos(["core:1", "core:2"])
    merge = stewards.run(merges.ask_merge, nos, reason="x")
    split = stewards.run(splits.ask_split, nos[0], [("card", "1")], reason="x")
    deliver(engine, digests, record("ebank", "7", "张三丰", id=ID_A))
    for asked in (merge, split):
        with pytest.raises(OperationStale) as stale:
            stewards.approve(asked)
        assert stale.value.changed == nos[:1]


@pytest.mark.parametrize(
    ("one", "other", "second"),
    [
        ({}, {}, False),
        ({}, {"id": ID_B}, True),
        ({"accounts": SAVINGS, "opened_on": OLD}, {"id": ID_B}, True),
        ({}, {"accounts": SAVINGS}, True),
        ({}, {"accounts": CLOSED}, False),
        ({"opened_on": OLD}, {"accounts": SAVINGS}, True),
        ({}, {"opened_on": OLD}, True),
        ({"opened_on": date(2025, 1, 1)}, {"opened_on": OLD}, True),
    ],
    ids=["smaller", "number", "number before account", "account", "closed", "account before age", "age known", "older"],
)
def test_whose_number_stays(
    engine: Engine, digests: KeyDigests, one: dict[str, Any], other: dict[str, Any], second: bool
) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, record("core", "1", "张三丰", **one))
    deliver(engine, digests, record("core", "2", "李四光", **other))
    nos = stewards.nos(["core:2", "core:1"])
    assert stewards.run(merges.preview_merge, nos).regrouped.survivor == (max(nos), min(nos))[not second]


def test_what_left_with_its_record_is_held_no_more(engine: Engine, digests: KeyDigests) -> None:
    stewards, wife = Stewards(engine, digests), RelatedParty(RelationType.SPOUSE, "李秀英")
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("core", "2", "李四光", id=ID_B))
    deliver(engine, digests, record("card", "2", "李四光", id=ID_B, accounts=SAVINGS, related=(wife,)))
    deliver(engine, digests, record("core", "3", "王五一", accounts=held("SAVINGS", 1, 9)))
    stewards.split("core:2", "card:2")
    one, two, three = stewards.nos(["core:1", "core:2", "core:3"])
    assert stewards.run(merges.preview_merge, [two, one]).regrouped.survivor == one, "neither holds an account"
    preview = stewards.run(merges.preview_merge, [two, three])
    assert preview.findings == [] and preview.holdings["relations"] == {}
    assert {no: those.total for no, those in preview.holdings["accounts"].items()} == {two: 1, three: 1}


def test_of_many_accounts_the_first_are_shown_and_all_are_counted(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    many, core, card = held("SAVINGS", SHOWN_MAX), held("SAVINGS", 1, 800), held("SAVINGS", 1, 900)
    said = [replace(one, business_time=DAY + timedelta(days=1)) for one in (B1, A1, A2)]
    deliver(
        engine, digests, *(replace(one, accounts=those) for one, those in zip(said, (many, core, card), strict=True))
    )
    nos = stewards.nos(["core:1", "core:2"])
    shown = stewards.run(merges.preview_merge, nos).holdings["accounts"][nos[0]]
    assert shown.total == SHOWN_MAX + 2
    assert [item.data["number"] for item in shown.items] == [a.number for a in (*card, *core, *many[:-2])]


def test_two_valid_numbers_need_evidence(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("core", "3", "张三丰", id=ID_B))
    with pytest.raises(MergeBlocked) as blocked:
        stewards.merge("core:1", "core:3")
    assert [f.rule for f in blocked.value.findings] == ["TWO_VALID_NUMBERS"]
    stewards.merge("core:1", "core:3", evidence="证明 2026-1")
    deliver(engine, digests, record("ebank", "8", "张三丰", id=ID_A), record("ebank", "9", "张三丰", id=ID_B))
    assert parties(engine) == {
        frozenset({"core:1", "card:1", "core:3", "ebank:8", "ebank:9"}),
        frozenset({"core:2"}),
    }


@pytest.mark.parametrize("middle", [True, False])
def test_merges_of_a_chain_are_undone_in_any_order(
    engine: Engine, digests: KeyDigests, stewards: Stewards, middle: bool
) -> None:
    deliver(engine, digests, record("loan", "3", "张三风", phone="13911114444"))
    before = golden(engine)
    first = stewards.merge("core:2", "loan:3", survivor="core:2")
    second = stewards.merge("core:1", "core:2", survivor="core:1")
    undone = [stewards.reverse(merge) for merge in ((first, second) if middle else (second, first))]
    assert golden(engine) == before
    whose = "core:1" if middle else "core:2"  # the undo of a middle merge leaves its survivor merged
    assert undone[not middle].outcome["survivor"] == stewards.no(whose)


def test_a_merge_is_undone_though_more_records_came_than_a_merge_may_touch(
    engine: Engine, digests: KeyDigests, stewards: Stewards, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = parties(engine)
    monkeypatch.setattr(regrouping, "JOINED_MAX", 2)
    with pytest.raises(TooManyToMove):
        stewards.merge("core:1", "core:2")
    monkeypatch.setattr(regrouping, "JOINED_MAX", 3)
    merge = stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("card", "9", "张三丰", id=ID_A), record("card", "10", "张三丰", id=ID_A))
    stewards.reverse(merge)
    assert parties(engine) == {one | {"card:9", "card:10"} if "core:1" in one else one for one in before}
    monkeypatch.setattr(regrouping, "PARTED_MAX", 3)
    with pytest.raises(TooManyToMove):
        stewards.split("core:1", "card:9")


def test_what_the_rules_merged_when_a_judgement_was_taken_back_is_undone_like_a_merge(
    engine: Engine, digests: KeyDigests
) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("card", "2", "张三丰", id=ID_A))
    stewards.judge("core:1", "card:2", Verdict.NOT_SAME)
    before = golden(engine)
    taken_back = stewards.judge("core:1", "card:2", Verdict.WITHDRAWN)
    assert taken_back and len(parties(engine)) == 1
    stewards.reverse(taken_back)
    assert golden(engine) == before
    with pytest.raises(reversals.NotReversible):
        stewards.reverse(taken_back)


def reviews(engine: Engine) -> list[tuple[str, str, str]]:
    """The open reviews of moves and misfits: kind and customers."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT kind, customer_lo, customer_hi FROM merge_review WHERE closed_at IS NULL AND kind <> 'PAIR'"
                " ORDER BY id"
            )
        )
        return [tuple(row) for row in rows]


def test_a_record_that_leaves_by_itself_opens_a_review(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    a = stewards.no("core:1")
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))  # the engine had linked it to core:1
    to = stewards.no("card:1")
    assert to != a and reviews(engine) == [("MOVED", *sorted((a, to)))]


def test_a_record_that_a_person_placed_stays_and_opens_a_review(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.merge("core:1", "core:2")
    no = stewards.no("core:1")
    deliver(engine, digests, record("core", "2", "李四光", id=ID_B, day=9))
    assert stewards.no("core:2") == no and reviews(engine) == [("MISFIT", no, no)]
    deliver(engine, digests, record("core", "2", "李四光", id=ID_B, phone="13999998888", day=10))
    assert len(reviews(engine)) == 1


def test_what_was_undone_is_no_question_any_more(engine: Engine, digests: KeyDigests) -> None:
    """Not even between records that the judgement does not name."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, A2, A1)
    deliver(
        engine,
        digests,
        record("core", "2", "李四光", id=ID_A),
        record("loan", "2", "李四光", id=ID_A, phone="13911113333"),
    )
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == 1
    stewards.reverse(stewards.merge("core:1", "core:2"))
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == 0


def test_an_account_leaves_the_record_that_names_it(engine: Engine, digests: KeyDigests) -> None:
    """One record of the core system mixes two people: the account goes to the other, whatever the core system repeats."""
    stewards, ours = Stewards(engine, digests), ("6225990000001234", "6225990000005678")
    accounts = tuple(Account(number, "SAVINGS", AccountStatus.NORMAL) for number in ours)
    deliver(engine, digests, replace(A1, accounts=accounts), replace(A2, accounts=SAVINGS))
    for no_accounts_of_those_that_stay in (("core:1", "6225990000009999"), ("card:1", SAVINGS[0].number)):
        with pytest.raises(AccountNotOfCustomer):
            stewards.split("core:1", "card:1", accounts=[no_accounts_of_those_that_stay])
    split = stewards.split("core:1", "card:1", accounts=[("core:1", "6225 9900 0000 5678")])
    assert scalar(engine, "SELECT operation_id FROM account_move") == split.id
    for again in (0, 5):
        if again:
            deliver(
                engine,
                digests,
                replace(A1, accounts=accounts, business_time=DAY + timedelta(days=again)),
                replace(A2, accounts=SAVINGS, business_time=DAY + timedelta(days=again)),
            )
            run_transaction(engine, lambda s: rebuild(s, stewards.context()))
        with transaction(engine) as session:
            held = {r: [a.number for a in customers.accounts(session, stewards.no(r))] for r in ("core:1", "card:1")}
            found = [customers.find(session, digests, customers.search_keys(account=number)) for number in ours]
        assert held == {"core:1": [ours[0]], "card:1": [SAVINGS[0].number, ours[1]]}
        assert found == [[stewards.no("core:1")], [stewards.no("card:1")]]


def test_reviews_of_a_number_end_with_it_but_a_misfit_is_asked_of_the_survivor(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("core", "3", "王五一", id=citizen(7), phone="13911119999"))
    deliver(engine, digests, record("core", "2", "王五一", id=ID_B, day=9))  # stays: a person tied it to core:1
    no = stewards.no("core:1")
    assert reviews(engine) == [("MISFIT", no, no)]
    stewards.merge("core:1", "core:3", survivor="core:3", evidence="证明")
    to = stewards.no("core:3")
    assert stewards.no("core:1") == to != no and reviews(engine) == [("MISFIT", to, to)]


def test_a_review_of_a_move_ends_when_the_two_are_merged(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("card", "1", "李四光", id=ID_B, day=9))
    stewards.merge("core:1", "card:1", evidence="证明")
    assert reviews(engine) == []


def test_an_undo_leads_nobody_to_a_third(engine: Engine, digests: KeyDigests) -> None:
    """card:1 fits two people and was held apart from both; that he is not the one makes him not the other."""
    stewards, who = Stewards(engine, digests), {"name": "张三丰", "phone": "13911112222", "male": True}
    deliver(engine, digests, *(record("core", str(n), id=number, **who) for n, number in enumerate((ID_A, ID_C, ID_C))))
    deliver(engine, digests, record("card", "1", **who))
    before = golden(engine), scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL")
    assert len(before[0]) == 3
    stewards.reverse(stewards.merge("core:0", "card:1"))
    assert golden(engine) == before[0]
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") == before[1] - 1


def test_an_undo_brings_back_the_number_that_was_merged_not_one_merged_before(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("loan", "3", "张三风", phone="13911114444"))
    stewards.merge("core:2", "loan:3", survivor="loan:3")
    before = golden(engine), stewards.no("loan:3")
    stewards.reverse(stewards.merge("core:1", "loan:3", survivor="core:1"))
    assert (golden(engine), stewards.no("loan:3")) == before


def test_what_is_asked_for_again_after_a_change_can_be_approved(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    nos = stewards.nos(["core:1", "core:2"])
    asked = stewards.run(merges.ask_merge, nos, reason="x")
    deliver(engine, digests, record("ebank", "7", "张三丰", id=ID_A))
    again = stewards.run(merges.ask_merge, nos, reason="x")
    assert again.id != asked.id and stewards.approve(again).status is Status.DONE
    assert scalar(engine, f"SELECT status FROM operation WHERE id = {asked.id}") == "REJECTED"


def test_what_arrived_since_goes_to_whom_it_fits(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """Also where a later merge had tied it to the survivor."""
    deliver(
        engine,
        digests,
        record("core", "2", "张叁丰", id=ID_B, day=2),
        record("core", "3", "章三丰", phone="13911115555"),
    )
    merge = stewards.merge("core:1", "core:2", survivor="core:1", evidence="x")
    deliver(engine, digests, record("loan", "2", "张叁丰", id=ID_B))
    stewards.merge("core:1", "core:3", survivor="core:1")
    assert len(parties(engine)) == 1
    stewards.reverse(merge)
    assert parties(engine) == {frozenset({"core:1", "card:1", "core:3"}), frozenset({"core:2", "loan:2"})}


def test_an_ended_tie_leaves_nothing_that_a_rebuild_would_find(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(
        engine,
        digests,
        record("core", "1", "赵一一", phone="13900001111"),
        record("core", "2", "赵二二", phone="13900002222"),
    )
    deliver(engine, digests, record("core", "4", "张三丰", id=ID_A))
    stewards.merge("core:1", "core:2", "core:4")
    deliver(engine, digests, record("card", "3", "李四光", phone="13900003333"))
    stewards.judge("core:2", "card:3", Verdict.NOT_SAME)
    deliver(engine, digests, record("card", "3", "张三丰", id=ID_A, day=3))
    stewards.split("core:4", "core:2")
    stored = parties(engine)
    run_transaction(engine, lambda s: rebuild(s, stewards.context()))
    assert parties(engine) == stored


def test_a_request_is_not_approved_for_somebody_else(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    asked = stewards.run(merges.ask_merge, stewards.nos(["core:1", "core:2"]), reason="x", evidence="证明 1")
    deliver(engine, digests, record("core", "2", "欧阳锋", id=ID_B, day=5))
    with pytest.raises(OperationStale):
        stewards.approve(asked)


def test_a_clerks_word_is_not_lifted_by_evidence(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("loan", "5", "张三风", phone="13911119999", not_same_as=(("core", "1"),)))
    with pytest.raises(MergeBlocked) as blocked:
        stewards.merge("core:1", "loan:5", evidence="x")
    assert [f.rule for f in blocked.value.findings] == ["STATED_NOT_SAME"]
    stewards.merge("core:1", "loan:5", override=["STATED_NOT_SAME"])
    assert stewards.no("core:1") == stewards.no("loan:5")
    stewards.merge("core:1", "core:2")  # that was one customer's own affair


def test_a_record_placed_by_a_person_leads_no_stranger_in(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """A wrong merge: the record turns into another customer's, whom the engine would find under his number."""
    deliver(engine, digests, record("loan", "9", "王五一", id=citizen(9)))
    stewards.merge("core:1", "core:2")
    before = stewards.no("core:1"), stewards.no("loan:9")
    deliver(engine, digests, record("core", "2", "王五一", id=citizen(9), day=9))
    assert (stewards.no("core:2"), stewards.no("loan:9")) == before
    assert [kind for kind, *_ in reviews(engine)] == ["MISFIT"]
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR'") == 1
    deliver(engine, digests, record("ebank", "1", "张三丰", id=ID_A), record("ebank", "9", "王五一", id=citizen(9)))
    assert (stewards.no("ebank:1"), stewards.no("ebank:9")) == before
    run_transaction(engine, lambda s: rebuild(s, stewards.context()))
    assert (stewards.no("core:2"), stewards.no("loan:9"), stewards.no("ebank:9")) == (*before, before[1])


def test_what_a_person_placed_stays_where_others_join_it(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(
        engine,
        digests,
        record("loan", "3", "赵六七", phone="13911117777"),
        record("loan", "4", "赵六柒", phone="13911118888"),
    )
    stewards.merge("loan:3", "loan:4")
    no = stewards.no("loan:3")
    deliver(
        engine,
        digests,
        record("loan", "3", "赵六七", id=ID_A, phone="13911117777", day=9),
        record("card", "1", "赵六七", id=ID_A, day=9),
        record("core", "1", "赵六七", id=ID_A, day=9),
    )
    assert stewards.no("loan:4") == stewards.no("loan:3") == no


@pytest.mark.parametrize(
    ("maker", "checker", "other"),
    [
        (("app", "anna"), ("app", "bert"), True),
        (("app", "anna"), ("branch", "bert"), True),
        (("anna", ""), ("bert", ""), True),
        (("app", "anna"), ("app", "Anna"), False),
        (("app", "anna"), ("branch", "anna"), False),
        (("app", "anna"), ("branch", ""), False),
        (("app", ""), ("app", "bert"), False),
        (("app", ""), ("app", ""), False),
        (("app", "张三"), ("app", "张三 "), False),
        (("app", "张三"), ("app", "张\u3000三"), False),
        (("app", "张三"), ("app", "张三\u200b"), False),
        (("app", "张三"), ("app", "\u2066张三\ufe0f"), False),
        (("app", "zhang"), ("app", "ＺＨＡＮＧ"), False),
        (("app", "张三"), ("app", "\u200b"), False),
        (("app", "\u3000"), ("app", "李四"), False),
        (("app", "李四-1"), ("app", "李四-2"), True),
    ],
)
def test_who_is_another_person(
    digests: KeyDigests, maker: tuple[str, str], checker: tuple[str, str], other: bool
) -> None:
    """Caller and clerk of each. Who names no clerk may be any of his caller's; who is spelled otherwise is the same."""
    context = Context(DAY, "test", digests, Call(checker[0], checker[1]))
    with nullcontext() if other else pytest.raises(MakerIsChecker):
        must_be_other(context, Call(*maker).person, maker[0])


def test_who_does_not_say_who_he_is_decides_nothing(digests: KeyDigests) -> None:
    with pytest.raises(MakerIsChecker):
        must_be_other(Context(DAY, "batch", digests), "anna", "app")


def test_what_a_clerk_wrote_on_a_number_goes_where_it_goes(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """Else his next change of the customer would land on the one who kept the record."""
    clerk, (a, b) = Clerk(engine, digests), stewards.nos(["core:1", "core:2"])
    deliver(engine, digests, B2)
    stewards.merge("core:2", "loan:2", survivor="core:2")
    clerk.patches(b, occupation="教师")
    stewards.merge("core:1", "core:2", survivor="core:1")
    stewards.split("core:1", "core:2", "loan:2")
    assert stewards.no("core:2") == b
    changed = clerk.patches(b, occupation="医生")
    assert (changed.customer_no, clerk.value(b, "occupation"), clerk.value(a, "occupation")) == (b, "医生", None)


def test_a_split_that_would_leave_only_merged_numbers_is_refused_at_once(stewards: Stewards) -> None:
    stewards.merge("core:1", "core:2", survivor="core:1")
    named = stewards.no("core:1"), [("core", "1"), ("card", "1")]
    for work, why in ((splits.preview_split, {}), (splits.ask_split, {"reason": "x"})):
        with pytest.raises(OnlyByUndo):
            stewards.run(work, *named, **why)


def test_the_same_split_again_is_the_same_operation(engine: Engine, digests: KeyDigests) -> None:
    """In whatever order its records and accounts are named, and how often."""
    stewards, accounts = Stewards(engine, digests), held("SAVINGS", 2)
    deliver(engine, digests, replace(A1, accounts=accounts), A2, record("loan", "1", "张三丰", id=ID_A))
    names, given = [("card", "1"), ("loan", "1")], [(("core", "1"), account.number) for account in accounts]
    first, again = (
        stewards.run(splits.ask_split, stewards.no("core:1"), *named, reason="x")
        for named in ((names, given), ([*names[::-1], names[0]], given[::-1]))
    )
    assert again.id == first.id


def test_an_account_that_was_given_away_is_not_given_again(engine: Engine, digests: KeyDigests) -> None:
    stewards, number = Stewards(engine, digests), "6225990000001234"
    deliver(
        engine, digests, replace(A1, accounts=(Account(number, "SAVINGS", AccountStatus.NORMAL),)), A2,
        record("loan", "1", "张三丰", id=ID_A),
    )  # fmt: skip
    stewards.split("core:1", "card:1", accounts=[("core:1", number)])
    with pytest.raises(AccountNotOfCustomer):
        stewards.split("core:1", "loan:1", accounts=[("core:1", number)])


def test_an_account_that_was_given_away_comes_back_or_goes_on(engine: Engine, digests: KeyDigests) -> None:
    """Back where a split parts the two records again and does not name it; on where its owner keeps it and it is named."""
    stewards, number = Stewards(engine, digests), "6225990000001234"
    said = replace(A1, accounts=(Account(number, "SAVINGS", AccountStatus.NORMAL),))
    deliver(engine, digests, said, A2, record("loan", "1", "张三丰", id=ID_A))

    def held_by(key: str) -> bool:
        """Also when everything is derived again."""
        for again in (False, True):
            if again:
                run_transaction(engine, lambda session: rebuild(session, stewards.context()))
            with transaction(engine) as session:
                no = stewards.no(key)
                if [a.number for a in customers.accounts(session, no)] != [number]:
                    return False
                if customers.find(session, digests, customers.search_keys(account=number)) != [no]:
                    return False
        return True

    named = [("core:1", number)]
    stewards.split("core:1", "card:1", accounts=named)
    stewards.judge("core:1", "card:1", Verdict.WITHDRAWN)
    assert held_by("core:1")
    stewards.split("core:1", "card:1", accounts=named)
    assert held_by("card:1")
    stewards.judge("core:1", "card:1", Verdict.WITHDRAWN)
    stewards.split("core:1", "card:1")
    assert held_by("core:1")
    deliver(engine, digests, replace(said, business_time=DAY + timedelta(days=3)))
    assert held_by("core:1")
    stewards.split("core:1", "loan:1", accounts=named)
    deliver(engine, digests, record("ebank", "5", "王五一", phone="13911114321"))
    stewards.merge("loan:1", "ebank:5", survivor="loan:1")
    stewards.split("loan:1", "ebank:5", accounts=named)
    assert held_by("ebank:5")


def held(what: str, size: int = 1, first: int = 0, *, closed: bool = False) -> tuple[Account, ...]:
    """Open accounts of a class (I, II, III) or of a kind."""
    status, of_class = AccountStatus.CLOSED if closed else AccountStatus.NORMAL, what in AccountClass.__members__
    return tuple(
        Account(
            f"62170000{first + n:08d}",
            "SAVINGS" if of_class else what,
            status,
            account_class=AccountClass(what) if of_class else None,
        )
        for n in range(size)
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        (held("SAVINGS"), held("SAVINGS"), {}),
        (held("I"), held("I"), {"BOTH_HOLD_CLASS_I": {"001": 2}}),
        (held("I"), held("I", closed=True), {}),
        (held("I", 2), held("II"), {}),
        (held("II", 3), held("II", 2), {}),
        (held("II", 3), held("II", 3), {"CLASS_II_MAX": {"001": 6}}),
        (held("III", 3), held("III", 3), {}),
        (held("DEBIT_CARD", 2), held("DEBIT_CARD", 2), {}),
        (held("DEBIT_CARD", 2), held("DEBIT_CARD", 3), {"DEBIT_CARDS_MAX": {"001": 5}}),
        (held("金卡", 5), held("CARD", 5), {}),
        (held("I") + held("DEBIT_CARD", 4, 1), held("I") + held("DEBIT_CARD", 1, 1), {
            "BOTH_HOLD_CLASS_I": {"001": 2}, "DEBIT_CARDS_MAX": {"001": 5},
        }),
    ],
)  # fmt: skip
@pytest.mark.parametrize("system", ["core", "card", "loan"])
def test_how_many_accounts_of_a_class_and_debit_cards_one_may_hold(
    engine: Engine,
    digests: KeyDigests,
    ours: tuple[Account, ...],
    theirs: tuple[Account, ...],
    found: dict[str, dict[str, int]],
    system: str,
) -> None:
    """Whichever system keeps them; of credit cards there is no most."""
    stewards = Stewards(engine, digests)
    others = tuple(replace(account, number=f"{account.number}1") for account in theirs)
    deliver(engine, digests, replace(A1, accounts=ours), replace(B2, system=system, key="7", accounts=others))
    preview = stewards.run(merges.preview_merge, stewards.nos(["core:1", f"{system}:7"]))
    told = {f.rule: dict(f.data) for f in preview.findings}
    counted = {"BOTH_HOLD_CLASS_I": "class_i", "CLASS_II_MAX": "class_ii", "DEBIT_CARDS_MAX": "debit_cards"}
    sums = {
        rule: {entity: sum(n.values()) if isinstance(n, dict) else n for entity, n in told[rule][name].items()}
        for rule, name in counted.items()
        if rule in told
    }
    assert sums == found


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        ((held("I"), held("I")), []),
        ((held("II", 5), held("II", 5)), []),
        ((held("DEBIT_CARD", 4), held("DEBIT_CARD", 3)), []),
        ((held("I"), held("I", 2)), []),
        ((held("I"), held("I"), held("I", 1, 9)), ["BOTH_HOLD_ACCOUNTS", "BOTH_HOLD_CLASS_I"]),
        ((held("II", 4), held("II", 4, 2)), ["BOTH_HOLD_ACCOUNTS", "CLASS_II_MAX"]),
        ((held("I"), (replace(held("I")[0], number="6217****0001"),)), ["BOTH_HOLD_ACCOUNTS", "BOTH_HOLD_CLASS_I"]),
    ],
)  # fmt: skip
def test_an_account_that_several_records_name_is_one(
    engine: Engine, digests: KeyDigests, sides: tuple[tuple[Account, ...], ...], found: list[str]
) -> None:
    """Of what customers have in common none holds more by a merge; a hidden number may be any."""
    people = zip((A1, B2, record("card", "7", "王五一")), sides, strict=False)
    deliver(engine, digests, *(replace(person, accounts=accounts) for person, accounts in people))
    stewards = Stewards(engine, digests)
    preview = stewards.run(merges.preview_merge, stewards.nos(["core:1", "loan:2", "card:7"][: len(sides)]))
    assert [f.rule for f in preview.findings] == found


def test_what_one_may_hold_is_counted_bank_by_bank(engine: Engine, digests: KeyDigests) -> None:
    stewards = Stewards(engine, digests)
    deliver(engine, digests, replace(A1, accounts=held("I")), replace(B2, legal_entity="002", accounts=held("I", 1, 1)))
    preview = stewards.run(merges.preview_merge, stewards.nos(["core:1", "loan:2"]))
    assert [f.rule for f in preview.findings] == ["BOTH_HOLD_ACCOUNTS"]


@pytest.mark.parametrize("branch", [True, False])
def test_a_branch_is_found_among_however_many_records(branch: bool) -> None:
    head, other = "深圳市华兴科技有限公司", "深圳市华兴科技有限公司广州分公司" if branch else "深圳华兴科技公司"
    names = [*([head, ""] * 200), other]
    firms = {
        n: features_of(record("core", str(n), name, party_type=PartyType.ORGANIZATION)) for n, name in enumerate(names)
    }
    ours, theirs = tuple(range(400)), (*range(1, 400, 2), 400)
    members = Members(
        {no: Member(no, "ORGANIZATION", "ACTIVE", 1, ids[0], ids) for no, ids in (("a", ours), ("b", theirs))},
        firms,
        {},
    )
    found = [f.rule for f in merge_findings.blocks(members)]
    assert found == (["HEAD_AND_BRANCH"] if branch else [])


def test_an_undo_leaves_the_survivor_his_number_though_he_had_one_record(engine: Engine, digests: KeyDigests) -> None:
    """One number, two names, and the other customer has several records, whom the merge tied to each other."""
    stewards = Stewards(engine, digests)
    others = (record("card", "1", "张三丰", id=ID_A), record("loan", "2", "张三丰", id=ID_A))
    deliver(engine, digests, record("core", "0", "李四光", id=ID_A), *others, record("ebank", "3", "张三丰", id=ID_A))
    before, nos = golden(engine), stewards.nos(["core:0", "card:1"])
    stewards.reverse(stewards.merge("core:0", "card:1", survivor="core:0"))
    assert golden(engine) == before and stewards.nos(["core:0", "card:1"]) == nos
