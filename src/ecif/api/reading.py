"""Who reads, and how clear: masked, unless his scopes and a stated purpose say otherwise; every clear read is logged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import Depends, Request, Response
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ecif.api.parameters import ChannelHeader, Operator, Purpose
from ecif.api.problems import Problem
from ecif.api.security import needs
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
    """A call that reads."""

    engine: Engine
    caller: Caller
    call: Call
    purpose: str

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


def reads(scope: str) -> Callable[..., Awaitable[Reader]]:
    """A dependency that lets only callers with the scope read, and in the name of a channel only whom it is given."""

    allowed = Depends(needs(scope))

    async def reader(
        request: Request,
        who: Caller = allowed,
        purpose: Purpose = None,
        operator: Operator = "",
        channel: ChannelHeader = None,
    ) -> Reader:
        if channel and not who.may_act_for(channel.value):
            raise Problem.of("ECIF-5004", 403, detail=channel.value)
        call = Call(who.subject, operator, channel or Channel.API, request_id=request.state.request_id)
        return Reader(request.app.state.engine, who, call, purpose or "")

    return reader


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer about persons, rendered once and never looked through again."""
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json", headers={**PERSONAL, **(headers or {})})
