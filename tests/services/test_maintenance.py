"""What changes by calls do to a customer over the years: other sources go on speaking, numbers merge and fall apart again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from clerk import Clerk, customer
from people import citizen, deliver, parties, record
from sqlalchemy import Engine
from stewards import Stewards

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.golden import golden_record
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountStatus,
    CustomerStatus,
    Identifier,
    PartyType,
    Phone,
    PhoneKind,
)
from ecif.services import maintenance, source_records
from ecif.services.context import KeyDigests
from ecif.services.merges import MergeBlocked

ID_A, ID_B, ID_C = citizen(1), citizen(3, "19910202"), citizen(5, "19920303")
USCC, NEW_USCC = "91110108717743469K", "914403001922038216"


@pytest.fixture
def clerk(engine: Engine, digests: KeyDigests) -> Clerk:
    return Clerk(engine, digests)


def mobile(*numbers: str) -> tuple[Phone, ...]:
    return tuple(Phone(PhoneKind.MOBILE, n) for n in numbers)


def test_a_change_of_one_field_does_not_say_the_others_again(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, occupation="医生", phones=mobile("13912345670"))
    later = record("core", "1", "张三丰", id=ID_A, day=400, phone="13912345671", occupation="教师")
    deliver(engine, digests, later)
    clerk.now += timedelta(days=300)
    assert clerk.patches(no, postcode="518000").changed == ["postcode"]
    assert clerk.value(no, "occupation") == "教师"
    assert [p["number"] for p in clerk.golden(no)["phones"]] == ["13912345671", "13912345670"]


def test_a_change_keeps_where_the_customer_was_opened(clerk: Clerk) -> None:
    no = clerk.opens(record("", "ecif:1", "张三丰", id=ID_A), opened_on=date(2026, 7, 2))
    clerk.patches(no, occupation="医生")
    assert clerk.value(no, "open_branch") == "0101" and clerk.value(no, "opened_on") == "2026-07-02"


def test_a_change_does_not_decide_again_whether_the_customer_is_closed(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.decides(no, maintenance.close)
    closed_on = clerk.golden(no)["closed_on"]
    clerk.patches(no, occupation="医生")
    assert clerk.golden(no)["closed_on"] == closed_on
    clerk.decides(no, maintenance.reactivate, Channel.EBANK)
    clerk.patches(no, occupation="教师")
    assert clerk.golden(no)["status"] == "ACTIVE"


def test_who_is_opened_and_closed_on_one_day_is_closed(clerk: Clerk) -> None:
    """The bank's day is not the clock's: in the night it is a day further."""
    day = clerk.now.date() + timedelta(days=3)
    no = clerk.opens(record("", "ecif:1", "张三丰", id=ID_A), opened_on=day, on=day)
    clerk.decides(no, maintenance.close, on=day)
    assert (clerk.golden(no)["status"], clerk.golden(no)["closed_on"]) == ("CLOSED", day.isoformat())


def test_a_file_that_repeats_a_replaced_number_brings_nothing_of_it_back(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, identifiers=(Identifier(IdentifierKind.CITIZEN_ID, ID_B),))
    assert clerk.value(no, "birth_date") == "1991-02-02"
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, day=400))
    assert clerk.value(no, "birth_date") == "1991-02-02"
    assert [(i["number"], i["replaced"]) for i in clerk.golden(no)["identifiers"]] == [(ID_B, False), (ID_A, True)]


def test_a_new_number_finds_the_customer_by_the_name_he_has(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, identifiers=(Identifier(IdentifierKind.CITIZEN_ID, ID_B),))
    assert {alias["kind"] for alias in clerk.golden(no)["aliases"]} == {"NAME"}
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_B), record("card", "2", "李四光", id=ID_B))
    assert customer(engine, "card", "1") == no != customer(engine, "card", "2")


def test_a_number_that_was_replaced_by_mistake_comes_back(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, Channel.EBANK, identifiers=(Identifier(IdentifierKind.CITIZEN_ID, ID_B),))
    clerk.patches(no, identifiers=(Identifier(IdentifierKind.CITIZEN_ID, ID_A),))
    assert [(i["number"], i["replaced"]) for i in clerk.golden(no)["identifiers"]] == [(ID_A, False), (ID_B, True)]
    clerk.patches(no, Channel.EBANK, occupation="医生")
    assert [(i["number"], i["replaced"]) for i in clerk.golden(no)["identifiers"]] == [(ID_A, False), (ID_B, True)]


def test_a_company_whose_code_was_replaced_stays_one(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    said = {"id": USCC, "kind": IdentifierKind.USCC, "party_type": PartyType.ORGANIZATION}
    deliver(engine, digests, *(record(s, "1", "深圳市华兴科技有限公司", **said) for s in ("core", "loan")))
    no = customer(engine, "core", "1")
    clerk.patches(no, identifiers=(Identifier(IdentifierKind.USCC, NEW_USCC),))
    assert parties(engine) == {frozenset({"core:1", "loan:1", f"counter:ecif:{no}"})}
    deliver(engine, digests, record("card", "1", "深圳市华兴科技有限公司", **said | {"id": NEW_USCC}))
    assert len(parties(engine)) == 1


def test_what_is_said_of_the_survivor_stays_with_him(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    """Two customers are one while a record bridges them; afterwards the loser does not take the survivor's phone away."""
    bridge = {"phone": "13912345670", "male": True, "born": date(1990, 1, 1)}
    deliver(
        engine,
        digests,
        record("core", "1", "张三丰", id=ID_A),
        record("ebank", "1", "张三丰", **bridge | {"born": None}),
    )
    loser = customer(engine, "ebank", "1")
    clerk.patches(loser, occupation="医生")
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, **bridge))
    survivor = customer(engine, "core", "1")
    assert len(parties(engine)) == 1 and survivor != loser
    clerk.patches(survivor, emails=("sanfeng@example.com",))
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, day=1))
    assert len(parties(engine)) == 2
    assert [e["address"] for e in clerk.golden(survivor)["emails"]] == ["sanfeng@example.com"]
    assert clerk.golden(loser)["emails"] == [] and clerk.value(loser, "occupation") == "医生"


