"""The API over real HTTP: uvicorn on a free port of this process, a few customers, a token for every need."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import promised
import uvicorn
from fastapi import FastAPI
from people import citizen, deliver, record
from processes import wait_until
from sqlalchemy import Engine, text

from ecif.api.app import create_app
from ecif.api.problems import MESSAGES
from ecif.api.tokens import SCOPES, Verifier, issue_token
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import (
    Account,
    AccountStatus,
    Identifier,
    PartyType,
    RelatedParty,
    RelationType,
)
from ecif.migrate import upgrade
from ecif.server import listen
from ecif.services.context import KeyDigests
from ecif.settings import Settings

SECRET = b"s" * 32
ID_A, ID_B, ID_WIFE = citizen(1), citizen(3), citizen(4)
PHONE, OTHER_PHONE, EMAIL = "13912345670", "13912345688", "sanfeng.zhang@example.com"
CARD, DEPOSIT = "6225000000001234", "6217000000005678"
HOME = "广东省深圳市南山区人民路9号丰泽新村26栋3单元1801室"
USCC, COMPANY = "91110108717743469K", "深圳市华兴科技有限公司"
CLEAR = (ID_A, PHONE, OTHER_PHONE, EMAIL, CARD, DEPOSIT, "人民路9号", "1990-01-01", "张三丰")
"""What nobody sees of the customer without the right to."""


def right_now() -> datetime:
    """The clock that the served process reads too."""
    return datetime.now(UTC)  # noqa: TID251


def token(*scopes: str, **limits: Any) -> dict[str, str]:
    """The header of a caller with these scopes, for every system and channel unless told otherwise."""
    return bearer(issue_token(SECRET, scopes=scopes, now=right_now(), **{"subject": "tester"} | limits))


def bearer(made: str) -> dict[str, str]:
    """The header of a token."""
    return {"Authorization": f"Bearer {made}"}


@dataclass(frozen=True)
class Api:
    """A client, and what the bank's customers are called there."""

    client: httpx.Client
    engine: Engine
    numbers: dict[str, str]

    def get(self, path: str, *, scopes: tuple[str, ...] = tuple(SCOPES), **options: Any) -> httpx.Response:
        """Asks as a caller who may do everything, unless told otherwise."""
        headers = token(*scopes) | options.pop("headers", {})
        return self.client.get(path, headers=headers, **options)

    def ask(self, method: str, path: str, *, scopes: tuple[str, ...] = tuple(SCOPES), **options: Any) -> httpx.Response:
        """Any call, as a caller who may do everything, unless told otherwise."""
        headers = token(*scopes) | options.pop("headers", {})
        return self.client.request(method, path, headers=headers, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """A POST."""
        return self.ask("POST", path, **options)

    def no(self, name: str) -> str:
        """The number under which a source record was linked."""
        return self.numbers[name]


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """It is a problem document of the table, in two languages, shows no piece of the program, and quotes nobody."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    zh, en = MESSAGES[code]
    assert (body["code"], body["status"], body["message_zh"], body["message_en"]) == (code, status, zh, en)
    assert body["type"] == f"urn:ecif:problem:{code.lower()}" and body["title"]
    assert body["request_id"] == answer.headers["X-Request-Id"] != ""
    assert not any(value in answer.text for value in CLEAR) and not re.search(r"<\w+\.\w+", answer.text)
    return body


def account(number: str, kind: str) -> Account:
    return Account(number, kind, AccountStatus.NORMAL, date(2020, 1, 2))


def fill(engine: Engine, digests: KeyDigests) -> dict[str, str]:
    """张三丰 in three systems, one of his numbers merged by a bridge; his wife, who is a customer; a company; a namesake."""
    wife = RelatedParty(RelationType.SPOUSE, "李秀英", Identifier(IdentifierKind.CITIZEN_ID, ID_WIFE))
    boss = RelatedParty(RelationType.LEGAL_REPRESENTATIVE, "张三丰", Identifier(IdentifierKind.CITIZEN_ID, ID_A))
    core = partial(
        record, "core", "1", "张三丰", id=ID_A, address=HOME, accounts=(account(DEPOSIT, "SAVINGS"),), related=(wife,)
    )
    deliver(
        engine,
        digests,
        core(),
        record("core", "2", "李秀英", id=ID_WIFE, phone="13912345699"),
        record(
            "core", "3", COMPANY, id=USCC, kind=IdentifierKind.USCC, party_type=PartyType.ORGANIZATION, related=(boss,)
        ),
        record("loan", "9", "张三丰", id=ID_B),
    )
    deliver(engine, digests, record("ebank", "u:2", "张三丰", phone=PHONE, male=True, emails=(EMAIL,)))
    before = _numbers(engine)
    cards = (account(CARD, "CARD"), account("6225000000009999", "CARD"))
    bridge = record("card", "7", "张三丰", id=ID_A, born=date(1990, 1, 1), phone=PHONE, male=True, accounts=cards)
    assert deliver(engine, digests, bridge).customers_merged == 1
    deliver(engine, digests, core(phone=OTHER_PHONE, day=3))
    now = _numbers(engine)
    (merged,) = (no for name, no in before.items() if now[name] != no)
    return now | {"merged": merged}


def _numbers(engine: Engine) -> dict[str, str]:
    query = (
        "SELECT r.system || ':' || r.key, l.customer_no FROM link l JOIN source_record r ON r.id = l.record_id"
        " WHERE l.ended_at IS NULL"
    )
    with engine.connect() as connection:
        return {name: no for name, no in connection.execute(text(query))}


def served(engine: Engine, digests: KeyDigests, verifier: Verifier | None = None) -> AbstractContextManager[str]:
    """The URL of the application on a free port; with local tokens unless told otherwise."""
    return listening(create_app(engine, digests, verifier or Verifier.local(SECRET)))


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The URL of an application on a free port."""
    listener = listen(Settings(Path(), port=0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def _client(url: str) -> httpx.Client:
    """A client that holds every answer against the contract."""
    return httpx.Client(base_url=url, timeout=30, event_hooks={"response": [promised.check]})


@contextmanager
def serving(engine: Engine, digests: KeyDigests) -> Iterator[Api]:
    """The application on an empty database, filled."""
    upgrade(engine)
    numbers = fill(engine, digests)
    with served(engine, digests) as url, _client(url) as client:
        yield Api(client, engine, numbers)
