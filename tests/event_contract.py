"""The published contract of events, to hold any event against."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator, Registry

from ecif.resources import resource_dir

FOLDER = resource_dir("contracts") / "events"


@cache
def schemas() -> dict[str, Any]:
    """Every schema by its name."""
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8")) for path in FOLDER.iterdir()}


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(schemas()[kind], registry=Registry([(s["$id"], s) for s in schemas().values()]))


def check_event(event: dict[str, Any]) -> None:
    """It is what the schema of its type says, and holds nothing that this does not name."""
    _validator(event["type"]).validate(event)
    assert event.keys() <= schemas()["envelope"]["properties"].keys()
    assert event["data"].keys() <= schemas()[event["type"]]["properties"]["data"]["properties"].keys()
    assert event["id"] == f"{event['subject']}-{event['seq']}"
