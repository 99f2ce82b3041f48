"""Calls to paste and run, in this order, against a fresh database that holds the bank of ``contracts/examples/*.csv``:

    ecif load --core core.csv --loan loan.csv --ebank ebank.csv; ecif load --card card.csv; ecif serve

Numbers are issued in the order of the records, so the first customer is 100000000016 everywhere; a merged number is there too.
``make contract`` runs all of them and writes the answers into ``contracts/examples/answers.json``, from where they go into the
contract; a test runs them again. Everybody in them is made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

URL = "http://127.0.0.1:8000"
WHY = {"X-Purpose": "counter service"}


@dataclass(frozen=True, slots=True)
class Example:
    """One call.

    Attributes:
        call: method and path.
        status: of the answer.
        scopes: of the token, all unless given; None: there is no token.
    """

    call: str
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] | None = ()

    def curl(self) -> str:
        """The call as it is typed into a shell."""
        method, _, path = self.call.partition(" ")
        parts = [f"curl -s '{URL}{quote(path, safe='/:?&=%')}'"]
        if method != "GET":
            parts.append(f"-X {method}")
        if self.scopes is not None:
            parts.append(f'-H "Authorization: Bearer $({" --scope ".join(("ecif token", *self.scopes))})"')
        told = {"Content-Type": "application/json"} if self.body is not None else {}
        parts += [f"-H '{name}: {value}'" for name, value in (told | dict(self.headers)).items()]
        if self.body is not None:
            parts.append(f"-d '{json.dumps(self.body, ensure_ascii=False)}'")
        return " \\\n  ".join(parts)


COUNTER = {"X-Channel": "COUNTER", "X-Branch": "0101", "X-Operator": "clerk"}
HIM, MERGED, COMPANY = "100000000016", "100000000057", "200000000030"
OPENED, NOBODY = "100000000065", "999999999999"

REASON = {"reason": "客户申请"}
DEATH = {"reason": "家属申报", "deceased_on": "2024-05-01", "evidence": "死亡证明 2024-001"}


def _party(name: str, number: str, **more: Any) -> dict[str, Any]:
    return {"party_type": "PERSON", "name": name, "identifiers": [{"kind": "CITIZEN_ID", "number": number}]} | more


NEWCOMER = _party("王小雅", "440399198808080215", phones=["13712345670"])
SENT = _party("王小雅", "440399198808080215", phones=["13712345671"], business_time="2026-02-01T08:00:00Z")
OTHER = _party("陈小鱼", "440399198808080231", business_time="2026-02-01T08:00:00Z")
CHECKER = COUNTER | {"X-Operator": "checker"}
NAMESAKE = "100000000040"
ONE_PERSON = {"members": [HIM, NAMESAKE]}
CARD = {"source_records": [{"system": "card", "key": "0001C"}]}
COUPLE = {"records": [{"system": "core", "key": key} for key in ("10000000001", "10000000002")]}
DOUBTFUL = [
    _party(name, number, business_time="2026-02-01T08:00:00Z") | {"system": system, "key": f"Q{n}{system}"}
    for n, number in enumerate(("440399199303030014", "440399199303030030", "440399199303030057"), 1)
    for system, name in (("core", f"何{'一二三'[n - 1]}宝"), ("card", f"吕{'一二三'[n - 1]}梅"))
]
NOT_SAME = {"decision": "NOT_SAME"}
M2 = {"level": "M2", "rule": "P-ID-NAME"}
BULK_SEEN = "5be0e58cfb48ebf8fa3f37ce"  # of reviews 2 and 3, as they are then
EXAMPLES: dict[str, dict[str, Example]] = {
    "healthz": {"alive": Example("GET /healthz", scopes=None)},
    "readyz": {"ready": Example("GET /readyz", scopes=None)},
    "metrics": {"figures": Example("GET /metrics", scopes=None)},
    "get_customer": {
        "masked": Example(f"GET /v1/customers/{HIM}"),
        "clear": Example(f"GET /v1/customers/{HIM}?clear=true&sections=fields&sections=identifiers", headers=WHY),
        "merged": Example(f"GET /v1/customers/{MERGED}?sections=fields"),
        "with provenance": Example(f"GET /v1/customers/{COMPANY}?provenance=true"),
        "no token": Example(f"GET /v1/customers/{HIM}", 401, scopes=None),
        "scope missing": Example(f"GET /v1/customers/{HIM}", 403, scopes=("accounts:read",)),
        "no such number": Example(f"GET /v1/customers/{NOBODY}", 404),
        "mistyped parameter": Example(f"GET /v1/customers/{HIM}?section=fields", 422),
        "clear without purpose": Example(f"GET /v1/customers/{HIM}?clear=true", 422),
    },
    "get_customers": {
        "two of three": Example(f"GET /v1/customers:batch?no={HIM}&no={MERGED}&no={NOBODY}&sections=fields"),
        "no number": Example("GET /v1/customers:batch", 422),
    },
    "get_lineage": {
        "why each value": Example(f"GET /v1/customers/{HIM}/lineage"),
        "no such number": Example(f"GET /v1/customers/{NOBODY}/lineage", 404),
    },
    "get_accounts": {
        "masked": Example(f"GET /v1/customers/{HIM}/accounts"),
        "next page": Example(f"GET /v1/customers/{HIM}/accounts?limit=1&after=card:0001C:0"),
        "not a place": Example(f"GET /v1/customers/{HIM}/accounts?after=nowhere", 422),
    },
    "get_relations": {
        "spouse": Example(f"GET /v1/customers/{HIM}/relations"),
        "page too large": Example(f"GET /v1/customers/{HIM}/relations?limit=1000", 422),
    },
    "get_sources": {
        "all": Example(f"GET /v1/customers/{HIM}/sources"),
        "no such number": Example(f"GET /v1/customers/{NOBODY}/sources", 404),
    },
    "get_history": {
        "newest first": Example(f"GET /v1/customers/{HIM}/history?limit=2"),
        "no token": Example(f"GET /v1/customers/{HIM}/history", 401, scopes=None),
    },
    "search_customers": {
        "by identifier": Example("GET /v1/customers?identifier=440399199001010018"),
        "by name and phone": Example("GET /v1/customers?name=张三丰&phone=13912345670"),
        "by source record": Example("GET /v1/customers?source_system=card&source_key=0001C"),
        "nobody": Example("GET /v1/customers?phone=13900000000"),
        "no criterion": Example("GET /v1/customers", 422),
    },
    "read_events": {
        "from the beginning": Example("GET /v1/events?limit=2"),
        "not a cursor": Example("GET /v1/events?after=x", 422),
    },
    "get_code_tables": {
        "all": Example("GET /v1/codes"),
        "no token": Example("GET /v1/codes", 401, scopes=None),
    },
    "get_code_table": {
        "kinds of identifiers": Example("GET /v1/codes/identifier_kinds"),
        "no such table": Example("GET /v1/codes/colours", 422),
    },
    "check_existence": {
        "not a customer": Example("POST /v1/customers:exists", body=NEWCOMER),
        "exists": Example(
            "POST /v1/customers:exists", body=_party("張三豐", "４４０３９９１９９００１０１００１８", mode="STRICT")
        ),
        "same number, other name": Example("POST /v1/customers:exists", body=_party("赵四", "440399199001010018")),
        "impossible number": Example("POST /v1/customers:exists", body=_party("赵四", "440399199001010019")),
        "kind unknown": Example(
            "POST /v1/customers:exists",
            422,
            body=_party("赵四", "1") | {"identifiers": [{"kind": "LOYALTY_CARD", "number": "1"}]},
        ),
    },
    "open_new_customer": {
        "opened": Example("POST /v1/customers", 201, body=NEWCOMER, headers={"Idempotency-Key": "example-open"}),
        "the same call again": Example(
            "POST /v1/customers", 201, body=NEWCOMER, headers={"Idempotency-Key": "example-open"}
        ),
        "another call under that key": Example(
            "POST /v1/customers",
            409,
            body=NEWCOMER | {"on_exists": "return"},
            headers={"Idempotency-Key": "example-open"},
        ),
        "exists, number wanted": Example("POST /v1/customers", body=NEWCOMER | {"on_exists": "return"}),
        "exists": Example("POST /v1/customers", 409, body=NEWCOMER),
        "a counter states more": Example(
            "POST /v1/customers", 422, body=_party("周小川", "440399198808080258"), headers=COUNTER
        ),
    },
    "put_source_record": {
        "new": Example("PUT /v1/source-records/ebank/U77", 201, body=SENT),
        "the same again": Example("PUT /v1/source-records/ebank/U77", body=SENT),
        "scope missing": Example("PUT /v1/source-records/ebank/U77", 403, body=SENT, scopes=("customers:read",)),
        "nobody is named": Example(
            "PUT /v1/source-records/ebank/U78",
            422,
            body={"party_type": "PERSON", "business_time": "2026-02-01T08:00:00Z"},
        ),
    },
    "put_source_records": {
        "one of two": Example(
            "POST /v1/source-records:batch",
            body={"records": [OTHER | {"system": "ebank", "key": "U79"}, {"system": "ebank", "key": "U80"}]},
        ),
        "two who may be one, three times": Example("POST /v1/source-records:batch", body={"records": DOUBTFUL}),
        "none": Example("POST /v1/source-records:batch", 422, body={"records": []}),
    },
    "end_source_record": {
        "ended": Example("DELETE /v1/source-records/ebank/U79?business_time=2026-02-02T08:00:00Z"),
        "never sent": Example("DELETE /v1/source-records/ebank/U404", 404),
    },
    "change_customer": {
        "phone and occupation": Example(
            f"PATCH /v1/customers/{HIM}",
            body=REASON | {"phones": ["13712345699"], "occupation": "医生"},
            headers=COUNTER | {"If-Match": '"v3"'},
        ),
        "seen too long ago": Example(
            f"PATCH /v1/customers/{HIM}",
            412,
            body=REASON | {"occupation": "教师"},
            headers=COUNTER | {"If-Match": '"v3"'},
        ),
        "no version": Example(f"PATCH /v1/customers/{HIM}", 428, body=REASON | {"occupation": "教师"}, headers=COUNTER),
        "derived field": Example(
            f"PATCH /v1/customers/{HIM}",
            422,
            body=REASON | {"status": "CLOSED"},
            headers=COUNTER | {"If-Match": '"v4"'},
        ),
        "name, waits for a second person": Example(
            f"PATCH /v1/customers/{HIM}",
            202,
            body=REASON | {"name": "张三峰", "evidence": "户籍证明 2026-001"},
            headers=COUNTER | {"If-Match": '"v4"'},
        ),
        "another name": Example(
            f"PATCH /v1/customers/{HIM}",
            202,
            body=REASON | {"name": "张三锋", "evidence": "户籍证明 2026-002"},
            headers=COUNTER | {"If-Match": '"v4"'},
        ),
    },
    "list_change_requests": {
        "that wait": Example("GET /v1/change-requests?status=PENDING"),
        "status unknown": Example("GET /v1/change-requests?status=LOST", 422),
    },
    "get_change_request": {
        "one": Example("GET /v1/change-requests/1"),
        "no such request": Example("GET /v1/change-requests/404", 404),
    },
    "approve_change": {
        "by the one who asked": Example("POST /v1/change-requests/1:approve", 403, body={}, headers=COUNTER),
        "by another": Example(
            "POST /v1/change-requests/1:approve", body={"note": "已核"}, headers=COUNTER | {"X-Operator": "checker"}
        ),
        "decided before": Example(
            "POST /v1/change-requests/1:approve", 409, body={}, headers=COUNTER | {"X-Operator": "checker"}
        ),
    },
    "reject_change": {
        "turned down": Example(
            "POST /v1/change-requests/2:reject",
            body={"note": "证明不符"},
            headers=COUNTER | {"X-Operator": "checker"},
        ),
        "no such request": Example("POST /v1/change-requests/404:reject", 404, body={}, headers=COUNTER),
    },
    "close_customer": {
        "closed": Example(f"POST /v1/customers/{OPENED}:close", body=REASON, headers=COUNTER),
        "an account is open": Example(f"POST /v1/customers/{COMPANY}:close", 409, body=REASON, headers=COUNTER),
        "no such number": Example(f"POST /v1/customers/{NOBODY}:close", 404, body=REASON, headers=COUNTER),
    },
    "restrict_customer": {
        "restricted": Example(f"POST /v1/customers/{OPENED}:restrict", body=REASON, headers=COUNTER),
        "no such number": Example(f"POST /v1/customers/{NOBODY}:restrict", 404, body=REASON, headers=COUNTER),
    },
    "mark_customer_deceased": {
        "with its proof": Example(f"POST /v1/customers/{OPENED}:mark-deceased", body=DEATH, headers=COUNTER),
        "no person": Example(f"POST /v1/customers/{COMPANY}:mark-deceased", 422, body=DEATH, headers=COUNTER),
    },
    "reactivate_customer": {
        "open again": Example(f"POST /v1/customers/{OPENED}:reactivate", body=REASON, headers=COUNTER),
        "no such number": Example(f"POST /v1/customers/{NOBODY}:reactivate", 404, body=REASON, headers=COUNTER),
    },
    "preview_merge": {
        "two valid numbers, one person": Example("POST /v1/merges:preview", body=ONE_PERSON),
        "one already": Example("POST /v1/merges:preview", 409, body={"members": [HIM, MERGED]}),
    },
    "ask_merge": {
        "two valid numbers": Example("POST /v1/merges", 409, body=ONE_PERSON | REASON, headers=COUNTER),
        "with evidence, waits for a second person": Example(
            "POST /v1/merges", 202, body=ONE_PERSON | REASON | {"evidence": "号码变更证明 2026-003"}, headers=COUNTER
        ),
    },
    "list_operations": {
        "that wait": Example("GET /v1/operations?status=PENDING"),
        "status unknown": Example("GET /v1/operations?status=LOST", 422),
    },
    "get_operation": {
        "one": Example("GET /v1/operations/1"),
        "no such operation": Example("GET /v1/operations/404", 404),
    },
    "approve_operation": {
        "by the one who asked": Example("POST /v1/operations/1:approve", 403, body={}, headers=COUNTER),
        "by another": Example("POST /v1/operations/1:approve", body={"note": "已核"}, headers=CHECKER),
        "decided before": Example("POST /v1/operations/1:approve", 409, body={}, headers=CHECKER),
    },
    "preview_reverse": {
        "what it would touch": Example("POST /v1/merges/1:preview-reverse"),
        "no such merge": Example("POST /v1/merges/404:preview-reverse", 404),
    },
    "ask_reverse": {
        "waits for a second person": Example("POST /v1/merges/1:reverse", 202, body=REASON, headers=COUNTER),
        "no such merge": Example("POST /v1/merges/404:reverse", 404, body=REASON, headers=COUNTER),
    },
    "preview_split": {
        "what it would do": Example(f"POST /v1/customers/{HIM}:preview-split", body=CARD),
        "another's record": Example(f"POST /v1/customers/{COMPANY}:preview-split", 422, body=CARD),
    },
    "ask_split": {
        "waits for a second person": Example(
            f"POST /v1/customers/{HIM}:split", 202, body=CARD | REASON, headers=COUNTER
        ),
        "seen too long ago": Example(
            f"POST /v1/customers/{HIM}:split", 412, body=CARD | REASON, headers=COUNTER | {"If-Match": '"v1"'}
        ),
    },
    "reject_operation": {
        "turned down": Example("POST /v1/operations/3:reject", body={"note": "证明不符"}, headers=CHECKER),
        "no such operation": Example("POST /v1/operations/404:reject", 404, body={}, headers=CHECKER),
    },
    "withdraw_operation": {
        "another's": Example("POST /v1/operations/2:withdraw", 403, body={}, headers=CHECKER),
        "taken back": Example("POST /v1/operations/2:withdraw", body={"note": "合并无误"}, headers=COUNTER),
    },
    "judge": {
        "not the same": Example(
            "POST /v1/judgements", 201, body=COUPLE | REASON | {"verdict": "NOT_SAME"}, headers=COUNTER
        ),
        "opposed to it": Example(
            "POST /v1/judgements", 409, body=COUPLE | REASON | {"verdict": "SAME"}, headers=COUNTER
        ),
    },
    "list_judgements": {
        "of a source record": Example("GET /v1/judgements?system=core&key=10000000002"),
        "never sent": Example("GET /v1/judgements?system=core&key=404", 404),
    },
    "list_merge_reviews": {
        "the most urgent": Example("GET /v1/merge-reviews?limit=2"),
        "of a rule, oldest first": Example("GET /v1/merge-reviews?rule=P-ID-NAME&state=OPEN&sort=oldest"),
        "no such order": Example("GET /v1/merge-reviews?sort=best", 422),
    },
    "get_merge_review": {
        "with its evidence": Example("GET /v1/merge-reviews/1"),
        "no such review": Example("GET /v1/merge-reviews/404", 404),
    },
    "claim_review": {
        "claimed": Example("POST /v1/merge-reviews/1:claim", headers=COUNTER),
        "held by another": Example("POST /v1/merge-reviews/1:claim", 409, headers=CHECKER),
    },
    "comment_review": {
        "a remark": Example("POST /v1/merge-reviews/1:comment", body={"text": "已联系客户"}, headers=COUNTER),
        "no such review": Example("POST /v1/merge-reviews/404:comment", 404, body={"text": "x"}, headers=COUNTER),
    },
    "release_review": {
        "given back": Example("POST /v1/merge-reviews/1:release", headers=COUNTER),
        "no such review": Example("POST /v1/merge-reviews/404:release", 404, headers=COUNTER),
    },
    "decide_review": {
        "seen too long ago": Example(
            "POST /v1/merge-reviews/1:decide", 412, body=NOT_SAME | REASON, headers=COUNTER | {"If-Match": '"v1"'}
        ),
        "not the same": Example(
            "POST /v1/merge-reviews/1:decide", body=NOT_SAME | REASON, headers=COUNTER | {"If-Match": '"v3"'}
        ),
        "decided before": Example(
            "POST /v1/merge-reviews/1:decide", 409, body=NOT_SAME | REASON, headers=COUNTER | {"If-Match": '"v4"'}
        ),
        "renamed, a merge waits for a second person": Example(
            "POST /v1/merge-reviews/2:decide",
            202,
            body=REASON | {"decision": "RENAME", "evidence": "更名证明 2026-004"},
            headers=COUNTER | {"If-Match": '"v1"'},
        ),
        "no version": Example("POST /v1/merge-reviews/3:decide", 428, body=NOT_SAME | REASON, headers=COUNTER),
    },
    "get_review_history": {
        "all": Example("GET /v1/merge-reviews/1/history"),
        "no such review": Example("GET /v1/merge-reviews/404/history", 404),
    },
    "preview_bulk": {
        "of one rule": Example("POST /v1/merge-reviews:preview-bulk", body=NOT_SAME | {"filter": M2}),
        "not in bulk": Example("POST /v1/merge-reviews:preview-bulk", 422, body={"decision": "SAME", "filter": M2}),
    },
    "decide_bulk": {
        "as the preview named them": Example(
            "POST /v1/merge-reviews:decide-bulk",
            body=NOT_SAME | REASON | {"filter": M2, "seen": BULK_SEEN},
            headers=COUNTER,
        ),
        "others than were seen": Example(
            "POST /v1/merge-reviews:decide-bulk",
            412,
            body=NOT_SAME | REASON | {"filter": M2, "seen": "0" * 24},
            headers=COUNTER,
        ),
    },
    "undo_bulk": {
        "open again": Example("POST /v1/bulk-decisions/1:undo", body=REASON, headers=COUNTER),
        "taken back before": Example("POST /v1/bulk-decisions/1:undo", 409, body=REASON, headers=COUNTER),
        "no such decision": Example("POST /v1/bulk-decisions/404:undo", 404, body=REASON, headers=COUNTER),
    },
}
"""By the name of the route's function, and in each by a name of its own: the order in which they are run."""
