"""The review queue by calls: seen with its evidence, claimed by one, decided once, in bulk and back; bad input changes nothing."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx
import pytest
from people import citizen, scalar
from served import Api, is_problem
from sqlalchemy import text

from ecif.api.tokens import SCOPES
from ecif.models import Base

_serial = count(1)
MAKER = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "maker"}
OTHER = MAKER | {"X-Operator": "other"}
WHY = {"reason": "已核实"}
QUEUE, LATER = "/v1/merge-reviews", "2026-03-01T00:00:00Z"
MASKED = tuple(scope for scope in SCOPES if not scope.startswith("pii:"))


class Question:
    """Two customers with one identity number and two names, and the review that asks about them."""

    def __init__(self, api: Api) -> None:
        self.api, self.n = api, next(_serial)
        self.number = citizen(self.n, "19630303", "442099")
        self.names = f"冯大{chr(0x4E00 + self.n)}", f"卫小{chr(0x4E00 + self.n)}"
        self.a, self.b = (self.put(system, name) for system, name in zip(("core", "card"), self.names, strict=True))
        (found,) = api.get(QUEUE, params={"customer_no": self.a}).json()["items"]
        self.id, self.path = found["id"], f"{QUEUE}/{found['id']}"

    def body(self, name: str, **more: Any) -> dict[str, Any]:
        numbers = [{"kind": "CITIZEN_ID", "number": self.number}]
        body = {"party_type": "PERSON", "business_time": "2026-01-01T00:00:00Z", "name": name, "identifiers": numbers}
        return body | more

    def put(self, system: str, name: str, **more: Any) -> str:
        answer = self.api.ask("PUT", f"/v1/source-records/{system}/q{self.n}", json=self.body(name, **more))
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["customer_no"])

    def see(self, **options: Any) -> dict[str, Any]:
        answer = self.api.get(self.path, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def do(self, verb: str, body: Any = None, headers: dict[str, str] = MAKER, **options: Any) -> httpx.Response:
        content = {"json": body} if body is not None else {}
        return self.api.post(f"{self.path}:{verb}", headers=headers, **content, **options)

    def decide(self, decision: str, headers: dict[str, str] = MAKER, **more: Any) -> httpx.Response:
        tag = {"If-Match": f'"v{self.see()["version"]}"'}
        return self.do("decide", WHY | {"decision": decision} | more, tag | headers)

    def history(self) -> list[str]:
        return [entry["action"] for entry in self.api.get(f"{self.path}/history").json()["items"]]


@pytest.fixture
def question(api: Api) -> Question:
    return Question(api)


def counts(api: Api) -> dict[str, Any]:
    """How many rows each table holds, and how far the reviews are."""
    rows = {t.name: scalar(api.engine, f"SELECT count(*) FROM {t.name}") for t in Base.metadata.sorted_tables}
    return rows | {"versions": scalar(api.engine, "SELECT sum(version) FROM merge_review")}


# What a steward sees


def test_the_evidence_item_by_item(api: Api, question: Question) -> None:
    answer = api.get(question.path)
    seen = answer.json()
    assert answer.headers["ETag"] == '"v1"' and (seen["state"], seen["level"]) == ("OPEN", "M2")
    assert sorted(seen["customers"]) == seen["customers"] == sorted([question.a, question.b])
    (pair,) = seen["pairs"]
    records = {(r["system"], r["key"]) for r in pair["source_records"]}
    assert records == {("core", f"q{question.n}"), ("card", f"q{question.n}")}
    agrees = {item["field"]: item["points"] for item in pair["agrees"]}
    assert agrees["identifier"] == 60 and "kind" not in agrees
    assert [(i["field"], i["reason"]) for i in pair["conflicts"]] == [("name", "DIFFERENT")]
    assert (pair["rule"], "same number, other name" in pair["meaning"]) == ("P-ID-NAME", True)
    assert "phone" in pair["missing"] and seen["policy_version"]
    assert seen["names"] == [{"customer_no": no, "records": 1, "more": False} for no in seen["customers"]]
    assert seen["recommended"] == "NEED_INFO", "a number alone may have been typed for another"
    assert [risk["rule"] for risk in seen["risks"]] == ["BASE", "SAME_NUMBER"]
    assert {g["customer_no"] for g in seen["golden"]} == set(seen["customers"])


def test_what_is_recommended_follows_the_facts(question: Question) -> None:
    for system, name in zip(("core", "card"), question.names, strict=True):
        question.put(system, name, phones=["13500000001"], business_time="2026-02-01T00:00:00Z")
    assert question.see()["recommended"] == "RENAME"


def test_both_golden_records_are_masked_and_who_sees_them_clear_is_on_record(api: Api, question: Question) -> None:
    headers = {"X-Purpose": "审核".encode(), "X-Operator": "steward"}
    for options in ({}, {"scopes": MASKED, "headers": headers}, {"params": {"clear": "false"}, "headers": headers}):
        shown = api.get(question.path, **options).text  # type: ignore[arg-type]
        assert question.number not in shown and not any(name in shown for name in question.names)
    before = scalar(api.engine, "SELECT count(*) FROM clear_read")
    clear = api.get(question.path, headers=headers).text
    assert question.number in clear and all(name in clear for name in question.names)
    assert scalar(api.engine, "SELECT count(*) FROM clear_read") == before + 2
    is_problem(api.get(question.path, params={"clear": "true"}), 422, "ECIF-1003")


def test_pages_of_the_queue(api: Api, question: Question) -> None:
    made = {Question(api).id for _ in range(3)} | {question.id}
    for sort in ("priority", "oldest", "newest"):
        seen: list[int] = []
        after = ""
        while after is not None:
            page = api.get(QUEUE, params={"sort": sort, "limit": 2, "after": after}).json()
            seen += [item["id"] for item in page["items"]]
            after = page["next_after"]
        assert len(seen) == len(set(seen)) and made <= set(seen)
        assert sort != "newest" or seen == sorted(seen, reverse=True)
    page = api.get(QUEUE, params={"limit": 1}).json()
    as_of = page["next_after"].split(".")[0]
    assert api.get(QUEUE, params={"after": f"{as_of}.{'9' * 17}.1"}).status_code == 200, "older than any can be"
    other = api.get(QUEUE, params={"limit": 1, "sort": "oldest", "after": page["next_after"]})
    assert is_problem(other, 422, "ECIF-1001")["errors"][0]["rule"] == "cursor_of_another_order"


class Misfit(Question):
    """The two were merged; then the second's record turned into somebody else's."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        place = self.decide("SAME").headers["Location"]
        assert api.post(f"{place}:approve", json={}, headers=OTHER).status_code == 200
        self.other = {"kind": "CITIZEN_ID", "number": citizen(self.n, "19720202", "442099")}
        self.no = self.put("card", f"陶二{chr(0x4E00 + self.n)}", identifiers=[self.other], business_time=LATER)
        (found,) = self.api.get(QUEUE, params={"customer_no": self.no, "kind": "MISFIT"}).json()["items"]
        self.id, self.path = found["id"], f"{QUEUE}/{found['id']}"


