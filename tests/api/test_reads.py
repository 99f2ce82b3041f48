"""Reads that callers repeat, keep, or ask many at once, in both times; and clear values, by class and on the record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from people import DAY
from served import CARD, EMAIL, ID_A, PHONE, Api, token
from sqlalchemy import text

WHY = {"X-Purpose": "counter service"}
READER = ("customers:read", "accounts:read")


def clear_reads(api: Api) -> list[Any]:
    """The log of clear reads, forgotten when it was read."""
    with api.engine.begin() as connection:
        return sorted(
            connection.execute(
                text(
                    "DELETE FROM clear_read RETURNING customer_no, caller, operator, channel, purpose, fields, request_id"
                )
            )
        )


@pytest.mark.parametrize("tags", ['"v3"', 'W/"v3"', '"v1", W/"v3" , "v9"', "*"])
def test_a_version_that_the_caller_holds_is_not_sent_again(api: Api, tags: str) -> None:
    path = f"/v1/customers/{api.no('core:1')}"
    answer = api.get(path, headers={"If-None-Match": tags})
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", '"v3"')
    assert api.get(f"{path}/lineage", headers={"If-None-Match": tags}).status_code == 304


@pytest.mark.parametrize("tags", ['"v2"', '"v33"', "v3", "", '"w3"'])
def test_another_version_is_sent_whole(api: Api, tags: str) -> None:
    answer = api.get(f"/v1/customers/{api.no('core:1')}", headers={"If-None-Match": tags})
    assert answer.status_code == 200 and answer.json()["version"] == 3


def test_answers_are_for_one_caller_and_one_purpose(api: Api) -> None:
    for path in (
        f"/{api.no('core:1')}",
        f"/{api.no('core:1')}/accounts",
        f":batch?no={api.no('core:1')}",
        "?name=张三丰",
    ):
        headers = api.get(f"/v1/customers{path}").headers
        assert headers["Cache-Control"] == "private, no-cache" and headers["Vary"] == "Authorization, X-Purpose"


def test_a_merged_number_names_the_survivor_s_version_and_is_never_kept(api: Api) -> None:
    answer = api.get(f"/v1/customers/{api.no('merged')}", headers={"If-None-Match": '"v3"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v3"')
    assert answer.headers["Cache-Control"] == "no-store"


def test_many_numbers_at_once_in_the_order_asked(api: Api) -> None:
    live, wife, merged = api.no("core:1"), api.no("core:2"), api.no("merged")
    body = api.get(
        "/v1/customers:batch", params={"no": [wife, merged, "100000009998", live, "999999999999", wife]}
    ).json()
    assert [(i["requested_no"], i["customer_no"], i["redirected"]) for i in body["items"]] == [
        (wife, wife, False), (merged, live, True), (live, live, False), (wife, wife, False),
    ]  # fmt: skip
    assert body["missing"] == ["100000009998", "999999999999"]
    assert body["items"][2] == api.get(f"/v1/customers/{live}").json()
    few = api.get("/v1/customers:batch", params={"no": [live], "sections": ["phones"], "provenance": "true"}).json()
    assert "fields" not in few["items"][0] and "sources" in few["items"][0]["phones"][0]


def test_at_most_a_hundred_at_once(api: Api) -> None:
    nos = [f"9{n:011d}" for n in range(101)]
    assert len(api.get("/v1/customers:batch", params={"no": nos[:100]}).json()["missing"]) == 100
    for wrong in (nos, [], ["1"]):
        answer = api.get("/v1/customers:batch", params={"no": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "ECIF-1001")


def test_what_was_answered_then(api: Api) -> None:
    live, merged = api.no("core:1"), api.no("merged")
    history = api.get(f"/v1/customers/{live}/history").json()["items"]
    for item in history:
        as_of = {"as_of": item["recorded_at"]}
        body = api.get(f"/v1/customers/{item['customer_no']}", params=as_of).json()
        if "merged_into" in item["record"]:
            assert (body["customer_no"], body["redirected"]) == (live, True)
        else:
            assert body["version"] == item["version"]
            assert {name: body[name] for name in item["record"]} == item["record"]
    answer = api.get(f"/v1/customers/{merged}", params={"as_of": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (404, "ECIF-2005")
    answer = api.get("/v1/customers/100000009998", params={"as_of": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (404, "ECIF-2001")


def test_what_was_so_then(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}"
    asked = {"valid_at": f"{DAY + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}
    answer = api.get(path, params=asked)
    assert "version" not in answer.json() and "ETag" not in answer.headers
    assert [p["number"] for p in answer.json()["phones"]] == ["139****5670"]
    assert api.get(f"/v1/customers/{api.no('merged')}", params=asked).json()["redirected"]
    answer = api.get(path, params={"valid_at": "2020-01-01T08:00:00+08:00"})
    assert (answer.status_code, answer.json()["code"]) == (404, "ECIF-2005")


@pytest.mark.parametrize(
    "wrong", ["2026-01-01T00:00:00", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"]
)
@pytest.mark.parametrize("time", ["as_of", "valid_at"])
def test_a_time_needs_its_zone_and_lies_within_reason(api: Api, time: str, wrong: str) -> None:
    answer = api.get(f"/v1/customers/{api.no('core:1')}", params={time: wrong})
    assert (answer.status_code, answer.json()["code"]) == (422, "ECIF-1001")


CLASSES = {
    "identity": (ID_A, "张三丰", "1990-01-01"),
    "contact": (PHONE, EMAIL, "人民路9号"),
    "account": (CARD,),
}


@pytest.mark.parametrize("granted", CLASSES)
def test_a_caller_sees_clear_only_the_classes_of_his_scopes(api: Api, granted: str) -> None:
    scopes, no = (*READER, f"pii:clear:{granted}"), api.no("core:1")
    shown = "".join(
        api.get(f"/v1/customers/{no}{part}", scopes=scopes, headers=WHY).text
        for part in ("", "/accounts", "/history", "/lineage")
    )
    for name, values in CLASSES.items():
        assert all((value in shown) == (name == granted) for value in values), name
    masked = api.get(f"/v1/customers/{no}", scopes=READER).text
    assert api.get(f"/v1/customers/{no}", scopes=scopes).text == masked  # he does not say what for
    clear_reads(api)


def test_each_clear_read_is_on_record(api: Api) -> None:
    live, wife, merged = api.no("core:1"), api.no("core:2"), api.no("merged")
    clear_reads(api)
    told = {"X-Purpose": "柜面核身".encode(), "X-Operator": "1234", "X-Channel": "COUNTER", "X-Request-Id": "r-1"}

    def logged(path: str, *scopes: str, **params: Any) -> list[Any]:
        answer = api.get(f"/v1/customers{path}", scopes=(*READER, *scopes), headers=told, params=params)
        assert answer.status_code == 200, answer.text
        rows = clear_reads(api)
        assert {row[1:5] + row[6:] for row in rows} <= {("tester", "1234", "COUNTER", "柜面核身", "r-1")}
        return [(row.customer_no, row.fields) for row in rows]

    identity = "aliases,birth_date,identifiers,latin_name,name"
    assert logged(f"/{live}", "pii:clear:identity") == [(live, identity)]
    assert logged(f"/{merged}", "pii:clear:identity") == [(live, identity)]
    assert logged(f"/{live}", "pii:clear:contact", sections=["phones", "identifiers"]) == [(live, "phones")]
    assert logged(":batch", "pii:clear:contact", no=[wife, live, merged], sections=["emails"]) == [
        (live, "emails"),
        (wife, "emails"),
    ]
    assert logged("", "pii:clear", phone=PHONE) == [(live, "birth_date,employer,latin_name,name")]
    assert logged(f"/{live}/accounts", "pii:clear:account") == [(live, "accounts")]
    assert logged(f"/{live}/relations", "pii:clear:identity") == [(live, "relations")]
    assert logged(f"/{live}/lineage", "pii:clear:identity") == [(live, identity)]
    assert logged(f"/{live}/history", "pii:clear:identity") == [(live, identity), (merged, identity)]
    for part in ("", "/accounts", "/sources", "/history"):
        assert (
            logged(f"/{live}{part}")
            == logged(f"/{live}{part}", "pii:clear", **({} if part == "/sources" else {"clear": "false"}))
            == []
        )
    assert logged("", "pii:clear", phone="13800000009") == []


def test_what_cannot_be_logged_is_not_answered(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(text("ALTER TABLE clear_read ADD CONSTRAINT refuse CHECK (false) NOT VALID"))
    try:
        answer = api.get(f"/v1/customers/{api.no('core:1')}", headers=WHY)
        assert answer.status_code == 500 and ID_A not in answer.text
        assert api.get(f"/v1/customers/{api.no('core:1')}").status_code == 200
    finally:
        with api.engine.begin() as connection:
            connection.execute(text("ALTER TABLE clear_read DROP CONSTRAINT refuse"))


def test_headers_are_bounded_and_a_channel_is_the_caller_s(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}"
    for name, value in (("X-Purpose", "x" * 201), ("X-Operator", "x" * 65), ("X-Channel", "MOON")):
        body = api.get(path, headers={name: value}).json()
        assert (body["code"], body["errors"][0]["field"]) == ("ECIF-1001", f"header.{name}")
    stranger = token("customers:read", channels=["ATM"])
    assert api.client.get(path, headers=stranger | {"X-Channel": "ATM"}).status_code == 200
    answer = api.client.get(path, headers=stranger | {"X-Channel": "COUNTER"})
    assert (answer.status_code, answer.json()["code"]) == (403, "ECIF-5004")


def test_a_search_by_account_needs_the_right_to_accounts(api: Api) -> None:
    answer = api.get("/v1/customers", params={"account": CARD}, scopes=("customers:read",))
    assert (answer.status_code, answer.json()["detail"]) == (403, "accounts:read")
