"""Everything that is not success: who may not, what is wrong, what is not there, and a database that is away."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jose import jwt
from processes import postmasters, wait_until
from served import CLEAR, ID_A, PHONE, SECRET, Api, is_problem, right_now, serving, token
from sqlalchemy import text

from ecif.api.contract import openapi
from ecif.api.routers import health
from ecif.api.tokens import LEEWAY_S, SCOPES, issue_token
from ecif.api.views import SECTIONS
from ecif.db import open_database
from ecif.services.context import KeyDigests
from ecif.settings import Settings

PARTS = ("", "/accounts", "/sources", "/lineage", "/history", "/relations")


def paths(api: Api) -> list[str]:
    return ["/v1/customers?name=x", *(f"/v1/customers/{api.no('core:1')}{part}" for part in PARTS)]


def test_without_a_token(api: Api) -> None:
    for path in paths(api):
        for headers in ({}, {"Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}):
            answer = api.client.get(path, headers=headers)
            is_problem(answer, 401, "ECIF-5001")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def claims(**changes: Any) -> dict[str, Any]:
    now = right_now()
    made: dict[str, Any] = {
        "iss": "ecif-local", "aud": "ecif", "sub": "tester", "scope": " ".join(SCOPES), "iat": now, "nbf": now,
        "exp": now + timedelta(hours=1),
    }  # fmt: skip
    return {name: value for name, value in (made | changes).items() if value is not None}


def signed(key: str = SECRET.hex(), algorithm: str = "HS256", **changes: Any) -> str:
    return str(jwt.encode(claims(**changes), key, algorithm=algorithm))


def unsigned(algorithm: str) -> str:
    def part(value: Any) -> str:
        return urlsafe_b64encode(json.dumps(value, default=lambda d: int(d.timestamp())).encode()).decode().rstrip("=")

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}."


HOUR = timedelta(hours=1)
BAD_TOKENS: dict[str, Callable[[], str]] = {
    "garbage": lambda: "garbage",
    "three parts of garbage": lambda: "a.b.c",
    "not an object": lambda: f"{urlsafe_b64encode(b'[]').decode()}.{urlsafe_b64encode(b'[]').decode()}.x",
    "another key": lambda: signed(key="0" * 64),
    "the bytes of the key": lambda: signed(key="s" * 32),
    "another algorithm of the same key": lambda: signed(algorithm="HS512"),
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "HS256 without signature": lambda: unsigned("HS256"),
    "expired": lambda: signed(exp=right_now() - timedelta(seconds=LEEWAY_S + 5)),
    "never expires": lambda: signed(exp=None),
    "expires some day": lambda: signed(exp="some day"),
    "not yet valid": lambda: signed(nbf=right_now() + HOUR),
    "another audience": lambda: signed(aud="payments"),
    "no audience": lambda: signed(aud=None),
    "another issuer": lambda: signed(iss="somebody"),
    "no issuer": lambda: signed(iss=None),
    "nobody": lambda: signed(sub=None),
    "changed": lambda: signed()[:-6] + "AAAAAA",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_token_that_does_not_hold(api: Api, kind: str) -> None:
    headers = {"Authorization": f"Bearer {BAD_TOKENS[kind]()}"}
    is_problem(api.client.get(f"/v1/customers/{api.no('core:1')}", headers=headers), 401, "ECIF-5002")


def test_a_token_of_ours_holds(api: Api) -> None:
    headers = {"Authorization": f"Bearer {signed()}"}
    assert api.client.get(f"/v1/customers/{api.no('core:1')}", headers=headers).status_code == 200
    old = issue_token(SECRET, subject="x", scopes=["customers:read"], now=right_now() - timedelta(hours=13))
    assert api.client.get(paths(api)[0], headers={"Authorization": f"Bearer {old}"}).status_code == 401


def test_every_route_needs_its_scope(api: Api) -> None:
    for path in paths(api):
        needed = "accounts:read" if path.endswith("/accounts") else "customers:read"
        others = tuple(scope for scope in SCOPES if scope != needed)
        for scopes in (others, ()):
            assert is_problem(api.get(path, scopes=scopes), 403, "ECIF-5003")["detail"] == needed
        assert api.get(path, scopes=(needed,)).status_code == 200


def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    for part in PARTS:
        body = is_problem(api.get(f"/v1/customers/12{part}", params={"nmae": ID_A, "clear": PHONE}), 422, "ECIF-1001")
        assert {error["field"] for error in body["errors"]} >= {"path.no", "query.nmae"} and len(body["errors"]) >= 2
        assert all(error["rule"] and error["message_zh"] and error["message_en"] for error in body["errors"])
        assert (body["field"], body["rule"]) == (body["errors"][0]["field"], body["errors"][0]["rule"])
    search = {"limit": "0", "after": "x", "identifier_kind": "LOYALTY_CARD", "nmae": "x", "name": "张三丰" * 100}
    body = is_problem(api.get("/v1/customers", params=search), 422, "ECIF-1001")
    assert {error["field"].partition(".")[2] for error in body["errors"]} == set(search)


OPERATIONS = [
    (verb.upper(), path) for path, item in openapi()["paths"].items() for verb in item if path.startswith("/v1")
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=" ".join)
def test_no_route_takes_a_parameter_that_it_does_not_know(api: Api, method: str, path: str) -> None:
    named = {"{no}": api.no("core:1"), "{request_id}": "1", "{system}": "core", "{key}": "1", "{table}": "genders",
             "{merge_id}": "1", "{operation_id}": "1"}  # fmt: skip
    for name, value in named.items():
        path = path.replace(name, value)
    answer = api.ask(method, path, params={"surprise": ID_A}, json={}, headers={"If-Match": '"v1"'})
    faults = {(e["field"], e["rule"]) for e in is_problem(answer, 422, "ECIF-1001")["errors"]}
    assert ("query.surprise", "extra_forbidden") in faults


@pytest.mark.parametrize("part", ["/accounts", "/sources", "/history", "/relations"])
def test_limits_are_bounded_and_places_checked(api: Api, part: str) -> None:
    path = f"/v1/customers/{api.no('core:1')}{part}"
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "many"}, {"after": "nowhere"}, {"after": "core:1:99999"}):
        if part == "/sources" and wrong == {"after": "core:1:99999"}:
            continue  # a key may hold a colon
        is_problem(api.get(path, params=wrong), 422, "ECIF-1001")
    assert api.get(path, params={"limit": 100}).status_code == 200


@pytest.mark.parametrize(
    "path, params",
    [("", {"source_system": "core", "source_key": "1\x00"}), ("/sources", {"after": "core:\x00"}),
     ("/accounts", {"after": "core:\x00:1"})],
)  # fmt: skip
def test_no_control_character_reaches_the_database(api: Api, path: str, params: dict[str, str]) -> None:
    no = f"/{api.no('core:1')}" if path else ""
    is_problem(api.get(f"/v1/customers{no}{path}", params=params), 422, "ECIF-1001")


def test_an_unknown_section_is_refused(api: Api) -> None:
    answer = api.get(f"/v1/customers/{api.no('core:1')}", params={"sections": ["fields", "secrets"]})
    (error,) = is_problem(answer, 422, "ECIF-1001")["errors"]
    assert error["rule"] == "literal_error" and "只能取" in error["message_zh"]
    assert all(section in error["message_en"] for section in SECTIONS)


def test_what_is_not_there(api: Api) -> None:
    for part in PARTS:
        is_problem(api.get(f"/v1/customers/999999999999{part}"), 404, "ECIF-2001")
    is_problem(api.get("/v1/nothing"), 404, "ECIF-1004")
    is_problem(api.get("/v1/customers/"), 404, "ECIF-1004")
    answer = api.ask("PATCH", f"/v1/customers/{api.no('core:1')}:close", json={"reason": "x"})
    is_problem(answer, 405, "ECIF-1004")
    assert answer.headers["Allow"] == "POST"
    answer = api.client.request("TRACE", f"/v1/customers/{api.no('core:1')}", headers=token(*SCOPES))
    is_problem(answer, 405, "ECIF-1004")
    verbs = openapi()["paths"]["/v1/customers/{no}"]
    assert answer.headers["Allow"] == ", ".join(sorted(verb.upper() for verb in verbs))


def test_a_request_keeps_its_name_if_it_is_one(api: Api) -> None:
    assert api.get("/healthz", headers={"X-Request-Id": "trace-1.a:b"}).headers["X-Request-Id"] == "trace-1.a:b"
    for bad in ("x" * 65, "two words", '<b>"'):
        given_back = api.get("/healthz", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{32}", given_back)


def test_health_needs_no_token_and_no_database(api: Api) -> None:
    assert api.client.get("/healthz").json() == {"status": "ok"}
    checks = {name: {"ok": True} for name in ("database", "migrations", "disk")}
    assert api.client.get("/readyz").json() == {"status": "ready", "checks": checks}


LOOSE = st.text("0123456789", min_size=7) | st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["core:1", "merged", "loan:9", "core:3"]),
    part=st.sampled_from(PARTS),
    scopes=st.sets(st.sampled_from(["customers:read", "accounts:read"])),
    purpose=st.sampled_from([None, "counter"]),
    params=st.dictionaries(
        st.sampled_from(["clear", "provenance", "sections", "limit", "after", "nmae"]),
        st.sampled_from(["true", "false", "fields", "phones", "1", "100", "core:1", "", ID_A, PHONE]),
        max_size=3,
    ),
)
def test_nobody_sees_clear_values_without_the_scope(
    api: Api, name: str, part: str, scopes: set[str], purpose: str | None, params: dict[str, str]
) -> None:
    headers = {"X-Purpose": purpose} if purpose else {}
    path = f"/v1/customers/{api.no(name)}{part}"
    answer = api.get(path, scopes=tuple(scopes), params=params, headers=headers)
    assert answer.status_code in (200, 403, 422)
    assert not any(value in answer.text for value in CLEAR)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    criteria=st.dictionaries(
        st.sampled_from(["identifier", "name", "phone", "account", "source_system", "source_key", "after"]),
        LOOSE,
        min_size=1,
    )
)
def test_no_search_is_a_fault_or_quotes_what_was_sought(api: Api, criteria: dict[str, str]) -> None:
    answer = api.get("/v1/customers", params=criteria)
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert not any(len(value) > 6 and value.isdigit() and value in answer.text for value in criteria.values())


@pytest.fixture
def fragile(home: Path, digests: KeyDigests) -> Iterator[tuple[Api, Path]]:
    """A service whose database may be killed."""
    with open_database(Settings(home)) as engine, serving(engine, digests) as api:
        yield api, home


def test_a_database_that_is_away_is_told_and_comes_back(fragile: tuple[Api, Path]) -> None:
    api, home = fragile
    before = {path: api.get(path).text for path in paths(api)}
    (server,) = postmasters(home)
    server.kill()
    wait_until(lambda: not postmasters(home))
    for path in [*before, "/readyz"]:
        answer = api.get(path)
        is_problem(answer, 503, "ECIF-9005" if path == "/readyz" else "ECIF-9002")
        assert answer.headers["Retry-After"].isdigit()
    assert [name for name, check in answer.json()["checks"].items() if check["ok"]] == ["disk"]
    assert api.get("/healthz").status_code == 200
    is_problem(api.client.get(paths(api)[0]), 401, "ECIF-5001")
    with open_database(Settings(home)):
        wait_until(lambda: api.get("/readyz").status_code == 200)
        for path, text_before in before.items():
            wait_until(lambda: api.get(path).status_code == 200)  # noqa: B023
            assert api.get(path).text == text_before


def test_a_schema_of_another_version_is_not_ready(fragile: tuple[Api, Path]) -> None:
    api, _ = fragile
    with api.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    checks = is_problem(api.get("/readyz"), 503, "ECIF-9005")["checks"]
    assert (
        checks["database"]["ok"]
        and not checks["migrations"]["ok"]
        and "ecif migrate" in checks["migrations"]["message_zh"]
    )


def test_a_full_disk_is_not_ready(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DISK_BYTES_MIN", 1 << 60)
    checks = is_problem(api.get("/readyz"), 503, "ECIF-9005")["checks"]
    assert checks["disk"] == {"ok": False, "message_zh": "磁盘空间不足", "message_en": "the disk has too little room"}


def test_a_fault_of_the_program_quotes_nobody(
    fragile: tuple[Api, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    api, _ = fragile
    path = f"/v1/customers/{api.no('core:1')}"
    with api.engine.begin() as connection:
        connection.execute(text("UPDATE golden_record SET document = replace(document, '\"fields\"', '\"张三丰\"')"))
    is_problem(api.get(path), 500, "ECIF-9001")
    with api.engine.begin() as connection:
        connection.execute(text("ALTER TABLE record_key RENAME TO gone"))
    is_problem(api.get("/v1/customers", params={"phone": PHONE}), 500, "ECIF-9001")
    assert api.get(f"{path}/sources").status_code == 200 and api.get("/v1/customers/1").status_code == 422
    first, second = (json.loads(record.getMessage()) for record in caplog.records)  # one line for each call that failed
    assert set(first) == {"request_id", "method", "route", "status", "code", "ms", "fault"}
    assert (first["method"], first["route"], first["status"]) == ("GET", "/v1/customers/{no}", 500)
    assert "KeyError at " in first["fault"] and "UndefinedTable at " in second["fault"]
    said = caplog.text + "".join(capfd.readouterr())
    assert not any(value in said for value in (*CLEAR, api.no("core:1")))