def test_a_record_that_no_longer_fits_is_shown_against_the_others(api: Api) -> None:
    misfit = Misfit(api)
    seen = misfit.see()
    assert (seen["kind"], seen["customers"], seen["level"]) == ("MISFIT", [misfit.no, misfit.no], "N1")
    assert seen["records"] == [{"system": "card", "key": f"q{misfit.n}", "from": None, "to": None}]
    (pair,) = seen["pairs"]
    assert {item["field"] for item in pair["conflicts"]} >= {"identifier", "name", "birth"}
    assert (pair["rule"], seen["rule"], bool(seen["policy_version"])) == ("P-N1", "P-N1", True)
    assert (seen["recommended"], [risk["rule"] for risk in seen["risks"]]) == ("SPLIT", ["MIXED"])
    assert [golden["customer_no"] for golden in seen["golden"]] == [misfit.no]


def test_who_is_kept_brings_no_other_customer_along(api: Api) -> None:
    misfit = Misfit(api)
    body = {"party_type": "PERSON", "business_time": LATER, "name": f"陶二{chr(0x4E00 + misfit.n)}"}
    stranger = api.ask("PUT", f"/v1/source-records/loan/q{misfit.n}", json=body | {"identifiers": [misfit.other]})
    assert is_problem(misfit.decide("NOT_SAME"), 422, "ECIF-3053")["allowed"] == ["ESCALATE", "NEED_INFO", "SAME"]
    problem = is_problem(misfit.decide("SAME"), 409, "ECIF-3058")
    assert problem["customers"] == [stranger.json()["customer_no"]] and misfit.see()["state"] == "OPEN"


