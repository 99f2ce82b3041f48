"""Every call that the contract prints can be pasted and run: all are, in order, on the bank that comes with them."""

from __future__ import annotations

import json

import httpx
import pytest
from examples import FOLDER, answers, body, load_bank, request, samples
from promised import check, document, shape
from served import served
from sqlalchemy import Engine

from ecif.api.document import ANSWERED
from ecif.api.examples import EXAMPLES
from ecif.api.schemas import ANSWERS
from ecif.services.context import KeyDigests

STORED = json.loads((FOLDER / "openapi.json").read_text("utf-8"))
RECORDED = json.loads((FOLDER / ANSWERED).read_text("utf-8"))
CALLS = samples(STORED)
OPERATIONS = {o["operationId"]: o for item in document()["paths"].values() for o in item.values()}


@pytest.fixture(scope="module")
def answered(database: Engine, digests: KeyDigests) -> dict[tuple[str, str], httpx.Response]:
    """The answers to all of them."""
    load_bank(database, digests)
    with served(database, digests) as url:
        return answers(url, STORED)


@pytest.mark.parametrize("key", CALLS, ids=" - ".join)
def test_a_call_of_the_contract_is_answered_as_it_says(
    key: tuple[str, str], answered: dict[tuple[str, str], httpx.Response]
) -> None:
    name, label = key
    answer = answered[key]
    assert answer.status_code == EXAMPLES[name][label].status, answer.text
    check(answer)
    assert shape(body(answer)) == shape(RECORDED[name][label]), "run: make contract"


def test_every_operation_has_a_schema_and_calls_to_paste_with_a_success_and_an_error_among_them() -> None:
    assert set(OPERATIONS) == set(EXAMPLES) == {*ANSWERS, "metrics"}
    for name, operation in OPERATIONS.items():
        statuses = {example.status for example in EXAMPLES[name].values()}
        assert statuses <= set(map(int, operation["responses"])), name
        assert any(status < 300 for status in statuses), name
        assert any(status >= 400 for status in statuses) or "security" not in operation, name


def test_the_contract_prints_every_answer() -> None:
    for name, label in CALLS:
        status = str(EXAMPLES[name][label].status)
        for content in OPERATIONS[name]["responses"][status].get("content", {}).values():
            assert content.get("examples", {}).get(label, {}).get("value") == RECORDED[name][label]


def test_a_call_is_read_as_a_shell_reads_it() -> None:
    for (name, label), source in CALLS.items():
        example = EXAMPLES[name][label]
        asked = request(source)
        assert asked["method"] == example.call.partition(" ")[0]
        assert json.loads(asked.get("content", b"null")) == example.body
        assert ("Authorization" in asked["headers"]) == (example.scopes is not None)
