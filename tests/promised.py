"""Holds an answer of the API against the contract: every test that calls it over ``served`` does."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
from jsonschema_rs import Draft202012Validator

from ecif.api.contract import openapi

document = cache(openapi)


@cache
def _paths() -> dict[re.Pattern[str], str]:
    """A key may hold a slash or a colon; anything else ends there."""
    forms = ((path, path.replace("{key}", ".+")) for path in document()["paths"])
    return {re.compile(re.sub(r"\{\w+\}", "[^/:]+", form)): path for path, form in forms}


@cache
def _schema(path: str, method: str, status: int) -> tuple[str, Draft202012Validator] | None:
    """The media type and the schema of an answer; None where there is no body. A status that is not promised is an error."""
    responses = document()["paths"][path][method]["responses"]
    assert str(status) in responses, f"{method} {path} answers {status}, which the contract does not tell"
    content = responses[str(status)].get("content")
    if not content:
        return None
    (kind, told), *_ = content.items()
    found = told["schema"] | {"components": document()["components"]}
    return kind, Draft202012Validator(found, validate_formats=True)


def check(answer: httpx.Response) -> None:
    """The answer of an operation of the contract is as it is promised there."""
    request = answer.request
    path = next((path for pattern, path in _paths().items() if pattern.fullmatch(request.url.path)), None)
    method = request.method.lower()
    if path is None or method not in document()["paths"][path] or answer.status_code == 500:
        return  # not an operation; or a fault that was made on purpose
    answer.read()
    promised = _schema(path, method, answer.status_code)
    if promised is None:
        assert not answer.content, f"{method} {path}: a body that the contract does not tell"
        return
    kind, schema = promised
    assert answer.headers["Content-Type"].partition(";")[0] == kind
    if kind.endswith("json"):
        errors = [f"{'/'.join(map(str, e.instance_path))}: {e.message}" for e in schema.iter_errors(answer.json())]
        assert not errors, f"{method} {path} {answer.status_code}: {errors}"


def shape(value: Any) -> Any:
    """An answer's members and types; of a problem its code too, and whatever is said in Chinese: it is the same in every run."""
    if isinstance(value, dict):
        return {name: value[name] if name == "code" else shape(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return list(map(shape, value))
    return value if isinstance(value, str) and not value.isascii() else type(value).__name__