def test_a_record_that_moved_is_shown_with_both_customers(api: Api, question: Question) -> None:
    api.ask("PUT", f"/v1/source-records/loan/q{question.n}", json=question.body(question.names[0]))
    other = {"kind": "CITIZEN_ID", "number": citizen(question.n, "19720202", "443099")}
    body = question.body(f"陶二{chr(0x4E00 + question.n)}", identifiers=[other], business_time=LATER)
    to = api.ask("PUT", f"/v1/source-records/loan/q{question.n}", json=body).json()["customer_no"]
    (found,) = api.get(QUEUE, params={"customer_no": to, "kind": "MOVED"}).json()["items"]
    seen = api.get(f"{QUEUE}/{found['id']}").json()
    assert seen["records"] == [{"system": "loan", "key": f"q{question.n}", "from": question.a, "to": to}]
    assert (seen["recommended"], seen["rule"], len(seen["golden"])) == ("KEEP", "P-N1", 2)


# What a steward does


def test_one_steward_at_a_time(api: Api, question: Question) -> None:
    claimed = question.do("claim")
    assert (claimed.status_code, claimed.json()["claimed_by"], claimed.headers["ETag"]) == (200, "maker", '"v2"')
    for answer in (
        question.do("claim", headers=OTHER),
        question.do("release", headers=OTHER),
        question.decide("NOT_SAME", headers=OTHER),
    ):
        problem = is_problem(answer, 409, "ECIF-3050")
        assert problem["claimed_by"] == "maker" and problem["claimed_at"]
    assert question.do("comment", {"text": "请核对原件"}, OTHER).status_code == 200
    mine = api.get(QUEUE, params={"claimed_by": "maker", "customer_no": question.a}).json()["items"]
    assert [item["id"] for item in mine] == [question.id]
    assert question.do("release").json()["claimed_by"] is None
    assert question.do("claim", headers=OTHER).json()["claimed_by"] == "other"
    assert question.history() == ["CLAIMED", "COMMENT", "RELEASED", "CLAIMED"]
    entries = api.get(f"{question.path}/history", params={"limit": 2}).json()
    assert entries["items"][1] | {"person": "other", "text": "请核对原件"} == entries["items"][1]
    rest = api.get(f"{question.path}/history", params={"after": entries["next_after"]}).json()
    assert [entry["action"] for entry in rest["items"]] == ["RELEASED", "CLAIMED"] and rest["next_after"] is None


def test_what_was_seen_has_to_be_as_it_is(question: Question) -> None:
    body = WHY | {"decision": "NOT_SAME"}
    is_problem(question.do("decide", body), 428, "ECIF-1012")
    question.do("claim")
    problem = is_problem(question.do("decide", body, MAKER | {"If-Match": '"v1"'}), 412, "ECIF-3057")
    assert (problem["current_version"], problem["state"]) == (2, "OPEN")
    is_problem(question.do("claim", headers=MAKER | {"If-Match": '"v1"'}), 412, "ECIF-3057")


def test_not_the_same_holds_at_once(api: Api, question: Question) -> None:
    done = question.decide("NOT_SAME")
    assert (done.status_code, done.json()["outcome"], done.json()["state"]) == (200, "NOT_SAME", "CLOSED"), done.text
    problem = is_problem(question.decide("SAME"), 409, "ECIF-3051")
    assert problem["outcome"] == "NOT_SAME"
    is_problem(question.do("claim"), 409, "ECIF-3051")
    assert api.get(QUEUE, params={"customer_no": question.a}).json()["items"] == []
    closed = api.get(QUEUE, params={"customer_no": question.a, "state": "CLOSED"}).json()["items"]
    assert [item["id"] for item in closed] == [question.id]
    blocked = api.post("/v1/merges", json=WHY | {"members": [question.a, question.b]}, headers=MAKER)
    assert is_problem(blocked, 409, "ECIF-3030")["findings"][0]["rule"] == "JUDGED_NOT_SAME"


