"""Completes the contract: what every route answers, and calls to paste with their answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from ecif.api.examples import EXAMPLES, Example
from ecif.api.problems import BODY_PROBLEMS, PROBLEM_SCHEMA
from ecif.api.schemas import ANSWERS, schemas
from ecif.resources import resource_dir

ANSWERED = "examples/answers.json"
"""In the folder of contracts: the recorded answers, by operation and example."""


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Adds what the signatures of the routes do not say. ``operationId`` is the name of the route's function.

    Raises:
        ValueError: two schemas of one name.
    """
    document = json.loads(json.dumps(document))  # in which no two operations share a part
    components = document["components"].setdefault("schemas", {})
    for name, schema in {"Problem": PROBLEM_SCHEMA, **schemas()}.items():
        if components.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name}")
    path = resource_dir("contracts") / ANSWERED
    answered = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        name = operation["operationId"]
        operation["summary"] = operation["description"]
        if "requestBody" in operation:
            operation["responses"] |= {str(status): dict(told) for status, told in BODY_PROBLEMS.items()}
        for status, model in ANSWERS.get(name, {}).items():
            told = operation["responses"].setdefault(str(status), {"description": HTTPStatus(status).phrase})
            told["content"] = _content(model)
        for label, example in EXAMPLES.get(name, {}).items():
            _add_example(operation, label, example, answered.get(name, {}).get(label))
    return document


def _content(model: type | None) -> dict[str, Any]:
    name, kind = (model.__name__, "json") if model else ("Problem", "problem+json")
    return {f"application/{kind}": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _add_example(operation: dict[str, Any], label: str, example: Example, answer: Any) -> None:
    samples = operation.setdefault("x-codeSamples", [])
    samples.append({"lang": "Shell", "label": label, "source": example.curl()})
    if example.body is not None and "requestBody" in operation:
        for content in operation["requestBody"]["content"].values():
            content.setdefault("examples", {})[label] = {"value": example.body}
    contents = operation["responses"].get(str(example.status), {}).get("content", {}) if answer is not None else {}
    for content in contents.values():
        content.setdefault("examples", {})[label] = {"value": answer}
