"""Changing a customer by calls: patches, what is not applied, four eyes, closing."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from people import citizen, scalar
from served import OTHER_PHONE, Api, is_problem, token

_serial = count(100)
COUNTER = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "clerk"}
MOBILE = {"X-Channel": "MOBILE"}
WHY = {"reason": "客户申请"}


def put(api: Api, system: str, key: str, **says: Any) -> dict[str, Any]:
    """A source record, as the system sends it."""
    body = {"party_type": "PERSON", "business_time": "2026-01-01T00:00:00Z"} | says
    answer = api.ask("PUT", f"/v1/source-records/{system}/{key}", json=body)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def customer(api: Api, **says: Any) -> str:
    """A new customer of the deposit core; nobody else has anything of his."""
    n = next(_serial)
    number = citizen(n, "19770707", "440499")
    said = {"name": f"赵大{chr(0x4E00 + n)}", "identifiers": [{"kind": "CITIZEN_ID", "number": number}]} | says
    return str(put(api, "core", f"m{n}", **said)["customer_no"])


def patch(api: Api, no: str, body: dict[str, Any], version: int | None = None, **more: Any) -> Any:
    seen = version or api.get(f"/v1/customers/{no}").json()["version"]
    headers = COUNTER | {"If-Match": f'"v{seen}"'} | more.pop("headers", {})
    return api.ask("PATCH", f"/v1/customers/{no}", json=WHY | body, headers=headers, **more)


def clear(api: Api, no: str) -> dict[str, Any]:
    return dict(api.get(f"/v1/customers/{no}", headers={"X-Purpose": "test"}).json())


def versions(api: Api, no: str) -> int:
    return len(api.get(f"/v1/customers/{no}/history").json()["items"])


def test_a_change_is_a_new_version_that_says_who_and_why(api: Api) -> None:
    no = customer(api)
    answer = patch(api, no, {"phones": ["13712340001"], "occupation": "医生"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["changed"] == ["phones", "occupation"] and answer.json()["not_applied"] == []
    assert (answer.json()["version"], answer.headers["ETag"]) == (2, '"v2"')
    now = clear(api, no)
    assert (now["phones"][0]["number"], now["fields"]["occupation"]) == ("13712340001", "医生")
    event = api.get("/v1/events", params={"customer_no": no}).json()["items"][-1]
    assert (event["channel"], event["branch"], event["seq"]) == ("COUNTER", "0101", 2)
    assert event["data"]["cool_down_until"]


def test_the_history_tells_who_changed_what_through_which_channel_and_why(api: Api) -> None:
    no = customer(api)
    patch(api, no, {"occupation": "医生"})
    changed, created = (item["change"] for item in api.get(f"/v1/customers/{no}/history").json()["items"])
    told = {"action": "CHANGE_CUSTOMER", "operator": "clerk", "channel": "COUNTER", "branch": "0101", **WHY}
    assert changed | told == changed and changed["caller"] == "tester" and changed["request_id"]
    assert (created["action"], created["channel"]) == ("UPSERT_SOURCE_RECORDS", "API")
    loaded = api.get(f"/v1/customers/{api.no('core:2')}/history").json()["items"]
    assert [item["change"] for item in loaded] == [None], "nobody called: it came in a file"


def test_nothing_new_makes_no_version_and_no_event(api: Api) -> None:
    no = customer(api)
    name = clear(api, no)["fields"]["name"]
    assert patch(api, no, {"name": name, "employer": None}).json()["version"] == 1
    body = {"phones": ["13712340002"]}
    assert patch(api, no, body).json()["version"] == 2
    assert patch(api, no, body).json() | {"changed": 0} == patch(api, no, body | {"name": name}).json() | {"changed": 0}
    assert versions(api, no) == 2
    assert len(api.get("/v1/events", params={"customer_no": no}).json()["items"]) == 2


def test_a_better_source_is_not_overwritten_and_is_named(api: Api) -> None:
    no = customer(api, employer="深圳市星辰贸易有限公司")
    answer = patch(api, no, {"employer": "深圳市月光科技有限公司"}, headers=MOBILE)
    lost = answer.json()["not_applied"]
    assert answer.status_code == 200 and [entry["field"] for entry in lost] == ["employer"]
    assert lost[0]["system"] == "core" and lost[0]["reason"] == "SOURCE_PRIORITY"
    assert clear(api, no)["fields"]["employer"] == "深圳市星辰贸易有限公司"
    assert patch(api, no, {"employer": "深圳市月光科技有限公司"}).json()["not_applied"] == []
    assert clear(api, no)["fields"]["employer"] == "深圳市月光科技有限公司"
    taken_back = patch(api, no, {"employer": None})
    assert taken_back.json()["not_applied"][0]["reason"] == "SAID_BY_OTHERS"


def test_two_who_saw_the_same_version(api: Api) -> None:
    no = customer(api)
    assert patch(api, no, {"occupation": "医生"}, version=1).status_code == 200
    late = patch(api, no, {"education": "本科"}, version=1)
    assert (late.status_code, late.json()["code"], late.json()["current_version"]) == (412, "ECIF-2003", 2)
    blind = api.ask("PATCH", f"/v1/customers/{no}", json=WHY | {"occupation": "x"}, headers=COUNTER)
    assert (blind.status_code, blind.json()["code"]) == (428, "ECIF-1012")


@pytest.mark.parametrize(
    ("field", "code"), [("status", "ECIF-1030"), ("accounts", "ECIF-1031"), ("colour", "ECIF-1001")]
)
def test_what_no_call_may_write(api: Api, field: str, code: str) -> None:
    answer = patch(api, customer(api), {field: "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert answer.json()["errors"][0]["field"].endswith(field)


def test_a_weak_channel_does_not_change_the_phone(api: Api) -> None:
    answer = patch(api, customer(api), {"phones": ["13712340003"]}, headers={"X-Channel": "WECHAT"})
    assert is_problem(answer, 403, "ECIF-5006")["field"] == "body.phones"


def test_key_identity_takes_two_people(api: Api) -> None:
    no = customer(api)
    old = clear(api, no)
    number = citizen(77, "19770708", "440499")
    change = {"name": "赵新名", "identifiers": [{"kind": "CITIZEN_ID", "number": number}]}
    assert is_problem(patch(api, no, change), 422, "ECIF-1014")["field"] == "body.evidence"
    asked = patch(api, no, change | {"evidence": "变更证明 2026-1"})
    assert asked.status_code == 202 and asked.json()["status"] == "PENDING"
    assert clear(api, no) == old
    request = asked.headers["Location"]
    (listed,) = api.get("/v1/change-requests", params={"customer_no": no}).json()["items"]
    assert listed["fields"] == ["name", "identifiers"] and number not in str(listed) and "赵新名" not in str(listed)
    before = scalar(api.engine, "SELECT count(*) FROM clear_read")
    seen = api.get(request, headers={"X-Purpose": "复核".encode()}).json()
    assert seen["after"]["name"] == "赵新名" and seen["after"]["identifiers"][0]["number"] == number
    assert scalar(api.engine, "SELECT count(*) FROM clear_read") == before + 1
    fields = "SELECT fields FROM clear_read ORDER BY id DESC LIMIT 1"
    assert scalar(api.engine, fields) == "identifiers,name"
    own = api.post(f"{request}:approve", json={}, headers=COUNTER)
    assert (own.status_code, own.json()["code"]) == (403, "ECIF-5005")
    unnamed = api.post(f"{request}:approve", json={})
    assert unnamed.json()["code"] == "ECIF-5005", "the same caller, who names no clerk"
    other = COUNTER | {"X-Operator": "chief"}
    done = api.post(f"{request}:approve", json={"note": "已核"}, headers=other)
    assert done.status_code == 200 and done.json()["not_applied"] == [], done.text
    now = clear(api, no)
    assert now["fields"]["name"] == "赵新名" and now["fields"]["birth_date"] == "1977-07-08"
    assert [(i["number"], i["replaced"]) for i in now["identifiers"]] == [
        (number, False), (old["identifiers"][0]["number"], True),
    ]  # fmt: skip
    assert api.post(f"{request}:approve", json={}, headers=other).json()["code"] == "ECIF-2011"
    kinds = [e["type"] for e in api.get("/v1/events", params={"customer_no": no}).json()["items"]]
    assert kinds == ["customer.created", "customer.key_identity_changed"]
    for known in (number, old["identifiers"][0]["number"]):
        body = {"party_type": "PERSON", "name": "赵新名", "identifiers": [{"kind": "CITIZEN_ID", "number": known}]}
        assert api.post("/v1/customers:exists", json=body).json()["customer_no"] == no
    card = put(api, "card", f"old{no}", name=old["fields"]["name"], identifiers=[
        {"kind": "CITIZEN_ID", "number": old["identifiers"][0]["number"]}
    ])  # fmt: skip
    assert card["customer_no"] == no


def test_who_asks_is_named_as_he_writes_himself(api: Api) -> None:
    no = customer(api)
    told = {"X-Operator": "张三".encode(), "X-Branch": "南山支行".encode()}
    asked = patch(api, no, {"name": "赵汉名", "evidence": "x"}, headers=told)
    request = api.get(asked.headers["Location"]).json()
    assert (request["maker"], request["branch"]) == ("张三", "南山支行")


def test_a_request_that_was_overtaken_or_turned_down(api: Api) -> None:
    no = customer(api)
    asked = patch(api, no, {"nationality": "USA", "evidence": "x"}).headers["Location"]
    other = COUNTER | {"X-Operator": "chief"}
    put(api, "card", f"n{no}", name=clear(api, no)["fields"]["name"], nationality="GBR", identifiers=[
        {"kind": "CITIZEN_ID", "number": clear(api, no)["identifiers"][0]["number"]}
    ])  # fmt: skip
    stale = api.post(f"{asked}:approve", json={}, headers=other)
    assert (stale.status_code, stale.json()["code"]) == (409, "ECIF-2012")
    assert api.post(f"{asked}:reject", json={"note": "过期"}, headers=other).json()["status"] == "REJECTED"
    assert api.get(asked).json()["status"] == "REJECTED"
    assert api.get("/v1/change-requests/999999").json()["code"] == "ECIF-2004"


def test_closing_waits_for_the_accounts_and_keeps_the_number(api: Api) -> None:
    account = {"number": "6217000099990001", "kind": "SAVINGS"}
    no = customer(api, accounts=[account])
    said = {"party_type": "PERSON", "name": clear(api, no)["fields"]["name"]}
    blocked = api.post(f"/v1/customers/{no}:close", json=WHY, headers=COUNTER)
    assert (blocked.status_code, blocked.json()["code"]) == (409, "ECIF-4101")
    assert blocked.json()["blocks"][0] | {"rule": "CC01", "count": 1} == blocked.json()["blocks"][0]
    (source,) = api.get(f"/v1/customers/{no}/sources").json()["items"]
    identifiers = clear(api, no)["identifiers"]
    number = {"kind": "CITIZEN_ID", "number": identifiers[0]["number"]}
    put(api, "core", source["key"], **said, identifiers=[number], accounts=[account | {"status": "CLOSED"}],
        business_time="2026-02-01T00:00:00Z")  # fmt: skip
    closed = api.post(f"/v1/customers/{no}:close", json=WHY, headers=COUNTER)
    assert (closed.status_code, closed.json()["changed"]) == (200, ["status"]), closed.text
    assert clear(api, no)["status"] == "CLOSED" and clear(api, no)["closed_on"]
    again = api.post(f"/v1/customers/{no}:close", json=WHY, headers=COUNTER)
    assert again.json()["version"] == closed.json()["version"]
    found = api.post("/v1/customers:exists", json=said | {"identifiers": [number]}).json()
    assert (found["result"], found["customer_no"]) == ("EXISTS_CLOSED", no) and found["closed_on"]
    reopened = api.post("/v1/customers", json=said | {"identifiers": [number]})
    assert (reopened.status_code, reopened.json()["code"]) == (409, "ECIF-3002")
    assert api.post(f"/v1/customers/{no}:reactivate", json=WHY, headers=COUNTER).status_code == 200
    assert clear(api, no)["status"] == "ACTIVE"
    kinds = [e["type"] for e in api.get("/v1/events", params={"customer_no": no}).json()["items"]]
    assert kinds[-2:] == ["customer.closed", "customer.status_changed"]


def test_a_deceased_customer_is_known_as_such_and_not_opened_again(api: Api) -> None:
    no = customer(api, accounts=[{"number": "6217000099990002", "kind": "SAVINGS"}])
    now = clear(api, no)
    who = {"party_type": "PERSON", "name": now["fields"]["name"]}
    who |= {"identifiers": [{"kind": "CITIZEN_ID", "number": now["identifiers"][0]["number"]}]}
    died = WHY | {"deceased_on": "2026-01-31", "evidence": "死亡证明 2026-001"}
    path = f"/v1/customers/{no}:mark-deceased"
    is_problem(api.post(path, json=WHY | {"deceased_on": "2026-01-31"}, headers=COUNTER), 422, "ECIF-1001")
    is_problem(api.post(path, json=died, headers=COUNTER | {"If-Match": '"v9"'}), 412, "ECIF-2003")
    never = api.post(path, json=died | {"deceased_on": "2999-01-01"}, headers=COUNTER)
    assert (never.status_code, never.json()["field"], never.json()["rule"]) == (422, "body.deceased_on", "NOT_IN_LIFE")
    once = {"Idempotency-Key": f"died-{no}"}
    for _ in "ab":
        done = api.post(path, json=died, headers=COUNTER | once)
        assert (done.status_code, done.json()["changed"], done.json()["version"]) == (200, ["status"], 2), done.text
    assert (clear(api, no)["status"], clear(api, no)["deceased_on"]) == ("DECEASED", "2026-01-31")
    event = api.get("/v1/events", params={"customer_no": no}).json()["items"][-1]
    assert event["type"] == "customer.status_changed" and {"deceased_on", "status"} <= set(event["data"]["changed"])
    found = api.post("/v1/customers:exists", json=who).json()
    assert (found["result"], found["status"], found["flags"]) == ("EXISTS", "DECEASED", ["DECEASED"])
    is_problem(api.post("/v1/customers", json=who), 409, "ECIF-3001")
    stands = api.post(f"/v1/customers/{no}:restrict", json=WHY, headers=COUNTER)
    assert (stands.status_code, stands.json()["code"], stands.json()["customer_status"]) == (
        409,
        "ECIF-4102",
        "DECEASED",
    )
    said = api.get(f"/v1/customers/{no}/history").json()["items"][0]["change"]
    assert (said["action"], said["evidence"]) == ("MARK_CUSTOMER_DECEASED", "死亡证明 2026-001")


def test_a_restricted_customer_is_told_and_lifted(api: Api) -> None:
    no = customer(api)
    for act, status, told in (
        ("restrict", "RESTRICTED", "customer.restricted"), ("reactivate", "ACTIVE", "customer.status_changed"),
    ):  # fmt: skip
        assert api.post(f"/v1/customers/{no}:{act}", json=WHY, headers=COUNTER).status_code == 200
        assert clear(api, no)["status"] == status
        assert api.get("/v1/events", params={"customer_no": no}).json()["items"][-1]["type"] == told


def test_a_merged_number_is_written_to_its_survivor(api: Api) -> None:
    merged, survivor = api.no("merged"), api.no("core:1")
    answer = patch(api, merged, {"occupation": "厨师"})
    assert answer.json()["redirected"] and answer.json()["customer_no"] == survivor
    refused = patch(api, merged, {"occupation": "司机"}, headers={"X-No-Redirect": "true"})
    assert (refused.status_code, refused.json()["code"]) == (409, "ECIF-2010")
    assert clear(api, survivor)["fields"]["occupation"] == "厨师"
    assert OTHER_PHONE in str(clear(api, survivor))


def test_a_change_needs_its_scope(api: Api) -> None:
    no = customer(api)
    for path, method in (
        (f"/v1/customers/{no}", "PATCH"),
        (f"/v1/customers/{no}:close", "POST"),
        (f"/v1/customers/{no}:restrict", "POST"),
    ):
        answer = api.client.request(method, path, json=WHY, headers=token("customers:read") | {"If-Match": '"v1"'})
        assert (answer.status_code, answer.json()["code"]) == (403, "ECIF-5003")


def test_a_renewed_document_is_no_change_of_identity(api: Api) -> None:
    no = customer(api)
    number = clear(api, no)["identifiers"][0]["number"]
    renewed = patch(api, no, {"identifiers": [{"kind": "CITIZEN_ID", "number": number, "valid_to": "2040-01-01"}]})
    assert renewed.status_code == 200, renewed.text
    assert clear(api, no)["identifiers"][0]["valid_to"] == "2040-01-01"