def test_what_is_said_of_a_number_is_never_written_onto_another(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    """However often what a channel said of him was split off."""
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    stewards, no, size = Stewards(engine, digests), customer(engine, "core", "1"), 12
    for n in range(size):
        changed = clerk.patches(no, postcode=f"5180{n:02d}")
        assert (changed.customer_no, clerk.value(no, "postcode")) == (no, f"5180{n:02d}")
        stewards.split(no, f"counter:ecif:{no}" + (f".{n + 1}" if n else ""))
    assert len(parties(engine)) == size + 1


def test_what_was_said_of_a_customer_is_never_one_of_its_own(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    """The source puts the customer's type right, or its record among the tests: what a call said of him stays with him."""
    deliver(engine, digests, record("core", "1", "深圳市华兴科技有限公司", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, postcode="518000")
    company = {"id": USCC, "kind": IdentifierKind.USCC, "party_type": PartyType.ORGANIZATION}
    deliver(engine, digests, record("core", "1", "深圳市华兴科技有限公司", day=1, **company))
    assert parties(engine) == {frozenset({"core:1", f"counter:ecif:{no}"})}
    assert clerk.golden(no)["party_type"] == "ORGANIZATION" and clerk.value(no, "postcode") == "518000"
    clerk.patches(no, postcode="518001")
    assert clerk.golden(no)["party_type"] == "ORGANIZATION" and clerk.value(no, "postcode") == "518001"
    deliver(engine, digests, record("core", "1", "测试001", day=2, **company))
    assert len(parties(engine)) == 1


def test_who_has_no_live_record_but_what_calls_said_is_still_called_by_his_name(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, occupation="医生")
    context = clerk.context(Channel.API)
    run_transaction(engine, lambda s: source_records.end(s, context, ("core", "1"), context.now))
    now = clerk.golden(no)
    assert now["fields"]["name"]["value"] == "张三丰" and now["identifiers"]
    assert (now["status"], now["closed_on"]) == ("CLOSED", context.now.date().isoformat())


def test_what_a_list_leaves_out_is_taken_away(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.patches(no, phones=mobile("13912345670", "13912345671"))
    deliver(
        engine, digests, record("core", "1", "张三丰", id=ID_A, day=400, phones=mobile("13912345672", "13912345673"))
    )
    clerk.now += timedelta(days=300)
    clerk.patches(no, phones=mobile("13912345672", "13912345673"))
    assert {p["number"] for p in clerk.golden(no)["phones"]} == {"13912345672", "13912345673"}


@pytest.mark.parametrize(
    "said",
    [
        {"phones": mobile("13800000000")},
        {"phones": mobile("13912345670", "139****5671")},
        {"name": "不详"},
        {"name": "*三丰"},
        {"identifiers": (Identifier(IdentifierKind.CITIZEN_ID, ID_B[:17] + "0"),)},
        {"identifiers": (Identifier(IdentifierKind.CITIZEN_ID, "111111111111111111"),)},
        {"identifiers": (Identifier(IdentifierKind.CITIZEN_ID, ID_B[:3] + "*" * 11 + ID_B[-4:]),)},
        {"identifiers": (Identifier(IdentifierKind.USCC, USCC),)},
        {"addresses": (record("", "", address="同上").addresses)},
        {"emails": ("z***@example.com",)},
        {"emails": ("nobody",)},
        {"birth_date": date(1900, 1, 1)},
        {"employer": "无"},
    ],
)
def test_what_cannot_be_used_is_refused(
    engine: Engine, digests: KeyDigests, clerk: Clerk, said: dict[str, Any]
) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    with pytest.raises(maintenance.PatchUnusable) as refused:
        clerk.patches(no, **said)
    assert refused.value.faults and all(fault.field.startswith(next(iter(said))) for fault in refused.value.faults)
    assert clerk.golden(no)["version"] == 1


def test_who_saw_a_number_before_it_was_merged_has_not_seen_its_survivor(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    """Versions of a number never come twice, whoever it leads to."""
    bridge = {"phone": "13912345670", "male": True}
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("ebank", "1", "张三丰", **bridge))
    loser = customer(engine, "ebank", "1")
    seen = {clerk.patches(loser, occupation=word).version for word in "甲乙丙丁"}
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, born=date(1990, 1, 1), **bridge))
    survivor = customer(engine, "core", "1")
    assert survivor != loser and clerk.golden(loser)["version"] > max(seen)
    seen.add(clerk.golden(loser)["version"])
    seen.add(clerk.patches(survivor, postcode="518000").version)
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, day=1))
    assert len(parties(engine)) == 2 and clerk.golden(loser)["version"] > max(seen)


