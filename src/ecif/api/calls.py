"""What a changing call brings beside its body, and the transaction that it is carried out in.

The edge reads the clock here, gives the work its context, retries what the database gave up for the sake of another, and
keeps the answer under the caller's Idempotency-Key in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from ecif.api.invalid import finding
from ecif.api.parameters import utf8
from ecif.api.problems import Problem
from ecif.api.security import caller
from ecif.api.times import Day
from ecif.api.tokens import Caller
from ecif.db import run_transaction
from ecif.domain.channels import Channel
from ecif.services.answers import Answer, keep, recall
from ecif.services.context import Call, Context, KeyDigests

_ETAG = re.compile(r'(?:W/)?"v([1-9][0-9]{0,8})"')

Work = Callable[[Session, Context], Answer]


@dataclass(frozen=True, slots=True)
class Edge:
    """A changing call: who makes it, the request, and its idempotency key if it has one.

    Attributes:
        decisions: what the work decided, by kind and result, to be counted once it is committed.
    """

    request: Request
    call: Call
    who: Caller
    key: str | None
    decisions: list[tuple[str, str]] = field(default_factory=list)

    def run(self, body: Any, work: Work) -> Response:
        """Carries the work out, once for every key, and answers.

        Args:
            body: what was asked for, in a form that is equal for equal requests.
        """
        asked = self._hash(body)

        def attempt(session: Session) -> tuple[Answer, bool]:
            self.decisions.clear()
            context = now_by(self.call.caller, self.app.digests, self.call)
            if self.key is None:
                return work(session, context), False
            known = recall(session, context, self.call.caller, self.key, asked)
            if known:
                return known, True
            answer = work(session, context)
            keep(session, self.call.caller, self.key, answer)
            return answer, False

        answer, again = run_transaction(self.app.engine, attempt)
        return self.answered(answer, **({"Idempotency-Replayed": "true"} if again else {}))

    def answered(self, answer: Answer, **more: str) -> Response:
        """The response, once what it tells is committed."""
        for decided in self.decisions:
            self.app.meters.decisions.labels(*decided).inc()
        return Response(answer.body, answer.status, answer.headers | more, "application/json")

    def now(self) -> datetime:
        """The time of the call."""
        return now_by(self.call.caller, self.app.digests).now

    @property
    def app(self) -> Any:
        """What the application holds."""
        return self.request.app.state

    def _hash(self, body: Any) -> bytes:
        call = (self.call.operator, self.call.channel.value, self.call.branch, self.request.headers.get("If-Match"))
        said = (self.request.method, self.request.url.path, call, body)
        return blake2b(orjson.dumps(said, default=_plain), digest_size=16).digest()

    def expected(self) -> int | None:
        """The version that If-Match names.

        Raises:
            Problem: 422, it names none.
        """
        given = self.request.headers.get("If-Match")
        if given is None or given.strip() == "*":
            return None
        found = _ETAG.fullmatch(given.strip())
        if not found:
            raise Problem.of("ECIF-1001", 422, errors=[finding("header.If-Match", "etag")])
        return int(found[1])

    def expects_none(self) -> None:
        """For a call about several things, of whose versions none can be meant alone: to pass over one that is named would
        break the promise of If-Match.

        Raises:
            Problem: 422, If-Match names one.
        """
        if self.expected() is not None:
            raise Problem.of("ECIF-1001", 422, errors=[finding("header.If-Match", "etag_of_several")])

    def must_expect(self) -> int:
        """The version that If-Match names, which this call has to.

        Raises:
            Problem: 428, there is none.
        """
        version = self.expected()
        if version is None:
            raise Problem.of("ECIF-1012", 428)
        return version


NoRedirect = Annotated[
    bool, Header(alias="X-No-Redirect", description="true: refuse a merged number instead of writing to its survivor")
]


def must_be_live(no: str, live: str) -> None:
    """That a number stands for itself, for a caller who takes no redirect.

    Raises:
        Problem: 409, it was merged.
    """
    if no != live:
        raise Problem.of("ECIF-2010", 409, detail=live)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", warnings=False)  # a batch holds records as they came


def now_by(actor: str, digests: KeyDigests, call: Call | None = None) -> Context:
    """The context of what is done now."""
    return Context(datetime.now(UTC), actor, digests, call)


def answer(status: int, body: Any, **headers: str) -> Answer:
    """An answer whose body is plain data."""
    return Answer(
        status, orjson.dumps(body, option=orjson.OPT_UTC_Z), {k.replace("_", "-"): v for k, v in headers.items()}
    )


def _text(most: int, name: str, meaning: str) -> Any:
    return Field("", max_length=most, pattern="^[^\\x00-\\x1f\\x7f]*$", alias=name, description=meaning)


class CallHeaders(BaseModel):
    """What a changing call says of itself in headers."""

    channel: Channel = Field(Channel.API, alias="X-Channel", description="渠道")
    branch: str = _text(40, "X-Branch", "机构")
    operator: str = _text(64, "X-Operator", "操作员")
    business_date: Day | None = Field(None, alias="X-Business-Date", description="业务日期")
    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern="^[A-Za-z0-9._:-]{1,64}$",
        description="幂等键, 保存 7 天: 请求相同则返回原结果, 不同则 409",
    )


def edge_of(request: Request, who: Caller, told: CallHeaders) -> Edge:
    """The call behind a request.

    Raises:
        Problem: 403, the caller may not act in the name of the channel.
    """
    if not who.may_act_for(told.channel.value):
        raise Problem.of("ECIF-5004", 403, detail=told.channel.value)
    branch, operator = utf8(told.branch), utf8(told.operator)
    call = Call(who.subject, operator, told.channel, branch, told.business_date, request.state.request_id)
    return Edge(request, call, who, told.idempotency_key)


async def edge(
    request: Request, who: Annotated[Caller, Depends(caller)], told: Annotated[CallHeaders, Header()]
) -> Edge:
    """A dependency: the call behind a request."""
    return edge_of(request, who, told)


EdgeIn = Annotated[Edge, Depends(edge)]
