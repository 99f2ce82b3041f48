"""What went wrong in other registers of persons, by name: the list of faults of an open one (HAPI FHIR MDM), each held here."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from people import citizen, deliver, golden, parties, record, scalar
from promises import broken
from sqlalchemy import Engine, text
from stewards import Stewards

from ecif.domain.judgements import Verdict
from ecif.services.context import KeyDigests

ID_A, ID_C = citizen(1), citizen(3)
WHO = {"name": "张三丰", "phone": "13912345670", "male": True}
"""A namesake under one phone, who may be one with either."""


@pytest.fixture
def stewards(engine: Engine, digests: KeyDigests) -> Stewards:
    return Stewards(engine, digests)


def open_reviews(engine: Engine) -> set[tuple[str, str]]:
    query = "SELECT customer_lo, customer_hi FROM merge_review WHERE closed_at IS NULL"
    with engine.connect() as connection:
        return {(lo, hi) for lo, hi in connection.execute(text(query))}


def test_one_record_is_never_matched_to_two_golden_records(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(engine, digests, record("core", "1", id=ID_A, **WHO), record("core", "2", id=ID_C, **WHO))
    deliver(engine, digests, record("card", "3", **WHO))  # fits both
    assert len(parties(engine)) == 3 and len(open_reviews(engine)) == 2
    stewards.merge("card:3", "core:1")
    assert parties(engine) == {frozenset({"card:3", "core:1"}), frozenset({"core:2"})}
    deliver(engine, digests, record("card", "3", id=ID_C, day=1, **WHO))  # now it is the other's, by its number
    links = (
        "SELECT count(*) FROM link l JOIN source_record r ON r.id = l.record_id WHERE r.key = '3' AND ended_at IS NULL"
    )
    assert scalar(engine, links) == 1 and stewards.no("card:3") == stewards.no("core:1")
    assert broken(engine) == []


@pytest.mark.parametrize("survivor", ["core:1", "core:2"])
def test_a_possible_duplicate_ends_with_the_merge_in_either_direction(
    engine: Engine, digests: KeyDigests, stewards: Stewards, survivor: str
) -> None:
    deliver(engine, digests, record("core", "1", id=ID_A, **WHO), record("core", "2", id=ID_C, **WHO))
    deliver(engine, digests, record("card", "3", **WHO))
    assert len(open_reviews(engine)) == 2
    stewards.merge("core:1", "card:3")
    stewards.merge("core:1", "core:2", survivor=survivor, evidence="证明")
    assert len(parties(engine)) == 1 and open_reviews(engine) == set() and broken(engine) == []


@pytest.mark.parametrize("accepted, rejected", [("core:1", "core:2"), ("core:2", "core:1")])
def test_the_second_candidate_can_be_rejected_after_the_first_was_accepted(
    engine: Engine, digests: KeyDigests, stewards: Stewards, accepted: str, rejected: str
) -> None:
    deliver(engine, digests, record("core", "1", id=ID_A, **WHO), record("core", "2", id=ID_C, **WHO))
    deliver(engine, digests, record("card", "3", **WHO))
    stewards.merge(accepted, "card:3")
    stewards.judge("card:3", rejected, Verdict.NOT_SAME)
    assert stewards.no("card:3") == stewards.no(accepted) != stewards.no(rejected)
    assert open_reviews(engine) == set() and broken(engine) == []


def test_survivorship_doubles_no_identifier(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("core", "2", "赵六六", id=ID_A))
    assert len(parties(engine)) == 2
    before = golden(engine)
    for _ in range(3):
        stewards.reverse(stewards.merge("core:1", "core:2"))
        stewards.judge("core:1", "core:2", Verdict.WITHDRAWN)
    assert golden(engine) == before
    stewards.merge("core:1", "core:2")
    deliver(engine, digests, record("core", "2", "赵六六", id=ID_A, phone="13912345671", day=2))
    document = json.loads(
        scalar(engine, "SELECT document FROM golden_record ORDER BY recorded_at DESC, version DESC LIMIT 1")
    )
    assert [i["number"] for i in document["identifiers"]] == [ID_A]


def test_names_of_source_records_are_never_overwritten(engine: Engine, digests: KeyDigests, stewards: Stewards) -> None:
    """Each keeps the system and the key by which its bank knows it, whatever is merged, undone and delivered anew."""
    deliver(engine, digests, *(record(system, "1", "张三丰") for system in ("core", "card", "loan")))
    known = "SELECT string_agg(id || system || key, ' ' ORDER BY id) FROM source_record"
    before, homes = scalar(engine, known), {s: stewards.no(f"{s}:1") for s in ("core", "card", "loan")}
    first = stewards.merge("core:1", "card:1", survivor="card:1")
    second = stewards.merge("card:1", "loan:1", survivor="loan:1")
    deliver(engine, digests, record("core", "1", "张三丰", day=1, phone="13912345670"))
    for merge in (second, first):
        stewards.reverse(merge)
    assert scalar(engine, known) == before and {s: stewards.no(f"{s}:1") for s in homes} == homes
    assert broken(engine) == []


def test_many_at_once_make_no_duplicate(engine: Engine, digests: KeyDigests) -> None:
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: deliver(engine, digests, record("core", str(n), "张三丰", id=ID_A)), range(24)))
    assert len(parties(engine)) == 1 and scalar(engine, "SELECT count(*) FROM party") == 1
    assert broken(engine) == []


# Re-match on change


def test_a_link_of_the_engine_is_decided_again_and_one_of_a_person_is_not(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    deliver(
        engine, digests, *(record(s, "1", "张三丰", id=ID_A) for s in ("core", "card")), record("loan", "1", "张叁丰")
    )
    deliver(engine, digests, record("core", "2", "李四光", id=ID_C))
    stewards.merge("core:1", "loan:1")
    deliver(engine, digests, record("ebank", "1", "张三丰", id=ID_A))
    one, other = stewards.no("core:1"), stewards.no("core:2")
    for system, to in (("ebank", other), ("loan", one), ("card", one)):
        deliver(engine, digests, record(system, "1", "李四光", id=ID_C, day=3))
        assert stewards.no(f"{system}:1") == to, system
    assert broken(engine) == []


@pytest.mark.parametrize("told_first", [True, False])
def test_nobody_is_asked_of_those_who_are_tied_to_whom_he_was_told_apart_from(
    engine: Engine, digests: KeyDigests, stewards: Stewards, told_first: bool
) -> None:
    """core:1 is not core:2, who is card:3: whether core:1 is card:3 is no question, whichever was said first."""
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("core", "2", "王五一"))
    deliver(engine, digests, record("card", "3", "赵六六", id=ID_A))
    assert len(open_reviews(engine)) == 1
    if told_first:
        stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    stewards.merge("core:2", "card:3")
    if not told_first:
        stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    asked = "SELECT count(*) FROM doubtful_pair"
    assert open_reviews(engine) == set() and scalar(engine, asked) == 0
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, day=1, phone="13912345670"))
    assert open_reviews(engine) == set() and scalar(engine, asked) == 0


def test_nobody_is_asked_of_the_further_records_of_who_turns_out_to_be_told_apart(
    engine: Engine, digests: KeyDigests, stewards: Stewards
) -> None:
    """core:1 is not core:2, who is card:3; now core:1 is core:4 too, whose other record was a question with card:3."""
    deliver(engine, digests, record("core", "1", "张三丰"), record("core", "2", "王五一"))
    deliver(engine, digests, record("card", "3", "赵六六", id=ID_A))
    stewards.merge("core:2", "card:3", survivor="card:3")
    stewards.judge("core:1", "core:2", Verdict.NOT_SAME)
    deliver(engine, digests, *(record(system, "4", "欧阳锋", id=ID_A) for system in ("core", "loan")))
    assert len(open_reviews(engine)) == 1
    stewards.merge("core:1", "core:4", survivor="core:4")
    assert open_reviews(engine) == set() and broken(engine) == []
