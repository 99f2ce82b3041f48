"""The running service against its own contract: whatever is asked, nothing that the contract does not tell is answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
from examples import load_bank
from hypothesis import HealthCheck, Phase, settings
from schemathesis import BaseSchema, Case, CheckContext, CheckFunction, Response
from schemathesis.specs.openapi.checks import negative_data_rejection
from served import served, token
from sqlalchemy import Engine

from ecif.api.contract import openapi
from ecif.api.tokens import SCOPES
from ecif.services.context import KeyDigests

pytestmark = pytest.mark.slow
CALLS = 10
"""Of each operation and kind, beside those that the contract's own examples and limits give."""
CALLS_WITHOUT_TOKEN = 4
"""Of each operation, good and bad ones, and none beside: they are all turned away before anybody looks at what they say."""
CLEAR = ("440399199001010018", "440399199202020044", "13912345670", "sanfeng.zhang@", "6225000000001234", "人民路9号")
"""What nobody sees without the right to."""
MASKED = tuple(scope for scope in SCOPES if not scope.startswith("pii:"))


@pytest.fixture(scope="module")
def url(database: Engine, digests: KeyDigests) -> Iterator[str]:
    """A service with the bank of the examples."""
    load_bank(database, digests)
    with served(database, digests) as url:
        yield url


REFUSED = ["2xx", "401", "403", "404", "409", "412", "422", "428"]
"""How a call may end that keeps all rules of its schema: some rules no schema can tell."""
RULES = {
    "checks": {"positive_data_acceptance": {"expected-statuses": REFUSED}},
    "output": {"sanitization": {"enabled": False}},
}


def contract(**how: Any) -> BaseSchema:
    return schemathesis.openapi.from_dict(openapi(), config=schemathesis.Config.from_dict(RULES | how))


any_call, good_call = contract(), contract(generation={"mode": "positive"})
"""Calls of all kinds, and those that break no rule of the contract: whoever breaks one is refused alike, whatever he may see."""
bounded = settings(max_examples=CALLS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def ask(case: Case, url: str, *checks: CheckFunction, scopes: tuple[str, ...] | None) -> Response:
    """Makes the call, except that it waits for nothing, and holds the answer against the contract."""
    wait = str((case.query or {}).get("wait_s", ""))
    if wait.isdecimal() and int(wait) <= 30:
        case.query["wait_s"] = 0
    headers = token(*scopes) if scopes is not None else None
    response = case.call(url, headers=headers)
    excluded = [negative_data_rejection] if _lenient(case, str(response.request.url)) else []
    case.validate_response(response, headers=headers, additional_checks=list(checks), excluded_checks=excluded)
    return response


def _lenient(case: Case, url: str) -> bool:
    """Whether what breaks the schema may be answered with 200: a record of a batch, which has an answer of its own, and a
    parameter that is not sent at all, as an empty list is not."""
    sent = parse_qs(urlsplit(url).query, keep_blank_values=True)
    return case.path == "/v1/source-records:batch" or not set(case.query or ()) <= set(sent)


def nothing_clear(ctx: CheckContext, response: Response, case: Case) -> None:
    """No value is shown clear to whom it may not be; what he sent himself he knows."""
    sent = f"{case.formatted_path} {case.query} {case.body}"
    assert not any(value in response.text and value not in sent for value in CLEAR)


def no_refusal_clear(ctx: CheckContext, response: Response, case: Case) -> None:
    """What a call is refused with shows nobody a value clear."""
    if response.status_code >= 400:
        nothing_clear(ctx, response, case)


@any_call.parametrize()
@bounded
def test_with_every_scope(case: Case, url: str) -> None:
    ask(case, url, no_refusal_clear, scopes=tuple(SCOPES))


@good_call.parametrize()
@bounded
def test_without_the_right_to_clear_values(case: Case, url: str) -> None:
    ask(case, url, nothing_clear, scopes=MASKED)


@any_call.parametrize()
@settings(bounded, max_examples=CALLS_WITHOUT_TOKEN, phases=[Phase.generate])
def test_without_a_token(case: Case, url: str) -> None:
    answer = ask(case, url, nothing_clear, scopes=None)
    assert answer.status_code >= 400 or not case.path.startswith("/v1")
