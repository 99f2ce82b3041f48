"""The published contract: never stale, and complete."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from ecif.api import contract
from ecif.api.app import create_app
from ecif.api.contract import main, openapi
from ecif.api.problems import MESSAGES
from ecif.api.tokens import SCOPES, Verifier
from ecif.resources import resource_dir
from ecif.services.context import KeyDigests

STORED = resource_dir("contracts") / "openapi.json"


def test_the_stored_contract_is_what_the_code_says() -> None:
    assert json.loads(STORED.read_text("utf-8")) == json.loads(json.dumps(openapi())), "run: make contract"
    assert main(["--check"]) == 0


def test_a_stale_contract_fails_the_check_and_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contract, "resource_dir", lambda _: tmp_path)
    assert main(["--check"]) == 1 and "make contract" in capsys.readouterr().out
    assert main([]) == 0 and main(["--check"]) == 0
    written = tmp_path / "openapi.json"
    written.write_text(written.read_text("utf-8").replace('"limit"', '"most"', 1), "utf-8")
    assert main(["--check"]) == 1


def routes() -> list[tuple[str, str, dict]]:  # type: ignore[type-arg]
    return [(path, verb, route) for path, verbs in openapi()["paths"].items() for verb, route in verbs.items()]


@pytest.mark.parametrize(("path", "verb", "route"), routes())
def test_every_route_says_its_problems_in_two_languages(path: str, verb: str, route: dict) -> None:  # type: ignore[type-arg]
    codes = path.startswith("/v1/codes")  # for whoever has a token; there is no other table than the contract names
    if path.startswith("/v1"):
        assert {"401", "422", "503"} | (set() if codes else {"403"}) <= set(route["responses"])
        assert route["security"] == [{"HTTPBearer": []}]
        assert any("\u4e00" <= c <= "\u9fff" for c in route["description"])
    assert "404" in route["responses"] or not {"{no}", "{key}", "{request_id}"} & set(re.split("[/:]", path)) or codes
    for status in (status for status in route["responses"] if status >= "4"):
        ((kind, content),) = route["responses"][status]["content"].items()
        assert (kind, content["schema"]) == ("application/problem+json", {"$ref": "#/components/schemas/Problem"})


def test_the_contract_is_told_the_same_every_time() -> None:
    app = create_app(None, KeyDigests(b"contract"), Verifier.local(b"contract"))
    assert app.openapi() == app.openapi() == openapi()


def test_every_reference_resolves_and_every_limit_is_bounded() -> None:
    document = openapi()
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
    for path, _, route in routes():
        for parameter in route.get("parameters", []):
            if parameter["name"] == "limit":
                assert parameter["schema"]["maximum"] <= 500, path


def test_codes_and_scopes_have_two_languages() -> None:
    for texts in (*MESSAGES.values(), *((scope, scope) for scope in SCOPES.values())):
        assert any("\u4e00" <= c <= "\u9fff" for c in texts[0]) and any(c.isascii() and c.isalpha() for c in texts[1])


async def pages() -> dict[str, int]:
    """The parts of the pages of the docs, and the status of each."""
    app = create_app(None, KeyDigests(b"contract"), Verifier.local(b"contract"))
    found: dict[str, int] = {}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://here") as client:
        for path in ("/docs", "/redoc"):
            page = (await client.get(path)).text
            parts = re.findall(r'(?:src|href)="([^"]+)"', page)
            found |= {part: (await client.get(part)).status_code for part in parts if part.startswith("/")}
            found |= {part: 0 for part in parts if not part.startswith(("/", "data:"))}
    return found


def test_the_pages_of_the_docs_need_no_other_host() -> None:
    found = asyncio.run(pages())
    assert any(part.endswith(".js") for part in found)
    assert set(found.values()) == {200}, found
