"""Nobody's values anywhere in clear without scope and purpose: every route, every kind of answer, what is kept, what is logged.

One customer comes in by every door there is. Then everything is asked by callers who may do all but see clear values, and
nothing that was ever said of him may be found in what they are answered.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from people import citizen
from served import Api, is_problem, token
from sqlalchemy import text

from ecif.api.bodies import OpenBody, PatchBody, SourceRecordBody
from ecif.api.contract import openapi
from ecif.api.parameters import SearchQuery
from ecif.api.tokens import SCOPES
from ecif.matching.features import features_of

NUMBER, OTHER = citizen(61, "19830317", "440799"), citizen(62, "19830318", "440799")
SPOUSE = citizen(63, "19840101", "440799")
SAID: dict[str, Any] = {
    "party_type": "PERSON", "name": "司徒雪见", "latin_name": "SITU XUEJIAN", "birth_date": "1983-03-17",
    "identifiers": [{"kind": "CITIZEN_ID", "number": NUMBER, "valid_to": "2040-01-01"}],
    "phones": ["13733335555"], "emails": ["xuejian.situ@example.com"], "employer": "深圳市雪见茶叶有限公司",
    "addresses": ["广东省深圳市福田区梅华路77号雪见苑3栋401室"],
}  # fmt: skip
PHONE, NAME, ALIAS, WIFE, ACCOUNT = "13733336666", "司徒雪晴", "司徒小雪", "上官燕尾", "6217999900001234567"
SISTER = "上官燕子"
CLEAR = (
    NUMBER, OTHER, SPOUSE, "司徒雪见", NAME, ALIAS, WIFE, "SITU", "XUEJIAN", "1983-03-17", "1983-03-18", "13733335555", PHONE,
    "xuejian.situ", "雪见茶叶", "梅华路77号", "雪见苑", ACCOUNT, SISTER,
)  # fmt: skip
"""Every value, and the parts that tell it."""
WHY = {"reason": "客户申请"}
COUNTER = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "clerk"}
CARD = {"system": "card", "key": "masked"}
MASKED = tuple(scope for scope in SCOPES if not scope.startswith("pii:"))
CALLERS: dict[str, dict[str, str]] = {
    "without the scope": token(*MASKED) | {"X-Purpose": "counter"},
    "without a purpose": token(*SCOPES),
}


def shown(answer: httpx.Response) -> str:
    """All that a caller sees of an answer."""
    return f"{answer.headers} {answer.text}"


def hides(seen: str, *sent: str) -> None:
    """Nothing of the customer is in it."""
    assert [value for value in CLEAR if value in seen and value not in sent] == []


@pytest.fixture(scope="module")
def him(api: Api) -> Iterator[str]:
    """The customer, known to a source system, opened by one channel, changed by another, and renamed by two people."""
    relation = {"relation": "SPOUSE", "name": WIFE, "identifier": {"kind": "CITIZEN_ID", "number": SPOUSE}}
    record = SAID | {
        "business_time": "2026-01-01T00:00:00Z", "former_names": [ALIAS], "related": [relation],
        "accounts": [{"number": ACCOUNT, "kind": "SAVINGS"}],
    }  # fmt: skip
    keyed = {"Idempotency-Key": "masking"}
    no = str(api.ask("PUT", "/v1/source-records/core/masked", json=record, headers=keyed).json()["customer_no"])
    api.post("/v1/source-records:batch", json={"records": [record | {"system": "card", "key": "masked"}]})
    api.post("/v1/customers", json=SAID | {"on_exists": "return"}, headers={"Idempotency-Key": "masking-open"})
    change = {"phones": [PHONE], "name": NAME, "evidence": "x"}
    for fields in (("phones",), ("name", "evidence")):
        version = {"If-Match": api.get(f"/v1/customers/{no}").headers["ETag"]}
        api.ask("PATCH", f"/v1/customers/{no}", json=WHY | {f: change[f] for f in fields}, headers=COUNTER | version)
    (request,) = api.get("/v1/change-requests", params={"customer_no": no}).json()["items"]
    approved = api.post(f"/v1/change-requests/{request['id']}:approve", json={}, headers={"X-Operator": "chief"})
    assert approved.status_code == 200, approved.text
    yield no


@pytest.fixture(scope="module")
def merge(api: Api, him: str) -> int:
    """Two others who hold values of his, merged by two people."""
    body = {"party_type": "PERSON", "business_time": "2026-01-01T00:00:00Z", "phones": SAID["phones"]}
    accounts = [{"number": ACCOUNT, "kind": "SAVINGS"}]
    nos = [
        api.ask("PUT", f"/v1/source-records/loan/{n}", json=body | {"name": name, "accounts": accounts}).json()[
            "customer_no"
        ]
        for n, name in enumerate((WIFE, SISTER))
    ]
    asked = api.post("/v1/merges", json=WHY | {"members": nos}, headers=COUNTER)
    done = api.post(f"{asked.headers['Location']}:approve", json={}, headers=COUNTER | {"X-Operator": "chief"})
    assert done.status_code == 200 and done.json()["outcome"]["moved"]["total"] == 1, done.text
    return int(done.json()["id"])


@pytest.fixture(scope="module")
def review(api: Api, him: str) -> int:
    """Whether he is somebody of another name who has his number."""
    body = {"party_type": "PERSON", "business_time": "2026-01-01T00:00:00Z", "name": SISTER}
    body |= {"identifiers": [{"kind": "CITIZEN_ID", "number": NUMBER}], "birth_date": "1983-03-17"}
    other = api.ask("PUT", "/v1/source-records/loan/doubtful", json=body).json()["customer_no"]
    (found,) = api.get("/v1/merge-reviews", params={"customer_no": other}).json()["items"]
    return int(found["id"])


def calls(no: str, merge: int, review: int) -> Iterator[tuple[str, str, Any]]:
    """A call of every operation of the contract, about him."""
    who = {key: SAID[key] for key in ("party_type", "name", "identifiers", "phones")}
    bodies: dict[str, Any] = {
        "check_existence": who | {"mode": "DISPLAY"},
        "open_new_customer": SAID | {"name": "司马无关", "on_exists": "return"},
        "change_customer": WHY | {"identifiers": [{"kind": "CITIZEN_ID", "number": OTHER}], "evidence": "x"},
        "put_source_record": SAID | {"business_time": "2026-01-02T00:00:00Z"},
        "put_source_records": {"records": [who]},
        "close_customer": WHY,
        "restrict_customer": WHY,
        "mark_customer_deceased": WHY | {"deceased_on": "2026-01-01", "evidence": "x"},
        "reactivate_customer": WHY,
        "preview_merge": {"members": [no, "<merged>"]},
        "ask_merge": WHY | {"members": [no, "<merged>"]},
        "ask_reverse": WHY,
        "preview_split": {"source_records": [CARD]},
        "ask_split": WHY | {"source_records": [CARD]},
        "comment_review": {"text": "x"},
        "decide_review": WHY | {"decision": "NEED_INFO"},
        "preview_bulk": {"filter": {}, "decision": "NOT_SAME"},
        "decide_bulk": WHY | {"filter": {}, "decision": "NOT_SAME", "seen": "0" * 24},
        "undo_bulk": WHY,
        "judge": WHY | {"records": [CARD, {"system": "loan", "key": "0"}], "verdict": "NOT_SAME"},
    }
    named = {"{no}": no, "{request_id}": "1", "{system}": "core", "{key}": "masked", "{table}": "genders"}
    named |= {"{merge_id}": str(merge), "{operation_id}": str(merge), "{review_id}": str(review), "{bulk_id}": "1"}
    queries = {
        "search_customers": f"?name={quote(NAME)}", "get_customers": f"?no={no}", "get_customer": "?provenance=true",
        "list_change_requests": "?status=APPROVED", "read_events": f"?customer_no={no}",
        "list_judgements": "?system=card&key=masked",
    }  # fmt: skip
    for path, item in openapi()["paths"].items():
        for verb, operation in item.items():
            name = operation["operationId"]
            for part, value in named.items():
                path = path.replace(part, value)
            if name != "end_source_record":
                yield verb.upper(), path + queries.get(name, ""), bodies.get(name, {}) if verb != "get" else None
    for query in (f"identifier={NUMBER}", f"phone={PHONE}", f"account={ACCOUNT}", f"name={quote(ALIAS)}"):
        yield "GET", f"/v1/customers?{query}", None


@pytest.mark.parametrize("caller", CALLERS)
def test_no_route_shows_him(
    api: Api, him: str, merge: int, review: int, caller: str, caplog: pytest.LogCaptureFixture
) -> None:
    version = {"If-Match": api.get(f"/v1/customers/{him}").headers["ETag"]}
    asked = 0
    two = api.get(f"/v1/operations/{merge}").json()["customer_no"]
    for method, path, body in calls(him, merge, review):
        body = json.loads(json.dumps(body).replace("<merged>", two))
        answer = api.client.request(method, path, json=body, headers=CALLERS[caller] | version)
        assert answer.status_code < 500, (method, path, answer.text)
        hides(shown(answer))
        asked += answer.status_code < 300
        if path.partition(":")[2].partition("?")[0].startswith("preview-bulk"):
            assert answer.status_code == 200 and answer.json()["count"] >= 1, answer.text
        elif path.partition(":")[2].partition("?")[0].startswith("preview"):
            assert answer.status_code == 200 and "***" in answer.text, answer.text
    assert asked > 27
    hides(caplog.text)


def test_what_is_wrong_is_told_without_his_values(api: Api, him: str) -> None:
    for value in CLEAR:
        member = "?" if value.isascii() and value.isalpha() else value  # what looks like a field's name is told
        wrong = {
            "party_type": value,
            "name": [value],
            "identifiers": [{"kind": value, "number": {value: value}}],
            member: value,
        }
        for body in (wrong, [value], value, {"records": [wrong]}):
            for path in ("/v1/customers:exists", "/v1/customers", "/v1/source-records:batch"):
                hides(shown(api.post(path, json=body)))
        hides(shown(api.ask("PATCH", f"/v1/customers/{him}", json=wrong, headers={"If-Match": quote(value)})))
        for path in (f"/v1/customers/{quote(value)}", f"/v1/{quote(value)}", f"/v1/codes/{quote(value)}"):
            hides(shown(api.get(path, params={member: value, "limit": value, "as_of": value, "after": value})))
        headers = {name: value.encode() for name in ("X-Channel", "Idempotency-Key", "X-Business-Date")}
        hides(shown(api.post("/v1/customers:exists", json={}, headers=headers)))
        hides(shown(api.client.get("/v1/customers", headers={"Authorization": f"Bearer {quote(value)}"})))


@pytest.mark.parametrize("table", ["outbox_event", "stored_answer", "change_log", "clear_read", "merge_review",
     "operation", "judgement"])  # fmt: skip
def test_what_is_kept_of_calls_does_not_hold_him(api: Api, him: str, merge: int, table: str) -> None:
    with api.engine.connect() as connection:
        hides(" ".join(map(str, connection.execute(text(f"SELECT * FROM {table}")))))


def test_nothing_names_him_when_it_is_printed(him: str) -> None:
    record = SourceRecordBody.model_validate(SAID | {"business_time": "2026-01-01T00:00:00Z"}).record("core", "1")
    said = [record, record.identifiers, record.phones, features_of(record), [record], {"record": record}]
    hides(" ".join(map(repr, said)) + f"{record} {features_of(record)}")
    search = SearchQuery(identifier=NUMBER, name=NAME, phone=PHONE)
    for asked in (
        OpenBody.model_validate(SAID),
        PatchBody.model_validate(WHY | {"name": NAME, "phones": [PHONE]}),
        search,
    ):
        hides(f"{asked!r} {asked}")


@pytest.mark.parametrize(
    ("path", "seen", "fields"),
    [
        ("/v1/customers/{no}?sections=phones", (PHONE,), "phones"),
        ("/v1/customers/{no}?sections=fields", (NAME, "1983-03-17"), "birth_date,employer,latin_name,name"),
        ("/v1/customers:batch?no={no}&sections=identifiers", (NUMBER,), "identifiers"),
        ("/v1/customers?phone=13733336666", (NAME,), "birth_date,employer,latin_name,name"),
        ("/v1/customers/{no}/accounts", (ACCOUNT,), "accounts"),
        ("/v1/customers/{no}/relations", (WIFE,), "relations"),
        ("/v1/customers/{no}/lineage", (ALIAS, "梅华路77号"), "addresses,aliases,birth_date,emails,employer,identifiers,"
         "latin_name,name,phones"),
        ("/v1/customers/{no}/history", (NUMBER,), "addresses,aliases,birth_date,emails,employer,identifiers,latin_name,"
         "name,phones"),
        ("/v1/change-requests?customer_no={no}&status=APPROVED", (NAME,), "name"),
    ],
)  # fmt: skip
def test_who_may_see_him_is_on_record(api: Api, him: str, path: str, seen: tuple[str, ...], fields: str) -> None:
    path = path.replace("{no}", him)
    headers = {"X-Purpose": "柜面核对".encode(), "X-Operator": "clerk", "X-Channel": "COUNTER"}
    answer = api.get(path, headers=headers)
    assert answer.status_code == 200 and all(value in answer.text for value in seen), answer.text
    with api.engine.connect() as connection:
        last = connection.execute(text("SELECT * FROM clear_read ORDER BY id DESC LIMIT 1")).one()
    assert (last.customer_no, last.caller, last.operator, last.channel) == (him, "tester", "clerk", "COUNTER")
    assert (last.purpose, last.fields) == ("柜面核对", fields)
    assert last.request_id == answer.headers["X-Request-Id"]


def test_clear_without_a_purpose_is_refused(api: Api, him: str) -> None:
    is_problem(api.get(f"/v1/customers/{him}?clear=true"), 422, "ECIF-1003")
    is_problem(api.get(f"/v1/customers/{him}?clear=true", scopes=MASKED, headers={"X-Purpose": "x"}), 403, "ECIF-5003")
