"""Who reads, and how clear: masked, unless his scopes and a stated purpose say otherwise; every clear read is logged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Request, Response
from psycopg import AsyncConnection
from sqlalchemy.orm import Session
from starlette.datastructures import State

from ecif.api.parameters import ReadHeaders
from ecif.api.problems import Problem
from ecif.api.security import Scoped
from ecif.api.tokens import Caller
from ecif.db import Readers, transaction
from ecif.domain.channels import Channel
from ecif.services.access import log_clear_read
from ecif.services.context import Call

PERSONAL = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-Purpose"}
"""An answer is for this caller and this purpose alone, and nobody shows it again without asking whether it still holds."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A call that reads. ``known`` are the entity tags of what the caller holds already."""

    state: State
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
        """For the statements of the read."""
        return transaction(self.state.engine)

    def alone(self) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """For a read of one statement in the event loop, which shows nothing clear."""
        readers: Readers = self.state.readers
        return readers.connection()

    def log(self, session: Session, nos: Iterable[str], fields: Collection[str]) -> None:
        """Logs what is about to be shown clear, if anything is."""
        if fields:
            log_clear_read(session, self.call, datetime.now(UTC), purpose=self.purpose, nos=nos, fields=fields)


def reader_of(request: Request, who: Caller, told: ReadHeaders) -> Reader:
    """The reader behind a request.

    Raises:
        Problem: 403, he may not act in the name of the channel.
    """
    if told.channel and not who.may_act_for(told.channel.value):
        raise Problem.of("ECIF-5004", 403, detail=told.channel.value)
    call = Call(who.subject, told.operator, told.channel or Channel.API, request_id=request.state.request_id)
    return Reader(request.app.state, who, call, told.purpose or "", request.headers.get("If-None-Match", ""))


def reads(scope: str) -> Callable[..., Awaitable[Reader]]:
    """A dependency: who reads, if he has the scope."""
    allowed = Depends(Scoped(scope))

    async def reader(request: Request, told: Annotated[ReadHeaders, Header()], who: Caller = allowed) -> Reader:
        return reader_of(request, who, told)

    return reader


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer about persons, rendered once and never looked through again."""
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json", headers={**PERSONAL, **(headers or {})})
