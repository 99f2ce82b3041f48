"""Opening against what is there already: keys that are taken, verdicts of clerks, numbers of many."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from clerk import Clerk, customer
from people import citizen, deliver, parties, record
from sqlalchemy import Engine

from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.domain.completeness import Profile
from ecif.domain.existence import Existence, Mode
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Identifier, PartyRecord, PartyType
from ecif.services.context import KeyDigests
from ecif.services.existence import check
from ecif.services.opening import (
    OpeningIncomplete,
    OpeningRefused,
    SourceKeyTaken,
    VerdictContradicted,
    open_customer,
)

ID_A, ID_B = citizen(1), citizen(3, "19910202")
PHONE = "13912345670"
NEIGHBOUR = {"phone": PHONE, "male": True}


@pytest.fixture
def clerk(engine: Engine, digests: KeyDigests) -> Clerk:
    return Clerk(engine, digests)


def found(clerk: Clerk, said: PartyRecord, mode: Mode = Mode.STRICT) -> Existence:
    context = clerk.context(Channel.COUNTER)
    return run_transaction(clerk.engine, lambda s: check(s, context, replace(said, system="", key=""), mode)).result


def test_a_key_that_stands_for_somebody_else_opens_nobody(clerk: Clerk) -> None:
    clerk.opens(record("", "k1", "张三丰", id=ID_A), Channel.EBANK)
    other = record("", "k1", "李四光", id=ID_B)
    for return_existing in (True, False):
        with pytest.raises(SourceKeyTaken):
            clerk.opens(other, Channel.EBANK, return_existing=return_existing)
    again = record("", "k1", "张三丰", id=ID_A, phone=PHONE)
    assert clerk.opens(again, Channel.EBANK, return_existing=True) == customer(clerk.engine, "ebank", "k1")


def test_a_suspect_who_holds_another_number_is_not_the_same(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    """Two valid numbers are two people, whatever is confirmed, and nobody loses a record by it."""
    deliver(
        engine,
        digests,
        record("core", "1", "张三丰", id=ID_A, **NEIGHBOUR),
        record("ebank", "1", "张三丰", **NEIGHBOUR),
    )
    no, before = customer(engine, "core", "1"), parties(engine)
    assert len(before) == 1
    new = record("", "ecif:1", "张三丰", id=ID_B, **NEIGHBOUR)
    assert found(clerk, new) is Existence.SUSPECT
    with pytest.raises(VerdictContradicted):
        clerk.opens(new, verdicts={no: True})
    assert parties(engine) == before
    other = clerk.opens(new, verdicts={no: False})
    assert other != no and parties(engine) == before | {frozenset({"counter:ecif:1"})}


def test_two_of_whom_it_was_said_that_they_are_not_one_are_asked_about_again_under_one_number(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    deliver(engine, digests, record("ebank", "1", "张三丰", **NEIGHBOUR))
    no = customer(engine, "ebank", "1")
    clerk.opens(record("", "ecif:1", "张三丰", id=ID_B, **NEIGHBOUR), verdicts={no: False})
    result = deliver(engine, digests, record("ebank", "1", "张三丰", id=ID_B, day=1, **NEIGHBOUR))
    assert result.reviews_opened == 1 and len(parties(engine)) == 2


def test_a_number_of_too_many_is_a_placeholder(engine: Engine, digests: KeyDigests, clerk: Clerk) -> None:
    deliver(engine, digests, *(record("core", str(n), f"{'赵钱孙李周吴'[n]}大山", id=ID_A) for n in range(6)))
    assert found(clerk, record("", "", "郑大山", id=ID_A)) is Existence.PLACEHOLDER_ID
    with pytest.raises(OpeningRefused) as refused:
        clerk.opens(record("", "ecif:1", "郑大山", id=ID_A))
    assert (
        refused.value.found.faults[0].rule == "SHARED" and refused.value.found.faults[0].field == "identifiers.0.number"
    )


def test_a_number_under_which_too_many_records_stand_is_no_free_number(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    deliver(engine, digests, *(record("loan", str(n), "张三丰", id=ID_A) for n in range(501)))
    assert found(clerk, record("", "", "张三丰", id=ID_A)) is not Existence.NOT_FOUND


def test_a_branch_under_its_head_offices_code_is_not_opened_beside_it(
    engine: Engine, digests: KeyDigests, clerk: Clerk
) -> None:
    said: dict[str, Any] = {
        "id": "91110108717743469K",
        "kind": IdentifierKind.USCC,
        "party_type": PartyType.ORGANIZATION,
    }
    deliver(engine, digests, record("core", "1", "深圳市华兴科技有限公司", **said))
    branch = record("", "ecif:1", "深圳市华兴科技有限公司广州分公司", **said)
    assert found(clerk, branch) is Existence.SAME_ID_DIFFERENT_NAME


def test_nobody_is_opened_by_a_number_that_would_not_find_him_again(clerk: Clerk) -> None:
    tax = (Identifier(IdentifierKind.TAX_NO, "440300192203821"),)
    said = record("", "ecif:1", "深圳市华兴科技有限公司", identifiers=tax, party_type=PartyType.ORGANIZATION)
    with pytest.raises(OpeningIncomplete):
        clerk.opens(said)


@pytest.mark.parametrize("profile", Profile)
def test_a_child_needs_its_guardian_wherever_it_is_opened(clerk: Clerk, profile: Profile) -> None:
    child = record("mobile", "ecif:1", "张小丰", id=citizen(1, "20200101"), born=date(2020, 1, 1))
    context = clerk.context(Channel.MOBILE)
    with pytest.raises(OpeningIncomplete) as refused:
        run_transaction(
            clerk.engine,
            lambda s: open_customer(
                s,
                context,
                replace(child, business_time=context.now),
                profile=profile,
                verdicts={},
                return_existing=False,
            ),
        )
    assert "related" in refused.value.fields
