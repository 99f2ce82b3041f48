"""Is this our customer, and open him: over HTTP, as channels do it."""

from __future__ import annotations

from typing import Any

import pytest
from people import citizen
from served import COMPANY, ID_A, ID_WIFE, PHONE, USCC, Api, is_problem, token

from ecif.api.tokens import SCOPES
from ecif.domain.existence import Existence, Mode

FREE = citizen(21, "19880808")
"""The number of a person who is not a customer."""


def asked(name: str, number: str, **more: Any) -> dict[str, Any]:
    """A person, in the words of the API."""
    kind = more.pop("kind", "CITIZEN_ID")
    return {"party_type": "PERSON", "name": name, "identifiers": [{"kind": kind, "number": number}], **more}


def full(name: str, number: str, **more: Any) -> dict[str, Any]:
    """With the nine elements that a counter states."""
    body = asked(
        name, number, nationality="CHN", occupation="教师", addresses=["广东省深圳市南山区人民路9号1栋2单元301室"]
    )
    body["identifiers"][0]["valid_to"] = "2035-01-01"
    return body | {"phones": ["13812340000"]} | more


def exists(api: Api, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/customers:exists", json=body | more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(
    ("name", "number", "result"),
    [
        ("张三丰", ID_A, "EXISTS"),
        ("張三豐", ID_A.lower(), "EXISTS"),
        ("张三丰", f" {ID_A[:6]} {ID_A[6:]}", "EXISTS"),
        ("张三丰", "".join(chr(ord(c) + 0xFEE0) for c in ID_A), "EXISTS"),
        ("张三丰", ID_A[:6] + ID_A[8:17], "EXISTS"),
        ("李四光", ID_A, "SAME_ID_DIFFERENT_NAME"),
        ("张三丰", ID_A[:17] + ("1" if ID_A[17] != "1" else "2"), "INVALID_ID"),
        ("张三丰", "111111111111111111", "PLACEHOLDER_ID"),
        ("王五", FREE, "NOT_FOUND"),
    ],
)
def test_the_check_by_number(api: Api, name: str, number: str, result: str) -> None:
    for mode in ("STRICT", "LOOKUP"):
        found = exists(api, asked(name, number), mode=mode)
        assert found["result"] == result and found["action_zh"] and found["action_en"]
        assert ("customer_no" in found) == (result == "EXISTS")
        if result == "EXISTS":
            assert found["customer_no"] == api.no("core:1") and "三丰" not in found["name"]


def test_for_display_a_wrong_number_is_told_unless_somebody_is_found(api: Api) -> None:
    wrong = ID_A[:17] + ("1" if ID_A[17] != "1" else "2")
    for number, result in ((wrong, "INVALID_ID"), ("111111111111111111", "PLACEHOLDER_ID")):
        found = exists(api, asked("王五", number), mode="DISPLAY")
        assert (found["result"], found["errors"][0]["field"]) == (result, "body.identifiers.0.number")
    found = exists(api, asked("张三丰", wrong, phones=[PHONE], gender="MALE"), mode="DISPLAY")
    assert found["result"] == "SUSPECT" and found["errors"]


@pytest.fixture(scope="module")
def bank(api: Api) -> Api:
    """A customer whose second number was merged into the first, and one who was closed."""
    said: dict[str, Any] = {"party_type": "PERSON", "name": "欧阳归一", "business_time": "2026-01-01T00:00:00Z"}
    both = [{"kind": "CITIZEN_ID", "number": MOVED}, {"kind": "HMT_RESIDENCE", "number": MOVED_TOO}]
    gone = asked("欧阳去远", GONE) | {"business_time": "2026-01-01T00:00:00Z"}
    for path, body in (
        ("core/moved", said | {"identifiers": both[:1]}),
        ("ebank/moved", said | {"identifiers": both[1:]}),
        ("card/moved", said | {"identifiers": both}),
        ("loan/namesake", said | {"name": "张三丰", "identifiers": [{"kind": "HMT_RESIDENCE", "number": NAMESAKE}]}),
        ("core/gone", gone),
    ):
        no = api.ask("PUT", f"/v1/source-records/{path}", json=body).json()["customer_no"]
        api.numbers[path] = no
    assert api.post(f"/v1/customers/{no}:close", json={"reason": "x"}).status_code == 200
    return api


