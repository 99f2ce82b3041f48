"""Writes and checks the published contract: ``python -m ecif.api.contract [--check | --release]``.

``contracts/openapi.json`` is what the code says. ``contracts/openapi.released.json`` is what callers were promised with the
last release: only ``--release`` replaces it, and ``--check`` refuses what would break them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ecif.api.app import create_app
from ecif.api.compatibility import Comparison
from ecif.api.tokens import Verifier
from ecif.resources import resource_dir
from ecif.services.context import KeyDigests


def openapi() -> dict[str, Any]:
    """The published contract of the API."""
    return create_app(None, KeyDigests(b"contract"), Verifier.local(b"contract")).openapi()


def main(arguments: list[str]) -> int:
    """Returns 1 if the stored contract is stale, or breaks callers of the released one."""
    stored, released = (resource_dir("contracts") / f"openapi{part}.json" for part in ("", ".released"))
    checks, releases = "--check" in arguments, "--release" in arguments
    document = openapi()
    body = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if checks and not (stored.exists() and stored.read_text("utf-8") == body):
        print("contracts/openapi.json 已过期, 请运行 is stale: run make contract")
        return 1
    if (checks or releases) and released.exists():
        before = json.loads(released.read_text("utf-8"))
        raised = before["info"]["version"] != document["info"]["version"]
        if _tell_breaks(before, document) and not (releases and raised):
            return 1
    for path in () if checks else (stored, released) if releases else (stored,):
        path.write_text(body, "utf-8")
    return 0


def _tell_breaks(before: dict[str, Any], document: dict[str, Any]) -> bool:
    found = sorted(Comparison(before, document).breaks())
    for line in found:
        print(line)
    if found:
        print(
            "已发布契约的调用方会出错: 请保持兼容; 如确需改变, 升级版本号后运行 this breaks callers of the released contract:"
            " stay compatible or, if it must be, raise the version and run make release-contract"
        )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
