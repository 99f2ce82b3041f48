"""Writes ``contracts/openapi.json``, or checks that it is what the code says: ``python -m ecif.api.contract [--check]``."""

from __future__ import annotations

import json
import sys
from typing import Any

from ecif.api.app import create_app
from ecif.resources import resource_dir
from ecif.services.context import KeyDigests

_TEXT = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem document 错误说明",
    "type": "object",
    "required": ["type", "title", "status", "code", "message_zh", "message_en", "request_id"],
    "properties": {
        **{name: _TEXT for name in ("type", "title", "code", "message_zh", "message_en", "detail", "request_id")},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object", "properties": {"field": _TEXT, "rule": _TEXT}}},
    },
}


def openapi() -> dict[str, Any]:
    """The published contract of the API."""
    document = create_app(None, KeyDigests(b"contract"), b"contract").openapi()
    document["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    return document


def main(arguments: list[str]) -> int:
    """Returns 1 if the stored contract is stale."""
    path = resource_dir("contracts") / "openapi.json"
    body = json.dumps(openapi(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if "--check" in arguments:
        if path.exists() and path.read_text("utf-8") == body:
            return 0
        print("contracts/openapi.json 已过期, 请运行 is stale: run make contract")
        return 1
    path.write_text(body, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
