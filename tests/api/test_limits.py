"""What bounds every call: how many, how large, how deep, how long; beyond each, a problem and never a fault or a hang."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from served import ID_A, PHONE, SECRET, Api, is_problem, listening
from sqlalchemy import Engine, text

from ecif.api import middleware
from ecif.api.app import create_app
from ecif.api.invalid import FINDINGS_MAX, unfit
from ecif.api.tokens import Verifier
from ecif.db import POOL_SIZE, THREADS, bound_time, open_database, run_transaction, transaction
from ecif.services.context import KeyDigests
from ecif.settings import Settings

JSON = {"Content-Type": "application/json"}


def put(api: Api, body: Any, **headers: str) -> httpx.Response:
    """Sends a body to where there is no route, which is found out only once the body has passed."""
    return api.client.put("/v1/nothing", content=body, headers=JSON | headers)


def nest(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


def test_a_body_that_fits_passes(api: Api) -> None:
    for body in ("{}", "null", "[]", nest(32), '{"name": "张三"}', " " * (1024 * 1024 - 2) + "{}"):
        is_problem(put(api, body), 404, "ECIF-1004")
    for kind in ("application/merge-patch+json", "APPLICATION/JSON", "application/json; charset=UTF-8"):
        is_problem(put(api, "{}", **{"Content-Type": kind}), 404, "ECIF-1004")
    is_problem(api.client.put("/v1/nothing"), 404, "ECIF-1004")
    is_problem(put(api, iter([b'{"a"', b": 1}"])), 404, "ECIF-1004")


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 5_000_000])
def test_a_body_that_is_too_large(api: Api, size: int) -> None:
    body = b" " * size
    is_problem(put(api, body), 413, "ECIF-1005")
    is_problem(put(api, (body[i : i + 60_000] for i in range(0, size, 60_000))), 413, "ECIF-1005")


@pytest.mark.parametrize("frame", ["Content-Length: 1000000000000", "Transfer-Encoding: chunked"])
def test_a_body_without_end_is_cut_off(api: Api, frame: str) -> None:
    head = f"PUT /v1/nothing HTTP/1.1\r\nHost: x\r\n{frame}\r\n\r\n"
    with socket.create_connection((api.client.base_url.host, api.client.base_url.port or 0), timeout=10) as caller:
        caller.sendall(head.encode())
        with pytest.raises(OSError):  # hung up
            for _ in range(100_000):
                caller.sendall(b"2000\r\n" + b" " * 0x2000 + b"\r\n")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=gbk"]
)
def test_a_body_of_another_type(api: Api, kind: str) -> None:
    is_problem(put(api, "{}", **{"Content-Type": kind}), 415, "ECIF-1006")


BAD_JSON: dict[str, str | bytes] = {
    "no JSON": "name=x",
    "half of it": '{"name": "张三',
    "two of it": "{}{}",
    "no number": '{"a": NaN}',
    "GBK": '{"name": "张三"}'.encode("gbk"),
    "half of a character": '{"name": "\\ud83d"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "too deep": nest(33),
    "too deep in objects": nest(33, '{"a":', "}").replace(":}", ":1}"),
    "much too deep": nest(500_000),
    "deep and open": "[" * 1_000_000,
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_a_body_that_is_no_json_for_us(api: Api, kind: str) -> None:
    is_problem(put(api, BAD_JSON[kind]), 400, "ECIF-1007")


@pytest.mark.parametrize("sent", ["", "{", "x" * 2000])
def test_a_body_that_does_not_come(api: Api, monkeypatch: pytest.MonkeyPatch, sent: str) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.3)
    url = api.client.base_url
    head = (
        f"PUT /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{sent}"
    )
    with socket.create_connection((url.host, url.port or 0), timeout=10) as caller:
        caller.sendall(head.encode())
        said = b"".join(iter(lambda: caller.recv(65536), b"")).decode()  # until the other side hangs up
    assert said.startswith("HTTP/1.1 408") and json.loads(said.partition("\r\n\r\n")[2])["code"] == "ECIF-1008"


class PaperBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: str = Field(max_length=18)
    ends_on: date | None = None


def _owned(number: int) -> int:
    if number % 2:
        raise unfit("source_owned_field")
    return number


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    papers: list[PaperBody | Annotated[str, Field(max_length=2)]] = Field([], max_length=1000)
    age: int = 0
    shoes: Annotated[int, AfterValidator(_owned)] = 0


@pytest.fixture(scope="module")
def toy(api: Api, digests: KeyDigests) -> Iterator[tuple[httpx.Client, dict[str, Callable[[], object]]]]:
    """The application with routes that take a body, and that do whatever a test wants."""
    app = create_app(api.engine, digests, Verifier.local(SECRET))
    work: dict[str, Callable[[], object]] = {}
    _add_toys(app, work)
    with listening(app) as url, httpx.Client(base_url=url, timeout=30, limits=httpx.Limits()) as client:
        yield client, work


def _add_toys(app: FastAPI, work: dict[str, Callable[[], object]]) -> None:
    @app.post("/people")
    def post(person: Person, page: int = 1) -> str:
        return person.name

    @app.get("/work")
    def do() -> str:
        return str(work["do"]())


Toy = tuple[httpx.Client, dict[str, Callable[[], object]]]


def test_all_that_is_wrong_in_a_body_is_told_at_once_and_nothing_quoted(toy: Toy) -> None:
    client, _ = toy
    body = {
        "papers": [{"number": ID_A}, {"number": ID_A * 2, "ends_on": PHONE}, "张三丰"],
        "age": PHONE + "x", "shoes": 41, "nmae": "张三丰", ID_A: 1, "张三丰": 2,
    }  # fmt: skip
    answer = client.post("/people", params={"page": "x"}, json=body)
    found = is_problem(answer, 422, "ECIF-1001")["errors"]
    assert {(error["field"], error["rule"]) for error in found} == {
        ("query.page", "int_parsing"), ("body.name", "missing"), ("body.papers.1.number", "string_too_long"),
        ("body.papers.1.ends_on", "date_from_datetime_inexact"), ("body.papers.2", "string_too_long"),
        ("body.age", "int_parsing"), ("body.shoes", "source_owned_field"), ("body.nmae", "extra_forbidden"),
        ("body.?", "extra_forbidden"),
    }  # fmt: skip
    texts = {error["field"]: (error["message_zh"], error["message_en"]) for error in found}
    assert texts["body.papers.1.number"] == ("最多 18 个字符", "at most 18 characters are allowed")
    assert texts["body.shoes"] == ("该字段只能由源系统写入", "only the source writes this field")
    assert client.post("/people", json={"name": "张三丰"}).json() == "张三丰"


def test_not_more_is_told_than_anybody_reads(toy: Toy) -> None:
    answer = toy[0].post("/people", json={"name": "x", "papers": [{}] * 1000})
    assert len(is_problem(answer, 422, "ECIF-1001")["errors"]) == FINDINGS_MAX
    is_problem(toy[0].post("/people", json={"name": "x", "papers": [{}] * 1001}), 422, "ECIF-1001")


def test_a_number_without_end_is_no_fault(toy: Toy) -> None:
    answer = toy[0].post("/people", content=f'{{"name": "x", "age": {"9" * 5000}}}', headers=JSON)
    assert answer.status_code in (400, 422) and answer.json()["code"] in ("ECIF-1007", "ECIF-1001")


@contextmanager
def calling(toy: Toy, calls: int, work: Callable[[], object]) -> Iterator[list[Future[httpx.Response]]]:
    """So many calls under way, which end with the block."""
    client, todo = toy
    todo["do"] = work
    with ThreadPoolExecutor(calls) as pool:
        yield [pool.submit(client.get, "/work") for _ in range(calls)]


def test_calls_that_hang_stop_neither_health_nor_the_end_of_the_queue(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than there are threads, and as many as may be in flight."""
    most = THREADS + 5
    monkeypatch.setattr(middleware, "CALLS_MAX", most)
    client, go, begun = toy[0], Event(), []
    with calling(toy, most, lambda: (begun.append(1), go.wait(20))) as under_way:
        while len(begun) < THREADS or "ecif_calls_in_flight 25.0" not in client.get("/metrics").text:
            sleep(0.01)
        started = monotonic()
        for _ in range(3):
            refused = client.get("/work")
            is_problem(refused, 503, "ECIF-9003")
            assert refused.headers["Retry-After"] == "1"
        assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        assert monotonic() - started < 5 and len(begun) == THREADS
        go.set()
        assert {call.result().status_code for call in under_way} == {200}
    assert client.get("/work").status_code == 200