def test_a_merge_takes_two_persons(api: Api, question: Question) -> None:
    terms = {"evidence": "更名证明 2026-1", "override": ["CLOSED"]}
    asked = question.decide("RENAME", survivor=question.b, **terms)
    assert (asked.status_code, asked.json()["state"], asked.headers["ETag"]) == (202, "WAITING", '"v2"'), asked.text
    place = asked.headers["Location"]
    operation = api.get(place).json()
    assert operation | terms == operation
    assert place == f"/v1/operations/{asked.json()['operation']}"
    problem = is_problem(question.decide("NOT_SAME"), 409, "ECIF-3052")
    assert problem["operation"] == asked.json()["operation"]
    is_problem(api.post(f"{place}:approve", json={}, headers=MAKER), 403, "ECIF-5005")
    assert api.post(f"{place}:approve", json={}, headers=OTHER).status_code == 200
    seen = question.see()
    assert (seen["state"], seen["outcome"]) == ("CLOSED", "RENAME")
    assert api.get(f"/v1/customers/{question.a}").json()["customer_no"] == question.b
    assert question.history() == ["RENAME", "APPROVED"]


def test_a_merge_that_is_turned_down_comes_back(api: Api, question: Question) -> None:
    place = question.decide("SAME").headers["Location"]
    assert api.post(f"{place}:reject", json={"note": "证据不足"}, headers=OTHER).status_code == 200
    assert (question.see()["state"], question.see()["operation"]) == ("OPEN", None)
    assert question.history() == ["SAME", "REJECTED"]


def test_a_repeated_call_is_carried_out_once(question: Question) -> None:
    key = MAKER | {"Idempotency-Key": f"claim-{question.n}"}
    first, again = question.do("claim", headers=key), question.do("claim", headers=key)
    assert first.json() == again.json() and again.headers["Idempotency-Replayed"] == "true"
    assert question.history() == ["CLAIMED"]


def test_of_a_remark_what_can_be_seen_is_kept(api: Api, question: Question) -> None:
    assert question.do("comment", {"text": "\u001b[2J请核对\u0000原件 "}).status_code == 200
    (entry,) = api.get(f"{question.path}/history").json()["items"]
    assert entry["text"] == "[2J请核对原件"
    blank = is_problem(question.do("comment", {"text": " "}), 422, "ECIF-1001")
    assert (blank["field"], blank["errors"][0]["message_zh"]) == ("body.text", "没有可见字符")


# Bulk


def test_many_are_decided_and_taken_back_as_one(api: Api) -> None:
    mine, *held = (Question(api) for _ in range(3))
    for question in held:
        question.do("claim", headers=OTHER)
    mine.do("claim")
    chosen = {"filter": {"customer_no": mine.a}, "decision": "NOT_SAME"}
    shown = api.post(f"{QUEUE}:preview-bulk", json=chosen, headers=MAKER).json()
    assert (shown["count"], shown["results"]) == (1, {"DECIDED": 1})
    assert shown["items"][0] | {"id": mine.id, "result": "DECIDED"} == shown["items"][0]
    others = api.post(f"{QUEUE}:preview-bulk", json=chosen | {"filter": {"claimed_by": "other"}}).json()
    assert others["results"]["CLAIMED"] == others["count"] == len(others["items"]) > 1
    body = chosen | WHY | {"seen": shown["seen"]}
    done = api.post(f"{QUEUE}:decide-bulk", json=body, headers=MAKER)
    assert done.json()["results"] == [{"review": mine.id, "result": "DECIDED"}], done.text
    assert mine.see()["outcome"] == "NOT_SAME"
    is_problem(api.post(f"{QUEUE}:decide-bulk", json=body, headers=MAKER), 412, "ECIF-3057")
    undo = f"/v1/bulk-decisions/{done.json()['bulk_decision']}:undo"
    assert api.post(undo, json=WHY, headers=OTHER).json()["results"] == [{"review": mine.id, "result": "REOPENED"}]
    assert mine.see()["state"] == "OPEN" and mine.history() == ["CLAIMED", "NOT_SAME", "UNDONE"]
    is_problem(api.post(undo, json=WHY, headers=OTHER), 409, "ECIF-3055")


