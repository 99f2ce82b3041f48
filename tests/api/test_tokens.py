"""Tokens over HTTP, where the bank's own issuer signs them: who gets in, who does not, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuer import AUDIENCE, ISSUER, KeyServer, ec_key, key_server, rsa_key
from served import Api, bearer, is_problem, served, token

from ecif.api.jwks import Jwks
from ecif.api.tokens import SCOPES, Verifier
from ecif.services.context import KeyDigests

NOBODY = "/v1/customers/999999999999"
"""What a caller who gets in is told does not exist."""


@dataclass(frozen=True)
class Gate:
    """A service that believes an issuer."""

    client: httpx.Client
    keys: KeyServer

    def get(self, made: str) -> httpx.Response:
        return self.client.get(NOBODY, headers=bearer(made))


@pytest.fixture
def gate(api: Api, digests: KeyDigests) -> Iterator[Gate]:
    with key_server(rsa_key(), ec_key()) as keys:
        verifier = Verifier(Jwks.at(keys.url), ISSUER, AUDIENCE)
        with served(api.engine, digests, verifier) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield Gate(client, keys)


def test_many_callers_at_once_wait_for_one_reading(gate: Gate) -> None:
    made = [key.sign(sub=f"caller-{n}") for n in range(16) for key in (rsa_key(), ec_key())]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(gate.get, made * 3))
    assert {answer.status_code for answer in answers} == {404} and gate.keys.asked == 1


def test_tokens_of_the_local_key_are_refused(gate: Gate) -> None:
    is_problem(gate.client.get(NOBODY, headers=token(*SCOPES)), 401, "ECIF-5002")


def test_scopes_are_those_of_the_token(gate: Gate) -> None:
    assert is_problem(gate.get(rsa_key().sign(scope="accounts:read")), 403, "ECIF-5003")["detail"] == "customers:read"
    is_problem(gate.get(rsa_key().sign(scope=["customers:read"])), 404, "ECIF-2001")


def test_keys_that_are_away_are_told_as_such(
    gate: Gate, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    gate.keys.status = 500
    made = rsa_key().sign()
    answer = gate.get(made)
    is_problem(answer, 503, "ECIF-9004")
    assert answer.headers["Retry-After"].isdigit()
    is_problem(gate.get("garbage"), 401, "ECIF-5002")
    said = caplog.text + "".join(capfd.readouterr())
    assert "the key set cannot be read" in said and not any(part in said for part in made.split("."))


@pytest.fixture
def gates(api: Api, gate: Gate) -> list[Callable[[str], httpx.Response]]:
    """With local tokens, and with an issuer's."""
    return [lambda made: api.client.get(NOBODY, headers=bearer(made)), gate.get]


PART = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=PART | st.lists(PART, min_size=3, max_size=3).map(".".join) | st.integers(1000, 12_000).map("W1tb".__mul__))
def test_garbage_is_no_fault(gates: list[Callable[[str], httpx.Response]], made: str) -> None:
    for get in gates:
        assert get(made).status_code == 401
