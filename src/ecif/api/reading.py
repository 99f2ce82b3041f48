"""Who reads, and how clear: masked, unless his scopes and a stated purpose say otherwise; every clear read is logged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar, cast

import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security.base import SecurityBase
from psycopg import AsyncConnection
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import Session
from starlette.datastructures import State

from ecif.api.parameters import ReadHeaders
from ecif.api.problems import Problem
from ecif.api.security import bearer, caller, needs
from ecif.api.tokens import Caller
from ecif.db import Readers, transaction
from ecif.domain.channels import Channel
from ecif.services.access import log_clear_read
from ecif.services.context import Call

Model = TypeVar("Model", bound=BaseModel)

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


class MayRead(SecurityBase):
    """Lets only callers with the scope read. One dependency instead of three, which FastAPI resolves one by one."""

    model, scheme_name = bearer.model, bearer.scheme_name

    def __init__(self, scope: str) -> None:
        self._check = needs(scope)

    async def __call__(self, request: Request) -> Caller:
        """The caller.

        Raises:
            Problem: 401, 403, he may not.
        """
        return await self._check(await caller(request, await bearer(request)))


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
    allowed = Depends(MayRead(scope))

    async def reader(request: Request, told: Annotated[ReadHeaders, Header()], who: Caller = allowed) -> Reader:
        return reader_of(request, who, told)

    return reader


class ByHand(Generic[Model]):
    """Takes all that a call says in one go. FastAPI does so piece by piece, which costs the most frequent call more than
    its work does.

    Attributes:
        contract: the parameters, for the contract.
    """

    def __init__(self, model: type[Model]) -> None:
        """``model`` has a model for each place: ``path``, ``query``, ``header``."""
        self._model = model
        schemas = {place: _schemas(cast(type[BaseModel], f.annotation)) for place, f in model.model_fields.items()}
        self._headers = tuple(schemas["header"])
        self._lists = {name for name, schema in schemas["query"].items() if schema.get("type") == "array"}
        self.contract = [
            {"name": name, "in": place, "required": place == "path", "schema": schema}
            | ({"description": schema.pop("description")} if "description" in schema else {})
            for place, those in schemas.items()
            for name, schema in those.items()
        ]

    def take(self, request: Request) -> Model:
        """What the request says.

        Raises:
            RequestValidationError: all that is wrong with it.
        """
        headers, params = request.headers, request.query_params
        given = {
            "path": request.path_params,
            "query": {name: params.getlist(name) if name in self._lists else params[name] for name in params},
            "header": {name: headers[name] for name in self._headers if name in headers},
        }
        try:
            return self._model.model_validate(given)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None


def _schemas(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = model.model_json_schema(ref_template="#/components/schemas/{model}")[
        "properties"
    ]
    return found


def answer(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer about persons, rendered once and never looked through again."""
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return Response(content, media_type="application/json", headers={**PERSONAL, **(headers or {})})
