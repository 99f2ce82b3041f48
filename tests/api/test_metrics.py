"""The figures for those who keep the service running: right, of closed labels, nobody's, and there when the database is not."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import httpx
from people import deliver, record
from processes import postmasters, wait_until
from prometheus_client import parser
from served import CLEAR, ID_A, PHONE, Api, fill, is_problem, served, serving, token
from sqlalchemy import Engine, text

from ecif.api.tokens import SCOPES
from ecif.db import POOL_SIZE, open_database
from ecif.services.context import KeyDigests
from ecif.settings import Settings

Labels = dict[str, str]


def scrape(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples, by name and labels."""
    answer = httpx.get(f"{url}/metrics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = parser.text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(url: str, name: str, **labels: str) -> float:
    return scrape(url).get((f"ecif_{name}", frozenset(labels.items())), 0)


def test_calls_are_counted_by_route_and_never_by_whom_they_name(api: Api, digests: KeyDigests) -> None:
    no = api.no("core:1")
    with served(api.engine, digests) as url, httpx.Client(base_url=url, headers=token(*SCOPES)) as client:
        for _ in range(3):
            client.get(
                f"/v1/customers/{no}", params={"clear": "true"}, headers={"X-Purpose": "for sanfeng.zhang@example.com"}
            )
        client.get("/v1/customers/999999999999")
        client.get("/v1/customers", params={"phone": PHONE})
        client.get(f"/v1/{PHONE}")
        client.request("张三丰".encode().hex(), f"/v1/customers/{no}")
        assert sample(url, "calls_total", method="GET", route="/v1/customers/{no}", status="200") == 3
        assert sample(url, "calls_total", method="GET", route="/v1/customers/{no}", status="404") == 1
        assert sample(url, "calls_total", method="GET", route="/v1/customers", status="200") == 1
        assert sample(url, "calls_total", method="GET", route="", status="404") == 1
        assert sample(url, "calls_total", method="OTHER", route="/v1/customers/{no}", status="405") == 1
        assert sample(url, "call_seconds_count", method="GET", route="/v1/customers/{no}") == 4
        lines = client.get("/metrics").text.splitlines()
    told = "\n".join(line.rpartition(" ")[0] for line in lines)  # the sums of seconds hold any digits at all
    assert not any(value in told for value in (*CLEAR, no, "999999999999", "张三丰".encode().hex()))


def test_decisions_are_counted_once_they_are_made(api: Api, digests: KeyDigests) -> None:
    known = {"party_type": "PERSON", "name": "张三丰", "identifiers": [{"kind": "CITIZEN_ID", "number": ID_A}]}
    row = {"party_type": "PERSON", "name": "李四", "business_time": "2026-07-01T08:00:00Z"}
    headers = token(*SCOPES)
    with served(api.engine, digests) as url, httpx.Client(base_url=url, headers=headers) as client:
        for _ in range(2):
            assert client.post("/v1/customers:exists", json=known).json()["result"] == "EXISTS"
        for status in (201, 200):
            assert client.put("/v1/source-records/core/99", json=row).status_code == status
        assert sample(url, "decisions_total", kind="existence", result="EXISTS") == 2
        assert sample(url, "decisions_total", kind="source_record", result="CREATED") == 1
        assert sample(url, "decisions_total", kind="source_record", result="UNCHANGED") == 1


def test_what_waits_is_told(engine: Engine, digests: KeyDigests) -> None:
    with served(engine, digests) as url:
        names = ("merge_reviews_open", "change_requests_pending", "events_unplaced", "events_unplaced_age_seconds")
        assert [sample(url, name) for name in names] == [0, 0, 0, 0]
        fill(engine, digests)
        deliver(engine, digests, record("core", "4", "张三", phone=PHONE), record("card", "5", "张三", phone=PHONE))
        with engine.begin() as connection:
            connection.execute(text("UPDATE outbox_event SET occurred_at = now() - interval '1 hour'"))
            reviews, events = connection.execute(
                text("SELECT (SELECT count(*) FROM merge_review), (SELECT count(*) FROM outbox_event)")
            ).one()
        assert [sample(url, name) for name in names[:3]] == [reviews, 0, events] and events > 0
        assert 3600 <= sample(url, names[3]) < 3700
        with engine.begin() as connection:
            connection.execute(text("UPDATE outbox_event SET position = nextval('event_position')"))
        assert sample(url, "events_unplaced") == sample(url, "events_unplaced_age_seconds") == 0


def test_the_process_and_its_pool_are_told_also_while_the_database_is_away(home: Path, digests: KeyDigests) -> None:
    with open_database(Settings(home)) as engine, serving(engine, digests) as api:
        url = str(api.client.base_url)
        assert sample(url, "pool_size") == POOL_SIZE and sample(url, "pool_checked_out") == 0
        assert sample(url, "calls_in_flight") == 0 and sample(url, "database_up") == 1
        with engine.connect(), engine.connect():
            assert sample(url, "pool_checked_out") == 2
        (server,) = postmasters(home)
        server.kill()
        wait_until(lambda: not postmasters(home))
        assert is_problem(api.get("/v1/customers?name=x"), 503, "ECIF-9002")
        assert sample(url, "database_up") == 0 and isnan(sample(url, "events_unplaced"))
        found = {name for name, _ in scrape(url)}
        assert {"ecif_info", "process_resident_memory_bytes", "process_open_fds"} <= found
        assert sample(url, "calls_total", method="GET", route="/v1/customers", status="503") == 1
