"""What breaks a caller is caught, and what does not is let through: a small contract, changed in every way."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecif.api import contract
from ecif.api.compatibility import (
    ACCESS,
    CLOSED,
    CODES,
    LIMIT,
    OPTIONAL,
    REMOVED,
    REQUIRED,
    TYPE,
    Comparison,
)

Document = dict[str, Any]
Change = Callable[[Document], Any]

NULLABLE = {"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}
BASE: Document = {
    "info": {"version": "1"},
    "paths": {
        "/things/{no}": {
            "put": {
                "parameters": [
                    {"in": "path", "name": "no", "required": True, "schema": {"type": "string", "pattern": "^[0-9]$"}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
                    {"in": "header", "name": "X-Why", "schema": {"type": "string"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}}},
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}},
                    },
                    "404": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
                },
                "security": [{"Bearer": ["read"]}],
            },
            "get": {"responses": {"200": {}}},
        }
    },
    "components": {
        "schemas": {
            "Asked": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 20},
                    "kind": {"enum": ["A", "B"], "type": "string"},
                    "note": NULLABLE,
                    "phones": {"type": "array", "maxItems": 5, "items": {"type": "string"}},
                    "inner": {"$ref": "#/components/schemas/Asked"},
                },
            },
            "Told": {
                "type": "object",
                "required": ["no", "kind"],
                "properties": {
                    "no": {"type": "string", "pattern": "^[0-9]{12}$"},
                    "kind": {"enum": ["A", "B"], "type": "string"},
                    "score": {"type": "number"},
                    "note": NULLABLE,
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Told"}},
                    "fields": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        }
    },
}


def put(document: Document) -> Document:
    return document["paths"]["/things/{no}"]["put"]  # type: ignore[no-any-return]


def asked(document: Document) -> Document:
    return document["components"]["schemas"]["Asked"]  # type: ignore[no-any-return]


def told(document: Document) -> Document:
    return document["components"]["schemas"]["Told"]  # type: ignore[no-any-return]


def added(parameter: Document) -> Change:
    return lambda d: put(d)["parameters"].append({"in": "query", "name": "new", "schema": {}} | parameter)


BREAKS: dict[str, tuple[Change, str]] = {
    "a path removed": (lambda d: d["paths"].clear(), REMOVED),
    "a method removed": (lambda d: d["paths"]["/things/{no}"].pop("get"), REMOVED),
    "a status removed": (lambda d: put(d)["responses"].pop("404"), REMOVED),
    "a media type changed": (
        lambda d: put(d)["responses"]["404"].update(content={"application/json": {"schema": {}}}),
        REMOVED,
    ),
    "a header of an answer removed": (lambda d: put(d)["responses"]["200"].pop("headers"), REMOVED),
    "a field of an answer removed": (lambda d: told(d)["properties"].pop("score"), REMOVED),
    "a field of an answer that was always there removed": (lambda d: told(d)["properties"].pop("no"), REMOVED),
    "a field of an answer of another type": (lambda d: told(d)["properties"]["no"].update(type="integer"), TYPE),
    "a whole number of an answer with a fraction": (
        lambda d: told(d)["properties"].update(no={"type": "number"}),
        TYPE,
    ),
    "a field of an answer perhaps null": (
        lambda d: told(d)["properties"].update(no={"anyOf": [told(d)["properties"]["no"], {"type": "null"}]}),
        TYPE,
    ),
    "a field of an answer perhaps null, said otherwise": (
        lambda d: told(d)["properties"]["no"].update(type=["string", "null"]),
        TYPE,
    ),
    "a field of an answer not always there": (lambda d: told(d)["required"].remove("no"), OPTIONAL),
    "a field of an answer longer": (lambda d: told(d)["properties"]["no"].pop("pattern"), LIMIT),
    "values of a map of another type": (
        lambda d: told(d)["properties"]["fields"].update(additionalProperties={"type": "object"}),
        TYPE,
    ),
    "an answer of another type": (lambda d: told(d).update(type="array"), TYPE),
    "a parameter removed": (lambda d: put(d)["parameters"].pop(), REMOVED),
    "a parameter elsewhere": (lambda d: put(d)["parameters"][2].update({"in": "query"}), REMOVED),
    "a parameter required": (lambda d: put(d)["parameters"][1].update(required=True), REQUIRED),
    "a required parameter added": (added({"required": True}), REQUIRED),
    "a smaller limit": (lambda d: put(d)["parameters"][1]["schema"].update(maximum=8), LIMIT),
    "a larger least": (lambda d: put(d)["parameters"][1]["schema"].update(minimum=2), LIMIT),
    "another pattern": (lambda d: put(d)["parameters"][0]["schema"].update(pattern="^[0-9]{2}$"), LIMIT),
    "a first pattern": (lambda d: put(d)["parameters"][2]["schema"].update(pattern="^[a-z]$"), LIMIT),
    "a first limit": (lambda d: asked(d)["properties"]["note"]["anyOf"][0].update(minLength=1), LIMIT),
    "a body required": (lambda d: put(d)["requestBody"].update(required=True), REQUIRED),
    "a body removed": (lambda d: put(d).pop("requestBody"), REMOVED),
    "a first body": (
        lambda d: d["paths"]["/things/{no}"]["get"].update(requestBody={"required": True, "content": {}}),
        REQUIRED,
    ),
    "another kind of body": (lambda d: put(d)["requestBody"].update(content={"text/csv": {}}), REMOVED),
    "a field of a request removed": (lambda d: asked(d)["properties"].pop("kind"), REMOVED),
    "a field of a request required": (lambda d: asked(d)["required"].append("kind"), REQUIRED),
    "a required field of a request added": (
        lambda d: (asked(d)["required"].append("age"), asked(d)["properties"].update(age={"type": "integer"})),
        REQUIRED,
    ),
    "a field of a request never null": (lambda d: asked(d)["properties"]["note"]["anyOf"].pop(), TYPE),
    "a code of a request removed": (lambda d: asked(d)["properties"]["kind"]["enum"].pop(), CODES),
    "only codes in a request": (lambda d: asked(d)["properties"]["name"].update(enum=["A"]), CODES),
    "shorter lists": (lambda d: asked(d)["properties"]["phones"].update(maxItems=4), LIMIT),
    "items of another type": (lambda d: asked(d)["properties"]["phones"]["items"].update(type="integer"), TYPE),
    "other fields refused": (lambda d: asked(d).update(additionalProperties=False), CLOSED),
    "a scope added": (lambda d: put(d)["security"][0]["Bearer"].append("write"), ACCESS),
    "a second scheme": (lambda d: put(d)["security"][0].update(Key=[]), ACCESS),
    "a first scheme": (lambda d: d["paths"]["/things/{no}"]["get"].update(security=[{"Bearer": []}]), ACCESS),
}

HARMLESS: dict[str, Change] = {
    "nothing": lambda d: None,
    "a path added": lambda d: d["paths"].update({"/more": {"get": {"responses": {"200": {}}}}}),
    "a method added": lambda d: d["paths"]["/things/{no}"].update(post={"responses": {}}),
    "a status added": lambda d: put(d)["responses"].update({"409": {}}),
    "an optional parameter added": added({}),
    "a larger limit": lambda d: put(d)["parameters"][1]["schema"].update(maximum=10),
    "no limit": lambda d: put(d)["parameters"][1]["schema"].pop("maximum"),
    "a parameter described": lambda d: put(d)["parameters"][1].update(description="how many", examples=[1]),
    "an optional body": lambda d: d["paths"]["/things/{no}"]["get"].update(requestBody={"content": {}}),
    "a second kind of body": lambda d: put(d)["requestBody"]["content"].update({"text/csv": {}}),
    "an optional field of a request added": lambda d: asked(d)["properties"].update(age={"type": "integer"}),
    "a field of a request optional": lambda d: asked(d)["required"].clear(),
    "a field of a request perhaps null": lambda d: asked(d)["properties"]["name"].update(type=["string", "null"]),
    "a code of a request added": lambda d: asked(d)["properties"]["kind"]["enum"].append("C"),
    "no codes in a request": lambda d: asked(d)["properties"]["kind"].pop("enum"),
    "a field of an answer added": lambda d: told(d)["properties"].update(age={"type": "integer"}),
    "a field of an answer always there": lambda d: told(d)["required"].append("score"),
    "a field of an answer never null": lambda d: told(d)["properties"]["note"]["anyOf"].pop(),
    "a whole number for a number": lambda d: told(d)["properties"]["score"].update(type="integer"),
    "a code of an answer added": lambda d: told(d)["properties"]["kind"]["enum"].append("C"),
    "a schema written in place": lambda d: put(d)["responses"]["200"]["content"].update(
        {"application/json": {"schema": deepcopy(told(d))}}
    ),
    "a schema in parts": lambda d: put(d)["responses"]["200"]["content"].update(
        {"application/json": {"schema": {"allOf": [{"$ref": "#/components/schemas/Told"}]}}}
    ),
    "a scope less": lambda d: put(d)["security"][0]["Bearer"].clear(),
    "another way in": lambda d: put(d)["security"].append({"Key": []}),
}


def changed(*changes: Change) -> Document:
    document = json.loads(json.dumps(BASE))  # shares nothing with it, nor with itself
    for change in changes:
        change(document)
    return document


def breaks(*changes: Change) -> list[str]:
    return list(Comparison(BASE, changed(*changes)).breaks())


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_breaks_callers_is_caught(name: str) -> None:
    change, what = BREAKS[name]
    found = breaks(change)
    assert found and {line.rpartition(": ")[2] for line in found} == {what}, found
    assert all(line.startswith(("PUT /things/{no}", "GET /things/{no}")) for line in found)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_passes(name: str) -> None:
    assert breaks(HARMLESS[name]) == []


@given(st.permutations(sorted(HARMLESS)))
def test_harmless_changes_are_harmless_together(names: list[str]) -> None:
    names.remove("a code of a request added")  # there may be no list of codes any more
    assert breaks(*(HARMLESS[name] for name in names)) == []


def test_a_break_of_the_contract_fails_the_check_until_another_version_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contract, "resource_dir", lambda _: tmp_path)
    assert contract.main(["--release"]) == 0 and contract.main(["--check"]) == 0
    released = tmp_path / "openapi.released.json"
    promised = json.loads(released.read_text("utf-8"))
    promised["paths"]["/healthz"]["post"] = promised["paths"]["/healthz"]["get"]
    released.write_text(json.dumps(promised), "utf-8")
    assert contract.main([]) == 0, "writing what the code says promises nothing"
    for arguments in (["--check"], ["--release"]):
        assert contract.main(arguments) == 1
        told = capsys.readouterr().out
        assert f"POST /healthz: {REMOVED}" in told and "make release-contract" in told
    released.write_text(json.dumps(promised | {"info": {"version": "0.0.1"}}), "utf-8")
    assert contract.main(["--check"]) == 1 and contract.main(["--release"]) == 0 and contract.main(["--check"]) == 0


def test_every_route_of_the_contract_is_compared() -> None:
    document = contract.openapi()
    assert list(Comparison(document, document).breaks()) == []
    for path, item in document["paths"].items():
        for method in item:
            less = deepcopy(document)
            del less["paths"][path][method]
            assert list(Comparison(document, less).breaks()) == [f"{method.upper()} {path}: {REMOVED}"]