# Bad input

NOBODY = "999999999999"
V1 = {"If-Match": '"v1"'}
ONE: dict[str, Any] = {"filter": {}, "decision": "NOT_SAME"}
BAD: dict[str, tuple[str, str, Any, dict[str, str], int, str]] = {
    "no such state": ("GET", f"{QUEUE}?state=LOST", None, {}, 422, "ECIF-1001"),
    "page too large": ("GET", f"{QUEUE}?limit=101", None, {}, 422, "ECIF-1001"),
    "not a cursor": ("GET", f"{QUEUE}?after=x", None, {}, 422, "ECIF-1001"),
    "endless cursor": ("GET", f"{QUEUE}?after=p{'9' * 17}.1.1", None, {}, 422, "ECIF-1001"),
    "risk beyond": ("GET", f"{QUEUE}?risk=99", None, {}, 422, "ECIF-1001"),
    "mistyped filter": ("GET", f"{QUEUE}?states=OPEN", None, {}, 422, "ECIF-1001"),
    "unknown customer": ("GET", f"{QUEUE}?customer_no={NOBODY}", None, {}, 404, "ECIF-2001"),
    "no such review": ("GET", f"{QUEUE}/987654", None, {}, 404, "ECIF-2008"),
    "not a review": ("GET", f"{QUEUE}/0", None, {}, 422, "ECIF-1001"),
    "history of none": ("GET", f"{QUEUE}/987654/history", None, {}, 404, "ECIF-2008"),
    "history from nowhere": ("GET", "<ONE>/history?after=-1", None, {}, 422, "ECIF-1001"),
    "claim of none": ("POST", f"{QUEUE}/987654:claim", None, {}, 404, "ECIF-2008"),
    "claim of a mistyped version": ("POST", "<ONE>:claim", None, {"If-Match": "1"}, 422, "ECIF-1001"),
    "claim with a parameter": ("POST", "<ONE>:claim?for=me", None, {}, 422, "ECIF-1001"),
    "stale claim": ("POST", "<ONE>:claim", None, {"If-Match": '"v9"'}, 412, "ECIF-3057"),
    "release of none": ("POST", f"{QUEUE}/987654:release", None, {}, 404, "ECIF-2008"),
    "stale release": ("POST", "<ONE>:release", None, {"If-Match": '"v9"'}, 412, "ECIF-3057"),
    "empty remark": ("POST", "<ONE>:comment", {"text": "  "}, {}, 422, "ECIF-1001"),
    "remark that nobody sees": ("POST", "<ONE>:comment", {"text": "\u202e\u0000"}, {}, 422, "ECIF-1001"),
    "endless remark": ("POST", "<ONE>:comment", {"text": "字" * 2001}, {}, 422, "ECIF-1001"),
    "remark on none": ("POST", f"{QUEUE}/987654:comment", {"text": "x"}, {}, 404, "ECIF-2008"),
    "no such decision": ("POST", "<ONE>:decide", WHY | {"decision": "MAYBE"}, V1, 422, "ECIF-1001"),
    "no reason": ("POST", "<ONE>:decide", {"decision": "NOT_SAME"}, V1, 422, "ECIF-1001"),
    "unknown field": ("POST", "<ONE>:decide", WHY | {"decision": "SAME", "by": "me"}, V1, 422, "ECIF-1001"),
    "unknown survivor": ("POST", "<ONE>:decide", WHY | {"decision": "SAME", "survivor": NOBODY}, V1, 404, "ECIF-2001"),
    "another's survivor": ("POST", "<ONE>:decide", WHY | {"decision": "SAME", "survivor": "<HIM>"}, V1, 422, "ECIF-3032"),
    "no such override": ("POST", "<ONE>:decide", WHY | {"decision": "SAME", "override": ["LAW"]}, V1, 422, "ECIF-1001"),
    "decision on none": ("POST", f"{QUEUE}/987654:decide", WHY | {"decision": "SAME"}, V1, 404, "ECIF-2008"),
    "stale decision": ("POST", "<ONE>:decide", WHY | {"decision": "SAME"}, {"If-Match": '"v9"'}, 412, "ECIF-3057"),
    "merge in bulk": ("POST", f"{QUEUE}:preview-bulk", ONE | {"decision": "SAME"}, {}, 422, "ECIF-1001"),
    "closed in bulk": ("POST", f"{QUEUE}:preview-bulk", ONE | {"filter": {"state": "CLOSED"}}, {}, 422, "ECIF-1001"),
    "bulk of nobody": ("POST", f"{QUEUE}:preview-bulk", ONE | {"filter": {"customer_no": NOBODY}}, {}, 404, "ECIF-2001"),
    "bulk unseen": ("POST", f"{QUEUE}:decide-bulk", ONE | WHY, {}, 422, "ECIF-1001"),
    "bulk of others": ("POST", f"{QUEUE}:decide-bulk", ONE | WHY | {"seen": "0" * 24}, {}, 412, "ECIF-3057"),
    "undo of nothing": ("POST", "/v1/bulk-decisions/987654:undo", WHY, {}, 404, "ECIF-2009"),
    "undo without a reason": ("POST", "/v1/bulk-decisions/987654:undo", {}, {}, 422, "ECIF-1001"),
}  # fmt: skip


