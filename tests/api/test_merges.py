"""Merges, undoes, splits and judgements by calls: previewed, asked for by one person, approved by another, told everywhere."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest
from people import citizen, scalar
from served import Api, is_problem

from ecif.api.tokens import SCOPES
from ecif.models import Base
from ecif.services.operations import Status

_serial = count(1)
MAKER = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "maker"}
CHECKER = MAKER | {"X-Operator": "checker"}
WHY = {"reason": "同一人"}


def put(api: Api, system: str, key: str, **says: Any) -> str:
    """A source record as the system sends it; returns its customer."""
    body = {"party_type": "PERSON", "business_time": "2026-01-01T00:00:00Z"} | says
    answer = api.ask("PUT", f"/v1/source-records/{system}/{key}", json=body)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["customer_no"])


def identified(n: int) -> list[dict[str, Any]]:
    return [{"kind": "CITIZEN_ID", "number": citizen(n, "19680808", "440599")}]


class Pair:
    """Two customers who may be one: the first has two records and a number, the second neither."""

    def __init__(self, api: Api) -> None:
        self.api, self.n = api, next(_serial)
        self.name, self.phone = f"钱大{chr(0x4E00 + self.n)}", f"1391111{self.n:04d}"
        self.other = f"钱小{chr(0x4E00 + self.n)}"
        says = {"name": self.name, "identifiers": identified(self.n)}
        self.account = {"number": f"6217000000{self.n:06d}", "kind": "SAVINGS", "account_class": "I"}
        self.a = put(api, "core", f"a{self.n}", **says, phones=[self.phone], occupation="医生")
        put(api, "card", f"a{self.n}", **says)
        spouse = {"relation": "SPOUSE", "name": "欧阳燕尾"}
        self.b = put(
            api, "loan", f"b{self.n}", name=self.other, phones=[self.phone], accounts=[self.account],
            related=[spouse], occupation="教师", business_time="2026-02-01T00:00:00Z",
        )  # fmt: skip
        assert self.a != self.b

    @property
    def members(self) -> dict[str, Any]:
        return {"members": [self.a, self.b]}

    def ask(self, **more: Any) -> httpx.Response:
        return self.api.post("/v1/merges", json=self.members | WHY | more, headers=MAKER)

    def merge(self) -> int:
        """Merges them, by two persons."""
        return decide(self.api, self.ask())


def decide(api: Api, asked: httpx.Response) -> int:
    assert asked.status_code == 202, asked.text
    done = api.post(f"{asked.headers['Location']}:approve", json={}, headers=CHECKER)
    assert done.status_code == 200 and done.json()["status"] == "DONE", done.text
    return int(done.json()["id"])


@pytest.fixture
def two(api: Api) -> Pair:
    return Pair(api)


def row(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (found,) = (r for r in rows if r | wanted == r)
    return found


def counts(api: Api) -> dict[str, int]:
    """How many rows each table holds."""
    return {
        table.name: scalar(api.engine, f"SELECT count(*) FROM {table.name}") for table in Base.metadata.sorted_tables
    }


def clear(api: Api, no: str) -> dict[str, Any]:
    """A golden record in clear."""
    return dict(api.get(f"/v1/customers/{no}", headers={"X-Purpose": "test"}).json())


# The life of a number


def test_what_a_merge_leaves_to_be_done_is_a_review_of_the_survivor(api: Api, two: Pair) -> None:
    card = {"number": f"6217000001{two.n:06d}", "kind": "SAVINGS", "account_class": "I"}
    put(api, "ebank", f"a{two.n}", name=two.name, identifiers=identified(two.n), accounts=[card])
    warned = row(api.post("/v1/merges:preview", json=two.members).json()["warnings"], rule="BOTH_HOLD_CLASS_I")
    assert warned["data"]["class_i"] == {"": {two.a: 1, two.b: 1}} and warned["follow_up_zh"] and warned["follow_up_en"]
    merge, queue = two.merge(), "/v1/merge-reviews"
    (listed,) = api.get(queue, params={"kind": "FOLLOW_UP", "customer_no": two.b}).json()["items"]
    assert (listed["customers"], listed["state"]) == ([two.a, two.a], "OPEN")
    seen = api.get(f"{queue}/{listed['id']}").json()
    assert (seen["recommended"], seen["pairs"]) == ("FOLLOW_UP", [])
    assert seen["follow_ups"] == [warned | {"operation": merge}]
    said = {"json": WHY | {"decision": "DONE"}, "headers": MAKER | {"If-Match": '"v1"'}}
    assert api.post(f"{queue}/{listed['id']}:decide", **said).json()["outcome"] == "DONE"
    pair = {"json": WHY | {"decision": "SAME"}, "headers": MAKER | {"If-Match": '"v2"'}}
    assert is_problem(api.post(f"{queue}/{listed['id']}:decide", **pair), 409, "ECIF-3051")


def test_a_preview_shows_who_wins_and_what_moves_and_changes_nothing(api: Api, two: Pair) -> None:
    before = counts(api)
    answer = api.post("/v1/merges:preview", json=two.members)
    assert answer.status_code == 200 and counts(api) == before, answer.text
    shown = answer.json()
    assert (shown["survivor"], shown["retired"], shown["blockers"]) == (two.a, [two.b], [])
    other = api.post("/v1/merges:preview", json=two.members | {"survivor": two.b}).json()
    assert (other["survivor"], other["retired"]) == (two.b, [two.a])
    moved = {"system": "loan", "key": f"b{two.n}", "from": two.b, "to": two.a}
    assert shown["moved"] == {"items": [moved], "total": 1}
    occupation = row(shown["fields"], field="occupation")
    assert [(v["customer_no"], v["value"]) for v in occupation["before"]] == [(two.a, "医生"), (two.b, "教师")]
    (wins,) = occupation["after"]
    assert (wins["value"], wins["system"], wins["rule"]) == ("教师", "loan", "MOST_RECENT")
    assert [(v["value"], v["system"], v["reason"]) for v in wins["lost"]] == [("医生", "core", "OLDER")]
    aliases = row(shown["parts"], part="aliases")
    assert [entry["total"] for entry in aliases["before"]] == [1, 1] and aliases["after"][0]["total"] == 2
    accounts = row(shown["holdings"], kind="accounts")
    assert accounts["after"] == [{"customer_no": two.a, "total": 1}]
    assert accounts["moves"]["items"] == [
        moved | {"number": "*" * 12 + f"{two.n:04d}", "kind": "SAVINGS", "account_class": "I", "status": "NORMAL"}
    ]
    assert row(shown["holdings"], kind="relations")["moves"]["items"][0]["name"] == "**燕尾"
    assert two.name not in answer.text and two.phone not in answer.text


def test_who_sees_a_preview_clear_is_on_record(api: Api, two: Pair) -> None:
    headers = {"X-Purpose": "复核".encode(), "X-Operator": "clerk"}
    answer = api.post("/v1/merges:preview", json=two.members, headers=headers)
    assert two.name in answer.text and two.phone in answer.text and "欧阳燕尾" in answer.text
    rows = scalar(
        api.engine, "SELECT string_agg(customer_no || ':' || fields, ' ') FROM clear_read WHERE operator = 'clerk'"
    )
    assert f"{two.a}:accounts,addresses" in rows and f"{two.b}:accounts,addresses" in rows and "relations" in rows
    is_problem(api.post("/v1/merges:preview?clear=true", json=two.members), 422, "ECIF-1003")


def test_one_asks_another_approves_and_both_are_on_record(api: Api, two: Pair) -> None:
    versions = [clear(api, no)["version"] for no in (two.a, two.b)]
    asked = two.ask(evidence="核实单 1")
    assert (asked.status_code, asked.json()["status"]) == (202, "PENDING")
    assert [clear(api, no)["version"] for no in (two.a, two.b)] == versions, "nothing has happened yet"
    place = asked.headers["Location"]
    done = api.post(f"{place}:approve", json={"note": "已核"}, headers=CHECKER)
    assert done.status_code == 200, done.text
    told = api.get(place).json()
    assert (
        told | {"status": "DONE", "maker": "maker", "checker": "checker", "note": "已核", "evidence": "核实单 1"}
        == told
    )
    assert (told["outcome"]["survivor"], told["outcome"]["retired"]) == (two.a, [two.b])
    again = two.ask()
    assert (again.status_code, again.json()["id"]) == (200, told["id"])
    assert row(again.json()["members"], requested_no=two.b) | {"customer_no": two.a, "redirected": True}
    for verb in ("approve", "reject"):
        problem = is_problem(api.post(f"{place}:{verb}", json={}, headers=CHECKER), 409, "ECIF-2013")
        assert problem["decided"] == "DONE"


def test_a_request_under_a_key_is_made_once(api: Api, two: Pair) -> None:
    keyed = MAKER | {"Idempotency-Key": f"merge-{two.n}"}
    first, again = (api.post("/v1/merges", json=two.members | WHY, headers=keyed) for _ in range(2))
    assert first.json() == again.json() and again.headers["Idempotency-Replayed"] == "true"


def test_a_merge_names_no_version(api: Api, two: Pair) -> None:
    """It is about several customers; what they hold is looked at again when another person approves."""
    refused = api.post("/v1/merges", json=two.members | WHY, headers=MAKER | {"If-Match": '"v1"'})
    problem = is_problem(refused, 422, "ECIF-1001")
    assert (problem["field"], problem["rule"]) == ("header.If-Match", "etag_of_several")
    assert api.post("/v1/merges", json=two.members | WHY, headers=MAKER | {"If-Match": "*"}).status_code == 202


def test_what_was_turned_down_changes_nothing_and_may_be_asked_again(api: Api, two: Pair) -> None:
    asked = two.ask()
    rejected = api.post(f"{asked.headers['Location']}:reject", json={"note": "证明不符"}, headers=CHECKER)
    assert (rejected.status_code, rejected.json()["status"], rejected.json()["outcome"]) == (200, "REJECTED", None)
    assert (clear(api, two.b)["version"], rejected.json()["note"]) == (1, "证明不符")
    again = two.ask()
    assert again.json()["id"] != asked.json()["id"]
    taken_back = api.post(f"{again.headers['Location']}:withdraw", json={"note": "看错了"}, headers=MAKER).json()
    assert (taken_back["status"], taken_back["note"]) == ("WITHDRAWN", "看错了")


READS = ("", "/lineage", "/accounts", "/relations", "/sources", "/history")


def test_every_call_on_a_losers_number_lands_on_the_survivor_and_says_so(api: Api, two: Pair) -> None:
    two.merge()
    led = {"requested_no": two.b, "customer_no": two.a, "redirected": True}

    def says(body: dict[str, Any]) -> None:
        assert body | led == body

    for part in READS:
        says(api.get(f"/v1/customers/{two.b}{part}").json())
    (one,) = api.get(f"/v1/customers:batch?no={two.b}").json()["items"]
    says(one)
    version = {"If-Match": f'"v{clear(api, two.b)["version"]}"'}
    changed = api.ask("PATCH", f"/v1/customers/{two.b}", json=WHY | {"education": "本科"}, headers=MAKER | version)
    says(changed.json())
    assert clear(api, two.a)["fields"]["education"] == "本科"
    named = {"source_records": [{"system": "core", "key": f"a{two.n}"}]}
    says(api.post(f"/v1/customers/{two.b}:preview-split", json=named).json()["members"][0])
    kept, alone = counts(api), MAKER | {"X-No-Redirect": "true"}
    for verb, body in (("restrict", WHY), ("split", named | WHY)):
        refused = api.post(f"/v1/customers/{two.b}:{verb}", json=body, headers=alone)
        assert is_problem(refused, 409, "ECIF-2010")["detail"] == two.a
    assert counts(api) == kept
    says(api.post(f"/v1/customers/{two.b}:split", json=named | WHY, headers=MAKER).json()["members"][0])
    other = Pair(api)
    preview = api.post("/v1/merges:preview", json={"members": [two.b, other.b], "survivor": two.b}).json()
    says(preview["members"][0])
    assert preview["survivor"] == two.a
    again = put(api, "loan", f"b{two.n}", name=two.other, accounts=[two.account], business_time="2026-03-01T00:00:00Z")
    assert again == two.a
    found = api.post(
        "/v1/customers:exists", json={"party_type": "PERSON", "name": two.name, "identifiers": identified(two.n)}
    )
    assert found.json()["customer_no"] == two.a
    last = api.get(f"/v1/events?customer_no={two.b}").json()["items"][-1]
    assert (last["type"], last["data"]["survivor"]) == ("customer.merged", two.a)
    blocked = api.post(f"/v1/customers/{two.b}:close", json=WHY, headers=MAKER)
    assert is_problem(blocked, 409, "ECIF-4101")["blocks"], "the account is the survivor's"
    put(api, "loan", f"b{two.n}", name=two.other, business_time="2026-04-01T00:00:00Z")  # which no longer has it
    says(api.post(f"/v1/customers/{two.b}:close", json=WHY, headers=MAKER).json())
    assert clear(api, two.b)["status"] == "CLOSED"
    says(api.post(f"/v1/customers/{two.b}:reactivate", json=WHY, headers=MAKER).json())
    ended = api.ask("DELETE", f"/v1/source-records/loan/b{two.n}?business_time=2026-05-01T00:00:00Z")
    assert ended.json()["customer_no"] == two.a


def test_whom_records_name_is_told_once_and_nobody_is_related_to_himself(api: Api) -> None:
    """Two records name a guardian by two numbers, one of them twice; he is merged, first with himself, then with his ward."""
    n = next(_serial)
    passport = {"kind": "PASSPORT", "number": f"E{n:08d}"}
    numbers = [*identified(n), passport]
    named = [{"relation": "GUARDIAN", "name": "施小乙", "identifier": number} for number in numbers]
    alone = {"relation": "GUARDIAN", "name": "施大丙"}
    first = {"name": f"施甲{chr(0x4E00 + n)}", "identifiers": identified(next(_serial))}
    ward = put(api, "core", f"w{n}", **first, related=[named[0], alone])
    assert put(api, "card", f"w{n}", **first, related=[*named, alone]) == ward
    guardian = put(api, "loan", f"g{n}", name="施小乙", identifiers=numbers[:1])
    again = put(api, "ebank", f"g{n}", name="施大乙", identifiers=numbers[1:])

    def told() -> list[tuple[str, list[str]]]:
        path = f"/v1/customers/{ward}/relations"
        shown = api.get(path).json()["items"]
        pages = [api.get(f"{path}?limit=1").json()]
        while pages[-1]["next_after"]:
            pages.append(api.get(path, params={"limit": 1, "after": pages[-1]["next_after"]}).json())
        assert [item for page in pages for item in page["items"]] == shown
        return [(item["key"], item["customer_nos"]) for item in shown]

    def merge(*members: str) -> int:
        body = {"members": members, "survivor": members[0], "evidence": "证明 1"} | WHY
        return decide(api, api.post("/v1/merges", json=body, headers=MAKER))

    assert sorted(told()) == sorted([(f"w{n}", [guardian]), (f"w{n}", [again]), (f"w{n}", [])])
    merge(guardian, again)
    apart = told()
    assert sorted(apart) == sorted([(f"w{n}", [guardian]), (f"w{n}", [])])
    undone = merge(ward, guardian)
    assert told() == [(f"w{n}", [])], "he is not his own guardian"
    decide(api, api.post(f"/v1/merges/{undone}:reverse", json=WHY, headers=MAKER))
    assert told() == apart, "the records still say it"


def test_a_change_that_waits_when_its_customer_is_merged_is_not_lost(api: Api, two: Pair) -> None:
    version = {"If-Match": f'"v{clear(api, two.b)["version"]}"'}
    change = WHY | {"nationality": "CHN", "evidence": "x"}
    asked = api.ask("PATCH", f"/v1/customers/{two.b}", json=change, headers=MAKER | version).headers["Location"]
    two.merge()
    for no in (two.a, two.b):
        (listed,) = api.get(f"/v1/change-requests?customer_no={no}").json()["items"]
        assert asked.endswith(f"/{listed['id']}")
    done = api.post(f"{asked}:approve", json={}, headers=CHECKER)
    assert done.status_code == 200 and done.json()["customer_no"] == two.a, done.text
    assert clear(api, two.a)["fields"]["nationality"] == "CHN"


def test_a_number_merged_twice_leads_to_the_last_survivor_and_back(api: Api, two: Pair) -> None:
    third = Pair(api)
    first = two.merge()
    more = api.post(
        "/v1/merges",
        json={"members": [third.a, two.b], "survivor": third.a, **WHY, "evidence": "证明 1"},
        headers=MAKER,
    )
    second = decide(api, more)
    assert {clear(api, no)["customer_no"] for no in (two.a, two.b, third.a)} == {third.a}
    listed = api.get(f"/v1/operations?customer_no={two.b}").json()["items"]
    for path in ("operations", "merge-reviews"):
        page = api.get(f"/v1/{path}?customer_no={two.b}").json()
        assert (page["requested_no"], page["customer_no"], page["redirected"]) == (two.b, third.a, True)
        assert "redirected" not in api.get(f"/v1/{path}").json()
    assert [o["id"] for o in listed] == [first, second], "under each of the customer's numbers"
    decide(api, api.post(f"/v1/merges/{second}:reverse", json=WHY, headers=MAKER))
    assert [clear(api, no)["customer_no"] for no in (two.b, third.a)] == [two.a, third.a]


def test_an_undo_is_refused_with_the_later_operations_that_stand_in_its_way(api: Api, two: Pair) -> None:
    merge = decide(api, api.post("/v1/merges", json={"members": [two.a, two.b, Pair(api).b]} | WHY, headers=MAKER))
    left = {"source_records": [{"system": "loan", "key": f"b{two.n}"}]} | WHY
    split = decide(api, api.post(f"/v1/customers/{two.a}:split", json=left, headers=MAKER))
    kept = counts(api)
    for verb, body in (("preview-reverse", None), ("reverse", WHY)):
        blocked = api.post(f"/v1/merges/{merge}:{verb}", json=body, headers=MAKER)
        assert is_problem(blocked, 409, "ECIF-3040")["later"] == [split]
    assert counts(api) == kept


def test_an_undo_tells_what_it_touches_and_restores(api: Api, two: Pair) -> None:
    before = {no: clear(api, no) for no in (two.a, two.b)}
    merge = two.merge()
    put(api, "ebank", f"c{two.n}", name=two.name, identifiers=identified(two.n))  # arrives since
    asked = {"party_type": "PERSON", "name": two.name, "identifiers": identified(two.n)}
    assert api.post("/v1/customers:exists", json=asked | {"mode": "STRICT"}).json()["customer_no"] == two.a
    lives = {"addresses": ["广东省深圳市南山区人民路9号1栋2单元301室"], "nationality": "CHN", "occupation": "教师"}
    opening = asked | lives | {"phones": [two.phone], "on_exists": "return"}
    opening["identifiers"][0]["valid_to"] = "2035-01-01"
    assert api.post("/v1/customers", json=opening, headers=MAKER).json()["customer_no"] == two.a
    is_problem(api.post("/v1/customers", json=opening | {"on_exists": "error"}, headers=MAKER), 409, "ECIF-3001")
    version = {"If-Match": f'"v{clear(api, two.a)["version"]}"'}
    renamed = {"name": "钱新名", "evidence": "x"} | WHY
    assert api.ask("PATCH", f"/v1/customers/{two.b}", json=renamed, headers=MAKER | version).status_code == 202
    kept = counts(api)
    answer = api.post(f"/v1/merges/{merge}:preview-reverse")
    assert answer.status_code == 200 and counts(api) == kept, answer.text
    shown = answer.json()
    assert shown["resurrected"] == [two.b] and [m["to"] for m in shown["moved"]["items"]] == [two.b]
    since = {name: those["items"] for name, those in shown["since"].items()}
    (arrived,) = since["arrived"]
    assert arrived.pop("received_at")
    assert arrived == {"system": "ebank", "key": f"c{two.n}", "new": True, "versions": 1, "to": two.a}
    assert [(c["kind"], c["result"], c["customer_no"]) for c in since["checks"]] == [("EXISTENCE", "EXISTS", two.a)] * 3
    assert [span["customer_no"] for span in since["numbers"]] == [two.a]
    assert [(e["type"], e["customer_no"]) for e in since["events"]] == [("customer.updated", two.a)]
    assert [(r["customer_no"], r["maker"], r["status"]) for r in since["change_requests"]] == [
        (two.a, "maker", "PENDING")
    ]
    assert since["clear_reads"][0]["purpose"] == "test" and since["clear_reads"][0]["read_at"]
    asked = api.post(f"/v1/merges/{merge}:reverse", json=WHY, headers=MAKER)
    undo = decide(api, asked)
    assert asked.json()["reverses"] == merge
    now = clear(api, two.b)
    assert now | {"version": 0} == before[two.b] | {"version": 0} and now["version"] > before[two.b]["version"]
    assert (api.get(f"/v1/operations/{merge}").json()["status"], undo > merge) == ("REVERSED", True)
    blocked = is_problem(two.ask(), 409, "ECIF-3030")
    assert [(f["rule"], f["lift"]) for f in blocked["findings"]] == [("JUDGED_NOT_SAME", "WITHDRAWAL")]


def test_a_split_gives_records_a_number_of_their_own(api: Api, two: Pair) -> None:
    named = {"source_records": [{"system": "card", "key": f"a{two.n}"}]}
    before = counts(api)
    shown = api.post(f"/v1/customers/{two.a}:preview-split", json=named).json()
    assert counts(api) == before and (shown["created"], shown["moved"]["items"][0]["to"]) == (["new-1"], "new-1")
    assert {v["customer_no"] for v in row(shown["fields"], field="name")["after"]} == {two.a, "new-1"}
    seen = MAKER | {"If-Match": '"v99"'}
    stale = api.post(f"/v1/customers/{two.a}:split", json=named | WHY, headers=seen)
    assert is_problem(stale, 412, "ECIF-2003")["current_version"] == clear(api, two.a)["version"]
    asked = api.post(f"/v1/customers/{two.a}:split", json=named | WHY, headers=MAKER)
    operation = api.get(f"/v1/operations/{decide(api, asked)}").json()
    (new,) = operation["outcome"]["created"]
    assert operation["request"]["source_records"] == named["source_records"]
    assert api.get(f"/v1/customers/{new}/sources").json()["items"][0]["key"] == f"a{two.n}"
    assert {e["type"] for e in api.get(f"/v1/events?customer_no={new}").json()["items"]} == {"customer.split"}


def test_an_account_leaves_a_record_that_stays(api: Api, two: Pair) -> None:
    put(api, "ebank", f"d{two.n}", name=two.name, identifiers=identified(two.n), accounts=[two.account])
    account = {"system": "ebank", "key": f"d{two.n}", "number": two.account["number"]}
    body = {"source_records": [{"system": "card", "key": f"a{two.n}"}], "accounts": [account]}
    shown = api.post(f"/v1/customers/{two.a}:preview-split", json=body).json()
    (item,) = row(shown["holdings"], kind="accounts")["moves"]["items"]
    assert (item["system"], item["from"], item["to"]) == ("ebank", two.a, "new-1") and "*" in item["number"]
    asked = api.post(f"/v1/customers/{two.a}:split", json=body | WHY, headers=MAKER)
    assert asked.json()["request"]["accounts"] == [{"system": "ebank", "key": f"d{two.n}"}]
    assert two.account["number"] not in asked.text
    (new,) = api.get(f"/v1/operations/{decide(api, asked)}").json()["outcome"]["created"]
    held = [api.get(f"/v1/customers/{no}/accounts").json()["items"] for no in (two.a, new)]
    assert [[account["account_class"] for account in accounts] for accounts in held] == [[], ["I"]]


def test_a_judgement_holds_at_once_where_it_moves_nothing(api: Api, two: Pair) -> None:
    records = [{"system": "core", "key": f"a{two.n}"}, {"system": "loan", "key": f"b{two.n}"}]

    def say(verdict: str, *pair: dict[str, str]) -> httpx.Response:
        body = {"records": list(pair) or records, "verdict": verdict} | WHY
        return api.post("/v1/judgements", json=body, headers=MAKER)

    said = say("NOT_SAME")
    assert (said.status_code, said.json()["verdict"], said.json()["standing"]) == (201, "NOT_SAME", True), said.text
    assert said.json()["person"] == "maker"
    assert is_problem(say("SAME"), 409, "ECIF-3030")["findings"][0]["rule"] == "JUDGED_NOT_SAME"
    assert say("WITHDRAWN").status_code == 201
    merging = say("SAME")
    assert (merging.status_code, merging.json()["kind"]) == (202, "MERGE")
    parting = say("NOT_SAME", {"system": "core", "key": f"a{two.n}"}, {"system": "card", "key": f"a{two.n}"})
    assert (parting.status_code, parting.json()["kind"]) == (202, "JUDGEMENT"), "it moves a record"
    decide(api, parting)
    cards = api.get(f"/v1/customers?source_system=card&source_key=a{two.n}").json()["items"]
    assert cards[0]["customer_no"] not in (two.a, two.b)
    stale = api.post(f"{merging.headers['Location']}:approve", json={}, headers=CHECKER)
    assert is_problem(stale, 409, "ECIF-2014")["changed"] == [two.a]
    asked = {"system": "core", "key": f"a{two.n}"}
    pages = [api.get("/v1/judgements", params=asked | {"limit": 2}).json()]
    pages.append(api.get("/v1/judgements", params=asked | {"limit": 2, "after": pages[0]["next_after"]}).json())
    told = [(j["verdict"], j["standing"]) for page in pages for j in page["items"]]
    assert told == [("NOT_SAME", True), ("WITHDRAWN", True), ("NOT_SAME", False)] and pages[1]["next_after"] is None


def test_operations_are_listed_by_status_kind_and_customer(api: Api, two: Pair) -> None:
    other = Pair(api)
    merge, asked = two.merge(), other.ask().json()["id"]

    def ids(**params: Any) -> list[int]:
        answer = api.get("/v1/operations", params={"limit": 100} | params)
        assert answer.status_code == 200, answer.text
        return [o["id"] for o in answer.json()["items"]]

    assert merge in ids(status="DONE") and asked not in ids(status="DONE")
    assert asked in ids(status="PENDING", kind="MERGE") and ids(kind="SPLIT", status="PENDING", customer_no=two.a) == []
    assert ids(customer_no=two.b) == [merge]
    assert asked in ids(customer_no=other.a) and asked in ids(customer_no=other.b)
    is_problem(api.get(f"/v1/operations?customer_no={NOBODY}"), 404, "ECIF-2001")
    is_problem(api.get(f"/v1/change-requests?customer_no={NOBODY}"), 404, "ECIF-2001")
    assert api.post(f"/v1/operations/{asked}:withdraw", json={}, headers=MAKER).status_code == 200
    assert [s for s in Status if asked in ids(status=s, customer_no=other.a)] == ["WITHDRAWN"]
    assert api.get("/v1/operations", params={"customer_no": two.b}).json()["next_after"] is None
    page = api.get("/v1/operations?limit=1").json()
    assert ids(after=page["next_after"])[0] > page["items"][0]["id"]


def at_once(api: Api, *places: str) -> list[httpx.Response]:
    """Approvals by as many checkers at one time."""
    with ThreadPoolExecutor(len(places)) as pool:
        calls = [
            pool.submit(api.post, f"{place}:approve", json={}, headers=MAKER | {"X-Operator": f"checker {n}"})
            for n, place in enumerate(places)
        ]
        return [call.result() for call in calls]


def test_of_two_who_decide_at_once_one_wins(api: Api, two: Pair) -> None:
    place = two.ask().headers["Location"]
    won, lost = sorted(at_once(api, place, place), key=lambda answer: answer.status_code)
    assert won.status_code == 200 and is_problem(lost, 409, "ECIF-2013")["decided"] == "DONE"


def lost_request(two: Pair, third: Pair, api: Api) -> dict[str, Any]:
    """The one of two merges that lost, as it is asked for anew."""
    done = clear(api, third.b)["customer_no"] == two.a
    return (two.members if done else {"members": [two.a, third.b]}) | WHY


def test_of_two_merges_that_share_a_customer_one_wins_and_the_other_is_told_who_changed(api: Api, two: Pair) -> None:
    third = Pair(api)
    body = {"members": [two.a, third.b]} | WHY
    places = [asked.headers["Location"] for asked in (two.ask(), api.post("/v1/merges", json=body, headers=MAKER))]
    won, lost = sorted(at_once(api, *places), key=lambda answer: answer.status_code)
    assert won.status_code == 200, won.text
    assert is_problem(lost, 409, "ECIF-2014")["changed"] == [two.a]
    again = api.post("/v1/merges", json=lost_request(two, third, api), headers=MAKER)
    assert again.status_code == 202 and again.headers["Location"] not in places


# What is refused

NOBODY, MANY = "999999999999", [f"1{n:011d}" for n in range(11)]


class Bank:
    """What bad requests are about, made once; ``call`` fills the numbers in."""

    def __init__(self, api: Api) -> None:
        self.api, self.pair, merged, waiting, stale = api, Pair(api), Pair(api), Pair(api), Pair(api)
        done = merged.merge()
        asked, overtaken = waiting.ask().json()["id"], stale.ask().json()["id"]
        put(api, "ebank", f"s{stale.n}", name=stale.name, identifiers=identified(stale.n))
        split = api.post(
            f"/v1/customers/{merged.a}:split",
            json={"source_records": [{"system": "card", "key": f"a{merged.n}"}]} | WHY, headers=MAKER,
        )  # fmt: skip
        branches = [put(api, "core", f"o{n}", **org) for n, org in enumerate(ORGANISATIONS)]
        closed = Pair(api)
        assert api.post(f"/v1/customers/{closed.a}:close", json=WHY, headers=MAKER).status_code == 200
        apart = [put(api, "core", f"n{n}", name="周两证", identifiers=identified(900 + n)) for n in range(2)]
        self.names = {
            "A": self.pair.a, "B": self.pair.b, "MERGED": merged.b, "SURVIVOR": merged.a, "DONE": done, "WAITS": asked,
            "STALE": overtaken, "SPLIT": split.json()["id"], "ORG": branches[0], "BRANCH": branches[1], "CLOSED": closed.a,
            "OPEN": closed.b, "N1": apart[0], "N2": apart[1], "NA": self.pair.n, "NM": merged.n,
        }  # fmt: skip

    def filled(self, value: Any) -> Any:
        """The value with every ``<NAME>`` as it is called in this bank."""
        text = json.dumps(value)
        for name, number in self.names.items():
            text = text.replace(f"<{name}>", str(number))
        return json.loads(text)


ORGANISATIONS: list[dict[str, Any]] = [
    {"party_type": "ORGANIZATION", "name": f"深圳市望月贸易有限公司{branch}", "phones": ["075588990011"]}
    for branch in ("", "罗湖分公司")
]
A_AND_B = {"members": ["<A>", "<B>"]}
CARD = {"source_records": [{"system": "card", "key": "a<NA>"}]}
BOTH = {"records": [{"system": "core", "key": "a<NA>"}, {"system": "loan", "key": "b<NA>"}]}
UNKNOWN = {"system": "core", "key": "never-sent"}

BAD: dict[str, tuple[str, Any, int, str]] = {
    "unknown member": ("/v1/merges", {"members": ["<A>", NOBODY]} | WHY, 404, "ECIF-2001"),
    "unknown member in a preview": ("/v1/merges:preview", {"members": [NOBODY, "<B>"]}, 404, "ECIF-2001"),
    "unknown survivor": ("/v1/merges", A_AND_B | WHY | {"survivor": NOBODY}, 404, "ECIF-2001"),
    "twice the same": ("/v1/merges", {"members": ["<A>", "<A>"], "survivor": "<A>"} | WHY, 409, "ECIF-3031"),
    "merged into the other": ("/v1/merges:preview", {"members": ["<MERGED>", "<SURVIVOR>"]}, 409, "ECIF-3031"),
    "survivor is no member": ("/v1/merges", A_AND_B | WHY | {"survivor": "<ORG>"}, 422, "ECIF-3032"),
    "person and organisation": ("/v1/merges", {"members": ["<A>", "<ORG>"]} | WHY, 409, "ECIF-3030"),
    "head office and branch": ("/v1/merges", {"members": ["<ORG>", "<BRANCH>"]} | WHY, 409, "ECIF-3030"),
    "two valid numbers": ("/v1/merges", {"members": ["<N1>", "<N2>"]} | WHY, 409, "ECIF-3030"),
    "a closed customer": ("/v1/merges", {"members": ["<CLOSED>", "<OPEN>"]} | WHY, 409, "ECIF-3030"),
    "one member": ("/v1/merges", {"members": ["<A>"]} | WHY, 422, "ECIF-1001"),
    "too many members": ("/v1/merges", {"members": MANY} | WHY, 422, "ECIF-1001"),
    "too many members in a preview": ("/v1/merges:preview", {"members": MANY}, 422, "ECIF-1001"),
    "no number": ("/v1/merges", {"members": ["<A>", "12"]} | WHY, 422, "ECIF-1001"),
    "no reason": ("/v1/merges", A_AND_B, 422, "ECIF-1001"),
    "an invisible reason": ("/v1/merges", A_AND_B | {"reason": " \u200b "}, 422, "ECIF-1001"),
    "unknown field": ("/v1/merges", A_AND_B | WHY | {"force": True}, 422, "ECIF-1001"),
    "a rule that nobody may set aside": ("/v1/merges", A_AND_B | WHY | {"override": ["PARTY_TYPE"]}, 422, "ECIF-1001"),
    "undo of nothing": ("/v1/merges/987654:reverse", WHY, 404, "ECIF-2007"),
    "preview of an undo of nothing": ("/v1/merges/987654:preview-reverse", None, 404, "ECIF-2007"),
    "undo of what waits": ("/v1/merges/<WAITS>:reverse", WHY, 409, "ECIF-3041"),
    "undo of a split": ("/v1/merges/<SPLIT>:preview-reverse", None, 409, "ECIF-3041"),
    "undo by no number": ("/v1/merges/first:reverse", WHY, 422, "ECIF-1001"),
    "undo without a reason": ("/v1/merges/<DONE>:reverse", {}, 422, "ECIF-1001"),
    "split of nobody": (f"/v1/customers/{NOBODY}:split", CARD | WHY, 404, "ECIF-2001"),
    "split of a record never sent": ("/v1/customers/<A>:split", {"source_records": [UNKNOWN]} | WHY, 404, "ECIF-2002"),
    "split of another's record": ("/v1/customers/<B>:preview-split", CARD, 422, "ECIF-3033"),
    "split of a foreign account": (
        "/v1/customers/<A>:split",
        CARD | WHY | {"accounts": [{"system": "core", "key": "a<NA>", "number": "6225990000009999"}]}, 422, "ECIF-3036",
    ),
    "split of all records": (
        "/v1/customers/<A>:split", {"source_records": [{"system": s, "key": "a<NA>"} for s in ("core", "card")]} | WHY,
        422, "ECIF-3034",
    ),
    "split of too many": ("/v1/customers/<A>:split", {"source_records": [UNKNOWN] * 1001} | WHY, 422, "ECIF-1001"),
    "split of none": ("/v1/customers/<A>:preview-split", {"source_records": []}, 422, "ECIF-1001"),
    "judgement of one": ("/v1/judgements", {"records": [UNKNOWN] * 2, "verdict": "SAME"} | WHY, 422, "ECIF-1001"),
    "judgement of three": ("/v1/judgements", {"records": [UNKNOWN] * 3, "verdict": "SAME"} | WHY, 422, "ECIF-1001"),
    "judgement of a record never sent": (
        "/v1/judgements", {"records": [UNKNOWN, BOTH["records"][0]], "verdict": "SAME"} | WHY, 404, "ECIF-2002",
    ),
    "judgement of no kind": ("/v1/judgements", BOTH | WHY | {"verdict": "MAYBE"}, 422, "ECIF-1001"),
    "judgement without a reason": ("/v1/judgements", BOTH | {"verdict": "NOT_SAME"}, 422, "ECIF-1001"),
    "approval of nothing": ("/v1/operations/987654:approve", {}, 404, "ECIF-2007"),
    "withdrawal of nothing": ("/v1/operations/987654:withdraw", {}, 404, "ECIF-2007"),
    "withdrawal of what another asked for": ("/v1/operations/<WAITS>:withdraw", {}, 403, "ECIF-5007"),
    "withdrawal of what is done": ("/v1/operations/<DONE>:withdraw", {}, 409, "ECIF-2013"),
    "rejection of nothing": ("/v1/operations/987654:reject", {}, 404, "ECIF-2007"),
    "approval of what is done": ("/v1/operations/<DONE>:approve", {}, 409, "ECIF-2013"),
    "approval of what was overtaken": ("/v1/operations/<STALE>:approve", {}, 409, "ECIF-2014"),
    "approval with a long note": ("/v1/operations/<WAITS>:approve", {"note": "x" * 501}, 422, "ECIF-1001"),
    "approval of a number too large": (f"/v1/operations/{2**63}:approve", {}, 422, "ECIF-1001"),
}  # fmt: skip
"""A path, a body, and what is answered to the checker."""


@pytest.fixture(scope="module")
def bank(api: Api) -> Bank:
    return Bank(api)


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_and_nothing_changes(api: Api, bank: Bank, case: str) -> None:
    path, body, status, code = BAD[case]
    before = counts(api)
    answer = api.post(bank.filled(path), json=bank.filled(body), headers=CHECKER)
    is_problem(answer, status, code)
    assert counts(api) == before


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_the_maker_does_not_decide(api: Api, bank: Bank, verb: str) -> None:
    before = counts(api)
    for headers in (MAKER, {}):  # or somebody of his caller's who names no clerk
        is_problem(api.post(bank.filled(f"/v1/operations/<WAITS>:{verb}"), json={}, headers=headers), 403, "ECIF-5005")
    assert counts(api) == before


SCOPED = [
    ("POST", "/v1/merges:preview", A_AND_B, "merges:read"),
    ("POST", "/v1/merges", A_AND_B | WHY, "merges:write"),
    ("POST", "/v1/merges/<DONE>:preview-reverse", None, "merges:read"),
    ("POST", "/v1/merges/<DONE>:reverse", WHY, "merges:write"),
    ("POST", "/v1/customers/<A>:preview-split", CARD, "merges:read"),
    ("POST", "/v1/customers/<A>:split", CARD | WHY, "merges:write"),
    ("POST", "/v1/judgements", BOTH | WHY | {"verdict": "NOT_SAME"}, "merges:write"),
    ("GET", "/v1/judgements?system=core&key=1", None, "merges:read"),
    ("GET", "/v1/operations", None, "merges:read"),
    ("GET", "/v1/operations/<DONE>", None, "merges:read"),
    ("POST", "/v1/operations/<WAITS>:approve", {}, "merges:approve"),
    ("POST", "/v1/operations/<WAITS>:reject", {}, "merges:approve"),
    ("POST", "/v1/operations/<WAITS>:withdraw", {}, "merges:write"),
]


@pytest.mark.parametrize(("method", "path", "body", "scope"), SCOPED, ids=lambda value: str(value)[:40])
def test_every_call_needs_its_scope(api: Api, bank: Bank, method: str, path: str, body: Any, scope: str) -> None:
    before = counts(api)
    others = tuple(s for s in SCOPES if s != scope)
    answer = api.ask(method, bank.filled(path), json=bank.filled(body), headers=CHECKER, scopes=others)
    assert is_problem(answer, 403, "ECIF-5003")["detail"] == scope
    assert counts(api) == before


@pytest.mark.parametrize(("method", "path", "body", "scope"), SCOPED, ids=lambda value: str(value)[:40])
def test_no_call_takes_a_parameter_that_it_does_not_know(
    api: Api, bank: Bank, method: str, path: str, body: Any, scope: str
) -> None:
    before = counts(api)
    more = f"{bank.filled(path)}{'&' if '?' in path else '?'}force=true"
    is_problem(api.ask(method, more, json=bank.filled(body), headers=CHECKER), 422, "ECIF-1001")
    assert counts(api) == before


def test_problems_say_what_and_why(api: Api, bank: Bank) -> None:
    def told(case: str) -> dict[str, Any]:
        path, body, *_ = BAD[case]
        return dict(api.post(bank.filled(path), json=bank.filled(body), headers=CHECKER).json())

    assert told("unknown member")["detail"] == NOBODY
    assert told("survivor is no member")["field"] == "body.survivor"
    rules = ("person and organisation", "head office and branch", "two valid numbers", "a closed customer")
    found = [told(case)["findings"] for case in rules]
    assert [[f["rule"] for f in findings] for findings in found] == [
        ["PARTY_TYPE"], ["HEAD_AND_BRANCH"], ["TWO_VALID_NUMBERS"], ["CLOSED"],
    ]  # fmt: skip
    assert all(f["message_zh"] and f["message_en"] and f["lift"] for findings in found for f in findings)
    assert told("split of another's record")["source_records"] == bank.filled(CARD)["source_records"]
    assert told("approval of what is done")["decided"] == "DONE"
    assert len(told("approval of what was overtaken")["changed"]) == 1


def test_what_lifts_a_block(api: Api, bank: Bank) -> None:
    numbers = {"members": ["<N1>", "<N2>"], "evidence": "号码变更证明 1"} | WHY
    assert api.post("/v1/merges", json=bank.filled(numbers), headers=MAKER).status_code == 202
    closed = {"members": ["<CLOSED>", "<OPEN>"], "override": ["CLOSED"]} | WHY
    asked = api.post("/v1/merges", json=bank.filled(closed), headers=MAKER)
    assert (asked.status_code, asked.json()["override"]) == (202, ["CLOSED"])
    decide(api, asked)
