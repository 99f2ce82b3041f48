"""Who reads, and how clear: masked, unless his scopes and a stated purpose say otherwise; every clear read is logged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security.base import SecurityBase
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from ecif.api.parameters import ReadHeaders, utf8
from ecif.api.problems import Problem
from ecif.api.security import bearer, caller, needs
from ecif.api.tokens import Caller
from ecif.db import reading, transaction
from ecif.domain.channels import Channel
from ecif.services.access import log_clear_read
from ecif.services.context import Call
from ecif.services.rows import Reads

PERSONAL = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-Purpose"}
"""An answer is for this caller and this purpose alone, and nobody shows it again without asking whether it still holds."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A call that reads. ``known`` are the entity tags of what the caller holds already."""

    engine: Engine
    caller: Caller
    call: Call
    purpose: str
    known: str

    def clear(self, wanted: bool | None) -> frozenset[str]:
        """The field classes that are shown clear.

        Raises:
            Problem: 403 or 422, he asks for clear values and may not see any, or does not say what for.
        """
        classes = self.caller.clears()
        if wanted and not classes:
            raise Problem.of("ECIF-5003", 403, detail="pii:clear")
        if wanted and not self.purpose:
            raise Problem.of("ECIF-1003", 422)
        return classes if self.purpose and wanted is not False else frozenset()

    def transaction(self) -> AbstractContextManager[Session]:
        """For a read of several statements."""
        return transaction(self.engine)

    def statement(self, clear: Collection[str]) -> AbstractContextManager[Reads]:
        """For a read of one statement, unless it has to be logged."""
        return transaction(self.engine) if clear else reading(self.engine)

    def log(self, session: Reads, nos: Iterable[str], fields: Collection[str]) -> None:
        """Logs what is about to be shown clear, if anything is."""
        if fields:
            assert isinstance(session, Session)
            log_clear_read(session, self.call, datetime.now(UTC), purpose=self.purpose, nos=nos, fields=fields)


class MayRead(SecurityBase):
    """Lets only callers with the scope read, and in the name of a channel only those to whom it was given.

    One dependency that looks at the headers itself: as five, which FastAPI resolves one by one, they would cost a call more
    than its work does.
    """

    model, scheme_name = bearer.model, bearer.scheme_name

    def __init__(self, scope: str) -> None:
        self._check = needs(scope)

    async def __call__(self, request: Request) -> Reader:
        """The reader.

        Raises:
            Problem: 401, 403, he may not.
            RequestValidationError: a header that is not valid.
        """
        who = await self._check(await caller(request, await bearer(request)))
        told = _told(request.headers)
        if told.channel and not who.may_act_for(told.channel.value):
            raise Problem.of("ECIF-5004", 403, detail=told.channel.value)
        call = Call(who.subject, told.operator, told.channel or Channel.API, request_id=request.state.request_id)
        known = request.headers.get("If-None-Match", "")
        return Reader(request.app.state.engine, who, call, told.purpose or "", known)


_NOTHING = ReadHeaders.model_validate({})


def _told(headers: Headers) -> ReadHeaders:
    given = {name: utf8(headers[name]) for name in _NAMES if name in headers}
    if not given:
        return _NOTHING
    try:
        return ReadHeaders.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError([e | {"loc": ("header", *e["loc"])} for e in error.errors()]) from None


_SCHEMAS: dict[str, dict[str, Any]] = ReadHeaders.model_json_schema(ref_template="#/components/schemas/{model}")[
    "properties"
]
_NAMES = tuple(_SCHEMAS)
HEADERS = [{"name": name, "in": "header", "required": False, "schema": schema} for name, schema in _SCHEMAS.items()]
"""The headers of a read, for the contract."""


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer about persons, rendered once and never looked through again."""
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json", headers={**PERSONAL, **(headers or {})})