@pytest.fixture(scope="module")
def one(api: Api) -> Question:
    return Question(api)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_says_what_is_wrong_and_changes_nothing(api: Api, one: Question, case: str) -> None:
    verb, path, body, headers, status, code = BAD[case]
    him = api.no("core:1")
    if isinstance(body, dict):
        body = {k: him if v == "<HIM>" else v for k, v in body.items()}
    before = counts(api)
    options = {"json": body} if body is not None else {}
    answer = api.ask(verb, path.replace("<ONE>", one.path), headers=MAKER | headers, **options)
    is_problem(answer, status, code)
    assert counts(api) == before


@pytest.mark.parametrize(
    ("verb", "path", "scope"),
    [
        ("GET", QUEUE, "reviews:read"),
        ("GET", "<ONE>", "reviews:read"),
        ("GET", "<ONE>/history", "reviews:read"),
        ("POST", f"{QUEUE}:preview-bulk", "reviews:read"),
        ("POST", f"{QUEUE}:decide-bulk", "reviews:write"),
        ("POST", "<ONE>:claim", "reviews:write"),
        ("POST", "<ONE>:release", "reviews:write"),
        ("POST", "<ONE>:comment", "reviews:write"),
        ("POST", "<ONE>:decide", "reviews:write"),
        ("POST", "/v1/bulk-decisions/1:undo", "reviews:write"),
    ],
)
def test_every_call_needs_its_scope_and_takes_no_other_parameter(
    api: Api, one: Question, verb: str, path: str, scope: str
) -> None:
    body = {":preview-bulk": ONE, ":decide-bulk": ONE | WHY | {"seen": "0" * 24}, ":comment": {"text": "x"},
            ":decide": WHY | {"decision": "SAME"}, ":undo": WHY}  # fmt: skip
    sent = next((b for end, b in body.items() if path.endswith(end)), None)
    options = {"json": sent} if sent else {}
    others = tuple(name for name in SCOPES if name != scope)
    answer = api.ask(verb, path.replace("<ONE>", one.path), scopes=others, headers=MAKER | V1, **options)
    assert is_problem(answer, 403, "ECIF-5003")["detail"] == scope
    unknown = api.ask(verb, f"{path.replace('<ONE>', one.path)}?force=true", headers=MAKER | V1, **options)
    is_problem(unknown, 422, "ECIF-1001")


def test_too_many_in_bulk(api: Api) -> None:
    with api.engine.begin() as connection:
        rows = (
            "INSERT INTO merge_review (customer_lo, customer_hi, kind, level, evidence, opened_at)"
            " SELECT a.customer_no, a.customer_no, 'MISFIT' || n, 'REMATCH', '{\"pairs\": [], \"more\": 0}', now()"
            " FROM (SELECT customer_no FROM party ORDER BY 1 LIMIT 1) a, generate_series(1, 201) n"
        )
        connection.execute(text(rows))
    is_problem(api.post(f"{QUEUE}:preview-bulk", json=ONE), 422, "ECIF-3054")
    with api.engine.begin() as connection:
        connection.execute(text("DELETE FROM merge_review WHERE kind LIKE 'MISFIT%'"))