@pytest.fixture(scope="module")
def bounded(database: Engine) -> Engine:
    """A database whose calls may not hang for as long as those of a bank may."""
    bounds = {"lock_timeout": "300ms", "statement_timeout": "600ms", "idle_in_transaction_session_timeout": "300ms"}
    bound_time(database, bounds)
    return database


def _sleep_in(engine: Engine) -> Callable[[], object]:
    def work() -> None:
        with transaction(engine) as session:
            session.execute(text("SELECT 1"))
            sleep(1)
            session.execute(text("SELECT 1"))

    return work


def _fail(engine: Engine, code: str) -> Callable[[], object]:
    sql = text(f"DO $$ BEGIN RAISE EXCEPTION '张三丰' USING ERRCODE = '{code}'; END $$")
    return lambda: run_transaction(engine, lambda session: session.execute(sql), attempts=2)


def _run(engine: Engine, sql: str) -> Callable[[], object]:
    return lambda: run_transaction(engine, lambda session: session.execute(text(sql)))


@pytest.mark.parametrize(
    "work",
    [
        lambda engine: _run(engine, "SELECT pg_sleep(20)"),
        lambda engine: _run(engine, "LOCK TABLE held"),
        lambda engine: _sleep_in(engine),
        lambda engine: _fail(engine, "40001"),
        lambda engine: _fail(engine, "40P01"),
        lambda engine: _fail(engine, "53200"),
    ],
    ids=["a statement", "a lock", "idle in a transaction", "serialization", "deadlock", "lock table full"],
)
def test_what_hangs_or_is_given_up_is_busy_and_the_next_call_is_served(
    toy: Toy, bounded: Engine, work: Callable[[Engine], Callable[[], object]]
) -> None:
    client, todo = toy
    with bounded.connect() as holder:
        holder.execute(text("SET idle_in_transaction_session_timeout = 0; CREATE TABLE IF NOT EXISTS held ()"))
        holder.commit()
        holder.execute(text("LOCK TABLE held"))
        todo["do"], started = work(bounded), monotonic()
        answer = client.get("/work")
        is_problem(answer, 503, "ECIF-9003")
        assert answer.headers["Retry-After"] == "1" and monotonic() - started < 5
        holder.invalidate()
    todo["do"] = _run(bounded, "SELECT 1")
    assert client.get("/work").status_code == 200


def test_a_pool_that_is_used_up_is_busy(toy: Toy, bounded: Engine) -> None:
    client, todo = toy
    todo["do"] = _run(bounded, "SELECT 1")
    held = [bounded.connect() for _ in range(POOL_SIZE)]
    started = monotonic()
    is_problem(client.get("/work"), 503, "ECIF-9003")
    assert monotonic() - started < 5
    for connection in held:
        connection.close()
    assert client.get("/work").status_code == 200


def test_only_calls_are_bounded(home: Path, digests: KeyDigests) -> None:
    with open_database(Settings(home)) as engine:

        def bounds() -> list[Any]:
            with engine.connect() as connection:
                return [
                    connection.execute(text(f"SHOW {name}")).scalar() for name in ("statement_timeout", "lock_timeout")
                ]

        assert bounds() == ["0", "0"]
        bound_time(engine)
        assert bounds() == ["10s", "8s"]
