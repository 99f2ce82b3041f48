"""Runs the calls of the contract as they are printed there: ``python tests/examples.py`` records their answers anew."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from pathlib import Path
from typing import Any

import httpx
from promised import shape
from served import served, token
from sqlalchemy import Engine

from ecif.adapters.sources import load_contract, load_file
from ecif.api import contract, examples
from ecif.api.document import ANSWERED
from ecif.api.tokens import SCOPES
from ecif.db import open_database
from ecif.migrate import upgrade
from ecif.resources import resource_dir
from ecif.services.context import KeyDigests
from ecif.settings import Settings

FOLDER = resource_dir("contracts")
LOADED = ("core", "loan", "ebank", "card")
"""In this order: the card record shows that two customers are one."""


def load_bank(engine: Engine, digests: KeyDigests) -> None:
    """The bank of the examples, in an empty database."""
    upgrade(engine)
    for system in LOADED:
        source = load_contract(FOLDER / "sources" / f"{system}.yaml")
        report = load_file(engine, digests, source, FOLDER / "examples" / f"{system}.csv")
        assert report.rejected == 0


def request(source: str) -> dict[str, Any]:
    """What a ``curl`` command asks, for httpx; its token is one of the tests."""
    program, *words = shlex.split(source.replace("\\\n", ""))
    assert program == "curl"
    asked: dict[str, Any] = {"method": "GET", "headers": {}}
    options = iter(words)
    for word in options:
        if word == "-X":
            asked["method"] = next(options)
        elif word == "-H":
            name, _, value = next(options).partition(": ")
            asked["headers"][name] = value
        elif word == "-d":
            asked["content"] = next(options).encode()
        elif word != "-s":
            asked["url"] = word.removeprefix(examples.URL)
    told = re.fullmatch(r"Bearer \$\(ecif token(?P<scopes>.*)\)", asked["headers"].get("Authorization", ""))
    if told:
        asked["headers"] |= token(*(told["scopes"].split()[1::2] or SCOPES))
    return asked


def samples(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    """The calls of a contract, by operation and name, in the order in which they are to be run."""
    operations = {o["operationId"]: o for item in document["paths"].values() for o in item.values()}
    return {
        (name, sample["label"]): sample["source"]
        for name in examples.EXAMPLES
        for sample in operations[name]["x-codeSamples"]
    }


def answers(url: str, document: dict[str, Any]) -> dict[tuple[str, str], httpx.Response]:
    """What the service answers, call by call."""
    with httpx.Client(base_url=url, timeout=30) as client:
        return {key: client.request(**request(source)) for key, source in samples(document).items()}


def body(answer: httpx.Response) -> Any:
    """What is recorded of an answer: all of it, if it is JSON."""
    return answer.json() if "json" in answer.headers.get("Content-Type", "") else None


def main() -> None:
    """What has its recorded shape stays as it is: times and request ids would change with every run."""
    digests = KeyDigests(b"e" * 32)
    path = FOLDER / ANSWERED
    recorded = json.loads(path.read_text("utf-8")) if path.exists() else {}
    told: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="ecif-") as home, open_database(Settings(Path(home) / "home")) as engine:
        load_bank(engine, digests)
        with served(engine, digests) as url:
            for (name, label), answer in answers(url, contract.openapi()).items():
                assert answer.status_code == examples.EXAMPLES[name][label].status, (name, label, answer.text)
                new, known = body(answer), recorded.get(name, {}).get(label)
                told.setdefault(name, {})[label] = known if shape(known) == shape(new) else new
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
