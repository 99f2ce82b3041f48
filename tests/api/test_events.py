"""Events over HTTP: pages, filters, long polls that hold nothing and that nobody has to wait for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from event_contract import check_event
from people import citizen, deliver, record
from processes import wait_until
from served import CLEAR, Api, token
from statements import counted

from ecif.api import news
from ecif.domain.events import EventType
from ecif.services.context import KeyDigests

PATH = "/v1/events"


def read(api: Api, **params: Any) -> dict[str, Any]:
    answer = api.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    assert not any(value in answer.text for value in CLEAR)
    body: dict[str, Any] = answer.json()
    return body


def follow(api: Api, **params: Any) -> list[dict[str, Any]]:
    found, after = [], 0
    while True:
        body = read(api, after=after, **params)
        found += body["items"]
        after = body["next_after"]
        if not body["more"]:
            return found


def change(api: Api, digests: KeyDigests, key: str, day: int = 0) -> None:
    """Something happens to a customer."""
    phone = f"138{int(key):04d}{day:04d}"
    deliver(api.engine, digests, record("loan", key, "赵六六", id=citizen(int(key)), phone=phone, day=day))


def test_pages_and_filters(api: Api) -> None:
    whole = follow(api)
    for event in whole:
        check_event(event)
    assert [event["position"] for event in whole] == sorted(event["position"] for event in whole)
    assert follow(api, limit=1) == follow(api, limit=500) == whole
    merged = [event for event in whole if event["subject"] == api.no("merged")]
    assert [event["type"] for event in merged] == ["customer.created", "customer.merged"]
    assert merged[1]["data"]["survivor"] == api.no("core:1")
    assert follow(api, customer_no=api.no("merged"), limit=1) == merged
    both = follow(api, types=["customer.merged", "customer.closed"])
    assert {event["subject"] for event in both} == {api.no("merged"), api.no("core:1")}
    regrouping, other = (event["data"]["regrouping"] for event in both)
    assert regrouping == other, "one logical event, told on both numbers"
    assert (regrouping["survivors"], regrouping["retired"]) == ([api.no("core:1")], [api.no("merged")])
    assert read(api, types="customer.closed") == {
        "items": [], "next_after": whole[-1]["position"], "more": False,
    }  # fmt: skip


def test_what_is_wrong_is_told(api: Api) -> None:
    wrong = {"after": -1, "limit": 501, "types": "customer.renamed", "customer_no": "12", "wait_s": 31, "nmae": "x"}
    for params in ({name: value} for name, value in wrong.items()):
        answer = api.get(PATH, params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "ECIF-1001"), params
    beyond = api.get(PATH, params={"after": 2**53 - 1})
    assert (beyond.status_code, beyond.json()["field"]) == (422, "query.after")
    refused = api.get(PATH, scopes=("customers:read",))
    assert (refused.status_code, refused.json()["detail"]) == (403, "events:read")


def test_a_page_takes_three_statements(api: Api, digests: KeyDigests) -> None:
    """The lock of placing, the placing, the page; whatever is asked for."""
    no = api.no("core:1")
    for params in ({}, {"limit": 1}, {"types": "customer.created"}, {"customer_no": no, "types": "customer.created"}):
        change(api, digests, "700", len(params))
        with counted(api.engine) as sent:
            read(api, **params)
        assert len(sent) == 3, "\n".join(sent)


def test_who_waits_is_answered_when_something_happens(api: Api, digests: KeyDigests) -> None:
    after = read(api, limit=500)["next_after"]
    began = monotonic()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(read, api, after=after, wait_s=20) for _ in range(8)]
        sleep(0.5)
        assert not any(reader.done() for reader in waiting)
        change(api, digests, "701")
        bodies = [reader.result() for reader in waiting]
    assert monotonic() - began < 10
    assert all(body == bodies[0] for body in bodies) and len(bodies[0]["items"]) == 1


def test_who_waits_for_others_than_happen_waits_on(api: Api, digests: KeyDigests) -> None:
    after = read(api, limit=500)["next_after"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read, api, after=after, wait_s=2, types=EventType.CLOSED.value)
        sleep(0.3)
        change(api, digests, "702")
        body = waiting.result()
    assert body["items"] == [] and body["more"] is False and body["next_after"] > after


def test_who_waits_in_vain_is_told_so_in_time(api: Api) -> None:
    after = read(api, limit=500)["next_after"]
    began = monotonic()
    assert read(api, after=after, wait_s=1) == {"items": [], "next_after": after, "more": False}
    assert 0.9 < monotonic() - began < 5


@contextmanager
def waiting(api: Api, after: int, count: int) -> Iterator[None]:
    """Readers who wait, and leave."""
    url, name = api.client.base_url, token("events:read")["Authorization"]
    asked = f"GET {PATH}?after={after}&wait_s=30 HTTP/1.1\r\nHost: x\r\nAuthorization: {name}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(count):
            reader = stack.enter_context(socket.create_connection((url.host, url.port)))
            reader.sendall(asked)
        sleep(0.7)
        yield


def test_only_so_many_may_wait_and_those_who_leave_make_room(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who need not wait is served all the same, and those who wait hold no connection of the database."""
    monkeypatch.setattr(news, "WAITING_MAX", 4)
    after = read(api, limit=500)["next_after"]
    with waiting(api, after, 4):
        refused = api.get(PATH, params={"after": after, "wait_s": 1})
        assert (refused.status_code, refused.json()["code"]) == (503, "ECIF-9003")
        assert refused.headers["Retry-After"].isdigit()
        assert read(api, limit=1)["items"] and not read(api, after=after)["items"]
        wait_until(lambda: api.engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    wait_until(lambda: api.get(PATH, params={"after": after, "wait_s": 1}).status_code == 200, 5)
