"""Every read of the API, over HTTP: what it answers, in which pages, how masked, and for a merged number."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from served import CARD, CLEAR, COMPANY, DEPOSIT, EMAIL, HOME, ID_A, ID_B, ID_WIFE, OTHER_PHONE, PHONE, USCC, Api

from ecif.api.views import SECTIONS

WHY = {"X-Purpose": "counter service"}
HIS_RECORDS = ["card:7", "core:1", "ebank:u:2"]
PARTS = ("accounts", "sources", "lineage", "history", "relations")


def pages(api: Api, path: str, limit: int, **params: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found: list[list[dict[str, Any]]] = []
    after = ""
    while len(found) < 50:
        body = api.get(path, params={**params, "limit": limit, "after": after}).json()
        found.append(body["items"])
        if body["next_after"] is None:
            return found
        after = body["next_after"]
    raise AssertionError("pages without end")


def test_the_golden_record_in_sections(api: Api) -> None:
    answer = api.get(f"/v1/customers/{api.no('core:1')}")
    assert answer.status_code == 200
    body = answer.json()
    assert set(SECTIONS) <= set(body)
    assert body["customer_no"] == body["requested_no"] == api.no("core:1") and body["redirected"] is False
    assert answer.headers["ETag"] == f'"v{body["version"]}"'
    assert (body["source_records"], body["status"], body["party_type"]) == (3, "ACTIVE", "PERSON")
    assert body["fields"]["name"] == "**丰" and body["fields"]["birth_date"] == "1990-**-**"
    assert body["identifiers"][0]["number"] == f"{ID_A[:3]}{'*' * 11}{ID_A[-4:]}"
    assert {p["number"] for p in body["phones"]} == {"139****5670", "139****5688"}
    assert body["emails"] == [{"address": "s***@example.com"}]
    assert body["addresses"][0]["text"] == "广东省深圳市南山区***"
    two = api.get(f"/v1/customers/{api.no('core:1')}", params={"sections": ["phones", "fields"]}).json()
    assert set(SECTIONS) & set(two) == {"phones", "fields"}


def test_provenance_on_demand(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}"
    plain, told = api.get(path).json(), api.get(path, params={"provenance": "true"}).json()
    assert isinstance(plain["fields"]["name"], str) and "sources" not in plain["phones"][0]
    assert (told["fields"]["name"]["system"], told["fields"]["name"]["key"]) == ("core", "1")
    assert told["fields"]["name"]["rule"] == "SOURCE_PRIORITY" and told["fields"]["name"]["value"] == "**丰"
    assert {s["system"] for s in told["identifiers"][0]["sources"]} == {"core", "card"}
    lineage = api.get(f"{path}/lineage").json()
    assert {section: lineage[section] for section in SECTIONS} == {section: told[section] for section in SECTIONS}


def test_a_company_s_name_is_public(api: Api) -> None:
    body = api.get(f"/v1/customers/{api.no('core:3')}").json()
    assert body["fields"]["name"] == COMPANY and body["aliases"][0]["name"] == COMPANY
    assert USCC not in str(body)


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"identifier": ID_A}, "core:1"),
        ({"identifier": f" {ID_A.lower()} "}, "core:1"),
        ({"identifier": ID_A[:6] + ID_A[8:17], "identifier_kind": "CITIZEN_ID"}, "core:1"),
        ({"identifier": USCC}, "core:3"),
        ({"identifier": "717743469", "identifier_kind": "ORG_CODE"}, "core:3"),
        ({"identifier": "11111111111111111"}, None),
        ({"name": COMPANY}, "core:3"),
        ({"name": "李 秀英"}, "core:2"),
        ({"name": "li xiuying"}, "core:2"),
        ({"name": "XIUYING-LI"}, "core:2"),
        ({"name": "Lǐ Xiùyīng"}, "core:2"),
        ({"name": "Li Xiu"}, None),
        ({"name": "zhangsanfeng", "phone": PHONE}, "core:1"),
        ({"phone": PHONE}, "core:1"),
        ({"phone": "+86 139-1234-5670"}, "core:1"),
        ({"phone": "13800000000"}, None),
        ({"account": CARD}, "core:1"),
        ({"account": "6217 0000 0000 5678"}, "core:1"),
        ({"source_system": "ebank", "source_key": "u:2"}, "core:1"),
        ({"source_system": "core", "source_key": "404"}, None),
        ({"name": "张三丰", "phone": PHONE}, "core:1"),
        ({"name": "张三丰", "identifier": ID_B}, "loan:9"),
        ({"name": "李秀英", "phone": PHONE}, None),
        ({"account": CARD, "phone": OTHER_PHONE, "source_system": "core", "source_key": "1"}, "core:1"),
        ({"source_system": "core", "source_key": "1", "phone": "13912345699"}, None),
        ({"source_system": "core", "source_key": "2", "phone": "13912345699"}, "core:2"),
        ({"name": "张三丰", "phone": "none"}, None),
    ],
)
def test_search_finds_who_meets_every_criterion(api: Api, criteria: dict[str, str], found: str | None) -> None:
    body = api.get("/v1/customers", params=criteria).json()
    assert [item["customer_no"] for item in body["items"]] == ([api.no(found)] if found else [])
    assert body["next_after"] is None


def test_search_pages_in_number_order(api: Api) -> None:
    both = sorted({api.no("core:1"), api.no("loan:9")})
    found = pages(api, "/v1/customers", 1, name="張三豐")
    assert [[item["customer_no"] for item in page] for page in found] == [[no] for no in both]
    assert [len(page) for page in pages(api, "/v1/customers", 2, name="张三丰")] == [2]


def test_search_without_a_criterion_or_with_half_of_one_is_refused(api: Api) -> None:
    assert api.get("/v1/customers").json()["code"] == "ECIF-1002"
    for half in ({"source_system": "core"}, {"source_key": "1"}, {"identifier_kind": "PASSPORT", "name": "张三丰"}):
        answer = api.get("/v1/customers", params=half)
        assert (answer.status_code, answer.json()["code"]) == (422, "ECIF-1001")


def test_accounts_over_all_source_records(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}/accounts"
    items = api.get(path).json()["items"]
    assert [item["number"][-4:] for item in items] == ["1234", "9999", "5678"]
    assert items[2] | {"number": ""} == {
        "system": "core", "key": "1", "position": 0, "number": "", "kind": "SAVINGS", "status": "NORMAL",
        "account_class": None, "opened_on": "2020-01-02", "branch": "", "legal_entity": "001",
    }  # fmt: skip
    assert CARD not in str(items) and DEPOSIT not in str(items)
    for limit in (1, 2, 3):
        assert [*chain(*pages(api, path, limit))] == items
    clear = api.get(path, params={"clear": "true"}, headers=WHY).json()["items"]
    assert {CARD, DEPOSIT} < {item["number"] for item in clear}


def test_sources_say_which_rule_brought_them(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}/sources"
    items = api.get(path).json()["items"]
    assert [f"{item['system']}:{item['key']}" for item in items] == HIS_RECORDS
    assert {item["rule"] for item in items} - {"NEW"} and {item["origin"] for item in items} == {"AUTO"}
    for limit in (1, 2, 3):
        assert [*chain(*pages(api, path, limit))] == items


def test_relations_give_the_number_of_who_is_a_customer(api: Api) -> None:
    body = api.get(f"/v1/customers/{api.no('core:1')}/relations").json()
    (wife,) = body["items"]
    assert (wife["type"], wife["name"], wife["customer_nos"]) == ("SPOUSE", "**英", [api.no("core:2")])
    (boss,) = api.get(f"/v1/customers/{api.no('core:3')}/relations").json()["items"]
    assert boss["customer_nos"] == [api.no("core:1")]
    assert ID_WIFE not in str(body) and "李秀英" not in str(body)


def test_history_holds_every_version_also_of_a_merged_number(api: Api) -> None:
    path = f"/v1/customers/{api.no('core:1')}/history"
    items = api.get(path).json()["items"]
    versions = [(item["customer_no"], item["version"]) for item in items]
    live, merged = api.no("core:1"), api.no("merged")
    assert [v for no, v in versions if no == live] == [3, 2, 1]
    assert [v for no, v in versions if no == merged] == [2, 1]
    stone = next(item["record"] for item in items if (item["customer_no"], item["version"]) == (merged, 2))
    assert stone == {"customer_no": merged, "party_type": "PERSON", "status": "MERGED", "merged_into": live}
    assert [item["recorded_at"] for item in items] == sorted((i["recorded_at"] for i in items), reverse=True)
    assert items[0]["record"]["source_records"] == 3 and items[0]["record"]["phones"][0]["number"].startswith("139****")
    for limit in (1, 3):
        assert [*chain(*pages(api, path, limit))] == items


@pytest.mark.parametrize("part", ["", *(f"/{part}" for part in PARTS)])
def test_a_merged_number_answers_with_its_survivor(api: Api, part: str) -> None:
    live, merged = api.no("core:1"), api.no("merged")
    assert live != merged
    body = api.get(f"/v1/customers/{merged}{part}").json()
    assert (body["requested_no"], body["customer_no"], body["redirected"]) == (merged, live, True)
    direct = api.get(f"/v1/customers/{live}{part}").json()
    assert body | {"requested_no": live, "redirected": False} == direct


@pytest.mark.parametrize("part", ["", *(f"/{part}" for part in PARTS)])
def test_clear_values_need_the_scope_and_a_purpose(api: Api, part: str) -> None:
    path = f"/v1/customers/{api.no('core:1')}{part}"
    asks: dict[str, Any] = {"params": {"clear": "true"}}
    if part == "/sources":
        return
    masked = api.get(path).text
    assert api.get(path, params={"clear": "false"}, headers=WHY).text == masked
    assert api.get(path, scopes=("customers:read", "accounts:read"), headers=WHY).text == masked
    refused = api.get(path, scopes=("customers:read", "accounts:read"), headers=WHY, **asks)
    assert (refused.status_code, refused.json()["detail"]) == (403, "pii:clear")
    for no_purpose in ({}, {"X-Purpose": ""}):
        assert api.get(path, headers=no_purpose, **asks).json()["code"] == "ECIF-1003"
    clear = api.get(path, headers=WHY, **asks).text
    assert api.get(path, headers=WHY).text == clear != masked
    assert any(value in clear for value in (*CLEAR, "李秀英"))
    assert not any(value in masked for value in CLEAR)


def test_clear_values_are_whole(api: Api) -> None:
    text = api.get(f"/v1/customers/{api.no('core:1')}", headers=WHY).text
    for value in (ID_A, PHONE, OTHER_PHONE, EMAIL, HOME, "张三丰", "1990-01-01"):
        assert value in text
