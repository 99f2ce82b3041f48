"""Source records in real time, and calls that come twice."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from people import citizen
from served import Api, right_now, token
from sqlalchemy import text

BODY: dict[str, Any] = {"party_type": "PERSON", "name": "钱多多", "business_time": "2026-03-01T08:00:00+08:00"}


def one(n: int, **more: Any) -> dict[str, Any]:
    """A person of the e-banking system whom nobody else knows."""
    number = citizen(n, "19660606", "440599")
    return BODY | {"identifiers": [{"kind": "CITIZEN_ID", "number": number}], "phones": [f"1361111{n:04d}"]} | more


def put(api: Api, key: str, body: dict[str, Any], **more: Any) -> Any:
    return api.ask("PUT", f"/v1/source-records/ebank/{key}", json=body, **more)


def test_the_later_business_time_wins(api: Api) -> None:
    first = put(api, "p1", one(1))
    assert (first.status_code, first.json()["fate"], first.json()["version"]) == (201, "CREATED", 1)
    assert put(api, "p1", one(1)).json()["fate"] == "UNCHANGED"
    older = put(api, "p1", one(1, phones=["13622220000"], business_time="2026-02-01T00:00:00Z"))
    assert (older.json()["fate"], older.json()["version"], older.json()["record_version"]) == ("HISTORY", 1, 1)
    newer = put(api, "p1", one(1, phones=["13622220001"], business_time="2026-03-02T00:00:00Z"))
    assert (newer.json()["fate"], newer.json()["version"], newer.json()["record_version"]) == ("UPDATED", 2, 3)
    no = newer.json()["customer_no"]
    shown = api.get(f"/v1/customers/{no}", headers={"X-Purpose": "test"}).json()
    assert [phone["number"] for phone in shown["phones"]] == ["13622220001"]


def test_an_ended_record_is_kept_and_still_finds_its_party(api: Api) -> None:
    no = put(api, "p2", one(2)).json()["customer_no"]
    assert api.ask("DELETE", "/v1/source-records/ebank/none").json()["code"] == "ECIF-2002"
    ended = api.ask("DELETE", "/v1/source-records/ebank/p2")
    assert ended.status_code == 200 and (ended.json()["fate"], ended.json()["customer_no"]) == ("UPDATED", no)
    assert api.ask("DELETE", "/v1/source-records/ebank/p2").json()["fate"] == "UNCHANGED"
    assert api.get(f"/v1/customers/{no}").json()["status"] == "CLOSED"
    asked = {k: one(2)[k] for k in ("party_type", "name", "identifiers")}
    assert api.post("/v1/customers:exists", json=asked).json()["result"] == "EXISTS_CLOSED"
    far = put(api, "p2", one(2, business_time="2099-01-01T00:00:00Z"))
    assert (far.status_code, far.json()["rule"]) == (422, "future_time"), "it would make mere history of all to come"
    soon = (right_now() + timedelta(hours=1)).isoformat()
    back = put(api, "p2", one(2, business_time=soon))
    assert back.json()["customer_no"] == no and api.get(f"/v1/customers/{no}").json()["status"] == "ACTIVE"


def test_a_batch_answers_for_each(api: Api) -> None:
    records = [one(n) | {"system": "ebank", "key": f"b{n}"} for n in range(10, 40)]
    records[3] = {"system": "ebank", "key": "b13"}
    records[5] |= {"colour": "red"}
    records[7] |= {"system": "core"}
    caller = token("records:write", systems=["ebank"])
    answer = api.client.post("/v1/source-records:batch", json={"records": records}, headers=caller)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [r["index"] for r in results] == list(range(30))
    problems = {n: r["problem"]["code"] for n, r in enumerate(results) if "problem" in r}
    assert problems == {3: "ECIF-1001", 5: "ECIF-1001", 7: "ECIF-5004"}
    assert {r["fate"] for r in results if "fate" in r} == {"CREATED"}
    assert len({r["customer_no"] for r in results if "fate" in r}) == 27
    too_many = {"records": [records[0]] * 501}
    assert api.post("/v1/source-records:batch", json=too_many).status_code == 422


@pytest.mark.parametrize(
    ("path", "status"), [("ebank/ecif:1", 422), ("EBANK/1", 422), ("ebank/a%2Fb", 201), ("ebank/%E9%92%B1", 201)]
)
def test_names_of_records(api: Api, path: str, status: int) -> None:
    answer = api.ask("PUT", f"/v1/source-records/{path}", json=one(60 + len(path)))
    assert answer.status_code == status, answer.text


def test_a_caller_writes_his_own_systems_alone(api: Api) -> None:
    answer = api.client.put(
        "/v1/source-records/core/x", json=one(70), headers=token("records:write", systems=["ebank"])
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "ECIF-5004")


def test_calls_at_one_time_each_get_their_own_answer_and_cause(api: Api) -> None:
    """They may share a transaction; a bad one among them fails alone."""

    def send(n: int) -> tuple[int, Any]:
        answer = put(api, f"t{n}", one(100 + n), headers={"X-Request-Id": f"together-{n}"})
        return n, answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(64)))
    assert Counter(answer.status_code for _, answer in answers) == {201: 64}
    for n, answer in answers:
        body = answer.json()
        assert body["key"] == f"t{n}" and body["fate"] == "CREATED"
        (event,) = api.get("/v1/events", params={"customer_no": body["customer_no"]}).json()["items"]
        assert event["request_id"] == f"together-{n}"
    query = (
        "SELECT count(*) FROM change_log c JOIN source_record_version v ON v.change_id = c.id"
        " JOIN source_record r ON r.id = v.record_id WHERE c.request_id = 'together-' || substr(r.key, 2)"
    )
    with api.engine.connect() as connection:
        assert connection.execute(text(query)).scalar() == 64


def test_the_same_key_gives_the_same_answer(api: Api) -> None:
    body = {k: one(300)[k] for k in ("party_type", "name", "identifiers")}
    key = {"Idempotency-Key": "k-300"}
    first = api.post("/v1/customers", json=body, headers=key)
    again = api.post("/v1/customers", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201) and first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true" and again.headers["ETag"] == first.headers["ETag"]
    other = api.post("/v1/customers", json=body | {"name": "钱少少"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "ECIF-1010")
    somebody = api.client.post("/v1/customers", json=body, headers=token("customers:open", subject="other") | key)
    assert somebody.status_code != 201, "keys are each caller's own, and so are his answers"


def test_a_repeat_waits_for_the_first(api: Api) -> None:
    body = {k: one(301)[k] for k in ("party_type", "name", "identifiers")}

    def send(_: int) -> Any:
        return api.post("/v1/customers", json=body, headers={"Idempotency-Key": "k-301"})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(12)))
    assert {(a.status_code, a.content) for a in answers} == {(201, answers[0].content)}
    assert sum("Idempotency-Replayed" not in a.headers for a in answers) == 1


def test_what_was_refused_is_not_kept(api: Api) -> None:
    body = {k: one(302)[k] for k in ("party_type", "name")}
    key = {"Idempotency-Key": "k-302"}
    assert api.post("/v1/customers", json=body, headers=key).status_code == 422
    whole = {k: one(302)[k] for k in ("party_type", "name", "identifiers")}
    assert api.post("/v1/customers", json=whole, headers=key).status_code == 201
