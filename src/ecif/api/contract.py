"""Writes ``contracts/openapi.json``, or checks that it is what the code says: ``python -m ecif.api.contract [--check]``."""

from __future__ import annotations

import json
import sys
from typing import Any

from ecif.api.app import create_app
from ecif.api.tokens import Verifier
from ecif.resources import resource_dir
from ecif.services.context import KeyDigests


def openapi() -> dict[str, Any]:
    """The published contract of the API."""
    return create_app(None, KeyDigests(b"contract"), Verifier.local(b"contract")).openapi()


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
