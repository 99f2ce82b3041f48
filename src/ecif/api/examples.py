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


HIM, MERGED, COMPANY = "100000000016", "100000000057", "200000000030"

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
        "no such number": Example("GET /v1/customers/999999999999", 404),
        "mistyped parameter": Example(f"GET /v1/customers/{HIM}?section=fields", 422),
        "clear without purpose": Example(f"GET /v1/customers/{HIM}?clear=true", 422),
    },
    "get_lineage": {
        "why each value": Example(f"GET /v1/customers/{HIM}/lineage"),
        "no such number": Example("GET /v1/customers/999999999999/lineage", 404),
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
        "no such number": Example("GET /v1/customers/999999999999/sources", 404),
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
}
"""By the name of the route's function, and in each by a name of its own: the order in which they are run."""