def test_the_end_of_a_record_is_later_than_what_it_ends(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    for n in range(8):  # of two versions of one time the content decides, which here must not
        said = record("core", f"{n}", f"张三{chr(0x4E00 + n)}", id=citizen(100 + n))
        deliver(engine, digests, said)
        context, name = clerk.context(Channel.API), ("core", f"{n}")
        ended = run_transaction(
            engine,
            lambda s, c=context, n=name, at=said.business_time: source_records.end(s, c, n, at),  # type: ignore[misc]
        )
        assert ended.fate == "UPDATED"


def test_an_open_account_opens_a_closed_customer_again() -> None:
    said = record("core", "1", "张三丰", id=ID_A, accounts=(Account("1", "SAVINGS", AccountStatus.NORMAL),))
    closed = record("counter", "ecif:1", day=1, same_as=(("core", "1"),), customer_status=CustomerStatus.CLOSED)
    assert orjson.loads(golden_record("1", [said, closed]))["status"] == "ACTIVE"


DIED = partial(maintenance.mark_deceased, deceased_on=date(2026, 6, 30), evidence="死亡证明 1")
CLOSE, RESTRICT, REACTIVATE = maintenance.close, maintenance.restrict, maintenance.reactivate


@pytest.mark.parametrize(
    ("acts", "status"),
    [
        ([RESTRICT], "RESTRICTED"),
        ([CLOSE, RESTRICT], "RESTRICTED"),
        ([CLOSE, RESTRICT, DIED], "DECEASED"),
        ([RESTRICT, REACTIVATE], "ACTIVE"),
        ([CLOSE, DIED, REACTIVATE], "ACTIVE"),
        ([DIED, REACTIVATE, CLOSE], "CLOSED"),
    ],
)
def test_a_status_gets_stricter_until_it_is_lifted(
    engine: Engine, digests: KeyDigests, clerk: Clerk, acts: list[Any], status: str
) -> None:
    """Through whichever channel, one after the other."""
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    for n, act in enumerate(acts):
        assert clerk.decides(no, act, (Channel.COUNTER, Channel.API)[n % 2]).changed == ["status"]
        again = clerk.decides(no, act, Channel.COUNTER)
        assert (again.changed, again.version) == ([], n + 2)
    assert clerk.golden(no)["status"] == status
    assert clerk.golden(no).get("deceased_on") == ("2026-06-30" if status == "DECEASED" else None)
    account = (Account("1", "SAVINGS", AccountStatus.NORMAL),)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, day=400, accounts=account))
    assert clerk.golden(no)["status"] == ("ACTIVE" if status == "CLOSED" else status)


@pytest.mark.parametrize(("acts", "milder"), [([RESTRICT], CLOSE), ([DIED], CLOSE), ([DIED], RESTRICT)])
def test_a_strict_status_is_not_lifted_by_a_milder_one(
    engine: Engine, digests: KeyDigests, clerk: Clerk, acts: list[Any], milder: Any
) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    for act in acts:
        clerk.decides(no, act)
    with pytest.raises(maintenance.StatusStands) as stands:
        clerk.decides(no, milder)
    assert stands.value.status == clerk.golden(no)["status"] != "ACTIVE"


