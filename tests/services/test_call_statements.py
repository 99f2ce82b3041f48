"""How many statements each call that changes something takes: round trips are its cost. More has to be meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from people import citizen
from served import ID_A, Api, serving
from sqlalchemy import Engine
from statements import counted

from ecif.services.context import KeyDigests

COUNTER = {"X-Channel": "COUNTER", "X-Operator": "clerk"}
KEY = {"Idempotency-Key": "pinned"}
WHY = {"reason": "x"}
RECORDS = "/v1/source-records"


def person(n: int, **more: Any) -> dict[str, Any]:
    number = {"kind": "CITIZEN_ID", "number": citizen(n, "19650505", "441099")}
    return {"party_type": "PERSON", "name": f"孙一{chr(0x4E00 + n)}", "identifiers": [number], **more}


def sent(n: int, day: int = 1, **more: Any) -> dict[str, Any]:
    return person(n, business_time=f"2026-01-{day:02d}T00:00:00Z", **more)


def many(size: int, first: int) -> dict[str, Any]:
    return {"records": [sent(first + n) | {"system": "ebank", "key": f"{first + n}"} for n in range(size)]}


@pytest.fixture(scope="module")
def api(database: Engine, digests: KeyDigests) -> Iterator[Api]:
    with serving(database, digests) as api:
        yield api


def takes(api: Api, statements: int, status: int, call: str, **options: Any) -> httpx.Response:
    """Makes the call, which is answered with the status after so many statements."""
    method, _, path = call.partition(" ")
    with counted(api.engine) as sent:
        answer = api.ask(method, path, **options)
    assert answer.status_code == status, answer.text
    assert len(sent) == statements, f"{call}: {len(sent)}\n" + "\n".join(sent)
    return answer


def test_checking_and_opening(api: Api) -> None:
    known = {"party_type": "PERSON", "name": "张三丰", "identifiers": [{"kind": "CITIZEN_ID", "number": ID_A}]}
    takes(api, 1, 200, "POST /v1/customers:exists", json=person(1))
    takes(api, 4, 200, "POST /v1/customers:exists", json=known)
    takes(api, 19, 201, "POST /v1/customers", json=person(1))
    takes(api, 21, 201, "POST /v1/customers", json=person(2), headers=KEY)
    takes(api, 2, 201, "POST /v1/customers", json=person(2), headers=KEY)
    takes(api, 5, 200, "POST /v1/customers", json=known | {"on_exists": "return"})
    takes(api, 5, 409, "POST /v1/customers", json=known)


def test_changing(api: Api) -> None:
    no = api.post("/v1/customers", json=person(11)).json()["customer_no"]
    path = f"PATCH /v1/customers/{no}"
    takes(api, 28, 200, path, json=WHY | {"occupation": "教师"}, headers=COUNTER | {"If-Match": '"v1"'})
    takes(api, 29, 200, path, json=WHY | {"occupation": "医生"}, headers=COUNTER | {"If-Match": '"v2"'})
    takes(api, 2, 200, path, json=WHY | {"occupation": "医生"}, headers=COUNTER | {"If-Match": '"v3"'})
    takes(api, 2, 412, path, json=WHY | {"occupation": "教师"}, headers=COUNTER | {"If-Match": '"v1"'})
    renamed = WHY | {"name": "孙改名", "evidence": "x"}
    asked = takes(api, 3, 202, path, json=renamed, headers=COUNTER | {"If-Match": '"v3"'}).headers["Location"]
    takes(api, 31, 200, f"POST {asked}:approve", json={}, headers={"X-Operator": "chief"})
    # one of them looks for decisions of other channels and numbers, in whose place this one is taken
    takes(api, 32, 200, f"POST /v1/customers/{no}:close", json=WHY, headers=COUNTER)
    takes(api, 30, 200, f"POST /v1/customers/{no}:reactivate", json=WHY, headers=COUNTER)


def test_source_records(api: Api) -> None:
    path = f"PUT {RECORDS}/ebank/p1"
    takes(api, 19, 201, path, json=sent(21))
    takes(api, 3, 200, path, json=sent(21))
    takes(api, 22, 200, path, json=sent(21, 2, occupation="教师"))
    takes(api, 24, 200, path, json=sent(21, 3, occupation="医生"), headers={"Idempotency-Key": "put"})
    takes(api, 24, 200, f"DELETE {RECORDS}/ebank/p1")
    for size, first in ((1, 100), (40, 200)):
        takes(api, 19, 200, f"POST {RECORDS}:batch", json=many(size, first))


def test_merging_splitting_and_judging(api: Api) -> None:
    """As many for a hundred source records as for two: nothing is asked record by record. Where numbers retire or live again,
    one statement looks for what merges left to be done under them, and where a customer is split one looks for accounts that were
    given away."""
    nos = [api.post("/v1/customers", json=person(n)).json()["customer_no"] for n in (31, 32)]
    proof = WHY | {"members": nos, "evidence": "x"}
    chief = COUNTER | {"X-Operator": "chief"}
    takes(api, 40, 200, "POST /v1/merges:preview", json={"members": nos})
    asked = takes(api, 14, 202, "POST /v1/merges", json=proof, headers=COUNTER)
    takes(api, 6, 202, "POST /v1/merges", json=proof, headers=COUNTER)
    takes(api, 33, 200, f"POST {asked.headers['Location']}:approve", json={}, headers=chief)
    takes(api, 3, 200, "POST /v1/merges", json=proof, headers=COUNTER)
    merge = asked.json()["id"]
    takes(api, 52, 200, f"POST /v1/merges/{merge}:preview-reverse")
    undo = takes(api, 11, 202, f"POST /v1/merges/{merge}:reverse", json=WHY, headers=COUNTER)
    takes(api, 43, 200, f"POST {undo.headers['Location']}:approve", json={}, headers=chief)
    records = [{"system": "ebank", "key": key} for key in ("p2", "p3")]
    for n, record in enumerate(records):
        api.ask("PUT", f"{RECORDS}/ebank/{record['key']}", json=sent(31, 1 + n))
    split = {"source_records": records[:1]}
    takes(api, 45, 200, f"POST /v1/customers/{nos[0]}:preview-split", json=split)
    asked = takes(api, 11, 202, f"POST /v1/customers/{nos[0]}:split", json=split | WHY, headers=COUNTER)
    takes(api, 41, 200, f"POST {asked.headers['Location']}:approve", json={}, headers=chief)
    takes(api, 49, 201, "POST /v1/judgements", json=WHY | {"records": records, "verdict": "NOT_SAME"}, headers=COUNTER)
    takes(api, 2, 200, "GET /v1/judgements?system=ebank&key=p2")
    takes(api, 1, 200, "GET /v1/operations?status=PENDING")
    takes(api, 3, 200, f"GET /v1/operations?customer_no={nos[0]}")
    takes(api, 1, 200, f"GET /v1/operations/{merge}")


def test_reviews(api: Api) -> None:
    """Each of two who may be one: the first pair is judged, the second merged, the third decided in bulk."""
    for n in (301, 302, 303):
        assert api.ask("PUT", f"{RECORDS}/ebank/r{n}", json=sent(n)).status_code == 201
        other = {"name": f"周另{chr(0x4E00 + n)}"}
        takes(api, 26, 201, f"PUT {RECORDS}/card/r{n}", json=sent(n) | other)
    takes(api, 27, 200, f"PUT {RECORDS}/card/r303", json=sent(303, 2, occupation="教师") | other)
    queue = "/v1/merge-reviews"
    rows = takes(api, 1, 200, f"GET {queue}?sort=oldest").json()["items"]
    judged, merged, _ = (f"{queue}/{row['id']}" for row in rows[-3:])
    takes(api, 4, 200, f"GET {judged}")
    takes(api, 2, 200, f"GET {judged}/history")
    takes(api, 4, 200, f"POST {judged}:claim", headers=COUNTER)
    takes(api, 2, 200, f"POST {judged}:comment", json={"text": "x"}, headers=COUNTER)
    takes(api, 4, 200, f"POST {judged}:release", headers=COUNTER)
    apart, same = WHY | {"decision": "NOT_SAME"}, WHY | {"decision": "SAME"}
    takes(api, 26, 200, f"POST {judged}:decide", json=apart, headers=COUNTER | {"If-Match": '"v3"'})
    takes(api, 1, 409, f"POST {judged}:decide", json=apart, headers=COUNTER | {"If-Match": '"v3"'})
    asked = takes(api, 18, 202, f"POST {merged}:decide", json=same, headers=COUNTER | {"If-Match": '"v1"'})
    takes(api, 5, 200, f"POST {asked.headers['Location']}:reject", json={}, headers={"X-Operator": "chief"})
    chosen = {"filter": {"rule": "P-ID-NAME"}, "decision": "NOT_SAME"}
    seen = takes(api, 1, 200, f"POST {queue}:preview-bulk", json=chosen).json()["seen"]
    bulk = takes(api, 26, 200, f"POST {queue}:decide-bulk", json=chosen | WHY | {"seen": seen}, headers=COUNTER).json()
    takes(api, 29, 200, f"POST /v1/bulk-decisions/{bulk['bulk_decision']}:undo", json=WHY, headers=COUNTER)