MOVED, MOVED_TOO, GONE = citizen(81, "19810101"), citizen(82, "19810101", "810000"), citizen(83, "19810101")
NAMESAKE = citizen(84, "19810101", "810000")
TWO = asked("张三丰", ID_A)
TWO["identifiers"].append({"kind": "HMT_RESIDENCE", "number": NAMESAKE})
RESULTS: dict[str, tuple[dict[str, Any], str]] = {
    "NOT_FOUND": (asked("王五", FREE), ""),
    "EXISTS": (asked("张三丰", ID_A), ""),
    "EXISTS_REDIRECTED": (asked("欧阳归一", MOVED_TOO, kind="HMT_RESIDENCE"), ""),
    "EXISTS_CLOSED": (asked("欧阳去远", GONE), ""),
    "SAME_ID_DIFFERENT_NAME": (asked("李四光", ID_A), ""),
    "AMBIGUOUS": (TWO, ""),
    "SUSPECT": (asked("张三丰", FREE, phones=[PHONE], gender="MALE") | {"identifiers": []}, "NOT_FOUND"),
    "INVALID_ID": (asked("王五", FREE[:17] + ("1" if FREE[17] != "1" else "2")), ""),
    "PLACEHOLDER_ID": (asked("王五", "000000000000000000"), ""),
}
"""A body for each, and what LOOKUP, which looks at numbers alone, answers if it is something else."""


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("result", Existence)
def test_the_nine_results_in_each_mode(bank: Api, result: str, mode: Mode) -> None:
    body, by_number = RESULTS[result]
    found = exists(bank, body, mode=mode)
    assert found["result"] == (by_number if by_number and mode is Mode.LOOKUP else result)
    if result == "EXISTS_REDIRECTED":
        assert found["requested_no"] != found["customer_no"]
    if found["result"] == "AMBIGUOUS":
        assert {c["customer_no"] for c in found["candidates"]} == {bank.no("core:1"), bank.no("loan/namesake")}


def test_a_customer_without_number_is_a_suspect_by_his_phone(api: Api) -> None:
    found = exists(api, asked("张三丰", FREE, phones=[PHONE], gender="MALE"))
    assert found["result"] == "SUSPECT", found
    suspects = {c["customer_no"]: c for c in found["candidates"]}
    assert all("identifier" in c["conflicts"] or c["agrees"] for c in suspects.values())


def test_an_organisation_by_its_code(api: Api) -> None:
    body = {"party_type": "ORGANIZATION", "name": COMPANY, "identifiers": [{"kind": "USCC", "number": USCC}]}
    found = exists(api, body)
    assert (found["result"], found["customer_no"], found["name"]) == ("EXISTS", api.no("core:3"), COMPANY)


def test_opening_gives_one_number_however_often(api: Api) -> None:
    body = full("王五一", FREE)
    counter = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "u1"}
    first = api.post("/v1/customers", json=body, headers=counter)
    assert first.status_code == 201, first.text
    assert first.json()["created"] and first.headers["Location"].endswith(first.json()["customer_no"])
    again = api.post("/v1/customers", json=body, headers=counter)
    assert again.status_code == 409 and again.json()["code"] == "ECIF-3001"
    assert again.json()["existence"]["customer_no"] == first.json()["customer_no"]
    kept = api.post("/v1/customers", json=body | {"on_exists": "return"})
    assert kept.status_code == 200 and not kept.json()["created"]
    assert kept.json()["customer_no"] == first.json()["customer_no"]


def test_a_counter_states_nine_elements(api: Api) -> None:
    answer = api.post("/v1/customers", json=asked("王五二", citizen(23, "19880808")), headers={"X-Channel": "COUNTER"})
    assert answer.status_code == 422 and answer.json()["code"] == "ECIF-1013"
    fields = {error["field"] for error in answer.json()["errors"]}
    assert fields == {f"body.{f}" for f in ("nationality", "occupation", "addresses", "phones", "identifiers.valid_to")}


@pytest.mark.parametrize("channel", ["COUNTER", "MOBILE"])
def test_a_number_that_is_none_is_told_before_what_is_missing(api: Api, channel: str) -> None:
    body = asked("王五三", "111111111111111111")
    answer = api.post("/v1/customers", json=body, headers={"X-Channel": channel})
    assert is_problem(answer, 422, "ECIF-3007")["field"] == "body.identifiers.0.number"


def test_only_a_clerk_says_who_a_suspect_is(api: Api) -> None:
    verdict = {"suspects": [{"customer_no": api.no("core:1"), "same": True}]}
    answer = api.post("/v1/customers", json=asked("张三丰", FREE, phones=[PHONE]) | verdict)
    problem = is_problem(answer, 403, "ECIF-5006")
    assert (problem["field"], problem["rule"]) == ("body.suspects", "not_confirming_channel")


@pytest.mark.parametrize("day", [0, 1.5, "0", "1600000000", "-1", "1e5"])
def test_a_number_is_no_day(api: Api, day: Any) -> None:
    answer = api.post("/v1/customers:exists", json=asked("王五", FREE, birth_date=day))
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "body.birth_date"
    answer = api.post("/v1/customers:exists", json=asked("王五", FREE), headers={"X-Business-Date": str(day)})
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "header.X-Business-Date"


def test_scopes() -> None:
    assert {"customers:check", "customers:open"} <= set(SCOPES) and token("x") and ID_WIFE