def test_a_day_of_death_is_put_right(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    no = customer(engine, "core", "1")
    clerk.decides(no, DIED)
    clerk.decides(no, partial(DIED, deceased_on=date(2026, 6, 29)))
    assert clerk.golden(no)["deceased_on"] == "2026-06-29"


@pytest.mark.parametrize(
    ("died_on", "company", "rule"),
    [
        (date(2026, 7, 3), False, "NOT_IN_LIFE"),
        (date(1989, 12, 31), False, "NOT_IN_LIFE"),
        (date(2026, 6, 1), True, "NO_PERSON"),
    ],
)
def test_who_cannot_have_died_then(
    engine: Engine, digests: KeyDigests, clerk: Clerk, died_on: date, company: bool, rule: str
) -> None:
    firm = {"id": USCC, "kind": IdentifierKind.USCC, "party_type": PartyType.ORGANIZATION}
    deliver(
        engine,
        digests,
        record("core", "1", "深圳市华兴科技有限公司" if company else "张三丰", **(firm if company else {"id": ID_A})),
    )
    with pytest.raises(maintenance.PatchUnusable) as refused:
        clerk.decides(customer(engine, "core", "1"), partial(DIED, deceased_on=died_on))
    assert [(f.field, f.rule) for f in refused.value.faults] == [("deceased_on", rule)]


@pytest.mark.parametrize("survivor", ["core:1", "ebank:2"])
@pytest.mark.parametrize("both", [False, True])
def test_a_closing_closes_what_it_knew(
    engine: Engine, digests: KeyDigests, clerk: Clerk, survivor: str, both: bool
) -> None:
    """A merge leaves the other customer's relationship open, whichever number stays; the undo closes nobody and opens nobody."""
    stewards, closed = Stewards(engine, digests), record("core", "1", "张叁丰", phone="13911112222")
    deliver(engine, digests, closed, record("ebank", "2", "张三丰", id=ID_A))
    one, other = customer(engine, "core", "1"), customer(engine, "ebank", "2")
    for no in (one, other)[: 1 + both]:
        clerk.decides(no, CLOSE)
    merge = stewards.merge("core:1", "ebank:2", survivor=survivor, override=["CLOSED"])
    expected = "CLOSED" if both else "ACTIVE"
    assert clerk.golden(one)["status"] == expected
    deliver(engine, digests, replace(closed, business_time=closed.business_time + timedelta(days=400)))
    assert clerk.golden(one)["status"] == expected
    stewards.reverse(merge)
    assert [clerk.golden(no)["status"] for no in (one, other)] == ["CLOSED", expected]
    deliver(engine, digests, record("loan", "3", "张叁丰", phone="13911112222"))
    stewards.merge("core:1", "loan:3", override=["CLOSED"])
    clerk.decides(one, CLOSE, Channel.EBANK)
    assert clerk.golden(one)["status"] == "CLOSED"


@pytest.mark.parametrize(("act", "rule"), [(RESTRICT, "RESTRICTED"), (DIED, "DECEASED")])
@pytest.mark.parametrize("survivor", ["core:1", "core:2"])
def test_a_merge_makes_nobody_look_active(
    engine: Engine, digests: KeyDigests, clerk: Clerk, act: Any, rule: str, survivor: str
) -> None:
    """Not even where the other one was reactivated later. Who lifts the status of both lifts it on the number he saw: an undo
    gives the other his own back."""
    stewards = Stewards(engine, digests)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("core", "2", "张叁丰"))
    strict, other = customer(engine, "core", "1"), customer(engine, "core", "2")
    clerk.decides(strict, act)
    clerk.decides(other, CLOSE)
    clerk.decides(other, REACTIVATE)
    with pytest.raises(MergeBlocked) as blocked:
        stewards.merge("core:1", "core:2")
    assert [f.rule for f in blocked.value.findings] == [rule]
    merge = stewards.merge("core:1", "core:2", survivor=survivor, override=[rule])
    assert clerk.golden(strict)["status"] == clerk.golden(other)["status"] == rule
    clerk.now += timedelta(days=60)
    clerk.decides(other, REACTIVATE)
    assert clerk.golden(strict)["status"] == "ACTIVE"
    stewards.reverse(merge)
    assert (clerk.golden(strict)["status"], clerk.golden(other)["status"]) == (
        "ACTIVE" if survivor == "core:1" else rule, "ACTIVE",
    )  # fmt: skip
